"""Hyperparameters chosen by cross-validation on training samples."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shortlist.component import InputError, Ranker
from shortlist.metrics._slate import Slates
from shortlist.metrics.accuracy import ndcg
from shortlist.metrics.ranking import auc, gauc
from shortlist.progress import track
from shortlist.types import Float32, Int64, Ragged, Samples

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the grid and the AUC on each fold it was not trained on."""

    params: Params
    folds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean AUC over the folds."""
        return float(np.mean(self.folds))


def grid(search: Mapping[str, Any], path: str = "search") -> list[Params]:
    """Every combination of the listed values, the last key changing fastest; one empty point for an empty table."""
    for name, values in search.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{path}.{name}: expected a list of values to try, found {values!r}")
    return [dict(zip(search, point, strict=True)) for point in itertools.product(*search.values())]


def thinned(points: Sequence[Params], at_most: int | None, seed: int) -> list[Params]:
    """``at_most`` points chosen at random, in the order they had (random search); None keeps all.

    Source: Bergstra, Bengio (2012), Random Search for Hyper-Parameter Optimization.
    """
    if at_most is None or len(points) <= at_most:
        return list(points)
    kept = np.sort(np.random.default_rng(seed).choice(len(points), at_most, replace=False))
    return [points[at] for at in kept]


def folds(n: int, k: int, seed: int) -> list[tuple[Int64, Int64]]:
    """``k`` times (requests to train on, requests to measure on), ascending: a request is never on both sides."""
    if not 2 <= k <= n:
        raise InputError(f"cross_validation.folds: expected 2 to {n}, the number of rows or groups, found {k}")
    fold = np.random.default_rng(seed).permutation(n) % k
    return [(np.flatnonzero(fold != at), np.flatnonzero(fold == at)) for at in range(k)]


def cross_validate(
    make: Callable[[Params], Ranker], samples: Samples, points: Sequence[Params], k: int, seed: int, workers: int = 1
) -> list[Trial]:
    """The trials of all ``points``, in their order, on the same ``k`` folds of requests.

    What is measured is ``measured``, over all rows of a fold together. The answer does not depend on
    ``workers``: each fit is on its own. Nothing but the training samples is read.
    """
    parts = [(samples.take(train), samples.take(rest)) for train, rest in folds(len(samples.requests), k, seed)]
    tasks = list(itertools.product(points, parts))

    def measure(task: tuple[Params, tuple[Samples, Samples]]) -> float:
        params, (train, rest) = task
        return measured(make(params).fit(train), rest)

    with ThreadPoolExecutor(workers) as pool:
        values = list(track(pool.map(measure, tasks), "cross-validate", len(tasks)))
    return [Trial(params, tuple(values[at * k : (at + 1) * k])) for at, params in enumerate(points)]


def best(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest mean AUC, the first of equals."""
    return max(trials, key=lambda trial: trial.mean)


def measured(ranker: Ranker, samples: Samples) -> float:
    """AUC of a fitted ranker on the rows of ``samples``, by its own label or the first.

    Of one that learned the order inside requests of several rows, whose scores cannot be compared across them, it is
    the AUC inside each (GAUC).
    """
    labels = labels_of(ranker, samples)
    scores = ranker.score(samples.requests, samples.candidates)["score"]
    alone = ranker.predicts or len(samples.requests) == len(samples)
    return auc(labels, scores) if alone else gauc(labels, scores, samples.candidates.request)


def labels_of(ranker: Ranker, samples: Samples) -> Float32:
    """[m]: what the ranker learns: its own label or the first."""
    return samples.labels[getattr(ranker, "label", None) or next(iter(samples.labels))]


def ordered(ranker: Ranker, samples: Samples, k: int = 10) -> dict[str, float]:
    """How well rows of one request are in order: GAUC, and NDCG@k over the requests with a positive row."""
    labels, rows = labels_of(ranker, samples), samples.candidates
    scores = ranker.score(samples.requests, rows)["score"]
    named = replace(rows, item=np.arange(len(rows), dtype=np.int32)).with_columns(score=scores)
    right = np.flatnonzero(labels > 0)
    targets = Ragged.of(rows.request[right], len(samples.requests), item=right.astype(np.int32))
    found = ndcg(Slates.of(named.top(k), targets, k), k)[targets.lengths > 0]
    mean = float(found.mean()) if len(found) else float("nan")
    return {"gauc": gauc(labels, scores, rows.request), f"ndcg@{k}": mean}
