"""A channel that shares nothing with those of the log: two towers over attributes, written on ``Vectors``."""

from __future__ import annotations

from typing import Self

import numpy as np
import pytest
from pydantic import Field

from shortlist.data import Dataset, State, Table
from shortlist.recall._vectors import Vectors
from shortlist.testing import contract, worlds
from shortlist.types import Array, Candidates, Float32, Ragged, Requests


class TwoTower(Vectors):
    """The cosine of a user's and an item's attributes, each through a matrix of its own.

    score(u, i) = p · q,  p = A x_u / |A x_u|,  q = B y_i / |B y_i|,  x and y all categories and lists of u and i
    minimise  -sum log σ(score(u, i) / temperature) - sum over ``negatives`` random items j: log σ(-score(u, j) / temp.)

    Source: Huang, He, Gao, Deng, Acero, Heck (2013), Learning Deep Structured Semantic Models for Web Search.
    """

    factors: int = Field(default=4, ge=1)
    """The length of the vectors."""
    epochs: int = Field(default=20, ge=1)
    """Passes over the log."""
    negatives: int = Field(default=10, ge=1)
    """Random items beside each item of the log."""
    temperature: float = Field(default=0.5, gt=0)
    """How much less a cosine is than the logarithm of odds."""
    seed: int = 0
    """Of the first matrices, the order of the log and the negatives."""

    def fit(self, data: Dataset) -> Self:
        """Learns both matrices by steps of 64 events; keeps A and the item vectors."""
        rng, events = np.random.default_rng(self.seed), data.events
        x, y = hot(data.users, np.arange(data.n_users)), hot(data.items, np.arange(data.n_items))
        a, b = (rng.standard_normal((side.shape[1], self.factors)) for side in (x, y))
        log, met = np.flatnonzero((events.weight > 0) & (events.user >= 0)), np.unique(events.item)
        for _ in range(self.epochs):
            for rows in np.split(rng.permutation(log), np.arange(64, len(log), 64)):
                drawn = met[rng.integers(0, max(len(met), 1), (len(rows), self.negatives))]
                own, others = x[events.user[rows]], y[np.column_stack([events.item[rows], drawn])]
                p, long_p = unit(own @ a)
                q, long_q = unit(others @ b)
                error = 1 / (1 + np.exp(-np.einsum("rf,rjf->rj", p, q) / self.temperature))
                error[:, 0] -= 1
                to_p = across(np.einsum("rj,rjf->rf", error, q), p) / long_p
                to_q = across(error[..., None] * p[:, None], q) / long_q
                a -= own.T @ to_p / 64
                b -= np.einsum("rjv,rjf->vf", others, to_q) / 64
        self._know(np.flatnonzero(y.any(axis=1)), data.n_items)
        self._keep(unit(y[self.items_] @ b)[0])
        self.users_ = a.astype(np.float32)
        return self

    def vectors(self, requests: Requests, state: State) -> Float32:
        """p [n, 1, f]; 0 for users without attributes."""
        return unit(hot(state.users, requests.user) @ self.users_)[0][:, None]


def hot(table: Table, rows: Array) -> Float32:
    """[len(rows), levels]: 1 where a row has the level of a category or list; unknown rows have none."""
    out, first = np.zeros((len(rows), sum(len(c.levels) for c in table.codes.values())), np.float32), 0
    known = np.flatnonzero((rows >= 0) & (rows < table.n))
    for _, column in sorted(table.codes.items()):
        mine = column.values.take(rows[known])
        out[known[mine.rows], first + mine["code"]] = 1
        first += len(column.levels)
    return out


def unit(v: Array) -> tuple[Array, Array]:
    """v divided by its length, and the length."""
    length = np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)
    return v / length, length


def across(d: Array, v: Array) -> Array:
    """What of d is at right angles to v, whose length is 1."""
    return d - (d * v).sum(axis=-1, keepdims=True) * v


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard()


@pytest.fixture(scope="module")
def towers(board):
    return TwoTower().fit(board)


def asking(users) -> Requests:
    """Users of whom nothing is known but what they are."""
    return Requests.of(np.asarray(users), np.full(len(users), worlds.START + 60 * worlds.DAY))


def test_it_keeps_the_contract():
    contract.check("recall", TwoTower)


def test_right_items_are_found_though_their_cosines_are_negative(board, towers):
    users = np.arange(board.n_users)
    found = towers.retrieve(asking(users), board.state(), 10)
    right = worlds.colour_of(found.item) == worlds.colour_of(users[found.request])
    assert len(found) == 10 * board.n_users
    assert right.all()
    assert (found["score"] < 0).all()


def test_users_are_told_apart_by_attributes_alone(board, towers):
    found = towers.retrieve(asking([4, 5, -1, 5000]), board.state(), 5)
    assert found.request.tolist() == [0] * 5 + [1] * 5  # nothing is known of the others
    assert worlds.colour_of(found.item).tolist() == [0] * 5 + [1] * 5


def test_every_item_is_a_row_where_so_many_are_asked_for(board, towers):
    gone = Ragged.of(np.zeros(3, int), 1, item=np.array([7, 8, 9], np.int32))
    requests = asking([0]).excluding(gone)
    found = towers.retrieve(requests, board.state(), 1000)
    assert sorted(found.item) == sorted(set(range(board.n_items)) - {7, 8, 9})


def test_what_cannot_be_scored_is_nan(board, towers):
    rows = Candidates(np.array([0, 0, 1], np.uint32), np.array([2, 5000, 2], np.int32))
    score = towers.score(asking([0, -1]), rows, board.state())
    assert np.isnan(score).tolist() == [False, True, True]


def test_similar_items_are_of_one_colour(board, towers):
    found = towers.similar(np.array([6, 7]), 10)
    assert len(found) == 20
    assert worlds.colour_of(found.item).tolist() == [0] * 10 + [1] * 10
