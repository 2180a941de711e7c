"""RecBole's LightGCN, learned from the pairs that lightgcn.py hands over: PYTHON lightgcn_peer.py JSON

Runs in an environment with RecBole and without this package. Reads WORK/given.npz, writes WORK/found.npz (``p`` [u, f]
of users and ``q`` [c, f] of items, by code) and prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Trains, writes the vectors, says how long the training took (processor)."""
    import numpy as np
    import scipy.sparse as sp
    import torch

    if not hasattr(sp.dok_matrix, "_update"):  # gone from SciPy, and RecBole calls it
        sp.dok_matrix._update = lambda matrix, entries: matrix._dict.update(entries)
    with np.load(Path(job["work"]) / "given.npz", allow_pickle=False) as file:
        given = dict(file)
    told = {
        "data_path": tempfile.mkdtemp(), "embedding_size": job["width"], "n_layers": job["depth"],
        "reg_weight": job["l2"], "require_pow": True, "train_batch_size": job["batch"], "learning_rate": job["rate"],
        "seed": job["seed"], "epochs": job["epochs"], "use_gpu": False, "show_progress": False, "state": "ERROR",
        "checkpoint_dir": tempfile.mkdtemp(), "load_col": {"inter": ["user_id", "item_id"]},
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False},
    }  # fmt: skip
    folder = Path(told["data_path"]) / "given"
    folder.mkdir()
    pairs = zip(given["user"].tolist(), given["item"].tolist(), strict=True)
    rows = ["user_id:token\titem_id:token", *(f"{u}\t{i}" for u, i in pairs)]
    (folder / "given.inter").write_text("\n".join(rows) + "\n", encoding="utf-8")
    from recbole.config import Config
    from recbole.data import create_dataset
    from recbole.data.dataloader import TrainDataLoader
    from recbole.model.general_recommender import LightGCN
    from recbole.sampler import Sampler
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    sys.argv = sys.argv[:1]  # RecBole reads it
    config = Config(model="LightGCN", dataset="given", config_dict=told)
    init_seed(job["seed"], True)
    torch.set_num_threads(1)
    dataset = create_dataset(config)
    dataset._change_feat_format()
    sampler = Sampler(["train"], [dataset]).set_phase("train")
    loader = TrainDataLoader(config, dataset, sampler, shuffle=True)
    model = LightGCN(config, dataset)
    trainer = Trainer(config, model)
    began = time.process_time()
    for epoch in range(job["epochs"]):
        trainer._train_epoch(loader, epoch, show_progress=False)
    seconds = time.process_time() - began
    model.eval()
    with torch.no_grad():
        p, q = (table.numpy() for table in model.forward())
    users = dataset.token2id("user_id", [str(u) for u in given["users"]])
    items = dataset.token2id("item_id", [str(i) for i in given["items"]])
    np.savez(Path(job["work"]) / "found.npz", p=p[users], q=q[items])
    return {"seconds": seconds, "versions": {name: metadata.version(name) for name in ("recbole", "torch")}}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    with contextlib.redirect_stdout(io.StringIO()):
        said = main(asked)
    print(json.dumps(said))
