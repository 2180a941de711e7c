"""Fold-in and explanation, which svd, als and lfm share."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shortlist.recall._kernels.least_squares import solve
from shortlist.recall.als import ALS
from shortlist.recall.lfm import LFM
from shortlist.recall.svd import SVD
from shortlist.testing import worlds
from shortlist.types import Requests

CHANNELS = [SVD(factors=4, scaling=0.5), ALS(factors=4, regularisation=1.0), LFM(factors=4, epochs=5)]


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(6, users=30, items=20, events=250, unknown=0.0)


def asking(data, users) -> Requests:
    users = np.asarray(users)
    times = np.full(len(users), data.events.time[-1])
    return Requests.of(users, times, data.state().history(users, times))


@pytest.mark.parametrize("threads", [1, 3])
def test_solver_finds_the_solution_of_each_row(threads: int):
    rng = np.random.default_rng(0)
    rows = sp.random(7, 12, 0.4, format="csr", dtype=np.float32, rng=rng)
    q = rng.standard_normal((12, 5)).astype(np.float32)
    gram = (q.T @ q + np.eye(5)).astype(np.float32)
    x = rng.standard_normal((7, 5)).astype(np.float32)
    solve(rows.indptr, rows.indices, rows.data, 1 + rows.data, q, gram, x, 30, 1e-12, threads)
    for r in range(7):
        own = q[rows[r].indices]
        system = gram + (own.T * rows[r].data) @ own
        assert x[r] == pytest.approx(np.linalg.solve(system, own.T @ (1 + rows[r].data)), abs=1e-4)


@pytest.mark.parametrize("channel", CHANNELS, ids=["svd", "als", "lfm"])
def test_the_terms_of_the_history_sum_to_the_score_and_the_largest_is_the_reason(channel, log):
    channel = channel.fit(log)
    requests = asking(log, np.arange(30))
    found = channel.retrieve(requests, log.state(), 5)
    reasons = channel.explain(requests, found)
    offsets, columns, _ = taken = channel._taken(requests)
    a, b = channel._evidence(taken)
    for m in range(len(found)):
        own = slice(offsets[found.request[m]], offsets[found.request[m] + 1])
        q = channel.table_[columns[own]].T
        system = channel.gram_ + (q * a[own]) @ q.T
        terms = b[own] * (q.T @ np.linalg.inv(system) @ channel.table_[channel.column_[found.item[m]]])
        assert terms.sum() == pytest.approx(found["score"][m], abs=2e-3)
        assert reasons[m] == channel.items_[columns[own][terms.argmax()]]


@pytest.mark.parametrize("channel", CHANNELS, ids=["svd", "als", "lfm"])
def test_similar_is_the_cosine_of_item_vectors(channel, log):
    channel = channel.fit(log)
    found = channel.similar(np.array([-1, 99, int(channel.items_[2])]), 3)
    unit = channel.table_ / np.linalg.norm(channel.table_, axis=1, keepdims=True)
    cosine = unit @ unit[2]
    cosine[2] = -1
    best = np.argsort(-cosine)[: len(found)]
    assert found.request.tolist() == [2] * len(found)
    assert found.item.tolist() == channel.items_[best].tolist()
    assert found["score"] == pytest.approx(cosine[best], abs=1e-5)
