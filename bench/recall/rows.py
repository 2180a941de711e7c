"""Rows of the tables: measured each in a process of its own, kept each in a file of its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from shortlist.documents import write_text
from shortlist.train import versions

HERE = Path(__file__).parent
RESULTS = HERE / "results"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
Job = dict[str, Any]


def called(work: str, job: Job, limit: float, file: str = "worker.py") -> dict[str, Any]:
    """What ``file`` says of a job, in one thread and within ``limit`` seconds; else why there is nothing."""
    env = os.environ | dict.fromkeys(THREADS, "1")
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / file), work, json.dumps(job)],
            env=env, capture_output=True, text=True, timeout=limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"stopped": f"not done after {limit:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failed": lines[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def provenance(file: str = "run.py") -> dict[str, Any]:
    """What the figures were made with."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, one thread a process"
    load = round(os.getloadavg()[0], 1)  # of the whole machine: above 1, timings are not to be trusted
    told = ["DIR" if before in ("--data", "--work") else word for before, word in pairwise(sys.argv)]
    return {"command": " ".join([f"python bench/recall/{file}", *told]), "machine": machine} | {
        "versions": versions(), "date": time.strftime("%Y-%m-%d"), "seed": 0, "load": load,
    }  # fmt: skip


def keep(name: str, row: dict[str, Any]) -> None:
    """Writes a row as soon as it is there."""
    write_text(RESULTS / f"{name}.json", json.dumps(row, indent=1) + "\n")


def kept(name: str) -> dict[str, Any]:
    """A row as it was measured last, or nothing."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def wanted(words: list[str], *kinds: list[str]) -> list[list[str]]:
    """Each kind of name, restricted to the words that are of that kind; raises ``SystemExit`` on a word of none."""
    every = {name for kind in kinds for name in kind}
    unknown = sorted(set(words) - every)
    if unknown:
        raise SystemExit(f"--only {' '.join(unknown)}: expected some of {', '.join(sorted(every))}")
    return [[name for name in kind if not set(words) & set(kind) or name in words] for kind in kinds]


def say(line: str) -> None:
    """A bench may print."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
