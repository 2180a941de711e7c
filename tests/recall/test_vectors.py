"""What the channels that answer with vectors share: the state is asked, the floor holds, any index may stand in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
import pytest

from shortlist.data import Dataset, State
from shortlist.index import Asked, Found, Index
from shortlist.index.exact import Exact
from shortlist.recall._vectors import Vectors
from shortlist.registry import find
from shortlist.testing import worlds
from shortlist.testing.case import case
from shortlist.types import Array, Candidates, Float32, Ragged, Requests

FOLDED = ["als", "svd", "lfm", "item2vec", "deepwalk", "node2vec"]


class Sides:
    """An index that searches one side of the first dimension, as an approximate one searches the nearest lists."""

    def build(self, table: Float32, asked: Asked) -> dict[str, Array]:
        """Which columns lie on either side."""
        order = np.argsort(table[:, 0] > 0, kind="stable").astype(np.int32)
        return {"order": order, "start": np.array([0, (table[:, 0] <= 0).sum(), len(table)])}

    def order(self, built: Mapping[str, Array]) -> Literal["C", "F"]:
        """By dimension."""
        return "F"

    def grow(self, table: Float32, built: Mapping[str, Array], first: int) -> dict[str, Array]:
        """All anew."""
        return self.build(table, lambda: table)

    def search(
        self, table: Float32, built: Mapping[str, Array], vectors: Float32, forbidden: Ragged, k: int, floor: float
    ) -> Found:
        """The best of each request's side (one head)."""
        parts = []
        for r in range(len(vectors)):
            side = int(vectors[r, 0, 0] > 0)
            columns = np.sort(built["order"][built["start"][side] : built["start"][side + 1]])
            barred = np.flatnonzero(np.isin(columns, forbidden.row(r)["column"])).astype(np.int32)
            own = Ragged(np.array([0, len(barred)]), {"column": barred})
            _, column, score = Exact().search(table[columns], {}, vectors[r : r + 1], own, k, floor)
            parts.append((np.full(len(column), r, np.uint32), columns[column], score))
        request, column, score = (np.concatenate(part) for part in zip(*parts, strict=True))
        return request, column, score


class Clock(Vectors):
    """Items on a circle; a request points at what the state has seen of its user."""

    shape: ClassVar[tuple[int, ...]] = (1, 2)

    def fit(self, data: Dataset) -> Self:
        """Every item has its hour."""
        self._know(np.arange(data.n_items), data.n_items)
        hours = 2 * np.pi * (np.arange(data.n_items) + 0.5) / data.n_items
        self._keep(np.column_stack([np.cos(hours), np.sin(hours)]))
        return self

    def vectors(self, requests: Requests, state: State) -> Float32:
        """As many hours on as there are events of the user."""
        seen = state.counts("user", requests.user, requests.time, ["all"], [None])[:, 0, 0]
        hours = 2 * np.pi * (seen + 0.5) / len(self.items_)
        p = np.column_stack([np.cos(hours), np.sin(hours)])
        return np.resize(p, (len(p), *self.shape)).astype(np.float32)


class Halved(Clock):
    """The same with an index of its own."""

    def _index(self) -> Index:
        return Sides()


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(3, users=10, items=12, events=60, unknown=0.0)


@pytest.fixture
def requests(log):
    return Requests.of(np.arange(10), np.full(10, 100), log.state().history(np.arange(10), np.full(10, 100)))


def saved_and_loaded(channel: Vectors) -> Vectors:
    arrays = {}
    for name, array in channel.state().items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        buffer.seek(0)
        arrays[name] = np.load(buffer, allow_pickle=False)
    return type(channel).restore(channel.config(), arrays)


def test_the_same_requests_are_answered_anew_for_another_state(log, requests):
    channel = Clock().fit(log)
    found = channel.retrieve(requests, log.state(), 1)
    assert found.item.tolist() == np.bincount(log.events.user, minlength=10).tolist()
    earlier = log.until(10)
    again = channel.retrieve(requests, earlier.state(), 1)
    assert again.item.tolist() == np.bincount(earlier.events.user, minlength=10).tolist()


def test_vectors_of_another_shape_are_refused_by_name(log, requests, monkeypatch):
    for shape in ((2,), (1, 3)):
        monkeypatch.setattr(Clock, "shape", shape)
        with pytest.raises(ValueError, match=r"Clock.vectors: expected \[10, heads, 2\], got \[10, "):
            Clock().fit(log).retrieve(requests, log.state(), 1)


def test_the_best_head_finds_an_item(log):
    channel = Clock().fit(log)
    two = channel.table_[[2, 9]][None]
    found = channel._best(two, Ragged.empty(1, item=np.int32), 2)
    assert found.item.tolist() == [2, 9]


def test_a_score_beyond_all_numbers_is_nan_and_no_row(log, requests):
    channel = Clock().fit(log)
    channel._keep(np.where(np.arange(12)[:, None] == 5, np.float32(np.inf), channel.table_))
    assert 5 not in channel.retrieve(requests, log.state(), 12).item
    rows = Candidates(np.zeros(2, np.uint32), np.array([4, 5], np.int32))
    assert np.isnan(channel.score(requests, rows, log.state())).tolist() == [False, True]


def test_an_index_of_its_own_is_built_saved_and_searched(log, requests):
    channel = Halved().fit(log)
    assert {"index_order_", "index_start_"} <= set(channel.state())
    whole = Clock().fit(log).retrieve(requests, log.state(), 12)
    left = channel.table_[:, 0] > 0
    pointed = channel.vectors(requests, log.state())[:, 0, 0] > 0
    wanted = whole.take(left[whole.item] == pointed[whole.request])
    for one in (channel, saved_and_loaded(channel)):
        found = one.retrieve(requests, log.state(), 12)
        assert found.request.tolist() == wanted.request.tolist()
        assert found.item.tolist() == wanted.item.tolist()


def test_a_dimension_s_values_lie_beside_each_other_also_when_loaded(log):
    channel = Clock().fit(log)
    assert channel.table_.shape == (12, 2)
    assert channel.table_.flags.f_contiguous
    assert saved_and_loaded(channel).table_.flags.f_contiguous


@pytest.mark.parametrize("name", FOLDED)
def test_what_is_folded_in_from_the_log_returns_nothing_at_or_below_0(name: str):
    data = worlds.checkerboard()
    cls = find("recall", name)
    channel = cls.from_config(cls.example).fit(data)
    asked = case(data, np.arange(12), data.state(), exclude_history=False)
    everything = channel.retrieve(asked.requests, data.state(), 50)
    request, item = np.repeat(np.arange(12, dtype=np.uint32), 50), np.tile(np.arange(50, dtype=np.int32), 12)
    score = channel.score(asked.requests, Candidates(request, item), data.state())
    assert (score <= 0).any()
    assert sorted(everything.keys) == sorted(Candidates(request, item).keys[score > 0])
    unknown = Candidates(np.zeros(1, np.uint32), np.array([77], np.int32))
    assert channel.score(asked.requests, unknown, data.state()).tolist() == [0]
