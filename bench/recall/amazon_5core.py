"""Channels and their merges beside the published figures of sequence models, on Amazon Beauty and Sports.

    python bench/recall/amazon_5core.py --data DIR [--work DIR] [--only WORD ...] [--again] [--tune] [--page]

A row is SET/NAME, a table of ``amazon_5core.toml``: a channel with its ``type`` (its name, where none is given) and
what is ``set``, with ``attributes = true`` told the brands and categories of items; or a merge of the rows that ``of``
lists, below them. Rows that are missing, or whose table has changed, are measured, each in a process of its own, and
kept in ``amazon_5core.json``; ``--only`` restricts to rows with all the words given, ``--again`` measures them anew.
``--tune`` chooses what is ``set`` of the channels on the validation items alone and writes it into the table. How:
``amazon.py``. The log is DIR/amazon-5core.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from rows import HERE, called, provenance, say, wanted

from shortlist.documents import write_text

TABLE, ROWS, PAGE = HERE / "amazon_5core.toml", HERE / "amazon_5core.json", HERE / "AMAZON.md"
HEAD = """\
# The rows of amazon_5core.py. [SET.CHANNEL] set = { its settings }, type = "its type" where the name says another,
# attributes = true where it is told those of the items. [SET.MERGE] of = [rows above], type = "weighted", set = { its
# settings }. Written anew by --tune: `validation` is the NDCG@10 it reached there.
"""
PUBLISHED: dict[str, dict[str, tuple[str, str]]] = {
    "SASRec, as first reported": {"beauty": (".0318", ".0605"), "sports": (".0192", ".0350")},
    "S3-Rec": {"beauty": (".0327", ".0647"), "sports": (".0204", ".0385")},
    "TIGER": {"beauty": (".0384", ".0648"), "sports": (".0225", ".0400")},
    "ActionPiece": {"beauty": (".0424", ".0775"), "sports": (".0264", ".0500")},
    "HSTU, run by eSASRec": {"beauty": (".0439", ".0788"), "sports": (".0243", ".0437")},
    "DuoRec": {"beauty": (".0443", ".0845"), "sports": (".0262", ".0498")},
    "FuXi-alpha, run by eSASRec": {"beauty": (".0451", ".0809"), "sports": (".0244", ".0437")},
    "eSASRec": {"beauty": (".0523", ".0928"), "sports": (".0323", ".0560")},
    "SASRec + sampled softmax": {"beauty": (".0531", ".0921"), "sports": (".0314", ".0569")},
}
"""NDCG@10 and R@10 of "eSASRec" (RecSys 2025), its own runs and those it quotes: seen removed, no refit."""
Table = dict[str, dict[str, Any]]


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds amazon-5core")
    parser.add_argument("--work", type=Path, default=Path("runs/recall/amazon-5core"), help="where lists are kept")
    parser.add_argument("--only", nargs="*", default=[], help="sets and rows")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there")
    parser.add_argument("--limit", type=float, default=3600, help="seconds a row may take")
    parser.add_argument("--tune", action="store_true", help="choose settings on the validation items")
    parser.add_argument("--trials", type=int, default=30, help="settings tried, at most")
    parser.add_argument("--budget", type=float, default=120, help="seconds after which no new trial begins")
    parser.add_argument("--page", action="store_true", help="only write AMAZON.md")
    asked = parser.parse_args()
    table: dict[str, Table] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    kept: dict[str, Table] = json.loads(ROWS.read_text(encoding="utf-8")) if ROWS.exists() else {}
    if not asked.page and not (asked.data and (asked.data / "amazon-5core").is_dir()):
        raise SystemExit("--data: expected the folder that holds amazon-5core")
    every = sorted({name for rows in table.values() for name in rows})
    sets, names = wanted(asked.only, sorted(table), every)
    chosen = [(log, name) for log in sets for name in table[log] if name in names and not asked.page]
    for log, name in chosen:
        row = table[log][name]
        job = {"set": log, "name": name, "data": str(asked.data), "work": str(asked.work.resolve())}
        job |= {"type": row.get("type", name), "settings": row.get("set", {})}
        job |= {key: row[key] for key in ("of", "attributes") if key in row}
        if asked.tune:
            if "of" not in row:
                job |= {"trials": asked.trials, "budget": asked.budget}
                found = called("amazon_search", job, asked.budget + asked.limit)
                say(f"{log}/{name}: {found}")
                table[log][name] = row | found if "set" in found else row
                write_text(TABLE, toml(table))
            continue
        asks = {key: value for key, value in job.items() if key not in ("data", "work", "set", "name")}
        if kept.get(log, {}).get(name, {}).get("asked") == asks and not asked.again:
            continue
        found = called("amazon", job, asked.limit)
        say(f"{log}/{name}: " + (f"{found['test']['ndcg@10']['mean']:.4f}" if "test" in found else str(found)))
        kept.setdefault(log, {})[name] = {"asked": asks, **found, **provenance("amazon_5core.py")}
        write_text(ROWS, json.dumps(kept, indent=1, sort_keys=True) + "\n")
    write_text(PAGE, page(table, kept))


def toml(table: dict[str, Table]) -> str:
    """The table of rows as a file."""
    lines = [HEAD.rstrip()]
    for log, rows in table.items():
        for name, row in rows.items():
            lines += ["", f"[{log}.{name}]", *(f"{key} = {written(value)}" for key, value in row.items())]
    return "\n".join(lines) + "\n"


def written(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {written(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return str(round(value, 5)) if isinstance(value, float) else json.dumps(value)


def page(table: dict[str, Table], kept: dict[str, Table]) -> str:
    """AMAZON.md."""
    lines = [
        "# Amazon Beauty and Sports, leave-one-out",
        "",
        "`python bench/recall/amazon_5core.py --data DIR`. The last item of every user is asked for, the one before it "
        "is the validation item, every item is a candidate. **Seen items are removed** in all rows. *As published*: "
        "the channel is fitted without the validation items, which stand in the histories alone (`refit = false`); "
        "*refitted*: with them. Settings (`amazon_5core.toml`) and merges are chosen on the validation items only. "
        "Intervals are 95 %, by resampling users. Not time-true, as leave-one-out is. `popular` counts what was known "
        "when asked, so it is never without the validation items. The published rows are those of eSASRec (RecSys "
        "2025), without refit.",
    ]
    for log in table:
        rows = {name: kept.get(log, {}).get(name, {}) for name in table[log]}
        done = [row for row in rows.values() if "test" in row]
        load = max((row["load"] for row in done), default=0)
        noted = f" Measured on a busy machine (load {load}): timings are not to be trusted." if load > 1 else ""
        made = f"{done[0]['machine']}.{noted}" if done else ""
        lines += ["", f"## {log}", "", made, ""]
        lines += ["| row | NDCG@10, as published | R@10 | NDCG@10, refitted | R@10 | fit s | processor s | p50 ms |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        lines += [f"| *{name}* | {found[log][0]} | {found[log][1]} | | | | | |" for name, found in PUBLISHED.items()]
        done_names = sorted((n for n in rows if "test" in rows[n]), key=lambda n: mean(rows[n], "test"))
        lines += [line(name, rows[name]) for name in done_names]
        lines += [f"| {n} | {row['refuses']} | | | | | | |" for n, row in rows.items() if "refuses" in row]
        merges = [n for n in done_names if "minus_best" in rows[n]["test"]]
        lines += [""] * bool(merges) + [gain(name, table[log][name], rows[name]) for name in merges]
    return "\n".join(lines) + "\n"


def mean(row: dict[str, Any], answer: str, metric: str = "ndcg@10") -> float:
    """What a row reached."""
    return float(row[answer][metric]["mean"])


def line(name: str, row: dict[str, Any]) -> str:
    """A row of the table."""
    cells = []
    for answer in ("test", "refitted"):
        found = row[answer]["ndcg@10"]
        cells += [f"**{found['mean']:.4f}** [{found['low']:.4f}, {found['high']:.4f}]"]
        cells += [f"{mean(row, answer, 'recall@10'):.4f}"]
    costs = [f"{row[key]:.2f}" if key in row else "" for key in ("fit_seconds", "fit_processor", "p50_ms")]
    return f"| {' | '.join([name, *cells, *costs])} |"


def gain(name: str, told: dict[str, Any], row: dict[str, Any]) -> str:
    """What a merge adds to the best of its channels."""
    parts = []
    for answer, words in (("test", "as published"), ("refitted", "refitted")):
        found, best = row[answer]["minus_best"], row[answer]["best_single"]
        parts += [f"{found['diff']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}] over {best} {words}"]
    return f"- {name} of {', '.join(told['of'])}: NDCG@10 {' and '.join(parts)}"


if __name__ == "__main__":
    main()
