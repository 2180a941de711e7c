"""What features make of items' own vectors."""

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.data import Dense

from .conftest import DAY, ITEMS, make

D = 3


@pytest.fixture
def told(world):
    """The world, its items with vectors, every fifth without."""
    rng = np.random.default_rng(5)
    known = np.arange(ITEMS) % 5 > 0
    values = np.where(known[:, None], rng.normal(size=(ITEMS, D)), 0).astype(np.float32)
    table = replace(
        world.data.items, kinds={**world.data.items.kinds, "emb": "vector"}, vectors={"emb": Dense(values, known)}
    )
    data = replace(world.data, items=table)
    return replace(world, data=data, state=data.state()), values, known


def cosine(a, b):
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / size if size > 0 else np.nan


def test_affinity_is_the_cosine_with_the_faded_sum_of_what_was_liked(told):
    world, values, _ = told
    feature = make("affinity", columns=["emb"], half_life="5d").fit(world.data)
    column = world.columns(feature)["affinity.emb.cosine"]
    assert list(world.columns(feature)) == ["affinity.emb.cosine"]
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        h = world.requests.history.row(int(q))
        liked = np.zeros(D)
        for item, weight, time in zip(h["item"], h["weight"], h["time"], strict=True):
            size = np.linalg.norm(values[item]) if item < ITEMS else 0
            if size > 0:
                liked += weight * 0.5 ** ((h["time"][-1] - time) / (5 * DAY)) * values[item] / size
        expected = cosine(liked, values[i]) if i < ITEMS else np.nan
        np.testing.assert_allclose(column[r], expected, rtol=1e-4, atol=1e-5)
    assert np.isfinite(column).mean() > 0.3


def test_neighbours_are_compared_by_vectors_too(told):
    world, values, known = told
    feature = make("neighbours", vector="emb", last=[1, 4]).fit(world.data)
    columns = world.columns(feature)
    finite = 0
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        items = world.requests.history.row(int(q))["item"][::-1]
        for k in (1, 4):
            near = [
                cosine(values[j], values[i]) for j in items[:k] if j < ITEMS and known[j] and i < ITEMS and known[i]
            ]
            best, mean = (max(near), np.mean(near)) if near else (np.nan, np.nan)
            np.testing.assert_allclose(columns[f"neighbours.vector.max.{k}"][r], best, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(columns[f"neighbours.vector.mean.{k}"][r], mean, rtol=1e-4, atol=1e-5)
            finite += bool(near)
    assert finite > 20


def test_an_attribute_that_is_no_vector_is_refused(world):
    with pytest.raises(InputError, match=r"features.neighbours.vector: 'brand' is no vector"):
        make("neighbours", vector="brand").fit(world.data)
    with pytest.raises(InputError, match="no attribute 'nothing'"):
        make("neighbours", vector="nothing").fit(world.data)
