"""Peak memory and time of reading a log, per million events: ``python bench/tables/memory.py [--events 5000000]``.

Each way of writing the same made-up log is read in a process of its own, so that peaks do not mix.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

NAMES = ["user", "item", "event", "time", "value"]
WAYS = {
    "csv": {"path": "log.csv"},
    "csv, gzip": {"path": "log.csv.gz"},
    "::": {"path": "log.dat", "separator": "::", "names": NAMES},
    ":: gzip": {"path": "log.dat.gz", "separator": "::", "names": NAMES},
    "parquet": {"path": "log.parquet"},
    "csv, latin-1": {"path": "log.csv", "encoding": "latin-1"},
    "csv, 20 % dropped": {"path": "log.csv", "filters": {"value": {"min": 2}}},
    "csv, duplicates, rate": {
        "path": "log.csv",
        "filters": {"duplicates": "drop", "user_events": {"max": 500, "per": "1d"}},
    },
}


def make(folder: Path, n: int) -> None:
    """A log of 300,000 users and 100,000 items: ids of 6 digits, four behaviours, a value of 1 to 5."""
    draw = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "user": draw.integers(100_000, 400_000, n),
            "item": draw.integers(100_000, 200_000, n),
            "event": np.array(["view", "click", "cart", "buy"])[draw.choice(4, n, p=[0.7, 0.2, 0.07, 0.03])],
            "time": np.sort(draw.integers(1_500_000_000, 1_600_000_000, n)),
            "value": draw.integers(1, 6, n),
        }
    )
    log.write_parquet(folder / "log.parquet")
    log.write_csv(folder / "log.csv")
    with (folder / "log.csv").open() as source, (folder / "log.dat").open("w") as target:
        next(source)
        target.writelines(line.replace(",", "::") for line in source)
    for name in ("log.csv", "log.dat"):
        subprocess.run(["gzip", "-k1", name], cwd=folder, check=True)


def peak() -> float:
    """Largest resident size of this process so far, MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 2**10)


def measure(folder: Path, way: str) -> None:
    """Reads once and prints a row of the table."""
    before, start = peak(), time.perf_counter()
    raw = load(DataSpec.model_validate({"events": WAYS[way]}), folder)
    seconds, millions = time.perf_counter() - start, (raw.events.height + raw.rejected.height) / 1e6
    print(f"| {way} | {(peak() - before) / millions:.0f} | {seconds / millions:.2f} |", flush=True)


def main() -> None:
    """Makes the log and measures every way of reading it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=5_000_000)
    arguments.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        folder, way = Path(given.one[0]), given.one[1]
        make(folder, given.events) if way == "make" else measure(folder, way)
        return
    print(
        f"{given.events:,} events\n\n| log | peak MiB per million | seconds per million |\n| --- | --- | --- |",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, __file__, "--events", str(given.events), "--one", folder]
        # Linux lets a process begin with its parent's peak, so the parent must stay small: it does not make the log.
        for way in ("make", *WAYS):
            subprocess.run([*run, way], check=True)


if __name__ == "__main__":
    main()
