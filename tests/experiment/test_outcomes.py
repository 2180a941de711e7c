"""Each user's sums, beside a plain count over the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.experiment.design import Counted, parse
from shortlist.experiment.outcomes import EVENTS, EXPOSURES, SUMS, checked, sums

from ._log import DAY, T0, log

COUNTED = Counted(click=["view"], conversion=["buy"], dwell="view", window="3h")


def by_hand(shown: pl.DataFrame, events: pl.DataFrame, counted: Counted) -> dict[str, dict[str, float]]:
    """The sums, row by row and event by event."""
    rows = shown.sort("time", maintain_order=True).to_dicts()
    hits: dict[str, set[int]] = {"view": set(), "buy": set()}
    for event in events.to_dicts():
        fits = [
            number
            for number, row in enumerate(rows)
            if row["user"] == event["user"]
            and row["item"] == event["item"]
            and (
                row["request_id"] == event["request_id"]
                if event["request_id"]
                else 0 <= event["time"] - row["time"] <= counted.window
            )
        ]
        hits[event["event"]] |= set(fits if event["request_id"] else fits[-1:])
    told: dict[str, Any] = {}
    for number, row in enumerate(rows):
        one = told.setdefault(row["user"], dict.fromkeys(SUMS, 0.0) | {"first": row["time"], "seen": {}})
        one["shown"] += row["item"] is not None
        one["clicks"] += number in hits["view"]
        one["positions"] += row["position"] if number in hits["view"] else 0
        one["conversions"] += number in hits["buy"]
        one["seen"].setdefault(row["request_id"], [row, 0])[1] += row["item"] is not None
    for user, one in told.items():
        seen = one.pop("seen").values()
        mine = [e for e in events.to_dicts() if e["user"] == user and e["time"] >= one["first"]]
        one["answers"], one["latency"] = len(seen), sum(row["latency"] for row, _ in seen)
        one["short"] = sum(size < row["asked"] for row, size in seen)
        one["items"] = len({e["item"] for e in mine if e["event"] == "view"})
        one["dwell"] = sum(e["value"] for e in mine if e["event"] == "view")
        one["value"] = sum(e["value"] for e in mine if e["event"] == "buy")
    return told


def test_sums_are_those_counted_by_hand() -> None:
    shown, events = log(parse({"experiments": {"x": {"arms": {"a": {}, "b": {}}}}}), users=25)
    found, expected = sums(shown, events, COUNTED), by_hand(shown, events, COUNTED)
    assert found["user"].to_list() == sorted(expected)
    for row in found.to_dicts():
        for name in ("first", *SUMS):
            assert row[name] == pytest.approx(expected[row["user"]][name], rel=1e-6), (row["user"], name)
    assert found["clicks"].sum() > 50
    assert found["short"].sum() > 0


def test_an_event_belongs_to_its_answer_or_to_the_latest_showing_in_time() -> None:
    base = {"user": "u", "arms": "", "asked": 1, "item": "i", "position": 1}
    shown = pl.DataFrame([{**base, "request_id": r, "time": t} for r, t in (("1", 0), ("2", 100), ("3", 200))])
    shown = checked(shown, EXPOSURES, "shown", ("request_id", "user", "time"))

    def clicks(*events: tuple[int, str | None]) -> float:
        lines = [{"user": "u", "item": "i", "event": "view", "time": t, "request_id": r} for t, r in events]
        return float(sums(shown, pl.DataFrame(lines, schema=EVENTS), Counted(window=50)).row(0, named=True)["clicks"])

    assert clicks((10, None)) == 1
    assert clicks((60, None)) == 0  # too late for the first, too early for the second
    assert clicks((110, None), (120, None)) == 1  # a row is clicked once
    assert clicks((500, "1"), (110, None)) == 2  # an answer's own has no limit of time
    assert clicks((110, "9")) == 0  # of another answer


def test_nobody_known_and_others_events_take_no_part() -> None:
    shown = pl.DataFrame([{"request_id": "1", "time": 0, "item": "i", "position": 1, "asked": 1}], schema=EXPOSURES)
    events = pl.DataFrame([{"user": "w", "item": "i", "event": "view", "time": 1}], schema=EVENTS)
    assert len(sums(shown, events, COUNTED)) == 0
    known = shown.with_columns(user=pl.lit("u"))
    assert sums(known, events, COUNTED)["clicks"].to_list() == [0]
    assert sums(known, pl.DataFrame(schema=EVENTS), COUNTED)["shown"].to_list() == [1]


def test_a_purchase_may_have_a_worth_of_its_own() -> None:
    shown = pl.DataFrame([{"request_id": "1", "user": "u", "time": 0, "asked": 1}], schema=EXPOSURES)
    events = pl.DataFrame([{"user": "u", "item": "i", "event": "buy", "time": t} for t in (-1, 0, 5)], schema=EVENTS)
    assert sums(shown, events, Counted(conversion=["buy"], value=2.5))["value"].to_list() == [5.0]
    assert sums(shown, events, COUNTED)["value"].to_list() == [0.0]


def test_a_table_that_is_none_is_refused_with_column_and_row() -> None:
    frame = pl.DataFrame({"user": ["a"], "time": ["soon"]})
    with pytest.raises(InputError, match="no column 'item'"):
        checked(frame, EVENTS, "e.parquet", ("user", "item"))
    with pytest.raises(InputError, match="column 'time': expected Int64"):
        checked(frame, EVENTS, "e.parquet", ("user",))
    with pytest.raises(InputError, match="column 'time', row 1: expected a value"):
        checked(pl.DataFrame({"user": ["a", "b"], "time": [1, None]}), EVENTS, "e.parquet", ("user", "time"))
    gap = checked(pl.DataFrame({"user": ["a"], "value": [np.nan]}), EVENTS, "e.parquet", ("user",))
    assert gap["value"].null_count() == 1
    full = checked(pl.DataFrame({"user": ["a"], "time": [T0]}), EVENTS, "e.parquet", ("user", "time"))
    assert full.schema == EVENTS
    assert np.isclose(DAY, 24 * 3600 * 1e6)
