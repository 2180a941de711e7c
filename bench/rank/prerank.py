"""What pre-ranking 1,000 rows to 200 loses and what it saves: by labels, taught by the ranker, by a channel's score.

    python bench/rank/prerank.py --data DIR [--only SET ...] [--window test] [--learn N] [--ask N]

The committed MovieLens recipe, and its ranker on Amazon Grocery, with 1,000 merged rows a request. ``all`` has no
pre-ranker. Channels are fitted once for all. ``--window validation`` asks the window before the test's, on which the
channel is chosen and the settings were. Time is
that of the processor for features, pre-ranker and ranker, in batches of ``BATCH`` requests. Writes
``results/prerank.*.json`` and PRERANK.md.
"""

from __future__ import annotations

import argparse
import os
import time
import tomllib
from collections import defaultdict
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
from results import HERE, keep, kept, say  # noqa: E402

import measured  # noqa: E402
from shortlist import train  # noqa: E402
from shortlist.cli.progress import progress  # noqa: E402
from shortlist.component import Scores, able  # noqa: E402
from shortlist.data import Dataset  # noqa: E402
from shortlist.documents import write_text  # noqa: E402
from shortlist.metrics import accuracy  # noqa: E402
from shortlist.metrics._slate import Slates  # noqa: E402
from shortlist.metrics.interval import paired_interval  # noqa: E402
from shortlist.pipeline import Pipeline, Trace, joined  # noqa: E402
from shortlist.pipeline.coarse import ByChannel  # noqa: E402
from shortlist.questions import answerable, questions_of  # noqa: E402
from shortlist.recipe import Recipe, parse, read  # noqa: E402
from shortlist.train.rankers import fit_rankers  # noqa: E402
from shortlist.types import Array  # noqa: E402

RECIPES = HERE.parent.parent / "recipes"
MERGED, KEPT, BATCH, K = 1000, 200, 32, 10
WINDOWS = {"validation": (0.7, 0.8, 0.9), "test": (0.8, 0.9, 1.0)}
"""Where rankers begin to learn, where the window asked begins and where it ends, as shares of the log."""
LIGHT = {"type": "logistic", "reads": ["channel"], "buckets": 0, "l2": 100.0}
"""It reads each channel's place for every row, the place in the merged list and the fusion of the channels' places."""
WHOLE = ", ranker of whole lists"
QUALITY, SHARE = 0.98, 0.4
"""The marks: NDCG@10 kept at least, time at most."""

provenance = partial(measured.provenance, "bench/rank/prerank.py")


class Once(Pipeline):
    """A funnel whose channels and features are fitted already."""

    __slots__ = ()

    def fit(self, data: Dataset) -> None:
        """They stay."""


def sets() -> dict[str, dict[str, Any]]:
    """What ``prerank.toml`` says."""
    return tomllib.loads((HERE / "prerank.toml").read_text(encoding="utf-8"))


def recipe_of(name: str, learn: int) -> tuple[Recipe, str | None]:
    """The funnel of a set without a pre-ranker, and its folder; None where it comes by pip."""
    every = sets()
    table = {**every.get(every[name].get("like", ""), {}), **every[name]}
    table.pop("like", None)
    folder, base = table.pop("folder", None), read(RECIPES / f"{table.pop('recipe')}.toml")
    tables = {**base.model_dump(mode="json", exclude_unset=True), **table, "name": name}
    tables["merge"] = {**tables["merge"], "k": MERGED}
    tables["samples"] = {**tables["samples"], "at_most": learn}
    if folder:  # nobody has an age here
        tables["features"] = [one for one in tables["features"] if one["type"] != "profile"]
    return parse({**tables, "depth": MERGED, "keep": KEPT}), folder


def chosen(name: str) -> str:
    """The channel whose score keeps most on the validation window."""
    name = sets()[name].get("like", name)
    told = kept(f"prerank.{name}.validation")
    if not told:
        raise SystemExit(f"{name}: the channel is chosen on the window before; run --window validation first")
    by = {way: one["kept"] for way, one in told["ways"].items() if way.startswith("channel ")}
    return max(by, key=lambda way: by[way]).removeprefix("channel ").removesuffix(WHOLE)


def fitted(recipe: Recipe, base: Pipeline, log: Dataset, opens: int, closes: int) -> Pipeline:
    """A recipe's pre-ranker and ranker, learned in [opens, closes) on the fitted channels and features of ``base``."""
    own = recipe.pipeline()
    parts = {one.name: getattr(base, one.name) for one in fields(Pipeline)}
    pipeline = Once(**{**parts, "prerank": own.prerank, "cheap": own.cheap})
    known = log.until(closes)
    rankers, choice = fit_rankers(pipeline, recipe, known, known.state(), opens, closes)
    pipeline.ranker = joined(choice.best(), rankers)
    return pipeline


def measure(name: str, data: Path, window: str, learn: int, ask: int) -> dict[str, Any]:
    """NDCG@10 and processor time of every way, on the same requests."""
    recipe, folder = recipe_of(name, learn)
    log, _ = train.load(recipe, data / folder if folder else None)
    opens, asked_from, ends = WINDOWS[window]
    rank, test = log.cut(opens), log.cut(asked_from)
    log = log if ends == 1 else log.until(log.cut(ends))
    base = recipe.pipeline()
    base.fit(log.until(rank))
    dense = [f"channel.{one}.dense.percentile" for one, channel in base.recall.items() if able(channel, Scores)]
    light = {**LIGHT, "columns": [*dense, "channel.fusion", "channel.merge.percentile"]}
    ways: dict[str, dict[str, Any] | None] = {"all": None, "labels": light, "taught": {**light, "teacher": "rank"}}
    scoring = [one for one, channel in base.recall.items() if able(channel, Scores)]
    if window == "test":
        scoring = [chosen(name)]
        if "like" not in sets()[name]:
            ways[f"channel {scoring[0]}"] = {"channel": scoring[0]}
    pipelines = {}
    for way, section in ways.items():
        began = time.process_time()
        with progress():
            pipelines[way] = fitted(recipe.model_copy(update={"prerank": section}), base, log, rank, test)
        say(f"{name}: {way} fitted in {time.process_time() - began:.1f} s of the processor")
    ways[f"labels{WHOLE}"] = light
    pipelines[f"labels{WHOLE}"] = replace(pipelines["labels"], ranker=pipelines["all"].ranker)
    for channel in scoring:
        ways[f"channel {channel}{WHOLE}"] = {"channel": channel}
        pipelines[f"channel {channel}{WHOLE}"] = replace(pipelines["all"], prerank=ByChannel(channel=channel))
    base.fit(log.until(test))
    pipelines = {way: replace(one, fitted_until=base.fitted_until) for way, one in pipelines.items()}
    state, values, spent = log.state(), defaultdict[str, list[Array]](list), defaultdict[str, float](float)
    spec = recipe.evaluate.model_copy(update={"at_most": ask})
    questions = answerable(questions_of(log, state, spec, test, None, at_most=ask, seed=recipe.seed), base, state)
    rows = 0
    for first in range(0, len(questions), BATCH):
        batch = questions.take(np.arange(first, min(first + BATCH, len(questions))))
        asked, recalled = base.found(batch.requests, state, Trace())
        recalled = base.scored(asked, recalled, state, Trace())
        rows += len(recalled)
        turn = (first // BATCH) % len(pipelines)
        for way in [*pipelines][turn:] + [*pipelines][:turn]:
            began = time.process_time()
            ranked = pipelines[way].rank(asked, recalled, state, Trace())
            spent[way] += (time.process_time() - began) * (first > 0)  # the first loads what all need
            values[way].append(accuracy.ndcg(Slates.of(ranked, batch.targets, K), K))
    users, joined_ = questions.requests.user, {way: np.concatenate(parts_) for way, parts_ in values.items()}
    n = len(questions)
    return {
        "window": window,
        "requests": n,
        "users": len(np.unique(users)),
        "rows": rows / n,
        "learned": learn,
        "ranker": recipe.rank["type"],
        "ways": {
            way: {
                "settings": ways[way],
                "ndcg": float(value.mean()),
                "kept": float(value.mean() / joined_["all"].mean()),
                "minus_all": asdict(paired_interval(value, joined_["all"], users)),
                "ms": 1e3 * spent[way] / (n - BATCH),
                "share": spent[way] / spent["all"],
            }
            for way, value in joined_.items()
        },
    }


def page(rows: list[tuple[str, dict[str, Any]]]) -> str:
    """PRERANK.md."""
    lines = [
        "# Pre-ranking",
        "",
        "`python bench/rank/prerank.py --data DIR`",
        "",
        f"About {MERGED:,} merged rows a request, of which {KEPT} are kept and ranked. `labels`: a logistic regression",
        "over the channels' columns by labels; `taught`: the same, by the ranker's order; `channel`: by a channel,",
        "without training. `all` ranks every row, by a ranker that learned from whole lists; so did the teacher. Else",
        "a ranker learned from the lists that the pre-ranker leaves, but where it is said. Settings were chosen",
        "on the validation window of movielens-100k, channels on each set's own. Time is the processor's, of features,",
        f"pre-ranker and ranker, in batches of {BATCH}; one request alone has fixed costs that stay.",
        "Between runs the time of one and the same forest differed by up to a half, it is not known why, and the share",
        "of the time with it.",
        f"The mark: at least {100 * QUALITY:.0f} % of the NDCG@{K} at no more than {100 * SHARE:.0f} % of the time.",
    ]
    for name, row in rows:
        made = f"`{row['command']}`", row["machine"], row["date"], f"load {row['load']}"
        lines += [
            "",
            f"## {name}, {row['window']} window",
            "",
            f"{row['requests']:,} requests of {row['users']:,} users, {row['rows']:.0f} rows each; learned from "
            f"{row['learned']:,} requests at most; {row['ranker']}. {' · '.join(made)}",
            "",
            f"| | NDCG@{K} | kept | difference, 95 % | ms a request | of the time | mark |",
            "|---|---|---|---|---|---|---|",
        ]
        for way, told in row["ways"].items():
            d = told["minus_all"]
            holds = told["kept"] >= QUALITY and told["share"] <= SHARE
            lines.append(
                f"| {way} | {told['ndcg']:.4f} | "
                + (
                    f" | | {told['ms']:.1f} | | |"
                    if way == "all"
                    else f"{100 * told['kept']:.1f} % | {d['diff']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}] | "
                    f"{told['ms']:.1f} | {100 * told['share']:.0f} % | {'holds' if holds else '**not met**'} |"
                )
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures the sets asked for and writes the page of all that are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets' folders")
    parser.add_argument("--only", nargs="*", default=[], help="sets")
    parser.add_argument("--window", choices=WINDOWS, default="test")
    parser.add_argument("--learn", type=int, default=1000, help="requests learned from, at most")
    parser.add_argument("--ask", type=int, default=800, help="requests asked, at most")
    asked = parser.parse_args()
    for name in asked.only or [one for one, table in sets().items() if asked.window == "test" or "like" not in table]:
        row = measure(name, asked.data, asked.window, asked.learn, asked.ask)
        keep(f"prerank.{name}.{asked.window}", {**row, **provenance()})
        say(f"{name}: {[(way, round(told['kept'], 4), round(told['share'], 3)) for way, told in row['ways'].items()]}")
    rows = [(name, kept(f"prerank.{name}.{window}")) for window in ("test", "validation") for name in sets()]
    write_text(HERE / "PRERANK.md", page([(name, row) for name, row in rows if row]))


if __name__ == "__main__":
    main()
