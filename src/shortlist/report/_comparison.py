"""The body of the comparison page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shortlist.report import _words as words
from shortlist.report._draw import Scale, axis, decimal, interval, row, section, strip, table, text, whisker


def body(document: Mapping[str, Any]) -> str:
    """Header, slates side by side, differences from the baseline, every metric, how it was done."""
    baseline, k = document["runs"][0]["name"], document["k"]
    metric = f"ndcg@{k}"
    heading = text(baseline) if len(document["runs"]) == 1 else f"{len(document['pairs'])} against {text(baseline)}"
    if len(document["pairs"]) == 1:
        heading = f"{text(document['pairs'][0]['name'])} against {text(baseline)}"
    said = "".join(f'<p class="verdict">{_verdict(pair, baseline, metric)}</p>' for pair in document["pairs"])
    notes = "".join(f'<p class="note">Note: {text(note)}</p>' for note in document["notes"])
    return (
        f'<header><p class="kicker">Shortlist · experiments paired request by request</p><h1>{heading}</h1>'
        f"{said}{notes}</header>"
        + _runs(document, metric)
        + "".join(_pair(pair, baseline, document["stages"]) for pair in document["pairs"])
        + _everything(document)
        + _how(document)
    )


def _verdict(pair: Mapping[str, Any], baseline: str, metric: str) -> str:
    found = pair["stages"]["slate"].get(metric)
    if found is None:
        return f"{text(pair['name'])} and {text(baseline)} share no metric {words.named(metric)}."
    kind = words.judged(found)
    verb = {"good": "is better than", "bad": "is worse than", "grey": "cannot be told from"}[kind]
    return (
        f"<b>{text(pair['name'])}</b> {verb} {text(baseline)}: {words.named(metric)} "
        f'<b class="{kind}">{decimal(found["diff"], sign=True)}</b> '
        f"({decimal(found['low'], sign=True)} to {decimal(found['high'], sign=True)}) on "
        f"{pair['requests']:,} requests of {pair['users']:,} people."
    )


def _runs(document: Mapping[str, Any], metric: str) -> str:
    runs = {run["name"]: run["slate"][metric] for run in document["runs"] if metric in run["slate"]}
    if not runs:
        return ""
    scale = Scale.over([value[bound] for value in runs.values() for bound in ("mean", "low", "high")])
    reference = next(iter(runs.values()))["mean"]
    drawn = [axis(scale)]
    board = document.get("leaderboard") or {"runs": []}
    letters = {run["name"]: f" · {run['group']}" for run in board["runs"]}
    for name, value in runs.items():
        picture = strip(scale, whisker(scale, value, "blue"), f"{name}: {decimal(value['mean'])}", reference)
        drawn.append(row(text(name + letters.get(name, "")), picture, interval(value)))
    lead = f"Each slate’s own {words.named(metric)} on all of its requests; the dashed line is the baseline."
    if letters:
        lead += " Runs that share a letter cannot be told apart on the requests that all were asked."
    return section("Side by side", lead, *drawn)


def _pair(pair: Mapping[str, Any], baseline: str, stages: list[str]) -> str:
    cells = [
        (s, m, d) for s in stages for m, d in pair["stages"].get(s, {}).items() if m.startswith(("ndcg", "recall"))
    ]
    if not cells:
        return ""
    scale = Scale.over([d[bound] for _, _, d in cells for bound in ("diff", "low", "high")])
    drawn = [axis(scale, sign=True)]
    last = cells[0][0]
    for stage, metric, difference in cells:
        if stage != last:
            drawn.append(f"<h3>{words.stage(stage)}</h3>")
            last = stage
        elif len(drawn) == 1:
            drawn.append(f"<h3>{words.stage(stage)}</h3>")
        label = f"{stage} {metric}: {decimal(difference['diff'], sign=True)}"
        picture = strip(scale, whisker(scale, difference, words.judged(difference)), label, 0.0)
        drawn.append(row(words.named(metric), picture, interval(difference, sign=True)))
    lead = (
        "To the right of zero it is better. "
        '<span class="dot" style="background:var(--good)"></span>clearly better '
        '<span class="dot" style="background:var(--grey)"></span>could be chance '
        '<span class="dot" style="background:var(--bad)"></span>clearly worse.'
    )
    return section(f"{text(pair['name'])} minus {text(baseline)}", lead, *drawn)


def _everything(document: Mapping[str, Any]) -> str:
    parts = []
    for pair in document["pairs"]:
        rows = [
            [
                f"{words.stage(stage)}, {words.named(metric)}",
                decimal(d["baseline"]["mean"]),
                decimal(d["run"]["mean"]),
                interval(d, sign=True),
                decimal(d["p"], 4),
                decimal(d["p_holm"], 4),
            ]
            for stage, metrics in pair["stages"].items()
            for metric, d in metrics.items()
        ]
        head = ["", text(document["runs"][0]["name"]), text(pair["name"]), "difference", "p", "p (Holm over runs)"]
        parts.append(f"<details><summary>{text(pair['name'])}: every metric</summary>{table(head, rows)}</details>")
    return section("All figures", "On the shared requests only.", *parts)


def _how(document: Mapping[str, Any]) -> str:
    drawn = (
        "intervals from drawing people anew 2,000 times; p flips the sign of each person’s difference at random."
        if document["seeds"] == 1
        else f"intervals of Student’s t in which people and the {document['seeds']} seeds are drawn, and so is p."
    )
    lines = [
        "Experiments are paired on person and moment: what is left is the difference of the systems. Brackets are 95 % "
        f"{drawn} p (Holm) is of the paired t test over people, beside all runs compared here. With many metrics, some "
        "small p are to be expected by chance."
    ]
    for pair in document["pairs"]:
        alone = (
            f"{pair['only_run']:,} requests of {text(pair['name'])} and {pair['only_baseline']:,} of the baseline "
            "had no partner"
        )
        other = (
            f"; {pair['different_targets']:,} had another number of right answers" if pair["different_targets"] else ""
        )
        lines.append(f"{alone}{other}.")
    body = "".join(f"<p>{line}</p>" for line in lines)
    return section("How it was compared", "", body).replace('<p class="lead"></p>', "")
