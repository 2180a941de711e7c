"""Rows of the tables: measured each in a process of its own, kept each in a file of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a bench is run as a script, so only its own folder is searched

import measured  # noqa: E402

RESULTS = HERE / "results"
keep = partial(measured.keep, RESULTS)
kept = partial(measured.kept, RESULTS)
say = measured.say
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
    return {**measured.provenance(f"bench/recall/{file}"), "seed": 0}


def wanted(words: list[str], *kinds: list[str]) -> list[list[str]]:
    """Each kind of name, restricted to the words that are of that kind; raises ``SystemExit`` on a word of none."""
    every = {name for kind in kinds for name in kind}
    unknown = sorted(set(words) - every)
    if unknown:
        raise SystemExit(f"--only {' '.join(unknown)}: expected some of {', '.join(sorted(every))}")
    return [[name for name in kind if not set(words) & set(kind) or name in words] for kind in kinds]
