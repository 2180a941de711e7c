"""The body of an experiment's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shortlist.report import _words as words
from shortlist.report._draw import Scale, axis, decimal, percent, row, section, strip, table, text, whisker

KINDS = {"better": "good", "worse": "bad"}


def body(document: Mapping[str, Any]) -> str:
    """Header, the effects as a picture, the main metric day by day, slices, every figure, how it was decided."""
    if "interleaved" in document:
        return _interleaved(document)
    control = text(document["arms"][0]["arm"])
    return (
        f'<header><p class="kicker">Shortlist · experiment, {document["days"]:g} days until '
        f"{words.day(document['until'])}</p><h1>{text(document['experiment'])}</h1>{_verdicts(document, control)}"
        f"{_ratio(document)}</header>"
        + _effects(document, control)
        + _days(document, control)
        + _slices(document)
        + _arms(document)
        + _everything(document, control)
        + _how(document)
    )


def _verdicts(document: Mapping[str, Any], control: str) -> str:
    main = next(line for line in document["metrics"] if line["metric"] == document["main"])
    said = []
    for one in main["comparisons"]:
        kind = KINDS.get(one["verdict"], "grey")
        verb = {"good": "is better than", "bad": "is worse than", "grey": "cannot be told from"}[kind]
        said.append(
            f'<p class="verdict"><b>{text(one["arm"])}</b> {verb} {control}: {text(main["metric"])} '
            f'<b class="{kind}">{_lift(one["lift"])}</b> ({_lift(one["lift_low"])} to {_lift(one["lift_high"])}).</p>'
        )
    return "".join(said)


def _ratio(document: Mapping[str, Any]) -> str:
    if not document["sample_ratio"]["mismatch"]:
        return ""
    return (
        '<p class="note">Note: the arms do not hold the users they should (sample ratio, p = '
        f"{document['sample_ratio']['p']:.2g}). Something loses users of one arm; believe no figure here until it is "
        "found.</p>"
    )


def _effects(document: Mapping[str, Any], control: str) -> str:
    lines = [(line, one) for line in document["metrics"] for one in line["comparisons"] if one["lift"] is not None]
    if not lines:
        return ""
    bounds = [one[key] for _, one in lines for key in ("lift", "lift_low", "lift_high")]
    scale = Scale.over([100 * value for value in bounds if value is not None])
    drawn = [axis(scale, sign=True)]
    for line, one in lines:
        value = {key: None if one[name] is None else 100 * one[name] for key, name in _BOUNDS.items()}
        name = f"{line['metric']}, {one['arm']}"
        picture = strip(scale, whisker(scale, value, KINDS.get(one["verdict"], "grey")), f"{name}: {one['lift']}", 0.0)
        drawn.append(row(text(name), picture, _lift(one["lift"])))
    lead = (
        f"Relative to {control}, in percent, with 95 % intervals. "
        '<span class="dot" style="background:var(--good)"></span>better '
        '<span class="dot" style="background:var(--grey)"></span>unclear '
        '<span class="dot" style="background:var(--bad)"></span>worse. For positions, latency and short slates less is '
        "better."
    )
    return section("What the arms did", lead, *drawn)


_BOUNDS = {"diff": "lift", "low": "lift_low", "high": "lift_high"}


def _days(document: Mapping[str, Any], control: str) -> str:
    drawn = []
    for arm in dict.fromkeys(line["arm"] for line in document["daily"]):
        lines = [line for line in document["daily"] if line["arm"] == arm and line["difference"] is not None]
        known = [line["always"][key] for line in lines for key in ("low", "high") if line["always"][key] is not None]
        if not lines:
            continue
        scale = Scale.over([*known, *[line["difference"] for line in lines]])
        drawn += [f"<h3>{text(arm)} minus {control}</h3>", axis(scale, sign=True)]
        for line in lines:
            value = {"diff": line["difference"], "low": line["always"]["low"], "high": line["always"]["high"]}
            sure = line["always"]["p_so_far"] is not None and line["always"]["p_so_far"] < 0.05
            picture = strip(scale, whisker(scale, value, "blue" if sure else "grey"), f"day {line['day']}", 0.0)
            drawn.append(row(f"day {line['day']}", picture, f"{line['users']:,} users"))
    lead = (
        f"{text(document['main'])} as it stood at the end of each day, with intervals that may be looked at every day: "
        "the first one without zero in it decides."
    )
    return section("Day by day", lead, *drawn)


def _slices(document: Mapping[str, Any]) -> str:
    parts = []
    for one in document["slices"]:
        rows = [
            [text(line["level"]), decimal(line["control"], 4), decimal(line["treatment"], 4), _lift(line["lift"]),
             f"{_lift(line['lift_low'])} to {_lift(line['lift_high'])}"]
            for line in one["levels"]
        ]  # fmt: skip
        differ = "differ by more than chance" if (one["p_holm"] or 1) < 0.05 else "may all be the same effect"
        head = [text(one["column"]), "control", text(one["arm"]), "lift", "95 %"]
        parts.append(f"<h3>{text(one['arm'])} by {text(one['column'])}: {differ}</h3>{table(head, rows)}")
    return section("For whom", "The main metric within parts of the users that were named beforehand.", *parts)


def _arms(document: Mapping[str, Any]) -> str:
    rows = [
        [text(arm["arm"]), f"{arm['users']:,}", percent(arm["share"]), percent(arm["expected"])]
        for arm in document["arms"]
    ]
    left = ", ".join(f"{count:,} {what}" for what, count in document["left_out"].items() if count)
    lead = f"Left out: {left}." if left else "Nobody was left out."
    return section("Who was in it", lead, table(["arm", "users", "share", "expected"], rows))


def _everything(document: Mapping[str, Any], control: str) -> str:
    rows = []
    for line in document["metrics"]:
        for one in line["comparisons"]:
            always, reduction = one["always"], one.get("variance_reduction")
            rows.append(
                [f"{text(line['metric'])}, {text(one['arm'])}<br><small>{text(line['text'])}</small>",
                 decimal(one["control"], 4), decimal(one["treatment"], 4), decimal(one["difference"], 4, sign=True),
                 f"{decimal(always['low'], 4, sign=True)} to {decimal(always['high'], 4, sign=True)}",
                 decimal(one["p"], 4), decimal(one["p_holm"], 4), percent(reduction)]
            )  # fmt: skip
    head = ["", control, "arm", "difference", "always valid", "p", "Holm", "variance taken off"]
    covered = [
        f"{text(arm)} shows {one['treatment']:.0f} different items where {control} shows {one['control']:.0f}, in "
        "equally many rows."
        for arm, one in document["coverage"].items()
        if one["treatment"] is not None and one["control"] is not None
    ]
    return section("All figures", " ".join(covered), table(head, rows))


def _how(document: Mapping[str, Any]) -> str:
    said = (
        "The user is the unit: rows of one person are not independent, so every interval is over people. What people "
        "did before the experiment is taken off (CUPED) where the log goes back so far. "
        + (
            "The experiment has ended, so the intervals of a fixed sample decide."
            if document["ended"]
            else "The experiment still runs, so the intervals that hold at every look decide."
        )
        + " The main metric is judged by itself, the others with Holm’s correction over all of them. A guardrail that "
        "is unclear is not proven unharmed: look at its interval."
    )
    return section("How it was decided", said, " ")


def _interleaved(document: Mapping[str, Any]) -> str:
    a, b = (text(arm) for arm in document["interleaved"])
    value = {"diff": document["preference"], "low": document["low"], "high": document["high"]}
    scale = Scale.over([*value.values()])
    picture = strip(scale, whisker(scale, value, "blue"), f"preference {document['preference']}", 0.0)
    clicks = ", ".join(f"{text(arm)} {count:,}" for arm, count in document["clicks"].items())
    verdict = text(document["verdict"])
    return (
        f'<header><p class="kicker">Shortlist · two rankings in one slate</p><h1>{text(document["experiment"])}</h1>'
        f'<p class="verdict">{document["clicked_users"]:,} of {document["users"]:,} people clicked ({clicks}): '
        f"<b>{verdict}</b>.</p></header>"
        + section(
            "Who is preferred",
            f"The mean over people of (clicks on {b}’s items − on {a}’s) / both: −1 is all for {a}, 1 all for {b}.",
            axis(scale, sign=True),
            row("preference", picture, decimal(document["preference"], sign=True)),
        )
    )


def _lift(value: float | None) -> str:
    return "–" if value is None else f"{decimal(100 * value, 1, sign=True)} %"
