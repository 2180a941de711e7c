"""What pre-ranking loses and what it saves: the ranking half asked again with every row, on the same requests.

Recall is not asked again: the rows that the trace of an answer kept are ranked without the pre-ranker, and ruled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from shortlist.data import State
from shortlist.data.protocol import Questions
from shortlist.evaluate._beyond import mean
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import paired_intervals
from shortlist.pipeline import Pipeline, Trace
from shortlist.types import Array, Float64


@dataclass(slots=True)
class Whole:
    """Hears of every batch; ``document`` is the section ``prerank`` of ``evaluation.json``."""

    pipeline: Pipeline
    ks: Sequence[int]
    values: dict[str, list[Float64]] = field(default_factory=lambda: defaultdict(list))  # without it, [batch]
    rows: dict[str, int] = field(default_factory=lambda: {"with": 0, "without": 0})
    seconds: dict[str, float] = field(default_factory=lambda: {"with": 0.0, "without": 0.0})

    def hear(self, batch: Questions, trace: Trace, state: State) -> None:
        """A batch's answer; nothing is done where the funnel has no pre-ranker."""
        if self.pipeline.prerank is None:
            return
        assert trace.recalled is not None
        recalled, deepest, own, whole = trace.recalled, max(self.ks), trace, Trace()
        if not self.values:  # what the first of all answers had to load is no part of the price
            own = Trace()
            self.pipeline.ranked(recalled, state, deepest, own)
        slate = replace(self.pipeline, prerank=None).ranked(recalled, state, deepest, whole)
        judged = accuracy.per_request(Slates.of(slate, batch.targets, deepest), self.ks)
        for metric, value in judged.items():
            if metric.startswith(("ndcg@", "recall@")):
                self.values[metric].append(value)
        for side, told in (("with", own), ("without", whole)):
            self.seconds[side] += ranking(told)
        self.rows["with"] += len(trace.stages["prerank"])
        self.rows["without"] += len(recalled.rows)

    def document(self, values: dict[str, Float64], users: Array, seed: int) -> dict[str, Any]:
        """``change`` by metric (the slate minus the slate of all rows ranked, paired), ``off`` (the mean without), and
        ``with`` it and ``without``: ``rows`` ranked a request, and ``seconds`` that features and rankers took in all.
        """
        if not self.values or not len(users):
            return {}
        off = {metric: np.concatenate(parts) for metric, parts in self.values.items()}
        left, right = (np.stack([told[metric] for metric in off], axis=1) for told in (values, off))
        found = paired_intervals(left, right, users, seed)
        return {
            "change": {metric: asdict(one) for metric, one in zip(off, found, strict=True)},
            "off": {metric: mean(value) for metric, value in off.items()},
            "rows": {side: n / len(users) for side, n in self.rows.items()},
            "seconds": dict(self.seconds),
        }


def ranking(trace: Trace) -> float:
    """Seconds of an answer's features, pre-ranker and ranker."""
    return sum(spent for stage, spent in trace.seconds.items() if stage.startswith(("features.", "prerank", "rank")))
