"""What every store owes: LMDB, and a real Redis.

The tests start a server of their own where ``redis-server`` or ``valkey-server`` is installed; ``SHORTLIST_TEST_REDIS``
names another one instead, whose ``shortlist:`` keys may be lost.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shortlist.component import InputError
from shortlist.serve.store import Store, open_store

Open = Callable[[], Store]


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server that nobody else uses."""
    if "SHORTLIST_TEST_REDIS" in os.environ:
        yield os.environ["SHORTLIST_TEST_REDIS"]
        return
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("neither redis-server nor valkey-server is installed, and SHORTLIST_TEST_REDIS names none")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=["lmdb", "redis"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store each time it is called, after closing the one before."""
    if request.param == "redis":
        address = request.getfixturevalue("redis_address")
        client = pytest.importorskip("redis").Redis.from_url(address)
        for key in client.scan_iter("shortlist:*"):
            client.delete(key)
    else:
        address = str(tmp_path / "store")
    opened: list[Store] = []

    def again() -> Store:
        for store in opened:
            store.close()
        opened[:] = [open_store(address)]
        return opened[0]

    yield again
    for store in opened:
        store.close()


def event(user: str, item: str = "i", **more: object) -> dict[str, object]:
    return {"kind": "event", "user": user, "item": item, "event": "view", "time": 1, **more}


def test_records_come_back_in_order_after_reopening(reopen: Open) -> None:
    store = reopen()
    assert store.last() == 0
    assert store.read(0) == []
    assert store.append([event("a"), event("b")]) == 2
    assert store.append([event("a", value=2.5)]) == 1
    store = reopen()
    assert store.last() == 3
    assert [(r["sequence"], r["user"]) for r in store.read(0)] == [(1, "a"), (2, "b"), (3, "a")]
    assert store.read(2) == [{**event("a", value=2.5), "sequence": 3}]


def test_an_id_is_stored_once_within_a_post_and_across_posts(reopen: Open) -> None:
    store = reopen()
    assert store.append([event("a", id="x"), event("a", id="x"), event("a")]) == 2
    assert reopen().append([event("a", id="x"), event("a", id="y")]) == 1
    assert [r.get("id") for r in reopen().read(0)] == ["x", None, "y"]


def test_forgetting_removes_a_users_events_and_leaves_a_note_without_the_id(reopen: Open) -> None:
    store = reopen()
    store.append([event("ann", id="x"), event("bob"), event("ann")])
    assert store.forget("ann", 7) == 2
    left = store.read(0)
    assert [(r["sequence"], r["kind"]) for r in left] == [(2, "event"), (4, "forget")]
    assert left[1]["until"] == 7
    assert "ann" not in str(left)
    assert store.append([event("ann", id="x")]) == 1  # the event's id is forgotten too
    assert store.forget("nobody", 7) == 0


def test_the_file_of_a_store_does_not_keep_whom_it_forgot(tmp_path: Path) -> None:
    """The next start that has the store for itself writes it anew: nothing of them between or beside the records."""
    folder = tmp_path / "store"

    def found(*ids: bytes) -> list[bool]:
        return [any(raw in file.read_bytes() for file in folder.rglob("*") if file.is_file()) for raw in ids]

    store = open_store(folder)
    for n in range(60):
        store.append([event(user, f"item{m}", id=f"{user}/{n}/{m}") for m in range(9) for user in ("ann-7", "bob-8")])
    assert store.forget("ann-7", 7) == 540
    kept = store.read(0)
    command = [sys.executable, "-c", f"from shortlist.serve.store import open_store; open_store({str(folder)!r})"]
    subprocess.run(command, check=True)  # while another process has the store open, the file is left alone
    assert store.read(0) == kept
    store.close()
    store = open_store(folder)
    assert found(b"ann-7", b"bob-8") == [False, True]
    assert store.read(0) == kept
    assert store.last() == kept[-1]["sequence"] == 1081
    assert store.append([event("bob-8", id="bob-8/0/0")]) == 0  # its id is known
    assert store.append([event("ann-7", id="ann-7/0/0")]) == 1
    assert store.forget("bob-8", 7) == 540
    store.close()
    (folder / "fresh").mkdir()
    (folder / "fresh" / "data.mdb").write_bytes(b"of a start that was killed: bob-8")
    store = open_store(folder)
    assert found(b"ann-7", b"bob-8") == [True, False]
    assert sorted(file.name for file in folder.iterdir()) == ["data.mdb", "lock.mdb", "open.lock"]
    store.close()


def test_what_was_shown_goes_with_the_user_and_what_nobody_saw_stays(reopen: Open) -> None:
    store = reopen()
    seen = {"kind": "shown", "item": "i", "time": 1, "position": 1}
    store.append([{**seen, "user": "ann", "id": "shown r i"}, {**seen, "id": "shown q i"}, event("ann")])
    assert store.forget("ann", 7) == 2
    assert [(r["sequence"], r["kind"]) for r in store.read(0)] == [(2, "shown"), (4, "forget")]
    assert store.append([{**seen, "user": "ann", "id": "shown r i"}, {**seen, "id": "shown q i"}]) == 1


def test_sequences_are_unique_when_many_write_at_once(reopen: Open) -> None:
    store = reopen()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: store.append([event(f"u{n}", id=str(n % 10))]), range(40)))
    records = store.read(0)
    assert [r["sequence"] for r in records] == list(range(1, 11))
    assert sorted(r["id"] for r in records) == sorted(map(str, range(10)))


def test_long_ids_and_other_alphabets_are_kept(reopen: Open) -> None:
    store = reopen()
    store.append([event("用" * 256, id="é" * 256)])
    assert store.read(0)[0]["user"] == "用" * 256
    assert store.forget("用" * 256, 1) == 1


def test_a_file_in_the_way_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("hello")
    with pytest.raises(InputError, match=r"store .*store"):
        open_store(tmp_path / "store")
    with pytest.raises(InputError, match="expected a directory or redis"):
        open_store("mysql://host/db")
    (tmp_path / "other").mkdir()
    sqlite3.connect(tmp_path / "other" / "data.mdb").execute("create table t (a)")
    with pytest.raises(InputError, match="other"):
        open_store(tmp_path / "other")
