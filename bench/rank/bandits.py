"""Rankers that explore in the planted world of their test, on seeds that no test has: what each policy loses.

    python bench/rank/bandits.py

World and settings are those of ``tests/rank/test_bandit_regret.py``, read from there; they were looked at on its own
seeds, 0 to 5, and not changed after these. Writes ``results/bandits.regret.json`` and BANDITS.md.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from results import HERE, keep, kept, say  # noqa: E402
from scipy.stats import t  # noqa: E402

import measured  # noqa: E402

SEEDS = range(101, 106)


def planted() -> Any:
    """The test that plants the world."""
    path = HERE.parents[1] / "tests" / "rank" / "test_bandit_regret.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure() -> None:
    """The regret of every policy on every seed; the row is kept as soon as a policy has all of them."""
    world, lost = planted(), {}
    asked = {"items": world.ITEMS, "requests": world.ROUNDS * world.STEPS, "batch": world.ROUNDS}
    for (name, form), make in world.policies().items():
        policy = f"{name} {form}".strip()
        lost[policy] = {str(seed): world.regret(make(), seed) for seed in SEEDS}
        say(f"{policy}: {np.mean(list(lost[policy].values())):.4f}")
        keep("bandits.regret", {**asked, "regret": lost, **measured.provenance("bench/rank/bandits.py")})


def page() -> None:
    """BANDITS.md of what is kept."""
    row = kept("bandits.regret")
    assert row is not None
    seeds = list(row["regret"]["uniform"])
    lost = {policy: np.array([each[seed] for seed in seeds]) for policy, each in row["regret"].items()}
    lines = [
        "# Rankers that explore",
        "",
        f"`{row['command']}` · {row['machine']} · {row['date']}",
        "",
        f"A world of {row['items']} items in which a click hangs on the item's taste for the request's mood. A policy",
        f"is asked {row['requests']} times, shows one item each, and learns after every {row['batch']} (`update`).",
        "Regret: the best item's chance of a click less the shown one's, the mean over all requests. Seeds",
        f"{seeds[0]} to {seeds[-1]}, which no test and no choice of a setting has seen. `greedy`: `linucb` with",
        "`alpha = 0`.",
        "",
        "| policy | regret | least to most of the seeds | less than greedy of the same form, paired, 95 % over seeds |",
        "| --- | --- | --- | --- |",
    ]
    for policy, mine in lost.items():
        name, _, form = policy.partition(" ")
        said = ""
        if name in ("linucb", "thompson"):
            gain = lost[f"greedy {form}"] - mine
            half = t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / np.sqrt(len(gain))
            said = f"{gain.mean():.4f} ({gain.mean() - half:+.4f} to {gain.mean() + half:+.4f})"
        lines.append(f"| `{policy}` | {mine.mean():.4f} | {mine.min():.4f} to {mine.max():.4f} | {said} |")
    (HERE / "BANDITS.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def main() -> None:
    """Measures, and writes the page."""
    measure()
    page()


if __name__ == "__main__":
    main()
