"""Rows of a bench's tables: kept each in a file of its own as soon as it is there, with what it was measured on."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from shortlist.documents import write_text
from shortlist.train import versions

FOLDERS = ("--data", "--work", "--peers", "--movietweetings")
"""Options whose value is a place on one machine."""


def provenance(script: str, libraries: Iterable[str] = ()) -> dict[str, Any]:
    """What figures were made with, and the versions of further libraries that are installed."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    told = ["DIR" if before in FOLDERS else word for before, word in pairwise(sys.argv)]
    found = versions()
    for library in libraries:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": " ".join([f"python {script}", *told]),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, one thread a process",
        "versions": found,
        "date": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1),  # of the whole machine: above 1, timings are not to be trusted
    }


def keep(folder: Path, name: str, row: dict[str, Any]) -> None:
    """Writes a row."""
    folder.mkdir(exist_ok=True)
    write_text(folder / f"{name}.json", json.dumps(row, indent=1) + "\n")


def kept(folder: Path, name: str) -> dict[str, Any]:
    """A row as it was measured last, or nothing."""
    file = folder / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def say(line: str) -> None:
    """A bench may print."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
