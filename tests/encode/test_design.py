"""The design matrix against the encoders it is made of, one column at a time."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shortlist.component import InputError
from shortlist.encode import _fields as kernel
from shortlist.encode._encoder import codes_of, known_values
from shortlist.encode.design import Design
from shortlist.encode.one_hot import OneHot
from shortlist.encode.quantile import Quantile
from shortlist.encode.standardise import Standardise

NAMES = np.array(["price", "colour", "age"])
CODES = np.array([False, True, False])


def table(m, seed):
    rng = np.random.default_rng(seed)
    price = np.where(rng.random(m) < 0.2, np.nan, rng.exponential(size=m))
    return np.column_stack([price, rng.integers(-1, 9, m), rng.integers(18, 60, m)])


def one_hot(codes, width):
    return sp.csr_matrix((np.ones(len(codes)), codes, np.arange(len(codes) + 1)), shape=(len(codes), width))


def expected(train, x, min_pairs):
    """The same matrix by the encoders, in numpy."""
    colour = OneHot(min_count=5).fit(train[:, 1])
    blocks = []
    for column in (0, 1, 2):
        if column == 1:
            blocks.append(colour.transform(x[:, 1]))
            continue
        blocks.append(sp.csr_matrix(Standardise().fit(train[:, column]).transform(x[:, column])[:, None]))
        if column == 0:
            blocks.append(sp.csr_matrix(np.isnan(x[:, 0]).astype(float)[:, None]))
        buckets = Quantile(buckets=7).fit(train[:, column])
        blocks.append(one_hot(buckets.transform(x[:, column]), buckets.width))
    buckets = Quantile(buckets=4).fit(train[:, 2])

    def pairs(rows):
        return codes_of(rows[:, 1], colour.known_) * buckets.width + buckets.transform(rows[:, 2])

    known = known_values(pairs(train), min_pairs)
    blocks.append(one_hot(codes_of(pairs(x), known), len(known) + 1))
    return sp.hstack(blocks).toarray()


def test_the_matrix_is_what_the_encoders_give_side_by_side():
    train, x = table(400, 0), table(200, 1)
    x[0] = [np.inf, 99, -5]
    design = Design(buckets=7, crosses=[("colour", "age")], cross_buckets=4, cross_min_count=8)
    design.fit(train, NAMES, CODES)
    again = Design.restore(design.config(), design.state())
    got = again.matrix(x).toarray()
    assert got.shape == (200, design.width_)
    np.testing.assert_allclose(got, expected(train, x, 8), atol=1e-6)
    columns, _ = design.transform(x)
    assert (columns[:, -1] >= design.width_ - design.crossed().sum()).all()  # crosses come last
    assert 0 < design.crossed().sum() < design.width_


def test_crosses_of_all_pairs_are_the_pairs_one_by_one():
    train = table(300, 2)
    every = Design(crosses="all").fit(train, NAMES, CODES)
    listed = [("price", "colour"), ("price", "age"), ("colour", "age")]
    assert (every.matrix(train) != Design(crosses=listed).fit(train, NAMES, CODES).matrix(train)).nnz == 0


def test_an_unknown_cross_is_named():
    with pytest.raises(InputError, match="crosses: no column 'size'; there are price, colour, age"):
        Design(crosses=[("size", "age")]).fit(table(10, 0), NAMES, CODES)


def test_scoring_rows_do_not_change_what_was_learned():
    design = Design(buckets=5).fit(table(100, 0), NAMES, CODES)
    before = {name: array.copy() for name, array in design.state().items()}
    design.transform(table(100, 5) * 10)
    assert all((design.state()[name] == array).all() for name, array in before.items())


def test_weighted_sum_is_the_product_with_the_matrix():
    x = table(50, 3)
    design = Design(buckets=5).fit(x, NAMES, CODES)
    weights = np.random.default_rng(0).normal(size=design.width_)
    out = np.empty(50)
    kernel.weighted(*design.transform(x), weights, 0.5, out)
    np.testing.assert_allclose(out, design.matrix(x) @ weights + 0.5, atol=1e-12)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 24, 25, 63, 64, 1000, 1023])
def test_places_are_those_of_a_sorted_search(size):
    rng = np.random.default_rng(size)
    table = np.sort(rng.integers(0, 500, size + 20)).astype(np.float64)
    cells = np.concatenate([rng.integers(-3, 503, 300), [np.inf, -np.inf]]).astype(np.float64)
    out = np.empty(len(cells), np.int64)
    kernel.place(table, 11, 11 + size, cells, out)
    assert out.tolist() == np.searchsorted(table[11 : 11 + size], cells, side="left").tolist()
    kernel.place(table, 11, 11 + size, np.full(len(cells), np.nan), out)
    assert not out.any()
