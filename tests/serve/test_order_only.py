"""A service over a log without times: what comes stands behind its end, whatever the time of day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.data import Dataset
from shortlist.data.order import MINUTE, common

from .conftest import publish


@pytest.fixture
def ordered(tmp_path: Path, board: Dataset) -> Path:
    """The board's bundle as a log of rows."""
    time = common(np.arange(len(board.events)))
    log = replace(
        board,
        events=replace(board.events, time=time),
        available_from=np.zeros(board.n_items, np.int64),
        exposures=None,
        clock="common",
    )
    publish(tmp_path / "ordered" / "bundle", log)
    return tmp_path / "ordered"


@pytest.mark.parametrize("kind", ["wall", "log"])
def test_it_is_said_and_no_year_is_doubted(serve: Any, ordered: Path, board: Dataset, kind: str) -> None:
    with serve(ordered, clock=kind) as client:
        ready = client.get("/readyz").json()
        assert ready["warnings"] == []
        assert ready["clock"]["order"].startswith("order only")
        assert ready["clock"]["kind"] == "log"
        assert ready["clock"]["data_until"] == f"event {len(board.events):,}"


def test_live_events_count_from_the_end_of_the_order(serve: Any, ordered: Path, board: Dataset) -> None:
    with serve(ordered, clock="wall") as client:
        first = client.slate("u01", n=3)
        posted = [
            {"user": "u01", "item": first[0], "event": "view"},
            {"user": "u01", "item": first[1], "event": "view", "time": "2024-01-01T00:00:00Z"},  # whatever it says
        ]
        reply = client.post("/v1/events", posted)
        assert reply.json() == {"accepted": 2, "rejected": []}
        assert client.slate("u01", n=3)[0] == first[2]
        recent = client.get("/v1/users/u01").json()["recent"]
        assert {one["item"] for one in recent[:2]} == set(first[:2])
        assert all(one["time"].startswith("event ") for one in recent)
        assert client.live.now(client.live.view()) < (len(board.events) + 60) * MINUTE
    with serve(ordered, clock="wall") as client:  # and after a restart
        assert client.slate("u01", n=3)[0] == first[2]
