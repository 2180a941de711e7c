"""What everybody who replays a window shares: its questions, how many are asked at a time, what counts as right."""

from __future__ import annotations

import numpy as np

from shortlist.data import Dataset, State
from shortlist.data.protocol import Questions, replay, start
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import emit, track
from shortlist.recipe import EvaluateSpec
from shortlist.types import Bool, Candidates, Ragged, keys

BATCH = 256
"""Requests that go through the funnel together."""

FEW_USERS = 200
"""Fewer users say little. Of 200, the 95 % interval of NDCG@10 is ± .018 to ± .021 (MovieLens-100K, replay), ± .022 to
± .034 (MovieTweetings, replay), ± .027 (MovieLens-100K, last) or ± .036 to ± .040 (MovieLens-100K, start): as wide as
what a ranker adds to a merge."""


def questions_of(
    data: Dataset,
    state: State,
    spec: EvaluateSpec,
    opens: int,
    closes: int | None,
    *,
    at_most: int | None = None,
    seed: int = 0,
) -> Questions:
    """The questions of a window under the recipe's protocol; at most ``at_most``, drawn at random."""
    if spec.once:
        return start(data, state, opens, closes, unknown=spec.held_out, at_most=at_most, seed=seed)
    return replay(
        data,
        state,
        opens,
        closes,
        moments=spec.moments,
        ahead=spec.ahead,
        horizon=spec.horizon,
        min_gap=silence(data, spec),
        at_most=at_most,
        seed=seed,
    )


def silence(data: Dataset, spec: EvaluateSpec) -> int:
    """Microseconds for which a user must have been silent before a moment that is asked."""
    if spec.min_gap == "session":
        return 0 if data.session_gap is None else data.session_gap + 1  # a pause longer than the gap opens a session
    return spec.min_gap or 0


def answerable(questions: Questions, pipeline: Pipeline, state: State) -> Questions:
    """The questions with the targets that the hard rules forbid taken out, and those without a target dropped."""
    batches = track(questions.batches(BATCH), "targets")
    return Questions.concat([batch.answerable(pipeline.forbid(batch.requests, state).exclude) for batch in batches])


def warn_of_few(questions: Questions, where: str) -> None:
    """Says so where the questions come from fewer than ``FEW_USERS`` users; ``where`` is who asks whom."""
    users = len(np.unique(questions.requests.user))
    if users < FEW_USERS:
        emit(
            "warning",
            message=f"{where} {users:,} users ({len(questions):,} questions): NDCG@10 is known to ± .02 at best",
        )


def is_target(rows: Candidates, targets: Ragged) -> Bool:
    """[m]: whether each row's item is among its request's targets."""
    return np.isin(rows.keys, keys(targets.rows, targets["item"]))


def refuse_failures(trace: Trace) -> None:
    """Offline a failed channel is an error: figures without it would be another experiment's."""
    for name, error in trace.failed.items():
        raise RuntimeError(f"channel {name} failed: {error}")
