"""The report's sentences: what a figure means, how it was asked, what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shortlist.report._draw import decimal, percent, text

METRICS = {
    "ndcg": "how many right items are shown and how high they stand; 1 is a perfect list",
    "recall": "share of the right items that are shown",
    "precision": "share of the places that hold a right item",
    "hit": "share of the requests with at least one right item shown",
    "mrr": "1 over the place of the first right item, on average",
    "map": "precision at every right item, averaged",
    "auc": "chance that a right row scores above a wrong one, whosoever’s they are",
    "gauc": "the same within one request, averaged by rows; the list of a request depends on this alone",
    "log_loss": "mean surprise of the labels, in nats",
    "calibration_error": "mean distance of promised and observed shares, over ten bins",
    "calibration_ratio": "sum of the probabilities over the number of right rows",
    "coverage": "share of the catalogue that anybody was shown",
    "gini": "how unevenly places fall on the catalogue: 0 = all items alike, 1 = one item takes all",
    "age_days": "days since the items shown came into the catalogue or were first met",
    "delay_days": "days from an item’s arrival in the window to its first showing, of those shown",
    "new_shown": "share of the items that arrived in the window which somebody was shown",
    "serendipity": "share of the places with a right item that plain popularity would not have shown",
    "novelty": "surprise in bits: a rarer item has more",
    "empty": "share of the places that nothing stands at",
    "popularity": "mean number of earlier events of the items shown",
    "popularity_lift": "how much more popular the items are than those the person took before: 0 = alike, 1 = twice",
    "tail_share": "share of the items shown from the long tail, behind those that took 80 % of all events",
    "younger": "share of the items shown that came within the window that [evaluate] young names",
    "miscalibration": "how far the mix of categories is from that of the history, in nats: 0 = the same",
    "vector_diversity": "the same by a channel’s item vectors: 0 = all alike, 1 = nothing in common",
    "diversity": "how little the items of one list have in common: 0 = all alike, 1 = nothing shared",
}
NEWCOMERS = {
    "cold_items": "Only items first seen after the cut count as right",
    "no_history": "People of whom nothing was known",
}
SLICES = {
    "history: none": "nothing known yet",
    "history: 1-9": "1 to 9 events known",
    "history: 10-99": "10 to 99 events known",
    "history: 100+": "100 events or more",
    "user with training data": "people met in training",
    "user without training data": "people new since then",
}
TIERS = {
    "head": "the most popular items, which make half of all events",
    "middle": "the next, down to four fifths of all events",
    "tail": "all others that had been met",
    "cold": "items without an event before the window",
}


def lasting(duration: Any) -> str:
    """7d as 7 days."""
    written = str(duration)
    for unit, word in (("d", "day"), ("h", "hour"), ("m", "minute"), ("s", "second"), ("w", "week")):
        number = written.removesuffix(unit)
        if number != written and number.isdigit():
            return f"{number} {word}{'' if number == '1' else 's'}"
    return text(written)


def day(stamp: str | None) -> str:
    """1998-03-31 22:11 of an ISO moment."""
    return text(str(stamp)[:16].replace("T", " "))


def titled(name: str) -> str:
    """ndcg as NDCG."""
    return name.upper() if name in ("ndcg", "mrr", "map") else text(name)


def kind(metric: str) -> tuple[str, bool]:
    """(ndcg, whether only knowable targets count) of ndcg@10_known."""
    return metric.partition("@")[0], metric.endswith("_known")


def named(metric: str) -> str:
    """ndcg@10_known as NDCG@10, knowable."""
    name, _, rest = metric.partition("@")
    k, _, known = rest.partition("_")
    return f"{titled(name)}@{text(k)}" + (", knowable" if known else "")


def stage(name: str) -> str:
    """A stage as people say it."""
    if name.startswith("rules."):
        return f"rule {text(name.removeprefix('rules.'))}"
    if name.startswith("rank."):
        return f"ranker {text(name.removeprefix('rank.'))}"
    said = {"merge": "merged, not yet ranked", "prerank": "pre-ranked", "rank": "ranked", "slate": "slate"}
    return said.get(name, text(name))


def judged(difference: Mapping[str, Any] | None) -> str:
    """good, bad or grey: whether a paired interval excludes zero, and on which side."""
    if not difference or difference.get("low") is None or difference.get("high") is None:
        return "grey"
    return "good" if difference["low"] > 0 else "bad" if difference["high"] < 0 else "grey"


def best_channel(document: Mapping[str, Any], metric: str) -> str | None:
    """The channel with the highest mean."""
    means = {n: v[metric]["mean"] for n, v in document["channels"].items() if v.get(metric, {}).get("mean") is not None}
    return max(means, key=means.__getitem__) if means else None


def verdict(document: Mapping[str, Any]) -> str:
    """What it comes to, in a paragraph."""
    k = min(document["protocol"]["k"])
    slate, metric = document["slate"], f"ndcg@{k}"
    if metric not in slate:
        return "No request of the test window had a right answer, so there is nothing to report."
    said = (
        f"{document['requests']:,} times the funnel was asked what {document['users']:,} people would want next. "
        f"At least one item they then chose was among its first {k} in <b>{percent(slate[f'hit@{k}']['mean'])}</b> of "
        "the cases. "
    )
    best = best_channel(document, metric)
    if best is None:
        return said
    difference = document["paired"].get(best, {}).get(metric)
    said += f"Its NDCG@{k} is <b>{decimal(slate[metric]['mean'])}</b>; "
    said += f"the best single channel, {text(best)}, has {decimal(document['channels'][best][metric]['mean'])}. "
    kind = judged(difference)
    if difference is None:
        return said
    bounds = f"{decimal(difference['low'], sign=True)} to {decimal(difference['high'], sign=True)}"
    middle = f"{decimal(difference['diff'], sign=True)} ({bounds})"
    if kind == "good":
        return (
            said + f'The difference on the same requests, <b class="good">{middle}</b>, is more than chance would give.'
        )
    if kind == "bad":
        return said + (
            f'On the same requests the whole funnel is <b class="bad">worse</b> than that channel alone, {middle}: '
            "a defect of its samples, features or objective."
        )
    return said + f"The difference on the same requests, <b>{middle}</b>, could be chance."


def asked_of(asked: Mapping[str, Any]) -> str:
    """Which events the figures are of, in a few words; ``asked`` is the protocol."""
    kinds = {"last": "each person’s last event", "random": "a random share of the events"}
    if asked["requests"] in kinds:
        return f"{kinds[asked['requests']]}, {asked['label']}"
    return f"events from {day(asked.get('opens'))}"


def _held_out(asked: Mapping[str, Any]) -> list[str]:
    """What was asked where events were held out without regard to time."""
    if asked["requests"] == "last":
        found = (
            "Of each person with at least three right items the last was hidden, with all the person did from then on, "
            "and asked for once; the one before it is what merge and rankers were chosen on. People with fewer were "
            "learned from, but not asked."
        )
    else:
        found = (
            "A random share of all events was hidden, and each person asked once for theirs; as large a share of the "
            "others is what merge and rankers were chosen on."
        )
    again = "again with what they were chosen on" if asked.get("refit") else "without what they were chosen on"
    return [
        found,
        f"Channels were fitted {again}. Right items that nobody else had chosen count as missed.",
        f"This is <b>{asked['label']}</b>: what other people did later was known, as it is in most papers. Figures of "
        "a log cut by time are lower or higher, and the two cannot be compared.",
    ]


def protocol(document: Mapping[str, Any]) -> list[str]:
    """How the questions were asked."""
    asked = document["protocol"]
    until = f" to {day(asked['closes'])}" if asked.get("closes") else " to its end"
    zone = "" if asked.get("order") else " (UTC)"
    window = f"from {day(asked.get('opens'))}{until}{zone}"
    said = [f"{text(asked['order'])}."] if asked.get("order") else []
    if asked.get("label"):
        said += _held_out(asked)
    elif asked["requests"] == "start":
        said.append(
            f"One request for each person already known, at the moment the test window opens. It runs {window}. "
            "Right answers are all items known by then that the person was positive about in the window."
        )
    else:
        gap = f", after at least {lasting(asked['min_gap'])} of silence" if asked.get("min_gap") else ""
        said.append(
            f"The log was replayed {window}. Just before moments at which somebody did something{gap}, the funnel was "
            f"asked for a list, knowing only what was known then: at most {asked['moments']} moments a person, evenly "
            "spread."
        )
        within = "" if asked.get("order") else f", within {lasting(asked.get('horizon'))}"
        said.append(
            f"Right answers are the items the person was positive about among their next {asked['ahead']} events"
            f"{within}; what hard rules forbid (already seen, say) is not asked for."
        )
    said.append(
        f"{document['dropped_without_target']:,} requests had no right answer and were left out; "
        f"{document['requests']:,} remain, with {document.get('targets', 0):,} right answers between them."
        if document.get("targets")
        else f"{document['dropped_without_target']:,} requests had no right answer and were left out."
    )
    if asked.get("fitted_until") and not asked.get("label"):
        said.append(f"Nothing in the funnel had seen an event later than {day(asked['fitted_until'])}.")
    said.append(
        "Brackets are 95 % intervals: people, not requests, were drawn anew 2,000 times, because one person's requests "
        "are alike. A difference is taken request by request first."
    )
    return said
