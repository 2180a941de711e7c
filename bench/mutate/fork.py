"""Mutants put to their tests, each in a fork of a process that has imported everything but shortlist.

A mutant never lies on the disk: the fork's importer is handed its source. So the files keep the times by which numba's
cache knows them, and an interrupted run leaves nothing behind.
Run as a process of its own, since what is compiled depends on the environment: ``python -m bench.mutate.fork``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

MEMORY = 8 << 30
CAUGHT, SURVIVED, TIMED_OUT = "caught", "survived", "timed out"


class Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """The importer of one module, from ``source`` instead of its file."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        super().__init__(module, str(path))
        self.source = source

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Only the changed module is ours."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        """Compiled from the changed source; a ``.pyc`` is neither read nor written."""
        return compile(self.source, self.path, "exec", dont_inherit=True)


class First:
    """A pytest plugin that remembers what failed first."""

    def __init__(self) -> None:
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test's setup, call or teardown."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be imported any more."""
        if report.failed and not self.failed:
            self.failed = f"import of {report.nodeid}"


def put(job: dict[str, Any], tree: Path) -> int:
    """In the fork: runs the job's tests on its mutant. Gives the exit code for this process."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    quiet = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    if job["source"] is not None:
        path = tree / job["file"]
        parts = path.relative_to(tree / "src").with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sys.meta_path.insert(0, Changed(module, path, job["source"]))
    first = First()
    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "bench.mutate.settings", f"--basetemp={job['log']}.tmp"]
    code = int(pytest.main([*job["tests"], *words], plugins=[first]))
    if code:
        Path(job["said"]).write_text(first.failed or f"pytest ended with {code}", encoding="utf-8")
    return 1 if code else 0


def answers(jobs: list[dict[str, Any]], tree: Path, at_once: int) -> Iterator[dict[str, Any]]:
    """``{"number", "outcome", "by", "seconds"}`` of every job, as they end."""
    waiting, running = list(reversed(jobs)), {}
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop()
            Path(job["said"]).unlink(missing_ok=True)
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    code = put(job, tree)
                finally:
                    os._exit(code)
            running[pid] = (job, time.monotonic())
        time.sleep(0.02)
        for pid, (job, started) in list(running.items()):
            spent = time.monotonic() - started
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and spent < job["limit"]:
                continue
            if not ended:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            del running[pid]
            said = Path(job["said"])
            by = said.read_text(encoding="utf-8") if said.exists() else "" if ended else TIMED_OUT
            outcome = TIMED_OUT if not ended else CAUGHT if status else SURVIVED
            by = by or f"exit {status}"
            yield {"number": job["number"], "outcome": outcome, "by": by, "seconds": round(spent, 2)}


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    for name in asked["preload"]:
        importlib.import_module(name)
    for answer in answers(asked["jobs"], Path(asked["tree"]), asked["at_once"]):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
