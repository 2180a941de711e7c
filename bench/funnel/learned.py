"""Is a funnel better for two channels that learn with a net, and what do they cost a request?

    python bench/funnel/learned.py [--only NAME ...] [--movietweetings DIR] [--seeds 3] [--channels NAME ...]
        [--candidates N]

To each committed recipe every learned channel, or those named, is added alone, with its defaults; the two that gain
most before the test window, by NDCG@10 on the windows that choose among rankers, are then added together: two that are
named are taken as they are. That funnel
is fitted and paired with the recipe as it stands, seed by seed, on the test window; requests are asked one after the
other of both bundles. With ``--candidates``, so is one more funnel, whose ranker is given so many rows of the merge.
Writes learned.json and LEARNED.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shortlist.cli import threads  # noqa: F401 - before numpy, as the command line: the same figures

# isort: split
import numpy as np

from shortlist import train
from shortlist.answer import recommend, requests_of
from shortlist.bundle import open_bundle
from shortlist.cli.progress import progress
from shortlist.documents import write_text
from shortlist.evaluate.compare import compare
from shortlist.metrics.interval import gain
from shortlist.recipe import Recipe, parse, read
from shortlist.train.choice import MERGE, Choice

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import measured  # noqa: E402

RECIPES = HERE.parent.parent / "recipes"
CHANNELS = ("sasrec", "bert4rec", "two_tower", "youtube_dnn", "mind", "lightgcn", "eges", "fm")
METRIC, TAKEN = "ndcg@10", 2
BUSY = 1.5
"""Processes that want a core, for each core, from which on timings are not to be trusted."""
AS_IT_STANDS, WITH_THEM, OF_FEWER = "as it stands", "with them", "with them, of fewer candidates"
STILL = 0.001
"""A change of the merged order that is next to none."""
ASKED, WARM = 600, 50
"""Requests whose time is taken, and those before them whose time is not."""


def with_channels(recipe: Recipe, names: Iterable[str]) -> Recipe:
    """The recipe with learned channels added."""
    tables = recipe.model_dump(mode="json", exclude_unset=True)
    return parse({**tables, "recall": {**tables["recall"], **{name: {"type": name} for name in names}}})


def judged(recipe: Recipe, data: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """(NDCG@10 of every request before the test, its user), in the order that would be served by the first ranker."""
    name, section = next(iter(recipe.rankers.items()))
    recipe = parse({**recipe.model_dump(mode="json", exclude_unset=True), "rank": {name: section}})
    schedule, pipeline = train.Schedule.of(recipe, train.load(recipe, data)[0]), recipe.pipeline()
    schedule.merge(pipeline)
    _, choice, chosen = schedule.rankers(pipeline)
    return np.concatenate([window.values[chosen or MERGE] for window in choice.windows]), Choice(choice.windows).users


def latency(bundle: Path) -> dict[str, Any]:
    """Milliseconds of one request after another: of the whole, and of every channel, medians."""
    opened = open_bundle(bundle)
    state, draw = opened.data.state(), np.random.default_rng(0)
    users = draw.choice(np.unique(opened.data.events.user), WARM + ASKED)
    moment = max(int(state.last), opened.pipeline.fitted_until or 0) + 1
    whole, parts = [], dict[str, list[float]]()
    for user in users:
        request = requests_of(state, np.array([user]), moment)
        began = time.perf_counter()
        trace = recommend(opened.pipeline, state, request).trace
        whole.append(time.perf_counter() - began)
        for stage, seconds in trace.seconds.items():
            parts.setdefault(stage, []).append(seconds)
    channels = {name: parts[f"recall.{name}"] for name in opened.pipeline.recall}
    told = {"p50": whole, **channels}
    return {name: float(np.median(spent[WARM:])) * 1e3 for name, spent in told.items()}


def of_fewer(recipe: Recipe, candidates: int) -> Recipe:
    """The recipe with so many rows of the merge ranked."""
    tables = recipe.model_dump(mode="json", exclude_unset=True)
    return parse({**tables, "merge": {**tables["merge"], "k": candidates}})


def measure(
    name: str, data: Path | None, seeds: int, channels: Sequence[str], candidates: int | None
) -> dict[str, Any]:
    """What every channel gains before the test, and what the best two do on it."""
    recipe = read(RECIPES / f"{name}.toml")
    gains = {}
    own = users = np.empty(0)
    if len(channels) > TAKEN:
        own, users = judged(recipe, data)
    for channel in channels if len(channels) > TAKEN else ():
        with progress():
            values, _ = judged(with_channels(recipe, [channel]), data)
        gains[channel] = gain(values, own, users)
        print(f"{name}: {channel} {gains[channel][0]:+.4f} ± {gains[channel][1]:.4f} before the test", flush=True)
    taken = sorted(gains, key=lambda channel: -gains[channel][0])[:TAKEN] or list(channels)
    funnels = {AS_IT_STANDS: recipe, WITH_THEM: with_channels(recipe, taken)}
    if candidates is not None and candidates < recipe.merge["k"]:
        funnels[OF_FEWER] = of_fewer(funnels[WITH_THEM], candidates)
    with tempfile.TemporaryDirectory() as folder:
        runs = {what: [Path(folder) / what / str(seed) for seed in range(seeds)] for what in funnels}
        documents = {}
        for what, one in funnels.items():
            for seed, out in enumerate(runs[what]):
                with progress():
                    seeded = one.model_copy(update={"seed": recipe.seed + seed})
                    documents[what] = train.fit(seeded, root=data, out=out).evaluation.document
        pairs = {what: compare([runs[AS_IT_STANDS], runs[what]])["pairs"][0] for what in list(funnels)[1:]}
        spent = {what: latency(out[0] / "bundle") for what, out in runs.items()}
    return {
        "before the test": {"requests": len(own), "users": len(np.unique(users)), "gain": gains},
        "taken": taken,
        "candidates": {what: one.merge["k"] for what, one in funnels.items()},
        "requests": pairs[WITH_THEM]["requests"],
        "users": pairs[WITH_THEM]["users"],
        "seeds": seeds,
        "stages": {
            what: {stage: pair["stages"][stage][METRIC] for stage in ("slate", "merge")} for what, pair in pairs.items()
        },
        "fit_seconds": {what: documents[what]["fit_seconds"] for what in funnels},
        "milliseconds": spent,
        "cores": os.cpu_count(),
        **measured.provenance("bench/funnel/learned.py"),
    }


def page(results: dict[str, Any]) -> str:
    """The tables of LEARNED.md."""
    lines = [
        "# Two learned channels more",
        "",
        "Learned channels were added to the committed recipe, each alone, with its defaults. Before the test window,",
        "on the windows that choose among rankers, NDCG@10 of what its first ranker would serve changes by (± a",
        "standard error, users drawn):",
        "",
        f"| recipe | requests | {' | '.join(CHANNELS)} |",
        f"|---|---|{'---|' * len(CHANNELS)}",
    ]
    for name, row in results.items():
        before = row["before the test"]
        if not before["gain"]:
            lines.append(f"| {name} | none: the two were named beforehand | {' | ' * (len(CHANNELS) - 1)} |")
            continue
        found = (before["gain"].get(channel) for channel in CHANNELS)
        cells = ["not tried" if pair is None else f"{pair[0]:+.4f} ± {pair[1]:.4f}" for pair in found]
        lines.append(f"| {name} | {before['requests']:,} | {' | '.join(cells)} |")
    lines += [
        "",
        "The two with the highest mean were then added together, and the test window was looked at once. Pairs are by",
        "request, users drawn, seeds a random effect (95 %). Milliseconds are of one request after another, medians.",
        "",
        "| recipe | added | candidates | list | as it stands | with them | difference | | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        for what, stages in row["stages"].items():
            for stage, cell in stages.items():
                low, high = cell["low"], cell["high"]
                word = "above" if low > 0 else "below" if high < 0 else "cannot be told apart"
                lines.append(
                    f"| {name} | {', '.join(row['taken'])} | {row['candidates'][what]} | {stage} | "
                    f"{cell['baseline']['mean']:.4f} | {cell['run']['mean']:.4f} | "
                    f"{cell['diff']:+.4f} [{low:+.4f}, {high:+.4f}] | {word} | {row['seeds']} |"
                )
    still = [name for name, row in results.items() if abs(row["stages"][WITH_THEM]["merge"]["diff"]) < STILL]
    if still:
        lines += [
            "",
            "Why the slates gain nothing that can be told: the merged order is as good as before to within "
            f"{STILL} of NDCG@10",
            f"({', '.join(still)}). What the two put in front, the plain channels had put there already, and what else",
            "they find the ranker does not put first.",
        ]
    lines += [
        "",
        "| recipe | funnel | candidates | fit s | a request ms | of which the two |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        for what, spent in row["milliseconds"].items():
            shares = ", ".join(f"{channel} {spent[channel]:.2f}" for channel in row["taken"] if channel in spent)
            cells = [name, what, row["candidates"][what], f"{row['fit_seconds'][what]:.0f}", f"{spent['p50']:.2f}"]
            lines.append(f"| {' | '.join(map(str, cells))} | {shares} |")
    lines += [""]
    for name, row in results.items():
        busy = row["load"] > row["cores"] * BUSY
        doubt = ": the machine had other work, its timings are not to be trusted" if busy else ""
        lines.append(f"- {name}: `{row['command']}`, {row['machine']}, {row['date']}, load {row['load']}{doubt}")
    told = ", ".join(f"{package} {version}" for package, version in next(iter(results.values()))["versions"].items())
    return "\n".join([*lines, "", f"{told}."]) + "\n"


def main() -> None:
    """Measures what was asked for and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["movielens-100k", "movietweetings"]
    parser.add_argument("--only", nargs="*", default=names, choices=names, metavar="NAME")
    parser.add_argument("--movietweetings", type=Path, help="folder of that data set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--candidates", type=int, help="rows ranked in one more funnel")
    parser.add_argument("--channels", nargs="*", default=list(CHANNELS), choices=CHANNELS, metavar="NAME")
    asked = parser.parse_args()
    file = HERE / "learned.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in asked.only:
        if name == "movietweetings" and asked.movietweetings is None:
            print("movietweetings: left out, --movietweetings says where it is")
            continue
        data = asked.movietweetings if name == "movietweetings" else None
        results[name] = measure(name, data, asked.seeds, asked.channels, asked.candidates)
        write_text(file, json.dumps(results, indent=1) + "\n")
        write_text(HERE / "LEARNED.md", page(results))
    print(page(results))


if __name__ == "__main__":
    main()
