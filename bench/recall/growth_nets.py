"""Seconds an epoch, memory and latency of channels with a net on synthetic logs of growing size (``generator.py``).

    python bench/recall/growth_nets.py [--work DIR] [--only WORD ...] [--again] [--limit SECONDS] [--page]

Words are numbers of events and channels. Fitted on the first nine tenths with one epoch and nothing held out, then
asked as in ``growth.py``. A row is kept in growth_nets.json; GROWTH.md is written from all that are there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import growth
from page import made, why_not
from rows import HERE, called, provenance, say, wanted

from shortlist.documents import dumps, write_text

CHANNELS = ["sasrec", "two_tower", "youtube_dnn", "lightgcn"]
SETTINGS: dict[str, Any] = {"epochs": 1, "hold": 0.0, "device": "cpu"}
OWN: dict[str, dict[str, Any]] = {"sasrec": {"objective": "sampled"}}
"""Full softmax over 50,000 items is no choice for a log of that size."""
STEPS = 16
"""Of lightgcn's epoch: each takes the whole graph, so that steps of one size would cost the square of the log."""
LEAST = 1.5
"""Milliseconds of one request at most."""
ROWS = HERE / "growth_nets.json"


def page(rows: dict[str, dict[str, Any]]) -> str:
    """All rows as a page."""
    lines = [
        "# How channels with a net grow",
        "",
        f"`python bench/recall/growth_nets.py`; {made(list(rows.values()))}",
        "",
        "Synthetic logs (`generator.py`: 100,000 users, 50,000 items, power law, drift), the first nine tenths learned "
        "from in one epoch with the defaults (sasrec: sampled softmax; lightgcn: "
        f"{STEPS} steps an epoch, each of which takes the whole graph), nothing held out. Seconds are of the "
        "processor and of the whole fit: the log's sequences, the epoch and the items' vectors. Peak memory is of the "
        "process, the log in it, and in brackets by how much the fit raised it. p50 and p99 are of one request at a "
        f"time for 200 of all items; *holds* up to {LEAST} ms.",
        "",
        "| channel | events | seconds an epoch | events a second | peak MiB (fit) | p50 / p99 ms | |",
        "|" + "---|" * 7,
    ]
    for row in sorted(rows.values(), key=lambda row: (CHANNELS.index(row["channel"]), row["events"])):
        cells = [row["channel"], f"{row['events']:,}"]
        if "fit_processor" in row:
            spent = row["fit_processor"]
            cells += [f"{spent:,.1f}", f"{0.9 * row['events'] / spent:,.0f}"]
            cells += [
                f"{row['peak_mib']:,.0f} ({row['fit_adds_mib']:,.0f})",
                f"{row['p50_ms']:.2f} / {row['p99_ms']:.2f}",
            ]
            cells += ["holds" if row["p50_ms"] <= LEAST else "**slower**"]
        else:
            cells += [why_not(row), "", "", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/recall"), help="where made logs are kept")
    parser.add_argument("--only", nargs="*", default=[], help=f"some of {', '.join([*growth.SIZES, *CHANNELS])}")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there")
    parser.add_argument("--limit", type=float, default=900, help="seconds a row may take")
    parser.add_argument("--page", action="store_true", help="only write GROWTH.md")
    asked = parser.parse_args()
    rows = json.loads(ROWS.read_text(encoding="utf-8")) if ROWS.exists() else {}
    sizes, channels = wanted(asked.only, growth.SIZES, CHANNELS)
    for events in [] if asked.page else sizes:
        for channel in channels:
            name = f"{events}.{channel}"
            if name in rows and "failed" not in rows[name] and not asked.again:
                continue
            settings = SETTINGS | OWN.get(channel, {})
            if channel == "lightgcn":
                settings["batch"] = int(events) // STEPS
            job = {"events": events, "channel": channel, "work": str(asked.work.resolve()), "settings": settings}
            row = called("growth", job, asked.limit)
            told = {"channel": channel, "events": int(events), "settings": settings}
            rows[name] = {**told, **row, **provenance("growth_nets.py")}
            write_text(ROWS, dumps(rows))
            say(
                f"{name}: { ({key: round(value, 2) for key, value in row.items() if isinstance(value, float)} or row) }"
            )
    if rows:
        write_text(HERE / "GROWTH.md", page(rows))


if __name__ == "__main__":
    main()
