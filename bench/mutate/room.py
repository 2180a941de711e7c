"""One room: the sample of its mutants, the tests that each is put to, and what became of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.mutate.mutants import Mutant, by_digest, of_file

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutate"
TREE = WORK / "tree"
CARRIED = ("src", "tests", "bench", "recipes", "docs", "examples", "pyproject.toml", "README.md", "Makefile")
CAUGHT, SURVIVED, TIMED_OUT = "caught", "survived", "timed out"
Job = dict[str, Any]


def copied() -> None:
    """The working tree as it is now, so that one may go on writing; times stay, since numba's cache looks at them."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in CARRIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, TREE / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
        elif (ROOT / name).exists():
            shutil.copy2(ROOT / name, TREE / name)


class Room:
    """A folder of the package, by the rules of rooms.toml."""

    def __init__(self, name: str, rules: dict[str, Any], sample: int, at_once: int, again: bool = False) -> None:
        self.name, self.rules, self.sample, self.at_once, self.again = name, rules, sample, at_once, again
        self.kept = WORK / f"{name}.jsonl"
        self.tests = rules["rooms"][name]["tests"]
        found = (p for glob in rules["rooms"][name]["files"] for p in sorted((TREE / "src/shortlist").glob(glob)))
        self.files = [path.relative_to(TREE).as_posix() for path in found]

    def run(self) -> list[tuple[str, str]]:
        """(mutant, outcome) of the sample; ``build/mutate/ROOM.jsonl`` has what caught it as well."""
        mutants = [mutant for file in self.files for mutant in of_file(TREE, TREE / file, self.rules)]
        jobs = list(self._jobs(by_digest(mutants, self.rules["seed"])))
        (WORK / "log").mkdir(exist_ok=True)
        caught = self._caught_before()
        told = [caught[job["name"]] for job in jobs if job["name"] in caught]
        for plain in (False, True):
            mine = {job["number"]: job for job in jobs if job["plain"] == plain and job["name"] not in caught}
            for answer in self._answers(mine, plain):
                job = mine[answer["number"]]
                told.append({key: job[key] for key in ("name", "line", "plain")} | answer)
        self.kept.write_text("".join(f"{json.dumps(one)}\n" for one in told), encoding="utf-8")
        return [(one["name"], one["outcome"]) for one in told]

    def _caught_before(self) -> dict[str, Job]:
        """With ``again``, what the last run of the room caught: tests that were added since take none of it back."""
        if not self.again or not self.kept.exists():
            return {}
        last = [json.loads(line) for line in self.kept.read_text(encoding="utf-8").splitlines()]
        return {one["name"]: one for one in last if one["outcome"] != SURVIVED}

    def _jobs(self, mutants: list[Mutant]) -> Iterator[Job]:
        traces = {plain: self._trace(plain) for plain in {mutant.kernel for mutant in mutants}}
        seen = Counter[str]()
        for mutant in mutants:
            made = mutant.applied((TREE / mutant.file).read_text(encoding="utf-8"))
            if made is None:
                continue
            name = f"{mutant.file} | {mutant.where} | {made[1]}"
            seen[name] += 1
            tests, seconds = self._asked(mutant, traces[mutant.kernel])
            job = self._job(seen.total(), tests, seconds)
            job |= {"name": name if seen[name] == 1 else f"{name} ({seen[name]})", "line": mutant.line}
            yield job | {"file": mutant.file, "plain": mutant.kernel, "source": made[0]}
            if seen.total() == self.sample:
                return

    def _job(self, number: int, tests: list[str], seconds: float) -> Job:
        """Without a mutant: the tests on the code as it is."""
        base, factor = self.rules["timeout"]
        log = str(WORK / "log" / str(number))
        limit = base + factor * seconds
        return {"number": number, "tests": tests, "limit": limit, "log": log, "said": f"{log}.said", "source": None}

    def _asked(self, mutant: Mutant, traced: dict[str, Any]) -> tuple[list[str], float]:
        """Tests that run the mutant's line, and the seconds they take: those that bear its file's name come first."""
        lines, seconds = traced["lines"].get(mutant.file, {}), traced["seconds"]
        runs = {t for n, tests in lines.items() if not mutant.lines or int(n) in mutant.lines for t in tests}
        stem = Path(mutant.file).stem.strip("_")
        asked, total = [], 0.0
        for test in sorted(runs, key=lambda t: (stem not in t, f"tests/{self.name}/" not in t, seconds[t], t)):
            if total + seconds[test] <= self.rules["budget"]:
                asked.append(test)
                total += seconds[test]
        return asked, total

    def _trace(self, plain: bool) -> dict[str, Any]:
        out = WORK / f"{self.name}.{'plain' if plain else 'compiled'}.trace.json"
        tests = [test for test in self.tests if not plain or test == f"tests/{self.name}"]
        tests += ["-k", f"not test_contract or {self.name}"]  # of the contract, the room's own components
        job = {"tree": str(TREE), "tests": tests, "slowest": self.rules["slowest"][plain], "out": str(out)}
        words = [sys.executable, "-m", "bench.mutate.trace"]
        with out.with_suffix(".log").open("w", encoding="utf-8") as log:
            subprocess.run(
                words,
                input=json.dumps(job),
                text=True,
                check=True,
                cwd=TREE,
                env=_around(plain),
                stdout=log,
                stderr=log,
            )
        return json.loads(out.read_text(encoding="utf-8"))

    def _answers(self, jobs: dict[int, Job], plain: bool) -> Iterator[Job]:
        """What became of every job.

        A test that catches is tried without a change as well: one that fails there, run as it is here, catches nothing,
        and its mutants go to the other tests.
        """
        unsound: set[str] = set()
        waiting = list(jobs.values())
        while waiting:
            told = list(self._forked([job for job in waiting if job["tests"]], plain))
            for job in waiting:
                if not job["tests"]:
                    yield {"number": job["number"], "outcome": SURVIVED, "by": "run by no test", "seconds": 0.0}
            new = {answer["by"] for answer in told if answer["outcome"] == CAUGHT and "::" in answer["by"]}
            unsound |= self._unsound(sorted(new), plain)
            yield from (answer for answer in told if answer["by"] not in unsound)
            again = [jobs[answer["number"]] for answer in told if answer["by"] in unsound]
            waiting = [job | {"tests": [t for t in job["tests"] if t not in unsound]} for job in again]

    def _unsound(self, tests: list[str], plain: bool) -> set[str]:
        """Tests that fail without a change: all of them at once, and one by one where that fails."""
        every = [self._job(0, tests, 4 * self.rules["budget"])] if tests else []
        if all(answer["outcome"] == SURVIVED for answer in self._forked(every, plain)):
            return set()
        alone = [self._job(number, [test], self.rules["budget"]) for number, test in enumerate(tests)]
        return {tests[a["number"]] for a in self._forked(alone, plain) if a["outcome"] != SURVIVED}

    def _forked(self, jobs: list[Job], plain: bool) -> Iterator[Job]:
        if not jobs:
            return
        names = {job["number"]: job.get("name", "") for job in jobs}
        asked = WORK / "jobs.json"
        words = {"tree": str(TREE), "preload": self.rules["preload"], "at_once": self.at_once, "jobs": jobs}
        asked.write_text(json.dumps(words), encoding="utf-8")
        command = [sys.executable, "-m", "bench.mutate.fork"]
        started = time.monotonic()
        with (
            asked.open(encoding="utf-8") as given,
            subprocess.Popen(
                command, stdin=given, stdout=subprocess.PIPE, text=True, cwd=TREE, env=_around(plain)
            ) as server,
        ):
            for n, line in enumerate(server.stdout or (), 1):
                answer = json.loads(line)
                if answer["outcome"] == SURVIVED and names[answer["number"]]:
                    print(f"\r{names[answer['number']]}", file=sys.stderr)
                spent = time.monotonic() - started
                print(f"\r{self.name}: {n} of {len(jobs)}, {spent:.0f} s", end="", file=sys.stderr, flush=True)
                yield answer
            print(file=sys.stderr)
        if server.returncode:
            raise RuntimeError(f"the run of {self.name}'s mutants ended with {server.returncode}")


def _around(plain: bool) -> dict[str, str]:
    """The environment: one thread each. ``plain`` runs kernels as Python, so that none of them is compiled anew."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
    own = {"PYTHONPATH": f"{TREE / 'src'}{os.pathsep}{TREE}", "PYTHONHASHSEED": "0"}
    own |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the tests of these rooms need none, and some take a second each
    own |= {"NUMBA_CACHE_DIR": str(WORK / "numba"), "NUMBA_DISABLE_JIT": str(int(plain))}
    return os.environ | dict.fromkeys(threads, "1") | own
