"""A version is tried before it answers anybody: each channel on its own, then the whole funnel, for people it knows."""

from __future__ import annotations

import numpy as np

from shortlist import answer
from shortlist.component import InputError, Retriever, Scores, able
from shortlist.pipeline import Pipeline
from shortlist.serve.view import View
from shortlist.types import Array, Candidates, Ragged, Requests

PEOPLE = 30
ITEMS = 5000
"""How many items one history of the trial holds: all, in most catalogues."""


def try_out(view: View, now: int, changed: Pipeline | None = None) -> None:
    """Answers for nobody, for people all over the log and for one with everything in the history.

    Raises ``InputError`` naming the stage that failed: online a channel that fails costs its rows only, but a version
    that has one is not turned to. ``changed`` is tried in place of the view's own pipeline.
    """
    pipeline = changed or view.bundle.pipeline
    for requests in (_asked(view, now), _everything(view, now)):
        channels = {**pipeline.recall} | ({} if pipeline.fallback is None else {"fallback": pipeline.fallback})
        for name, channel in channels.items():
            try:
                _try_channel(channel, view, requests, pipeline.depth)
            except Exception as error:  # any fault of one channel
                raise InputError(f"{view.bundle.path.name}: {name} does not answer: {_said(error)}") from error
        try:
            found = answer.recommend(pipeline, view.state, requests)
            answer.tell(found, pipeline, view.data)
        except Exception as error:
            raise InputError(f"{view.bundle.path.name}: does not answer: {_said(error)}") from error
        if found.trace.failed:
            raise InputError(f"{view.bundle.path.name}: {found.trace.failed}")


def _try_channel(channel: Retriever, view: View, requests: Requests, depth: int) -> None:
    rows, n = channel.retrieve(requests, view.state, depth), len(view.data.item_ids)
    if len(rows) and not (0 <= rows.item.min() <= rows.item.max() < n and rows.request.max() < len(requests)):
        raise ValueError(f"its rows name items that are none of the {n}")
    if len(rows) and not np.isfinite(rows["score"]).all():
        raise ValueError("its rows have scores that are not finite")
    if scorer := able(channel, Scores):
        items = _spread(n, ITEMS)
        scorer.score(requests, Candidates(np.zeros(len(items), np.uint32), items), view.state)


def _asked(view: View, now: int) -> Requests:
    """Nobody, the latest to do something, and people from the first code to the last."""
    known = np.unique(view.state.events.user) if len(view.state.events) else np.empty(0, np.int32)
    latest = view.state.events.user[-1:] if len(view.state.events) else known
    people = np.concatenate([known[_spread(len(known), PEOPLE)], latest])
    return answer.requests_of(view.state, np.concatenate([[-1], people[people >= 0]]).astype(np.int32), now)


def _everything(view: View, now: int) -> Requests:
    """Nobody, with everything in the catalogue behind them: every row of what was learned by item is looked at."""
    items = _spread(len(view.data.item_ids), ITEMS)
    m, strength = len(items), view.data.behaviours.strengths[:1]
    history = Ragged(
        np.array([0, m], np.int64),
        {
            "item": items,
            "event": np.zeros(m, np.int16),
            "value": np.full(m, np.nan, np.float32),
            "weight": np.repeat(strength, m).astype(np.float32),
            "time": np.full(m, now, np.int64),
        },
    )
    return answer.requests_of(view.state, np.array([-1], np.int32), now, history=history)


def _spread(n: int, most: int) -> Array:
    """At most ``most`` of the numbers below n, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int32)) if n else np.empty(0, np.int32)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


__all__ = ["try_out"]
