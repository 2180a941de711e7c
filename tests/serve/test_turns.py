"""Deletions and turns to another version that meet: several processes at once, starts, kills, read-only folders."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shortlist import bundle as bundles
from shortlist.bundle import Deletion, open_bundle
from shortlist.serve import live as lives
from shortlist.serve.live import Live, Start
from shortlist.serve.store import open_store

Open = Callable[..., Live]


@pytest.fixture
def process(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens what another process of the service has: a ``Live`` of its own on the same bundle and store."""
    store = open_store(tmp_path / "store")
    monkeypatch.setattr(lives, "open_store", lambda address: store)  # LMDB lets one process open it once
    opened: list[Live] = []

    def start(path: Path = run / "bundle", **options: Any) -> Live:
        opened.append(Live.open(path, tmp_path / "store", "log", **options))
        return opened[-1]

    yield start
    for live in opened:
        live._closed.set()
    store.close()


def serving(live: Live) -> str:
    return live.view().bundle.path.name


def names(run: Path) -> tuple[str, str]:
    """The version that the link leads to, and the other."""
    active = (run / "bundle").resolve().name
    return active, next(path.name for path in (run / "bundles").iterdir() if path.name != active)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# Turns


def test_who_starts_while_another_turns_follows(process: Open, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = names(run)
    one, real = process(), lives.open_bundle

    def meanwhile(path: Path) -> Any:
        monkeypatch.setattr(lives, "open_bundle", real)
        opened = real(path)
        one.activate(new)
        return opened

    monkeypatch.setattr(lives, "open_bundle", meanwhile)
    two = process()
    assert two._views[None].bundle.path.name in (old, new)
    until(lambda: serving(two) == new)
    assert two.failed is None


def test_a_worker_that_starts_again_stands_where_the_others_do(process: Open, run: Path) -> None:
    """Whether the service was started on a version itself or on a link, and whatever was published since."""
    old, new = names(run)
    one = process(run / "bundles" / old)
    assert serving(process(run / "bundles" / old, start=one.began)) == old
    one.activate(new)
    assert serving(process(run / "bundles" / old, start=one.began)) == new
    assert serving(process(run / "bundles" / old)) == old  # another service, told to begin there

    linked = process()
    bundles.point(run / "bundle", run / "bundles" / new)  # as ``shortlist fit`` does
    assert serving(process(start=linked.began)) == old
    assert f"leads to {new}, and {old} answers" in str(linked.astray)
    linked.activate(new)
    assert linked.astray is None
    assert serving(process(start=Start(run / "bundles" / "gone", 0))) == new


def test_of_turns_at_once_one_is_the_last_everywhere(process: Open, run: Path) -> None:
    both = names(run)
    services = [process() for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: services[n % 3].activate(both[n % 2]), range(18)))
    said = services[0].store.read(0)[-1]["bundle"]
    assert (run / "bundle").resolve().name == said
    for live in services:
        until(lambda live=live: serving(live) == said)  # type: ignore[misc]
    assert serving(process()) == said


def test_a_turn_that_did_not_work_here_is_tried_again(process: Open, run: Path, tmp_path: Path) -> None:
    """The other host has the version; here it has not arrived yet."""
    old, new = names(run)
    one, two = process(), process()
    one.activate(new)
    shutil.move(run / "bundles" / new, tmp_path / "away")
    two.view()
    until(lambda: two.failed is not None)
    assert serving(two) == old
    shutil.move(tmp_path / "away", run / "bundles" / new)
    until(lambda: serving(two) == new)
    assert two.failed is None


def test_the_link_of_another_host_follows(process: Open, run: Path, tmp_path: Path) -> None:
    new = names(run)[1]
    there = Path(shutil.copytree(run, tmp_path / "there", symlinks=True))
    here, far = process(), process(there / "bundle")
    here.activate(new)
    until(lambda: serving(far) == new)
    until(lambda: (there / "bundle").resolve().name == new)


# Folders that may only be read


def refusing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def refused(path: Path, *arguments: Any, **named: Any) -> None:
        raise OSError(30, "Read-only file system", str(path))

    for name in names:
        monkeypatch.setattr(Path, name, refused)


def test_nobody_is_half_deleted_where_bundles_may_only_be_read(
    client: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/v1/events", [{"user": "u01", "item": "i00", "event": "view"}])
    events = client.get("/v1/users/u01").json()["events"]
    with monkeypatch.context() as patch:
        refusing(patch, "mkdir")
        reply = client.delete("/v1/users/u01")
    assert reply.status_code == 503
    assert "'u01': nothing was deleted: " in reply.json()["error"]
    assert "Read-only" in reply.json()["error"]
    assert client.get("/v1/users/u01").json()["events"] == events
    assert client.delete("/v1/users/u01").json()["live_events"] == 1


def test_nobody_turns_where_the_link_cannot_be_moved(client: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = names(run)
    with monkeypatch.context() as patch:
        refusing(patch, "symlink_to")
        reply = client.post("/v1/bundles/activate", {"bundle": new})
    assert reply.status_code == 503
    assert "Read-only" in reply.json()["error"]
    assert client.get("/readyz").json()["bundle"] == (run / "bundle").resolve().name == old
    assert client.live.store.last() == 0
    assert client.post("/v1/bundles/activate", {"bundle": new}).status_code == 200


@pytest.mark.parametrize("method", ["forget", "append"])
def test_a_store_that_cannot_be_written_leaves_everything_as_it_was(
    client: Any, run: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    old, new = names(run)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(client.live.store, method, full)
        turn = "/v1/bundles/activate", {"bundle": new}
        reply = client.delete("/v1/users/u01") if method == "forget" else client.post(*turn)
    assert reply.status_code == 503
    assert client.get("/readyz").json()["bundle"] == (run / "bundle").resolve().name == old
    assert sorted(path.name for path in run.iterdir()) == ["bundle", "bundles"]
    for version in (run / "bundles").iterdir():
        assert open_bundle(version).data.user_ids.code("u01") == 1
        assert len(list(version.glob("users*"))) == 1


# The run's lists


def lists(run: Path) -> pl.DataFrame:
    users = ["u01", "u02", "u01", "u03"]
    rows = pl.DataFrame(
        {"request": [0, 1, 2, 3], "user": users, "time": [5, 6, 7, 8], "item": ["i1", "i2", "i3", "i4"]}
    )
    rows.write_parquet(run / "rows.parquet")
    return rows


def test_the_lists_of_the_run_stay_by_request_and_not_by_person(client: Any, run: Path) -> None:
    before = lists(run)
    client.delete("/v1/users/u01")
    after = pl.read_parquet(run / "rows.parquet")
    assert after.drop("user").equals(before.drop("user"))
    users = after["user"].to_list()
    assert [users[1], users[3]] == ["u02", "u03"]
    assert users[0] == users[2] != "u01"  # still one person's, whoever it was
    assert not any(b"u01" in file.read_bytes() for file in run.rglob("*") if file.is_file())
    assert sorted(path.name for path in run.iterdir()) == ["bundle", "bundles", "rows.parquet"]


def test_lists_that_cannot_be_read_are_told(client: Any, run: Path) -> None:
    (run / "rows.parquet").write_bytes(b"PAR1 cut off")
    reply = client.delete("/v1/users/u01")
    assert reply.status_code == 503
    assert "rows.parquet: cannot be read" in reply.json()["error"]
    assert client.get("/v1/users/u01").status_code == 200


def test_lists_that_cannot_be_written_leave_everybody_where_they_are(
    client: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lists(run)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pl.DataFrame, "write_parquet", full)
        assert "nothing was deleted" in client.delete("/v1/users/u01").json()["error"]
    assert pl.read_parquet(run / "rows.parquet").equals(before)
    assert client.get("/v1/users/u01").status_code == 200
    assert client.delete("/v1/users/u01").status_code == 200


# Whoever is killed


def test_a_deletion_that_was_killed_is_finished_at_the_next_start(
    process: Open, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists(run)
    one, other = process(), names(run)[1]

    def killed(deletion: Deletion) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Deletion, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            one.forget("u01", one.now(one.view()))
    assert one.view().data.user_ids.code("u01") == -1
    assert open_bundle(run / "bundles" / other).data.user_ids.code("u01") == 1
    two = process()
    assert two.uncleaned is None
    assert "u01" not in pl.read_parquet(run / "rows.parquet")["user"]
    for version in (run / "bundles").iterdir():
        assert open_bundle(version).data.user_ids.code("u01") == -1
        assert open_bundle(version).data.user_ids.code("u02") == 2


def test_a_start_says_who_could_not_be_taken_out(
    process: Open, run: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process().forget("u01", 1 << 60)
    shutil.rmtree(run / "bundles")
    shutil.copytree(published / "bundles", run / "bundles")  # copied back
    with monkeypatch.context() as patch:
        refusing(patch, "mkdir")
        live = process()
    assert "people who were deleted are still in the files" in str(live.uncleaned)
    assert live.view().data.user_ids.code("u01") == -1
    assert process().uncleaned is None


def test_who_came_back_since_stays_in_the_files(process: Open, run: Path) -> None:
    one = process()
    one.store.forget("u01", 1)  # long before their events
    process()
    assert open_bundle(run / "bundle").data.user_ids.code("u01") == 1


def test_what_a_killed_process_left_behind_goes_with_the_next_start(process: Open, run: Path) -> None:
    before = lists(run)
    process().forget("u03", 1 << 60)
    version = (run / "bundle").resolve()
    shutil.copytree(version / open_bundle(version).manifest["users"], version / "users-0123abcd")
    before.write_parquet(run / ".rows.parquet")
    (run / ".bundle-next").symlink_to("bundles/anything")
    live = process()
    live.activate(names(run)[1])
    assert live.uncleaned is None
    assert len(list(version.glob("users*"))) == 1
    assert sorted(path.name for path in run.iterdir()) == ["bundle", "bundles", "rows.parquet"]
