"""Which test runs which line, and how long each takes: one run of a room's tests under coverage.

A fixture that several tests share is run once, in the first of them; its lines count as lines of all that use it.
Run as a process of its own, since what is compiled depends on the environment: ``python -m bench.mutate.trace``.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest


class Tracer:
    """A pytest plugin: coverage's context is the test, or the shared fixture being made."""

    def __init__(self, watch: coverage.Coverage, slowest: float) -> None:
        self.watch, self.slowest = watch, slowest
        self.seconds: dict[str, float] = {}
        self.bad: set[str] = set()
        self.users: dict[str, list[str]] = defaultdict(list)
        self._contexts = [""]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Times the test, ends it when it is too slow to be asked."""
        for name, made in getattr(item, "_fixtureinfo").name2fixturedefs.items():  # noqa: B009
            self.users[f"fixture {made[-1].baseid} {name}"].append(item.nodeid)
        signal.signal(signal.SIGALRM, _too_slow)
        signal.setitimer(signal.ITIMER_REAL, 2 * self.slowest)  # what tests share is made in the first of them
        started = time.perf_counter()
        self._enter(item.nodeid)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._leave()
            self.seconds.setdefault(item.nodeid, time.perf_counter() - started)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[Any]:
        """What a shared fixture runs belongs to whoever uses it."""
        shared = fixturedef.scope != "function"
        if shared:
            self._enter(f"fixture {fixturedef.baseid} {fixturedef.argname}")
        try:
            return (yield)
        finally:
            if shared:
                self._leave()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tests that do not pass can say nothing; of those that do, the time of the call alone."""
        if report.outcome != "passed":
            self.bad.add(report.nodeid)
        if report.when == "call":
            self.seconds[report.nodeid] = report.duration

    def _enter(self, name: str) -> None:
        self._contexts.append(name)
        self.watch.switch_context(name)

    def _leave(self) -> None:
        self._contexts.pop()
        self.watch.switch_context(self._contexts[-1])


class TooSlow(BaseException):
    """A test that takes too long to be asked about mutants; no ``Exception``, or Hypothesis would look for more."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def trace(tree: Path, tests: list[str], slowest: float) -> dict[str, Any]:
    """``{"seconds": {test: s}, "lines": {file: {line: [tests]}}, "bad": [tests]}`` of the tests that passed."""
    package = tree / "src" / "shortlist"
    watch = coverage.Coverage(data_file=None, source=[str(package)], config_file=False, messages=False)
    tracer = Tracer(watch, slowest)
    watch.start()
    pytest.main([*tests, "-q", "-p", "no:cacheprovider", "-p", "bench.mutate.settings"], plugins=[tracer])
    watch.stop()
    data = watch.get_data()
    good = {t: s for t, s in tracer.seconds.items() if t not in tracer.bad and s <= slowest}
    lines: dict[str, dict[int, list[str]]] = {}
    for file in sorted(data.measured_files()):
        found: dict[int, list[str]] = {}
        for line, contexts in data.contexts_by_lineno(file).items():
            asked = {t for c in contexts for t in (tracer.users[c] if c.startswith("fixture ") else [c])}
            found[line] = sorted(asked & good.keys())
        lines[Path(file).relative_to(tree).as_posix()] = found
    return {"seconds": good, "lines": lines, "bad": sorted(tracer.bad)}


if __name__ == "__main__":
    job = json.loads(sys.stdin.read())
    answer = trace(Path(job["tree"]), job["tests"], job["slowest"])
    Path(job["out"]).write_text(json.dumps(answer), encoding="utf-8")
