"""Rankers that look at a history: time to score a request; and beside torch-rechub's, rows a second, AUC and GAUC.

    python bench/rank/histories.py [--latency] [--speed] [--tune] [--seeds N] [--peers PYTHON] [--data DIR]
        [--only WORD ...] [--rows N]

PYTHON is that of an environment with torch-rechub. ``--latency``: one request of 300 rows with a history of 50 events,
whole ``Ranker.score`` on one core. ``--speed``: one epoch of ``--rows`` rows (time of the processor), beside the same
model and beside DIN. ``--tune``: step size and penalty of each of ours and of DIN, of din and DIN also whether events
count by softmax, of bst which places are read; then of ours how far vectors begin from zero and an average of weights;
by AUC of the rows that stop training, with a seed that is not reported (three, where the best are close). ``--seeds``:
AUC and GAUC of the reported rows, beside DIN; a seed that is there with the same settings is not measured again. All
read user, item and the 50 items before, in vectors as wide and batches as large; bst also how long ago each was, and
its layer is as wide as both together. Words are sets (``past_rows.py``) and rankers. Writes
``results/histories.*.json`` and HISTORIES.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from latency import timed  # noqa: E402
from past_rows import LENGTH, SETS, Parts  # noqa: E402
from results import HERE, LIBRARIES, keep, kept, say  # noqa: E402
from scipy.stats import t  # noqa: E402

import measured  # noqa: E402
from shortlist.metrics.ranking import auc, gauc  # noqa: E402
from shortlist.nn.rows import predict  # noqa: E402
from shortlist.registry import find  # noqa: E402
from shortlist.types import Array, Candidates, Ragged, Requests, Samples  # noqa: E402

PEERS = {"din": "DIN", "dien": "DIEN", "bst": "BST"}
READERS = tuple(PEERS)
FORMS = {
    **{name: (name, dict[str, Any]()) for name in READERS},
    "bst-target": ("bst", {"norm": "before", "pooling": "target"}),
}
"""What is timed: the three as they come; and bst as it was chosen for the tables below, which reads one place."""
ROWS, ITEMS, WIDTH = 300, 2000, 8
HIDDEN, ATTENTION, BATCH, HEADS, EPOCHS, STOPPING, ROUNDS = [64, 32], [36], 512, 2, 10, 2, 5
WIDE = [{"rate": rate, "l2": l2} for rate in (5e-4, 2e-3) for l2 in (1e-5, 1e-4, 1e-3, 1e-2, 3e-2)]
GRID = [one for one in WIDE if one["l2"] >= 1e-3]
"""Weaker penalties were never the best of an entrant on any set before, and are tried for the peer only."""
GRIDS: dict[str, list[dict[str, Any]]] = {
    "din": [{**one, "weights": weights} for one in GRID for weights in ("share", "sum")],
    "bst": [
        {**one, "norm": "before", "pooling": pooling, "deviation": 0.05, "average": 0.99}
        for one in GRID
        for pooling in ("concat", "target")
    ],
    "peer": [*WIDE, *({**one, "softmax": True} for one in GRID)],
}
PLAIN = {"deviation": 0.05, "average": 0.0}
MORE = [{"deviation": d, "average": a} for d in (0.05, 0.001) for a in (0.0, 0.99)]
"""Beside the best of the grid, for ours: how far vectors begin from zero (theirs: 1e-4), and an average of weights."""
USUAL = {"rate": 2e-3, "l2": 1e-5}
UNREPORTED = (1000, 1001, 1002)
"""The seeds with which settings are chosen: the first, and where the best are within ``CLOSE``, the mean of three."""
CLOSE = 1e-3
Settings = Mapping[str, Any]


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


def latency(python: str | None, forms: list[str]) -> None:
    """Keeps a row for each of ``forms``; beside what torch-rechub's model takes in torch, given a ``python``."""
    train, one = made_up(30, 0), made_up(1, 1)
    parts = {part: samples.take(np.arange(1000)) for part, samples in SETS["movielens-100k"](None).items()}
    for form in forms:
        name, settings = FORMS[form]
        ranker = find("rank", name)(epochs=1, **settings).fit(train)
        read = ranker.inputs(one.requests, one.candidates)
        apart = float(np.abs(ranker.predict(read) - predict(ranker.net(), read)).max())
        calls = {"score": lambda r=ranker: r.score(one.requests, one.candidates)}
        clock, computed = timed(calls)["score"]
        row = {"clock_ms": round(clock, 3), "cpu_ms": round(computed, 3), "apart_from_torch": apart}
        if python:
            row["peer_ms"] = [round(theirs(python, name, parts, USUAL, 0, 1, 0)[0]["request_ms"], 2) for _ in range(3)]
        keep(f"histories.latency.{form}", {**row, **provenance()})
        say(f"{form}: {row}")


def plain(parts: Parts) -> dict[str, Array]:
    """The same as arrays for the peer: codes from 1, 0 = padding, and what the training rows lack."""
    seen = {"item": np.unique(parts["train"].candidates.item), "user": np.unique(parts["train"].requests.user)}

    def code(name: str, values: Array) -> Array:
        place = np.minimum(np.searchsorted(seen[name], values), len(seen[name]) - 1)
        return np.where(seen[name][place] == values, place + 1, 0).astype(np.int64)

    given: dict[str, Array] = {}
    for part, samples in parts.items():
        rows, history = samples.candidates, samples.requests.history
        place = history.offsets[1:, None] - np.arange(LENGTH, 0, -1)
        there = place >= history.offsets[:-1, None]
        items = np.where(there, code("item", history["item"])[np.where(there, place, 0)], 0)
        given[f"{part}_history"] = items[rows.request]
        given[f"{part}_item"] = code("item", rows.item)
        given[f"{part}_user"] = code("user", samples.requests.user)[rows.request]
        given[f"{part}_label"] = samples.labels["liked"]
    return given


def ours(
    name: str, parts: Parts, settings: Settings, seed: int, epochs: int, stopping: int
) -> tuple[float, dict[str, Array]]:
    """Seconds of the processor, of everything that ``fit`` does; scores of the later parts."""
    config = {"factors": WIDTH, "hidden": HIDDEN, "batch": BATCH, "batch_norm": True, "min_count": 1, "seed": seed}
    config |= {"ids": ["item", "user"], "history": LENGTH, "history_carries": ["age"] if name == "bst" else []}
    config |= {"din": {"attention": ATTENTION}, "bst": {"width": 2 * WIDTH, "heads": HEADS}}.get(name, {})
    config |= {"rate": settings["rate"], "embedding_l2": settings["l2"], "monitor": "auc", "device": "cpu"}
    config |= {key: value for key, value in settings.items() if key not in GRID[0]}
    ranker = find("rank", name)(**config, epochs=epochs, stopping=stopping)
    began = time.process_time()
    ranker.fit(parts["train"], parts["valid"] if stopping else None)
    spent = time.process_time() - began
    later = {part: parts[part] for part in ("valid", "test")}
    return spent, {part: ranker.score(rows.requests, rows.candidates)["score"] for part, rows in later.items()}


def theirs(
    python: str, name: str, parts: Parts, settings: Settings, seed: int, epochs: int, stopping: int
) -> tuple[dict[str, Any], dict[str, Array]]:
    """The same of torch-rechub, its arrays made before."""
    with tempfile.TemporaryDirectory() as work:
        np.savez(Path(work) / "given.npz", **plain(parts))
        job = {"work": work, "model": PEERS[name], "seed": seed, "width": WIDTH, "hidden": HIDDEN, "batch": BATCH}
        job |= {
            "rows": ROWS,
            "times": 60,
            "attention": ATTENTION,
            "heads": HEADS,
            **settings,
            "epochs": epochs,
            "stopping": stopping,
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, str(HERE / "histories_peer.py"), json.dumps(job)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        with np.load(Path(work) / "found.npz") as file:
            return json.loads(done.stdout.splitlines()[-1]), dict(file)


def speed(python: str, form: str, rows: int) -> None:
    """One epoch, in turn; a ratio is the median of those of the rounds."""
    name, settings = FORMS[form]
    settings = {**USUAL, **settings}
    parts = SETS["movielens-100k"](None)
    few = {part: samples.take(np.arange(min(len(samples), rows))) for part, samples in parts.items()}
    few |= {part: few[part].take(np.arange(min(len(few[part]), 1000))) for part in ("valid", "test")}
    ours(name, {**few, "train": few["train"].take(np.arange(2000))}, settings, 0, 1, 0)  # what is compiled once
    beside, own = dict.fromkeys(dict.fromkeys([name, "din"])), []
    spent: dict[str, list[float]] = {other: [] for other in beside}
    found: dict[str, Any] = {}
    for seed in range(ROUNDS):
        own.append(ours(name, few, settings, seed, 1, 0)[0])
        for other in beside:
            found, _ = theirs(python, other, few, USUAL, seed, 1, 0)
            spent[other].append(found["cpu_s"])
        against = ", ".join(f"{seconds[-1]:.2f} ({other})" for other, seconds in spent.items())
        say(f"{form}: {own[-1]:.2f} s of the processor against {against}")
    n, row = len(few["train"]), dict[str, Any]()
    for other, seconds in spent.items():
        ratio = np.array(seconds) / np.array(own)
        told = {"peer": n / np.median(seconds), "ratio": float(np.median(ratio))}
        row[other] = {**told, "least": float(ratio.min()), "most": float(ratio.max())}
    row = {"rows": n, "rounds": ROUNDS, "ours": n / np.median(own), "beside": row}
    keep(f"histories.speed.{form}", {**row, "peer_versions": found["versions"], **provenance()})


def tune(python: str, name: str, parts: Parts, wanted: list[str]) -> None:
    """Settings of each of ours and of DIN by AUC of the rows that stop training, and all that was tried."""
    row = kept(f"histories.chosen.{name}")
    label = parts["valid"].labels["liked"]

    def valid(who: str, settings: Settings, seed: int) -> float:
        """AUC of the rows that stop training."""
        how = (parts, settings, seed, EPOCHS, STOPPING)
        scores = theirs(python, "din", *how)[1] if who == "peer" else ours(who, *how)[1]
        return auc(label, scores["valid"])

    def best_of(who: str, tried: list[dict[str, Any]], grid: list[dict[str, Any]]) -> dict[str, Any]:
        """The best of ``grid``; all that was tried is kept, with the best of it, and not tried again."""
        for settings in grid:
            if settings in map(without_auc, tried):
                continue
            tried.append({**settings, "auc": valid(who, settings, UNREPORTED[0])})
            say(f"{name}/{who}: {tried[-1]}")
        tried.sort(key=lambda one: -one["auc"])
        row[who] = {"settings": without_auc(tried[0]), "tried": tried}
        keep(f"histories.chosen.{name}", {**row, **provenance()})
        return next(settings for settings in map(without_auc, tried) if settings in grid)

    for who in [*wanted, "peer"]:
        tried = row.get(who, {}).get("tried", [])
        best = best_of(who, tried, GRIDS.get(who, GRID))
        if who != "peer":
            best_of(who, tried, [{**best, **more} for more in MORE if {**PLAIN, **best} != {**best, **more}])
        close = [one for one in tried if one["auc"] > tried[0]["auc"] - CLOSE]
        for one in close if len(close) > 1 else ():
            if "more" not in one:
                one["more"] = [valid(who, without_auc(one), seed) for seed in UNREPORTED[1:]]
            say(f"{name}/{who}: {one}")
        row[who]["settings"] = without_auc(max(close, key=lambda one: np.mean([one["auc"], *one.get("more", [])])))
        keep(f"histories.chosen.{name}", {**row, **provenance()})


def without_auc(one: dict[str, Any]) -> dict[str, Any]:
    """The settings of something tried."""
    return {key: value for key, value in one.items() if key not in ("auc", "more")}


def quality(python: str, name: str, parts: Parts, wanted: list[str], seeds: int) -> None:
    """AUC and GAUC of each, seed by seed."""
    chosen = kept(f"histories.chosen.{name}")
    if seeds and (missing := [who for who in ("peer", *wanted) if who not in chosen]):
        raise SystemExit(f"--seeds: settings of {', '.join(missing)} on {name} are not chosen yet; add --tune")
    label, rows = parts["test"].labels["liked"], parts["test"].candidates
    who = parts["test"].requests.user[rows.request]
    row = kept(f"histories.quality.{name}")
    done = row.get("seeds", {})
    for seed, entrant in itertools.product(range(seeds), ["peer", *wanted]):
        settings = chosen[entrant]["settings"]
        of_seed = done.setdefault(str(seed), {})
        if of_seed.get(entrant, {}).get("settings") == settings:
            continue
        how = (parts, settings, seed, EPOCHS, STOPPING)
        if entrant == "peer":
            found, scores = theirs(python, "din", *how)
            row["peer_versions"] = found["versions"]
        else:
            _, scores = ours(entrant, *how)
        p = scores["test"]
        of_seed[entrant] = {"auc": auc(label, p), "gauc": gauc(label, p, who), "settings": settings}
        counts = {part: len(samples.candidates) for part, samples in parts.items()}
        keep(f"histories.quality.{name}", {**row, "rows": counts, "seeds": done, **provenance()})
        say(f"{name}/{entrant}, seed {seed}: {of_seed[entrant]}")


def provenance() -> dict[str, Any]:
    """What it was made with."""
    return measured.provenance("bench/rank/histories.py", [*LIBRARIES, "onnxruntime"])


def page() -> None:
    """HISTORIES.md of all rows that are there."""
    lines = ["# Rankers that look at a history"]
    rows = {form: kept(f"histories.latency.{form}") for form in FORMS}
    rows = {form: row for form, row in rows.items() if row}
    if rows:
        lines += [
            "",
            ", ".join(dict.fromkeys(f"`{row['command']}`" for row in rows.values())),
            "",
            f"One request of {ROWS} rows, ten numbers, {LENGTH} events with behaviour, value and age; p50 of 60 in the",
            "quietest of eight rounds, whole `Ranker.score`. Beside it torch-rechub's model in torch, of the items",
            "alone, p50 of 60 in the quietest of three runs; a time says as much of the machine as of the ranker.",
            "",
            "| ranker | clock, ms | computing, ms | largest difference from torch | torch-rechub, ms | ratio | load |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for name, row in rows.items():
            peer = min(row.get("peer_ms", [np.nan]))
            lines += [
                f"| `{name}` | {row['clock_ms']} | {row['cpu_ms']} | {row['apart_from_torch']:.1g} | {peer:.1f} | "
                f"{peer / row['clock_ms']:.1f} | {row['load']} |"
            ]
    timed = {form: row for form in FORMS if (row := kept(f"histories.speed.{form}"))}
    if timed:
        first = next(iter(timed.values()))
        commands = dict.fromkeys(f"`{row['command']}`" for row in timed.values())
        lines += [
            "",
            f"## Training, beside torch-rechub {first['peer_versions']['torch-rechub']}",
            "",
            f"{', '.join(commands)} · {first['machine']}",
            "",
            f"One epoch of the first rows of MovieLens-100K by time, up to {LENGTH} films before each; time of the",
            "processor. Ours has the reading of the samples in it, theirs the loader of its data.",
            "",
            "| ranker | rows | a second | beside | a second | ratio (median of rounds, least to most) | date | load |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for name, row in timed.items():
            for other, r in row["beside"].items():
                ratio = f"{r['ratio']:.2f} ({r['least']:.2f} to {r['most']:.2f})"
                ours = f"`{name}` | {row['rows']:,} | {row['ours']:,.0f}"
                lines += [f"| {ours} | {PEERS[other]} | {r['peer']:,.0f} | {ratio} | {row['date']} | {row['load']} |"]
    for name in SETS:
        if row := kept(f"histories.quality.{name}"):
            lines += ["", f"## {name}", "", *told(row), *quality_lines(row, kept(f"histories.chosen.{name}"))]
    (HERE / "HISTORIES.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def quality_lines(row: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """A table of a set: each of ours beside DIN, paired by seed."""
    counts = ", ".join(f"{n:,} {part}" for part, n in row["rows"].items())
    lines = [
        f"Rows: {counts}. Differences are over seeds (95 %). Chosen by AUC of the rows that stop training, of grids "
        "that were made wider, since the best stood at their edge, after seeds of narrower ones had been reported "
        "(20 seeds: run on after ten had been seen): "
        + "; ".join(f"{who} {json.dumps(chosen[who]['settings'])}" for who in ("peer", *READERS) if who in chosen)
        + ".",
        "",
        "| ranker | seeds | AUC | torch-rechub's DIN | difference | GAUC | torch-rechub's DIN | difference |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in READERS:
        both = [
            each
            for each in row["seeds"].values()
            if all(who in each and each[who]["settings"] == chosen[who]["settings"] for who in (name, "peer"))
        ]
        if not both:
            continue
        cells = []
        for figure in ("auc", "gauc"):
            own, other = (np.array([each[who][figure] for each in both]) for who in (name, "peer"))
            n, mean = len(own), (own - other).mean()
            half = t.ppf(0.975, n - 1) * (own - other).std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
            said = f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"
            cells += [f"{own.mean():.4f}", f"{other.mean():.4f}", said]
        lines += [f"| `{name}` | {len(both)} | {' | '.join(cells)} |"]
    return lines


def told(row: dict[str, Any]) -> list[str]:
    """What a row was made with, in a line."""
    return [f"`{row['command']}` · {row['machine']} · {row['date']} · load {row['load']}", ""]


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", action="store_true", help="time to score a request")
    parser.add_argument("--speed", action="store_true", help="rows a second")
    parser.add_argument("--tune", action="store_true", help="choose settings")
    parser.add_argument("--seeds", type=int, default=0, help="compare quality over so many")
    parser.add_argument("--peers", help="the other environment's python")
    parser.add_argument("--data", type=Path, help="holds the folders amazon-grocery-rechorus and amazon-5core")
    parser.add_argument("--only", nargs="*", default=[], choices=[*SETS, *READERS], metavar="WORD")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the timed epoch")
    asked = parser.parse_args()
    if asked.peers is None and (asked.speed or asked.tune or asked.seeds):
        parser.error("--peers: expected the python of an environment with torch-rechub")
    torch.set_num_threads(1)
    wanted = [name for name in READERS if name in asked.only] or list(READERS)
    forms = [form for form, (name, _) in FORMS.items() if name in wanted]
    if asked.latency:
        latency(asked.peers, forms)
    for form in forms if asked.speed else ():
        speed(asked.peers, form, asked.rows)
    sets = [name for name in SETS if name in asked.only] or list(SETS)
    for name in sets if asked.tune or asked.seeds else ():
        if name != "movielens-100k" and asked.data is None:
            say(f"{name}: left out, --data says where it is")
            continue
        parts = SETS[name](asked.data)
        if asked.tune:
            tune(asked.peers, name, parts, wanted)
        quality(asked.peers, name, parts, wanted, asked.seeds)
    page()


if __name__ == "__main__":
    main()
