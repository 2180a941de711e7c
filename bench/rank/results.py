"""Rows of the tables, each kept in a file of its own as soon as it is there."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from shortlist.documents import write_text
from shortlist.train import versions

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LIBRARIES = ("torch", "xgboost-cpu", "scikit-learn", "deepctr-torch", "torch-rechub")


def provenance() -> dict[str, Any]:
    """What figures were made with."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    uname = os.uname()
    told = ["DIR" if before in ("--data", "--work") else word for before, word in pairwise(sys.argv)]
    found = versions()
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": " ".join(["python bench/rank/run.py", *told]),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {uname.machine}, one thread a process",
        "versions": found,
        "date": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1),  # of the whole machine: above 1, timings are not to be trusted
    }


def keep(name: str, row: dict[str, Any]) -> None:
    """Writes a row."""
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / f"{name}.json", json.dumps(row, indent=1) + "\n")


def kept(name: str) -> dict[str, Any]:
    """A row as it was measured last, or nothing."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def say(line: str) -> None:
    """A bench may print."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
