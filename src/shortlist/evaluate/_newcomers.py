"""Two slices of every row of the leaderboard: items first seen after the cut, and people without a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from shortlist.data.protocol import Questions
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals
from shortlist.types import Array, Bool, Candidates, Float64, Int64, Ragged

Figures = dict[str, Any]


def newcomers(rows: Candidates, questions: Questions, counts: Int64, ks: Sequence[int], seed: int) -> Figures:
    """NDCG and recall of a stage's ``rows`` at every cut-off, with intervals, and of how many requests and targets.

    ``cold_items``: only items without an event before the window are right (``counts`` [n_items] is 0), over the
    requests that have such a target. ``no_history``: over the requests of whom nothing was known.
    """
    targets, everybody = questions.targets, np.ones(len(questions), bool)
    cold = targets.keep(counts[targets["item"]] == 0)
    users, nobody = questions.requests.user, questions.requests.history.lengths == 0
    return {
        "cold_items": _judged(rows, cold, everybody, users, ks, seed),
        "no_history": _judged(rows, targets, nobody, users, ks, seed),
    }


def _judged(rows: Candidates, targets: Ragged, asked: Bool, users: Array, ks: Sequence[int], seed: int) -> Figures:
    """Means over the requests that are ``asked`` [n] and have a target."""
    asked = asked & (targets.lengths > 0)
    told: Figures = {"requests": int(asked.sum()), "targets": int(targets.lengths[asked].sum())}
    if not asked.any():
        return told
    slates = Slates.of(rows, targets, max(ks))
    each: dict[str, Float64] = {}
    for k in ks:
        each |= {f"ndcg@{k}": accuracy.ndcg(slates, k)[asked], f"recall@{k}": accuracy.recall(slates, k)[asked]}
    found = mean_intervals(np.stack(list(each.values()), axis=1), users[asked], seed)
    return told | {metric: asdict(interval) for metric, interval in zip(each, found, strict=True)}
