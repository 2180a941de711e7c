"""torch-rechub's nets of several labels, learned from the arrays that tasks.py hands over: PYTHON tasks_peer.py JSON

Runs in an environment with torch-rechub and without this package. Reads WORK/given.npz, writes WORK/found.npz (``p``
[m, K] of the test rows) and prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any


def net(job: dict[str, Any], fields: list[Any], labels: int) -> Any:
    """The library's model of a name."""
    from torch_rechub.models.multi_task import ESMM, MMOE, PLE, SharedBottom

    kinds, layers = ["classification"] * labels, {"dims": job["hidden"], "activation": "relu"}
    towers = [{"dims": job.get("towers", []), "activation": "relu"}] * labels
    if job["model"] == "esmm":  # it takes the embedded fields of users and of items apart and puts them side by side
        return ESMM(fields[:1], fields[1:], layers, layers)
    if job["model"] == "mmoe":
        return MMOE(fields, kinds, job["experts"], layers, towers)
    if job["model"] == "ple":
        return PLE(fields, kinds, 1, job["experts"], job["shared"], layers, towers)
    return SharedBottom(fields, kinds, layers, towers)


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Trains, keeps the weights of the epoch that the later rows liked best, says what an epoch takes (processor)."""
    import numpy as np
    import torch
    from sklearn.metrics import roc_auc_score
    from torch_rechub.basic.features import SparseFeature
    from torch_rechub.basic.initializers import RandomNormal
    from torch_rechub.trainers import MTLTrainer
    from torch_rechub.utils.data import DataGenerator

    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    work = Path(job["work"])
    with np.load(work / "given.npz", allow_pickle=False) as file:
        given = dict(file)
    width = given["width"].tolist()
    start = RandomNormal(0, job["deviation"])
    fields = [SparseFeature(f"c{f}", rows, job["factors"], initializer=start) for f, rows in enumerate(width)]
    k = given["y_train"].shape[1]

    def columns(part: str) -> dict[str, Any]:
        return {f"c{f}": given[f"x_{part}"][:, f] for f in range(len(width))}

    def probabilities(part: str) -> Any:
        model.eval()
        with torch.no_grad():
            p = model({name: torch.from_numpy(x) for name, x in columns(part).items()}).numpy()
        return p[:, 1:] if job["model"] == "esmm" else p  # its first is the conversion of what was clicked

    model = net(job, fields, k)
    y = given["y_train"]
    if job["model"] == "esmm":
        y = np.concatenate([y[:, 1:], y], 1)
    kinds = ["classification"] * y.shape[1]
    trainer = MTLTrainer(model, kinds, optimizer_params={"lr": job["rate"]}, device="cpu", model_path=str(work))
    loader, *_ = DataGenerator(columns("train"), y).generate_dataloader(batch_size=job["batch"], num_workers=0)
    best, weights, spent, since = 0.0, None, [], 0
    for _ in range(job["epochs"]):
        began = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            trainer.train_one_epoch(loader)
        spent.append(time.process_time() - began)
        p, since = probabilities("valid"), since + 1
        figure = float(np.mean([roc_auc_score(given["y_valid"][:, n], p[:, n]) for n in range(k)]))
        if figure > best:
            best, weights, since = figure, copy.deepcopy(model.state_dict()), 0
        if since == job["stopping"]:
            break
    model.load_state_dict(weights)
    np.savez(work / "found.npz", valid=probabilities("valid"), test=probabilities("test"))
    versions = {name: metadata.version(name) for name in ("torch-rechub", "torch")}
    return {"epoch_seconds": min(spent), "epochs": len(spent), "versions": versions}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
