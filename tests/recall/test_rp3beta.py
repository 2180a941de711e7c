"""RP3beta against its definition on dense matrices, and against irspack."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall.rp3beta import RP3Beta
from shortlist.testing import worlds
from shortlist.types import Requests

EVERYTHING = {"neighbours": 1000, "signal": "all", "repeats": "sum"}


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(6, users=25, items=18, events=220)


def definition(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """W [c, c] of a log [n, c], without its diagonal."""
    to_user, to_item = (m / np.maximum(m.sum(axis=1, keepdims=True), 1e-300) for m in (x.T, x))
    w = (to_user**alpha @ np.where(to_item > 0, to_item**alpha, 0)) / x.sum(axis=0) ** beta
    np.fill_diagonal(w, 0)
    return w


def learned_from(channel: RP3Beta, log) -> np.ndarray:
    return log.matrix("all")[:, channel.items_].toarray().astype(np.float64)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (1.0, 0.6), (0.5, 0.6), (1.7, 0.2)])
def test_as_defined(log, alpha, beta):
    channel = RP3Beta(alpha=alpha, beta=beta, **EVERYTHING).fit(log)
    assert channel.table_.toarray() == pytest.approx(definition(learned_from(channel, log), alpha, beta), rel=1e-5)


def test_the_largest_of_each_row_are_kept_best_first(log):
    channel = RP3Beta(alpha=0.8, beta=0.9, **{**EVERYTHING, "neighbours": 3}).fit(log)
    w = definition(learned_from(channel, log), 0.8, 0.9)
    for j in range(len(w)):
        row = channel.table_[j]
        assert row.indices.tolist() == np.argsort(-w[j], kind="stable")[: row.nnz].tolist()
        assert row.data == pytest.approx(w[j][row.indices], rel=1e-5)


def test_normalised_rows_sum_to_one(log):
    channel = RP3Beta(normalise=True, **{**EVERYTHING, "neighbours": 3}).fit(log)
    plain = RP3Beta(**{**EVERYTHING, "neighbours": 3}).fit(log)
    assert np.asarray(channel.table_.sum(axis=1)).ravel() == pytest.approx(1.0)
    assert channel.table_.indices.tolist() == plain.table_.indices.tolist()


def test_the_history_is_the_first_step(log):
    channel = RP3Beta(alpha=0.5, half_life=2, **EVERYTHING).fit(log)
    last = int(log.events.time[-1])
    requests = Requests.of([4], [last], log.state().history(np.array([4]), np.array([last])))
    found = channel.retrieve(requests, log.state(), 5)
    offsets, columns, weights = channel._taken(requests)
    assert offsets[1] > 2
    assert len(np.unique(weights)) > 1
    wanted = np.sqrt(weights) @ channel.table_.toarray()[columns]
    assert found["score"] == pytest.approx(np.sort(wanted)[::-1][:5], rel=1e-5)


def test_items_that_are_merely_old_are_not_penalised_as_rare():
    user, item = np.array([0, 0, 1, 1, 2, 2, 3, 3]), np.array([0, 1, 0, 1, 0, 2, 0, 2])
    data = worlds.dataset(user, item, np.array([0, 0, 1, 1, 98, 98, 99, 99]))
    channel = RP3Beta(alpha=1.0, beta=1.0, log_half_life=10, **EVERYTHING).fit(data)
    w = channel.table_.toarray()
    assert w[0, 2] > 100 * w[0, 1] > 0  # as popular, but of long ago


def test_as_irspack(log):
    recommenders = pytest.importorskip("irspack.recommenders")
    channel = RP3Beta(alpha=1.0, beta=0.6, **EVERYTHING).fit(log)
    peer = recommenders.RP3betaRecommender(
        log.matrix("all")[:, channel.items_].astype(np.float64), alpha=1, beta=0.6, n_threads=1
    )
    peer.learn()
    w = peer._W.toarray()
    np.fill_diagonal(w, 0)  # what irspack keeps there speaks only for items already taken
    assert channel.table_.toarray() == pytest.approx(w, rel=1e-4)
