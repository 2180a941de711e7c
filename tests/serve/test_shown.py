"""What is shown live: posted or kept by the service, known to every view, gone with the person."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.data import Behaviours, Dataset
from shortlist.serve import wire
from shortlist.serve.live import Live
from shortlist.serve.store import forgotten
from shortlist.serve.view import View
from shortlist.testing import worlds

FOREVER = np.iinfo(np.int64).max
BOARD = 40
"""Items the board's log says each user was shown."""


def shown(user: str, item: str, **more: Any) -> dict[str, Any]:
    return {"user": user, "item": item, "event": "shown", **more}


def count(view: View, user: str | None = None, item: str | None = None) -> int:
    users = None if user is None else np.array([view.data.user_ids.code(user)])
    items = None if item is None else np.array([view.data.item_ids.code(item)])
    return int(view.state.shown.counts(users, items, np.array([FOREVER])).item())


def test_what_is_posted_as_shown_is_no_event_and_is_known_after_a_restart(serve: Any) -> None:
    with serve() as client:
        before = client.slate("u01", n=3)
        reply = client.post("/v1/events", [shown("u01", before[0], position=1), shown("newcomer", "never seen")])
        assert reply.json() == {"accepted": 2, "rejected": []}
        assert client.slate("u01", n=3) == before  # seen is what they did, not what they were shown
        known = client.get("/v1/users/u01").json()
        assert (known["events"], known["shown"]) == (7, BOARD + 1)
        assert client.get("/v1/users/newcomer").json()["shown"] == 1
    with serve() as client:
        view = client.live.view()
        last = view.state.shown.position(
            *(np.array([ids.code(raw)]) for ids, raw in ((view.data.user_ids, "u01"), (view.data.item_ids, before[0]))),
            np.array([FOREVER]),
        )
        assert last.item() == 1
        assert count(view, "u01") == BOARD + 1
        assert count(view, "newcomer", "never seen") == 1


def test_an_item_counts_once_on_the_slate_of_one_answer(client: Any) -> None:
    one = shown("a", "i01", request_id="5b0c", position=1)
    for line in (one, one, {**one, "position": 2}, {**one, "item": "i02"}, {**one, "request_id": "77"}):
        assert client.post("/v1/events", [line]).json()["accepted"] == 1
    assert count(client.live.view(), "a", "i01") == 2
    assert count(client.live.view(), "a") == 3
    client.post("/v1/events", [shown("a", "i01"), shown("a", "i01"), shown("a", "i01", id="x", request_id="5b0c")])
    assert count(client.live.view(), "a", "i01") == 5  # without an answer each line is one; an id of its own wins


def test_what_cannot_be_shown_is_refused(client: Any) -> None:
    posted = [shown("a", "i01", value=1.0), shown("a", "i01", position=0), shown("a", "i01", time="2090-01-01")]
    reasons = [line["reason"] for line in client.post("/v1/events", posted).json()["rejected"]]
    for reason, said in zip(reasons, ("value: what was shown", "position: .* from 1", "in the future"), strict=True):
        assert re.search(said, reason)


def test_a_log_that_has_events_called_shown_keeps_them(run: Path, board: Dataset) -> None:
    view = View(open_bundle(run / "bundle"))
    assert wire.records([shown("a", "i01")], view, view.last)[0][0]["kind"] == "shown"
    view.data = replace(
        board, behaviours=Behaviours(("view", "shown"), np.ones(2, np.float32), np.zeros(2, np.float32))
    )
    assert wire.records([shown("a", "i01")], view, view.last)[0][0]["kind"] == "event"


def test_the_service_keeps_what_it_answers_when_it_is_told_to(serve: Any) -> None:
    with serve(record_shown=True) as client:
        answer = client.post("/v1/recommendations", {"user": "u01", "n": 3}).json()
        items = [row["item"] for row in answer["items"]]
        client.post("/v1/recommendations", {"n": 3})  # nobody known
        view = client.live.view()
        rows = view.state.shown.exposures.take(slice(-6, None))
        user, known = view.data.user_ids.code("u01"), [view.data.item_ids.code(item) for item in items]
        assert (rows.user[:3] == user).all()
        assert (rows.user[3:] == -1).all()
        assert rows.item[:3].tolist() == known
        assert rows.position.tolist() == [1, 2, 3, 1, 2, 3]
        seen = [shown("u01", item, request_id=answer["request_id"], position=1) for item in items]
        client.post("/v1/events", seen)  # the client says so as well
        assert count(client.live.view(), "u01") == BOARD + 3
    with serve() as client:
        client.slate("u01", n=3)
        assert count(client.live.view(), "u01") == BOARD + 3


def test_what_was_shown_goes_with_the_person(serve: Any, run: Path) -> None:
    with serve() as client:
        client.post("/v1/events", [shown("u01", "i00"), shown("u02", "i00"), shown("only shown", "i00")])
        reply = client.delete("/v1/users/u01").json()
        assert reply["live_events"] == 1
        assert set(reply["snapshot_events"].values()) == {7 + BOARD}
        assert reply["unreadable"] == []
        assert client.delete("/v1/users/only%20shown").status_code == 200
        view = client.live.view()
        assert not (view.state.shown.exposures.user == 1).any()
        assert count(view, "u02") == BOARD + 1
        assert count(view, item="i00") == (open_bundle(run / "bundle").data.exposures["item"] == 0).sum() + 1
    for version in (run / "bundles").iterdir():
        assert not (open_bundle(version).data.exposures["user"] == 1).any()


def test_a_person_shown_something_after_the_deletion_is_new(run: Path, board: Dataset) -> None:
    view = View(open_bundle(run / "bundle"))
    now = view.last
    one = {"kind": "shown", "user": "u01", "item": "i02", "time": now + 9}
    view.apply([{**forgotten("u01", now + 5), "sequence": 1}, {**one, "sequence": 2}])
    assert view.data.user_ids.code("u01") == board.n_users
    assert count(view, "u01") == 1
    assert view.last == now + 9


def test_what_the_bundle_was_fitted_on_is_not_shown_again(run: Path, board: Dataset) -> None:
    view = View(open_bundle(run / "bundle"))
    log = view.state.shown.exposures
    stored = [
        {
            "kind": "shown",
            "sequence": number,
            "user": board.user_ids.ids[log.user[row]],
            "item": board.item_ids.ids[log.item[row]],
            "time": int(log.time[row]),
        }
        for number, row in enumerate((0, 7, len(log) - 1), 1)
    ]
    late = {**stored[1], "sequence": 4, "time": stored[1]["time"] + 1}
    view.apply([*stored, late])
    assert len(view.state.shown.exposures) == len(log) + 1


# Several views


@pytest.fixture
def live(run: Path, tmp_path: Path) -> Any:
    opened = Live.open(run, tmp_path / "store", "log")
    yield opened
    opened.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def other(live: Live) -> str:
    return next(line["bundle"] for line in live.bundles() if not line["active"])


def event(user: str, item: str, at: int, kind: str = "event") -> dict[str, Any]:
    return {"kind": kind, "user": user, "item": item, "time": at} | ({"event": "view"} if kind == "event" else {})


def test_each_view_applies_each_record_once(live: Live) -> None:
    at = live.view().last + 1
    live.store.append([event("a", "i01", at)])
    live.activate(other(live), arm="b")
    assert live.view("b") is not live.view()
    assert live.view("b").bundle.path.name != live.view().bundle.path.name
    live.store.append([event("a", "i02", at), event("a", "i02", at, "shown")])
    for view in (live.view("b"), live.view(), live.view("b")):
        assert view.state.history(np.array([view.data.user_ids.code("a")]), np.array([FOREVER]))["item"].tolist() == [
            view.data.item_ids.code(item) for item in ("i01", "i02")
        ]
        assert count(view, "a") == 1
    live.forget("u01", at + 1)
    for view in (live.view(), live.view("b")):
        assert view.data.user_ids.code("u01") == -1


def test_an_arm_turns_alone_and_is_let_go(live: Live, run: Path) -> None:
    with pytest.raises(InputError, match="arm 'b': has no version open, expected one of none"):
        live.view("b")
    main, second = live.view().bundle.path.name, other(live)
    live.activate(second, arm="b")
    assert (live.view().bundle.path.name, live.view("b").bundle.path.name) == (main, second)
    assert (run / "bundle").resolve().name == main
    with pytest.raises(InputError, match="not in"):
        live.activate("nothing", arm="b")
    live.activate(main, arm="b")
    assert live.view("b").bundle.path.name == main
    assert live.view("b") is not live.view()
    live.activate(second)
    assert (live.view().bundle.path.name, live.view("b").bundle.path.name) == (second, main)
    live.release("b")
    with pytest.raises(InputError, match="arm 'b'"):
        live.view("b")
    assert live.view().bundle.path.name == second


def test_other_processes_follow_an_arm_and_a_start_finds_it(live: Live, run: Path, tmp_path: Path) -> None:
    """Two ``Live`` over one store are two processes to each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shortlist.serve.live.open_store", lambda _: live.store)  # LMDB opens a folder once a process
        second = Live.open(run, tmp_path / "store", "log")
        live.activate(other(live), arm="b")
        name = live.view("b").bundle.path.name
        second.view()
        wait_for(lambda: "b" in second._views)
        assert second.view("b").bundle.path.name == name
        at = live.view().last + 1
        live.store.append([event("a", "i01", at, "shown")])
        for process in (live, second):
            assert count(process.view("b"), "a") == 1
        third = Live.open(run, tmp_path / "store", "log")
        assert third.view("b").bundle.path.name == name
        assert count(third.view("b"), "a") == 1
        live.release("b")
        second.view()
        wait_for(lambda: "b" not in second._views)
        assert list(Live.open(run, tmp_path / "store", "log")._views) == [None]
        live.activate(name, arm="b")
    (run / "bundles" / name / "manifest.json").write_text("{")
    live.close()
    again = Live.open(run, tmp_path / "store", "log")  # an arm whose version is gone costs the arm, not the service
    assert again.view().bundle.path.name != name
    assert "truncated" in str(again.failed)
    again.close()


def test_of_turns_in_a_row_the_last_stays(live: Live, run: Path, tmp_path: Path) -> None:
    """A second turn, back or away, comes while the first is still being opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shortlist.serve.live.open_store", lambda _: live.store)
        second = Live.open(run, tmp_path / "store", "log")
        main, fresh = live.view().bundle.path.name, other(live)
        with second._activating:  # nothing can be opened yet
            live.activate(fresh)
            live.activate(fresh, arm="b")
            second.view()
            live.activate(main)
            live.release("b")
            second.view()
            time.sleep(0.1)
        for _ in range(200):  # what still waits gets its turn
            time.sleep(0.01)
            assert second.view().bundle.path.name == main
        assert list(second._views) == [None]


def test_a_view_that_is_put_in_place_meanwhile_is_not_answered_from_unread(live: Live) -> None:
    """A thread turns to a version after the records were looked at: the answer is from views that have them all."""
    live.activate(other(live), arm="b")
    looked = live.store.last

    def meanwhile() -> int:
        last = looked()
        live._let_go("b")
        return last

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live.store, "last", meanwhile)
        assert live.view("b").applied == looked()


def test_worlds_of_the_board_have_exposures(board: Dataset) -> None:
    """What the numbers above rest on."""
    assert (board.exposures["user"].value_counts()["count"] == BOARD).all()  # type: ignore[index]
    assert worlds.checkerboard().exposures is not None
