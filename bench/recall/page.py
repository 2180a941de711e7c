"""RESULTS.md from the rows kept in ``results/``; no figure is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
REASONS = ("refuses", "stopped", "failed")
HEAD = [
    "# Recall channels: what they find, what they add, what they cost",
    "",
    "`python bench/recall/run.py --data DIR` (and with `--growth`). Every channel is fitted on the events before the "
    "`test` cut and asked the questions of the window after it, 200 rows each, hard rules in force. Settings are those "
    "of `settings.toml`, chosen on the `tune` window alone (`--tune`); a row it does not name runs with the defaults. "
    "Intervals are 95 %, by resampling users. *Only it*: targets that no other channel's 200 rows hold. *Adds*: the "
    "ceiling of the merge of all channels, 200 rows in total, minus that of the others alone, paired by request; the "
    "kind of merge is the best on the tune window, learned again without the channel. *Adds to all rows*: the "
    "same of all rows of all channels, however many. Memory is the peak of the "
    "process while fitting, with the log in it, and in brackets by how much the fit raised it; p50 and p99 are of one "
    "request at a time for 200 rows.",
    "",
]


def load(
    folder: Path,
) -> tuple[dict[tuple[str, str], dict[str, Row]], dict[tuple[str, str], Row], dict[str, dict[str, Row]]]:
    """Rows by (set, protocol) and channel; what was measured together; growth by size and channel."""
    rows: dict[tuple[str, str], dict[str, Row]] = {}
    joint: dict[tuple[str, str], Row] = {}
    growth: dict[str, dict[str, Row]] = {}
    for file in sorted(folder.glob("*.json")):
        row = json.loads(file.read_text(encoding="utf-8"))
        match file.name.removesuffix(".json").split("."):
            case ["neural" | "lightgcn", *_]:
                continue  # of pages of their own
            case ["growth", events, channel]:
                growth.setdefault(events, {})[channel] = row
            case [log, protocol, channel]:
                rows.setdefault((log, protocol), {})[channel] = row
            case [log, protocol]:
                joint[log, protocol] = row
    return rows, joint, growth


def span(figure: Row, digits: int = 3) -> str:
    """``mean [low, high]``."""
    if figure.get("low") is None:
        return f"{figure['mean']:.{digits}f}"
    return f"{figure['mean']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def apart(figure: Row | None) -> str:
    """``diff [low, high]``, signed."""
    if not figure:
        return ""
    return f"{figure['diff']:+.4f} [{figure['low']:+.4f}, {figure['high']:+.4f}]"


def why_not(row: Row) -> str:
    """What a row without figures says."""
    for word in REASONS:
        if word in row:
            return f"{word}: {row[word]}".replace("|", "/")[:160]
    return "not measured"


def made(rows: list[Row]) -> str:
    """With what the rows were measured."""
    newest = max(rows, key=lambda row: row["date"])
    packages = ", ".join(f"{name} {version}" for name, version in newest["versions"].items())
    load = max(row.get("load", 0) for row in rows)
    busy = f" Measured on a busy machine (load {load:g}): timings are not to be trusted." if load > 1.6 else ""
    return f"{newest['machine']}; seed {newest['seed']}; {packages}; newest row {newest['date']}.{busy}"


def quality(name: tuple[str, str], rows: dict[str, Row], joint: Row) -> list[str]:
    """The table of one set under one protocol."""
    asked = next((row for row in rows.values() if "requests" in row), None)
    size = f"{asked['requests']:,} requests of {asked['users']:,} users. " if asked else ""
    lines = [f"### {name[0]}, {name[1]}", "", size + made(list(rows.values())), ""]
    lines += [
        "| channel | recall@50 | recall@200 | NDCG@10 | coverage@10 | only it | adds | adds to all rows "
        "| fit s | peak MiB (fit) | p50 / p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for channel, row in sorted(rows.items(), key=lambda pair: -pair[1].get("recall@200", {}).get("mean", -1)):
        if "recall@200" not in row:
            lines.append(f"| {channel} | {why_not(row)} | | | | | | | | | |")
            continue
        mine = joint.get("channels", {}).get(channel) if joint.get("channels") else None
        lines.append(
            f"| {channel} | {span(row['recall@50'])} | {span(row['recall@200'])} | {span(row['ndcg@10'])} "
            f"| {row['coverage@10']:.3f} | {span(mine['unique_hits'], 0) if mine else ''} "
            f"| {apart(mine['adds']) if mine else ''} | {apart(mine['adds_to_all_rows']) if mine else ''} "
            f"| {row['fit_seconds']:.2f} "
            f"| {row['peak_mib']:.0f} ({row['fit_adds_mib']:.0f}) | {row['p50_ms']:.2f} / {row['p99_ms']:.2f} |"
        )
    if joint.get("merges"):
        lines += ["", f"Together: best single channel {joint['best_single']}; all rows of all channels hold "]
        lines[-1] += f"{span(joint['all_rows'])} of the targets. Merged to 200 rows:"
        lines += ["", "| merge | ceiling | minus the best single channel | on the tune window |", "|---|---|---|---|"]
        for kind, end in joint["merges"].items():
            bold = "**" if kind == joint["chosen_merge"] else ""
            lines.append(
                f"| {bold}{kind}{bold} | {span(end['ceiling'])} | {apart(end['minus_best'])} | {end['tune']:.4f} |"
            )
    return [*lines, ""]


def glance(rows: dict[tuple[str, str], dict[str, Row]], joint: dict[tuple[str, str], Row]) -> list[str]:
    """recall@200 of every channel everywhere, the best single one of each column in bold."""
    where = sorted(rows)
    head = " | ".join(f"{log} {protocol}" for log, protocol in where)
    lines = ["## recall@200 at a glance", "", f"| | {head} |", "|---" * (len(where) + 1) + "|"]

    def cell(column: tuple[str, str], channel: str) -> str:
        row = rows[column].get(channel, {})
        if "recall@200" not in row:
            return next((word for word in REASONS if word in row), "")
        best = max(r["recall@200"]["mean"] for r in rows[column].values() if "recall@200" in r)
        mean = row["recall@200"]["mean"]
        return f"**{mean:.3f}**" if mean == best else f"{mean:.3f}"

    for channel in sorted({name for each in rows.values() for name in each}):
        lines.append(f"| {channel} | {' | '.join(cell(column, channel) for column in where)} |")
    together = [joint.get(column, {}) for column in where]
    ends = [(each.get("merges") or {}).get(each.get("chosen_merge", ""), {}) for each in together]
    lines.append(
        "| *merged, 200 in total* | " + " | ".join(f"{e['ceiling']['mean']:.3f}" if e else "" for e in ends) + " |"
    )
    return [*lines, ""]


def verdicts(rows: dict[tuple[str, str], dict[str, Row]], joint: dict[tuple[str, str], Row]) -> list[str]:
    """Does each channel earn its place anywhere? And does the merge beat the best channel?"""
    lines = ["## Does each channel earn its place?", ""]
    lines += [
        "A channel earns its place on a column where it finds what no other does and what it adds at 200 rows in "
        "total is above zero; *in rows of its "
        "own* where only what it adds to all rows together is, so that it raises the ceiling of all channels' rows but "
        "not that of 200. Every channel is tried on many columns, and one in forty would be above zero by luck: a "
        "column counts if it passes Holm's test over all of the channel's columns at 5 % together.",
        "",
        "| channel | earns its place on | only in rows of its own on | verdict |",
        "|---|---|---|---|",
    ]
    for channel in sorted({name for each in rows.values() for name in each}):
        told = {
            " ".join(w): each["channels"][channel] for w, each in joint.items() if channel in each.get("channels", {})
        }
        found = {where: mine for where, mine in told.items() if mine["unique_hits"]["mean"] > 0}  # else it is luck
        earned = sure({where: mine["adds"] for where, mine in found.items()})
        own = [w for w in sure({where: mine["adds_to_all_rows"] for where, mine in told.items()}) if w not in earned]
        tried = {json.dumps(each[channel]["settings"], sort_keys=True) for each in rows.values() if channel in each}
        none = f"does not earn it; columns tried: {len(told)}, settings: {len(tried)}"
        verdict = "earns it" if earned else "earns it in rows of its own" if own else none
        if not told:
            verdict = "not measured with the others yet"
        lines.append(f"| {channel} | {', '.join(earned)} | {', '.join(own)} | {verdict} |")
    won = [" ".join(w) for w, j in joint.items() if j.get("merges") and _gain(j)["low"] > 0]
    lost = [" ".join(w) for w, j in joint.items() if j.get("merges") and _gain(j)["low"] <= 0]
    data = {w.split()[0] for w in won}
    lines += ["", f"The merge chosen on the tune window is above the best single channel on {len(data)} data sets "]
    lines[-1] += f"({', '.join(won) or 'none'}), 200 rows each"
    lines[-1] += f"; not above zero with certainty on {', '.join(lost)}." if lost else "."
    return [*lines, ""]


def beside(joint: dict[tuple[str, str], Row]) -> list[str]:
    """The channels that learn with a net or from side information, each beside the best plain one."""
    told = {" ".join(where): each for where, each in joint.items() if each.get("best_new") and each.get("plain")}
    if not told:
        return []
    lines = ["## Nets and side information beside the plain channels", ""]
    lines += [
        "The best plain channel and the best of the others are those of the tune window, by recall@200. Differences "
        "are the other's minus the plain one's, paired by request. A channel with a net reads the log up to the cut "
        "and the history of who asks; `popular` and `fresh` also read what others did since.",
        "",
        "| | plain | net or side information | recall@200 | | NDCG@10 | |",
        "|---|---|---|---|---|---|---|",
    ]
    for where, each in told.items():
        found = each["channels"][each["best_new"]]["over_plain"]
        cells = [f"{apart(found[metric])} | {word(found[metric])}" for metric in ("recall@200", "ndcg@10")]
        lines.append(f"| {where} | {each['plain']} | {each['best_new']} | {' | '.join(cells)} |")
    names = sorted({name for each in told.values() for name, mine in each["channels"].items() if "over_plain" in mine})
    lines += ["", "| channel | recall@200 above the best plain one on | below it on |", "|---|---|---|"]
    for name in names:
        mine = {
            w: each["channels"][name]["over_plain"]["recall@200"]
            for w, each in told.items()
            if name in each["channels"]
        }
        above, below = ([w for w, figure in mine.items() if word(figure) == said] for said in ("above", "plain wins"))
        lines.append(f"| {name} | {', '.join(above)} | {', '.join(below)} |")
    return [*lines, ""]


def word(figure: Row) -> str:
    """What an interval of a difference to a plain channel says."""
    return "above" if figure["low"] > 0 else "plain wins" if figure["high"] < 0 else "cannot be told apart"


def sure(differences: dict[str, Row], level: float = 0.05) -> list[str]:
    """The names whose difference is above zero by Holm's step-down test over all of them, in the order given.

    Source: Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure.
    """
    by_p = sorted(differences, key=lambda name: differences[name]["p"])
    passed: set[str] = set()
    for number, name in enumerate(by_p):
        if differences[name]["p"] > level / (len(by_p) - number):
            break
        passed.add(name)
    return [name for name in differences if name in passed and differences[name]["diff"] > 0]


def _gain(joint: Row) -> Row:
    found: Row = joint["merges"][joint["chosen_merge"]]["minus_best"]
    return found


def grown(growth: dict[str, dict[str, Row]]) -> list[str]:
    """The table of sizes."""
    if not growth:
        return []
    sizes = sorted(growth, key=int)
    lines = ["## Growth", "", "Synthetic logs (`generator.py`: 100,000 users, 50,000 items, power law, drift). Fit "]
    lines[-1] += "seconds, peak MiB of the process, seconds to answer 2,000 replayed requests, p50 ms of one. "
    lines[-1] += "*replay*: the questions themselves, with their histories and what the rules forbid. "
    lines += [made([row for each in growth.values() for row in each.values()]), ""]
    lines += [
        "| channel | "
        + " | ".join(f"{int(size):,} events: fit s, peak MiB, answers s, p50 ms" for size in sizes)
        + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for channel in sorted({name for each in growth.values() for name in each}):
        cells = []
        for size in sizes:
            row = growth[size].get(channel, {})
            if "fit_seconds" in row:
                cells.append(
                    f"{row['fit_seconds']:.1f}, {row['whole_peak_mib']:,.0f}, {row['retrieve_seconds']:.1f}, "
                    f"{row['p50_ms']:.2f}"
                )
            elif "ask_seconds" in row:
                cells.append(f"{row['ask_seconds']:.1f} s, {row['peak_mib']:,.0f} MiB")
            else:
                cells.append(why_not(row))
        lines.append(f"| {channel} | {' | '.join(cells)} |")
    return [*lines, ""]


def write(folder: Path, to: Path) -> None:
    """The page of all rows kept."""
    rows, joint, growth = load(folder)
    lines = [*HEAD, *glance(rows, joint), *verdicts(rows, joint), *beside(joint)] if rows else [*HEAD]
    lines += ["## Quality and cost", ""] if rows else []
    for name in sorted(rows):
        lines += quality(name, rows[name], joint.get(name, {}))
    to.write_text("\n".join([*lines, *grown(growth)]), encoding="utf-8")
