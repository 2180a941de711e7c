"""torch-rechub's DIN, learned from the arrays that histories.py hands over: PYTHON histories_peer.py JSON

Runs in an environment with torch-rechub and without this package. Reads WORK/given.npz, writes WORK/found.npz (``p``,
one a row of the test part) and prints one line of JSON.
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


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Trains, writes the probabilities, says how long the training took (processor)."""
    import numpy as np
    import torch
    from torch_rechub.basic import features
    from torch_rechub.models.ranking import DIN
    from torch_rechub.trainers import CTRTrainer
    from torch_rechub.utils.data import DataGenerator

    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    np.random.seed(job["seed"])  # noqa: NPY002  its shuffling
    given, width = dict(np.load(Path(job["work"]) / "given.npz")), job["width"]
    x = {part: {name: given[f"{part}_{name}"] for name in ("item", "user", "history")} for part in job["parts"]}
    users, items = (1 + max(int(x[part][name].max()) for part in x) for name in ("user", "item"))
    target = features.SparseFeature("item", vocab_size=items, embed_dim=width)
    user = features.SparseFeature("user", vocab_size=users, embed_dim=width)
    past = features.SequenceFeature(
        "history", vocab_size=items, embed_dim=width, pooling="concat", shared_with="item", padding_idx=0
    )
    hidden = {"dims": job["hidden"], "dropout": 0.0}
    model = DIN([user], [past], [target], hidden, {"dims": job["attention"], "activation": "dice"})
    loaders = DataGenerator(x["train"], given["train_label"]).generate_dataloader(
        x_val=x["valid"],
        y_val=given["valid_label"],
        x_test=x["test"],
        y_test=given["test_label"],
        batch_size=job["batch"],
    )
    trainer = CTRTrainer(
        model,
        optimizer_params={"lr": job["rate"], "weight_decay": job["l2"]},
        n_epoch=job["epochs"],
        earlystop_patience=job["stopping"],
        model_path=job["work"],
    )
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        trainer.fit(loaders[0], loaders[1] if job["stopping"] else None)
        spent = time.process_time() - began
        p = trainer.predict(model, loaders[2])
    np.savez(Path(job["work"]) / "found.npz", p=np.array(p, np.float32))
    return {"cpu_s": spent, "versions": {name: metadata.version(name) for name in ("torch", "torch-rechub")}}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
