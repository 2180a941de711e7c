"""Closeness against a dense co-occurrence matrix."""

import numpy as np
import pytest

from .conftest import ITEMS, USERS, make


def cosines(data, length, window, signal):
    sequences = data.sequences(length, signal)
    n, pairs = np.zeros(ITEMS), np.zeros((ITEMS, ITEMS))
    for u in range(USERS):
        items = sequences.row(u)["item"].tolist()
        for i in set(items):
            n[i] += 1
            at = items.index(i)
            near = items if window is None else items[max(0, at - window) : at + window + 1]
            for j in set(near) - {i}:
                pairs[i, j] += 1
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(pairs / np.sqrt(np.outer(n, n)))


@pytest.mark.parametrize(("window", "keep", "positive"), [(None, 100, False), (2, 100, True), (None, 4, False)])
def test_closeness(world, window, keep, positive):
    feature = make("neighbours", window=window, neighbours=keep, positive=positive, length=20, last=[1, 4]).fit(
        world.data
    )
    columns = world.columns(feature)
    near = cosines(world.data, 20, window, "positive")
    kept = np.diff(feature.starts_)
    np.testing.assert_array_equal(kept, np.minimum((near > 0).sum(1), keep))
    if keep < ITEMS:  # the nearest are kept, whichever of equals
        for i in range(ITEMS):
            own = feature.cosine_[feature.starts_[i] : feature.starts_[i + 1]]
            np.testing.assert_allclose(np.sort(own), np.sort(near[i])[ITEMS - len(own) :], rtol=1e-6)
            mask = np.zeros(ITEMS, bool)
            mask[feature.codes_[feature.starts_[i] : feature.starts_[i + 1]]] = True
            near[i, ~mask] = 0
    np.fill_diagonal(near, 1)
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        h = world.requests.history.row(int(q))
        chosen = h["item"][(h["weight"] > 0) | (not positive)][::-1]
        for k in (1, 4):
            got = columns[f"neighbours.max.{k}"][r], columns[f"neighbours.mean.{k}"][r]
            if i >= ITEMS or not len(chosen):
                assert np.isnan(got).all()
            else:
                own = near[chosen[:k], i]
                np.testing.assert_allclose(got, (own.max(), own.mean()), rtol=1e-5)
