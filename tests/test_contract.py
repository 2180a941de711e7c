"""Every component found owes the contract; the contract itself refuses components that break it."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from pydantic import Field

from shortlist.cli import scaffold
from shortlist.component import Feature, HardRule, Merge, Ranker, Retriever, Rule
from shortlist.registry import KINDS, defined_in
from shortlist.testing import contract
from shortlist.types import Candidates, Ragged


@cache
def subject(kind: str, name: str) -> contract.Subject:
    """Fitted once for all checks of a component."""
    return contract.subject(kind, name)


def cases():
    for kind, name, available in contract.found():
        for owed in contract.checks(kind):
            marks = (
                [] if available else [pytest.mark.skip(reason=f"{kind} {name} needs an extra that is not installed")]
            )
            yield pytest.param(kind, name, owed, id=f"{kind}-{name}-{owed.__name__}", marks=marks)


@pytest.mark.parametrize(("kind", "name", "owed"), list(cases()))
def test_component_keeps_the_contract(kind, name, owed):
    owed(subject(kind, name))


# The contract refuses what breaks it: each mutant breaks one clause, and the check for that clause says so.


class Sound(Retriever):
    """score(u, i) = history items of i's parity: as plain as a channel can be.

    Source: this test.
    """

    n: int = Field(default=3, ge=1)
    """Nothing."""

    def fit(self, data):
        self.items_ = np.unique(data.events.item).astype(np.int32)
        return self

    def odd(self, items):
        return np.searchsorted(self.items_, items) % 2  # whatever the codes are

    def retrieve(self, requests, state, k):
        n = len(self.items_)
        rows = Candidates(np.repeat(np.arange(len(requests), dtype=np.uint32), n), np.tile(self.items_, len(requests)))
        rows = rows.with_columns(score=self.score(requests, rows, state))
        excluded = requests.exclude.rows << 32 | requests.exclude["item"]
        return rows.take(~np.isin(rows.request.astype(np.int64) << 32 | rows.item, excluded)).top(k)

    def score(self, requests, candidates, state):
        history = requests.history
        odd = np.bincount(history.rows, self.odd(history["item"]), len(requests))
        even = history.lengths - odd
        return np.where(self.odd(candidates.item), odd[candidates.request], even[candidates.request]).astype(np.float32)


class UnknownKeys(Sound):
    model_config = {"extra": "ignore"}


class Undocumented(Sound):
    """No source, no formula"""


class Undescribed(Sound):
    size: int = 3


class StoresDict(Sound):
    def fit(self, data):
        self.table_ = {"a": 1}
        return super().fit(data)


class StoresHidden(Sound):
    def fit(self, data):
        self.__dict__["secret"] = np.ones(3)
        return super().fit(data)


class ForgetsState(Sound):
    def state(self):
        return {name: array[::-1] for name, array in super().state().items()}

    def retrieve(self, requests, state, k):
        return super().retrieve(requests, state, k).take(super().retrieve(requests, state, k).item != self.items_[0])


class UsesGlobalLuck(Sound):
    def fit(self, data):
        super().fit(data)
        self.items_ = self.items_[np.random.permutation(len(self.items_))[:20]]  # noqa: NPY002
        return self


class SeesTheBatch(Sound):
    def score(self, requests, candidates, state):
        return super().score(requests, candidates, state) * np.float32(1 + 0.01 * len(requests))


class WritesIntoHistory(Sound):
    def retrieve(self, requests, state, k):
        rows = super().retrieve(requests, state, k)
        requests.history["weight"][:] = 0
        return rows


class Worst(Sound):
    def score(self, requests, candidates, state):
        return -super().score(requests, candidates, state)


class GivesExcluded(Sound):
    def retrieve(self, requests, state, k):
        return super().retrieve(replace(requests, exclude=Ragged.empty(len(requests), item=np.int32)), state, k)


class ExcludesAfterwards(Sound):
    def retrieve(self, requests, state, k):
        rows = GivesExcluded.retrieve(self, requests, state, k)
        excluded = requests.exclude.rows << 32 | requests.exclude["item"]
        return rows.take(~np.isin(rows.request.astype(np.int64) << 32 | rows.item, excluded))


class CountsTheFuture(Sound):
    def retrieve(self, requests, state, k):
        rows = super().retrieve(requests, state, 50)
        counts = np.bincount(state.events.item, minlength=100)
        return rows.with_columns(score=rows["score"] + counts[rows.item].astype(np.float32) / 1e3).top(k)


class FallsOverStrangers(Sound):
    def retrieve(self, requests, state, k):
        _ = np.zeros(50)[requests.history["item"]]
        return super().retrieve(requests, state, k)


class NeedsEvents(Sound):
    def fit(self, data):
        self.first_ = int(data.events.time[0])
        return super().fit(data)


class GivesNaN(Sound):
    def retrieve(self, requests, state, k):
        rows = super().retrieve(requests, state, k)
        return rows.with_columns(score=np.where(rows.item == rows.item[:1].max(initial=0), np.nan, rows["score"]))


class RunsAway(Sound):
    def fit(self, data):
        self.table_ = np.full(3, data.events.weight.max() ** 3, np.float32)
        return super().fit(data)


class CountsHeads(Sound):
    def fit(self, data):
        self.heads_ = data.n_users
        return super().fit(data)

    def retrieve(self, requests, state, k):
        rows = super().retrieve(requests, state, k)
        return rows.with_columns(score=rows["score"] + np.float32(self.heads_))


def test_a_sound_component_passes():
    contract.check("recall", Sound)


@pytest.mark.parametrize(
    ("mutant", "clause"),
    [
        (UnknownKeys, "unknown_key_rejected"),
        (Undocumented, "documented"),
        (Undescribed, "hyperparameters_described"),
        (StoresDict, "fit_stores_learned"),
        (StoresHidden, "fit_stores_learned"),
        (ForgetsState, "saved_and_loaded"),
        (UsesGlobalLuck, "same_seed_same_result"),
        (SeesTheBatch, "batch_equals_single"),
        (WritesIntoHistory, "inputs_unchanged"),
        (Worst, "solves_the_checkerboard"),
        (GivesExcluded, "rows_are_well_formed"),
        (ExcludesAfterwards, "exclusions_use_up_no_rows"),
        (CountsTheFuture, "later_events_change_nothing"),
        (FallsOverStrangers, "strangers"),
        (NeedsEvents, "empty_log"),
        (GivesNaN, "rows_are_well_formed"),
        (RunsAway, "learned_is_finite_and_moderate"),
        (CountsHeads, "more_identities_change_nothing"),
    ],
)
def test_a_broken_component_is_refused(mutant, clause):
    with pytest.raises(AssertionError, match=rf"\n  {clause}: "):
        contract.check("recall", mutant)


class Doubles(Rule):
    """Gives every row twice."""

    def apply(self, requests, candidates, state):
        return candidates.take(np.repeat(np.arange(len(candidates)), 2))


class Rescores(Rule):
    """Changes a channel's score."""

    def apply(self, requests, candidates, state):
        return candidates.with_columns(**{"cf.score": candidates["cf.rank"]})


class Stutters(HardRule):
    """Forbids everything twice."""

    def forbids(self, requests, state):
        n = len(requests)
        return Ragged.of(np.repeat(np.arange(n), 50), n, item=np.tile(np.arange(25, dtype=np.int32), 2 * n))


class CountsAll(Feature):
    """How often the item was chosen, ever after included."""

    def compute(self, requests, candidates, state):
        counts = np.bincount(state.events.item, minlength=200)
        return {"count": counts[candidates.item].astype(np.float32)}


class CountsLaterSlates(Feature):
    """How often the item was shown, ever after included."""

    def compute(self, requests, candidates, state):
        counts = np.bincount(state.shown.exposures.item, minlength=200)
        return {"count": counts[candidates.item].astype(np.float32)}


class Shy(Feature):
    """Has columns only where there are rows."""

    def compute(self, requests, candidates, state):
        return {"a": np.zeros(len(candidates), np.float32)} if len(candidates) else {}


class Blind(Ranker):
    """Learns nothing."""

    def fit(self, samples, valid=None):
        return self

    def score(self, requests, candidates, state=None):
        return {"score": np.zeros(len(candidates), np.float32)}


class LosesScores(Merge):
    """The union of the rows, without who found them."""

    def merge(self, found, n):
        rows = Candidates.concat(list(found.values()))
        first = np.unique(rows.request.astype(np.int64) << 32 | rows.item, return_index=True)[1]
        return rows.take(first).ranked()


@pytest.mark.parametrize(
    ("kind", "mutant", "clause"),
    [
        ("rules", Doubles, "drops_and_orders"),
        ("rules", Rescores, "drops_and_orders"),
        ("rules", Stutters, "forbids_each_once"),
        ("features", CountsAll, "later_events_change_nothing"),
        ("features", CountsLaterSlates, "later_events_change_nothing"),
        ("features", Shy, "empty_batch"),
        ("rank", Blind, "learns_a_planted_signal"),
        ("merge", LosesScores, "keeps_who_found_what"),
    ],
)
def test_a_broken_stage_is_refused(kind, mutant, clause):
    with pytest.raises(AssertionError, match=rf"\n  {clause}: "):
        contract.check(kind, mutant)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_new_component_keeps_the_contract_as_it_stands(kind, tmp_path, monkeypatch):
    """What ``shortlist new`` writes is a component before a line of it is changed."""
    name = f"fresh_{kind}"
    scaffold.write(kind, name, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    contract.check(kind, defined_in(importlib.import_module(name), KINDS[kind]))
