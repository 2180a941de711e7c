"""The quieter parts of a run's page: beyond accuracy, every figure, time, protocol, provenance."""

from __future__ import annotations

from collections.abc import Mapping

from shortlist.report import _words as words
from shortlist.report._draw import Scale, axis, bar, decimal, interval, percent, row, section, strip, table, text
from shortlist.report._sections import Document, stages


def beyond(document: Document) -> str:
    """What accuracy does not see."""
    k = min(document["protocol"]["k"])
    rows = {name: value for name, value in stages(document).items() if not name.startswith("rules.")}
    told = dict.fromkeys(m for v in rows.values() for m in v if m.endswith(f"@{k}"))
    measured = [m for kind in _BEYOND for m in told if m.split("@")[0].split(".")[0] == kind]
    if not measured:
        return ""
    head = ["", *(text(m.split("@")[0].replace("_", " ").replace(".", " of ")) for m in measured)]
    cells = []
    for name, value in rows.items():
        said = [
            percent(value.get(m))
            if m.startswith(("empty", "coverage", "new_shown", "tail_share", "younger"))
            else decimal(value.get(m), _DIGITS.get(m.split("@")[0], 2))
            for m in measured
        ]
        cells.append([words.stage(name), *said])
    kinds = list(dict.fromkeys(m.split("@")[0].split(".")[0] for m in measured))
    meaning = (
        '<p class="key">'
        + "; ".join(f"<b>{kind.replace('_', ' ')}</b>: {words.METRICS[kind]}" for kind in kinds)
        + ".</p>"
    )
    lead = (
        f"A list can be accurate and dull. The first {k} places, by list; popularity is counted before the test window."
    )
    return section("Beyond accuracy", lead, _marked(table(head, cells)), meaning, anchor="beyond")


def windows(document: Document) -> str:
    """Several test windows: each one's slate, and every list over all of them."""
    told, over = document.get("windows"), document.get("over_windows")
    if not told or not over:
        return ""
    metric = f"ndcg@{min(document['protocol']['k'])}"
    by_window = [
        [words.day(one["opens"]), f"{one['requests']:,}", f"{one['users']:,}", interval(one["slate"].get(metric))]
        for one in told
    ]
    paired = over["paired"]
    by_list = [
        [
            words.stage(name),
            interval(found[metric]),
            *(decimal(found[metric][key]) for key in _SPREAD),
            interval(paired.get(name, {}).get(metric), sign=True),
        ]
        for name, found in over.items()
        if name != "paired" and metric in found
    ]
    lead = (
        f"The log’s last {len(told)} windows were each a test of its own: everything was learned before it. The mean "
        "counts every window the same, and its interval comes from how much windows differ (Student’s t), so few "
        "windows make it wide. The rest of this page, and the bundle, are of the last window."
    )
    return section(
        "Over several windows",
        lead,
        _marked(table(["from", "requests", "people", f"slate’s {metric.upper()}"], by_window)),
        _marked(table(["", f"mean {metric.upper()}", "deviation", "least", "most", "slate − it"], by_list)),
        anchor="windows",
    )


_SPREAD = ("deviation", "least", "most")
_DIGITS = {"novelty": 1, "popularity": 0, "age_days": 0, "delay_days": 1, "serendipity": 3}
_BEYOND = (
    *(
        "empty",
        "coverage",
        "gini",
        "novelty",
        "popularity",
        "popularity_lift",
        "tail_share",
        "diversity",
        "vector_diversity",
    ),
    *("miscalibration", "age_days", "younger", "new_shown", "delay_days", "serendipity"),
)


def scores(document: Document) -> str:
    """What the scores of each ordered list are worth by themselves."""
    found = {name: value for name, value in stages(document).items() if value.get("auc") is not None}
    measured = [m for m in _SCORES if any(value.get(m) is not None for value in found.values())]
    if not measured:
        return ""
    cells = [[words.stage(name), *(decimal(value.get(m)) for m in measured)] for name, value in found.items()]
    meaning = "; ".join(f"<b>{said}</b>: {words.METRICS[m]}" for m, said in _SCORES.items() if m in measured)
    lead = (
        "Of all rows that a stage ordered, not only of those on top: do right rows score above wrong ones, and do "
        "probabilities come true? A ranker of thinned samples promises too much until it is calibrated."
    )
    return section(
        "Scores", lead, table(["", *(_SCORES[m] for m in measured)], cells), f'<p class="key">{meaning}.</p>'
    )


_SCORES = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "calibration_ratio": "promised / came",
}


def figures(document: Document) -> str:
    """Every metric of the slate, and of all lists behind a fold."""
    slate, each = document["slate"], document.get("slate_user_mean", {})
    metrics = [m for m, v in slate.items() if isinstance(v, Mapping) and "mean" in v]
    if not metrics:
        return ""
    ks = sorted(document["protocol"]["k"])
    head = ["", *(f"@{k}, {each_}" for k in ks for each_ in ("requests", "people"))]
    kinds = list(dict.fromkeys(words.kind(metric) for metric in metrics if metric != "recall@all"))
    rows = []
    for name, known in kinds:
        at = [f"{name}@{k}{'_known' if known else ''}" for k in ks]
        cells = [interval(column.get(metric)) for metric in at for column in (slate, each)]
        rows.append([words.titled(name) + (", knowable" if known else ""), *cells])
    explained = list(dict.fromkeys(name for name, _ in kinds if name in words.METRICS))
    meaning = "; ".join(f"<b>{words.titled(name)}</b>: {words.METRICS[name]}" for name in explained)
    knowable = "; <b>knowable</b>: counting only right items that were in the catalogue when the question was asked"
    key = f'<p class="key">{meaning}{knowable if any(known for _, known in kinds) else ""}.</p>'
    wide = [
        [words.stage(name), *(decimal((value.get(m) or {}).get("mean")) for m in metrics)]
        for name, value in stages(document).items()
    ]
    everything = _marked(table(["", *(words.named(m) for m in metrics)], wide))
    folded = f"<details><summary>Every list, every metric</summary>{everything}</details>"
    lead = (
        "The slate’s figures at each length. In “requests” who asks more counts more; in “people” all count the same."
    )
    return section("All figures", lead, table(head, rows), key, folded, anchor="figures")


def _marked(drawn: str) -> str:
    """The slate's row stands out."""
    return drawn.replace("<tr><th>slate</th>", '<tr class="slate"><th>slate</th>')


def seconds(document: Document) -> str:
    """The slowest parts."""
    spent, requests = document.get("seconds") or {}, max(document["requests"], 1)
    if not spent:
        return ""
    longest = sorted(spent.items(), key=lambda pair: -pair[1])[:12]
    scale = Scale(0, max(1000 * longest[0][1] / requests, 1e-3) * 1.02)
    total = 1000 * sum(spent.values()) / requests
    drawn = [axis(scale)]
    for name, value in longest:
        each = 1000 * value / requests
        picture = strip(scale, bar(scale, each, "strong"), f"{name}: {each:.2f} ms")
        share = percent(value, sum(spent.values()))
        drawn.append(row(text(_part(name)), picture, f"<b>{each:.2f} ms</b> <small>{share}</small>"))
    lead = (
        f"Milliseconds a request in batches of 256, by part: {total:.1f} ms in all, one part after the other. "
        f"The slowest {len(longest)} of {len(spent)} are shown."
        if len(spent) > len(longest)
        else f"Milliseconds a request in batches of 256, by part: {total:.1f} ms in all, one part after the other."
    )
    steps = document.get("fit_steps") or {}
    rows = [[text(name), f"{value:.1f} s"] for name, value in steps.items()]
    folded = f"<details><summary>How long fitting took</summary>{table(['', ''], rows)}</details>" if rows else ""
    return section("Where the time goes", lead, *drawn, folded, anchor="seconds")


def _part(name: str) -> str:
    """recall.ease as channel ease, features.0.counts as feature counts."""
    kind, _, rest = name.partition(".")
    kinds = {"recall": "channel", "features": "feature", "rules": "rule"}
    last = rest.split(".", 1)[1] if kind == "features" and "." in rest else rest
    whole = {"rank": "ranker", "prerank": "pre-ranker"}
    return f"{kinds[kind]} {last}" if kind in kinds else whole.get(name, name)


def how(document: Document) -> str:
    """The protocol in words."""
    body = "".join(f"<p>{line}</p>" for line in words.protocol(document))
    return section("How it was asked", "", body, anchor="protocol").replace('<p class="lead"></p>', "")


def provenance(document: Document) -> str:
    """What made this page."""
    data = document.get("data") or {}
    told: dict[str, str] = {"recipe": text(document.get("name", ""))}
    if document.get("bundle"):
        told["bundle"] = f"<code>{text(document['bundle'])}</code>"
    if document.get("ranker"):
        judged = (
            f"{text(one['window'])}: {', '.join(f'{text(n)} {decimal(v)}' for n, v in one['ndcg@10'].items())}"
            for one in document.get("judged") or ()
        )
        told["ranker"] = f"{text(document['ranker'])}; NDCG@10 before the test, on {'; on '.join(judged)}"
    if data:
        told["data"] = (
            f"{data.get('events', 0):,} events, fingerprint <code>{text(str(data.get('fingerprint'))[:12])}</code>"
        )
        dropped = data.get("dropped") or {}
        reasons = "; ".join(f"{text(reason)}: {count:,}" for reason, count in dropped.items())
        told["rows dropped"] = f"{reasons} (kept in rejected.parquet)" if reasons else "none"
    if document.get("fit_seconds"):
        told["fitted in"] = f"{document['fit_seconds']:.0f} s, evaluation included"
    if document.get("peak_memory_bytes"):
        told["peak memory"] = f"{document['peak_memory_bytes'] / 2**30:.2f} GiB"
    if document.get("versions"):
        told["versions"] = ", ".join(f"{text(name)} {text(version)}" for name, version in document["versions"].items())
    body = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in told.items())
    return section("What made this page", "", f"<dl>{body}</dl>", anchor="made").replace('<p class="lead"></p>', "")
