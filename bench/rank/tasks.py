"""Nets of several labels beside torch-rechub's, and beside a net for each label.

    python bench/rank/tasks.py --peers PYTHON [--data DIR] [--seeds N] [--most N] [--only WORD ...] [--page]

PYTHON is that of an environment with torch-rechub. MovieLens-100K: every rating is a row that was watched, liked from 4
on. Complete Journey (below DIR; **simulated** according to its package): a line of a receipt was bought, promoted where
the shop gave a discount. Beside each row stands one with an item drawn at random that its user never had: neither.
--most of them, 8:1:1 at random. Both read the same fields, with the same widths and batches, and the later rows stop
training; each label's own net is ``dnn``. Everybody's step size and the deviation of his first vectors are those that
the later rows like best by mean AUC, with a seed that is not reported; and whether layers are standardised over the
batch, but for the peer, which cannot do without. Of Complete Journey the grids were made wider after seeds of narrower
ones had been reported: the best stood at their edge. Differences of AUC are paired by seed (95 %). Rows a second are of
processor time: ours of the whole fit, the peer's of its training loop alone. A row is kept in
results/tasks.SET.MODEL.json, TASKS.md is written from all that are there; a seed that is there is not measured again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import polars as pl
from results import HERE, LIBRARIES, keep, kept, say
from scipy.stats import t
from splits import codes

from shortlist.data.raw import Raw
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.metrics.ranking import auc
from shortlist.registry import find
from shortlist.types import Array, Candidates, Requests, Samples

# isort: split
import measured

SETTINGS: dict[str, Any] = {"factors": 16, "batch": 512, "epochs": 20, "stopping": 2, "hidden": [64, 32]}
UNREPORTED = 1000
"""The seed with which settings are chosen."""
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
GRID = [
    {"rate": rate, "batch_norm": norm, "deviation": deviation}
    for deviation, norm, rate in itertools.product((0.05, 0.001), (False, True), RATES)
]
PEER_GRID = [{"rate": rate, "deviation": deviation} for deviation, rate in itertools.product((1e-4, 0.05), RATES)]
"""Its vectors begin with 1e-4 unless told otherwise."""
OWN: dict[str, dict[str, Any]] = {
    "shared_bottom": {"towers": [16]},
    "mmoe": {"towers": [16], "experts": 4},
    "ple": {"towers": [16], "experts": 2, "shared": 2},
    "esmm": {},
}
PARTS = ("train", "valid", "test")


def movielens(root: Path | None, most: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """(field -> codes [m], label -> [m]) of ratings, each with a film that was not rated behind it."""
    raw = source("movielens-100k")(DataSpec(source="movielens-100k"), None)
    assert isinstance(raw, Raw)
    assert raw.items is not None
    assert raw.users is not None
    films = raw.items.select("item", year=pl.from_epoch("released", time_unit="us").dt.year())
    both = beside(raw.events.select("user", "item", value=pl.col("value").cast(pl.Float64)), most)
    both = both.join(films, on="item", how="left", maintain_order="left")
    both = both.join(raw.users.drop("zip"), on="user", how="left", maintain_order="left")
    fields = {name: codes(both[name]) for name in ("user", "item", "age", "gender", "occupation", "year")}
    value = both["value"].to_numpy()
    return fields, {"watched": value > 0, "liked": value >= 4}


def journey(root: Path | None, most: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """The same of receipts: a product for each household once a basket."""
    assert root is not None
    lines = pl.read_parquet(root / "complete-journey" / "transactions.parquet")
    products = pl.read_parquet(root / "complete-journey" / "products.parquet")
    log = lines.select(
        user="household_id",
        item="product_id",
        store="store_id",
        value=pl.when(pl.col("retail_disc") > 0).then(2.0).otherwise(1.0),
    )
    goods = products.select("department", "brand", "product_category", "manufacturer_id", item="product_id")
    both = beside(log, most).join(goods, on="item", how="left", maintain_order="left")
    fields = {name: codes(both[name]) for name in ("user", "item", "store", *goods.columns) if name in both.columns}
    value = both["value"].to_numpy()
    return fields, {"bought": value > 0, "promoted": value > 1}


SETS: dict[str, Callable[[Path | None, int], tuple[dict[str, Array], dict[str, Array]]]] = {
    "movielens-100k": movielens,
    "complete-journey": journey,
}


def beside(log: pl.DataFrame, most: int) -> pl.DataFrame:
    """Rows of a log, drawn, each followed by the same with an item that its user never had and ``value`` 0."""
    user, item = codes(log["user"]).astype(np.int64), codes(log["item"])
    had = np.unique(user << 32 | item)
    chosen = np.random.default_rng(1).permutation(len(log))[:most]
    rng, drawn = np.random.default_rng(0), item[chosen].copy()
    while (again := np.isin(user[chosen] << 32 | drawn, had)).any():
        drawn[again] = rng.integers(0, item.max() + 1, int(again.sum()))
    first = np.unique(item, return_index=True)[1]
    rows = log[chosen]
    other = rows.with_columns(item=log["item"].gather(first[drawn]), value=pl.lit(0.0))
    return pl.concat([rows, other])[np.arange(2 * len(chosen)).reshape(2, -1).T.ravel()]


def samples(fields: dict[str, Array], labels: dict[str, Array], part: slice) -> Samples:
    """A plain table of some of the rows."""
    columns = {name: column[part].astype(np.int32) for name, column in fields.items()}
    m = len(columns["user"])
    table = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), columns)
    asked = Requests.of(np.full(m, -1, np.int32), np.arange(m))
    truth = {name: label[part].astype(np.float32) for name, label in labels.items()}
    return Samples(asked, table, truth, np.ones(m, np.float32))


Scores = dict[str, dict[str, Array]]
"""Of the later rows and of those that are reported, by label."""


def ours(model: str, tables: dict[str, Samples], seed: int, **more: Any) -> tuple[Scores, float]:
    """(scores, processor's seconds of an epoch of a fit that nothing stops)."""
    config = {**SETTINGS, **OWN.get(model, {}), "min_count": 1, "seed": seed, "device": "cpu", **more}
    began = time.process_time()
    find("rank", model)(**{**config, "epochs": 1}).fit(tables["train"])
    spent = time.process_time() - began
    ranker = find("rank", model)(**config, monitor="auc").fit(tables["train"], tables["valid"])
    return {part: ranker.score(tables[part].requests, tables[part].candidates) for part in PARTS[1:]}, spent


def theirs(
    python: Path,
    model: str,
    fields: dict[str, Array],
    labels: dict[str, Array],
    parts: dict[str, slice],
    seed: int,
    given: dict[str, float],
) -> tuple[Scores, dict[str, Any]]:
    """(scores, what the peer says of its training)."""
    x = np.stack([column + 1 for column in fields.values()], 1)
    y = np.stack(list(labels.values()), 1).astype(np.float32)
    with tempfile.TemporaryDirectory() as work:
        arrays = {f"{side}_{name}": {"x": x, "y": y}[side][part] for name, part in parts.items() for side in "xy"}
        np.savez(Path(work) / "given.npz", width=x.max(0) + 1, **arrays)
        job = {**SETTINGS, **OWN[model], "model": model, "seed": seed, **given, "work": work}
        command = [python, HERE / "tasks_peer.py", json.dumps(job)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        with np.load(Path(work) / "found.npz", allow_pickle=False) as file:
            scores = {part: dict(zip(labels, file[part].T, strict=True)) for part in PARTS[1:]}
        return scores, json.loads(ran.stdout.splitlines()[-1])


def measure(python: Path, name: str, root: Path | None, models: list[str], seeds: int, most: int) -> None:
    """Seed by seed, the nets of one label first."""
    fields, labels = SETS[name](root, most)
    m = len(fields["user"])
    cuts = [0, m * 8 // 10, m * 9 // 10, m]
    parts = {part: slice(cuts[n], cuts[n + 1]) for n, part in enumerate(PARTS)}
    tables = {part: samples(fields, labels, rows) for part, rows in parts.items()}
    truth = tables["test"].labels
    chosen = kept(f"tasks.{name}.chosen")
    if chosen.get("rows") != m:
        chosen = {"rows": m, "settings": {}}
    settings = chosen["settings"]

    def choose(who: str, scores: Callable[..., Scores], grid: list[dict[str, Any]]) -> None:
        """The best of ``grid`` for somebody; kept with all that was tried, which is not tried again."""
        tried = settings.get(who, {}).get("tried", [])
        for given in grid:
            if any(given.items() <= one.items() for one in tried):
                continue
            found = scores(**given)["valid"]
            one = [auc(tables["valid"].labels[label], found[label]) for label in labels if label in found]
            tried.append({**given, "auc": float(np.mean(one))})
            say(f"{name}/{who}: {tried[-1]}")
        best = max(tried, key=lambda one: one["auc"])
        settings[who] = {"set": {key: best[key] for key in grid[0]}, "tried": tried}
        keep(f"tasks.{name}.chosen", {**chosen, **origin()})

    for label in labels:
        choose(f"dnn {label}", lambda label=label, **given: dnn(tables, UNREPORTED, label, given), GRID)
    for one in models:
        choose(one, lambda one=one, **given: ours(one, tables, UNREPORTED, labels=list(labels), **given)[0], GRID)
        choose(
            f"peer {one}",
            lambda one=one, **given: theirs(python, one, fields, labels, parts, UNREPORTED, given)[0],
            PEER_GRID,
        )

    of_all = {who: one["set"] for who, one in settings.items()}
    given = {
        one: {who: of_all[who] for who in (one, f"peer {one}", *(f"dnn {label}" for label in labels))} for one in models
    }
    for seed in range(seeds):
        missing = [one for one in models if not known(name, one, m, given[one]).get("seeds", {}).get(str(seed))]
        if not missing:
            continue
        alone = {label: dnn(tables, seed, label, of_all[f"dnn {label}"])["test"][label] for label in labels}
        for model in missing:
            told, spent = ours(model, tables, seed, labels=list(labels), **of_all[model])
            p, peer = theirs(python, model, fields, labels, parts, seed, of_all[f"peer {model}"])
            found: dict[str, Any] = {}
            for label in labels:
                scores = {"ours": told["test"][label], "peer": p["test"][label], "alone": alone[label]}
                found[label] = {who: auc(truth[label], score) for who, score in scores.items()}
            found["rows_a_second"] = {"ours": cuts[1] / spent, "peer": cuts[1] / peer["epoch_seconds"]}
            row = {
                "rows": m,
                "settings": {**SETTINGS, **OWN[model]},
                "chosen": given[model],
                "seeds": known(name, model, m, given[model]).get("seeds", {}) | {str(seed): found},
            }
            keep(f"tasks.{name}.{model}", {**row, "peer_versions": peer["versions"], **origin()})
            say(f"{name}/{model}, seed {seed}: {json.dumps(found)}")


def dnn(tables: dict[str, Samples], seed: int, label: str, given: dict[str, Any]) -> Scores:
    """The scores of a label's own net."""
    return {part: {label: one["score"]} for part, one in ours("dnn", tables, seed, label=label, **given)[0].items()}


def known(name: str, model: str, rows: int, chosen: dict[str, Any]) -> dict[str, Any]:
    """The row as it stands, if it is of as many rows, of these settings and of what was chosen."""
    row, same = kept(f"tasks.{name}.{model}"), {"rows": rows, "settings": {**SETTINGS, **OWN[model]}, "chosen": chosen}
    return row if same.items() <= row.items() else {}


def origin() -> dict[str, Any]:
    """What the row was measured with."""
    return measured.provenance("bench/rank/tasks.py", LIBRARIES)


def page() -> None:
    """TASKS.md of all rows that are there."""
    lines = ["# Nets of several labels", "", *(__doc__ or "").split("\n\n", 2)[2].strip().split("\n")]
    for name in SETS:
        rows = {model: row for model in OWN if (row := kept(f"tasks.{name}.{model}"))}
        if not rows:
            continue
        row = next(iter(rows.values()))
        lines += [
            "",
            f"## {name}" + (" (simulated)" if name == "complete-journey" else ""),
            "",
            f"`{row['command']}` · {row['rows']:,} rows · {row['machine']} · {row['date']} · load {row['load']} · "
            f"torch-rechub {row['peer_versions']['torch-rechub']}",
            "",
            "Chosen: "
            + "; ".join(
                f"{who} {json.dumps(one['set'])} of {len(one['tried'])}" for who, one in chosen_of(name).items()
            )
            + ".",
            "",
            "| net | label | seeds | AUC | torch-rechub's | difference | own net | difference | rows a second ÷ |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for model, row in rows.items():
            seeds = list(row["seeds"].values())
            ratio = np.median([one["rows_a_second"]["ours"] / one["rows_a_second"]["peer"] for one in seeds])
            for label in (key for key in seeds[0] if key != "rows_a_second"):
                cells = [f"`{model}`", label, str(len(seeds)), f"{np.mean([one[label]['ours'] for one in seeds]):.4f}"]
                for other in ("peer", "alone"):
                    found = np.array([one[label]["ours"] - one[label][other] for one in seeds])
                    cells += [f"{np.mean([one[label][other] for one in seeds]):.4f}", said(found)]
                lines.append(f"| {' | '.join(cells)} | {ratio:.2f} |")
    (HERE / "TASKS.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def chosen_of(name: str) -> dict[str, Any]:
    """By who, the settings that were chosen on a set, and what was tried."""
    found: dict[str, Any] = kept(f"tasks.{name}.chosen").get("settings", {})
    return found


def said(found: Array) -> str:
    """A mean with its interval over seeds."""
    n, mean = len(found), found.mean()
    half = t.ppf(0.975, n - 1) * found.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"


def main() -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="the python of an environment with torch-rechub")
    parser.add_argument("--data", type=Path, help="holds the folder complete-journey")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--only", nargs="*", default=[], choices=[*SETS, *OWN], metavar="WORD")
    parser.add_argument("--page", action="store_true", help="only write the page")
    given = parser.parse_args()
    if not given.page and given.peers is None:
        parser.error("--peers: expected the python of an environment with torch-rechub")
    models = [model for model in OWN if model in given.only] or list(OWN)
    for name in [name for name in SETS if name in given.only] or list(SETS):
        if name == "complete-journey" and given.data is None:
            say(f"{name}: left out, --data says where it is")
        elif not given.page:
            measure(given.peers, name, given.data, models, given.seeds, given.most)
    page()


if __name__ == "__main__":
    main()
