"""Moments that cannot be meant: a clock that stood ahead, a log that ends ahead, times in another unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.data import Dataset, Events
from shortlist.durations import stamp
from shortlist.serve import clock
from shortlist.serve.clock import SKEW, Clock

from .conftest import Client, publish
from .test_processes import wait_for

HOUR, DAY = 3_600_000_000, 86_400_000_000
YEAR = 365 * DAY
Day = Callable[[int], None]


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch, board: Dataset) -> Day:
    """Turns the time of day to so many microseconds after the board's log; it starts an hour after it."""
    end = int(board.events.time[-1])

    def turn(ahead: int) -> None:
        monkeypatch.setattr(clock.time, "time_ns", lambda: (end + ahead) * 1000)

    turn(HOUR)
    return turn


def ready(client: Client) -> dict[str, Any]:
    return dict(client.get("/readyz").json())


def post(client: Client, user: str, item: str = "i03", **more: Any) -> dict[str, Any]:
    return dict(client.post("/v1/events", [{"user": user, "item": item, "event": "view", **more}]).json())


def recent(client: Client, user: str) -> list[str]:
    reply = client.get(f"/v1/users/{user}?n=500")
    return [line["time"] for line in reply.json()["recent"]] if reply.status_code == 200 else []


# S8: the clock stood ahead when something was stored


def test_a_clock_that_stood_ahead_is_healed_while_the_service_runs(serve: Any, board: Dataset, today: Day) -> None:
    end = int(board.events.time[-1])
    with serve(clock="wall") as client:
        post(client, "before")
        known = end + HOUR
        today(4 * YEAR)
        assert post(client, "a", "i04")["accepted"] == 1
        assert recent(client, "a") == [stamp(end + 4 * YEAR)]
        today(2 * HOUR)
        wait_for(lambda: ready(client)["clock"]["data_until"] == stamp(known), 10)
        assert ready(client)["clock"]["now"] == stamp(end + 2 * HOUR)
        assert recent(client, "a") == [stamp(known)]  # kept, as of the latest moment that was known then
        assert "i04" not in client.slate("a")
        assert any(stamp(end + 4 * YEAR) in line for line in ready(client)["warnings"])
        assert post(client, "b")["accepted"] == 1
        assert recent(client, "b") == [stamp(end + 2 * HOUR)]


def test_a_clock_that_stood_ahead_is_healed_by_a_restart(serve: Any, board: Dataset, today: Day) -> None:
    end = int(board.events.time[-1])
    today(4 * YEAR)
    with serve(clock="wall") as client:
        post(client, "a", "i04")
        client.post("/v1/events", [{"user": "a", "item": "i05", "event": "shown"}])
        assert client.delete("/v1/users/u01").status_code == 200
    today(HOUR)
    for _ in range(2):
        with serve(clock="wall") as client:
            assert ready(client)["clock"]["now"] == stamp(end + HOUR)
            assert ready(client)["clock"]["data_until"] == stamp(end)
            assert recent(client, "a") == [stamp(end)]
            assert client.get("/v1/users/a").json()["shown"] == 1
            assert client.get("/v1/users/u01").status_code == 404
            assert any("live events were stored as of" in line for line in ready(client)["warnings"])
    with serve(clock="wall") as client:
        assert post(client, "u01", "i02")["accepted"] == 1  # deleted as of a moment ahead, and back today
        assert recent(client, "u01") == [stamp(end + HOUR)]


def test_the_clocks_of_hosts_may_differ_a_little(serve: Any, board: Dataset, today: Day) -> None:
    end = int(board.events.time[-1])
    with serve(clock="wall") as client:
        today(HOUR + SKEW // 2)
        post(client, "a")
        today(HOUR)
        assert recent(client, "a") == [stamp(end + HOUR + SKEW // 2)]
        assert ready(client)["clock"]["now"] == stamp(end + HOUR + SKEW // 2)
        assert ready(client)["warnings"] == []


# R12: the log ends ahead


def dated(board: Dataset, time: Any, rows: Any = slice(None)) -> Dataset:
    """The board with its events at other times."""
    log = board.events
    events = Events.of(log.user[rows], log.item[rows], log.event[rows], log.value[rows], time, board.behaviours)
    return replace(board, events=events)


@pytest.mark.parametrize(("rows", "by"), [(1, 7970 * YEAR), (1, 20 * YEAR), (9, 9 * HOUR)])
def test_the_wall_clock_stays_the_wall_clock_where_the_log_ends_ahead(
    tmp_path: Path, board: Dataset, today: Day, serve: Any, rows: int, by: int
) -> None:
    time = board.events.time.copy()
    time[-rows:] += by
    data = dated(board, time)
    last = int(data.events.time[-1])
    now = int(board.events.time[-1]) + HOUR
    publish(tmp_path / "ahead" / "bundle", data)
    with serve(tmp_path / "ahead", clock="wall") as client:
        told = ready(client)
        assert told["clock"]["now"] == stamp(now)
        assert [line for line in told["warnings"] if stamp(last) in line and "ahead of the wall clock" in line]
        assert len(client.slate("newcomer", n=20)) == 20  # of all items that have been met by now
        assert client.slate("u01", n=3)
        assert "is in the future" in post(client, "a", time=now + DAY)["rejected"][0]["reason"]
        assert post(client, "a")["accepted"] == 1
        assert recent(client, "a") == [stamp(now)]
        bundle = told["bundle"]
        assert client.post("/v1/bundles/activate", {"bundle": bundle}).status_code == 200
    with serve(tmp_path / "ahead", clock="log") as client:
        until = int(board.events.time[-rows - 1])
        assert ready(client)["clock"]["now"] < stamp(now + 60_000_000)
        assert ready(client)["clock"]["data_until"] >= stamp(until)
        assert any("ahead of the wall clock" in line for line in ready(client)["warnings"])
        assert len(client.slate("newcomer", n=20)) == 20


@pytest.mark.parametrize("kind", ["wall", "log"])
def test_a_log_of_another_unit_is_told(tmp_path: Path, board: Dataset, serve: Any, kind: str) -> None:
    early = replace(dated(board, board.events.time // 1000), exposures=None)
    publish(tmp_path / "early" / "bundle", early)
    with serve(tmp_path / "early", clock=kind) as client:
        said = f"the data ends at {stamp(int(early.events.time[-1]))}, before 1990: is its time in another unit?"
        assert said in ready(client)["warnings"]


def test_clocks_are_bounded_by_the_time_of_day(today: Day, board: Dataset) -> None:
    now = int(board.events.time[-1]) + HOUR
    for kind in ("wall", "log"):
        for last in (now + SKEW + 1, now + 4 * YEAR, 253_402_214_400_000_000):
            assert now <= Clock(kind, last).now(last) <= now + SKEW  # type: ignore[arg-type]
    assert Clock("wall", 0).now(now + SKEW) == now + SKEW


# S10: times of another unit


@pytest.mark.parametrize(
    ("divide", "unit", "by"), [(1_000_000, "seconds", "1,000,000"), (1000, "milliseconds", "1,000")]
)
@pytest.mark.parametrize("event", ["view", "shown"])
def test_times_in_another_unit_are_refused_with_what_helps(
    client: Client, board: Dataset, divide: int, unit: str, by: str, event: str
) -> None:
    time = int(board.events.time[-1]) // divide
    line = post(client, "a", time=time, event=event)["rejected"][0]
    assert line["reason"].startswith("time: 1970-01-")
    assert "more than ten years before the log begins" in line["reason"]
    assert line["reason"].endswith(f"; {time} looks like {unit}: multiply by {by}")
    reply = client.post("/v1/recommendations", {"history": [{"item": "i04"}, {"item": "i06", "time": time}]})
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("history.1.time: 1970-01-")
    assert f"looks like {unit}" in reply.json()["error"]
    assert client.get("/v1/users/a").status_code == 404


def test_nanoseconds_and_numbers_in_quotes_are_refused(client: Client, board: Dataset) -> None:
    time = int(board.events.time[-1])
    assert "it looks like nanoseconds: divide by 1,000" in post(client, "a", time=time * 1000)["rejected"][0]["reason"]
    for text in (str(time), str(time // 1000), str(time // 1_000_000), "17041017123"):
        assert "expected ISO 8601 or an integer" in post(client, "a", time=text)["rejected"][0]["reason"]


def test_an_old_event_is_kept_and_one_of_decades_ago_is_not(client: Client, board: Dataset) -> None:
    first = int(board.events.time[0])
    assert post(client, "a", time=first - 9 * YEAR)["accepted"] == 1
    assert post(client, "a", time="1999-12-31")["rejected"]
    assert len(recent(client, "a")) == 1


def test_one_row_of_1970_in_the_log_does_not_open_the_door(tmp_path: Path, board: Dataset, serve: Any) -> None:
    log = board.events
    often = np.tile(np.arange(len(log)), 3)
    time = log.time[often].copy()
    time[0] = 0
    data = dated(board, time, often)
    publish(tmp_path / "odd" / "bundle", data)
    with serve(tmp_path / "odd") as client:
        assert "looks like seconds" in post(client, "a", time=int(log.time[-1]) // 1_000_000)["rejected"][0]["reason"]


def test_a_log_that_is_counted_from_zero_takes_events_from_zero(tmp_path: Path, board: Dataset, serve: Any) -> None:
    data = dated(board, board.events.time - board.events.time[0])
    publish(tmp_path / "zero" / "bundle", data)
    with serve(tmp_path / "zero") as client:
        assert post(client, "a", time=5)["accepted"] == 1
