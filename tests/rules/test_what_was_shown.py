"""A rule that asks what was shown, as a user of the library would write it: the contract, and replay against live.

The library's own rules that ask the past are held to the same: what is posted reaches them as what is read from a log.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import pytest
from pydantic import Field

from shortlist import bundle as bundles
from shortlist.component import Rule
from shortlist.data import Dataset, State
from shortlist.durations import Duration
from shortlist.recipe import parse
from shortlist.registry import find
from shortlist.testing import contract, worlds
from shortlist.testing._shared import agree
from shortlist.testing.case import HOUR, case
from shortlist.types import Array, Candidates, Requests


class Fatigue(Rule):
    """Sinks items that were shown again and again without a click.

    Item i sinks below the others for user u at time t if it was shown to u at least ``most`` times in (t - ``window``,
    t], u did nothing with it meanwhile, and it is not the first choice of the channel ``cf``.

    Source: this test.
    """

    needs: ClassVar[tuple[str, ...]] = ("cf.rank",)

    most: Annotated[int, Field(ge=1)] = 2
    """So many exposures are enough."""
    window: Duration = 14 * worlds.DAY
    """How long they count."""

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """The same rows, tired ones last."""
        user, now = requests.user[candidates.request], requests.time[candidates.request]
        shown = state.shown.counts(user, candidates.item, now, [self.window])[:, 0]
        tired = (shown >= self.most) & ~self._touched(requests, candidates, state) & (candidates["cf.rank"] != 1)
        return candidates.take(np.lexsort((tired, candidates.request)))

    def _touched(self, requests: Requests, candidates: Candidates, state: State) -> Array:
        history = state.history(requests.user, requests.time)
        recent = history["time"] > requests.time[history.rows] - self.window
        return np.isin(candidates.keys, (history.rows << 32 | history["item"])[recent])


@pytest.mark.parametrize("owed", contract.checks("rules"), ids=lambda check: check.__name__)
def test_it_keeps_the_contract(owed):
    owed(contract.Subject("rules", Fatigue))


def test_an_answer_that_saw_later_exposures_would_break_it():
    class Peeks(Fatigue):
        """Counts whatever the state holds.

        Source: this test.
        """

        def apply(self, requests, candidates, state):
            late = Requests.of(requests.user, requests.time + 99 * worlds.DAY, requests.history)
            return Fatigue(window=200 * worlds.DAY).apply(late, candidates, state)

    with pytest.raises(AssertionError, match="later_events_change_nothing"):
        contract.check("rules", Peeks)


def lists(rule: Fatigue, data: Dataset, state: State, at: int) -> list[list[int]]:
    rows = answer(rule, data, state, at)
    return [rows.item[rows.request == r].tolist() for r in range(data.n_users)]


def test_it_says_what_its_definition_says():
    data = worlds.checkerboard(n_users=12, n_items=20)
    now = data.state().last + HOUR
    asked = case(data, np.arange(12), data.state(), now, exclude_history=False)
    shown, log, rule = data.state().shown.exposures, data.events, Fatigue()
    sunk = 0
    for r, got in enumerate(lists(rule, data, data.state(), now)):
        before = asked.rows.take(asked.rows.request == r)
        tired = []
        for item, first in zip(before.item.tolist(), (before["cf.rank"] == 1).tolist(), strict=True):
            since = now - rule.window
            times = shown.time[(shown.user == r) & (shown.item == item)]
            acts = log.time[(log.user == r) & (log.item == item)]
            often = np.sum((times > since) & (times <= now)) >= rule.most
            tired.append(often and not (acts > since).any() and not first)
        sunk += sum(tired)
        ranked = [item for item, sinks in zip(before.item.tolist(), tired, strict=True) if not sinks]
        assert got == [*ranked, *(item for item, sinks in zip(before.item.tolist(), tired, strict=True) if sinks)]
    assert sunk > 5


RULES = [
    (Fatigue, {}),
    (find("rules", "fatigue"), {"most": 1, "window": "3d", "does": "drop"}),
    (find("rules", "fatigue"), {"most": 2, "window": "60d"}),
    (find("rules", "bought_recently"), {"by": "colour", "cycle": "4d"}),
    (find("rules", "price_gap"), {"price": "price", "width": 0.2, "half_life": "1d"}),
    (find("rules", "intent"), {"by": ["colour", "tags"], "idle": "2d"}),
    (find("rules", "explore"), {"slots": [2, 4], "n": 4, "epsilon": 0.7, "draw": "thompson"}),
]


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_replay_and_live_answer_alike(tmp_path: Path, pieces: int):
    """A whole log, and a bundle of its first half with the rest read from the service's store in pieces."""
    pytest.importorskip("lmdb")
    from shortlist.serve.store import open_store
    from shortlist.serve.view import View

    whole = worlds.checkerboard(n_users=12, n_items=20)
    cut = whole.cut(0.5)
    known = whole.until(cut)
    recipe = parse({"name": "half", "data": {"source": "none"}, "recall": {"hot": {"type": "popular"}}})
    pipeline = recipe.pipeline()
    pipeline.fit_recall(known)
    view = View(bundles.open_bundle(bundles.save(tmp_path / "bundle", pipeline, recipe, known, None, {})))
    store = open_store(tmp_path / "store")
    for some in np.array_split(np.array(records(whole, cut), dtype=object), pieces):
        store.append(list(some))
        view.apply(store.read(view.applied))
    store.close()
    for cls, config in RULES:
        rule, answers = cls(**config).fit(known), []
        for at in (cut, cut + worlds.DAY, whole.state().last, whole.state().shown.latest + HOUR):
            replayed, live = (answer(rule, whole, state, at) for state in (whole.state(), view.state))
            agree(live, replayed, f"{cls.__name__}, live and replayed", exact=True)
            answers.append(replayed.item.tolist())
        assert any(a != b for a, b in pairwise(answers)), cls.__name__


def answer(rule: Rule, data: Dataset, state: State, at: int) -> Candidates:
    asked = case(data, np.arange(data.n_users), state, at, exclude_history=False)
    return rule.apply(asked.requests, asked.rows, asked.state)


def records(data: Dataset, since: int) -> list[dict[str, object]]:
    """Events and exposures from ``since`` on, in the order of time, as a store holds them."""
    log, shown = data.events, data.state().shown.exposures
    events = [
        {"kind": "event", "event": data.behaviours.names[log.event[row]]} | named(data, log, row)
        for row in np.flatnonzero(log.time >= since)
    ]
    slates = [{"kind": "shown"} | named(data, shown, row) for row in np.flatnonzero(shown.time >= since)]
    return sorted([*events, *slates], key=lambda record: record["time"])


def named(data: Dataset, rows, row: int) -> dict[str, object]:
    user, item = data.user_ids.ids[rows.user[row]], data.item_ids.ids[rows.item[row]]
    return {"user": user, "item": item, "time": int(rows.time[row])}
