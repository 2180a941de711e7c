"""One request through a bundle's funnel in process: how long it takes, and where the time goes.

    python bench/serve/latency.py --bundle runs/movielens-100k/bundle

Known users ask one at a time, each at a moment after the bundle's last event, and their answer is told with channels
and reasons as the service tells it. Writes latency.json and latency.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from shortlist import answer
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.train import versions

HERE = Path(__file__).parent
TARGET = {"p50": 5.0, "p99": 15.0}
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def measure(path: Path, requests: int, n: int, seed: int) -> dict[str, Any]:
    """Milliseconds of ``requests`` answers, after as many as there are users to warm up."""
    bundle = open_bundle(path)
    pipeline, data, state = bundle.pipeline, bundle.data, bundle.data.state()
    users = np.random.default_rng(seed).choice(np.unique(data.events.user[data.events.user >= 0]), requests + 100)
    start = max(state.last, pipeline.fitted_until or 0)
    total: list[float] = []
    funnel: list[float] = []
    cpu: list[float] = []
    stages: dict[str, list[float]] = {}
    candidates: list[int] = []
    for number, user in enumerate(users):
        busy, began = time.thread_time(), time.perf_counter()
        asked = answer.requests_of(state, np.array([user], np.int32), start + number * 1_000_000)
        ready = time.perf_counter()
        found = answer.recommend(pipeline, state, asked, n)
        done = time.perf_counter()
        orjson.dumps(answer.tell(found, pipeline, data))
        told, busy = time.perf_counter(), time.thread_time() - busy
        if number < 100:
            continue  # compiling and first look-ups
        total.append(told - began)
        funnel.append(done - ready)
        cpu.append(busy)
        spent = {"ask": ready - began, **found.trace.seconds, "tell": told - done}
        spent["(between stages)"] = (told - began) - sum(spent.values())
        for stage, seconds in spent.items():
            stages.setdefault(stage, []).append(seconds)
        candidates.append(len(found.trace.stages["merge"]))
    return {
        "bundle": bundle.hash[:12],
        "recipe": bundle.recipe.name,
        "requests": requests,
        "n": n,
        "candidates": float(np.mean(candidates)),
        "funnel": percentiles(funnel),
        "total": percentiles(total),
        "processor": percentiles(cpu),
        "stages": {stage: percentiles(spent) for stage, spent in stages.items()},
        "target": TARGET,
        "met": all(percentiles(funnel)[name] <= limit for name, limit in TARGET.items()),
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Mean, p50, p99 in milliseconds."""
    spent = np.array(seconds) * 1000
    values = {"mean": spent.mean(), "p50": np.percentile(spent, 50), "p99": np.percentile(spent, 99)}
    return {name: round(float(value), 3) for name, value in values.items()}


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count(), **versions()}


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    funnel, total, cpu, where = result["funnel"], result["total"], result["processor"], result["machine"]
    lines = [
        "# One request through the funnel, in process\n",
        f"Recipe `{result['recipe']}`, {result['requests']} requests of known users one at a time, one thread, "
        f"{result['candidates']:.0f} candidates, {result['n']} rows told with reasons.\n",
        f"**The funnel, from the request to the slate: p50 {funnel['p50']:.2f} ms, p99 {funnel['p99']:.2f} ms** "
        f"(target {TARGET['p50']:g} and {TARGET['p99']:g}: {'met' if result['met'] else 'missed'}). "
        f"With looking the user up and telling the slate in words: p50 {total['p50']:.2f}, p99 {total['p99']:.2f} ms; "
        f"of that on the processor p50 {cpu['p50']:.2f}, p99 {cpu['p99']:.2f} ms.\n",
        f"The median of {len(result['rounds'])} rounds; p50 of each: "
        f"{', '.join(format(one['p50'], '.2f') for one in result['rounds'])} ms.\n",
        "| stage | mean ms | p50 | p99 |\n|---|---:|---:|---:|",
    ]
    for stage, spent in sorted(result["stages"].items(), key=lambda item: -item[1]["mean"]):
        lines.append(f"| {stage} | {spent['mean']:.3f} | {spent['p50']:.3f} | {spent['p99']:.3f} |")
    lines.append(f"\n`{result['command']}`\n\n" + ", ".join(f"{key} {value}" for key, value in where.items()) + "\n")
    return "\n".join(lines)


def main() -> int:
    """Exit code 2 if there is no bundle to measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("runs/movielens-100k/bundle"))
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("-n", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5, help="the median one is reported: a shared machine wavers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE)
    chosen = parser.parse_args()
    try:
        rounds = [measure(chosen.bundle, chosen.requests, chosen.n, chosen.seed) for _ in range(chosen.rounds)]
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    rounds.sort(key=lambda one: one["funnel"]["p50"])
    result = rounds[len(rounds) // 2] | {"rounds": [one["funnel"] for one in rounds]}
    arguments = [f"bench/serve/{Path(__file__).name}", *sys.argv[1:]]
    result = {"command": shlex.join(["python", *arguments]), "machine": machine(), **result}
    (chosen.out / "latency.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (chosen.out / "latency.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    return 0


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in THREADS):  # libraries read these when they are imported
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    sys.exit(main())
