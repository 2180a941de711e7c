"""RESULTS.md from the rows kept in ``results/``; no figure is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

Row = dict[str, Any]
TABLES = {
    "adult": "UCI Adult, official split. Settings by 3-fold cross-validation on adult.data; epochs of deep models by a "
    "tenth of it, then learned again from all of it. The course documents report .8973 for logistic regression, "
    ".9111 for GBDT, .9125 for GBDT+LR, .9089 for Wide & Deep.",
    "movielens-random": "MovieLens-100K, rating 3 dropped, 4 and 5 positive, 8:1:1 at random.",
    "movielens-time": "The same rows, 8:1:1 by time; the validation rows stop training, then every model learns again, "
    "from them too, for as long.",
    "frappe": "Frappe, split of the NFM paper: learned from its validation file (a tenth of it stops training), "
    "measured on its test file.",
}
MARK = {"adult": -0.001} | dict.fromkeys(["movielens-random", "movielens-time", "frappe"], -0.004)
BOUND = ("fm", "deepfm", "dcn", "dcn-v1", "xdeepfm")
"""Models whose lower bound of the difference must lie above the mark."""
SPEED = 1.5


def load(folder: Path) -> dict[str, dict[str, Row]]:
    """Rows by their first word (a table, ``chosen``, ``speed``, ``funnel``) and the rest of the name."""
    rows: dict[str, dict[str, Row]] = {}
    for file in sorted(folder.glob("*.json")):
        first, rest = file.name.removesuffix(".json").split(".", 1)
        rows.setdefault(first, {})[rest] = json.loads(file.read_text(encoding="utf-8"))
    return rows


def mean(row: Row, side: str, metric: str) -> float:
    """Over the seeds."""
    return float(np.mean([each[metric] for each in row[side].values()]))


def difference(row: Row) -> tuple[float, float, float, int]:
    """AUC of ours minus the peer's, paired by seed: (mean, low, high of the 95 % t interval, seeds)."""
    own, other = row["ours"], row["peer"]
    seeds = sorted(set(own) | set(other), key=int)
    found = np.array([own.get(s, own["0"])["auc"] - other.get(s, other["0"])["auc"] for s in seeds])
    n, d = len(found), float(found.mean())
    wide = float(found.std(ddof=1) / np.sqrt(n) * stats.t.ppf(0.975, n - 1)) if n > 1 else float("nan")
    return d, d - wide, d + wide, n


def holds(table: str, name: str, row: Row) -> str:
    """Whether the row meets its mark."""
    if not row.get("peer"):
        return ""
    d, low, _, n = difference(row)
    if table == "adult":
        return "holds" if d >= MARK[table] else "**below**"
    if name not in BOUND:
        return ""
    return "one seed" if n == 1 else "holds" if low > MARK[table] else "**below**"


def quick(speed: Row, threads: str) -> str:
    """The ratio of training speed."""
    found = speed.get("threads", {}).get(threads)
    if not found:
        return ""
    text = f"{found['ratio']:.2f}"
    return text if found["ratio"] >= SPEED else f"**{text}**"


def table_of(name: str, rows: dict[str, Row], speeds: dict[str, Row], tuned: dict[str, Row]) -> list[str]:
    """One table."""
    newest = max(rows.values(), key=lambda row: row["date"])
    packages = ", ".join(f"{package} {version}" for package, version in newest["versions"].items())
    lines = [f"## {name}", "", f"{TABLES[name]} {newest['machine']}; {packages}; newest row {newest['date']}.", ""]
    timed = [row for label, row in speeds.items() if label.startswith(f"{name}.")]
    if max((row["load"] for row in timed), default=0) > 1.6:
        lines[-2] += " Rows per second were measured on a busy machine and are rough."
    users = any("gauc" in each for row in rows.values() for each in row["ours"].values())
    heads = ["model", "AUC", "± seeds", "peer's AUC", "minus peer [95 %]", "mark"]
    heads += ["GAUC", "peer's"] * users
    heads += ["log loss", "peer's", "predicted / observed", "peer's", "ECE", "peer's", "rows/s ÷ peer's, 1 thread", "2"]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for model, row in sorted(rows.items(), key=lambda pair: -mean(pair[1], "ours", "auc")):
        peer = bool(row.get("peer"))

        def both(metric: str, row: Row = row, peer: bool = peer) -> list[str]:
            return [f"{mean(row, 'ours', metric):.4f}", f"{mean(row, 'peer', metric):.4f}" if peer else ""]

        own, other = both("auc")
        spread = np.std([each["auc"] for each in row["ours"].values()])
        d, low, high, n = difference(row) if peer else (0.0, 0.0, 0.0, len(row["ours"]))
        apart = f"{d:+.4f}" + (f" [{low:+.4f}, {high:+.4f}]" if n > 1 else "") + f" ({n})" if peer else ""
        speed = speeds.get(f"{name}.{model}", {})
        cells = [model if model in tuned else f"{model} (not tuned)", own, f"{spread:.4f}", other, apart]
        cells += [holds(name, model, row), *(both("gauc") if users else []), *both("log_loss")]
        cells += [*both("predicted_over_observed"), *both("ece"), quick(speed, "1"), quick(speed, "2")]
        lines.append(f"| {' | '.join(cells)} |")
    peers = {model: row["peer_name"] for model, row in rows.items() if row.get("peer_name")}
    lines += ["", "Peers: " + "; ".join(f"{model}: {peer}" for model, peer in peers.items()) + "."]
    chosen = [f"- {model}: " + ", ".join(f"{side} `{json.dumps(tuned[model][side]['params'])}`"
              for side in ("ours", "peer") if side in tuned[model]) for model in rows if model in tuned]  # fmt: skip
    return [*lines, "", "Chosen:", "", *chosen, ""] if chosen else [*lines, ""]


def funnel(rows: dict[str, Row]) -> list[str]:
    """Rankers in the committed recipes."""
    lines: list[str] = []
    for recipe, row in rows.items():
        lines += [f"## Rankers in the funnel: {recipe}", ""]
        lines += [
            f"`{row['command']}`. {row['requests']:,} requests of {row['users']:,} users; NDCG@10 of the slate's order "
            "before rules, 95 % intervals by resampling users, every ranker on the same samples and candidates. "
            "*Validation* is the last fifth of the rankers' window; what is best there, in bold, is what the recipe "
            "takes. *gbdt-default* is the recipe's GBDT.",
            "",
            "| ranker | validation | NDCG@10 | minus merge order | minus gbdt-default |",
            "|---|---|---|---|---|",
        ]
        best = max(each["validation"] for each in row["rankers"].values())
        for name, each in sorted(row["rankers"].items(), key=lambda pair: -pair[1]["validation"]):
            apart = [
                f"{d['diff']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]" if d else ""
                for d in (each.get("minus_merge"), each.get("minus_default"))
            ]
            bold = "**" if each["validation"] == best else ""
            ndcg = each["ndcg"]
            lines.append(
                f"| {bold}{name}{bold} | {each['validation']:.4f} | {ndcg['mean']:.4f} [{ndcg['low']:.3f}, "
                f"{ndcg['high']:.3f}] | {apart[0]} | {apart[1]} |"
            )
        merge = row["merge"]
        lines.append(f"| merge order | | {merge['mean']:.4f} [{merge['low']:.3f}, {merge['high']:.3f}] | | |")
        lines.append("")
    return lines


def glance(found: dict[str, dict[str, Row]]) -> list[str]:
    """Every model's AUC on every table, and how far it is from the peer's."""
    tables = [table for table in TABLES if table in found]
    if not tables:
        return []
    cells = {table: {model: mean(row, "ours", "auc") for model, row in found[table].items()} for table in tables}
    first = max(tables, key=lambda table: len(cells[table]))
    models = {model for table in tables for model in found[table]}
    lines = [GLANCE, "", "| model | " + " | ".join(f"{table} | minus peer" for table in tables) + " |"]
    lines.append("|---" * (2 * len(tables) + 1) + "|")
    for model in sorted(models, key=lambda model: (-cells[first].get(model, 0), model)):
        line = [model]
        for table in tables:
            auc, row = cells[table].get(model), found[table].get(model, {})
            bold = "**" if auc is not None and auc == max(cells[table].values()) else ""
            line.append("" if auc is None else f"{bold}{auc:.4f}{bold}")
            line.append(f"{difference(row)[0]:+.4f}" if row.get("peer") else "")
        lines.append(f"| {' | '.join(line)} |")
    return [*lines, ""]


GLANCE = "## AUC at a glance"
HEAD = [
    "# Rankers on tables, and in the funnel",
    "",
    "`python bench/rank/run.py --data DIR` (with `--tune`, then without, then `--speed` and `--funnel`). `plan.toml` "
    "says what is fixed and what was tried. Embedding size, layers, dropout, batch and early stopping on the same rows "
    "are the same for ours and the peer; so is the rate (the peer's best), but on movielens-time; both read the same "
    "vocabulary. Settings were chosen on rows not reported, by AUC (movielens-time: by log loss, but xdeepfm). "
    "The mark: on Adult not below the peer by more than .001; elsewhere the lower bound of the paired difference over "
    f"the seeds (their number behind it) above -.004 for {', '.join(BOUND)}; rows per second of training at least "
    f"{SPEED} × the peer's.",
    "",
]


def write(folder: Path, to: Path) -> None:
    """The page of all rows kept."""
    found = load(folder) if folder.exists() else {}
    lines = [*HEAD, *glance(found)]
    for table in TABLES:
        if table in found:
            chosen = {
                name.split(".")[1]: row for name, row in found.get("chosen", {}).items() if name.split(".")[0] == table
            }
            lines += table_of(table, found[table], found.get("speed", {}), chosen)
    to.write_text("\n".join([*lines, *funnel(found.get("funnel", {}))]), encoding="utf-8")
