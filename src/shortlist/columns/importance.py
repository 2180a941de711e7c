"""What a fitted ranker loses when a column is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shortlist.component import Ranker
from shortlist.progress import track
from shortlist.types import Candidates, Samples

Measures = Callable[[Candidates], Mapping[str, float]]
"""Figures of rows with a column ``score``; more is better."""


def permutation_importance(
    ranker: Ranker,
    samples: Samples,
    groups: Mapping[str, Sequence[str]],
    measures: Measures,
    *,
    repeats: int = 3,
    seed: int = 0,
) -> tuple[dict[str, float], dict[str, dict[str, dict[str, Any]]]]:
    """``(figures, {group: {measure: {"drop", "deviation"}}})``: figure as it is minus figure with the group shuffled.

    The columns of a group are shuffled together, over all rows of the sample (a row may get another request's value),
    ``repeats`` times with seeds of their own; ``drop`` is the mean and ``deviation`` the standard deviation over these.
    The ranker is not fitted again: of two columns that say the same, either may look useless, which is why groups
    matter. Columns the ranker did not learn from lose nothing and are not tried.

    Source: Breiman (2001), Random Forests; Fisher, Rudin and Dominici (2019), All Models are Wrong, but Many are
    Useful.
    """
    requests, rows = samples.requests, samples.candidates

    def measured(given: Candidates) -> Mapping[str, float]:
        return measures(rows.with_columns(**ranker.score(requests, given)))

    learned = getattr(ranker, "columns_", None)
    used = set(rows.columns if learned is None else learned.tolist())
    whole = dict(measured(rows))
    drops: dict[str, dict[str, dict[str, Any]]] = {}
    for number, (group, names) in enumerate(track(list(groups.items()), "permutation importance")):
        tried = [name for name in names if name in used and name in rows]
        runs: list[Mapping[str, float]] = []
        for repeat in range(repeats if tried else 0):
            order = np.random.default_rng((seed, number, repeat)).permutation(len(rows))
            runs.append(measured(rows.with_columns(**{name: rows[name][order] for name in tried})))
        lost = {measure: [value - run[measure] for run in runs] or [0.0] for measure, value in whole.items()}
        drops[group] = {
            measure: {"drop": float(np.mean(v)), "deviation": float(np.std(v, ddof=1)) if len(v) > 1 else None}
            for measure, v in lost.items()
        }
    return whole, drops
