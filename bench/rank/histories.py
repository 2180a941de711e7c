"""Rankers that look at a history: time to score a request, and DIN beside torch-rechub's, rows a second and AUC.

    python bench/rank/histories.py [--latency] [--peers PYTHON [--rows N] [--seeds N]]

PYTHON is that of an environment with torch-rechub. ``--latency``: one request of 300 rows with a history of 50 events,
whole ``Ranker.score`` on one core. ``--peers``: MovieLens-100K by time, whether a film is rated 4 or more, of user,
film and the 50 films rated before; both learn with the same widths, batches and step size, in turn, and a tenth by time
stops them. Without ``--seeds`` one epoch of ``--rows`` rows is timed (time of the processor). Writes
``results/histories.*.json`` and HISTORIES.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from latency import timed  # noqa: E402
from results import HERE, LIBRARIES, keep, kept, say  # noqa: E402
from scipy.stats import t  # noqa: E402

import measured  # noqa: E402
from shortlist.data.sources import source  # noqa: E402
from shortlist.data.spec import DataSpec  # noqa: E402
from shortlist.metrics.ranking import auc, gauc  # noqa: E402
from shortlist.nn.examples import known  # noqa: E402
from shortlist.nn.rows import predict  # noqa: E402
from shortlist.registry import find  # noqa: E402
from shortlist.types import Array, Candidates, Ragged, Requests, Samples, spans  # noqa: E402

READERS, SIDES = ("din", "dien", "bst"), ("ours", "peer")
ROWS, LENGTH, ITEMS, WIDTH = 300, 50, 2000, 8
HIDDEN, ATTENTION, BATCH, RATE, EPOCHS, STOPPING, ROUNDS = [64, 32], [36], 512, 2e-3, 10, 2, 3


def made_up(requests: int, seed: int) -> Samples:
    """Requests of ``ROWS`` rows with ten numbers, and ``LENGTH`` events with behaviour, value and age."""
    rng = np.random.default_rng(seed)
    m, h = requests * ROWS, requests * LENGTH
    age = -np.sort(-rng.integers(1, 10**12, (requests, LENGTH)), axis=1)
    asked_at = 10**15 + np.arange(requests)
    columns = {
        "item": rng.integers(0, ITEMS, h).astype(np.int32),
        "event": rng.integers(0, 3, h).astype(np.int16),
        "value": rng.integers(1, 6, h).astype(np.float32),
        "time": (asked_at[:, None] - age).ravel(),
        "weight": np.ones(h, np.float32),
    }
    history = Ragged(np.arange(requests + 1) * LENGTH, columns)
    rows = Candidates(
        np.repeat(np.arange(requests, dtype=np.uint32), ROWS),
        rng.integers(0, ITEMS, m).astype(np.int32),
        {f"x{at}": rng.normal(size=m).astype(np.float32) for at in range(10)},
    )
    label = {"y": (rng.random(m) < 0.3).astype(np.float32)}
    return Samples(Requests.of(np.zeros(requests), asked_at, history), rows, label, np.ones(m, np.float32))


def latency() -> None:
    """Keeps a row for each ranker."""
    train, one = made_up(30, 0), made_up(1, 1)
    for name in READERS:
        ranker = find("rank", name)(epochs=1).fit(train)
        read = ranker.inputs(one.requests, one.candidates)
        apart = float(np.abs(ranker.predict(read) - predict(ranker.net(), read)).max())
        calls = {"score": lambda r=ranker: r.score(one.requests, one.candidates)}
        clock, computed = timed(calls)["score"]
        row = {"clock_ms": round(clock, 3), "cpu_ms": round(computed, 3), "apart_from_torch": apart}
        keep(f"histories.latency.{name}", {**row, **provenance()})
        say(f"{name}: {row}")


def movielens() -> dict[str, Samples]:
    """Each rating a row and a request of its own, by time: train, valid and test as 8:1:1."""
    raw = source("movielens-100k")(DataSpec(source="movielens-100k"), None)
    log = raw.events.sort("user", "time", maintain_order=True)  # type: ignore[union-attr]
    user, item = (np.unique(log[name].to_numpy(), return_inverse=True)[1].astype(np.int32) for name in ("user", "item"))
    at, value = log["time"].to_numpy().astype(np.int64), log["value"].to_numpy().astype(np.float32)
    columns = {"item": item, "event": np.zeros(len(at), np.int16), "value": value, "time": at, "weight": value * 0 + 1}
    whole = Ragged.of(user, int(user.max()) + 1, **columns)
    end = known(whole)
    start = np.maximum(whole.offsets[user], end - LENGTH)
    offsets = np.concatenate([[0], np.cumsum(end - start)]).astype(np.int64)
    history = Ragged(offsets, {name: column[spans(start, end)] for name, column in columns.items()})
    rows = Candidates(np.arange(len(at), dtype=np.uint32), item, {})
    label = {"liked": (value >= 4).astype(np.float32)}
    samples = Samples(Requests.of(user, at, history), rows, label, np.ones(len(at), np.float32))
    order, m = np.argsort(at, kind="stable"), len(at)
    cuts = {"train": (0, m * 8 // 10), "valid": (m * 8 // 10, m * 9 // 10), "test": (m * 9 // 10, m)}
    return {part: samples.take(np.sort(order[a:b])) for part, (a, b) in cuts.items()}


def plain(parts: dict[str, Samples]) -> dict[str, Array]:
    """The same as arrays for the peer: codes from 1, 0 = padding, and what the training rows lack."""
    seen = {"item": np.unique(parts["train"].candidates.item), "user": np.unique(parts["train"].requests.user)}

    def code(name: str, values: Array) -> Array:
        place = np.minimum(np.searchsorted(seen[name], values), len(seen[name]) - 1)
        return np.where(seen[name][place] == values, place + 1, 0).astype(np.int64)

    given: dict[str, Array] = {}
    for part, samples in parts.items():
        past = samples.requests.history
        place = past.offsets[1:, None] - np.arange(LENGTH, 0, -1)
        there = place >= past.offsets[:-1, None]
        given[f"{part}_history"] = np.where(there, code("item", past["item"])[np.where(there, place, 0)], 0)
        given[f"{part}_item"] = code("item", samples.candidates.item)
        given[f"{part}_user"] = code("user", samples.requests.user)
        given[f"{part}_label"] = samples.labels["liked"]
    return given


def ours(parts: dict[str, Samples], seed: int, epochs: int, stopping: int) -> tuple[float, Array]:
    """Seconds of the processor, of everything that ``fit`` does; scores of the test part."""
    config = {"factors": WIDTH, "hidden": HIDDEN, "attention": ATTENTION, "batch": BATCH, "rate": RATE, "seed": seed}
    same = {"batch_norm": True, "history": LENGTH, "history_carries": [], "ids": ["item", "user"], "min_count": 1}
    ranker = find("rank", "din")(**config, **same, epochs=epochs, stopping=stopping, monitor="auc", device="cpu")
    began = time.process_time()
    ranker.fit(parts["train"], parts["valid"] if stopping else None)
    spent = time.process_time() - began
    test = parts["test"]
    return spent, ranker.score(test.requests, test.candidates)["score"]


def theirs(
    python: str, parts: dict[str, Samples], seed: int, epochs: int, stopping: int
) -> tuple[dict[str, Any], Array]:
    """The same of torch-rechub, its arrays made before."""
    with tempfile.TemporaryDirectory() as work:
        np.savez(Path(work) / "given.npz", **plain(parts))
        job = {"work": work, "parts": list(parts), "seed": seed, "width": WIDTH, "hidden": HIDDEN, "batch": BATCH}
        job |= {"attention": ATTENTION, "rate": RATE, "l2": 1e-5, "epochs": epochs, "stopping": stopping}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, str(HERE / "histories_peer.py"), json.dumps(job)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1]), np.load(Path(work) / "found.npz")["p"]


def speed(python: str, rows: int) -> None:
    """One epoch, in turn; the ratio is the median of those of the rounds."""
    parts = movielens()
    few = {name: part.take(np.arange(min(len(part), rows))) for name, part in parts.items()}
    few |= {name: few[name].take(np.arange(min(len(few[name]), 1000))) for name in ("valid", "test")}
    ours({**few, "train": few["train"].take(np.arange(2000))}, 0, 1, 0)  # what is compiled once
    own, other, found = [], [], {}
    for seed in range(ROUNDS):
        own.append(ours(few, seed, 1, 0)[0])
        found, _ = theirs(python, few, seed, 1, 0)
        other.append(found["cpu_s"])
        say(f"din: {own[-1]:.2f} s against {other[-1]:.2f} s of the processor")
    n, ratio = len(few["train"]), np.array(other) / np.array(own)
    row = {"rows": n, "rounds": ROUNDS, "ours": n / np.median(own), "peer": n / np.median(other)}
    row |= {"ratio": float(np.median(ratio)), "least": float(ratio.min()), "most": float(ratio.max())}
    keep("histories.speed.din", {**row, "peer_versions": found["versions"], **provenance()})


def quality(python: str, seeds: int) -> None:
    """AUC and GAUC of both, seed by seed; a seed that is there is not measured again."""
    parts = movielens()
    label, who = parts["test"].labels["liked"], parts["test"].requests.user
    done = kept("histories.quality.din").get("seeds", {})
    for seed in range(seeds):
        if str(seed) in done:
            continue
        _, own = ours(parts, seed, EPOCHS, STOPPING)
        found, other = theirs(python, parts, seed, EPOCHS, STOPPING)
        answers = {"ours": own, "peer": other}
        figures = {side: {"auc": auc(label, p), "gauc": gauc(label, p, who)} for side, p in answers.items()}
        done[str(seed)] = figures
        keep("histories.quality.din", {"seeds": done, "peer_versions": found["versions"], **provenance()})
        say(f"seed {seed}: {figures}")


def provenance() -> dict[str, Any]:
    """What it was made with."""
    return measured.provenance("bench/rank/histories.py", [*LIBRARIES, "onnxruntime"])


def page() -> None:
    """HISTORIES.md of all rows that are there."""
    lines = ["# Rankers that look at a history"]
    rows = {name: kept(f"histories.latency.{name}") for name in READERS}
    if all(rows.values()):
        lines += [
            "",
            *told(rows["din"]),
            f"One request of {ROWS} rows, ten numbers, {LENGTH} events with behaviour, value and age; p50 of 60 in the",
            "quietest of eight rounds, whole `Ranker.score`.",
            "",
            "| ranker | p50 on the clock, ms | p50 computing, ms | largest difference from torch |",
            "| --- | --- | --- | --- |",
        ]
        lines += [f"| `{n}` | {r['clock_ms']} | {r['cpu_ms']} | {r['apart_from_torch']:.1g} |" for n, r in rows.items()]
    if row := kept("histories.speed.din"):
        ratio = f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f})"
        lines += [
            "",
            f"## Training: `din` beside torch-rechub {row['peer_versions']['torch-rechub']}",
            "",
            *told(row),
            f"One epoch of {row['rows']:,} rows of MovieLens-100K by time, up to {LENGTH} films before each; time of",
            "the processor. Ours has the reading of the samples in it, theirs the loader of its data.",
            "",
            "| rows a second | torch-rechub | ratio (median of rounds, least to most) |",
            "| --- | --- | --- |",
            f"| {row['ours']:,.0f} | {row['peer']:,.0f} | {ratio} |",
        ]
    if row := kept("histories.quality.din"):
        lines += ["", "## Quality on the same rows", "", *told(row)]
        lines += ["| figure | ours | torch-rechub | difference, 95 % over seeds |", "| --- | --- | --- | --- |"]
        for figure in ("auc", "gauc"):
            own, other = (np.array([each[side][figure] for each in row["seeds"].values()]) for side in SIDES)
            n, mean = len(own), (own - other).mean()
            half = t.ppf(0.975, n - 1) * (own - other).std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
            said = f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f}), {n} seeds"
            lines += [f"| {figure} | {own.mean():.4f} | {other.mean():.4f} | {said} |"]
    (HERE / "HISTORIES.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def told(row: dict[str, Any]) -> list[str]:
    """What a row was made with, in a line."""
    return [f"`{row['command']}` · {row['machine']} · {row['date']} · load {row['load']}", ""]


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", action="store_true", help="time to score a request")
    parser.add_argument("--peers", default="", help="the other environment's python")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the timed epoch")
    parser.add_argument("--seeds", type=int, default=0, help="compare quality over so many")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.latency:
        latency()
    if asked.peers and asked.seeds:
        quality(asked.peers, asked.seeds)
    elif asked.peers:
        speed(asked.peers, asked.rows)
    page()


if __name__ == "__main__":
    main()
