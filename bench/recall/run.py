"""Every recall channel on every data set: what it finds, what it adds, what it costs; and how it grows.

    python bench/recall/run.py --data DIR [--work DIR] [--only WORD ...] [--again] [--tune] [--growth] [--page]

A row is SET/PROTOCOL/CHANNEL (``--growth``: EVENTS/CHANNEL). Rows that are missing, or whose settings have changed,
are measured and kept in ``results/``, each in a process of its own, so that the table grows in pieces; ``--only``
restricts to rows with all the words given (several words of one kind: any of them), ``--again`` measures them anew.
``--tune`` chooses settings on the tune window and writes them to ``settings.toml``; ``--page`` only writes the page.
Sets are read from DIR/FOLDER as ``sets/*.toml`` say; a set that is not there is left out and its last rows stay.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import choose
import growth
import logs
import page
from rows import HERE, RESULTS, called, keep, kept, provenance, say, wanted

from shortlist.registry import names

SETTINGS = HERE / "settings.toml"


def settings(log: str, protocol: str, channel: str) -> dict[str, Any]:
    """What ``settings.toml`` says of a row; defaults where it is silent."""
    told = tomllib.loads(SETTINGS.read_text(encoding="utf-8")) if SETTINGS.exists() else {}
    return dict(told.get(log, {}).get(protocol, {}).get(channel, {}).get("set", {}))


def quality(asked: argparse.Namespace) -> None:
    """The rows of every set, and then what needs all of a set's rows."""
    sets, protocols, channels = wanted(asked.only, logs.known(), ["replay", "start"], names("recall"))
    for log in sets:
        if not logs.here(log, asked.data):
            say(f"{log}: left out, its folder is not below --data")
            continue
        for protocol in (p for p in logs.table(log)["protocols"] if p in protocols):
            job = {"set": log, "protocol": protocol, "data": str(asked.data or ""), "work": str(asked.work)}
            fresh = False
            for name in channels:
                row_name = f"{log}.{protocol}.{name}"
                config = settings(log, protocol, name)
                lists = asked.work / log / protocol / f"{name}.test.parquet"
                before = kept(row_name)
                answered = "refuses" in before or lists.exists()
                if before.get("settings") == config and answered and not asked.again and "failed" not in before:
                    continue
                row = called("channel", {**job, "channel": name, "settings": config}, asked.limit)
                keep(row_name, {"settings": config, **row, **provenance()})
                say(f"{log}/{protocol}/{name}: {brief(row)}")
                fresh = True
            if missing := without_lists(log, protocol, asked.work):
                say(f"{log}/{protocol}: not joined, no lists of {', '.join(missing)} in --work; run without channels")
            elif fresh or "merges" not in kept(f"{log}.{protocol}"):
                row = called("together", job, 4 * asked.limit)
                keep(f"{log}.{protocol}", {**row, **provenance()})
                say(f"{log}/{protocol}: together {row.get('chosen_merge', row)}")
            page.write(RESULTS, HERE / "RESULTS.md")


def without_lists(log: str, protocol: str, work: Path) -> list[str]:
    """Channels that have a row but no lists in this folder: joined without them, the others would seem to add more."""
    answered = [name for name in names("recall") if "fit_seconds" in kept(f"{log}.{protocol}.{name}")]
    return [name for name in answered if not (work / log / protocol / f"{name}.test.parquet").exists()]


def brief(row: dict[str, Any]) -> str:
    """A row in a few words."""
    if "fit_seconds" not in row:
        return str(next(iter(row.values()), "nothing"))
    return (
        f"recall@200 {row['recall@200']['mean']:.4f}, ndcg@10 {row['ndcg@10']['mean']:.4f}, {row['fit_seconds']:.2f} s"
    )


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder that holds the data sets' folders")
    parser.add_argument("--work", type=Path, default=Path("runs/recall"), help="where lists and made data are kept")
    parser.add_argument("--only", nargs="*", default=[], help="sets, protocols, channels; with --growth event counts")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there")
    parser.add_argument("--limit", type=float, default=900, help="seconds a row may take")
    parser.add_argument("--tune", action="store_true", help="choose settings on the tune window")
    parser.add_argument("--trials", type=int, default=20, help="settings tried for each row, the defaults first")
    parser.add_argument("--budget", type=float, default=240, help="seconds after which no new trial begins")
    parser.add_argument("--growth", action="store_true", help="synthetic logs of growing size")
    parser.add_argument("--page", action="store_true", help="only write RESULTS.md")
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    asked.work = asked.work.resolve()
    if asked.growth:
        growth.run(asked)
    elif asked.tune:
        choose.run(asked)
    elif not asked.page:
        quality(asked)
    page.write(RESULTS, HERE / "RESULTS.md")


if __name__ == "__main__":
    main()
