"""Experiments that can be trusted: false alarms, power, the sample ratio, layers, interleaving, speed, the closed loop.

    python bench/experiment/run.py             measures all, writes results.json and RESULTS.md
    python bench/experiment/run.py aa speed    only these parts; the others stay as they were
    python bench/experiment/run.py --page      writes RESULTS.md again from results.json

Peers that are not installed are left out (``pip install 'shortlist[bench]'``).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

import false_alarms  # noqa: E402
import power  # noqa: E402
import speed  # noqa: E402

from measured import provenance  # noqa: E402
from shortlist.documents import dumps, write_text  # noqa: E402


def closed_loop() -> dict[str, Any]:
    """As ``shortlist simulate loop`` does it, without the analysis' details."""
    from shortlist.testing.closed_loop import closed_loop as run
    from shortlist.testing.population import Population

    with tempfile.TemporaryDirectory() as folder:
        found = run(Population(users=600, items=200, days=44, seed=0), Path(folder), days=14, before=30)
    analysis = found.pop("analysis")
    return {**found, "arms": analysis["arms"]}


PARTS: dict[str, Callable[[], Any]] = {
    "aa": false_alarms.run,
    "lift": power.lift,
    "split": power.split,
    "layers": power.layers,
    "interleaving": power.interleaving,
    "beside": speed.beside,
    "whole": speed.whole,
    "loop": closed_loop,
}


def page(found: dict[str, Any]) -> str:
    """RESULTS.md."""
    lines = ["# Experiments", "", "Simulated; `python bench/experiment/run.py` makes this page again.", ""]
    if aa := found.get("aa"):
        lines += [
            f"## {aa['tests']:,} A/A tests",
            "",
            f"{aa['users']:,} users each, {aa['days']} days, nothing different between the arms. A 95 % interval "
            "should "
            "cover 0 in 94 to 96 % of them; whoever looks every day and stops at the first p < .05 is wrong far more "
            "often than 5 %, whoever goes by the always-valid interval is not.",
            "",
            "| metric | CUPED | the interval covers | the lift's covers | peeked at daily: naive | always-valid |",
            "|---|---|---|---|---|---|",
            *[
                f"| {line['metric']} | {'yes' if line['cuped'] else 'no'} | {line['covered']:.2%} | "
                f"{line['lift covered']:.2%} | {line['naive']:.1%} | {line['always']:.2%} |"
                for line in aa["lines"]
            ],
            "",
            "CUPED takes off "
            + " and ".join(f"{part:.0%} of the variance of {m}" for m, part in aa["variance taken off"].items())
            + ".",
            "",
        ]
    if lift := found.get("lift"):
        lines += [
            "## A true lift of 5 %",
            "",
            "Found (p < .05 on the right side) with the sample that was planned for a power of 80 %:",
            "",
            "| CUPED | planned users | tests | found | 95 % of that share | mean lift found |",
            "|---|---|---|---|---|---|",
            *[
                f"| {'yes' if one['cuped'] else 'no'} | {one['users']:,} | {one['tests']:,} | {one['found']:.1%} | "
                f"{one['low']:.1%} to {one['high']:.1%} | {one['mean lift']:+.2%} |"
                for one in lift
            ],
            "",
        ]
    if split := found.get("split"):
        lines += [
            "## Sample ratio",
            "",
            f"With {split['users']:,} users, stated for a power of 90 % at p < .001, a split of 50.5 / 49.5 is noticed "
            f"in {split['50.5 / 49.5']:.1%} of {split['tests']:,} experiments; an even one is taken for a mismatch in "
            f"{split['50 / 50']:.2%}.",
            "",
        ]
    if layers := found.get("layers"):
        lines += [
            "## Layers",
            "",
            f"χ² of three arms by three over {layers['users']:,} users, for {layers['pairs']:,} pairs of layers: "
            f"{layers['below .05']:.1%} of the p values are below .05; that they are even has p = "
            f"{layers['p of evenness']:.2f}.",
            "",
        ]
    if mixed := found.get("interleaving"):
        lines += [
            "## Interleaving",
            "",
            "Two rankings of the same items, the second with a little less noise. The A/B test's users are planned for "
            f"a power of 80 %; {mixed[0]['tests']} tries of each size. What interleaving saves grows with the clicks "
            "of a user and with how much users differ: an A/B test carries both as noise, one slate does not.",
            "",
            "| users differ by (log-odds) | a click ends a visit | clicks a user | lift in clicks | A/B test: users "
            "| found | team draft: users | found |",
            "|---|---|---|---|---|---|---|---|",
            *[
                f"| ± {world['temper']} | {world['satisfied']:.0%} | {world['clicks']:.0f} | {world['lift']:+.1%} "
                f"| {world['ab']['users']:,} | {world['ab']['found']:.0%} "
                f"| {one['users']:,} (1/{round(1 / one['part'])}) | {one['found']:.0%} |"
                for world in mixed
                for one in world["interleaved"]
            ],
            "",
        ]
    if beside := found.get("beside"):
        lines += [
            f"## Beside peers, {beside['users']:,} users",
            "",
            "tea-tasting: two metrics with and without CUPED and the sample ratio; statsmodels: Welch's test of one "
            "mean. Median seconds of five turns.",
            "",
            "| peer | largest distance of any figure | ours | theirs |",
            "|---|---|---|---|",
            *[
                f"| {name} | {beside[name]['apart']} | {beside[name]['ours']:.2f} s | {beside[name]['theirs']:.2f} s |"
                for name in ("tea-tasting", "statsmodels")
                if name in beside
            ],
            "",
        ]
    if whole := found.get("whole"):
        lines += [
            f"The whole analysis of a log of {whole['rows']:,} rows shown and {whole['events']:,} events "
            f"({whole['users']:,} users; attribution, every metric, coverage, {whole['looks']} daily looks): "
            f"{whole['seconds']:.0f} s.",
            "",
        ]
    if loop := found.get("loop"):
        lift, place = loop["lift"], loop["position"]
        lines += [
            "## The closed loop",
            "",
            "`shortlist simulate loop DIR`: a simulated log, two bundles (popular; popular and item_cf), a service "
            "over HTTP with an experiment, 14 days of people, the analysis.",
            "",
            "| | in truth | found | 95 % |",
            "|---|---|---|---|",
            f"| lift in clicks | {lift['true']:+.1%} | {lift['found']:+.1%} | {lift['low']:+.1%} to "
            f"{lift['high']:+.1%} |",
            f"| average click position | {place['true']:+.2f} | {place['found']:+.2f} | {place['low']:+.2f} to "
            f"{place['high']:+.2f} |",
            "",
            *[f"- {line}: {'yes' if holds else 'no'}" for line, holds in loop["agrees"].items()],
            "",
        ]
    made = found["provenance"]
    lines += [f"{made['machine']}, load {made['load']}; {made['date']}; " + ", ".join(
        f"{name} {version}" for name, version in made["versions"].items()
    ) + "."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures and writes."""
    file = HERE / "results.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    wanted = [word for word in sys.argv[1:] if word in PARTS] or list(PARTS)
    if "--page" not in sys.argv:
        for name in wanted:
            began = time.perf_counter()
            found[name] = PARTS[name]()
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
            found["provenance"] = provenance("bench/experiment/run.py", ("tea-tasting", "statsmodels"))
            write_text(file, dumps(found))
    write_text(HERE / "RESULTS.md", page(found))


if __name__ == "__main__":
    main()
