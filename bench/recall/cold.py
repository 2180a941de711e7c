"""Items first met after the cut: which channels find them, beside chance and beside the newest first.

    python bench/recall/cold.py --data DIR [--work DIR] [--only SET|CHANNEL ...] [--again] [--page]

A channel is fitted on the events before the ``rank`` cut, so that the last fifth of the log is after it, and is asked
by replay what was taken then of items without an event before the cut. It may answer with these alone; what the asker
has had is excluded. *launched*: all of them stand in the catalogue from the cut on. *met*: only those that somebody had
taken by the moment asked. Live events reach the channels that read them (``fresh``, ``popular``), as they would in
service; ``newest`` is no channel but the order of first being taken, the latest first. Settings are chosen in the same
way between the ``tune`` and the ``rank`` cut, defaults first. Any channel can be named; a row is kept in ``cold/`` and
the table is COLD.md.

amazon-beauty has no times. There a tenth of the items, drawn, are taken out of all that is learned, histories included,
and asked for are those who took one of them last; settings are chosen with another tenth and the last item but one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import choose
import logs
import numpy as np
import polars as pl
from rows import HERE, measured, provenance, say, wanted

from shortlist.component import InputError, Retriever
from shortlist.data import Dataset, State, held
from shortlist.data.build import dataset
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.documents import write_text
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals, paired_interval
from shortlist.questions import questions_of
from shortlist.recipe import EvaluateSpec
from shortlist.registry import find, names
from shortlist.search import declared
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Ragged, Requests

ROWS = HERE / "cold"
SETS = ["movielens-latest-small", "movietweetings"]
CHANNELS = ["content", "fresh", "knowledge_graph", "newest", "popular"]
UNIVERSES = ("launched", "met")
K, BLOCK = 20, 200
BEAUTY, TAKEN_OUT = "amazon-beauty", 10
"""The set without times, and of how many items one is taken out of it."""


class Newest:
    """Not a channel of the package: items by when somebody first took them, the latest first."""

    def __init__(self, since: Array):
        self.since = since

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The ``k`` that were first taken last, among those not excluded."""
        parts = []
        for r in range(len(requests)):
            there = self.since < requests.time[r]
            there[requests.exclude.row(r)["item"]] = False
            left = np.flatnonzero(there)
            best = left[np.argsort(-self.since[left], kind="stable")][:k].astype(np.int32)
            score: Float32 = (1 / (1.0 + np.arange(len(best)))).astype(np.float32)
            parts.append(Candidates(np.full(len(best), r, np.uint32), best, {"score": score}))
        return Candidates.concat(parts)


@dataclass(frozen=True)
class Test:
    """One window: what is known before it, who asks, and which items are new in it."""

    learned: Dataset  # what a channel may know
    state: State
    asked: dict[str, list[tuple[Requests, Ragged]]]  # by universe
    cold: Bool  # [items]
    first: Array | None  # [items] when somebody first took each; none where nobody knows

    @staticmethod
    def of(log: logs.Log, opens: str, closes: str | None) -> Test:
        """Questions of a window whose right answers are items first met in it."""
        cut, end = log.cut(opens), None if closes is None else log.cut(closes)
        data = log.data
        first = np.full(data.n_items, np.iinfo(np.int64).max)
        np.minimum.at(first, data.events.item, data.events.time)
        cold = (first >= cut) & (first < (np.iinfo(np.int64).max if end is None else end))
        asked: dict[str, list[tuple[Requests, Ragged]]] = {universe: [] for universe in UNIVERSES}
        for batch in questions_of(data, log.state, EvaluateSpec(requests="replay"), cut, end).batches(BLOCK):
            right = batch.targets.keep(cold[batch.targets["item"]])
            some = np.flatnonzero((right.lengths > 0) & (batch.requests.history.lengths > 0))
            if not len(some):
                continue
            requests, right = batch.requests.take(some), right.take(some)
            for universe in UNIVERSES:
                open_ = np.tile(cold, (len(some), 1))
                open_[requests.history.rows, requests.history["item"]] = False
                if universe == "met":
                    open_ &= first < requests.time[:, None]
                row, item = np.nonzero(~open_)
                barred = Ragged.of(row, len(some), item=item.astype(np.int32))
                left = right.keep(open_[right.rows, right["item"]])
                asked[universe].append((replace(requests, exclude=barred), left))
        return Test(data.until(cut), log.state, asked, cold, first)

    @staticmethod
    def taken_out(data: Dataset, part: held.Part, seed: int) -> Test:
        """Each user's last item, or the last but one (``tune``), where it is among those taken out of the log."""
        log = held.seen_from(data, held.last(data.events), part, ranked=False, seed=0)
        drawn = np.random.default_rng(seed).permutation(data.n_items)[: data.n_items // TAKEN_OUT]
        cold, at = np.isin(np.arange(data.n_items), drawn), held.moment(data)
        log = replace(log, events=log.events.take(np.flatnonzero((log.events.time >= at) | ~cold[log.events.item])))
        state, asked = log.state(), list[tuple[Requests, Ragged]]()
        barred = np.flatnonzero(~cold).astype(np.int32)
        for batch in questions_of(log, state, EvaluateSpec(requests="last"), at, at + 1).batches(BLOCK):
            right = batch.targets.keep(cold[batch.targets["item"]])
            some = np.flatnonzero((right.lengths > 0) & (batch.requests.history.lengths > 0))
            rows = np.repeat(np.arange(len(some)), len(barred))
            exclude = Ragged.of(rows, len(some), item=np.tile(barred, len(some)))
            asked.append((replace(batch.requests.take(some), exclude=exclude), right.take(some)))
        return Test(log.until(at), state, {"launched": asked}, cold, None)

    def recall(self, channel: Any, universe: str) -> Float64:
        """[requests]: recall@20 of a channel; NaN where nothing is right."""
        found = [
            accuracy.recall(Slates.of(channel.retrieve(requests, self.state, K).select(["score"]), right, K), K)
            for requests, right in self.asked[universe]
        ]
        return np.concatenate(found)

    def chance(self, universe: str) -> Float64:
        """[requests]: what drawing 20 at random is expected to reach."""
        n = len(self.cold)
        left = np.concatenate([n - requests.exclude.lengths for requests, _ in self.asked[universe]])
        return np.minimum(K, left) / np.maximum(left, 1)

    def users(self) -> Array:
        """[requests]: who asks."""
        return np.concatenate([requests.user for requests, _ in self.asked["launched"]])


def tests(name: str, asked: argparse.Namespace) -> tuple[Test, Test] | None:
    """Where settings are chosen, and what is reported; none where the set is not on this machine."""
    if name == BEAUTY:
        folder = None if asked.data is None else asked.data / "amazon-5core"
        if folder is None or not folder.is_dir():
            return None
        data = beauty(folder, asked.work.resolve())
        return Test.taken_out(data, "tune", 0), Test.taken_out(data, "test", 1)
    if not logs.here(name, asked.data):
        return None
    log = logs.load(name, asked.data, asked.work.resolve())
    return Test.of(log, "tune", "rank"), Test.of(log, "rank", None)


def beauty(folder: Path, work: Path) -> Dataset:
    """The sequences of amazon-5core's Beauty, items with their attributes."""
    told = json.loads(gzip.decompress((folder / "beauty.attributes.json.gz").read_bytes()))
    work.mkdir(parents=True, exist_ok=True)
    items = pl.DataFrame({"item": list(told), "attributes": [[str(one) for one in many] for many in told.values()]})
    items.write_parquet(work / "beauty.items.parquet")
    tables = {
        "events": {"path": "beauty.txt.gz", "layout": "sequences"},
        "items": {"path": str(work / "beauty.items.parquet"), "columns": {"item": "item", "attributes": "list"}},
    }
    spec = DataSpec.model_validate(tables)
    return dataset(source("tables")(spec, folder), spec)


def fitted(name: str, settings: dict[str, Any], test: Test) -> Retriever | Newest:
    """A channel that knows what was before the window."""
    if name == "newest":
        if test.first is None:
            raise InputError("newest: nobody knows when an item was first taken")
        return Newest(test.first)
    return find("recall", name).from_config(settings).fit(test.learned)  # type: ignore[attr-defined]


def settings(name: str, test: Test, trials: int, budget: float) -> tuple[dict[str, Any], int]:
    """The settings with the best recall among launched items, and how many were tried."""
    if name == "newest":
        return {}, 0
    cls, rng = find("recall", name), np.random.default_rng(0)
    bounds, best, reached, began = declared(cls), dict[str, Any](), -1.0, time.perf_counter()
    done = 0
    while done < trials and (not done or time.perf_counter() - began < budget) and (not done or bounds):
        point = choose.draw(bounds, best, rng) if done else {}
        done += 1
        try:
            value = float(np.nanmean(test.recall(fitted(name, point, test), "launched")))
        except (InputError, ValueError):
            continue
        if value > reached:
            best, reached = point, value
    return best, done


def measure(name: str, tune: Test, test: Test, asked: argparse.Namespace) -> dict[str, Any]:
    """The row of a channel."""
    chosen, tried = settings(name, tune, asked.trials, asked.budget)
    channel, users = fitted(name, chosen, test), test.users()
    row: dict[str, Any] = {"settings": chosen, "trials": tried, "cold": int(test.cold.sum()), "requests": len(users)}
    for universe in test.asked:
        mine, chance = test.recall(channel, universe), test.chance(universe)
        chance[np.isnan(mine)] = np.nan
        row[universe] = {
            "recall@20": asdict(mean_intervals(mine[:, None], users)[0]),
            "chance": float(np.nanmean(chance)),
            "over chance": asdict(paired_interval(mine, chance, users)),
        }
        if test.first is not None:
            latest = test.recall(Newest(test.first), universe)
            row[universe]["over newest"] = asdict(paired_interval(mine, latest, users))
    return row


def page() -> None:
    """COLD.md from the rows."""
    how = "\n\n".join((__doc__ or "").split("\n\n")[2:4]).strip()
    lines = ["# Items first met after the cut", "", *how.splitlines()]
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(ROWS.glob("*.json")):
        log, channel = file.name.removesuffix(".json").split(".")
        found.setdefault(log, {})[channel] = json.loads(file.read_text(encoding="utf-8"))

    def span(figure: dict[str, float], mean: str, sign: str = "") -> str:
        return f"{figure[mean]:{sign}.4f} [{figure['low']:{sign}.4f}, {figure['high']:{sign}.4f}]"

    for log, rows in found.items():
        one = next(iter(rows.values()))
        lines += ["", f"## {log}", "", f"{one['requests']:,} requests, {one['cold']:,} items that nobody had met."]
        for universe in (universe for universe in UNIVERSES if universe in one):
            lines += ["", f"*{universe}*: chance reaches {one[universe]['chance']:.4f}.", ""]
            lines += ["| channel | recall@20 | over chance | over newest | settings |", "|---|---|---|---|---|"]
            ranked = sorted(rows, key=lambda name: -rows[name][universe]["recall@20"]["mean"])
            for name in ranked:
                row, told = rows[name][universe], json.dumps(rows[name]["settings"]).replace('"', "")
                figures = [span(row["recall@20"], "mean")]
                pairs = [row.get(f"over {what}") for what in ("chance", "newest")]
                figures += ["" if pair is None else span(pair, "diff", "+") for pair in pairs]
                lines.append(f"| {name} | {' | '.join(figures)} | {told} |")
        newest = max(rows.values(), key=lambda row: str(row["date"]))
        lines += ["", f"{newest['machine']}; newest row {newest['date']}."]
    write_text(HERE / "COLD.md", "\n".join(line.replace("``", "`") for line in lines) + "\n")


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder that holds the data sets' folders")
    parser.add_argument("--work", type=Path, default=Path("runs/recall"), help="where made data is kept")
    parser.add_argument("--only", nargs="*", default=[], help="sets and channels")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there")
    parser.add_argument("--trials", type=int, default=12, help="settings tried for each row, the defaults first")
    parser.add_argument("--budget", type=float, default=60, help="seconds after which no new trial begins")
    parser.add_argument("--page", action="store_true", help="only write COLD.md")
    asked = parser.parse_args()
    if not asked.page:
        sets, channels = wanted(asked.only, [*logs.known(), BEAUTY], sorted({"newest", *names("recall")}))
        said = set(asked.only)
        for log_name in sets if said & set(sets) else SETS:
            windows = tests(log_name, asked)
            if windows is None:
                say(f"{log_name}: left out, its folder is not below --data")
                continue
            tune, test = windows
            for name in channels if said & set(channels) else CHANNELS:
                if measured.kept(ROWS, f"{log_name}.{name}") and not asked.again:
                    continue
                row = measure(name, tune, test, asked)
                measured.keep(ROWS, f"{log_name}.{name}", {**row, **provenance("cold.py")})
                reached = [f"{universe} {row[universe]['recall@20']['mean']:.4f}" for universe in test.asked]
                say(f"{log_name}/{name}: {', '.join(reached)}")
                page()
    page()


if __name__ == "__main__":
    main()
