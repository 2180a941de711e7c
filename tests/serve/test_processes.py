"""Real servers on loopback ports: processes that share a store, and the interface against its own schema."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import NoSuchExample, Unsatisfiable
from schemathesis import GenerationMode, checks

SERVE = """
import sys
from pathlib import Path
from shortlist.serve.app import run
if __name__ == "__main__":
    run(Path(sys.argv[1]), port=int(sys.argv[3]), store=Path(sys.argv[2]), clock="log", workers=int(sys.argv[4]))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, servers: int = 1, workers: int = 1) -> Iterator[list[httpx.Client]]:
    """Clients of ``servers`` processes over one store, once they are ready."""
    script = folder / "serve.py"
    script.write_text(SERVE)
    ports = [free_port() for _ in range(servers)]
    arguments = [sys.executable, str(script), str(folder / "run"), str(folder / "store")]
    running = [subprocess.Popen([*arguments, str(port), str(workers)], cwd=folder) for port in ports]
    clients = [httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) for port in ports]
    try:
        for client in clients:
            wait_for(lambda client=client: client.get("/readyz").status_code == 200)
        yield clients
    finally:
        for process in running:
            process.terminate()
        for client, process in zip(clients, running, strict=True):
            client.close()
            assert process.wait(30) in (0, -15)


def wait_for(condition: Any, seconds: float = 60) -> None:
    """Until ``condition()`` holds; a server that is not up yet does not fulfil it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def view(user: str, item: str) -> dict[str, Any]:
    return {"user": user, "item": item, "event": "view"}


def slate(client: httpx.Client, user: str, n: int = 10) -> list[str]:
    answer = client.post("/v1/recommendations", json={"user": user, "n": n})
    assert answer.status_code == 200, answer.text
    return [row["item"] for row in answer.json()["items"]]


def test_two_processes_see_each_others_events_deletions_and_turns(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path / "run", symlinks=True)
    with serving(tmp_path, servers=2) as (one, two):
        first = slate(one, "u01")[0]
        assert one.post("/v1/events", json=[view("u01", first), view("somebody", "i03")]).status_code == 202
        assert first not in slate(two, "u01")
        assert one.post("/v1/events", json=[{**view("u01", first), "event": "shown"}]).status_code == 202
        assert two.get("/v1/users/u01").json()["shown"] == 41  # forty in the bundle's log
        assert two.post("/v1/events", json=[view("somebody", "i05")]).status_code == 202
        for client in (one, two):
            assert client.get("/v1/users/somebody").json()["events"] == 2
        assert two.delete("/v1/users/u02").json()["snapshot_events"]
        assert one.get("/v1/users/u02").status_code == 404
        new = next(line["bundle"] for line in one.get("/v1/bundles").json()["bundles"] if not line["active"])
        assert one.post("/v1/bundles/activate", json={"bundle": new}).status_code == 200
        wait_for(lambda: two.get("/readyz").json()["bundle"] == new)
        assert two.get("/v1/users/somebody").json()["events"] == 2
        assert two.get("/v1/users/u02").status_code == 404


@pytest.mark.slow
def test_workers_of_one_server_share_everything(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path / "run", symlinks=True)
    with serving(tmp_path, workers=2) as (client,):
        fresh = {"connection": "close"}  # each request may meet another worker
        for n in range(10):
            assert client.post("/v1/events", json=[view("a", f"i{n:02}")], headers=fresh).status_code == 202
            assert client.get("/v1/users/a", headers=fresh).json()["events"] == n + 1
        counted = 'shortlist_requests_total{method="POST",route="/v1/events",status="202"} 10.0'
        assert counted in client.get("/metrics").text  # added up over the workers


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.slow
def test_the_interface_does_what_its_schema_says(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path / "run", symlinks=True)
    bounded = settings(
        max_examples=15, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with serving(tmp_path) as (client,), requests.Session() as session:
        schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) == 11
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                with suppress(NoSuchExample, Unsatisfiable):  # an operation without input cannot be asked wrongly

                    @bounded
                    @given(operation.as_strategy(generation_mode=mode))
                    def conforms(case: Any) -> None:
                        case.call_and_validate(checks=CHECKS, session=session)

                    conforms()
