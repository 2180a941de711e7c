"""How long evaluators take on the same lists: ``python bench/evaluate/speed.py --python rectools=EXE recbole=EXE``.

6,040 users, as many as MovieLens-1M has, each with a list of 100 items and 1 to 60 right ones; metrics at 10 and 100.
RecTools and RecBole do not install beside each other, so each may have an interpreter of its own; one that is not given
is left out. Also 100,000 lists of 100 with every metric that Shortlist has, at five cut-offs. Writes speed.json and
RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np  # noqa: E402
from bench.evaluate.peers import timed  # noqa: E402
from bench.measured import provenance, say  # noqa: E402

from shortlist.documents import write_text  # noqa: E402
from shortlist.metrics import accuracy, beyond, timeliness, variety  # noqa: E402
from shortlist.metrics._slate import Slates  # noqa: E402
from shortlist.types import Candidates, Ragged  # noqa: E402

HERE = Path(__file__).parent
USERS, ITEMS, DEEPEST, KS = 6_040, 3_706, 100, (10, 100)
MANY, MORE = 100_000, (5, 10, 20, 50, 100)
NAMES = {"rectools": "RecTools", "irspack": "irspack", "recbole": "RecBole"}
SAME = {  # their name for a metric -> ours, where the definition is the same
    "rectools": {name: name for name in ("recall", "precision", "hit", "ndcg", "mrr", "coverage", "arp")},
    "irspack": {**{name: name for name in ("hit", "recall", "ndcg", "precision")},
                "catalog_coverage": "coverage", "gini_index": "gini"},
    "recbole": {**{name: name for name in ("recall", "mrr", "ndcg", "hit", "precision", "map")},
                "itemcoverage": "coverage", "averagepopularity": "arp", "giniindex": "gini"},
}  # fmt: skip


def made(users: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Lists and right answers by one law of popularity, a log before them, genres, vectors and arrivals."""
    rng = np.random.default_rng(seed)
    chance = np.log(1 / np.arange(1, ITEMS + 1) ** 0.8)
    own = min(users, USERS)
    lists, targets = [], []
    for _ in range(own):
        order = np.argsort(-(chance + rng.gumbel(size=ITEMS)))  # drawn without putting back
        lists.append(order[:DEEPEST])
        targets.append(rng.permutation(order[: 3 * DEEPEST])[: rng.integers(1, 61)])
    pick = np.arange(users) % own
    lengths = np.array([len(targets[u]) for u in pick])
    past = rng.choice(ITEMS, 40 * own, p=np.exp(chance) / np.exp(chance).sum())
    genres = [np.sort(rng.permutation(18)[: rng.integers(1, 5)]) for _ in range(ITEMS)]
    return {
        "item": np.array([lists[u] for u in pick], np.int32),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "target": np.concatenate([targets[u] for u in pick]).astype(np.int32),
        "past_user": np.repeat(np.arange(own), 40),
        "past_item": past,
        "counts": np.bincount(past, minlength=ITEMS),
        "n_items": np.array(ITEMS),
        "genre_offsets": np.concatenate([[0], np.cumsum([len(g) for g in genres])]).astype(np.int64),
        "genre": np.concatenate(genres).astype(np.int32),
        "vectors": rng.normal(size=(ITEMS, 64)),
        "since": rng.integers(0, 300, ITEMS) * timeliness.DAY,
        "times": rng.integers(300, 330, users) * timeliness.DAY,
        "history": past.reshape(own, 40)[pick].astype(np.int32),
    }


def plain(lists: dict[str, np.ndarray], ks: tuple[int, ...]) -> tuple[Slates, dict[str, Any]]:
    """Accuracy, from the arrays to the means."""
    n = len(lists["item"])
    rows = Candidates(np.repeat(np.arange(n, dtype=np.uint32), DEEPEST), lists["item"].ravel())
    slates = Slates.of(rows, Ragged(lists["offsets"], {"item": lists["target"]}), DEEPEST)
    return slates, {name: np.nanmean(value) for name, value in accuracy.per_request(slates, ks).items()}


def shared(lists: dict[str, np.ndarray], ks: tuple[int, ...]) -> dict[str, Any]:
    """Accuracy, coverage, Gini and popularity: what one of the others has as well, and more than any of them."""
    slates, found = plain(lists, ks)
    for k in ks:
        found |= {f"coverage@{k}": beyond.coverage(slates, k, ITEMS), f"gini@{k}": beyond.gini(slates, k, ITEMS)}
        found[f"arp@{k}"] = np.nanmean(beyond.popularity(slates, k, lists["counts"]))
    return found


def everything(lists: dict[str, np.ndarray], ks: tuple[int, ...], baseline: Slates) -> dict[str, Any]:
    """Every metric of lists that there is."""
    slates, found = plain(lists, ks)
    counts, times, since = lists["counts"], lists["times"], lists["since"]
    genres = Ragged(lists["genre_offsets"], {"code": lists["genre"]})
    n, long = lists["history"].shape
    history = Ragged(np.arange(0, n * long + 1, long), {"item": lists["history"].ravel()})
    for k in ks:
        each = {
            "empty": beyond.empty(slates, k),
            "novelty": beyond.novelty(slates, k, counts),
            "arp": beyond.popularity(slates, k, counts),
            "popularity_lift": beyond.popularity_lift(slates, k, counts, history),
            "tail_share": beyond.tail_share(slates, k, counts),
            "serendipity": beyond.serendipity(slates, k, baseline),
            "age_days": timeliness.age(slates, k, times, since),
            "younger": timeliness.younger(slates, k, times, since, 30 * timeliness.DAY),
            "diversity": variety.diversity(slates, k, genres),
            "vector_diversity": variety.vector_diversity(slates, k, np.arange(ITEMS), lists["vectors"]),
            "miscalibration": variety.miscalibration(slates, k, genres, history),
        }
        found |= {f"{name}@{k}": np.nanmean(value) for name, value in each.items()}
        found |= {f"coverage@{k}": beyond.coverage(slates, k, ITEMS), f"gini@{k}": beyond.gini(slates, k, ITEMS)}
        timeliness.delay(slates, k, times, since)
    return found


def asked_of(name: str, python: str, file: Path) -> dict[str, Any]:
    """A peer's seconds and values, from a process of its own."""
    command = [python, str(HERE / "peers.py"), name, str(file), ",".join(map(str, KS))]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return found


def apart(name: str, values: dict[str, float], ours: dict[str, float]) -> dict[str, float]:
    """By our metric's name, how far their value lies from ours."""
    found = {}
    for metric, value in values.items():
        kind, _, k = metric.partition("@")
        if (own := SAME[name].get(kind)) and f"{own}@{k}" in ours:
            found[f"{own}@{k}"] = abs(value - ours[f"{own}@{k}"])
    return found


HOW = """Each is given the lists in the form it takes (arrays, data frames, scores of all items, joined tensors) and
timed from there to the means: processor seconds of one thread, the least of five rounds after a first that does not
count. *Everything* is every metric of lists that a package has and that these data can feed."""
OTHERWISE = """irspack is asked for each cut-off by itself, as it takes one, and looks for the best of all items first.
Left out of the comparison of values are metrics of another definition: MAP of RecTools and irspack (over all right
items, not over as many as fit into k), RecTools' novelty and serendipity; irspack's and RecBole's entropies and tail
shares."""
JOINED = """RecBole's time is without the join of lists and right answers, which ours has in; with it, as its Collector
does it, {joining:.4f} s ({ratio:.1f} ×). It names numpy types that numpy has dropped; they are given back to it."""
COLUMNS = (
    *("evaluator", "accuracy, s", "everything, s", "÷ Shortlist's everything", "÷ Shortlist's same figures"),
    "farthest from ours",
)


def page(document: dict[str, Any]) -> str:
    """RESULTS.md."""
    at, ours, many = document["measured"], document["shortlist"], document["many"]
    versions = ", ".join(f"{name} {at['versions'][name]}" for name in ("shortlist", "numpy", "numba"))
    rows = [
        [
            f"**Shortlist** ({ours['metrics']} figures)",
            f"**{ours['accuracy']:.4f}**",
            f"**{ours['everything']:.4f}**; {ours['shared']:.4f} of what others have too",
            "",
            "",
            "",
        ]
    ]
    for name, peer in document["peers"].items():
        told, apart = peer["told"], peer["apart"]
        version = next(v for package, v in peer["versions"].items() if package.lower() == name)
        seconds = told["everything"]["seconds"]
        rows.append(
            [
                f"{NAMES[name]} {version} ({len(told['everything']['values'])} figures)",
                f"{told['accuracy']['seconds']:.4f}" if "accuracy" in told else "–",
                f"{seconds:.4f}",
                f"{seconds / ours['everything']:.1f}",
                f"{seconds / ours['shared']:.0f}",
                f"{max(apart.values()):.0e} over {len(apart)} figures that mean the same",
            ]
        )
    notes = [OTHERWISE]
    if "recbole" in document["peers"]:
        joining = document["peers"]["recbole"]["told"]["joining and everything"]["seconds"]
        notes.insert(0, JOINED.format(joining=joining, ratio=joining / ours["everything"]))
    lists = f"{USERS:,} users × top-{DEEPEST}, 1 to 60 right items each, of {ITEMS:,}; cut-offs {KS[0]} and {KS[1]}."
    lines = [
        "# How long evaluators take on the same lists",
        f"`{at['command']}` · {at['machine']} · load {at['load']} · {at['date']} · {versions}",
        " ".join(f"{lists} {HOW}".split()),
        "\n".join("| " + " | ".join(cells) + " |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)),
        *(" ".join(note.split()) for note in notes),
        f"## {MANY:,} lists",
        f"{MANY:,} × top-{DEEPEST}, ten million rows: every metric at {', '.join(map(str, MORE))} in "
        f"**{many['everything']:.2f} s**, accuracy alone in {many['accuracy']:.2f} s.",
    ]
    return "\n\n".join(lines) + "\n"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--python", nargs="*", default=[], metavar="NAME=EXE")
    pythons = {"irspack": sys.executable, **dict(one.split("=", 1) for one in asked.parse_args().python)}
    lists = made(USERS)
    baseline = plain({**lists, "item": np.tile(np.arange(DEEPEST, dtype=np.int32), (USERS, 1))}, KS)[0]
    own, values = timed(lambda: everything(lists, KS, baseline))
    ours = {"everything": own, "accuracy": timed(lambda: plain(lists, KS))[0], "metrics": len(values)}
    ours["shared"] = timed(lambda: shared(lists, KS))[0]
    say(f"shortlist: {ours}")
    document: dict[str, Any] = {"shortlist": ours, "peers": {}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lists.npz"
        np.savez(file, **lists)
        for name in NAMES:
            if name in pythons:
                peer = asked_of(name, pythons[name], file)
                peer["apart"] = apart(name, peer["told"]["everything"]["values"], values)
                document["peers"][name] = peer
                say(f"{name}: { {what: round(one['seconds'], 4) for what, one in peer['told'].items()} }")
    many = made(MANY)
    popular = plain({**many, "item": np.tile(np.arange(DEEPEST, dtype=np.int32), (MANY, 1))}, MORE)[0]
    document["many"] = {
        "everything": timed(lambda: everything(many, MORE, popular))[0],
        "accuracy": timed(lambda: plain(many, MORE))[0],
    }
    document["measured"] = provenance("bench/evaluate/speed.py")
    document["measured"]["command"] = "python bench/evaluate/speed.py --python rectools=EXE recbole=EXE"
    write_text(HERE / "speed.json", json.dumps(document, indent=1) + "\n")
    write_text(HERE / "RESULTS.md", page(document))


if __name__ == "__main__":
    main()
