"""Alternating warm runs of one model, ours and the peers', on the synthetic log; prints JSON.

Started by run.py, which sets the threads of every library in the environment.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from generator import power_law
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from sparse_dot_topn import sp_matmul_topn

from shortlist.data import MISSING_TIME, Behaviours, Dataset, Events, Table, Vocab
from shortlist.recall.als import ALS
from shortlist.recall.item_cf import ItemCF

RUNS = 7
Run = Callable[[], Any]


def as_dataset(x: sp.csr_matrix) -> Dataset:
    """The matrix as a log of views, all at one moment."""
    users, items = x.nonzero()
    view = Behaviours(("view",), np.ones(1, np.float32), np.full(1, -np.inf, np.float32))
    zeros = np.zeros(x.nnz)
    log = Events.of(users, items, zeros, np.full(x.nnz, np.nan), zeros, view)
    n, c = x.shape
    names = Vocab([str(u) for u in range(n)]), Vocab([str(i) for i in range(c)])
    return Dataset(log, view, *names, Table(n), Table(c), np.full(c, MISSING_TIME, np.int64))


def prepared(channel: Any, x: sp.csr_matrix, data: Dataset) -> Any:
    """The channel with the matrix already made, as the peers are given it: only the model is timed."""
    channel._matrix(data)
    object.__setattr__(channel, "_matrix", lambda _: x)
    return channel


def item_cf(threads: int) -> dict[str, Run]:
    x = power_law()
    ours = prepared(ItemCF(neighbours=100, inverse_user_frequency=False, threads=threads), x, as_dataset(x))

    def sparse_dot_topn() -> sp.csr_matrix:
        unit = x.multiply(1 / np.sqrt(np.maximum(x.multiply(x).sum(axis=0), 1))).tocsr().astype(np.float32)
        return sp_matmul_topn(unit.T.tocsr(), unit, top_n=101, sort=True, n_threads=threads)

    def implicit() -> None:
        CosineRecommender(K=101, num_threads=threads).fit(x, show_progress=False)  # itself is one of the 101

    return {"shortlist": lambda: ours.fit(None), "implicit": implicit, "sparse_dot_topn": sparse_dot_topn}


def als(threads: int) -> dict[str, Run]:
    x = power_law()
    options: dict[str, Any] = {"factors": 64, "iterations": 10}
    ours = prepared(ALS(alpha=10.0, regularisation=10.0, threads=threads, **options), x, as_dataset(x))
    confidence = (x * 11).tocsr()  # 1 + alpha x

    def implicit() -> None:
        peer = AlternatingLeastSquares(
            regularization=10.0, num_threads=threads, use_gpu=False, random_state=0, **options
        )
        peer.fit(confidence, show_progress=False)

    return {"shortlist": lambda: ours.fit(None), "implicit": implicit}


def timed(entrants: dict[str, Run]) -> dict[str, Any]:
    """Seconds of ``RUNS`` runs each, in turn, after one to warm up; wall clock and processor."""
    wall: dict[str, list[float]] = {name: [] for name in entrants}
    processor: dict[str, list[float]] = {name: [] for name in entrants}
    for run in range(RUNS + 1):
        for name, work in entrants.items():
            began, used = time.perf_counter(), time.process_time()
            work()
            if run:
                wall[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - used)
    return {
        name: {
            "wall": statistics.median(wall[name]),
            "processor": statistics.median(processor[name]),
            "walls": [round(seconds, 3) for seconds in wall[name]],
        }
        for name in entrants
    }


if len(sys.argv) == 3:
    print(json.dumps(timed({"item_cf": item_cf, "als": als}[sys.argv[1]](int(sys.argv[2])))))
