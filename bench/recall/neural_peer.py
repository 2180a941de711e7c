"""torch-rechub's models, learned from the arrays that neural.py hands over: PYTHON neural_peer.py JSON

Runs in an environment with torch-rechub and without this package. Reads WORK/given.npz, writes WORK/found.npz (``p``
[n, heads, f] of the questions, ``q`` [c, f] of the items) and prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

TEMPERATURE = 0.1
"""Of YoutubeDNN, whose scores are cosines; DSSM and MIND have none that is used."""
HIDDEN = 64


def inputs(given: Any, side: str) -> dict[str, Any]:
    """The columns of one side's rows by name."""
    import numpy as np

    x = {"history": given[f"{side}_item"]}
    codes = given.get(f"{side}_user_codes", np.empty((len(x["history"]), 0), np.int64))
    return x | {f"user_{k}": codes[:, k] for k in range(codes.shape[1])} | {"nobody": np.zeros(len(codes), np.int64)}


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Trains, writes the vectors, says how long the training took (processor)."""
    import numpy as np
    import torch
    from torch_rechub.basic import features
    from torch_rechub.models.matching import DSSM, MIND, YoutubeDNN
    from torch_rechub.trainers import MatchTrainer
    from torch_rechub.utils.data import MatchDataGenerator

    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    work, width = Path(job["work"]), job["width"]
    with np.load(work / "given.npz", allow_pickle=False) as file:
        given = dict(file)
    c = int(given["items"])
    columns = given.get("learned_user_codes", np.empty((1, 0))).shape[1]
    users = [features.SparseFeature(f"user_{k}", int(given["user_rows"]), width) for k in range(columns)]
    item = features.SparseFeature("item", 1 + c, width)
    shared = {"vocab_size": 1 + c, "embed_dim": width, "shared_with": "item"}
    history = features.SequenceFeature("history", pooling="mean", padding_idx=0, **shared)
    x = {**inputs(given, "learned"), "item": given["target"] + 1}
    every = {"item": np.arange(1, 1 + c)}
    dims = {"dims": [HIDDEN, width]}
    options: dict[str, Any] = {"mode": 2, "n_epoch": job["epochs"], "device": "cpu"}
    options |= {"optimizer_params": {"lr": job["rate"]}, "model_path": str(work)}
    if job["model"] == "two_tower":
        items = [item]
        if given["item_lists"].shape[1]:
            rows = int(given["item_rows"])
            items.append(features.SequenceFeature("genres", rows, width, pooling="mean", padding_idx=0))
            every["genres"] = given["item_lists"]
            x["genres"] = given["item_lists"][given["target"]]
        model = DSSM([*users, history], items, dims, dims)
        options |= {"mode": 0, "in_batch_neg": True, "sampler_seed": job["seed"]}
    else:
        negatives = features.SequenceFeature("negatives", pooling="concat", **shared)
        x["negatives"] = given["negatives"] + 1
        if job["model"] == "youtube_dnn":
            model = YoutubeDNN([*users, history], [item], [negatives], dims, temperature=TEMPERATURE)
        else:
            nobody = features.SparseFeature("nobody", 1, width)
            entries = features.SequenceFeature("history", pooling="concat", **shared)
            length = x["history"].shape[1]
            model = MIND(
                users or [nobody], [entries], [item], [negatives], length, interest_num=4, dynamic_interest=True
            )
    trainer = MatchTrainer(model, **options)
    rows = len(given["target"]) - (len(given["target"]) % job["batch"] == 1)  # its batch norm takes no batch of one row
    x = {name: array[:rows] for name, array in x.items()}
    generator = MatchDataGenerator(x, np.zeros(rows, np.int64))
    loader, *_ = generator.generate_dataloader(inputs(given, "asked"), every, job["batch"], num_workers=0)
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for _ in range(job["epochs"]):
            trainer.train_one_epoch(loader)
    seconds = time.process_time() - began
    model.eval()

    def told(mode: str, x: dict[str, Any]) -> Any:
        model.mode = mode
        with torch.no_grad():
            tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in x.items()}
            return getattr(model, f"{mode}_tower")(tensors).numpy()

    p, q = told("user", inputs(given, "asked")), told("item", every)
    np.savez(work / "found.npz", p=p.reshape(len(p), -1, width), q=q.reshape(c, width))
    return {"seconds": seconds, "versions": {name: metadata.version(name) for name in ("torch-rechub", "torch")}}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
