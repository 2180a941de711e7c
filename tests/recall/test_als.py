"""ALS against the normal equations of its loss."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall.als import ALS
from shortlist.testing import worlds


def plain(x: np.ndarray, channel: ALS, steps: int) -> float:
    """The loss after ``steps`` exact alternations from the same start."""
    rng = np.random.default_rng(channel.seed)
    p, q = (0.01 * rng.standard_normal((n, channel.factors), np.float32).astype(np.float64) for n in x.shape)
    ridge = channel.regularisation * np.eye(channel.factors)
    c = 1 + channel.alpha * x
    for _ in range(steps):
        p = np.array([np.linalg.solve((q.T * c[u]) @ q + ridge, q.T @ (c[u] * (x[u] > 0))) for u in range(len(p))])
        q = np.array(
            [np.linalg.solve((p.T * c[:, i]) @ p + ridge, p.T @ (c[:, i] * (x[:, i] > 0))) for i in range(len(q))]
        )
    return loss(x, p, q, channel)


def loss(x: np.ndarray, p: np.ndarray, q: np.ndarray, channel: ALS) -> float:
    squared = (1 + channel.alpha * x) * ((x > 0) - p @ q.T) ** 2
    return squared.sum() + channel.regularisation * ((p**2).sum() + (q**2).sum())


def test_reaches_the_loss_of_exact_alternation():
    data = worlds.random_log(8, users=40, items=25, events=400)
    channel = ALS(factors=5, regularisation=2.0, alpha=4.0, iterations=30).fit(data)
    log = channel._matrix(data)
    log = log[np.diff(log.indptr) > 0]
    x = log.toarray().astype(np.float64)
    p = channel._fold_in(Sparse.of(log))
    assert loss(x, p, channel.table_, channel) == pytest.approx(plain(x, channel, 30), rel=5e-3)


def test_threads_do_not_change_the_result():
    data = worlds.checkerboard()
    one, three = (ALS(factors=8, threads=t, iterations=3).fit(data).table_ for t in (1, 3))
    assert np.array_equal(one, three)


@pytest.mark.parametrize("events", [60, 400, 4000])
def test_by_default_the_ridge_is_of_the_logs_own_size(events: int):
    """The root mean square of the singular values of c_ui t_ui, below the largest: so the vectors never vanish."""
    data = worlds.random_log(8, users=60, items=25, events=events)
    channel = ALS(factors=5).fit(data)
    x = channel._matrix(data).toarray().astype(np.float64)
    values = np.linalg.svd((x > 0) * (1 + channel.alpha * x), compute_uv=False)
    assert channel.ridge_ == pytest.approx(np.sqrt((values**2).mean()), rel=1e-5)
    assert np.abs(channel.table_).max() > 0.1
    assert ALS(factors=5, regularisation=30.0).fit(data).ridge_ == 30
    gone = ALS(factors=5, regularisation=1.5 * values[0], iterations=30).fit(data)
    assert np.abs(gone.table_).max() < 0.01


def test_folding_in_solves_the_stated_equations():
    """p = (Qᵀ C Q + λI)⁻¹ Qᵀ C t with c_j = 1 + α w_j of the history and 1 elsewhere, t_j = 1 and 0."""
    data = worlds.random_log(8, users=40, items=25, events=400)
    channel = ALS(factors=3, regularisation=2.0, alpha=4.0, iterations=2).fit(data)
    w = np.zeros(len(channel.items_))
    w[[1, 4, 7]] = 0.25, 1, 3
    p = channel._fold_in(Sparse(np.array([0, 3]), np.flatnonzero(w).astype(np.int32), w[w > 0].astype(np.float32)))[0]
    q, c = channel.table_.astype(np.float64), 1 + 4 * w
    assert p == pytest.approx(np.linalg.solve((q.T * c) @ q + 2 * np.eye(3), q.T @ (c * (w > 0))), abs=1e-4)
