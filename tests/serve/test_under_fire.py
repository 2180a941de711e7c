"""Two workers, eight clients: deletions, turns and events at once, and a worker killed twice. Nothing may be lost.

``pytest -m slow tests/serve/test_under_fire.py`` prints what it measured.
"""

from __future__ import annotations

import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from shortlist import bundle as bundles
from shortlist.bundle import open_bundle
from shortlist.recipe import parse
from shortlist.serve.store import open_store
from shortlist.testing import worlds

CLIENTS, DELETES, TURNS, EVENTS, POST, KILLS = 8, 400, 50, 5000, 10, 2
USERS = 600
"""People of the log, the first ``DELETES`` of whom go."""
SERVE = """
import sys
from pathlib import Path
from shortlist.serve.app import run
if __name__ == "__main__":
    run(Path(sys.argv[1]) / "run", port=int(sys.argv[2]), store=Path(sys.argv[1]) / "store", clock="log", workers=2)
"""


@contextmanager
def service(folder: Path, port: int) -> Iterator[httpx.Client]:
    """Two workers behind one address, and a client that may meet either at each request."""
    (folder / "serve.py").write_text(SERVE)
    process = subprocess.Popen([sys.executable, str(folder / "serve.py"), str(folder), str(port)], cwd=folder)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, headers={"connection": "close"}) as client:
        try:
            wait_for_workers(client, process)
            yield client
        finally:
            process.terminate()
            assert process.wait(60) in (0, -signal.SIGTERM)


def wait_for_workers(client: httpx.Client, process: subprocess.Popen[bytes]) -> set[int]:
    """Until both workers answer; which processes they are."""
    met: Counter[int] = Counter()
    deadline = time.monotonic() + 120
    while len(met) < 2 or min(met.values()) < 3:
        assert time.monotonic() < deadline, "two workers never answered"
        assert process.poll() is None
        try:
            met[client.get("/healthz").json()["process"]] += 1
        except httpx.TransportError:
            time.sleep(0.1)
    return set(met)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Fire:
    """What eight clients asked and what they were told; nothing is asked twice."""

    def __init__(self, client: httpx.Client, versions: list[str], users: list[str]):
        self.client = client
        self.versions = versions
        self.gone: dict[str, int] = {}  # user -> status, 0 = no answer
        self.kept: dict[str, int] = {}  # id of an event -> status
        self.turned: list[int] = []
        self.answered: list[int] = []
        self.wrong: list[str] = []
        self.took: dict[str, list[float]] = {"delete": [], "turn": [], "post": [], "ask": []}
        tasks: list[tuple[str, Any]] = [("delete", user) for user in users]
        tasks += [("turn", versions[n % len(versions)]) for n in range(TURNS)]
        tasks += [("post", range(n, n + POST)) for n in range(0, EVENTS, POST)]
        tasks += [("ask", user) for user in users[::2]]
        random.Random(7).shuffle(tasks)
        self.tasks: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        for task in tasks:
            self.tasks.put(task)
        self.total = len(tasks)

    def work(self) -> None:
        while True:
            try:
                kind, what = self.tasks.get_nowait()
            except queue.Empty:
                return
            began = time.perf_counter()
            try:
                status = getattr(self, kind)(what)
            except httpx.TransportError:
                status = 0  # the worker was killed over it: it may have happened or not
            self.took[kind].append(time.perf_counter() - began)
            self._note(kind, what, status)

    def _note(self, kind: str, what: Any, status: int) -> None:
        if kind == "delete":
            self.gone[what] = status
        elif kind == "post":
            self.kept |= {f"event-{n}": status for n in what}
        else:
            (self.turned if kind == "turn" else self.answered).append(status)

    def delete(self, user: str) -> int:
        return self._said(self.client.delete(f"/v1/users/{user}"))

    def turn(self, version: str) -> int:
        return self._said(self.client.post("/v1/bundles/activate", json={"bundle": version}))

    def post(self, numbers: range) -> int:
        events = [
            {"user": f"live-{n % 50:02}", "item": f"i{n % 40:02}", "event": "view", "id": f"event-{n}"} for n in numbers
        ]
        reply = self.client.post("/v1/events", json=events)
        if reply.status_code == 202 and reply.json()["rejected"]:
            self.wrong.append(str(reply.json()["rejected"]))
        return self._said(reply)

    def ask(self, user: str) -> int:
        return self._said(self.client.post("/v1/recommendations", json={"user": user, "n": 5}))

    def _said(self, reply: httpx.Response) -> int:
        if reply.status_code >= 300:
            self.wrong.append(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text}")
        return reply.status_code


def publish(run: Path) -> list[str]:
    """Three versions of a bundle that answer alike, the link on the last."""
    data, made = worlds.checkerboard(n_users=USERS, n_items=40, unseen=3), []
    for depth in (10, 20, 30):
        settings = {"name": "fire", "depth": depth, "data": {"source": "none"}, "rules": [{"type": "seen"}]}
        recipe = parse({**settings, "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}}})
        pipeline = recipe.pipeline()
        pipeline.fit_recall(data)
        made.append(bundles.save(run / "bundle", pipeline, recipe, data, None, {}).name)
    users = list(data.user_ids.ids)
    pl.DataFrame({"user": users, "request": range(len(users))}).write_parquet(run / "rows.parquet")
    return made


def holders(run: Path, user: str) -> list[bool]:
    """For each version and the run's lists, whether they hold a user."""
    files = [file for name in ("ids", "users") for file in run.glob(f"bundles/*/users*/{name}.parquet")]
    return [user in pl.read_parquet(file)["user"] for file in [*files, run / "rows.parquet"]]


@pytest.mark.slow
def test_nothing_is_lost_under_fire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    versions = publish(run)
    users = list(open_bundle(run / "bundle").data.user_ids.ids)[:DELETES]
    began, killed, port = time.perf_counter(), [], free_port()
    with service(tmp_path, port) as client:
        for first in range(0, DELETES, 100):  # everybody who will go has done something live
            events = [{"user": user, "item": "i00", "event": "view"} for user in users[first : first + 100]]
            assert client.post("/v1/events", json=events).json()["accepted"] == 100
        started = time.perf_counter()
        fire = Fire(client, versions, users)
        threads = [threading.Thread(target=fire.work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for kill in range(1, KILLS + 1):
            while fire.tasks.qsize() > fire.total * (KILLS + 1 - kill) / (KILLS + 1):
                time.sleep(0.02)
            worker = client.get("/healthz").json()["process"]
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)
        for thread in threads:
            thread.join()
        fought = time.perf_counter() - started
        active = {client.get("/readyz").json()["bundle"] for _ in range(20)}
        deadline = time.monotonic() + 60
        while len(active) > 1 and time.monotonic() < deadline:
            time.sleep(0.5)
            active = {client.get("/readyz").json()["bundle"] for _ in range(20)}
        ready = [client.get("/readyz").json() for _ in range(10)]

    assert fire.wrong == []
    assert len(set(killed)) == KILLS
    assert {(run / "bundle").resolve().name} == active
    assert {line for said in ready for line in said["warnings"]} == set()
    silent = Counter(fire.gone.values())[0], fire.turned.count(0), Counter(fire.kept.values())[0] // POST
    assert sum(silent) + fire.answered.count(0) <= KILLS * CLIENTS * 2

    # a restart works, and finishes what a killed worker left
    with service(tmp_path, port) as client:
        missing = {user: client.get(f"/v1/users/{user}").status_code for user in users}
        counts = {f"live-{n:02}": client.get(f"/v1/users/live-{n:02}").json()["events"] for n in range(50)}
        said = client.get("/readyz").json()
        assert (said["ready"], said["warnings"]) == (True, [])

    for version in versions:
        opened = open_bundle(run / "bundles" / version)
        assert len(list(opened.path.glob("users*"))) == 1
    assert {path.name for path in (run / "bundles").iterdir()} == set(versions)
    assert {path.name for path in run.iterdir()} == {"bundle", "bundles", "rows.parquet"}

    # every acknowledged event is there, once; every one that is there was sent
    store = open_store(tmp_path / "store")
    records = store.read(0)
    store.close()
    ids = Counter(record["id"] for record in records if record.get("id"))
    acknowledged = {name for name, status in fire.kept.items() if status == 202}
    assert acknowledged <= ids.keys() <= fire.kept.keys()
    assert max(ids.values()) == 1
    assert sum(counts.values()) == len(ids)

    # everybody is all gone or all there
    half = [user for user in users if len(set(holders(run, user))) > 1]
    assert half == []
    deleted = [user for user, status in fire.gone.items() if status == 200]
    assert [user for user in deleted if any(holders(run, user)) or missing[user] != 404] == []
    lived = {record["user"] for record in records if record["kind"] == "event"}
    assert lived.isdisjoint(deleted)
    for user in set(users) - set(deleted):
        assert any(holders(run, user)) == (user in lived) == (missing[user] == 200)
    on_disk = b"".join(file.read_bytes() for file in (tmp_path / "store").iterdir())
    assert [user for user in deleted if f'"{user}"'.encode() in on_disk] == []
    with capsys.disabled():
        for kind, took in fire.took.items():
            low, high = np.percentile(took, [50, 99]) * 1000
            sys.stdout.write(f"\n{kind:7} {len(took):5}  median {low:7.1f} ms  99 % {high:7.1f} ms")
        sys.stdout.write(
            f"\n{len(deleted)} people deleted; {silent[0]} deletions, {silent[1]} turns and {silent[2]} posts without "
            f"an answer; {len(acknowledged)} events acknowledged, {len(ids)} stored; {fought:.1f} s under fire, "
            f"{time.perf_counter() - began:.1f} s in all\n"
        )
