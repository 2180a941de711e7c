"""Two experiments on the same requests: which is better, by how much, and could it be chance?

Experiments are paired on their ``rows.parquet`` by (user, time): what remains is the difference of the systems, not of
the people they were asked by. Requests that only one of them was asked are counted and left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist.bundle import read_manifest
from shortlist.component import InputError
from shortlist.documents import jsonable
from shortlist.metrics._slate import Slates
from shortlist.metrics.accuracy import AT_K
from shortlist.metrics.interval import Difference, Interval, mean_intervals, paired_intervals
from shortlist.progress import step
from shortlist.recipe import Recipe, parse

ASKED = ["user", "time"]
COLUMNS = ["request", *ASKED, "stage", "rank", "item", "is_target", "targets"]
STAGES = ("slate", "rank", "merge")
"""What ``compare`` compares, where both runs have it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """a against b over the requests both were asked."""

    metric: str  # "ndcg@10"
    a: Interval
    b: Interval
    difference: Difference  # a − b, request by request
    requests: int  # asked of both
    users: int
    only_a: int  # requests asked of a alone, which take no part
    only_b: int
    different_targets: int  # shared requests where the two had another number of right answers (other exclusions)


def compare(runs: Sequence[Path]) -> dict[str, Any]:
    """Every run against the first, by every metric both report, on the requests both were asked.

    A run is a folder with ``evaluation.json`` and ``rows.parquet``, as ``fit`` leaves it. The document::

        {"k": 10, "stages": [...], "notes": [...], "runs": [{"name", "path", "requests", "users", "slate": {...}}],
         "pairs": [{"name", "requests", "users", "only_run", "only_baseline", "different_targets",
                    "stages": {STAGE: {"ndcg@10": {"run", "baseline", "diff", "low", "high", "p"}}}}]}

    ``diff`` is the run minus the baseline. Raises ``InputError`` naming the file that is missing or does not fit.
    """
    if len(runs) < 2:
        raise InputError(f"compare: expected a baseline and at least one other run, got {len(runs)}")
    documents = [_document(run) for run in runs]
    names = _names([document["name"] for document in documents])
    tables = [pl.read_parquet(run / "rows.parquet") for run in runs]
    first = documents[0]["protocol"]
    notes = [
        f"{name} was asked with {key} = {document['protocol'].get(key)}, {names[0]} with {first.get(key)}"
        for name, document in zip(names[1:], documents[1:], strict=True)
        for key in ("requests", "refit", "opens", "closes", "moments", "ahead", "horizon", "min_gap")
        if document["protocol"].get(key) != first.get(key)
    ]
    asked_of = [sum(one["requests"] for one in document.get("windows", [document])) for document in documents]
    for name, asked, table in zip(names, asked_of, tables, strict=True):
        if silent := asked - table.select(ASKED).n_unique():
            notes.append(
                f"{name} found nothing at all for {silent:,} of its {asked:,} requests; they leave no rows and take no "
                "part, so it looks too good beside a run that answers them"
            )
    shared = [k for k in first["k"] if all(k in document["protocol"]["k"] for document in documents)]
    if not shared:
        raise InputError(f"{runs[0]}: its lists are measured at {first['k']}, a cut-off the other runs do not share")
    measures = [(name, k) for k in shared for name, _ in AT_K]
    stages = [s for s in STAGES if all(s in set(table["stage"].unique()) for table in tables)]
    pairs = []
    for name, run, table in zip(names[1:], runs[1:], tables[1:], strict=True):
        with step(f"compare {name} with {names[0]}"):
            found = {s: _compared(table, tables[0], measures, s, str(run), str(runs[0]), cut=True) for s in stages}
        any_one = next(iter(found.values()), None)
        if any_one is None:
            raise InputError(f"{run}: shares no stage with {runs[0]}")
        counts = ("requests", "users", "different_targets")
        if other := any_one[0].different_targets:
            notes.append(
                f"{other:,} of {any_one[0].requests:,} requests have other right answers in {name} than in {names[0]}: "
                "their hard rules or catalogues differ, so these are not the same questions"
            )
        pairs.append(
            {
                "name": name,
                **{count: getattr(any_one[0], count) for count in counts},
                "only_run": any_one[0].only_a,
                "only_baseline": any_one[0].only_b,
                "stages": {
                    s: {c.metric: {"run": asdict(c.a), "baseline": asdict(c.b), **asdict(c.difference)} for c in each}
                    for s, each in found.items()
                },
            }
        )
    told = [
        {"name": name, "path": str(run)} | {key: document.get(key) for key in ("bundle", "requests", "users", "slate")}
        for name, run, document in zip(names, runs, documents, strict=True)
    ]
    document: dict[str, Any] = jsonable(
        {"k": min(shared), "stages": stages, "notes": notes, "runs": told, "pairs": pairs}
    )
    return document


def is_run_of(run: Path, recipe: Recipe) -> bool:
    """Whether the folder holds what ``fit`` makes of exactly this recipe."""
    if not (run / "rows.parquet").is_file():
        return False
    try:
        return parse(read_manifest(run / "bundle")["recipe"]).digest == recipe.digest
    except InputError:
        return False  # without a bundle, or one whose recipe this version does not read


def compare_rows(
    a: pl.DataFrame, b: pl.DataFrame, metric: str = "ndcg", k: int = 10, *, stage: str = "slate", seed: int = 0
) -> Comparison:
    """Pairs the lists of ``stage`` in two ``rows.parquet`` and compares them by ``metric`` at ``k``.

    A request for which a stage showed nothing counts as missed if the file says that it was asked: by a row of the
    stage "asked", which ``fit`` leaves for each, or of any other.
    Raises ``InputError`` if no request is shared, a column or stage is missing, or the lists were cut before ``k``.
    """
    if metric not in dict(AT_K):
        raise InputError(f"metric {metric!r} cannot be compared; there are {', '.join(dict(AT_K))}")
    return _compared(a, b, [(metric, k)], stage, "the first experiment", "the second experiment", seed=seed)[0]


def _compared(
    a: pl.DataFrame,
    b: pl.DataFrame,
    measures: Sequence[tuple[str, int]],
    stage: str,
    name_a: str,
    name_b: str,
    *,
    cut: bool = False,
    seed: int = 0,
) -> list[Comparison]:
    """One comparison a measure, all from the same draws. ``cut``: lists are known to reach every k if they could."""
    asked_a, asked_b = _asked(a, name_a), _asked(b, name_b)
    both = asked_a.join(asked_b, on=ASKED, how="inner", suffix="_b", nulls_equal=True)
    both = both.sort("time", "user").with_row_index("row")
    if not len(both):
        raise InputError(
            f"{'the experiments' if not cut else f'{name_a}, {name_b}'} share no request (same user at the same time): "
            f"the first has {_span(asked_a)}, the second {_span(asked_b)}"
        )
    deepest = max(k for _, k in measures)
    judged_a = _slates(a, both, "targets", stage, deepest, name_a, cut)
    judged_b = _slates(b, both, "targets_b", stage, deepest, name_b, cut)
    users = _users(both)
    formula = dict(AT_K)
    value_a, value_b = (np.stack([formula[m](s, k) for m, k in measures], axis=1) for s in (judged_a, judged_b))
    means_a, means_b = mean_intervals(value_a, users, seed), mean_intervals(value_b, users, seed)
    differences = paired_intervals(value_a, value_b, users, seed)
    return [
        Comparison(
            metric=f"{metric}@{k}",
            a=means_a[column],
            b=means_b[column],
            difference=differences[column],
            requests=len(both),
            users=len(np.unique(users)),
            only_a=len(asked_a) - len(both),
            only_b=len(asked_b) - len(both),
            different_targets=int((both["targets"] != both["targets_b"]).sum()),
        )
        for column, (metric, k) in enumerate(measures)
    ]


def _document(run: Path) -> dict[str, Any]:
    """A run's figures; raises ``InputError`` unless the folder is a run."""
    for name in ("evaluation.json", "rows.parquet"):
        if not (run / name).is_file():
            raise InputError(f"{run / name}: not found; expected a folder that fit has filled")
    try:
        document: dict[str, Any] = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{run / 'evaluation.json'}: truncated or not JSON: {error}") from error
    if "protocol" not in document or "k" not in document["protocol"] or "name" not in document:
        raise InputError(f"{run / 'evaluation.json'}: not the evaluation of a funnel")
    return document


def _names(given: Sequence[str]) -> list[str]:
    """Names told apart: a second one of the same name gets a number."""
    return [name if name not in given[:n] else f"{name} ({n + 1})" for n, name in enumerate(given)]


def _users(both: pl.DataFrame) -> np.ndarray:
    """[n]: a number for each user; -1 for nobody, each of whose requests stands alone."""
    return both["user"].rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1


def _asked(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Every request of a file, whatever the stage: user, time, targets."""
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise InputError(f"{name}: rows without the column {missing[0]!r}; there are {', '.join(rows.columns)}")
    asked = rows.group_by(ASKED).agg(pl.first("targets"), pl.n_unique("request").alias("requests"))
    twice = asked.filter(pl.col("requests") > 1)
    if len(twice):
        user, time = twice.select(ASKED).row(0)
        raise InputError(f"{name}: user {user!r} asks {twice['requests'][0]} requests at the same time {time}")
    return asked.drop("requests")


def _slates(rows: pl.DataFrame, both: pl.DataFrame, targets: str, stage: str, k: int, name: str, cut: bool) -> Slates:
    listed = rows.filter(pl.col("stage") == stage)
    if not len(listed):
        raise InputError(f"{name}: no stage {stage!r}; there are {', '.join(rows['stage'].unique().sort())}")
    deepest = int(listed["rank"].max())  # type: ignore[arg-type]
    if cut:
        deepest = max(deepest, k)
    if not 1 <= k <= deepest:
        raise InputError(f"{name}: k must be from 1 to {deepest}, the longest {stage} in its rows; got {k}")
    listed = listed.join(both.select("row", *ASKED), on=ASKED, how="inner").sort("row", "rank")
    count = both[targets].to_numpy().astype(np.int64)
    hit = listed["is_target"].to_numpy()
    return Slates(
        request=listed["row"].to_numpy().astype(np.uint32),
        item=listed["item"].rank("dense").to_numpy().astype(np.int32),  # any code will do: hits are known
        rank=listed["rank"].to_numpy().astype(np.int32),
        hit=hit,
        known_hit=hit,
        targets=count,
        known=count,
        k=deepest,
    )


def _span(asked: pl.DataFrame) -> str:
    if not len(asked):
        return "none"
    first, last = (datetime.fromtimestamp(asked["time"].sort()[end] / 1e6, UTC) for end in (0, -1))
    return f"{len(asked)} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
