"""The schema: kinds by type, vocabularies, missing and unseen values, lists, the history, and its way through state."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.encode.edges import even_edges
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.encode.schema import Schema
from shortlist.types import HISTORY, Candidates, Ragged, Requests


def table(m=60, seed=0):
    rng = np.random.default_rng(seed)
    history = Ragged.of(
        np.repeat(np.arange(m // 5), 3), m // 5, **{n: np.arange(m // 5 * 3).astype(t) % 7 for n, t in HISTORY.items()}
    )
    requests = Requests.of(np.arange(m // 5) % 4, np.arange(m // 5), history)
    columns = {
        "price": np.where(rng.random(m) < 0.2, np.nan, rng.normal(3, 2, m)).astype(np.float32),
        "colour": np.where(np.arange(m) < 2, 50, rng.integers(-1, 3, m)).astype(np.int32),  # 50 is rare
        "tags": rng.integers(-1, 4, (m, 3)).astype(np.int32),
        "flag": rng.random(m) < 0.5,
    }
    return requests, Candidates(np.repeat(np.arange(m // 5, dtype=np.uint32), 5), np.arange(m, dtype=np.int32), columns)


def learn(requests, rows, names=("price", "colour", "tags", "flag"), **options):
    return learn_schema(list(names), requests, rows, Options(**({"numeric": "standard", "buckets": 20} | options)))


def encoded(schema, requests, rows):
    """The three inputs that every net reads."""
    found = schema.encode(requests, rows)
    return found.rows["numbers"], found.rows["codes"], found.rows["lists"]


def test_kind_follows_from_the_type():
    schema = learn(*table(), history=2)
    assert dict(zip(schema.names.tolist(), schema.kinds.tolist(), strict=True)) == {
        "colour": "category",
        "tags": "list",
        "history": "history",
        "price": "number",
        "flag": "number",
    }
    assert schema.gaps.tolist() == [False, False, False, True, False]


def test_numbers_are_standardised_and_gaps_told():
    requests, rows = table()
    numbers, _, _ = encoded(learn(requests, rows), requests, rows)
    price = rows["price"]
    expected = (price - np.nanmean(price)) / np.nanstd(price)
    np.testing.assert_allclose(numbers[:, 0], np.nan_to_num(expected), atol=1e-5)
    np.testing.assert_array_equal(numbers[:, 2], np.isnan(price))
    assert numbers.shape == (60, 3)  # price, flag, gap of price


def test_rows_of_the_table_are_told_apart_and_rare_values_share_one():
    requests, rows = table()
    schema = learn(requests, rows)
    _, codes, lists = encoded(schema, requests, rows)
    colour = rows["colour"]
    unknown = schema.first[schema.names == "colour"][0]
    assert set(codes[colour == 50, 0]) == {unknown}
    assert len({int(c) for c in codes[:, 0]}) == 5  # -1, 0, 1, 2 and the rare
    for value in (-1, 0, 1, 2):
        assert len(set(codes[colour == value, 0])) == 1
    assert (lists[rows["tags"] < 0] == 0).all()
    assert (lists[rows["tags"] >= 0] > codes.max()).all()
    assert max(codes.max(), lists.max()) < schema.rows


def test_what_training_never_saw_is_out_of_vocabulary():
    requests, rows = table()
    schema = learn(requests, rows, history=3)
    strange = rows.with_columns(
        price=np.full(60, np.inf, np.float32),
        colour=np.full(60, 2**31 - 1, np.int32),
        tags=np.full((60, 3), 999, np.int32),
    )
    numbers, codes, lists = encoded(schema, requests, strange)
    first = dict(zip(schema.names.tolist(), schema.first.tolist(), strict=True))
    assert (numbers[:, 0] == 0).all()
    assert (codes == first["colour"]).all()
    assert (lists[:, :3] == first["tags"]).all()


def test_a_bucket_is_how_many_edges_are_below():
    requests, rows = table()
    schema = learn(requests, rows, numeric="quantile", buckets=4)
    _, codes, _ = encoded(schema, requests, rows)
    price, edges = rows["price"], even_edges(rows["price"], 4)
    at = schema.names.tolist().index("price")
    expected = np.where(np.isnan(price), 0, 1 + (price[:, None] > edges).sum(1))
    np.testing.assert_array_equal(codes[:, at] - schema.first[at], expected)


def test_hashed_columns_have_no_vocabulary():
    requests, rows = table()
    schema = learn(requests, rows, hashed=["tags", "colour"], hash_width=7)
    _, codes, lists = encoded(schema, requests, rows)
    assert schema.rows == 1 + 7 + 7
    assert set(np.unique(codes)) <= set(range(1, 8))
    assert set(np.unique(lists)) <= {0, *range(8, 15)}
    with pytest.raises(InputError, match="hashed: 'price'"):
        learn(requests, rows, hashed=["price"])


def test_history_is_the_last_items_and_may_share_rows_with_a_column():
    requests, rows = table()
    rows = Candidates(rows.request, (rows.item % 7).astype(np.int32), {})
    schema = learn(requests, rows, ["item"], history=2, min_count=1)
    _, codes, lists = encoded(schema, requests, rows)
    past = schema.encode(requests, rows).asked["history"]
    assert schema.rows == 1 + 1 + 7
    assert past.shape == (12, 2)
    assert not lists.size
    row_of = dict(zip(rows.item.tolist(), codes[:, 0].tolist(), strict=True))
    for request in rows.request:
        last = requests.history.row(int(request))["item"][-2:]
        assert past[request].tolist() == [row_of[int(item)] for item in last]
    apart = learn(requests, rows, ["item"], history=2, min_count=1, history_shares="colour")
    assert apart.rows == 1 + 1 + 7 + 1 + 7


def test_a_schema_is_plain_arrays():
    requests, rows = table()
    schema = learn(requests, rows, numeric="piecewise", history=2)
    again = Schema(**schema.state())
    for a, b in zip(encoded(schema, requests, rows), encoded(again, requests, rows), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(isinstance(v, Ragged) or v.dtype != object for v in schema.state().values())


def test_a_batch_of_one_is_a_row_of_the_batch():
    requests, rows = table()
    schema = learn(requests, rows, history=2)
    whole = encoded(schema, requests, rows)
    one = Candidates(np.zeros(1, np.uint32), rows.item[20:21], {n: c[20:21] for n, c in rows.columns.items()})
    alone = encoded(schema, requests.take([4]), one)
    for a, b in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(a[20:21], b)
    past = [schema.encode(*given).asked["history"] for given in ((requests, rows), (requests.take([4]), one))]
    np.testing.assert_array_equal(past[0][4:5], past[1])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": np.zeros((5, 2), np.float32)}, "'x': a list is of integer codes"),
        ({}, "'x' is missing"),
    ],
)
def test_wrong_columns_are_named(columns, message):
    rows = Candidates(np.zeros(5, np.uint32), np.arange(5, dtype=np.int32), columns)
    with pytest.raises(InputError, match=message):
        learn(Requests.of(np.zeros(1), np.zeros(1)), rows, ["x"])


def test_a_list_of_another_length_is_refused():
    requests, rows = table()
    schema = learn(requests, rows)
    with pytest.raises(InputError, match="expected 3 entries a row"):
        schema.encode(requests, rows.with_columns(tags=np.zeros((60, 2), np.int32)))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("price", np.array(["a"] * 60), r"'price': expected one number or code a row, found the type <U1"),
        ("price", np.zeros((60, 2), np.int32), r"'price': expected one number or code a row, found shape \(60, 2\)"),
        ("colour", np.array(["a"] * 60), r"'colour': expected one number or code a row"),
        ("tags", np.full((60, 3), "a"), r"'tags': expected 3 entries a row, integer codes, found .* of <U1"),
    ],
)
def test_a_column_of_another_kind_than_learned_is_refused(column, values, message):
    requests, rows = table()
    for numeric in ("standard", "quantile"):
        schema = learn(requests, rows, numeric=numeric)
        with pytest.raises(InputError, match=message):
            schema.encode(requests, rows.with_columns(**{column: values}))


def test_codes_that_double_precision_confuses_are_to_be_hashed():
    requests, rows = table()
    far = rows.with_columns(colour=2**53 + np.arange(60) % 2)
    with pytest.raises(
        InputError, match=r"'colour': expected codes below 2\^53, found 9007199254740993; put it in hashed"
    ):
        learn(requests, far)
    codes = encoded(learn(requests, far, hashed=["colour"], hash_width=1000), requests, far)[1][:, 0]
    assert len(np.unique(codes)) == 2


def test_a_column_may_not_be_called_as_the_history_is():
    requests, rows = table()
    rows = rows.with_columns(history=np.zeros(60, np.int32))
    learn(requests, rows, ["history"])
    with pytest.raises(InputError, match="history: the last items are a field of that name"):
        learn(requests, rows, ["history"], history=2)


@pytest.mark.parametrize("numeric", ["standard", "quantile", "piecewise"])
def test_what_is_not_finite_is_missing(numeric):
    requests, rows = table()
    price = np.array(rows["price"], np.float32)
    price[::7] = np.nan
    infinite = price.copy()
    infinite[::7] = np.where(np.arange(len(price[::7])) % 2, np.inf, -np.inf)
    gaps, far = rows.with_columns(price=price), rows.with_columns(price=infinite)
    ways = [
        encoded(learn(requests, which, numeric=numeric), requests, each)
        for which in (gaps, far)
        for each in (gaps, far)
    ]
    for way in ways[1:]:
        for a, b in zip(ways[0], way, strict=True):
            np.testing.assert_array_equal(a, b)
