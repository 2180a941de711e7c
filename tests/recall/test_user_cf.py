"""UserCF against the dense formula."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall.user_cf import UserCF
from shortlist.testing import worlds
from shortlist.types import Requests


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(5, users=20, items=15, events=160, unknown=0.0)


def asking(data, users) -> Requests:
    users = np.asarray(users)
    times = np.full(len(users), data.events.time[-1])
    return Requests.of(users, times, data.state().history(users, times))


def plain(
    channel: UserCF, x: np.ndarray, compared: np.ndarray, w: np.ndarray, user: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores [c] and the share of each history item in each score [c, c]; ``compared``: where x counts as in common."""
    taken = (x > 0).sum(axis=0)
    b = 1 / np.log1p(taken) if channel.inverse_item_frequency else np.ones(x.shape[1])
    norm = np.linalg.norm(w) * np.linalg.norm(x, axis=1) + channel.shrinkage
    shares = w * b * x / np.where(norm > 0, norm, 1)[:, None]  # [users, c]
    s = (shares * compared).sum(axis=1)
    s[[v for v in range(len(x)) if v == user or s[v] <= 0]] = 0
    near = [v for v in np.lexsort((np.arange(len(s)), -s.astype(np.float32)))[: channel.neighbours] if s[v] > 0]
    return s[near] @ x[near], shares[near].T @ x[near]


def latest_users(data, channel: UserCF) -> np.ndarray:
    """[n_users, c]: whether the user is among the latest ``max_users`` of the item, ties by the lower code."""
    out = np.zeros((data.n_users, len(channel.items_)), bool)
    events = data.events
    for c, item in enumerate(channel.items_):
        last: dict[int, int] = {}
        mine = (events.item == item) & (events.user >= 0)
        for u, t in zip(events.user[mine].tolist(), events.time[mine].tolist(), strict=True):
            last[u] = t
        out[sorted(last, key=lambda u: (-last[u], u))[: channel.max_users], c] = True
    return out


@pytest.mark.parametrize(
    "options",
    [{}, {"inverse_item_frequency": False}, {"shrinkage": 3.0, "neighbours": 100}, {"max_users": 3}, {"max_users": 7}],
)
def test_matches_the_formula(log, options):
    channel = UserCF(**{"neighbours": 4, "signal": "all", "repeats": "sum"} | options).fit(log)
    x = log.matrix("all").toarray()[:, channel.items_].astype(np.float64)
    requests = asking(log, np.arange(20))
    found = channel.retrieve(requests, log.state(), 50)
    why = channel.explain(requests, found)
    compared = latest_users(log, channel)
    for u in range(20):
        scores, shares = plain(channel, x, compared, x[u], u)
        rows = found.request == u
        columns = channel.column_[found.item[rows]]
        assert set(columns) == set(np.flatnonzero(scores > 1e-9))
        assert found["score"][rows] == pytest.approx(scores[columns], rel=1e-4)
        chosen = shares[channel.column_[why[rows]], columns]
        assert chosen == pytest.approx(shares[:, columns].max(axis=0), rel=1e-4)


@pytest.mark.parametrize("max_users", [3, 1000])
def test_items_are_alike_whose_takers_are(log, max_users):
    channel = UserCF(signal="all", repeats="sum", max_users=max_users).fit(log)
    x = log.matrix("all").toarray()[:, channel.items_].astype(np.float64)
    norms = np.linalg.norm(x, axis=0)
    cosine = (x * latest_users(log, channel)).T @ x / np.outer(norms, norms)
    found = channel.similar(np.append(channel.items_, [9999, -1]), 5)
    for c, item in enumerate(channel.items_):
        rows = found.request == c
        others = np.delete(cosine[c], c)
        assert item not in found.item[rows]
        assert found["score"][rows] == pytest.approx(-np.sort(-others[others > 0])[:5], rel=1e-5)
        assert found["score"][rows] == pytest.approx(cosine[c, channel.column_[found.item[rows]]], rel=1e-5)
    assert found.request.max() < len(channel.items_)


def test_a_stranger_with_the_history_of_a_known_user_gets_that_users_neighbourhood(log):
    channel = UserCF(neighbours=1).fit(log)
    requests = asking(log, [3])
    stranger = Requests.of([-1], requests.time, requests.history)
    found = channel.retrieve(stranger, log.state(), 50)
    x = log.matrix()
    assert set(found.item) == set(x[3].indices)  # the nearest user is user 3; asked as user 3 it would be another
    assert set(channel.retrieve(requests, log.state(), 50).item) != set(x[3].indices)
