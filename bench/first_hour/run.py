"""The first hour of somebody with files nobody has described: drafts of ``shortlist init``, fitted untouched.

    python bench/first_hour/run.py --data DIR [--only NAME ...] [--tune 10m] [--peers FILE]

``DIR`` holds the data sets by folder; one that is not there is left out and its last result stays. Each is drafted and
fitted by the command line in processes of their own, so that seconds and memory are those of a user. Where there is a
recipe written by hand it is fitted too, with the same right answers. ``--tune`` tunes the draft for so
long and fits it again. ``--peers`` is a JSON {set: {"model": ..., "ndcg@10": ..., "tuned": n}} of the best of n tuned
models of other libraries under the start protocol; a draft made for that (``--requests start``) is then asked in the
same way. Writes results.json and RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist import train
from shortlist.bundle import read_manifest
from shortlist.documents import write_text
from shortlist.metrics.interval import mean_interval
from shortlist.recipe import parse

HERE = Path(__file__).parent
RECIPES = HERE.parent.parent / "recipes"
SETS: dict[str, tuple[str, str | None, str | None]] = {
    "movielens-100k": ("movielens-100k/u.data.gz", "movielens-100k/u.item", "movielens-100k/u.user"),
    "latest-small": ("movielens-latest-small/ratings.csv.gz", "movielens-latest-small/movies.csv", None),
    "movietweetings": ("movietweetings/100K/ratings.dat.gz", "movietweetings/100K/movies.dat.gz", None),
    "movietweetings-2013": (
        "movietweetings/latest-2013-11-06/ratings.dat.gz",
        "movietweetings/latest-2013-11-06/movies.dat.gz",
        None,
    ),
    "amazon-grocery": ("amazon-grocery-rechorus/train.csv.gz", "amazon-grocery-rechorus/item_meta.csv.gz", None),
    "complete-journey": (
        "complete-journey/transactions.parquet",
        "complete-journey/products.parquet",
        "complete-journey/demographics.parquet",
    ),
    "retailrocket": ("retailrocket-core/view_ecommerce.dat.gz", None, None),
    "lastfm-2k": ("lastfm-2k/user_artists.dat.gz", "lastfm-2k/artists.dat.gz", None),
    "taobao": ("taobao-userbehavior-slice/UserBehavior.csv.gz", None, None),
    "diginetica": ("diginetica-part/train-purchases.csv.gz", "diginetica-part/product-categories.csv.gz", None),
    "amazon-5core": ("amazon-5core/beauty.txt.gz", None, None),
}
"""By name: the log, the catalogue and the user table."""
BY_HAND = ("movielens-100k", "movietweetings")
START = (
    "data.split={ tune = 0.62, rank = 0.71, test = 0.8 }",
    'evaluate.requests="start"',
    'samples.requests="replay"',
)
"""How peers are asked: every known user once, when the last fifth begins."""
METRIC = "ndcg@10"


def command(*words: str | Path) -> tuple[float, str]:
    """(seconds, what went wrong) of a command of shortlist in a process of its own."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "shortlist", *map(str, words)], stderr=subprocess.PIPE, text=True)
    _, said = child.communicate()
    seconds = time.perf_counter() - began
    return seconds, "" if child.returncode == 0 else said.strip().splitlines()[-1]


def figures(out: Path) -> dict[str, Any]:
    """What the evaluation of a run says."""
    document = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    paired = document["paired"]
    channels = {name: row[METRIC]["mean"] for name, row in document["channels"].items()}
    best = max(channels, key=lambda name: channels[name])
    merged = document["stages"]["merge"][METRIC]["mean"]
    told = {
        "requests": document["requests"],
        "users": document["users"],
        "slate": document["slate"][METRIC],
        "best channel": {"name": best, "mean": channels[best], "paired": paired[best][METRIC]},
        "merge": {"mean": merged, "paired": paired["merge"][METRIC]},
        "served": document["ranker"] or "merge",
        "GiB": round(document["peak_memory_bytes"] / 2**30, 2),
    }
    return told


def measure(name: str, data: Path, tune: str | None, peers: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """One set: drafted, fitted, by hand, tuned, and asked as its peers are."""
    events, items, users = (None if part is None else data / part for part in SETS[name])
    assert events is not None
    draft = scratch / f"{name}.toml"
    tables = [*(["--items", items] if items else []), *(["--users", users] if users else [])]
    drafting, wrong = command("init", events, *tables, "--out", draft)
    if wrong:
        return {"wrong": wrong}
    fitting, wrong = command("fit", draft, "--out", scratch / name)
    if wrong:
        return {"wrong": wrong, "draft": draft.read_text(encoding="utf-8")}
    text = draft.read_text(encoding="utf-8").replace(str(data), "DATA")
    found: dict[str, Any] = {
        "draft": figures(scratch / name),
        "seconds": {"init": round(drafting, 1), "fit": round(fitting, 1)},
        "recipe": text,
    }
    if name in BY_HAND:
        by_hand = tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))
        drafted = tomllib.loads(draft.read_text(encoding="utf-8"))["data"]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            hand = apart.submit(asked_alike, by_hand, drafted, data / name, scratch / f"{name}-hand")
            found["by hand"] = hand.result()
    if tune is not None:
        tuned = scratch / f"{name}-tuned.toml"
        seconds, wrong = command("tune", draft, "--budget", tune, "--out", tuned)
        found["tuned"] = {"wrong": wrong} if wrong else {}
        if not wrong:
            _, wrong = command("fit", tuned, "--out", scratch / f"{name}-tuned")
            found["tuned"] = {"wrong": wrong} if wrong else figures(scratch / f"{name}-tuned")
            found["seconds"]["tune"] = round(seconds, 1)
    if name in peers:
        sets = [word for one in START for word in ("--set", one)]
        asked = scratch / f"{name}-start.toml"
        _, wrong = command("init", events, *tables, "--requests", "start", "--out", asked)
        if not wrong:
            _, wrong = command("fit", asked, "--out", scratch / f"{name}-start", *sets)
        start = scratch / f"{name}-start"
        found["start"] = {"wrong": wrong} if wrong else {**figures(start), **as_peers(start), "peer": peers[name]}
    return found


def as_peers(out: Path) -> dict[str, Any]:
    """NDCG@10 of a run's slates as the peers are scored: right are positive events from the cut on for items that have
    events before it, and that the user has none with where what was seen is left out; of who has none nothing is asked.
    """
    recipe = parse(read_manifest(out / "bundle")["recipe"])
    data, _ = train.load(recipe)
    log, cut = data.events, train.Schedule.of(recipe, data).cuts.test
    pair = log.user.astype(np.int64) << 32 | log.item
    before = log.time < cut
    right = ~before & (log.weight > 0) & np.isin(log.item, log.item[before]) & np.isin(log.user, log.user[before])
    if any(rule["type"] == "seen" for rule in recipe.rules):
        right &= ~np.isin(pair, pair[before])
    wanted = np.unique(pair[right])
    rows = pl.read_parquet(out / "rows.parquet", columns=["user", "stage", "rank", "item"])
    users, items = ({name: code for code, name in enumerate(ids.ids)} for ids in (data.user_ids, data.item_ids))
    asked = np.array([users[name] for name in rows.filter(pl.col("stage") == "asked")["user"]], np.int64)
    n = np.bincount(wanted >> 32, minlength=len(users))
    slates = rows.filter((pl.col("stage") == "slate") & (pl.col("rank") <= 10))
    who = np.array([users[name] for name in slates["user"]], np.int64)
    hit = np.isin(who << 32 | np.array([items[name] for name in slates["item"]], np.int64), wanted)
    discount = 1 / np.log2(np.arange(2, 12))
    gained = np.bincount(who, hit * discount[slates["rank"].to_numpy() - 1], minlength=len(users))
    asked = asked[n[asked] > 0]
    value = gained[asked] / np.cumsum(discount)[np.minimum(n[asked], 10) - 1]
    return {"as peers": {**asdict(mean_interval(value, np.arange(len(value)))), "users": len(asked)}}


def asked_alike(recipe: dict[str, Any], drafted: dict[str, Any], root: Path, out: Path) -> dict[str, Any]:
    """A recipe written by hand, for which the same events are right as in the draft, from the same moment on."""
    own = recipe["data"]
    assert own["split"]["test"] == drafted["split"]["test"]
    data = {**own, "positive": drafted["positive"]}
    train.fit(parse({**recipe, "data": data}), root=root, out=out)
    return figures(out)


def by_trees_alone(results: dict[str, Any]) -> list[str]:
    """Which logs were drafted before a net stood beside the trees of ratings."""
    texts = {name: row.get("recipe", "") for name, row in results.items()}
    names = [name for name, text in texts.items() if "\npositive = {" in text and "\n[rank]\n" in text]
    said = "drafted before a net stood beside the trees; what that adds: [../funnel/DEFAULT.md](../funnel/DEFAULT.md)."
    return [f"{', '.join(names)}: {said}", ""] if names else []


def markdown(results: dict[str, Any], made: dict[str, Any]) -> str:
    """The page."""
    versions = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    lines = [
        "# The first hour: drafts, fitted with nothing touched",
        "",
        "`python bench/first_hour/run.py --data DIR`",
        "",
        f"{made['cores']} cores, {versions}. NDCG@10 on the test window (replay); differences are paired, 95 %, users "
        "resampled. Seconds of a machine that did other things as well.",
        "",
        *by_trees_alone(results),
        "| set | requests | best channel | merge | slate | slate − channel | slate − merge | served | by hand | "
        "tuned | init + fit, s | GiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        if "wrong" in row:
            lines.append(f"| {name} | | | | {row['wrong']} | | | | | | | |")
            continue
        one = row["draft"]
        hand, tuned = row.get("by hand"), row.get("tuned")
        cells = [
            name,
            f"{one['requests']:,}",
            f"{one['best channel']['mean']:.4f} {one['best channel']['name']}",
            f"{one['merge']['mean']:.4f}",
            f"**{one['slate']['mean']:.4f}**",
            difference(one["best channel"]["paired"]),
            difference(one["merge"]["paired"]),
            one["served"],
            f"{hand['slate']['mean']:.4f}" if hand else "",
            "" if not tuned else tuned.get("wrong") or f"{tuned['slate']['mean']:.4f}",
            f"{row['seconds']['init']:.0f} + {row['seconds']['fit']:.0f}",
            f"{one['GiB']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    asked = {name: row["start"] for name, row in results.items() if row.get("start", {}).get("peer")}
    if asked:
        lines += [
            "",
            "## Beside tuned models of other libraries",
            "",
            "Every known user is asked once, when the last fifth of the log begins. The draft is made for that "
            "(`init --requests start`) and scored as peers are: an item without events before the cut is never right. "
            "Of the models of implicit, irspack and gensim, each tuned on validation for 20 s, the best by its *test* "
            "figure stands here, so the comparison is hard on the draft.",
            "",
            "| set | users | models tuned | the best of them | its NDCG@10 | the draft's | 95 % |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, row in asked.items():
            one, peer = row["as peers"], row["peer"]
            lines.append(
                f"| {name} | {one['users']:,} | {peer['tuned']} | {peer['model']} | {peer[METRIC]:.4f} | "
                f"{one['mean']:.4f} | {one['low']:.4f} to {one['high']:.4f} |"
            )
    return "\n".join(lines) + "\n"


def difference(paired: dict[str, float]) -> str:
    """``+.0123 [+.0100, +.0150]``."""
    return f"{paired['diff']:+.4f} [{paired['low']:+.4f}, {paired['high']:+.4f}]"


def main() -> None:
    """Measures what was asked for and rewrites the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(SETS), metavar="NAME")
    parser.add_argument("--tune", help="tune each draft for so long (10m)")
    parser.add_argument("--peers", type=Path, help="JSON of the best tuned peers")
    asked = parser.parse_args()
    file = HERE / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"sets": {}}
    peers = json.loads(asked.peers.read_text(encoding="utf-8")) if asked.peers else {}
    results["made"] = {"versions": train.versions(), "cores": os.cpu_count()}
    for name in asked.only:
        if not (asked.data / SETS[name][0]).exists():
            print(f"{name}: not in {asked.data}, left out")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = measure(name, asked.data, asked.tune, peers, Path(scratch))
        results["sets"][name] = {**results["sets"].get(name, {}), **found}
        ordered = {one: results["sets"][one] for one in SETS if one in results["sets"]}
        results["sets"] = ordered
        write_text(file, json.dumps(results, indent=1) + "\n")
        write_text(HERE / "RESULTS.md", markdown(ordered, results["made"]))
        print(name, json.dumps({key: value for key, value in found.items() if key != "recipe"}), flush=True)


if __name__ == "__main__":
    main()
