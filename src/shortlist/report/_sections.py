"""The parts of a run's page, each from ``evaluation.json`` alone; a part without figures is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shortlist.report import _words as words
from shortlist.report._draw import (
    Scale,
    axis,
    bar,
    decimal,
    interval,
    level,
    narrowing,
    percent,
    row,
    section,
    strip,
    text,
    whisker,
)

Document = Mapping[str, Any]


def stages(document: Document) -> dict[str, dict[str, Any]]:
    """Every list that was measured, in the order of the funnel: channels, merge, rankers, rules, slate."""
    found = dict(document["channels"])
    found |= {name: value for name, value in document["stages"].items() if name != "rules"}
    found |= {f"rules.{name}": value for name, value in document["stages"].get("rules", {}).items()}
    return {name: value for name, value in {**found, "slate": document["slate"]}.items() if value}


def cards(document: Document) -> str:
    """Four figures to remember."""
    k, slate = min(document["protocol"]["k"]), document["slate"]
    if f"ndcg@{k}" not in slate:
        return ""
    shown = [
        (percent(slate[f"hit@{k}"]["mean"]), f"of the lists hold a right item among their first {k}"),
        (decimal(slate[f"ndcg@{k}"]["mean"]), f"NDCG@{k}: right items shown, and shown high"),
    ]
    if document.get("targets"):
        found = percent(document["found_by_any"], document["targets"])
        shown.append((found, "of all right items are found by at least one channel"))
    if slate.get(f"coverage@{k}") is not None:
        shown.append((percent(slate[f"coverage@{k}"]), f"of the catalogue appears in somebody’s first {k}"))
    return f'<ul class="cards">{"".join(f"<li><b>{figure}</b><span>{said}</span></li>" for figure, said in shown)}</ul>'


def funnel(document: Document) -> str:
    """From all right items down to those on the first places."""
    total, merge = document.get("targets"), document["stages"].get("merge")
    if not total or not merge or not document["channels"]:
        return ""
    ks = sorted(document["protocol"]["k"])
    k, wide = ks[0], ks[-1]

    def figure(count: int) -> str:
        return f"{count:,} · {percent(count, total)}"

    parts = [level("all right items", f"{total:,}", 1.0, "all")]
    widest = 0.0
    for name, channel in sorted(document["channels"].items(), key=lambda pair: -pair[1]["hits"]):
        share = channel["hits"] / total
        widest = max(widest, share)
        alone = channel.get("unique_hits", 0)
        only = f" <small>{alone:,} only it</small>" if alone else ""
        parts.append(level(text(name), figure(channel["hits"]) + only, share, "channel", alone / total))
    found = document["found_by_any"]
    parts.append(narrowing(widest, found / total, "together"))
    parts.append(level("found by any channel", figure(found), found / total, "stage"))
    kept = merge["hits"]
    lost = f"the merge leaves out {found - kept:,}" if found > kept else "the merge keeps them all"
    parts.append(narrowing(found / total, kept / total, lost))
    parts.append(level("handed to the ranker", figure(kept), kept / total, "stage"))
    shown, first = document["slate"]["hits"], document["slate"][f"hits@{k}"]
    if wide > k:
        parts.append(narrowing(kept / total, shown / total, f"ranked, rules applied, first {wide} kept"))
        parts.append(level(f"among the first {wide}", figure(shown), shown / total, "stage"))
    parts.append(narrowing((shown if wide > k else kept) / total, first / total, ""))
    parts.append(level(f"among the first {k}", figure(first), first / total, "last"))
    before = merge[f"hits@{k}"]
    lead = (
        f"There were {total:,} right items to find. A bar’s width is how many of them are still there. "
        f"In the order of the merge, before any ranking, the first {k} places would hold {before:,}; they end up "
        f"holding {first:,}."
    )
    core = '<p class="key"><span class="swatch" style="background:var(--core)"></span>found by this channel alone</p>'
    return section("The funnel", lead, f'<div class="funnel">{"".join(parts)}</div>', core, anchor="funnel")


def leaderboard(document: Document) -> str:
    """Every channel and stage as a dot on its interval."""
    k = min(document["protocol"]["k"])
    metric = f"ndcg@{k}"
    rows = {
        name: value for name, value in stages(document).items() if metric in value and not name.startswith("rules.")
    }
    if "slate" not in rows:
        return ""
    scale = Scale.over([v[metric][bound] for v in rows.values() for bound in ("mean", "low", "high")])
    channels = sorted(document["channels"], key=lambda name: -(document["channels"][name][metric]["mean"] or 0))
    order = [*(name for name in channels if name in rows), *(name for name in rows if name not in document["channels"])]
    reference, drawn = rows["slate"][metric]["mean"], [axis(scale)]
    for number, name in enumerate(order):
        value = rows[name][metric]
        kind = "blue" if name == "slate" else "good" if name not in document["channels"] else ""
        label = f"{name}: {decimal(value['mean'])}, from {decimal(value['low'])} to {decimal(value['high'])}"
        gap = " gap" if number == len(channels) or name == "slate" else ""
        picture = strip(scale, whisker(scale, value, "blue" if kind == "blue" else ""), label, reference)
        drawn.append(row(words.stage(name), picture, interval(value), ("slate" if name == "slate" else "") + gap))
    lead = (
        f"NDCG@{k} of every channel alone, of the merged list, the ranked list and the slate, on the same requests. "
        f"Lines are 95 % intervals; the dashed line is the slate. Whether two differ is the next picture’s question: "
        f"intervals of single lists overlap even where the difference is sure."
    )
    return section("Leaderboard", lead, *drawn, anchor="leaderboard")


def differences(document: Document) -> str:
    """The slate minus each other list, and what each step of the funnel changed."""
    k = min(document["protocol"]["k"])
    metric = f"ndcg@{k}"
    pairs = {n: d[metric] for n, d in document["paired"].items() if metric in d and n != document.get("same_as_slate")}
    channels = {n: d for n, d in pairs.items() if n in document["channels"]}
    drawn = _differences({text(n): d for n, d in sorted(channels.items(), key=lambda pair: pair[1]["diff"] or 0)})
    lead = (
        f"The slate’s NDCG@{k} minus a channel’s, request by request. "
        '<span class="dot" style="background:var(--good)"></span>clearly better '
        '<span class="dot" style="background:var(--grey)"></span>could be chance '
        '<span class="dot" style="background:var(--bad)"></span>clearly worse.'
    )
    first = section("Slate against each channel", lead, drawn, anchor="paired") if drawn else ""
    steps = {name: v["change"][metric] for name, v in stages(document).items() if metric in v.get("change", {})}
    lead = (
        f"What each step changed in NDCG@{k}, against the list before it. Ranking should lift it; "
        "a rule may cost some, which is the price of what it is for. A hard rule acts before recall: the slate with it "
        "minus the slate had it been off, on the same right answers."
    )
    named = {words.stage(n): d for n, d in steps.items()}
    for name, hard in (document.get("hard_rules") or {}).items():
        if metric in hard["change"]:
            told = f"{words.stage(f'rules.{name}')} <small>forbids {hard['forbids']:,.0f} items a request</small>"
            named[told] = hard["change"][metric]
    second = section("What each step changed", lead, _differences(named))
    return first + second


def additions(document: Document) -> str:
    """The merged list with each channel minus the merged list without it."""
    k = min(document["protocol"]["k"])
    channels = {name: value for name, value in document["channels"].items() if "ceiling_gain" in value}
    order = sorted(channels, key=lambda name: -(channels[name]["ceiling_gain"]["diff"] or 0))

    def drawn(key: str) -> str:
        names = {
            name: text(name) + (f" <small>{said}</small>" if (said := _idle(channels[name])) else "") for name in order
        }
        return _differences({names[name]: channels[name][key] for name in order if channels[name][key]})

    if not order:
        return ""
    lead = (
        "The merged list with a channel minus the merged list without it, the others weighted as they are. Above: the "
        "share of all right items among everything handed to the ranker, which no ranker can pass. A channel whose "
        "interval there reaches zero brings nothing that the others do not; of several alike each is such a one, so "
        "take out one at a time."
    )
    order_ = f"<h3>NDCG@{k} of the merge order</h3>{drawn('gain')}"
    return section("What each channel adds", lead, drawn("ceiling_gain"), order_, anchor="additions")


def _idle(channel: Mapping[str, Any]) -> str:
    """What to say of a channel that the ceiling would not miss."""
    if not channel.get("brings_nothing"):
        return ""
    return "brings nothing but order" if (channel["gain"]["low"] or 0) > 0 else "brings nothing"


def _differences(rows: Mapping[str, Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    scale = Scale.over([d[bound] for d in rows.values() for bound in ("diff", "low", "high")])
    drawn = [axis(scale, sign=True)]
    for name, difference in rows.items():
        label = f"{decimal(difference['diff'], sign=True)}"
        unchanged = not any(difference[b] for b in ("diff", "low", "high"))
        figure = '<span class="grey">no change</span>' if unchanged else interval(dict(difference), sign=True)
        picture = strip(scale, whisker(scale, dict(difference), words.judged(difference)), label, 0.0)
        drawn.append(row(name, picture, figure))
    return "".join(drawn)


def slices(document: Document) -> str:
    """Who is served well, and which items are found."""
    found, k = document.get("slices") or {}, min(document["protocol"]["k"])
    asked, drawn = found.get("requests", {}), []
    if asked:
        values = [
            v[s][b] for v in asked.values() for s in ("slate", "merge") if s in v for b in ("mean", "low", "high")
        ]
        scale = Scale.over(values)
        drawn.append("<h3>Kinds of request</h3>" + axis(scale))
        for name, value in asked.items():
            merged = {"mean": value["merge"]["mean"]} if "merge" in value else {}
            marks = whisker(scale, merged, "hollow") + whisker(scale, value["slate"], "blue")
            name_ = f"{text(words.SLICES.get(name, name))} <small>{value['requests']:,}</small>"
            label = f"{name}: {decimal(value['slate']['mean'])}"
            gap = "gap" if name == "user with training data" else ""
            drawn.append(row(name_, strip(scale, marks, label), interval(value["slate"]), gap))
        drawn.append(
            '<p class="key"><span class="dot" style="background:var(--blue)"></span>slate '
            '<span class="dot" style="border:2px solid var(--grey)"></span>merged, not yet ranked. '
            "The small number is how many requests.</p>"
        )
    targets = found.get("targets", {})
    if targets:
        scale, wide = Scale(0, 1), max(document["protocol"]["k"])
        drawn.append(f"<h3>Right items by popularity: share shown among the first {wide}</h3>")
        for name, value in targets.items():
            share = value.get(f"recall@{wide}")
            name_ = f"{text(name)} <small>{value['targets']:,}</small>"
            picture = strip(scale, bar(scale, share, "strong"), f"{name}: {percent(share)}")
            drawn.append(row(name_, picture, f"<b>{percent(share)}</b>"))
        drawn.append(
            '<p class="key">' + "; ".join(f"{n}: {words.TIERS[n]}" for n in targets if n in words.TIERS) + ".</p>"
        )
    drawn += [_newcomers(document, key) for key in words.NEWCOMERS]
    lead = f"One mean hides many people. NDCG@{k} of the slate for kinds of request, and which right items it shows."
    return section("Who is served, and with what", lead, *drawn, anchor="slices") if drawn else ""


def _newcomers(document: Document, key: str) -> str:
    """NDCG of every channel and stage on items first seen after the cut, or for people of whom nothing is known."""
    metric = f"ndcg@{min(document['protocol']['k'])}"
    every = {name: value[key] for name, value in stages(document).items() if metric in value.get(key, {})}
    rows = {name: value for name, value in every.items() if not name.startswith("rules.")}
    if "slate" not in rows:
        return ""
    scale = Scale.over([value[metric][bound] for value in rows.values() for bound in ("mean", "low", "high")])
    order = sorted(
        (name for name in rows if name in document["channels"]), key=lambda n: -(rows[n][metric]["mean"] or 0)
    )
    drawn = [axis(scale)]
    for name in [*order, *(name for name in rows if name not in document["channels"])]:
        value, kind = rows[name][metric], "slate" if name == "slate" else ""
        picture = strip(scale, whisker(scale, value, "blue" if kind else ""), f"{name}: {decimal(value['mean'])}")
        drawn.append(row(words.stage(name), picture, interval(value), kind))
    slate = rows["slate"]
    counted = f"{slate['requests']:,} requests with {slate['targets']:,} right items"
    return f"<h3>{words.NEWCOMERS[key]} <small>{counted}</small></h3>" + "".join(drawn)
