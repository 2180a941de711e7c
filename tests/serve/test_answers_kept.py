"""The log of answers: LMDB and a real Redis owe the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shortlist.serve import exports
from shortlist.serve.store import Store, open_store

from ._redis import Server

Open = Callable[[], Store]


@pytest.fixture(params=["lmdb", "redis"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store each time it is called, after closing the one before."""
    server = Server(tmp_path) if request.param == "redis" else None
    address: Any = tmp_path / "store" if server is None else server.address
    opened: list[Store] = []

    def again() -> Store:
        while opened:
            opened.pop().close()
        opened.append(open_store(address))
        return opened[0]

    yield again
    for store in opened:
        store.close()
    if server is not None:
        server.kill()


def answer(number: int, user: str | None = "u", time: int | None = None, items: int = 2) -> dict[str, Any]:
    rows = [{"item": f"i{k}", "channels": ["cf"], "propensity": 0.5} for k in range(items)]
    told = {"request_id": f"{number:x}", "time": number if time is None else time, "bundle": "v", "asked": 2}
    told |= {"arms": {"x": "b"}, "latency": 0.01, "items": rows}
    return told if user is None else {**told, "user": user}


def ids(store: Store) -> list[int]:
    return [int(one["request_id"], 16) for one in store.logged()]


def test_answers_come_back_in_order_and_beside_the_events(reopen: Open) -> None:
    store = reopen()
    assert store.log([answer(1), answer(2, None)]) == 2
    store.append([{"kind": "event", "user": "u", "item": "i", "event": "view", "time": 3}])
    assert store.log([answer(3)]) == 1
    store = reopen()
    assert ids(store) == [1, 2, 3]
    assert [one["sequence"] for one in store.logged(1)] == [2, 3]
    assert store.last() == 1  # no process follows answers
    assert len(store.read(0)) == 1
    assert next(store.logged()) == {**answer(1), "sequence": 1}


def test_the_oldest_go_by_age_and_by_number(reopen: Open) -> None:
    store = reopen()
    store.log([answer(n, f"u{n % 3}") for n in range(1, 11)])
    assert store.trim(4, 100) == 3
    assert ids(store) == list(range(4, 11))
    assert store.trim(0, 2) == 5
    assert ids(store) == [9, 10]
    assert store.trim(0, 2) == 0
    assert [store.holds(f"u{k}") for k in range(3)] == [True, True, False]
    store.log([answer(11)])
    assert [one["sequence"] for one in store.logged()] == [9, 10, 11]  # a number is never given twice
    assert store.trim(100, 5) == 3
    assert ids(store) == []


def test_a_person_s_answers_go_with_them_and_late_ones_are_not_kept(reopen: Open) -> None:
    store = reopen()
    store.log([answer(1, "a"), answer(2, "b"), answer(3, "a"), answer(4, None)])
    assert store.holds("a")
    assert store.forget("a", 5) == 2
    assert not store.holds("a")
    assert ids(store) == [2, 4]
    assert store.log([answer(6, "a", time=5), answer(7, "a", time=6)]) == 1  # the first was on its way meanwhile
    assert ids(reopen()) == [2, 4, 7]


def test_the_file_does_not_keep_whose_answers_were_removed(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.log([answer(n, "somebody-to-forget") for n in range(50)] + [answer(99, "stays-here")])
    store.forget("somebody-to-forget", 1000)
    store.close()
    open_store(tmp_path / "store").close()
    held = (tmp_path / "store" / "data.mdb").read_bytes()
    assert b"somebody-to-forget" not in held
    assert b"stays-here" in held
    assert ids(open_store(tmp_path / "store")) == [99]


def test_many_write_at_once(reopen: Open) -> None:
    store = reopen()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.log([answer(n), answer(n + 100)]), range(20)))
    assert sorted(ids(store)) == sorted([*range(20), *range(100, 120)])
    assert [one["sequence"] for one in store.logged()] == list(range(1, 41))


def test_a_store_becomes_the_tables_of_the_analysis(reopen: Open) -> None:
    store = reopen()
    team = {**answer(3, "b"), "items": [{"item": "i", "channels": [], "team": "a"}]}
    store.log([answer(1), answer(2, None, items=0), team])
    event = {"user": "u", "item": "i0", "event": "view", "time": 3, "request_id": "1"}
    store.append([{"kind": "event", **event}, {"kind": "shown", "user": "u", "item": "i0", "time": 3}])
    rows = exports.exposures(store)
    assert rows.select("request_id", "user", "item", "position", "team").rows() == [
        ("1", "u", "i0", 1, None), ("1", "u", "i1", 2, None), ("2", None, None, None, None), ("3", "b", "i", 1, "a")
    ]  # fmt: skip
    assert rows.row(0, named=True)["arms"] == "x=b"
    assert rows.row(0, named=True)["propensity"] == 0.5
    assert rows["channels"].to_list() == [["cf"], ["cf"], None, []]
    assert exports.events(store).rows(named=True) == [{**event, "value": None}]
