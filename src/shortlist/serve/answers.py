"""Answers as they go over the wire: one request's slate, with its arms, and what is known of somebody."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from shortlist import answer
from shortlist.answer import Answer
from shortlist.experiment.interleave import credited
from shortlist.serve import wire
from shortlist.serve.arms import Arms, Dealt, Funnel
from shortlist.serve.journal import Asked, Journal
from shortlist.serve.live import Live
from shortlist.serve.view import View

THROWS = 32
"""Throws of the coins over which the credit of a click is averaged: .3 ms for ten items."""


def recommend(live: Live, ask: wire.Ask, arms: Arms | None = None, journal: Journal | None = None) -> dict[str, Any]:
    """The answer to one request, dealt its arms and kept in the journal where there are any."""
    view, number = live.view(), secrets.randbits(63)
    now = live.now(view)
    asked = None if journal is None else journal.begin(number, ask.user, now, ask.n)
    told: dict[str, Any] | None = None
    picks = None
    try:
        plain = Dealt({}, {None: Funnel(view, view.bundle.pipeline)})
        try:
            told, picks = _made(ask, number, now, plain if arms is None else arms.deal(ask.user, now), asked)
        except Exception as error:
            if arms is None:
                raise
            told, picks = _made(ask, number, now, plain, asked)  # a fault of the request is one here, too
            arms.fault(error)
        return told
    finally:
        if journal is not None and asked is not None:
            journal.end(asked, None if told is None else told["items"], picks)


def _made(
    ask: wire.Ask, number: int, now: int, dealt: Dealt, asked: Asked | None
) -> tuple[dict[str, Any], list[tuple[int, int]] | None]:
    """The answer and, of two slates, which row of which each item is."""
    if asked is not None:
        asked.slates.clear()
    slates = {arm: _answered(funnel, ask, number, now) for arm, funnel in dealt.funnels.items()}
    items = {arm: answer.tell(slates[arm], f.pipeline, f.view.data)[0] for arm, f in dealt.funnels.items()}
    (first, funnel), *_ = dealt.funnels.items()
    shown, picks = items[first], None
    if len(slates) > 1:
        names, lists = list(items), [[row["item"] for row in rows] for rows in items.values()]
        coins = np.random.default_rng(number).integers(0, 2, (THROWS, ask.n))
        picks, credits = credited(lists[0], lists[1], ask.n, coins)
        shown = [
            {**items[names[team]][row], "team": names[team], "credit": credit}
            for (team, row), credit in zip(picks, credits, strict=True)
        ]
    bundle = "+".join(dict.fromkeys(one.view.bundle.path.name for one in dealt.funnels.values()))
    if asked is not None:
        asked.arms, asked.bundle = dealt.arms, bundle
    told = {"request_id": f"{number:016x}", "bundle": bundle, "arms": dealt.arms, "items": shown}
    if ask.explain:
        told["trace"] = _trace(slates[first], funnel.view, now)
    return told, picks


def _answered(funnel: Funnel, ask: wire.Ask, number: int, now: int) -> Answer:
    view = funnel.view
    requests = answer.requests_of(
        view.state,
        np.array([view.data.user_ids.code(ask.user) if ask.user else -1], np.int32),
        now,
        exclude=wire.excluded(ask, view.data),  # type: ignore[arg-type]
        history=None if ask.history is None else wire.history(ask.history, view, now),
        context={name: np.array([value]) for name, value in ask.context.items()},
        ids=np.array([number], np.uint64),
    )
    return answer.recommend(funnel.pipeline, view.state, requests, ask.n)


def _trace(found: Answer, view: View, now: int) -> dict[str, Any]:
    trace = found.trace
    return {
        "time": view.data.when(now),
        "history": len(found.requests.history["item"]),
        "rows": {stage: len(rows) for stage, rows in trace.stages.items()},
        "milliseconds": {stage: round(spent * 1000, 3) for stage, spent in trace.seconds.items()},
        "failed": trace.failed,
    }


def describe(view: View, user: str, code: int, now: int, n: int) -> dict[str, Any]:
    """What is known of a user."""
    data, past = view.data, view.state.history(np.array([code], np.int32), np.array([now]))
    names = data.behaviours.names
    counts = np.bincount(past["event"], minlength=len(names)).tolist()
    recent = [
        {
            "item": data.item_ids.ids[past["item"][row]],
            "event": names[past["event"][row]],
            "value": None if np.isnan(past["value"][row]) else float(past["value"][row]),
            "time": data.when(int(past["time"][row])),
        }
        for row in range(len(past["item"]) - 1, max(len(past["item"]) - 1 - n, -1), -1)
    ]
    return {
        "user": user,
        "events": len(past["item"]),
        "positive": int((past["weight"] > 0).sum()),
        "by_event": dict(zip(names, counts, strict=True)),
        "shown": int(view.state.shown.counts(np.array([code]), None, np.array([now]))[0, 0]),
        "recent": recent,
    }


__all__ = ["describe", "recommend"]
