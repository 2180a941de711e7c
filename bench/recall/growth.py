"""Seconds and memory of each channel on synthetic logs of 0.1, 1 and 10 million events (``generator.py``).

Fitted on the first nine tenths, then asked for 200 items by ``QUESTIONS`` replayed requests of the last tenth, in
batches and one at a time. The process may take 12 GiB of memory; a channel that needs more says so or is stopped.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import channel as rows_of
import generator
from rows import called, keep, kept, provenance, say, wanted

from shortlist.component import InputError
from shortlist.data.protocol import replay
from shortlist.metrics.interval import mean_interval
from shortlist.registry import names
from shortlist.rules.available import Available
from shortlist.rules.seen import Seen

SIZES = ["100000", "1000000", "10000000"]
QUESTIONS = 2000
GIB = 12


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """The row of a channel at a size; channel "replay" is the making of the questions alone."""

    resource.setrlimit(resource.RLIMIT_DATA, (GIB << 30, GIB << 30))
    work = Path(asked["work"]) / "growth"
    data = generator.dataset(int(asked["events"]), work)
    opens = data.cut(0.9)
    before, state = data.until(opens), data.state()
    row: dict[str, Any] = {}
    if asked["channel"] != "replay":
        try:
            channel, row = rows_of.fitted(asked["channel"], asked.get("settings", {}), before)
        except InputError as error:
            return {"refuses": str(error)}
        except MemoryError:
            return {"stopped": f"more than {GIB} GiB"}
    resident = rows_of.reset_peak()
    began = time.perf_counter()
    questions = replay(data, state, opens, None, at_most=QUESTIONS)
    rules, batches = [Available().fit(before), Seen().fit(before)], []
    for batch in questions.batches(256):
        requests = batch.requests.excluding(*(rule.forbids(batch.requests, state) for rule in rules))
        batches.append(replace(batch, requests=requests))
    row |= {"ask_seconds": time.perf_counter() - began, "ask_adds_mib": max(rows_of.peak() - resident, 0.0)}
    if asked["channel"] == "replay":
        return {**row, "peak_mib": rows_of.peak()}
    users, right = rows_of.targets(batches)
    resident = rows_of.reset_peak()
    began = time.perf_counter()
    rows = rows_of.lists(channel, batches, state)
    row |= {"retrieve_seconds": time.perf_counter() - began, "retrieve_adds_mib": max(rows_of.peak() - resident, 0.0)}
    row["whole_peak_mib"] = max(row["peak_mib"], rows_of.peak())
    row["recall@200"] = asdict(mean_interval(rows_of.values(rows, right)["recall@200"], users))
    return {**row, "requests": len(users), **rows_of.latency(channel, batches, state)}


def run(asked: argparse.Namespace) -> None:
    """Every channel at every size, the small ones first."""
    sizes, channels = wanted(asked.only, SIZES, ["replay", *names("recall")])
    for events in sizes:
        for name in channels:
            row_name = f"growth.{events}.{name}"
            before = kept(row_name)
            if before and "failed" not in before and not asked.again:
                continue
            job = {"events": events, "channel": name, "work": str(asked.work)}
            row = called("growth", job, asked.limit)
            keep(row_name, {**row, **provenance()})
            told = {key: round(value, 2) for key, value in row.items() if isinstance(value, float)} or row
            say(f"{events}/{name}: {told}")
