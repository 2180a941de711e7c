"""What to do with rankers that cannot be told apart: take the best mean, the quickest, or average their places.

    python bench/funnel/choice.py --data DIR [--only NAME ...]

Four drafted recipes (``bench/first_hour/results.json``) with four rankers each, judged as ``fit`` judges: on the fourth
fifth of [rank, test) by rankers of three fifths, on the last by those of four. What one window says is tried on the
other, both ways; nothing of the test window is looked at. Writes choice.json and the table of CHOICE.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shortlist.cli import threads  # noqa: F401 - before numpy, as the command line: the same figures

# isort: split

import numpy as np
from drafts import tables_of

from shortlist import train
from shortlist.data import State
from shortlist.documents import write_text
from shortlist.metrics.interval import gain
from shortlist.recipe import Recipe, parse
from shortlist.train.choice import MERGE, Choice, Judged
from shortlist.train.rankers import RankerSamples, samples_for_rankers
from shortlist.types import Array, Float64

HERE = Path(__file__).parent
LOGS = ("latest-small", "movielens-100k", "amazon-grocery", "movietweetings")
WAYS = ("best", "quickest", "averaged", "weighted", "better")
QUICKER = 2.0
"""The quickest takes less than the best ranker's seconds by this factor, or it is the best."""
BEGINS, ENDS = "<!-- table -->\n", "<!-- end of the table -->\n"


class Window:
    """What every ranker makes of the rows of a window."""

    def __init__(self, recipe: Recipe, made: RankerSamples, state: State, name: str):
        rows = made.served.candidates
        self.made, self.users = made, made.questions.requests.user
        self.places: dict[str, Array] = {}
        values: dict[str, Float64] = {MERGE: made.ndcg(rows.with_columns(score=-rows.positions().astype(np.float32)))}
        seconds: dict[str, float] = {}
        for ranker in recipe.rankers:
            fitted = made.fit(recipe.ranker(ranker))
            made.scored(fitted, state)  # the first time it compiles
            began = time.process_time()
            scored = made.scored(fitted, state)
            seconds[ranker] = time.process_time() - began
            values[ranker], self.places[ranker] = made.ndcg(scored), scored.rank_of().astype(np.float32)
        self.judged = Judged(name, values, self.users)
        self.choice, self.seconds = Choice((self.judged,)), seconds

    def picked(self) -> dict[str, dict[str, float]]:
        """By way, the rankers it takes and their weights."""
        best, values = self.choice.best(), self.judged.values
        apart = {name: gain(values[best], values[name], self.users) for name in self.places}
        alike = [name for name, (mean, error) in apart.items() if mean <= error]
        quickest = min(alike, key=self.seconds.__getitem__)
        quickest = quickest if QUICKER * self.seconds[quickest] < self.seconds[best] else best
        picked = {"best": [best], "quickest": [quickest], "averaged": alike}
        ways = {**{way: dict.fromkeys(names, 1.0) for way, names in picked.items()}, "weighted": self.weights(alike)}
        return {**ways, "better": max((ways["averaged"], ways["best"]), key=self.mean)}

    def mean(self, weights: Mapping[str, float]) -> float:
        """NDCG@10 over its requests."""
        return float(np.nanmean(self.value(weights)))

    def weights(self, rankers: list[str]) -> dict[str, float]:
        """Of all weights of quarters that add up to one, those with the highest NDCG@10, the most even of equals."""
        shares = (np.array(one) / 4 for one in itertools.product(range(5), repeat=len(rankers)) if sum(one) == 4)
        found = [dict(zip(rankers, share.tolist(), strict=True)) for share in sorted(shares, key=lambda w: w @ w)]
        return max(found, key=self.mean)

    def value(self, weights: Mapping[str, float]) -> Float64:
        """[n]: NDCG@10 of the weighted mean of rankers' places."""
        score = -np.sum([weight * self.places[name] for name, weight in weights.items()], axis=0)
        return self.made.ndcg(self.made.served.candidates.with_columns(score=score))


def recipe_of(name: str, data: Path) -> Recipe:
    """The draft with four rankers: its own, two other objectives, and a line."""
    tables = tables_of(name, data)
    kinds = {what: {**tables["rank"], "objective": what} for what in ("lambdarank", "xendcg", "pointwise")}
    return parse({**tables, "rank": {**kinds, "logistic": {"type": "logistic"}}})


def measure(recipe: Recipe) -> dict[str, Any]:
    """What each way is worth, picked on one window and tried on the other, and what each window says of each ranker."""
    schedule, pipeline = train.Schedule.of(recipe, train.load(recipe)[0]), recipe.pipeline()
    schedule.merge(pipeline)
    part, found = schedule.part("rank"), list[Window]()

    def judge(made: RankerSamples) -> None:
        found.append(Window(recipe, made, part.state, ("the fourth fifth", "the last fifth")[len(found)]))

    judge(samples_for_rankers(pipeline, recipe, part.data, part.state, part.opens, part.closes, judge=judge))
    picked = [window.picked() for window in found[::-1]]
    tried = {
        way: np.concatenate([window.value(by[way]) for window, by in zip(found, picked, strict=True)]) for way in WAYS
    }
    users = np.concatenate([window.users for window in found])
    both = Choice(tuple(window.judged for window in found[::-1]))
    return {
        "requests": len(users),
        "ways": {
            way: {
                "of": [by[way] for by in picked],
                "ndcg@10": float(np.nanmean(tried[way])),
                "gain": gain(tried[way], tried["best"], users),
            }
            for way in WAYS
        },
        "judged": both.document(),
        "seconds": {name: sum(window.seconds[name] for window in found) for name in recipe.rankers},
    }


def table(results: Mapping[str, Any]) -> str:
    """The part of the page that is measured."""
    lines = [
        f"| log | requests | {' | '.join(WAYS)} |",
        f"|---|---|{'---|' * len(WAYS)}",
    ]
    for log, row in results.items():
        cells = [f"{row['ways']['best']['ndcg@10']:.4f}"]
        for way in WAYS[1:]:
            mean, error = row["ways"][way]["gain"]
            cells.append(f"{row['ways'][way]['ndcg@10']:.4f} ({mean:+.4f} ± {error:.4f})")
        lines.append(f"| {log} | {row['requests']:,} | {' | '.join(cells)} |")
    if left := [log for log in LOGS if log not in results]:
        lines += ["", f"Not measured: {', '.join(left)}."]
    lines += ["", "NDCG@10 of each on the fourth and the last fifth, and seconds of one core to score both:", ""]
    for log, row in results.items():
        last, fourth = (window["ndcg@10"] for window in row["judged"])
        each = [f"{n} {fourth[n]:.4f}, {last[n]:.4f} ({spent:.1f} s)" for n, spent in row["seconds"].items()]
        lines.append(f"- {log}: merge {fourth[MERGE]:.4f}, {last[MERGE]:.4f}; {'; '.join(each)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures what was asked for and rewrites the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--only", nargs="*", default=list(LOGS), choices=LOGS, metavar="NAME")
    asked = parser.parse_args()
    file, page = HERE / "choice.json", HERE / "CHOICE.md"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in asked.only:
        results[name] = measure(recipe_of(name, asked.data))
        write_text(file, json.dumps(results, indent=1) + "\n")
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGINS)
        write_text(page, before + BEGINS + table(results) + ENDS + rest.partition(ENDS)[2])
        print(table({name: results[name]}))


if __name__ == "__main__":
    main()
