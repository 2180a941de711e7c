"""A store that is emptied, killed, stopped, full, removed or cut short while the service runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from shortlist.component import InputError
from shortlist.serve.app import create
from shortlist.serve.live import Live
from shortlist.serve.store import Unavailable, open_store

from ._redis import Server
from .conftest import Client, calling
from .test_processes import wait_for

Open = Callable[..., AbstractContextManager[Client]]
QUICK = 0.4
"""Seconds that an answer from memory may take on a busy machine."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def over(run: Path) -> Open:
    """The service over any store."""

    @contextmanager
    def opened(store: str | Path, **options: Any) -> Iterator[Client]:
        live = Live.open(run, store, "log")
        with calling(create(live, **options), live) as client:
            yield client

    return opened


def post(client: Client, user: str, item: str = "i03", **more: Any) -> int:
    return int(client.post("/v1/events", [{"user": user, "item": item, "event": "view", **more}]).status_code)


def events(client: Client, user: str) -> int:
    reply = client.get(f"/v1/users/{user}")
    return int(reply.json()["events"]) if reply.status_code == 200 else 0


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


# Redis, emptied


def test_a_redis_that_comes_back_empty_is_noticed_and_read_again(redis: Server, over: Open) -> None:
    with over(redis.address) as one, over(redis.address) as other:
        assert [post(one, "a") for _ in range(20)] == [202] * 20
        assert events(one, "a") == events(other, "a") == 20
        redis.kill()
        redis.start()
        assert [post(one, "a") for _ in range(25)] == [202] * 25
        assert events(one, "a") == 25
        wait_for(lambda: events(other, "a") == 25, 10)
        for client in (one, other):
            said = client.get("/readyz").json()["warnings"]
            assert any(
                line.startswith("the store lost what it held up to record 20; it was read again") for line in said
            )
    with over(redis.address) as again:
        assert events(again, "a") == 25
        assert not any("lost" in line for line in again.get("/readyz").json()["warnings"])


def test_a_redis_that_comes_back_with_an_older_copy_is_noticed(redis: Server, over: Open) -> None:
    with over(redis.address) as one, over(redis.address) as other:
        for _ in range(5):
            post(one, "a")
        redis.say("SAVE")
        for _ in range(4):
            post(one, "a")
        assert events(other, "a") == 9
        redis.kill()
        redis.start()
        for _ in range(8):  # past the sequence that both had seen
            assert post(one, "b") == 202
        wait_for(lambda: (events(other, "a"), events(other, "b")) == (5, 8), 10)
        assert (events(one, "a"), events(one, "b")) == (5, 8)


def test_keys_that_somebody_took_away_are_noticed(redis: Server, over: Open) -> None:
    with over(redis.address) as client:
        post(client, "a")
        redis.say("FLUSHALL")
        wait_for(lambda: events(client, "a") == 0, 10)
        assert post(client, "b") == 202
        assert events(client, "b") == 1


# Redis, away


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("record_shown", [False, True])
def test_answers_go_on_from_memory_while_redis_is_away(
    redis: Server, over: Open, fault: str, record_shown: bool
) -> None:
    with over(redis.address, record_shown=record_shown) as client:
        assert post(client, "a", "i04") == 202
        before = client.slate("a", n=3)
        getattr(redis, fault)()
        slate, spent = timed(lambda: client.slate("a", n=3))
        assert slate == before
        assert spent < 1  # once
        for path in ("/healthz", "/v1/users/a", "/v1/items/i04/similar", "/metrics", "/v1/bundles"):
            reply, spent = timed(lambda path=path: client.get(path))
            assert reply.status_code == 200
            assert spent < QUICK
        slate, spent = timed(lambda: client.slate("a", n=3))
        assert (slate, spent < QUICK) == (before, True)
        for refused in (
            lambda: client.post("/v1/events", [{"user": "a", "item": "i06", "event": "view"}]),
            lambda: client.delete("/v1/users/u01"),
            lambda: client.post("/v1/bundles/activate", {"bundle": other(client)}),
        ):
            reply, spent = timed(refused)
            assert reply.status_code == 503, reply.text
            assert list(reply.json()) == ["error"]
            assert spent < 5
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "answers go on from memory, nothing is stored" in ready.json()["error"]
        redis.start() if fault == "kill" else redis.resume()
        wait_for(lambda: client.get("/readyz").status_code == 200, 10)
        assert client.get("/v1/users/u01").status_code == 200  # nobody was half deleted
        assert post(client, "b") == 202
        assert events(client, "b") == 1


def other(client: Client) -> str:
    """A version that does not answer now."""
    return next(str(line["bundle"]) for line in client.get("/v1/bundles").json()["bundles"] if not line["active"])


def test_a_redis_that_may_not_write_is_told_and_answers_go_on(redis: Server, over: Open) -> None:
    with over(redis.address) as client:
        assert post(client, "a") == 202
        redis.say("CONFIG SET maxmemory 1")  # as full as a disk
        assert post(client, "a") == 503
        assert any("maxmemory" in line for line in client.get("/readyz").json()["warnings"])
        assert client.slate("a")
        redis.say("CONFIG SET maxmemory 0")
        assert post(client, "a") == 202
        assert events(client, "a") == 2
        assert not any("maxmemory" in line for line in client.get("/readyz").json()["warnings"])


def test_a_redis_that_is_away_at_the_start_is_refused_in_a_line(redis: Server, over: Open) -> None:
    redis.pause()
    began = time.monotonic()
    with pytest.raises(InputError, match="cannot be reached"), over(redis.address):
        pass
    assert time.monotonic() - began < 3
    redis.resume()


# A directory


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", disk], check=False).returncode
    ):
        pytest.skip("a small disk can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_is_no_fault_of_the_client_and_loses_nothing(small: Path, over: Open) -> None:
    kept = 0
    with over(small / "store") as client:
        for _ in range(400):
            reply = client.post(
                "/v1/events", [{"user": "a", "item": "i03", "event": "view", "request_id": "x" * 250}] * 5
            )
            if reply.status_code != 202:
                break
            kept += 5
        assert 0 < kept < 2000
        assert reply.status_code == 503
        assert reply.headers["retry-after"] == "1"
        assert "No space left" in reply.json()["error"]
        assert any("No space left" in line for line in client.get("/readyz").json()["warnings"])
        assert events(client, "a") == kept
        assert client.slate("a")
        assert client.delete("/v1/users/u01").status_code in (200, 503)  # a note may still fit in a free page
        subprocess.run(["mount", "-o", "remount,size=2m", small], check=True)
        assert post(client, "a") == 202
        assert not any("No space left" in line for line in client.get("/readyz").json()["warnings"])
    with over(small / "store") as client:
        assert events(client, "a") == kept + 1


STARVED = """
import resource, signal, sys
from pathlib import Path
from shortlist.serve.store import Unavailable, open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, kept = open_store(Path(sys.argv[1])), 0
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
while True:
    try:
        kept += store.append([{"kind": "event", "user": "a", "item": "i" * 200, "event": "view", "time": 1}] * 9)
    except Unavailable:
        break
assert len(store.read(0)) == kept
print(kept)
"""


def test_a_file_that_may_grow_no_more_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARVED, tmp_path / "store"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 0
    store = open_store(tmp_path / "store")
    assert len(store.read(0)) == int(done.stdout)
    store.close()


@pytest.mark.parametrize("fault", ["removed", "replaced", "emptied", "lock removed"])
def test_events_are_not_taken_into_a_file_that_is_gone(tmp_path: Path, over: Open, fault: str) -> None:
    folder, aside = tmp_path / "store", tmp_path / "aside"
    with over(folder) as client:
        assert post(client, "a", "i04") == 202
        before = client.slate("a", n=3)
        if fault == "removed":
            folder.rename(aside)
        elif fault == "replaced":
            folder.rename(aside)
            open_store(folder).close()
        elif fault == "emptied":
            shutil.copytree(folder, aside)
            for file in folder.iterdir():
                file.unlink()
        else:
            (folder / "lock.mdb").rename(aside)
        reply = client.post("/v1/events", [{"user": "a", "item": "i06", "event": "view"}])
        assert reply.status_code == 503
        assert "removed or replaced" in reply.json()["error"]
        assert client.get("/readyz").status_code == 503
        assert client.slate("a", n=3) == before
        assert client.delete("/v1/users/a").status_code == 503
        if fault == "removed":
            aside.rename(folder)
            wait_for(lambda: client.get("/readyz").status_code == 200, 10)
            assert post(client, "a", "i06") == 202
            assert events(client, "a") == 2


CUT = """
import os, sys
from pathlib import Path
from shortlist.component import InputError
from shortlist.serve.store import open_store
store = open_store(Path(sys.argv[1]))
event = {"kind": "event", "user": "a", "item": "i" * 200, "event": "view", "time": 1}
store.append([event] * 100)
os.truncate(Path(sys.argv[1]) / "data.mdb", 12_000)
for ask in (lambda: store.append([event]), store.last, lambda: store.read(0)):
    try:
        ask()
    except InputError as error:
        print(error)
"""


def test_a_file_cut_short_while_it_is_open_is_not_read(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CUT, tmp_path / "store"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.returncode  # or it was killed by SIGBUS
    assert done.stdout.count("data.mdb was cut from") == 3


OPENED = """
import sys
from pathlib import Path
from shortlist.component import InputError
from shortlist.serve.store import open_store
try:
    store = open_store(Path(sys.argv[1]))
    print("read", len(store.read(0)))
    store.append([{"kind": "event", "user": "a", "item": "i", "event": "view", "time": 1}])
except InputError as error:
    print(error)
"""


def opened(folder: Path) -> str:
    """What another process says when it opens the store: it may be killed at it."""
    done = subprocess.run([sys.executable, "-c", OPENED, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    return done.stdout.strip()


def test_a_truncated_file_is_refused_in_a_line_and_a_whole_one_is_not(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    event = {"kind": "event", "item": "i" * 100, "event": "view", "time": 1}
    store.append([{**event, "user": f"u{n}"} for n in range(300)])
    for n in range(0, 300, 30):
        store.forget(f"u{n}", 2)
    store.close()
    file = tmp_path / "store" / "data.mdb"
    whole = file.read_bytes()
    for size in (0, 4096, 20_000, len(whole) // 2):
        file.write_bytes(whole[:size])
        said = opened(tmp_path / "store")
        assert said.startswith(f"store {tmp_path / 'store'}: "), (size, said)
        assert "\n" not in said
        if size >= 8192:
            assert said.endswith(f"truncated: it has {size} bytes of {len(whole)}")
    file.write_bytes(whole)
    assert opened(tmp_path / "store") == "read 300"
    (tmp_path / "store" / "data.mdb").write_bytes(whole[:20_000])
    with pytest.raises(InputError, match="truncated"):
        open_store(tmp_path / "store")


def test_what_a_store_cannot_do_just_now_is_no_wrong_input(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    for ask in (lambda: store.append([]), store.last, lambda: store.read(0), lambda: store.forget("a", 1)):
        with pytest.raises(Unavailable, match="removed or replaced"):
            ask()
    store.close()


def test_a_file_that_grows_is_not_taken_for_one_that_was_cut(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    records = [{"kind": "event", "user": "a", "item": "i" * 200, "event": "view", "time": 1}] * 50
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(store.append, records) for _ in range(60)] + [
            pool.submit(store.last) for _ in range(20_000)
        ]
        for each in asked:
            each.result()
    assert store.last() == 3000
    store.close()
