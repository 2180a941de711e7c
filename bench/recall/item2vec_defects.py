"""The two defects item2vec is known for, order lost and strength lost: with and without, on the same questions.

    python bench/recall/item2vec_defects.py [--data DIR] [--seeds 3]

Fitted before the test window, asked its questions (replay); every question's figure is the mean over the seeds. Writes
item2vec_defects.md beside this file. ``--data``: a folder with ``movietweetings/`` and ``taobao-userbehavior-slice/``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import channel
import logs
import numpy as np

from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recall.item2vec import Item2Vec
from shortlist.types import Array

OUT = Path(__file__).resolve().parent / "item2vec_defects.md"
METRICS = ("ndcg@10", "recall@50")
RECENT = {"half_life": "3m", "signal": "all"}
PLAIN: dict[str, dict[str, Any]] = {
    "taobao": {"signal": "all"},
    "movielens-100k": RECENT,
    "movietweetings": {"half_life": "1d"},
}
ORDER: dict[str, dict[str, Any]] = {
    "shuffled": {"order": "shuffled"},
    "by time, cut at pauses of 30m": {"gap": "30m"},
    "shuffled, cut at pauses of 30m": {"order": "shuffled", "gap": "30m"},
}
STRENGTH: dict[str, dict[str, Any]] = {"strength lost": {"weighted": False}}


def measured(log: logs.Log, batches: list[Any], right: Any, settings: dict[str, Any], seeds: int) -> dict[str, Array]:
    """Each metric, one value a question, the mean over the seeds."""
    runs = []
    for seed in range(seeds):
        fitted = Item2Vec.from_config({**settings, "seed": seed}).fit(log.known("test"))
        runs.append(channel.values(channel.lists(fitted, batches, log.state), right))
    return {metric: np.mean([run[metric] for run in runs], axis=0) for metric in METRICS}


def table(name: str, root: Path | None, work: Path, seeds: int) -> list[str]:
    """The lines of one log."""
    log = logs.load(name, root, work)
    batches = log.batches("replay", "test")
    users, right = channel.targets(batches)
    events = log.known("test").events
    lines = [
        f"**{name}**: {len(users):,} questions of {len(np.unique(users)):,} users, learned from {len(events):,} events "
        f"of {len(np.unique(events.user)):,} users.",
        "",
        "| sentences | " + " | ".join(f"{m} | against by time, weighted" for m in METRICS) + " |",
        "|" + "---|" * (1 + 2 * len(METRICS)),
    ]
    plain = measured(log, batches, right, PLAIN[name], seeds)
    variants = {"by time, weighted": {}, **(STRENGTH if name == "taobao" else {}), **ORDER}
    for title, change in variants.items():
        values = measured(log, batches, right, PLAIN[name] | change, seeds) if change else plain
        cells = []
        for metric in METRICS:
            mean = mean_interval(values[metric], users)
            cells.append(f"{mean.mean:.4f} [{mean.low:.4f}, {mean.high:.4f}]")
            apart = paired_interval(values[metric], plain[metric], users)
            cells.append(f"{apart.diff:+.4f} [{apart.low:+.4f}, {apart.high:+.4f}]" if change else "")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def main() -> None:
    """Measures every log that is here and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    lines = ["# item2vec: order lost, strength lost", ""]
    lines += [f"Made by `python bench/recall/item2vec_defects.py --data DIR --seeds {asked.seeds}`.", ""]
    with tempfile.TemporaryDirectory() as work:
        for name in PLAIN:
            if logs.here(name, asked.data):
                lines += table(name, asked.data, Path(work), asked.seeds)
                OUT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
