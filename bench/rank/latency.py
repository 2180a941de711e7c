"""Time to score one request of 300 rows × 60 columns on one core: ``python bench/rank/latency.py``.

The whole ``Ranker.score`` (columns to matrix, trees, probability) beside the library's own predict on a ready matrix;
of DeepFM (through onnxruntime where it is installed) beside torch, and MMOE with two labels.
Writes latency.json and LATENCY.md beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import lightgbm as lgb  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from shortlist.nn.rows import predict  # noqa: E402
from shortlist.rank.deepfm import DeepFM  # noqa: E402
from shortlist.rank.gbdt import GBDT  # noqa: E402
from shortlist.rank.gbdt_lr import GBDTLR  # noqa: E402
from shortlist.rank.logistic import Logistic  # noqa: E402
from shortlist.rank.mmoe import MMOE  # noqa: E402
from shortlist.types import Array, Candidates, Requests, Samples  # noqa: E402

HERE = Path(__file__).parent
ROWS, COLUMNS, CODES = 300, 60, (0, 5, 20)


def made_up(requests: int, seed: int, codes: int) -> Samples:
    rng = np.random.default_rng(seed)
    m = requests * ROWS
    columns = {f"x{at}": rng.normal(size=m).astype(np.float32) for at in range(COLUMNS - codes)}
    for at in range(0, COLUMNS - codes, 4):
        columns[f"x{at}"][rng.random(m) < 0.3] = np.nan
    columns |= {f"c{at}": rng.integers(-1, 30, m).astype(np.int32) for at in range(codes)}
    z = sum(np.nan_to_num(columns[f"x{at}"]) * np.nan_to_num(columns[f"x{at + 1}"]) for at in range(0, 30, 2))
    if codes:
        z = z + 2.0 * (columns["c0"] % 3 == 0)
    label = (z + rng.normal(size=m) > 1).astype(np.float32)
    rows = Candidates(np.repeat(np.arange(requests, dtype=np.uint32), ROWS), np.arange(m, dtype=np.int32), columns)
    asked = Requests.of(np.zeros(requests, np.int32), np.arange(requests))
    return Samples(asked, rows, {"y": label}, np.ones(m, np.float32))


def rarer(samples: Samples) -> Array:
    """[m]: a second label, 1 in half of the rows where the first is."""
    return samples.labels["y"] * (np.arange(len(samples)) % 2).astype(np.float32)


def timed(calls: dict[str, Callable[[], object]], rounds: int = 8, times: int = 60) -> dict[str, tuple[float, float]]:
    """Medians in milliseconds of each call: time on the clock, and of it what this process computed.

    The calls take turns for ``rounds`` rounds, and the quietest round counts: a machine that others use at the same
    time slows all of them for seconds.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            for _ in range(10):
                call()
            clock, computed = [], []
            for _ in range(times):
                began, busy = time.perf_counter(), time.process_time()
                call()
                computed.append(1e3 * (time.process_time() - busy))
                clock.append(1e3 * (time.perf_counter() - began))
            found[name].append((float(np.median(clock)), float(np.median(computed))))
    return {name: min(each) for name, each in found.items()}


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for codes in CODES:
        train, one = made_up(60, 0, codes), made_up(1, 1, codes)
        kinds = f"{COLUMNS - codes} numbers, {codes} categories"
        gbdt = GBDT(trees=200, leaves=31).fit(train)
        booster = lgb.Booster(model_str=gbdt.files()["model.txt"].decode())
        x = gbdt.encode(one.candidates).astype(np.float64)
        agree = float(
            np.abs(booster.predict(x, num_threads=1) - gbdt.score(one.requests, one.candidates)["score"]).max()
        )
        calls: dict[str, Callable[[], object]] = {
            "gbdt, 200 trees × 31 leaves": lambda g=gbdt, o=one: g.score(o.requests, o.candidates),
            "  of it the columns to a matrix": lambda g=gbdt, o=one: g.encode(o.candidates),
            "  of it the trees": lambda g=gbdt, x=x: g.forest.total(x),
            "lightgbm Booster.predict on a ready matrix": lambda b=booster, x=x: b.predict(x, num_threads=1),
        }
        line = Logistic(buckets=20).fit(train)
        calls["logistic, 20 buckets"] = lambda r=line, o=one: r.score(o.requests, o.candidates)
        both = GBDTLR(trees=50, iterations=20).fit(train)
        calls["gbdt_lr, 50 trees × 15 leaves"] = lambda r=both, o=one: r.score(o.requests, o.candidates)
        for numeric in ("standard", "quantile"):
            deep = DeepFM(numeric=numeric, epochs=1).fit(train)
            z = deep.inputs(one.requests, one.candidates)
            apart = float(np.abs(deep.predict(z) - predict(deep.net(), z)).max())
            print(f"largest difference of onnxruntime from torch, {numeric}: {apart:.2g}")
            calls |= {
                f"deepfm {numeric}, 8 factors, layers 64 and 32": lambda r=deep, o=one: r.score(
                    o.requests, o.candidates
                ),
                f"  of it reading the columns, {numeric}": lambda r=deep, o=one: r.inputs(o.requests, o.candidates),
                f"  of it the net, {numeric}": lambda r=deep, z=z: r.predict(z),
                f"deepfm {numeric} through torch": lambda r=deep, o=one: predict(
                    r.net(), r.inputs(o.requests, o.candidates)
                ),
            }
            tasks = MMOE(numeric=numeric, epochs=1).fit(replace(train, labels={**train.labels, "rarer": rarer(train)}))
            calls[f"mmoe {numeric}, 2 labels, 4 experts of 64 and 32"] = lambda r=tasks, o=one: r.score(
                o.requests, o.candidates
            )
        for name, (clock, computed) in timed(calls).items():
            rows.append({"columns": kinds, "what": name, "clock_ms": round(clock, 3), "cpu_ms": round(computed, 3)})
            print(f"{kinds:30} {name:45} clock {clock:.3f} ms  computing {computed:.3f} ms", flush=True)
        print("largest difference from lightgbm", agree)
    versions = {
        package: metadata.version(package) for package in ("numpy", "numba", "lightgbm", "torch", "onnxruntime")
    }
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    result = {
        "command": "python bench/rank/latency.py",
        "machine": machine,
        "versions": versions,
        "seed": 0,
        "rows": rows,
    }
    (HERE / "latency.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    head = f"`{result['command']}` · {machine} · one thread · Python {platform.python_version()} · "
    head += " · ".join(f"{package} {version}" for package, version in versions.items())
    lines = [
        "# Scoring one request of 300 rows × 60 columns",
        "",
        head,
        "",
        "p50 of 60 requests, of the quietest of eight rounds in which all take turns.",
        "",
        "| columns | what | p50 on the clock, ms | p50 computing, ms |",
    ]
    lines += ["| --- | --- | --- | --- |"]
    lines += [f"| {row['columns']} | {row['what'].strip()} | {row['clock_ms']} | {row['cpu_ms']} |" for row in rows]
    (HERE / "LATENCY.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
