"""One row of the table, in a process of its own: a channel fitted, timed, weighed, and its lists.

The lists (depth 200) go to WORK/SET/PROTOCOL/CHANNEL.WINDOW.parquet for ``together.py``.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import logs
import numpy as np
import polars as pl

from shortlist.component import InputError, Retriever
from shortlist.data import Dataset, State
from shortlist.data.protocol import Questions
from shortlist.metrics import accuracy, beyond
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals
from shortlist.registry import find
from shortlist.types import Array, Candidates, Ragged

DEPTH = 200
SINGLE = 300
"""Requests asked one at a time for the latency."""
METRICS = ("recall@50", "recall@200", "ndcg@10")


def fitted(channel: str, settings: dict[str, Any], data: Dataset) -> tuple[Retriever, dict[str, float]]:
    """The channel after a small fit that compiles its kernels, with the seconds and the memory of the real one."""
    cls = find("recall", channel)
    small = data.until(data.cut(min(0.02, 3000 / max(len(data.events), 1))))
    cls.from_config(settings).fit(small)  # type: ignore[attr-defined]
    component = cls.from_config(settings)
    before = reset_peak()
    began, used = time.perf_counter(), time.process_time()
    component.fit(data)  # type: ignore[attr-defined]
    seconds, busy = time.perf_counter() - began, time.process_time() - used
    top = peak()
    cost = {"fit_seconds": seconds, "fit_processor": busy, "peak_mib": top, "fit_adds_mib": max(top - before, 0.0)}
    return component, cost  # type: ignore[return-value]


def reset_peak() -> float:
    """Forgets the largest size of the process so far, where the system can; MiB resident now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return status("VmRSS")


def peak() -> float:
    """MiB: the largest resident size since ``reset_peak``."""
    return status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def status(field: str) -> float:
    """MiB of a line of the process's own status; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def latency(channel: Retriever, batches: list[Questions], state: State) -> dict[str, float]:
    """Milliseconds of one request after another, medians and 99th percentiles."""
    requests = [batch.requests.take([row]) for batch in batches for row in range(len(batch))]
    every = requests[:: max(1, len(requests) // SINGLE)][:SINGLE]
    spent = []
    for one in [*every[:30], *every]:
        one = one.take([0])  # nothing remembered from the warm-up
        began = time.perf_counter()
        channel.retrieve(one, state, DEPTH)
        spent.append(time.perf_counter() - began)
    p50, p99 = np.percentile(np.array(spent[30:]) * 1e3, [50, 99]) if every else (np.nan, np.nan)
    return {"p50_ms": float(p50), "p99_ms": float(p99)}


def lists(channel: Retriever, batches: list[Questions], state: State) -> Candidates:
    """What the channel answers to all questions, numbered through."""
    parts, first = [Candidates.empty(score=np.float32)], 0
    for batch in batches:
        rows = channel.retrieve(batch.requests, state, DEPTH).select(["score"])
        parts.append(Candidates((rows.request + np.uint32(first)).astype(np.uint32), rows.item, rows.columns))
        first += len(batch)
    return Candidates.concat(parts)


def targets(batches: list[Questions]) -> tuple[Array, Ragged]:
    """Who asks, and what is right."""
    return np.concatenate([b.requests.user for b in batches]), Ragged.concat([b.targets for b in batches])


def values(rows: Candidates, right: Ragged) -> dict[str, Array]:
    """Each of METRICS, one value a request."""
    slates = Slates.of(rows, right, DEPTH)
    return {
        "recall@50": accuracy.recall(slates, 50),
        "recall@200": accuracy.recall(slates, DEPTH),
        "ndcg@10": accuracy.ndcg(slates, 10),
    }


def quality(rows: Candidates, users: Array, right: Ragged, data: Dataset) -> dict[str, Any]:
    """Means with intervals, and the share of the items with events that is ever among the first ten."""
    measured = values(rows, right)
    intervals = mean_intervals(np.stack([measured[m] for m in METRICS], axis=1), users)
    slates = Slates.of(rows, right, 10)
    known = int((data.item_counts("all") > 0).sum())
    return {
        **{metric: asdict(interval) for metric, interval in zip(METRICS, intervals, strict=True)},
        "coverage@10": beyond.coverage(slates, 10, known),
        "rows": len(rows) / max(len(users), 1),
    }


def digest(users: Array, right: Ragged) -> str:
    """Names a set of questions."""
    told = hashlib.sha256()
    for column in (users, right.offsets, right["item"]):
        told.update(np.ascontiguousarray(column).tobytes())
    return told.hexdigest()[:16]


def keep(rows: Candidates, file: Path, questions: str) -> None:
    """Writes lists, with the digest of the questions they answer."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    pl.DataFrame({"request": rows.request, "item": rows.item, "score": rows["score"]}).write_parquet(
        part, metadata={"questions": questions}
    )
    part.rename(file)


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """The row, but for what needs the other channels."""
    work = Path(asked["work"])
    root = Path(asked["data"]) if asked["data"] else None
    log = logs.load(asked["set"], root, work)
    name, protocol = asked["channel"], asked["protocol"]
    folder = work / asked["set"] / protocol
    row: dict[str, Any] = {}
    for window in ("test", "tune"):
        data, batches = log.known(window), log.batches(protocol, window)
        users, right = targets(batches)
        try:
            channel, cost = fitted(name, asked["settings"], data)
        except (InputError, MemoryError) as error:
            return {"refuses": str(error) or "out of memory"}
        if window == "test":
            row |= cost | {
                "requests": len(users),
                "users": len(np.unique(users)),
                **latency(channel, batches, log.state),
            }
        began = time.perf_counter()
        rows = lists(channel, batches, log.state)
        if window == "test":
            row |= {"retrieve_seconds": time.perf_counter() - began, **quality(rows, users, right, data)}
        keep(rows, folder / f"{name}.{window}.parquet", digest(users, right))
    return row
