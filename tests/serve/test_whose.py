"""Whose a record is: nobody's that is unknown, one user's, not of before a deletion, one project's."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shortlist.component import InputError
from shortlist.data import Dataset, Vocab
from shortlist.serve.app import create
from shortlist.serve.live import Live

from .conftest import RECIPE, Client, calling, publish
from .test_away import redis as redis


def view(user: str, item: str = "i04", **more: Any) -> dict[str, Any]:
    return {"user": user, "item": item, "event": "view", **more}


def events(client: Client, user: str) -> int:
    reply = client.get(f"/v1/users/{user}")
    return int(reply.json()["events"]) if reply.status_code == 200 else 0


# Deletions


def test_deleting_whom_nobody_knows_leaves_no_record(client: Client) -> None:
    client.post("/v1/events", [view("a")])
    last = client.live.store.last()
    for n in range(50):
        reply = client.delete(f"/v1/users/nobody-{n}")
        assert reply.status_code == 404
    assert client.live.store.last() == last
    assert client.delete("/v1/users/a").status_code == 200
    assert client.delete("/v1/users/a").status_code == 404  # a second time, too
    assert client.delete("/v1/users/u01").status_code == 200
    assert client.delete("/v1/users/u01").status_code == 404
    assert client.live.store.last() == last + 2


def test_records_that_no_version_understands_are_deleted_too(client: Client) -> None:
    client.live.append([{"kind": "event", "user": "a", "item": "i01", "event": "dance", "time": 1}])
    assert client.get("/v1/users/a").status_code == 404
    assert client.delete("/v1/users/a").json()["live_events"] == 1
    assert [record["kind"] for record in client.live.store.read(0)] == ["forget"]


def test_what_is_posted_again_after_a_deletion_does_not_bring_the_person_back(serve: Any, board: Dataset) -> None:
    last = int(board.events.time[-1])
    old = [view("a", time=last, id="e1"), view("u01", time=last - 5), {**view("a", time=last), "event": "shown"}]
    with serve() as client:
        assert client.post("/v1/events", old).json()["accepted"] == 3
        for user in ("a", "u01"):
            assert client.delete(f"/v1/users/{user}").status_code == 200
        last_record = client.live.store.last()
        reply = client.post("/v1/events", old).json()
        assert reply["accepted"] == 0
        assert [line["reason"].partition(":")[0] for line in reply["rejected"]] == ["user"] * 3
        assert "was deleted" in reply["rejected"][0]["reason"]
        assert client.live.store.last() == last_record
    with serve() as client:
        assert client.post("/v1/events", old).json()["accepted"] == 0
        assert [events(client, user) for user in ("a", "u01")] == [0, 0]
        assert client.post("/v1/events", [view("b", time=last, id="e1")]).json()["accepted"] == 1
        assert client.post("/v1/events", [view("a"), view("u01")]).json()["accepted"] == 2  # they come back today
        assert [events(client, user) for user in ("a", "u01")] == [1, 1]


# Ids


def test_one_users_event_under_anothers_event_id_is_kept(serve: Any) -> None:
    posted = [view("a", id="e1"), view("b", id="e1"), view("a", id="e1"), view("a", "i06", id="b e1")]
    with serve() as client:
        for _ in range(2):
            assert client.post("/v1/events", posted).json()["accepted"] == 4
        assert [events(client, user) for user in "ab"] == [2, 1]
        client.delete("/v1/users/a")
        assert client.post("/v1/events", posted[1:2]).json()["accepted"] == 1  # b's stays known
        assert [events(client, user) for user in "ab"] == [0, 1]


@pytest.mark.parametrize(("one", "other"), [(("a", "b c"), ("a b", "c")), (("1 a", "x"), ("1", "a x"))])
def test_no_two_pairs_of_user_and_id_are_taken_for_one(client: Client, one: Any, other: Any) -> None:
    client.post("/v1/events", [view(user, id=name) for user, name in (one, other)])
    assert client.live.store.last() == 2


def test_one_users_slate_under_anothers_request_id_is_kept(client: Client) -> None:
    shown = [{**view(user), "event": "shown", "request_id": "r1"} for user in ("a", "b", "a")]
    client.post("/v1/events", shown)
    assert [client.get(f"/v1/users/{user}").json()["shown"] for user in "ab"] == [1, 1]


# Projects


def other(board: Dataset, prefix: str = "x") -> Dataset:
    """The board with items of other names."""
    ids = Vocab([prefix + raw for raw in board.item_ids.ids])
    return replace(copy.deepcopy(board), item_ids=ids)


def named(name: str, path: str) -> dict[str, Any]:
    data = copy.deepcopy(RECIPE["data"])
    data["events"]["path"] = path
    return {"name": name, "data": data}


@pytest.mark.parametrize("kind", ["directory", "redis"])
def test_a_store_of_another_project_is_refused(
    tmp_path: Path, board: Dataset, request: pytest.FixtureRequest, kind: str
) -> None:
    store = tmp_path / "store" if kind == "directory" else request.getfixturevalue("redis").address
    publish(tmp_path / "one" / "bundle", board)
    publish(tmp_path / "named" / "bundle", board, **named("shop", "orders.csv"))
    publish(tmp_path / "items" / "bundle", other(board))
    publish(tmp_path / "kinds" / "bundle", replace(board, behaviours=replace(board.behaviours, names=("buy",))))
    live = Live.open(tmp_path / "one", store, "log")
    with calling(create(live), live) as client:
        assert client.post("/v1/events", [view("a")]).status_code == 202
    for run, why in (
        ("named", "is of 'shop': neither the recipe's name nor its .data. is the same"),
        ("items", "0 of 20 items occur here"),
        ("kinds", "there view happen, here buy"),
    ):
        with pytest.raises(InputError, match=f"holds the events of 'board', .*{why}; give it a store of its own"):
            Live.open(tmp_path / run, store, "log")
    Live.open(tmp_path / "one", store, "log").close()  # and nothing of it was changed


@pytest.mark.parametrize("changes", [named("other", "none.csv"), named("board", "moved.csv")])
def test_a_store_goes_with_later_bundles_of_its_project(tmp_path: Path, board: Dataset, changes: Any) -> None:
    publish(tmp_path / "one" / "bundle", board)
    publish(tmp_path / "two" / "bundle", board, **changes)
    for run in ("one", "two", "one"):
        Live.open(tmp_path / run, tmp_path / "store", "log").close()


def test_a_store_goes_with_a_version_that_was_turned_to(tmp_path: Path, board: Dataset) -> None:
    first = publish(tmp_path / "bundle", board)
    publish(tmp_path / "bundle", board, **named("shop", "orders.csv"))
    live = Live.open(tmp_path, tmp_path / "store", "log")
    live.activate(first.name)
    live.close()
    Live.open(tmp_path, tmp_path / "store", "log").close()
