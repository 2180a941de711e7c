"""Nets of several labels beside torch-rechub's: python bench/rank/tasks.py --peers PYTHON [--most N] [MODEL ...]

PYTHON is that of an environment with torch-rechub. MovieLens-100K: every rating is a row that was watched, liked from 4
on, and beside it stands one film, drawn at random, that its user never rated: neither. --most ratings, 8:1:1 at random.
Both read user, film, age, gender, occupation and year; each label's own net (``dnn``) stands beside them. Differences
of AUC are ours minus the other's, 95 % interval of DeLong over the test rows, of one seed. Rows a second are of
processor time: ours of the whole fit, the peer's of its training loop alone. A row is kept in results/tasks.MODEL.json.
The peer's perceptrons standardise each layer over the batch and cannot do without; ours have their defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import polars as pl
from results import HERE, LIBRARIES, keep, say
from splits import codes

from shortlist.data.raw import Raw
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.metrics.delong import paired_auc_interval
from shortlist.metrics.ranking import auc
from shortlist.registry import find
from shortlist.types import Array, Candidates, Requests, Samples

# isort: split
import measured

FIELDS = ["user", "item", "age", "gender", "occupation", "year"]
LABELS = ["watched", "liked"]
SETTINGS: dict[str, Any] = {"factors": 16, "rate": 1e-3, "batch": 512, "epochs": 10, "stopping": 2, "hidden": [64, 32]}
OWN: dict[str, dict[str, Any]] = {
    "shared_bottom": {"towers": [16]},
    "mmoe": {"towers": [16], "experts": 4},
    "ple": {"towers": [16], "experts": 2, "shared": 2},
    "esmm": {},
}
ROUNDS = 3


def rows(most: int) -> tuple[Array, Array]:
    """(codes [m, fields] from 0, labels [m, 2]) in a random order."""
    raw = source("movielens-100k")(DataSpec(source="movielens-100k"), None)
    assert isinstance(raw, Raw)
    films = raw.items.select("item", year=pl.from_epoch("released", time_unit="us").dt.year())
    log = raw.events
    user, item = codes(log["user"]), codes(log["item"])
    rng = np.random.default_rng(0)
    drawn, rated = item.copy(), np.unique(user.astype(np.int64) << 32 | item)
    while (again := np.isin(user.astype(np.int64) << 32 | drawn, rated)).any():
        drawn[again] = rng.integers(0, item.max() + 1, int(again.sum()))
    first = np.unique(item, return_index=True)[1]
    other = log.with_columns(item=log["item"].gather(first[drawn]), value=pl.lit(0.0).cast(log["value"].dtype))
    chosen = np.random.default_rng(1).permutation(len(log))[:most]
    both = pl.concat([log[chosen], other[chosen]])
    both = both.join(films, on="item", how="left", maintain_order="left")
    both = both.join(raw.users.drop("zip"), on="user", how="left", maintain_order="left")
    x = np.stack([codes(both[name]) + 1 for name in FIELDS], 1)
    value = both["value"].to_numpy()
    mixed = np.argsort(np.tile(np.arange(len(chosen)), 2), kind="stable")  # a rating, then the film beside it
    return x[mixed], np.stack([value > 0, value >= 4], 1).astype(np.float32)[mixed]


def samples(x: Array, y: Array) -> Samples:
    """A plain table."""
    m = len(x)
    columns = {name: x[:, f].astype(np.int32) for f, name in enumerate(FIELDS)}
    table = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), columns)
    asked = Requests.of(np.full(m, -1, np.int32), np.arange(m))
    return Samples(asked, table, dict(zip(LABELS, y.T, strict=True)), np.ones(m, np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(OWN))
    parser.add_argument("--peers", type=Path, required=True, help="the python of an environment with torch-rechub")
    parser.add_argument("--most", type=int, default=100_000)
    given = parser.parse_args()
    x, y = rows(given.most)
    cuts = [0, len(x) * 8 // 10, len(x) * 9 // 10, len(x)]
    parts = {name: slice(cuts[n], cuts[n + 1]) for n, name in enumerate(("train", "valid", "test"))}
    tables = {name: samples(x[part], y[part]) for name, part in parts.items()}
    truth = y[parts["test"]]
    common = {**SETTINGS, "min_count": 1, "monitor": "auc"}
    alone = [find("rank", "dnn")(**common, label=label).fit(tables["train"], tables["valid"]) for label in LABELS]
    single = [ranker.score(tables["test"].requests, tables["test"].candidates)["score"] for ranker in alone]
    for model in given.models:
        ranker = find("rank", model)(**common, **OWN[model], labels=LABELS).fit(tables["train"], tables["valid"])
        told = ranker.score(tables["test"].requests, tables["test"].candidates)
        spent = []
        for _ in range(ROUNDS):
            began = time.process_time()
            find("rank", model)(**{**common, "epochs": 1}, **OWN[model], labels=LABELS).fit(tables["train"])
            spent.append(time.process_time() - began)
        with tempfile.TemporaryDirectory() as work:
            arrays = {f"{side}_{name}": {"x": x, "y": y}[side][part] for name, part in parts.items() for side in "xy"}
            np.savez(Path(work) / "given.npz", width=x.max(0) + 1, **arrays)
            job = {**SETTINGS, **OWN[model], "model": model, "seed": 0, "work": work}
            ran = subprocess.run(
                [given.peers, HERE / "tasks_peer.py", json.dumps(job)], check=True, capture_output=True, text=True
            )
            peer = json.loads(ran.stdout.splitlines()[-1])
            with np.load(Path(work) / "found.npz", allow_pickle=False) as file:
                p = file["p"]
        row: dict[str, Any] = {"rows": len(x), "epochs": {"ours": ranker.checks_, "peer": peer["epochs"]}}
        for k, label in enumerate(LABELS):
            row[label] = {"ours": auc(truth[:, k], told[label]), "peer": auc(truth[:, k], p[:, k])}
            row[label] |= {"alone": auc(truth[:, k], single[k])}
            for other, score in (("peer", p[:, k]), ("alone", single[k])):
                row[label][f"beside {other}"] = interval(truth[:, k], told[label], score)
        train = cuts[1]
        row["rows a second"] = {"ours": train / float(np.median(spent)), "peer": train / peer["epoch_seconds"]}
        row["rows a second"]["ratio"] = row["rows a second"]["ours"] / row["rows a second"]["peer"]
        keep(f"tasks.{model}", {**row, "settings": {**SETTINGS, **OWN[model]}, "peer": peer["versions"], **origin()})
        say(f"{model}: {json.dumps(row)}")


def interval(y: Array, own: Array, other: Array) -> list[float]:
    """[difference of AUC, low, high], 95 % by DeLong."""
    found = paired_auc_interval(y, own, other)
    return [found.diff, found.low, found.high]


def origin() -> dict[str, Any]:
    """What the row was measured with."""
    return measured.provenance("bench/rank/tasks.py", LIBRARIES)


if __name__ == "__main__":
    main()
