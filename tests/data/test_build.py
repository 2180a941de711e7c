"""Coding a log like one that a pipeline was fitted on."""

from __future__ import annotations

import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.build import dataset
from shortlist.data.raw import Raw
from shortlist.data.spec import DataSpec

SPEC = DataSpec(source="movielens-100k")


def raw(rows, items, kinds=None):
    """(user, item, event) rows, a microsecond apart, and items with their genres."""
    log = pl.DataFrame(rows, schema=["user", "item", "event"], orient="row")
    events = log.with_columns(time=pl.int_range(pl.len()), value=pl.lit(None, pl.Float32))
    for name in kinds or {}:
        events = events.with_columns(pl.lit("web").alias(name))
    table = pl.DataFrame({"item": list(items), "genres": list(items.values())})
    return Raw(events, table, kinds={"items": {"genres": "list"}, "events": kinds or {}})


OLD = dataset(raw([("m", "p", "view"), ("n", "q", "buy")], {"p": ["drama"], "q": ["war", "drama"]}), SPEC)


def test_codes_are_kept_and_new_ids_follow_them():
    items = {"p": ["drama"], "a": ["action", "war"], "q": ["war", "drama"]}
    new = dataset(raw([("b", "a", "view"), ("m", "p", "view"), ("z", "q", "view")], items), SPEC, OLD)
    assert new.user_ids.ids == ["m", "n", "b", "z"]
    assert new.item_ids.ids == ["p", "q", "a"]
    assert new.events.user.tolist() == [2, 0, 3]
    assert new.events.item.tolist() == [2, 0, 1]
    assert new.behaviours.names == ("buy", "view")
    genres = new.items.codes["genres"]
    assert genres.levels == OLD.items.codes["genres"].levels == ("drama", "war")
    assert [genres.values.row(r)["code"].tolist() for r in range(3)] == [[0], [1, 0], [1]]
    assert len(new.available_from) == new.items.n == 3


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (raw([("m", "p", "add")], {"p": []}), "the log has events add, which the bundle was fitted without"),
        (raw([("m", "p", "view")], {"p": []}, {"place": "category"}), "does not keep the codes of context place"),
    ],
)
def test_what_has_no_code_is_refused(log, message):
    with pytest.raises(InputError, match=message):
        dataset(log, SPEC, OLD)
