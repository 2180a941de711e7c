"""Lists for 6,000 users from Python: ``sl.ItemCF`` beside implicit and RecTools, on one log, in one process.

    python bench/face/run.py            measures, writes results.json and RESULTS.md
    python bench/face/run.py --page     writes RESULTS.md again from results.json

Every call goes the whole way, from raw ids to a frame of raw ids, scores and ranks; fits are not timed. The entrants
take turns, after one call each that is not counted. A peer that is not installed is left out. RecTools asks for numpy 1
on Python 3.11 and 3.12 and so cannot be an extra beside a package that needs numpy 2; it runs all the same:

    pip install --no-deps RecTools==0.19.0 'attrs<24' typeguard 'pandas<3' pytz
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
for _name in THREADS:
    os.environ.setdefault(_name, "1")  # before numpy

HERE = Path(__file__).resolve().parent
EVENTS, USERS, ITEMS = 1_000_000, 25_000, 8_000
ASKED, N, NEIGHBOURS, ROUNDS = 6_000, 10, 100, 15
OURS = "shortlist, with reasons"
Run = Callable[[], Any]


def measure() -> dict[str, Any]:
    """Seconds of every entrant, and how many of the lists' items are the same as ours."""
    sys.path.insert(0, str(HERE.parent / "recall"))
    import numpy as np
    import polars as pl
    from generator import columns

    import shortlist as sl

    user, item, moment = columns(EVENTS, USERS, ITEMS)
    frame = pl.DataFrame(
        {"user": pl.Series(user).cast(pl.String), "item": pl.Series(item).cast(pl.String), "time": moment}
    )
    known = frame["user"].unique().sort()
    asked = known.gather(np.random.default_rng(0).permutation(len(known))[:ASKED]).to_list()
    cf = sl.ItemCF(neighbours=NEIGHBOURS, inverse_user_frequency=False).fit(sl.read(frame))
    entrants: dict[str, Run] = {
        OURS: lambda: cf.recommend(asked, n=N),
        "shortlist": lambda: cf.recommend(asked, n=N, explain=False),
        **peers(frame.unique(["user", "item"], maintain_order=True), asked),
    }
    ours = set(entrants["shortlist"]().select("user", "item").iter_rows())
    same = {name: len(ours & pairs(run())) / len(ours) for name, run in entrants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    for _ in range(ROUNDS):
        for name, run in entrants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    packages = ("numpy", "polars", "pandas", "implicit", "RecTools")
    return {
        "command": "python bench/face/run.py",
        "log": {"events": EVENTS, "users": len(known), "items": frame["item"].n_unique()},
        "asked": {"users": ASKED, "n": N, "neighbours": NEIGHBOURS, "rounds": ROUNDS},
        "seconds": {name: [round(value, 4) for value in values] for name, values in seconds.items()},
        "same_items": {name: round(share, 4) for name, share in same.items()},
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in packages if has(name)},
    }


def peers(frame: Any, asked: list[str]) -> dict[str, Run]:
    """The same neighbours elsewhere, as their own pages show them."""
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    found: dict[str, Run] = {}
    log = pd.DataFrame({name: np.array(frame[name].to_list()) for name in ("user", "item")})
    if has("implicit"):
        from implicit.nearest_neighbours import CosineRecommender

        users, items = pd.Index(log["user"].unique()), pd.Index(log["item"].unique())
        place = users.get_indexer(log["user"]), items.get_indexer(log["item"])
        taken = sp.csr_matrix((np.ones(len(log), np.float32), place), shape=(len(users), len(items)))
        peer = CosineRecommender(K=NEIGHBOURS + 1, num_threads=1)  # itself is one of the 101
        peer.fit(taken, show_progress=False)

        def implicit() -> Any:
            codes = users.get_indexer(asked)
            ids, scores = peer.recommend(codes, taken[codes], N=N, filter_already_liked_items=True)
            rank = np.tile(np.arange(1, N + 1), len(asked))
            columns = {"user": np.repeat(asked, N), "item": items.to_numpy()[ids.ravel()], "score": scores.ravel()}
            return pd.DataFrame({**columns, "rank": rank})

        found["implicit"] = implicit
    if has("implicit") and has("RecTools"):
        from rectools import Columns
        from rectools.dataset import Dataset
        from rectools.models import ImplicitItemKNNWrapperModel

        named = {Columns.User: log["user"], Columns.Item: log["item"], Columns.Weight: 1.0}
        data = Dataset.construct(
            pd.DataFrame({**named, Columns.Datetime: pd.to_datetime(frame["time"].to_numpy() // 1000, unit="ms")})
        )
        model = ImplicitItemKNNWrapperModel(CosineRecommender(K=NEIGHBOURS + 1, num_threads=1)).fit(data)
        found["RecTools"] = lambda: model.recommend(users=asked, dataset=data, k=N, filter_viewed=True)
    return found


def pairs(frame: Any) -> set[tuple[str, str]]:
    """(user, item) of a frame of either library."""
    names = ("user", "item") if "user" in frame.columns else ("user_id", "item_id")
    return {(str(user), str(item)) for user, item in zip(*(frame[name].to_list() for name in names), strict=True)}


def has(package: str) -> bool:
    """Whether a package is installed."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def page(results: Mapping[str, Any]) -> str:
    """RESULTS.md of the results."""
    log, asked, seconds = results["log"], results["asked"], results["seconds"]
    lines = [
        "# From raw ids to a frame",
        "",
        f"Written by `{results['command']}`. A log of {log['events']:,} events of {log['users']:,} users and "
        f"{log['items']:,} items (`bench/recall/generator.py`); the {asked['n']} best for {asked['users']:,} users, by "
        f"cosine with {asked['neighbours']} neighbours, without what the user has. One thread, one process, the "
        f"entrants in turn: medians of {asked['rounds']} rounds. `times ours` is the median over the rounds of an "
        f"entrant's seconds over those of `{OURS}`, which is the call as it stands; no peer gives reasons. "
        "`same items`: share of our rows that the entrant has too (the rest are ties).",
        "",
        "| | seconds | least to most | times ours | least to most | same items |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in seconds.items():
        ratios = [theirs / ours for theirs, ours in zip(values, seconds[OURS], strict=True)]
        cells = [
            f"{statistics.median(part):.{d}f} | {min(part):.{d}f} to {max(part):.{d}f}"
            for part, d in ((values, 3), (ratios, 2))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {results['same_items'][name]:.4f} |")
    said = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return "\n".join([*lines, "", f"{said}.", ""])


if __name__ == "__main__":
    file = HERE / "results.json"
    if "--page" not in sys.argv[1:]:
        file.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    text = page(json.loads(file.read_text(encoding="utf-8")))
    (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    print(text)
