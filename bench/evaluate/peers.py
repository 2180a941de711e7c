"""One evaluator on the lists that speed.py made: ``python peers.py NAME lists.npz``; prints seconds and values as JSON.

Run by speed.py, each in a process and where need be an interpreter of its own, as the packages do not install side by
side. It imports nothing of Shortlist, so that it runs where only the peer is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import metadata

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "IRSPACK_NUM_THREADS_DEFAULT"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

ROUNDS = 5


def timed(call):
    """(least processor seconds of the rounds, what came), after one round that is not counted.

    Of one thread they are the seconds on a machine that does nothing else; what else it does would be in others.
    """
    call()
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        found = call()
        spent.append(time.process_time() - begun)
    return min(spent), found


def rectools(lists, ks):
    """calc_metrics over data frames: accuracy, and all it has of what it can be given here."""
    import pandas as pd
    import rectools.metrics as m
    from rectools import Columns

    n, deepest = lists["item"].shape
    reco = pd.DataFrame(
        {
            Columns.User: np.repeat(np.arange(n), deepest),
            Columns.Item: lists["item"].ravel(),
            Columns.Rank: np.tile(np.arange(1, deepest + 1), n),
        }
    )
    rows = np.repeat(np.arange(n), np.diff(lists["offsets"]))
    right = pd.DataFrame({Columns.User: rows, Columns.Item: lists["target"]})
    past = pd.DataFrame({Columns.User: lists["past_user"], Columns.Item: lists["past_item"]})
    catalogue = np.arange(int(lists["n_items"]))
    plain, more = {}, {}
    for k in ks:
        plain |= {f"recall@{k}": m.Recall(k), f"precision@{k}": m.Precision(k), f"hit@{k}": m.HitRate(k)}
        plain |= {f"ndcg@{k}": m.NDCG(k, divide_by_achievable=True), f"mrr@{k}": m.MRR(k), f"map@{k}": m.MAP(k)}
        more |= {f"coverage@{k}": m.CatalogCoverage(k, normalize=True), f"arp@{k}": m.AvgRecPopularity(k)}
        more |= {f"novelty@{k}": m.MeanInvUserFreq(k), f"serendipity@{k}": m.Serendipity(k)}
    given = {"interactions": right, "prev_interactions": past, "catalog": catalogue}
    yield "accuracy", *timed(lambda: m.calc_metrics(plain, reco, interactions=right))
    yield "everything", *timed(lambda: m.calc_metrics({**plain, **more}, reco, **given))


def irspack(lists, ks):
    """Its evaluator takes scores of all items and looks for the best itself, once a cut-off."""
    import scipy.sparse as sp
    from irspack.evaluation import Evaluator

    n, deepest = lists["item"].shape
    n_items = int(lists["n_items"])
    scores = np.full((n, n_items), -np.inf)
    np.put_along_axis(scores, lists["item"], np.arange(deepest, 0, -1, dtype=float)[None].repeat(n, 0), axis=1)
    truth = sp.csr_matrix((np.ones(len(lists["target"])), lists["target"], lists["offsets"]), shape=(n, n_items))
    found = Evaluator(truth, n_threads=1)

    def all_of_it():
        told = {}
        for k in ks:
            each = found.core.get_metrics_f64(scores, k, 0, 1, False).as_dict()
            told |= {f"{name}@{k}": value for name, value in each.items()}
        return told

    yield "everything", *timed(all_of_it)


def recbole(lists, ks):
    """Its evaluator with every top-k metric it has, given lists that are joined with the targets; and the joining."""
    for name, kind in (("float", float), ("int", int)):  # names that it still uses and numpy has dropped
        setattr(np, name, kind)
    from collections import Counter

    import torch
    from recbole.evaluator import Evaluator
    from recbole.evaluator.collector import DataStruct

    torch.set_num_threads(1)
    n, n_items = len(lists["item"]), int(lists["n_items"])
    items = torch.from_numpy(lists["item"].astype(np.int64))
    rows = torch.from_numpy(np.repeat(np.arange(n), np.diff(lists["offsets"])))
    target = torch.from_numpy(lists["target"].astype(np.int64))
    counts = Counter(dict(enumerate(lists["counts"].tolist())))
    metrics = ["Recall", "MRR", "NDCG", "Hit", "Precision", "MAP"]
    beside = ["ItemCoverage", "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage"]
    config = {"topk": list(ks), "metric_decimal_place": 15, "metrics": [*metrics, *beside], "tail_ratio": 0.1}

    class Config(dict):
        final_config_dict = config

        def __contains__(self, key):
            return dict.__contains__(self, key)

    def joined():
        matrix = torch.zeros((n, n_items), dtype=torch.int)  # as its Collector does, which takes scores of all items
        matrix[rows, target] = 1
        hit = torch.gather(matrix, 1, items)
        data = DataStruct()
        data.set("rec.items", items)
        data.set("rec.topk", torch.cat((hit, matrix.sum(dim=1, keepdim=True)), dim=1))
        data.set("data.num_items", n_items)
        data.set("data.count_items", counts)
        return data

    ready = joined()
    plain = Evaluator(Config({**config, "metrics": metrics}))
    whole = Evaluator(Config(config))
    yield "accuracy", *timed(lambda: plain.evaluate(ready))
    yield "everything", *timed(lambda: whole.evaluate(ready))
    yield "joining and everything", *timed(lambda: whole.evaluate(joined()))


def main():
    name, file, ks = sys.argv[1], sys.argv[2], [int(k) for k in sys.argv[3].split(",")]
    lists = dict(np.load(file))
    told = {}
    for what, seconds, values in {"rectools": rectools, "irspack": irspack, "recbole": recbole}[name](lists, ks):
        told[what] = {"seconds": seconds, "values": {key: float(value) for key, value in values.items()}}
    names = ("numpy", "pandas", "torch", "irspack", "recbole", "RecTools")
    versions = {}
    for package in names:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    sys.stdout.write(json.dumps({"told": told, "versions": versions, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main()
