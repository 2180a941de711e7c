"""One component under test: how its kind is fitted and asked, and the questions the contract puts to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from shortlist.component import Component, Feature, HardRule, Merge, Ranker, Retriever, Rule
from shortlist.data import Dataset, State
from shortlist.testing import worlds
from shortlist.types import Array, Candidates, Ragged, Requests, Samples

HOUR = 60 * worlds.MINUTE
CHANNELS = ("cf", "hot")
K = 20


@dataclass(frozen=True, slots=True)
class Case:
    """A batch of questions with everything a component of any kind may be asked about them."""

    requests: Requests
    rows: Candidates  # merged rows in list order, with channel columns and a few features
    found: Mapping[str, Candidates]  # what each channel brought, before the merge
    state: State

    def only(self, chosen: Array) -> Case:
        """The questions numbered ``chosen`` (ascending), renumbered from 0."""
        found = {name: pick(rows, chosen) for name, rows in self.found.items()}
        return Case(self.requests.take(chosen), pick(self.rows, chosen), found, self.state)


def pick(rows: Candidates, chosen: Array) -> Candidates:
    """Rows of the requests numbered ``chosen`` (ascending), renumbered from 0."""
    kept = rows.take(np.isin(rows.request, chosen))
    return replace(kept, request=np.searchsorted(chosen, kept.request).astype(np.uint32))


@dataclass
class Subject:
    """A component class with a configuration, fitted once on a checkerboard when first needed."""

    kind: str
    cls: type[Component]
    config: Mapping[str, Any] = field(default_factory=dict)

    def fresh(self) -> Component:
        """An unfitted component."""
        return self.cls.from_config(self.config)

    @cached_property
    def world(self) -> Dataset:
        """The checkerboard."""
        return worlds.checkerboard()

    @cached_property
    def fitted(self) -> Component:
        """Fitted on the whole world; checks must not change it."""
        return self.fit(self.fresh(), self.world)

    @cached_property
    def case(self) -> Case:
        """A dozen users, an hour after the log's end."""
        return case(self.world, np.arange(12), self.world.state())

    def fit(self, component: Component, data: Dataset) -> Component:
        """Fits a component of this kind on ``data``, or on samples made of it."""
        if isinstance(component, Merge):
            asked = case(data, np.arange(min(12, data.n_users)), data.state())
            return component.fit(asked.found, _targets(asked.requests, data))
        if isinstance(component, Ranker):
            return component.fit(samples(data, seed=1), samples(data, seed=2))
        return cast(Component, component.fit(data))  # type: ignore[attr-defined]

    def ask(self, component: Component, asked: Case, k: int = K) -> Candidates:
        """What the component answers, whatever its kind; features and rankers: their new columns on the given rows."""
        if isinstance(component, Retriever):
            return component.retrieve(asked.requests, asked.state, k)
        if isinstance(component, Merge):
            return component.merge(asked.found, len(asked.requests))
        if isinstance(component, Feature):
            return replace(asked.rows, columns=component.compute(asked.requests, asked.rows, asked.state))
        if isinstance(component, Ranker):
            return replace(asked.rows, columns=component.score(asked.requests, asked.rows, asked.state))
        if isinstance(component, HardRule):  # what is forbidden, as rows
            forbidden = component.forbids(asked.requests, asked.state)
            return Candidates(forbidden.rows.astype(np.uint32), forbidden["item"])
        assert isinstance(component, Rule)
        return component.apply(asked.requests, asked.rows, asked.state)


def case(data: Dataset, users: Array, state: State, at: int | None = None, exclude_history: bool = True) -> Case:
    """Questions of ``users`` at the moment ``at``, an hour after the last event known to ``state`` when absent."""
    users = np.asarray(users, np.int32)
    times = np.full(len(users), state.last + HOUR if at is None else at, np.int64)
    history = state.history(users, times)
    requests = Requests.of(users, times, history)
    if exclude_history:
        requests = requests.excluding(Ragged(history.offsets, {"item": history["item"]}))
    rows, found = candidates(requests, data.n_items)
    return Case(requests, rows, found, state)


def candidates(
    requests: Requests, n_items: int, each: int = 12, seed: int = 0
) -> tuple[Candidates, dict[str, Candidates]]:
    """(merged rows, what each channel found): up to ``each`` random items a request that are not excluded.

    Columns of the merged rows: the channels' score, rank and dense score, ``score``, ``fallback`` (the last two rows of
    each list, which have no score), and the features ``affinity`` (high where item and user have one colour),
    ``noise``, ``gap`` (half NaN) and ``shade`` (a code).
    """
    rng = np.random.default_rng(seed)
    parts = []
    for r in range(len(requests)):
        free = np.setdiff1d(np.arange(n_items), requests.exclude.row(r)["item"])
        items = rng.permutation(free)[:each]
        parts.append((np.full(len(items), r), items))
    request = np.concatenate([p for p, _ in parts]).astype(np.uint32) if parts else np.empty(0, np.uint32)
    item = np.concatenate([i for _, i in parts]).astype(np.int32) if parts else np.empty(0, np.int32)
    m = len(item)
    bare = Candidates(request, item)
    place = bare.positions()
    last = np.bincount(request, minlength=len(requests))[request] - place <= 2
    columns: dict[str, Array] = {}
    found = {}
    for name in CHANNELS:
        silent = last | (rng.random(m) < 0.4)
        score = rng.random(m).astype(np.float32)
        own = replace(bare, columns={"score": score}).take(~silent).ranked()
        found[name] = own
        rank = np.full(m, np.nan, np.float32)
        key = {pair: p + 1 for pair, p in zip(zip(own.request, own.item, strict=True), own.positions(), strict=True)}
        for row in np.flatnonzero(~silent):
            rank[row] = key[request[row], item[row]]
        columns |= {f"{name}.score": np.where(silent, np.nan, score).astype(np.float32), f"{name}.rank": rank}
        columns[f"{name}.dense"] = rng.random(m).astype(np.float32)
    found["silent"] = Candidates.empty(score=np.float32)
    columns["score"] = np.where(last, np.nan, 1 / (1.0 + place)).astype(np.float32)
    columns["fallback"] = last
    match = worlds.colour_of(item) == worlds.colour_of(requests.user[request])
    columns["affinity"] = (match + rng.normal(0, 0.2, m)).astype(np.float32)
    columns["noise"] = rng.normal(size=m).astype(np.float32)
    columns["gap"] = np.where(rng.random(m) < 0.5, np.nan, rng.random(m)).astype(np.float32)
    columns["shade"] = rng.integers(-1, 4, m).astype(np.int32)
    return replace(bare, columns=columns), found


FEATURES = ("affinity", "noise", "gap", "shade")


def samples(data: Dataset, seed: int = 0, moments: int = 6) -> Samples:
    """Replayed requests of every user; the label is 1 where item and user have one colour, but for 3 % of the rows."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(data.n_users, dtype=np.int32), moments)
    span = (int(data.events.time[0]), int(data.events.time[-1])) if len(data.events) else (0, HOUR)
    times = np.sort(rng.integers(span[0] + HOUR, span[1] + HOUR, len(users)))
    requests = Requests.of(users, times, data.state().history(users, times))
    rows, _ = candidates(requests, data.n_items, seed=seed)
    match = worlds.colour_of(rows.item) == worlds.colour_of(requests.user[rows.request])
    flipped = rng.random(len(rows)) < 0.03
    label = (match ^ flipped).astype(np.float32)
    rarer = np.where(rng.random(len(rows)) < 0.7, label, 0).astype(np.float32)
    return Samples(requests, rows.select(FEATURES), {"click": label, "buy": rarer}, np.ones(len(rows), np.float32))


def _targets(requests: Requests, data: Dataset) -> Ragged:
    """The right answers of a checkerboard: items of the own colour that are not excluded."""
    rows, items = [], []
    for r in range(len(requests)):
        own = np.arange(requests.user[r] % 2, data.n_items, 2)
        own = np.setdiff1d(own, requests.exclude.row(r)["item"])
        rows.append(np.full(len(own), r))
        items.append(own)
    item = np.concatenate(items).astype(np.int32) if items else np.empty(0, np.int32)
    row = np.concatenate(rows) if rows else np.empty(0, np.int64)
    return Ragged.of(row, len(requests), item=item, known=np.ones(len(item), bool))
