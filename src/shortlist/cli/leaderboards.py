"""Leaderboards of the terminal: a funnel's stages, runs side by side, rankers on a plain table, settings tried."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from shortlist.cli.tables import decimal, interval, table

CHANCE = 0.05
"""From this p value on, nothing tells two apart."""
NARROW = 78
"""Columns for sentences below a table, so that they also fit the narrowest terminal."""


def leaderboard(document: Mapping[str, Any]) -> Table:
    """Each channel, each stage and the slate, with 95 % intervals; a rule only where it changed something."""
    asked = document["protocol"]
    k, wide = min(asked["k"]), max(asked["k"])
    metric = f"ndcg@{k}"
    order = ", order only" if asked.get("order") else ""
    title = (
        f"{document['name']}: {document['requests']:,} requests of {document['users']:,} users, "
        f"{asked['requests']} protocol, {asked.get('label') or 'from ' + asked['opens'].partition('T')[0]}{order}"
    )
    if "windows" in document:
        title += f", the last of {len(document['windows'])} windows"
    heads = ("", f"NDCG@{k} (95 %)", "slate − it", f"rec.\n@{wide}", "rec.\n@all", "only\nit", "adds\n@all", "cov.")
    shown = table(title, heads)
    shown.padding = (0, 0, 0, 0)
    rows = _rows(document, metric)
    channels = list(document["channels"])
    several = any(name.startswith("rank.") for name in rows)
    for label, values in rows.items():
        paired = document["paired"].get(label, {}).get(metric)
        same = label in ("rank", "slate") and paired and not any(paired[bound] for bound in ("diff", "low", "high"))
        shown.add_row(
            escape(f"rank ({document.get('ranker')})" if several and label == "rank" else label),
            _bare(interval(values[metric])),
            "" if same else _bare(interval(paired, sign=True)),
            _bare(decimal(values[f"recall@{wide}"]["mean"])),
            "" if label == "slate" else _bare(decimal(values["recall@all"]["mean"])),
            f"{values['unique_hits']:,}" if "unique_hits" in values else "",
            _bare(decimal(values["ceiling_gain"]["diff"], sign=True)) if "ceiling_gain" in values else "",
            _bare(decimal(values.get(f"coverage@{k}"))),
            style="bold" if label == "slate" else "",
            end_section=bool(channels) and label == channels[-1],
        )
    idle = {name: values for name, values in document["channels"].items() if values.get("brings_nothing")}
    if idle:
        orders = [name for name, values in idle.items() if (values["gain"]["low"] or 0) > 0]
        but = f"; but to the order: {', '.join(orders)}" if orders else ""
        said = f"bring nothing to @all, each with the others there: {', '.join(idle)}{but}"
        shown.caption = escape(textwrap.fill(said, NARROW))
    prices = [
        f"{name} {_bare(interval(hard['change'][metric], sign=True))}"
        for name, hard in (document.get("hard_rules") or {}).items()
        if metric in hard["change"]
    ]
    if prices:
        said = f"hard rules, the slate minus that with the rule off: {', '.join(prices)}"
        told = escape(textwrap.fill(said, NARROW))
        shown.caption = f"{shown.caption}\n{told}" if shown.caption else told
    if said := prerank(document, metric):
        told = escape(textwrap.fill(said, NARROW))
        shown.caption = f"{shown.caption}\n{told}" if shown.caption else told
    if alike := _alike(document, metric):
        said = f"nothing tells the slate from: {', '.join(alike)} (p, Holm over the rows, 5 %)"
        told = escape(textwrap.fill(said, NARROW))
        shown.caption = f"{shown.caption}\n{told}" if shown.caption else told
    if not rows:
        shown.caption = "no request of the test window has a right answer: nothing to report"
    return shown


def prerank(document: Mapping[str, Any], metric: str) -> str:
    """What pre-ranking loses and what it saves; nothing where there is none."""
    told = document.get("prerank") or {}
    if not told:
        return ""
    off, change, n = told["off"][metric], told["change"][metric], document["requests"]
    kept = f", {100 * (off + change['diff']) / off:.1f} % of it" if off else ""
    few, all_ = (told["rows"][side] for side in ("with", "without"))
    short, long = (1000 * told["seconds"][side] / n for side in ("with", "without"))
    return (
        f"pre-rank, the slate minus that of all rows ranked: {_bare(interval(change, sign=True))}{kept}; {few:,.0f} of "
        f"{all_:,.0f} rows a request are ranked, in {short:.1f} of {long:.1f} ms ({100 * short / long:.0f} %)"
    )


def _alike(document: Mapping[str, Any], metric: str) -> list[str]:
    """The lists that the slate cannot be told from, though they are not the same, by Holm over all of them."""
    from shortlist.metrics.significance import holm  # scipy.stats takes a while, and --help needs none

    paired = {name: found[metric] for name, found in document["paired"].items() if metric in found}
    chance = holm([float("nan") if found.get("p") is None else found["p"] for found in paired.values()])
    same = [not any(found[bound] for bound in ("diff", "low", "high")) for found in paired.values()]
    return [name for name, p, equal in zip(paired, chance, same, strict=True) if p >= CHANCE and not equal]


def windows(document: Mapping[str, Any]) -> Table:
    """Each list over several test windows, a window counting as one: how much the figures change between them."""
    metric = f"ndcg@{min(document['protocol']['k'])}"
    shown = table(
        f"{document['name']}: {metric.upper()} over {len(document['windows'])} test windows",
        ("", "mean (95 %)", "± windows", "slate − it (95 %)", "least", "most"),
    )
    over = document["over_windows"]
    for name, found in over.items():
        if name == "paired" or name.startswith("rules.") or metric not in found:
            continue
        paired = over["paired"].get(name, {}).get(metric)
        paired = paired if paired and (paired["least"] or paired["most"]) else None  # the slate itself, in each window
        shown.add_row(
            escape(name),
            _bare(interval(found[metric])),
            _bare(decimal(found[metric]["deviation"])),
            _bare(interval(paired, sign=True)),
            *(_bare(decimal(found[metric][bound])) for bound in ("least", "most")),
            style="bold" if name == "slate" else "",
        )
    dates = ", ".join(f"{window['opens'][:10]} ({window['requests']:,})" for window in document["windows"])
    shown.caption = escape(textwrap.fill(f"windows from (requests): {dates}", NARROW))
    return shown


def _rows(document: Mapping[str, Any], metric: str) -> dict[str, Mapping[str, Any]]:
    """What the leaderboard shows, in the order of the funnel."""
    rows: dict[str, Mapping[str, Any]] = dict(document["channels"])
    rows |= {name: value for name, value in document["stages"].items() if name != "rules" and value}
    for name, value in document["stages"].get("rules", {}).items():
        change = value.get("change", {}).get(metric)
        if not change or any(change[bound] for bound in ("diff", "low", "high")):
            rows[f"rule {name}"] = value
    return {label: value for label, value in {**rows, "slate": document["slate"]}.items() if metric in value}


def _bare(figure: str) -> str:
    """.154 for 0.154: eight columns of figures fit into 80."""
    return re.sub(r"\b0\.", ".", figure)  # a word boundary, so that 10.5 stays


def comparison(document: Mapping[str, Any]) -> list[Table | str]:
    """All runs in a row, in groups that nothing tells apart, and each run against the first, metric by metric."""
    shown = [_pairs(document)]
    board = document["leaderboard"]
    return [_groups(document, board), "", *shown] if board else [*shown]


def _groups(document: Mapping[str, Any], board: Mapping[str, Any]) -> Table:
    """Runs, best first."""
    seeds = f", {document['seeds']} seeds each" if document["seeds"] > 1 else ""
    title = f"{board['stage']} of {board['requests']:,} requests of {board['users']:,} users{seeds}"
    shown = table(title, ("", f"{board['metric'].upper()} (95 %)", "group"), ("", "group"))
    for run in board["runs"]:
        shown.add_row(escape(run["name"]), interval(run), run["group"])
    said = "Runs that share a letter cannot be told apart (paired t over users, Holm over all pairs, 5 %)."
    shown.caption = textwrap.fill(said, NARROW)
    return shown


def _pairs(document: Mapping[str, Any]) -> Table:
    """Each run against the first, metric by metric."""
    baseline, several = document["runs"][0]["name"], len(document["pairs"]) > 1
    heads = ("", "baseline", "it", "difference (95 %)", "p (Holm)" if several else "p", "users\nto see", "")
    shown = table(f"against {baseline}, request by request", heads, ("",))
    shown.padding = (0, 0, 0, 0)
    for pair in document["pairs"]:
        shown.add_row(f"[bold]{escape(pair['name'])}[/bold]")
        for stage, metrics in pair["stages"].items():
            shown.add_row(f"  {stage}")
            for metric, found in metrics.items():
                if not metric.startswith(("ndcg", "recall", "hit")):
                    continue
                sure = found["low"] is not None and (found["low"] > 0 or found["high"] < 0)
                sure = sure and not (several and found["p_holm"] >= CHANCE)
                word = ("better" if found["low"] > 0 else "worse") if sure else "could be chance"
                shown.add_row(
                    f"    {metric}",
                    _bare(decimal(found["baseline"]["mean"])),
                    _bare(decimal(found["run"]["mean"])),
                    _bare(interval(found, sign=True)),
                    _bare(decimal(found["p_holm"] if several else found["p"])),
                    _many(found["users_needed"]),
                    word,
                )
        shown.add_section()
    said = [line for pair in document["pairs"] for line in _told(pair)]
    said.append("users to see: with so many, such a difference would be found in 80 of 100 tests")
    shown.caption = escape("\n".join([*said, *(f"note: {note}" for note in document["notes"])]))
    return shown


def _told(pair: Mapping[str, Any]) -> list[str]:
    """What a pair was compared on, and how its difference changes from window to window."""
    alone = pair["only_run"] + pair["only_baseline"]
    said = [
        f"{pair['name']}: {pair['requests']:,} shared requests of {pair['users']:,} users; "
        f"{alone:,} had no partner and are left out"
    ]
    if windows := pair.get("windows"):
        each = ", ".join(decimal(one["diff"], sign=True) for one in windows["each"])
        said.append(
            f"over {windows['windows']} windows {windows['metric']} differs by {interval(windows, sign=True)}: {each}"
        )
    return said


def _many(users: float | None) -> str:
    """43, 1,200, 194k or 3M; nothing where no number would do."""
    if users is None:
        return ""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if users >= 100 * 1e3 and users >= size:
            return f"{users / size:,.0f}{unit}"
    return f"{users:,.0f}"


def rankers(document: Mapping[str, Any]) -> Table:
    """Rankers on a plain table: cross-validation and test AUC, beside the figures to beat."""
    asked = document["protocol"]
    seeds = len(asked["seeds"])
    title = (
        f"{document['name']}: {asked['train']:,} training and {asked['test']:,} test rows, {asked['folds']}-fold "
        f"cross-validation, {seeds} seed{'s' if seeds > 1 else ''}"
    )
    rows = document["rankers"]
    known = any(found.get("reference") for found in rows.values())
    grouped = [key for key in ("gauc", "ndcg@10") if any(f"test_{key}" in found for found in rows.values())]
    beside = ["reference"] if known else []
    heads = ["ranker", "CV AUC", *beside, "test AUC", "± seeds", *(f"{head} " for head in beside)]
    shown = table(title, [*heads, *map(str.upper, grouped), "chosen"], ("ranker", "chosen"))
    for name, found in rows.items():
        reference = found.get("reference", {})
        chosen = ", ".join(f"{key} {value}" for key, value in found["chosen"].items())
        cells = [
            escape(name),
            decimal(found["cv_auc"], 4),
            *(decimal(reference.get("cv_auc"), 4) for _ in beside),
            f"[bold]{decimal(found['test_auc'], 4)}[/bold]",
            decimal(found.get("test_auc_deviation"), 4),
            *(decimal(reference.get("test_auc"), 4) for _ in beside),
            *(decimal(found.get(f"test_{key}"), 4) for key in grouped),
            escape(chosen),
        ]
        shown.add_row(*cells)
    return shown


def parts(document: Mapping[str, Any]) -> Table:
    """What each part of a whole recipe came to, where it was measured, and what was kept."""
    shown = table(document["name"], ("part", "metric", "before", "after", "gain", "tried", "kept"), ("part", "kept"))
    for part in document["parts"]:
        error = decimal(part["error"], 4)
        shown.add_row(
            part["part"],
            part["metric"],
            decimal(part["before"], 4),
            decimal(part["after"], 4),
            f"{decimal(part['gain'], 4, sign=True)} ± {error}" if part["kept"] else "",
            str(part["tried"]),
            escape("\n".join(part["kept"]) or ("taken back" if part["part"] == "check" else "")),
        )
    return shown


def tuned(section: Mapping[str, Any], most: int = 6) -> Table:
    """The settings tried for one section: its own, and the best of the others."""
    trials = list(enumerate(section["trials"]))
    others = sorted((t for t in trials[1:] if t[1]["value"] is not None), key=lambda t: (-t[1]["value"], t[0]))
    title = f"{section['section']} ({section['type']}): {section['metric']}, {section['asked']}"
    shown = table(title, ("trial", section["metric"], "setting"), ("setting",))
    for number, trial in [trials[0], *others[:most]]:
        changed = {key: value for key, value in trial["params"].items() if value != section["current"][key]}
        setting = ", ".join(f"no {k}" if v is None else f"{k} = {json.dumps(v)}" for k, v in changed.items())
        style = "bold" if number == section["best"] else ""
        shown.add_row(str(number), decimal(trial["value"], 4), escape(setting) or "as it was", style=style)
    refused = f", {section['refused']} refused" if section["refused"] else ""
    ended = ", stopped" if section["stopped"] else ""
    gain = interval(section["gain"], sign=True)
    chance = "" if section["gain"]["low"] is None or section["gain"]["low"] > 0 else ", which could be chance,"
    if not section["best"]:
        gain, chance = "nothing better found", ""
    shown.caption = escape(
        f"{decimal(section['before'], 4)} before, {decimal(section['after'], 4)} after: {gain}{chance} in "
        f"{len(trials)} trials{refused}{ended}"
    )
    return shown
