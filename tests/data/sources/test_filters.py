"""Filters by pattern, by list, and by any column of the log: what stays, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from shortlist.component import InputError, explain
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

LOG = """user,item,event,time,price,qty,status
a,85123,buy,10,2.5,6,ok
a,POST,buy,11,18,1,ok
b,22423A,buy,12,0,2,ok
b,85123,buy,13,2.5,-6,C
,71053,view,14,,1,
c,71053,hover,15,3.4,1,ok
"""
A, Q = "user in drop", "qty above 2"
JOURNEY = Path("/work/shared/data/complete-journey")


def read(root: Path, filters: dict, log: str = LOG, **more):
    (root / "log.csv").write_text(log)
    spec = {"events": {"path": "log.csv", "filters": filters}, **more}
    return load(DataSpec.model_validate(spec), root)


def refused(root: Path, filters: dict, **more) -> str:
    with pytest.raises(InputError) as error:
        read(root, filters, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        ({"item": {"match": "^[0-9]{5}"}}, {3: "item does not match ^[0-9]{5}"}),
        ({"item": {"match": "^[0-9]{5}$"}}, dict.fromkeys((3, 4), "item does not match ^[0-9]{5}$")),
        ({"user": {"match": "[ab]"}}, {7: "user does not match [ab]"}),  # nobody known passes
        ({"event": {"match": "^(buy|view)$"}}, {7: "event does not match ^(buy|view)$"}),
        ({"columns": {"price": {"min": 0.01}}}, {4: "price below 0.01"}),  # a missing one passes
        ({"columns": {"qty": {"min": 1, "max": 2}}}, {2: "qty above 2", 5: "qty below 1"}),
        ({"columns": {"status": {"drop": ["C"]}}}, {5: "status in drop"}),
        ({"columns": {"status": {"keep": ["ok"]}}}, {5: "status not in keep"}),
        ({"columns": {"status": {"match": "^o"}, "qty": {"max": 2}}}, {2: Q, 5: "status does not match ^o"}),
        ({"columns": {"time": {"max": 13}}}, {6: "time above 13", 7: "time above 13"}),  # as numbers, as they stand
        ({"columns": {"user": {"drop": ["a"]}, "unit": {"max": 1}}}, {2: A, 3: A, 7: "unit above 1"}),
    ],
)  # fmt: skip
def test_what_a_filter_drops_is_counted_and_kept(tmp_path, filters, gone):
    derive = {"unit": {"ratio": ["price", "qty"]}}
    raw = read(tmp_path, filters, events={"path": "log.csv", "filters": filters, "derive": derive})
    assert dict(raw.rejected.sort("row").select("row", "reason").rows()) == gone
    lines = LOG.splitlines()
    assert raw.rejected.sort("row")["text"].to_list() == [lines[row - 1] for row in sorted(gone)]
    assert raw.events["time"].to_list() == [(row + 8) * 1_000_000 for row in range(2, 8) if row not in gone]
    assert sum(raw.dropped().values()) == len(gone)


def test_a_column_that_only_a_filter_needs_is_not_kept(tmp_path):
    raw = read(tmp_path, {"columns": {"price": {"min": 1}, "status": {"drop": ["C"]}}})
    assert raw.events.columns == ["user", "item", "event", "time", "value"]
    assert raw.kinds["events"] == {}
    columns = {name: name for name in ("user", "item", "time", "status")}
    filters = {"columns": {"status": {"drop": ["C"]}}}
    raw = read(tmp_path, filters, events={"path": "log.csv", "columns": columns, "filters": filters})
    assert raw.kinds["events"] == {"status": "category"}


def test_a_cell_at_fault_in_a_filters_column_is_a_bad_row(tmp_path):
    log = LOG.replace("2.5,6", "free,6")
    filters = {"columns": {"price": {"min": 1}}}
    assert refused(tmp_path, filters, log=log) == (
        "log.csv: row 2, column price (events.filters.columns.price.price): expected a number, found 'free'"
    )
    raw = read(tmp_path, {**filters, "bad_rows": "drop"}, log=log)
    assert (2, "price: not a number") in raw.rejected.select("row", "reason").rows()


def test_only_what_a_table_lists(tmp_path):
    (tmp_path / "items.csv").write_text("item,name\n85123,Cup\n71053,\n")
    (tmp_path / "people.csv").write_text("id;shop\na;1\nb;2\n")
    pl.DataFrame({"sku": [85123, 22423]}).write_parquet(tmp_path / "skus.parquet")
    items = {"path": "items.csv", "columns": {"name": "text"}}
    raw = read(tmp_path, {"item": {"in": "items"}}, items=items)
    assert raw.rejected.select("row", "reason").rows() == [(3, "item not in items"), (4, "item not in items")]
    assert raw.items["item"].to_list() == ["85123", "71053"]
    plain = read(tmp_path, {}, items=items)
    assert raw.fingerprint == plain.fingerprint  # whichever table is read first
    people = {"path": "people.csv", "separator": ";", "columns": {"user": "id"}}
    raw = read(tmp_path, {"user": {"in": "users"}}, users=people)
    assert raw.rejected.select("row", "reason").rows() == [(6, "user not in users"), (7, "user not in users")]
    shops = {"path": "people.csv", "separator": ";", "column": "id"}
    raw = read(tmp_path, {"item": {"in": {"path": "skus.parquet", "column": "sku"}}, "user": {"in": shops}})
    assert raw.events["item"].to_list() == ["85123", "85123"]
    assert raw.dropped() == {"events: user not in people.csv": 2, "events: item not in skus.parquet": 2}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"columns": {"prize": {"min": 1}}}, "data.events.filters.columns.prize: no column 'prize'; recipe and file h"),
        ({"item": {"in": "items"}}, "data.events.filters.item.in: needs [data.items] with the path of a fi"),
        ({"item": {"in": "users"}}, 'data.events.filters.item.in: expected "items" or a table of its own, found'),
        ({"item": {"in": {"path": "no.csv", "column": "x"}}}, "no.csv: expected a file in"),
        ({"item": {"in": {"path": "log.csv", "column": "x"}}}, "log.csv: row 1: expected a column 'x' for item, fo"),
        ({"item": {"match": "^z"}}, "log.csv: expected rows, found none; 6 rows were rejected"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told(tmp_path, filters, message):
    assert refused(tmp_path, filters).startswith(message)


def test_a_filter_of_a_column_the_log_has_not(tmp_path):
    log = "user,item,time\na,x,1\n"
    for name, filter_ in {"value": {"min": 1}, "event": {"keep": ["buy"]}}.items():
        told = f"data.events.filters.{name}: the recipe does not say which column this is"
        assert refused(tmp_path, {name: filter_}, log=log) == told


def test_keys_are_known_by_the_names_that_are_written():
    spec = {"events": {"path": "log.csv", "filters": {"item": {"inn": "items"}}}}
    with pytest.raises(ValidationError) as error:
        DataSpec.model_validate(spec)
    told = "data.events.filters.item.inn: unknown; did you mean in?"
    assert explain(error.value, "data", DataSpec) == told


def test_a_log_that_describes_its_items_lists_none(tmp_path):
    message = refused(tmp_path, {"item": {"in": "items"}}, items={"from": "log", "columns": {"price": "number"}})
    assert message == "data.events.filters.item.in: needs [data.items] with the path of a file, found none"


def test_a_list_that_cannot_be_read_is_named(tmp_path):
    pl.DataFrame({"sku": [["a"]]}).write_parquet(tmp_path / "skus.parquet")
    message = refused(tmp_path, {"item": {"in": {"path": "skus.parquet", "column": "sku"}}})
    assert (
        message
        == "skus.parquet: column sku (item): expected text or a number in each cell, found the type List(String)"
    )


@pytest.mark.skipif(not JOURNEY.exists(), reason="Complete Journey is not here")
def test_a_real_log_of_purchases():
    columns = {"user": "household_id", "item": "product_id", "time": "transaction_timestamp"}
    filters = {"columns": {"quantity": {"min": 1}}, "item": {"in": "items"}}
    spec = {
        "events": {"path": "transactions.parquet", "columns": columns, "filters": filters},
        "items": {"path": "products.parquet", "columns": {"item": "product_id"}},
    }
    raw = load(DataSpec.model_validate(spec), JOURNEY)
    log = pl.scan_parquet(JOURNEY / "transactions.parquet")
    listed = pl.read_parquet(JOURNEY / "products.parquet")["product_id"].implode()
    few, strange = pl.col("quantity") < 1, ~pl.col("product_id").is_in(listed)
    counts = log.select(both=(few & strange).sum(), few=few.sum(), strange=strange.sum(), all=pl.len()).collect().row(0)
    both, few_, strange_, m = counts
    assert raw.events.height == m - few_ - strange_ + both
    assert raw.dropped() == {"events: item not in items": strange_, "events: quantity below 1": few_ - both}
