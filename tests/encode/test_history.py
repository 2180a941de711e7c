"""Histories: what their entries carry, windows, whose vectors they use, and that a request's stands there once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.encode.edges import even_edges
from shortlist.encode.history import Window, entries, last
from shortlist.encode.inputs import Inputs
from shortlist.encode.learn import learn_schema
from shortlist.encode.options import Options
from shortlist.encode.schema import Schema
from shortlist.types import HISTORY, Candidates, Ragged, Requests

HOUR = 3_600_000_000
BRAND = np.array([3, 3, 5, -1, 5, 7], np.int32)  # of items 0 to 5


def asked(n=40, seed=0, items=8):
    """Requests with 0 to 6 events, and three rows each."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 7, n)
    rows = np.repeat(np.arange(n), lengths)
    time = 100 * HOUR + np.arange(n) * HOUR
    past = {name: np.zeros(len(rows), dtype) for name, dtype in HISTORY.items()}
    past["item"] = rng.integers(0, items, len(rows)).astype(np.int32)
    past["event"] = rng.integers(0, 3, len(rows)).astype(np.int16)
    past["value"] = np.where(rng.random(len(rows)) < 0.3, np.nan, rng.integers(1, 6, len(rows))).astype(np.float32)
    age = rng.integers(1, 90, len(rows)) * HOUR
    order = np.lexsort((-age, rows))
    past["time"] = time[rows] - age[order]
    requests = Requests.of(np.zeros(n), time, Ragged.of(rows, n, **past))
    m = 3 * n
    brand = rng.choice(BRAND, m).astype(np.int32)
    item = rng.integers(0, items, m).astype(np.int32)
    return requests, Candidates(np.repeat(np.arange(n, dtype=np.uint32), 3), item, {"brand": brand})


class Two(Options):
    """A short window and a long one."""

    def windows(self):
        """What was seen within a day, and the last six whenever that was."""
        carried = ("event", "value", "age", "brand")
        return [Window("now", 3, ("event",), within=24 * HOUR), Window("ever", 6, carried)]


def learned(options, names=("item", "brand")):
    requests, rows = asked()
    return learn_schema(names, requests, rows, options, {"brand": BRAND}), requests, rows


def test_last_items_are_padded_on_the_left():
    requests = Requests.of(np.zeros(3), np.zeros(3), Ragged(np.array([0, 0, 1, 4]), {
        name: np.array([5, 6, 7, 8]).astype(dtype) for name, dtype in HISTORY.items()}))  # fmt: skip
    assert entries(requests, "", *last(requests, 2)).tolist() == [[-1, -1], [-1, 5], [7, 8]]
    nobody = Requests.of(np.zeros(2), np.zeros(2))
    for within in (None, HOUR):
        assert entries(nobody, "", *last(nobody, 2, within)).tolist() == [[-1, -1], [-1, -1]]


def test_entries_are_codes_of_item_behaviour_value_age_and_attribute():
    """Against one entry after the other, by the definition."""
    options = Two(min_count=1, buckets=4)
    schema, requests, _ = learned(options)
    found = schema.histories(requests)
    assert list(found) == ["now", "now.event", "ever", "ever.event", "ever.value", "ever.age", "ever.brand"]
    first = dict(zip(schema.names.tolist(), schema.first.tolist(), strict=True))
    known = {name: schema.table.row(f)["value"].tolist() for f, name in enumerate(schema.names.tolist())}

    def code(field, value):
        return first[field] + (known[field].index(value) + 1 if value in known[field] else 0)

    def bucket(field, value):
        return first[field] + (0 if np.isnan(value) else 1 + sum(value > edge for edge in known[field]))

    for window in options.windows():
        for r in range(len(requests)):
            past = [dict(zip(HISTORY, event, strict=True)) for event in
                    zip(*(requests.history.row(r)[name] for name in HISTORY), strict=True)]  # fmt: skip
            past = past[-window.length :]
            past = [e for e in past if window.within is None or requests.time[r] - e["time"] <= window.within]
            expected = {window.name: [code(window.name, e["item"]) for e in past]}
            expected[f"{window.name}.event"] = [code(f"{window.name}.event", e["event"]) for e in past]
            if window.name == "ever":
                expected["ever.value"] = [bucket("ever.value", e["value"]) for e in past]
                expected["ever.age"] = [bucket("ever.age", float(requests.time[r] - e["time"])) for e in past]
                expected["ever.brand"] = [
                    code("ever.brand", BRAND[e["item"]]) if e["item"] < 6 else first["ever.brand"] for e in past
                ]
            for field, codes in expected.items():
                padding = [0] * (window.length - len(codes))
                assert found[field][r].tolist() == padding + codes, (field, r)
    assert (found["now"] > 0).sum() < (found["ever"] > 0).sum()
    ages = (requests.time[requests.history.rows] - requests.history["time"]).astype(float)
    np.testing.assert_array_equal(schema.table.row(schema.names.tolist().index("ever.age"))["value"],
                                  even_edges(ages, 4))  # fmt: skip


def test_items_and_attributes_use_the_vectors_of_the_targets_columns():
    schema, requests, rows = learned(Two(min_count=1))
    read = schema.encode(requests, rows)
    item, brand = (read.rows["codes"][:, schema.coded(name)] for name in ("item", "brand"))
    row_of = dict(zip(rows.item.tolist(), item.tolist(), strict=True))
    of_brand = dict(zip(rows["brand"].tolist(), brand.tolist(), strict=True))
    last_item = requests.history["item"][requests.history.offsets[1:] - 1]
    some = requests.history.lengths > 0
    assert read.asked["ever"][some, -1].tolist() == [row_of[i] for i in last_item[some].tolist()]
    seen = some & (last_item < 6)
    assert read.asked["ever.brand"][seen, -1].tolist() == [of_brand[int(BRAND[i])] for i in last_item[seen]]
    apart, _, _ = learned(Two(min_count=1), names=["brand"])  # no column of items: the two windows still share theirs
    first = dict(zip(apart.names.tolist(), apart.first.tolist(), strict=True))
    assert first["now"] == first["ever"] != first["brand"] == first["ever.brand"]


def test_a_column_of_numbers_has_no_vectors_to_share():
    requests, rows = asked()
    rows = rows.with_columns(price=np.linspace(0, 1, len(rows), dtype=np.float32))
    schema = learn_schema(["price"], requests, rows, Options(history=3, history_shares="price", min_count=1))
    first = dict(zip(schema.names.tolist(), schema.first.tolist(), strict=True))
    assert first["history"] != first["price"]
    rows_read = schema.encode(requests, rows).asked["history"]
    assert len(np.unique(rows_read[rows_read > 0])) == len(np.unique(requests.history["item"]))


def test_a_request_s_history_stands_there_once():
    """Of a request with 20,000 rows, however many rows are encoded."""
    requests, rows = asked(2)
    schema = learn_schema(["item"], requests, rows, Options(history=50, history_carries=["event", "age"]))
    m = 20_000
    many = Candidates(np.repeat(np.arange(2, dtype=np.uint32), m // 2), np.zeros(m, np.int32), {})
    schema.encode(requests, many)
    tracemalloc.start()
    read = schema.encode(requests, many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(array.nbytes for array in read.asked.values()) == 3 * 2 * 50 * 4
    assert sum(array.nbytes for array in read.named().values()) <= m * (4 + 8) + 1200
    assert peak < m * 50 * 4  # one copy of one field for each row would be as much


def test_a_part_has_the_requests_of_its_rows():
    requests, rows = asked()
    schema = learn_schema(["item"], requests, rows, Options(history=4, min_count=1))
    whole = schema.encode(requests, rows)
    for start, end in ((0, 1), (4, 11), (100, 120), (60, 60)):
        part = whole.part(start, end)
        assert len(part) == end - start
        np.testing.assert_array_equal(
            part.asked["history"][part.request], whole.asked["history"][whole.request[start:end]]
        )
        assert start == end or len(part.asked["history"]) <= (end - start) // 3 + 2
    assert list(whole.named()) == ["numbers", "codes", "lists", "history", "request"]
    assert "request" not in Inputs(whole.rows).named()


def test_a_schema_with_windows_is_plain_arrays():
    schema, requests, _ = learned(Two(min_count=1))
    state = schema.state()
    assert state["within"].tolist().count(24 * HOUR) == 2
    again = Schema(**state)
    for name, codes in schema.histories(requests).items():
        np.testing.assert_array_equal(again.histories(requests)[name], codes)
    assert not {"within", "looked"} & set(learned(Options(history=3))[0].state())


def test_new_items_behaviours_and_attributes_are_out_of_vocabulary():
    schema, requests, _ = learned(Two(min_count=1))
    past = requests.history
    columns = {**{name: past[name] for name in HISTORY}, "item": past["item"] + 1000, "event": past["event"] + 50}
    strange = Requests.of(requests.user, requests.time, Ragged(past.offsets, columns))
    first = dict(zip(schema.names.tolist(), schema.first.tolist(), strict=True))
    for name in ("ever", "ever.event", "ever.brand"):
        codes = schema.histories(strange)[name]
        assert set(codes[codes > 0].tolist()) == {first[name]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            Options(history=2, history_carries=["price"]),
            "history: its entries cannot carry 'price'; there are event",
        ),
        (Options(history=2, history_carries=["age"], hashed=["history.age"]), "hashed: 'history.age' is no column of"),
    ],
)
def test_what_cannot_be_carried_is_named(options, message):
    with pytest.raises(InputError, match=message):
        learned(options)


def test_a_field_of_a_history_is_called_as_nothing_else():
    class Called(Options):
        def windows(self):
            return [Window(self.history_shares, 2, ("age",))]

    for name in ("item", "request"):
        with pytest.raises(InputError, match=f"{name}: the last items are a field of that name"):
            learned(Called(history_shares=name))
    requests, rows = asked()
    rows = rows.with_columns(**{"past.age": np.zeros(len(rows), np.float32)})
    with pytest.raises(InputError, match=r"past\.age: the last items are a field of that name"):
        learn_schema(["past.age"], requests, rows, Called(history_shares="past"))
