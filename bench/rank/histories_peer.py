"""torch-rechub's models of a history, on arrays that histories.py hands over: PYTHON histories_peer.py JSON

Runs in an environment with torch-rechub and without this package. Reads WORK/given.npz, writes WORK/found.npz
(``valid`` and ``test``, a chance a row) and prints one line of JSON: seconds of training, and milliseconds in which the
model answers a request of so many rows, all with full histories.
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
    from torch_rechub.models.ranking import BST, DIEN, DIN
    from torch_rechub.trainers import CTRTrainer
    from torch_rechub.utils.data import DataGenerator

    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    np.random.seed(job["seed"])  # noqa: NPY002  its shuffling
    given, width = dict(np.load(Path(job["work"]) / "given.npz")), job["width"]
    parts, evolves = ("train", "valid", "test"), job["model"] == "DIEN"
    x = {part: {name: given[f"{part}_{name}"] for name in ("item", "user", "history")} for part in parts}
    users, items = (1 + max(int(x[part][name].max()) for part in parts) for name in ("user", "item"))
    if evolves:  # its histories begin at the left, and each event has another beside it that did not happen
        rng = np.random.default_rng(job["seed"])
        for part in parts:
            past = x[part]["history"]
            order = np.argsort(past == 0, axis=1, kind="stable")
            past = x[part]["history"] = np.take_along_axis(past, order, 1)
            x[part]["other"] = np.where(past > 0, rng.integers(1, items, past.shape), 0)
    target = features.SparseFeature("item", vocab_size=items, embed_dim=width, padding_idx=0)
    user = features.SparseFeature("user", vocab_size=users, embed_dim=width)

    def sequence(name: str) -> Any:
        return features.SequenceFeature(
            name, vocab_size=items, embed_dim=width, pooling="concat", shared_with="item", padding_idx=0
        )

    hidden = {"dims": job["hidden"], "dropout": 0.0}
    if evolves:
        model = DIEN([user], [sequence("history")], [sequence("other")], [target], hidden, alpha=1.0)
    elif job["model"] == "BST":
        model = BST([user], [sequence("history")], [target], hidden, nhead=job["heads"], dropout=0.0)
    else:
        attention = {"dims": job["attention"], "activation": "dice", "use_softmax": job.get("softmax", False)}
        model = DIN([user], [sequence("history")], [target], hidden, attention)
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
        loss_mode=not evolves,
        model_path=job["work"],
    )
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        trainer.fit(loaders[0], loaders[1] if job["stopping"] else None)
        spent = time.process_time() - began
        later = {"valid": loaders[1], "test": loaders[2]}
        found = {part: np.array(trainer.predict(model, loader), np.float32) for part, loader in later.items()}
    np.savez(Path(job["work"]) / "found.npz", **found)
    rows, w, clock = job["rows"], x["test"]["history"].shape[1], []
    shapes = {"item": (rows,), "history": (rows, w)} | ({"other": (rows, w)} if evolves else {})
    one = {name: torch.randint(1, items, shape) for name, shape in shapes.items()}
    one["user"] = torch.zeros(rows, dtype=torch.long)
    model.eval()
    with torch.no_grad():
        for _ in range(job["times"]):
            started = time.perf_counter()
            model(one)
            clock.append(1e3 * (time.perf_counter() - started))
    return {
        "cpu_s": spent,
        "request_ms": float(np.median(clock)),
        "versions": {name: metadata.version(name) for name in ("torch", "torch-rechub")},
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
