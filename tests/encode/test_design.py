"""The design matrix against its definition in numpy, one column at a time."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.encode import _fields as kernel
from shortlist.encode._encoder import known_values, quantile_edges
from shortlist.encode.design import Design

NAMES = np.array(["price", "colour", "age"])
CODES = np.array([False, True, False])


def table(m, seed):
    rng = np.random.default_rng(seed)
    price = np.where(rng.random(m) < 0.2, np.nan, rng.exponential(size=m))
    return np.column_stack([price, rng.integers(-1, 9, m), rng.integers(18, 60, m)])


def one_hot(codes, width):
    """Row r is the unit vector of its code."""
    return np.eye(width)[codes]


def category(values, known):
    """1 + the place of each value among the known, 0 where it is not there."""
    return np.array([1 + known.tolist().index(v) if v in known else 0 for v in values])


def bucket(values, edges):
    """1 + the edges below each value, 0 where it is missing."""
    return np.where(np.isnan(values), 0, 1 + (values[:, None] > edges).sum(1))


def standardised(values, train):
    seen = train[np.isfinite(train)]
    return np.where(np.isfinite(values), (values - seen.mean()) / seen.std(), 0)[:, None]


def expected(train, x, min_pairs):
    """Price: number, whether it is missing, 7 buckets; colour: one-hot; age: number, buckets; colour × age."""
    price, colour, age = x.T
    known = known_values(train[:, 1], 5)
    by_price, by_age, coarse = (
        quantile_edges(train[:, column], buckets) for column, buckets in ((0, 7), (2, 7), (2, 4))
    )

    def pairs(rows):
        return category(rows[:, 1], known) * (len(coarse) + 2) + bucket(rows[:, 2], coarse)

    frequent = known_values(pairs(train), min_pairs)
    return np.hstack(
        [
            standardised(price, train[:, 0]),
            np.isnan(price)[:, None],
            one_hot(bucket(price, by_price), len(by_price) + 2),
            one_hot(category(colour, known), len(known) + 1),
            standardised(age, train[:, 2]),
            one_hot(bucket(age, by_age), len(by_age) + 2),
            one_hot(category(pairs(x), frequent), len(frequent) + 1),
        ]
    )


def test_the_matrix_is_its_definition_column_by_column():
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


def test_numbers_apart_from_one_hot_columns_are_the_same_entries():
    train, x = table(400, 0), table(200, 1)
    design = Design(buckets=7, crosses=[("colour", "age"), ("price", "colour")], cross_min_count=8)
    apart = design.fit(train, NAMES, CODES).apart()
    columns, values = apart.transform(np.ascontiguousarray(x.T))
    got = np.zeros((200, design.width_))
    got[:, apart.own] = values
    np.put_along_axis(got, columns.astype(int), 1, axis=1)
    np.testing.assert_array_equal(got, design.matrix(x).toarray())


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


@pytest.mark.parametrize("rows", [0, 1, 50, 300])
def test_weighted_sum_is_the_product_with_the_matrix(rows):
    design = Design(buckets=5, crosses="all", cross_min_count=1).fit(table(50, 3), NAMES, CODES)
    x, weights = table(rows, 4), np.random.default_rng(0).normal(size=design.width_)
    out = np.empty(rows)
    kernel.weighted(*design.transform(x), weights, 0.5, out)
    np.testing.assert_allclose(out, design.matrix(x) @ weights + 0.5, atol=1e-12)
    np.testing.assert_allclose(design.weighted(x, weights, 0.5), out, atol=1e-12)


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
