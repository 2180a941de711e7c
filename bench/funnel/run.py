"""The whole funnel of the committed recipes on their test windows: what every stage is worth.

    python bench/funnel/run.py [--only NAME ...] [--movietweetings DIR] [--seeds 5]

MovieLens-100K comes by pip; MovieTweetings from a folder with ``100K/ratings.dat.gz`` (``--movietweetings``, else
it is left out and its last result stays). Writes ``results.json`` (the evaluation documents) and ``RESULTS.md``. The
document is that of the recipe's own seed, what ``shortlist fit`` gives; ``--seeds`` fits it again with others, since a
ranker draws at random and one run may be lucky.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from shortlist.cli import threads  # noqa: F401 - before numpy, as the command line: the same figures

# isort: split
from shortlist import train
from shortlist.cli.progress import progress
from shortlist.documents import write_text
from shortlist.recipe import read

HERE = Path(__file__).parent
RECIPES = HERE.parent.parent / "recipes"


def measure(name: str, data: Path | None, seeds: int) -> dict[str, Any]:
    """Fits and evaluates one recipe; the evaluation document with what it was made with, and the slate by seed."""
    recipe = read(RECIPES / f"{name}.toml")
    metric, own = f"ndcg@{min(recipe.evaluate.k)}", recipe.seed
    document: dict[str, Any] = {}
    slate: dict[str, float] = {}
    for seed in range(own, own + seeds):
        with tempfile.TemporaryDirectory() as folder, progress():
            fitted = train.fit(recipe.model_copy(update={"seed": seed}), root=data, out=Path(folder))
        document = document or fitted.evaluation.document
        slate[str(seed)] = fitted.evaluation.document["slate"][metric]["mean"]
    made = {"seed": own, "versions": train.versions(), "cores": os.cpu_count()}
    return {**document, **made, "slate_by_seed": slate}


def markdown(results: dict[str, Any]) -> str:
    """The tables of ``RESULTS.md``."""
    lines = ["# The whole funnel on its test window", "", "`python bench/funnel/run.py`", ""]
    for name, document in results.items():
        k, wide = min(document["protocol"]["k"]), max(document["protocol"]["k"])
        made = ", ".join(f"{package} {version}" for package, version in document["versions"].items())
        lines += [
            f"## {name}",
            "",
            f"{document['requests']:,} requests of {document['users']:,} users, {document['protocol']['requests']} "
            f"protocol, from {document['protocol']['opens'][:10]}; seed {document['seed']}, "
            f"{document['cores']} cores, {made}. {document['peak_memory_bytes'] / 2**30:.1f} GiB at the fit's peak.",
            "",
            f"The slate's NDCG@{k} by seed of the fit: {by_seed(document)}.",
            "",
            f"| | NDCG@{k} | 95 % | slate − row | 95 % | recall@{wide} | recall@all | only it |",
            "|---|---|---|---|---|---|---|---|",
        ]
        stages = {n: v for n, v in document["stages"].items() if n != "rules" and v}
        for row, values in {**document["channels"], **stages, "slate": document["slate"]}.items():
            mean, paired = values[f"ndcg@{k}"], document["paired"].get(row, {}).get(f"ndcg@{k}")
            difference = f"{paired['diff']:+.4f} | [{paired['low']:+.4f}, {paired['high']:+.4f}]" if paired else " | "
            lines.append(
                f"| {row} | {mean['mean']:.4f} | [{mean['low']:.3f}, {mean['high']:.3f}] | {difference} | "
                f"{values[f'recall@{wide}']['mean']:.3f} | {values['recall@all']['mean']:.3f} | "
                f"{values.get('unique_hits', '')} |"
            )
        lines.append("")
    return "\n".join(lines)


def by_seed(document: dict[str, Any]) -> str:
    """``7: 0.2010, 8: 0.2031; mean 0.2021, standard deviation 0.0011``."""
    found = document.get(
        "slate_by_seed", {str(document["seed"]): document["slate"][f"ndcg@{min(document['protocol']['k'])}"]["mean"]}
    )
    said = ", ".join(f"{seed}: {value:.4f}" for seed, value in found.items())
    if len(found) < 2:
        return said
    return (
        f"{said}; mean {statistics.mean(found.values()):.4f}, standard deviation {statistics.stdev(found.values()):.4f}"
    )


def main() -> None:
    """Runs what was asked for and rewrites the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["movielens-100k", "movietweetings"])
    parser.add_argument("--movietweetings", type=Path, default=None, help="folder with 100K/ratings.dat.gz")
    parser.add_argument("--seeds", type=int, default=5, help="fits of each recipe, each with its own seed")
    asked = parser.parse_args()
    file = HERE / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in asked.only:
        if name == "movietweetings" and asked.movietweetings is None:
            print("movietweetings: left out, give --movietweetings DIR")
            continue
        results[name] = measure(name, asked.movietweetings if name == "movietweetings" else None, asked.seeds)
        write_text(file, json.dumps(results, indent=1) + "\n")
        write_text(HERE / "RESULTS.md", markdown(results))


if __name__ == "__main__":
    main()
