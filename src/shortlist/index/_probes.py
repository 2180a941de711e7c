"""How many lists are to be looked into, and what that comes to: measured against every product."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from shortlist.index import Asked, Index
from shortlist.index._lists import library, one_thread
from shortlist.types import Array, Float32, Int64, Ragged

SAMPLE = 256
"""Vectors that are asked at most."""
AT = (100, 200)
"""Of how many true best the share found is measured; the last is what a funnel asks a channel for by default."""


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


def probes(index: Index, table: Float32, built: Mapping[str, Array], asked: Asked, target: float) -> Int64:
    """[1]: the fewest lists in which ``target`` of the best ``AT[0]`` of ``asked`` [m, f] are found."""
    rows = sample(asked())
    finite = table if np.isfinite(table).all() else table[np.isfinite(table).all(axis=1)]
    lists, k = len(built["spread"]), min(AT[0], len(finite))
    if not len(rows):
        return np.array([lists], np.int64)
    bars = least(finite, rows, k)

    def enough(n: int) -> bool:
        tried = {**built, "probes": np.array([n], np.int64)}
        return share(index, table, tried, rows, k, bars) >= target

    low, high = 0, 1
    while high < lists and not enough(high):
        low, high = high, min(2 * high, lists)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return np.array([high], np.int64)


def looked_into(built: Mapping[str, Array], k: int) -> int:
    """How many lists a request of one head for ``k`` items looks into at first."""
    return max(int(built["probes"][0]), 1) * max(-(-k // AT[0]), 1)


def looked_at(built: Mapping[str, Array], asked: Asked) -> float:
    """How many products a request of ``asked`` [m, f] takes on average: means, and items of lists looked into."""
    rows, size = sample(asked()), np.diff(built["starts"])
    lists, n = len(size), min(int(built["probes"][0]), len(size))
    promised = rows @ built["means"].T + np.linalg.norm(rows, axis=1, keepdims=True) * built["spread"]
    into = np.argpartition(-promised, n - 1, axis=1)[:, :n]
    return lists + float(size[into].sum(axis=1).mean()) if len(rows) else float(lists + size.sum())


def figures(index: Index, table: Float32, built: Mapping[str, Array], asked: Asked) -> dict[str, float]:
    """What ``index`` finds of the best 100 and 200 of ``asked`` [m, f], how many of them it answers a second on one
    thread (k = 200), and what it keeps beside the table."""
    rows, finite = sample(asked()), table[np.isfinite(table).all(axis=1)]
    told: dict[str, float] = {"lists": len(built["spread"]), "probes": int(built["probes"][0])}
    told["products"] = round(looked_at(built, asked))
    told["bytes"] = sum(array.nbytes for array in built.values())
    if len(rows):
        for k in AT:
            bars = least(finite, rows, min(k, len(finite)))
            told[f"recall@{k}"] = round(share(index, table, built, rows, min(k, len(finite)), bars), 4)
        began = time.perf_counter()
        index.search(table, built, rows[:, None], Ragged.empty(len(rows), column=np.int32), AT[-1], -np.inf)
        told["queries_per_second"] = round(len(rows) / (time.perf_counter() - began))
    return told


__all__ = ["AT", "figures", "looked_at", "looked_into", "probes", "sample"]
