"""Made-up tables with numbers, categories, gaps and a rule behind the label."""

from __future__ import annotations

import numpy as np

from shortlist.types import Candidates, Requests, Samples


def made_up(m=2000, seed=0, per_request=10):
    """Samples whose label follows ``a``, the gap of ``b`` and whether ``kind`` is odd."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=m).astype(np.float32)
    b = np.where(rng.random(m) < 0.2, np.nan, rng.exponential(size=m)).astype(np.float32)
    kind = rng.integers(-1, 40, m).astype(np.int32)
    z = 1.5 * a - np.isnan(b) + np.where(kind % 2, 1.0, -1.0) + np.where(b > 1, a, 0)
    label = (rng.random(m) < 1 / (1 + np.exp(-z))).astype(np.float32)
    n = m // per_request
    request = np.repeat(np.arange(n, dtype=np.uint32), per_request)
    rows = Candidates(request, np.arange(m, dtype=np.int32), {"a": a, "b": b, "kind": kind})
    requests = Requests.of(np.zeros(n, np.int32), np.arange(n))
    return Samples(requests, rows, {"click": label}, np.ones(m, np.float32))


def score(ranker, samples):
    return ranker.score(samples.requests, samples.candidates)["score"]


def auc(samples, scores):
    """Share of (positive, negative) pairs in the right order, by the definition."""
    y = samples.labels["click"] > 0
    return (scores[y][:, None] > scores[~y][None, :]).mean()
