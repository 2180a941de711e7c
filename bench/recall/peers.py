"""Recall channels beside the same models of other libraries, in the same run.

    python bench/recall/peers.py [--only CHANNEL ...] [--quality | --speed] [--events N] [--runs N] [--page]

Quality: both learn from MovieLens-100K without every user's last fifth and are asked for it, with the same
hyperparameters. Speed: both fit the same synthetic log, in turn in one process, with one thread and with two. A row is
kept in ``results/peers.CHANNEL.json``; PEERS.md is written from all that are there.
"""

from __future__ import annotations

import argparse
from importlib import metadata
from typing import Any

from page import apart, made, why_not
from rows import HERE, RESULTS, called, keep, kept, provenance, say, wanted

PEERS = ("implicit", "irspack", "sparse-dot-topn", "gensim", "scikit-network")
CHANNELS = [
    "item_cf", "user_cf", "ease", "als", "rp3beta", "personal_rank",
    "item2vec", "item2vec_100", "deepwalk", "node2vec",
]  # fmt: skip
ONE_THREAD = ("user_cf",)
"""Ours has no threads where the work is done, so two would compare nothing."""
SLOWER, FASTER = 1 / 1.1, 1.3
"""The least a fit's ratio may be, and what word2vec's shall be with two threads."""
FIGURES = ("ndcg@10", "recall@50")
Row = dict[str, Any]


def measure(channel: str, asked: argparse.Namespace) -> Row:
    """The row, with the parts that were not asked for as they were."""
    row = {name: kept(f"peers.{channel}").get(name, {}) for name in ("quality", "speed")}
    if not asked.speed and channel != "item2vec_100":
        row["quality"] = called("quality", {"channel": channel}, asked.limit, "peers_quality.py")
    if not asked.quality:
        for threads in (1,) if channel in ONE_THREAD else (1, 2):
            job = {"channel": channel, "threads": threads, "events": asked.events, "runs": asked.runs}
            row["speed"][str(threads)] = called("speed", job, asked.limit, "peers_speed.py")
            say(f"{channel}, {threads} thread(s): {ratios(row['speed'][str(threads)])}")
    found = provenance("peers.py")
    found["versions"] |= {name: metadata.version(name) for name in PEERS}
    return row | found | {"runs": asked.runs}


def ratios(speed: Row) -> Row:
    """The fastest peer's median over ours, by wall clock and by processor: above 1 we are faster."""
    if "seconds" not in speed:
        return {}
    ours, *peers = speed["seconds"].values()
    return {clock: min(peer[clock] for peer in peers) / ours[clock] for clock in ("wall", "processor")}


def page(rows: dict[str, Row]) -> str:
    """All rows as a page."""
    newest = max(rows.values(), key=lambda row: row["date"])
    load = {"load": max(row["load"] for row in rows.values())}
    lines = [
        "# Recall channels beside their peers",
        "",
        f"`python bench/recall/peers.py`; {made([newest | load])}",
        "",
        "## As good: MovieLens-100K, ratings from 4, every user's last fifth asked for",
        "",
        "Same log, same hyperparameters (`peers_quality.py`). Differences are ours minus the peer's, 95 % interval by "
        "resampling users; *holds* unless one lies below zero with certainty. deepwalk and node2vec: both learn "
        "from the same walks.",
        "",
        "| channel | peer | seeds | NDCG@10, ours | peer's | difference | recall@50, ours | peer's | difference | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for channel, row in rows.items():
        lines += listed(channel, row["quality"])
    lines += ["", "## The same neighbours", "", *neighbours(rows), "", "## As fast", ""]
    lines += [
        "Synthetic logs (`power_law.py`); medians of alternating warm runs in one process: wall clock (processor), "
        "seconds. Ratio: the fastest peer's over ours; it holds from 0.91 on (1.1 times the peer's time at most), for "
        "word2vec with two threads from 1.3. The word2vec channels train on the same corpus, one pass, 64 factors "
        "unless said otherwise, window 5, 5 negatives; gensim's vocabulary is counted beforehand.",
        "",
        "| channel | threads | events x items | ours | peers | ratio, wall | processor | words a second, ours | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for channel, row in rows.items():
        lines += [timing(channel, threads, speed) for threads, speed in row["speed"].items()]
    return "\n".join(lines) + "\n"


def listed(channel: str, found: Row) -> list[str]:
    """A row for each peer whose lists were compared."""
    if found and not any(isinstance(each, dict) for each in found.values()):
        return [f"| {channel} | {why_not(found)} |" + " |" * 8]
    lines = []
    for peer, each in found.items():
        if "requests" not in each:
            continue
        cells = [channel, peer, str(len(each["seeds"]))]
        for figure in FIGURES:
            one = each[figure]
            cells += [f"{one['shortlist']['mean']:.4f}", f"{one['peer']['mean']:.4f}", apart(one["paired"])]
        holds = all(each[figure]["paired"]["high"] >= 0 for figure in FIGURES)
        lines.append(f"| {' | '.join(cells)} | {'holds' if holds else '**below**'} |")
    return lines


def neighbours(rows: dict[str, Row]) -> list[str]:
    """Where the two name the same items or users."""
    exact = ["| channel | peer | rows | the same 100 | ties equal | largest difference of a similarity |"]
    exact += ["|---|---|---|---|---|---|"]
    learned = ["| channel | items seen 10 times | ours and gensim's | gensim's of two seeds | ours of two seeds |"]
    learned += ["|---|---|---|---|---|"]
    for channel, row in rows.items():
        for peer, each in row["quality"].items():
            if not isinstance(each, dict):
                continue
            if o := each.get("neighbours@100"):
                cells = f"{o['strict']:.4f} | {o['tied']:.4f} | {o['largest_difference']:.1e}"
                exact.append(f"| {channel} | {peer} | {o['rows']} | {cells} |")
            if o := each.get("neighbours@10"):
                learned.append(f"| {channel} | " + " | ".join(f"{value:.3g}" for value in o.values()) + " |")
    told = "Share of the 10 nearest items (cosine) that two sets of vectors have in common, mean over pairs of seeds:"
    return [*exact, "", told, "", *learned]


def timing(channel: str, threads: str, speed: Row) -> str:
    """A row of one channel with so many threads."""
    if not (ratio := ratios(speed)):
        return f"| {channel} | {threads} | {why_not(speed)} |" + " |" * 6
    shown = {name: f"{run['wall']:.2f} ({run['processor']:.2f})" for name, run in speed["seconds"].items()}
    ours = shown.pop("shortlist")
    words = f"{speed['words'] / speed['seconds']['shortlist']['wall']:,.0f}" if "words" in speed else ""
    mark = FASTER if words and threads == "2" else SLOWER
    size = f"{speed['events']:,} x {speed['items']:,}"
    peers = ", ".join(f"{name} {seconds}" for name, seconds in shown.items())
    verdict = "holds" if ratio["wall"] >= mark else "**slower**"
    return (
        f"| {channel} | {threads} | {size} | {ours} | {peers} | {ratio['wall']:.2f} | {ratio['processor']:.2f} "
        f"| {words} | {verdict} |"
    )


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help=f"some of {', '.join(CHANNELS)}")
    parser.add_argument("--quality", action="store_true", help="only quality")
    parser.add_argument("--speed", action="store_true", help="only speed")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the log that is timed")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each")
    parser.add_argument("--limit", type=float, default=1800, help="seconds a measurement may take")
    parser.add_argument("--page", action="store_true", help="only write PEERS.md")
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    (channels,) = wanted(asked.only, CHANNELS)
    for channel in [] if asked.page else channels:
        keep(f"peers.{channel}", measure(channel, asked))
        say(channel)
    rows = {channel: row for channel in CHANNELS if (row := kept(f"peers.{channel}"))}
    (HERE / "PEERS.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
