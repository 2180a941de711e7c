"""How many lists are to be looked into, and what that comes to: measured against every product."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from shortlist.index import Index
from shortlist.index._lists import library, one_thread
from shortlist.types import Array, Float32, Int64, Ragged

SAMPLE = 256
"""Vectors that are asked at most."""
AT = (100, 200)
"""Of how many true best the share found is told. The first sets what is looked at; the last is what a funnel asks a
channel for, and searches are timed at it."""


def sample(rows: Float32) -> Float32:
    """[m, f]: at most ``SAMPLE`` of ``rows`` [n, f], evenly spaced; those that are zero or not finite ask nothing."""
    asking = np.flatnonzero(rows.any(axis=1) & np.isfinite(rows).all(axis=1))
    chosen = asking[np.linspace(0, len(asking) - 1, min(SAMPLE, len(asking))).astype(np.int64)]
    return np.ascontiguousarray(rows[chosen], np.float32)


def least(table: Float32, asked: Float32, k: int) -> Float32:
    """[m]: the k-th largest product of each vector of ``asked`` [m, f] with ``table`` [c, f]; less what sums in
    another order may differ by."""
    faiss = library("a measured index")
    with one_thread(faiss):
        found = faiss.knn(asked, np.ascontiguousarray(table), k, faiss.METRIC_INNER_PRODUCT)[0][:, -1]
    longest = np.linalg.norm(asked, axis=1) * np.linalg.norm(table, axis=1).max(initial=0)
    return found - np.float32(1e-6) * longest.astype(np.float32)


def share(index: Index, table: Float32, built: Mapping[str, Array], asked: Float32, k: int, bars: Float32) -> float:
    """How much of the best ``k`` the index finds: rows that reach ``bars`` [m], over k."""
    nothing = Ragged.empty(len(asked), column=np.int32)
    request, _, score = index.search(table, built, asked[:, None], nothing, k, -np.inf)
    return float((score >= bars[request]).sum()) / (k * len(asked))


def probes(index: Index, table: Float32, built: Mapping[str, Array], asked: Float32, target: float) -> Int64:
    """[1]: the fewest lists in which a share of ``target`` of the best ``AT[0]`` of ``asked`` is found."""
    asked = sample(asked)
    finite = table if np.isfinite(table).all() else table[np.isfinite(table).all(axis=1)]
    lists, k = len(built["spread"]), min(AT[0], len(finite))
    if not len(asked):
        return np.array([lists], np.int64)
    bars = least(finite, asked, k)

    def enough(n: int) -> bool:
        return share(index, table, {**built, "probes": np.array([n], np.int64)}, asked, k, bars) >= target

    low, high = 0, 1
    while high < lists and not enough(high):
        low, high = high, min(2 * high, lists)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return np.array([high], np.int64)


def figures(index: Index, table: Float32, built: Mapping[str, Array], asked: Float32) -> dict[str, float]:
    """What the index finds of the best 100 and 200, and how many requests of one vector it answers a second."""
    asked, c = sample(asked), len(table)
    told: dict[str, float] = {}
    if len(asked):
        for k in (min(k, c) for k in AT):
            told[f"recall@{k}"] = round(share(index, table, built, asked, k, least(table, asked, k)), 4)
        began, nothing = time.perf_counter(), Ragged.empty(len(asked), column=np.int32)
        index.search(table, built, asked[:, None], nothing, min(AT[-1], c), -np.inf)
        told["queries_per_second"] = round(len(asked) / (time.perf_counter() - began))
    return told | {"bytes": sum(array.nbytes for array in built.values())}


__all__ = ["AT", "figures", "probes", "sample"]
