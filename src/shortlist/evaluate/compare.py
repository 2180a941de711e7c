"""Experiments on the same requests: which is better, by how much, and could it be chance?

Experiments are paired on their ``rows.parquet`` by (user, time): what remains is the difference of the systems, not of
the people they were asked by. Requests that only one of them was asked are counted and left out. An experiment may have
been done with several seeds; then seeds are drawn as people are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist.bundle import read_manifest
from shortlist.component import InputError
from shortlist.data import iso
from shortlist.documents import jsonable
from shortlist.evaluate._paired import ASKED, Measure, Shared, Table, shared, within
from shortlist.evaluate.windows import spread
from shortlist.metrics.accuracy import AT_K
from shortlist.metrics.interval import Difference, Interval, mean_intervals, paired_intervals
from shortlist.metrics.significance import LEVEL, contrasts, groups, holm
from shortlist.progress import step
from shortlist.recipe import Recipe, parse
from shortlist.types import Float64

STAGES = ("slate", "rank", "merge")
"""What ``compare`` compares, where all runs have it; the first of them makes the leaderboard."""
SAME = ("requests", "refit", "opens", "closes", "moments", "ahead", "horizon", "min_gap")
"""Parts of the protocol that should be the same."""


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


@dataclass(frozen=True)
class _Entry:
    """A run, with the folder of each of its seeds."""

    name: str
    folders: Sequence[Path]
    document: dict[str, Any]  # of the first seed

    @cached_property
    def tables(self) -> list[Table]:
        """The rows of each seed."""
        return [Table(pl.read_parquet(folder / "rows.parquet"), str(folder), cut=True) for folder in self.folders]

    @property
    def windows(self) -> list[str]:
        """When its test windows open."""
        return [window["opens"] for window in self.document.get("windows", ())]


def compare(runs: Sequence[Path | Sequence[Path]]) -> dict[str, Any]:
    """Every run against the first, by every metric all report, on the requests both were asked; and all in a row.

    A run is a folder with ``evaluation.json`` and ``rows.parquet``, as ``fit`` leaves it, or one such folder a seed,
    as many seeds for each run. The document::

        {"k": 10, "seeds": 1, "stages": [...], "notes": [...],
         "leaderboard": {"metric": "ndcg@10", "stage": "slate", "requests", "users",
                         "runs": [{"name", "mean", "low", "high", "group": "ab"}]},
         "runs": [{"name", "path", "requests", "users", "slate": {...}}],
         "pairs": [{"name", "requests", "users", "only_run", "only_baseline", "different_targets", "windows",
                    "stages": {STAGE: {"ndcg@10": {"run", "baseline", "diff", "low", "high", "p", "error", "t", "df",
                                                   "p_t", "p_holm", "users_needed", "seed_deviation"}}}}]}

    ``diff`` is the run minus the baseline. With one seed ``low``, ``high`` and ``p`` are those of drawing users, with
    several those of ``metrics.significance``, which ``t`` to ``users_needed`` are of in any case; ``p_holm`` is ``p_t``
    beside that of the other runs. Runs of the leaderboard, best first, share a letter unless the t test of their
    difference tells them apart, after Holm over all pairs. ``windows`` is there where both ran over the same rolling
    windows: the difference in each, and their mean and spread. Raises ``InputError`` naming the file that is missing
    or does not fit.
    """
    if len(runs) < 2:
        raise InputError(f"compare: expected a baseline and at least one other run, got {len(runs)}")
    entries = _entries([[run] if isinstance(run, Path) else list(run) for run in runs])
    first, *others = entries
    ks = [k for k in first.document["protocol"]["k"] if all(k in e.document["protocol"]["k"] for e in entries)]
    if not ks:
        at = first.document["protocol"]["k"]
        raise InputError(f"{first.folders[0]}: its lists are measured at {at}, a cut-off the other runs do not share")
    measures = [(name, k) for k in ks for name, _ in AT_K]
    there = [set(table.rows["stage"].unique()) for entry in entries for table in entry.tables]
    stages = [stage for stage in STAGES if all(stage in one for one in there)]
    if not stages:
        raise InputError(f"{others[0].folders[0]}: shares no stage with {first.folders[0]}")
    notes = _notes(entries)
    pairs = [_pair(entry, first, measures, stages, notes) for entry in others]
    for stage in stages:
        for name, k in measures:
            cells = [pair["stages"][stage][f"{name}@{k}"] for pair in pairs]
            for cell, p in zip(cells, holm([cell["p_t"] for cell in cells]), strict=True):
                cell["p_holm"] = float(p)
    document: dict[str, Any] = jsonable(
        {
            "k": min(ks),
            "seeds": len(first.folders),
            "stages": stages,
            "leaderboard": _leaderboard(entries, stages[0], min(ks), notes),
            "notes": notes,
            "runs": [
                {"name": e.name, "path": str(e.folders[0])}
                | {key: e.document.get(key) for key in ("bundle", "requests", "users", "slate")}
                for e in entries
            ],
            "pairs": pairs,
        }
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
    both = shared([Table(a, "the first experiment"), Table(b, "the second experiment")], "the experiments")
    values, users = both.values([(metric, k)], stage), both.users
    return Comparison(
        metric=f"{metric}@{k}",
        a=mean_intervals(values[0], users, seed)[0],
        b=mean_intervals(values[1], users, seed)[0],
        difference=paired_intervals(values[0], values[1], users, seed)[0],
        requests=len(both),
        users=len(np.unique(users)),
        only_a=both.alone[0],
        only_b=both.alone[1],
        different_targets=both.different_targets,
    )


def _pair(
    entry: _Entry, first: _Entry, measures: Sequence[Measure], stages: Sequence[str], notes: list[str]
) -> dict[str, Any]:
    """A run against the baseline."""
    with step(f"compare {entry.name} with {first.name}"):
        both = shared([*entry.tables, *first.tables], f"{entry.folders[0]}, {first.folders[0]}")
        if other := both.different_targets:
            notes.append(
                f"{other:,} of {len(both):,} requests have other right answers in {entry.name} than in {first.name}: "
                "their hard rules or catalogues differ, so these are not the same questions"
            )
        seeds, found, windows = len(entry.folders), {}, None
        for stage in stages:
            values = both.values(measures, stage)
            found[stage] = _cells(values[:seeds], values[seeds:], measures, both)
            if windows is None and entry.windows and entry.windows == first.windows:
                column = measures.index(("ndcg", min(k for _, k in measures)))
                difference = (values[:seeds] - values[seeds:]).mean(0)[:, column]
                windows = {"metric": f"ndcg@{measures[column][1]}", "stage": stage}
                windows |= _by_window(difference, both, entry.windows)
    return {
        "name": entry.name,
        "requests": len(both),
        "users": len(np.unique(both.users)),
        "different_targets": both.different_targets,
        "only_run": both.alone[0],
        "only_baseline": both.alone[seeds],
        "stages": found,
        **({"windows": windows} if windows else {}),
    }


def _cells(a: Float64, b: Float64, measures: Sequence[Measure], both: Shared) -> dict[str, Any]:
    """By metric, a and b [seeds, n, measures] and their difference."""
    users, tests = both.users, contrasts(a - b, both.users)
    means = [_intervals(values, both) for values in (a, b)]
    chance = paired_intervals(a[0], b[0], users) if len(a) == 1 else tests
    cells = {}
    for (name, k), own, other, drawn, test in zip(measures, *means, chance, tests, strict=True):
        cells[f"{name}@{k}"] = {
            "run": asdict(own),
            "baseline": asdict(other),
            **{part: getattr(drawn, part) for part in ("diff", "low", "high", "p")},
            **{part: getattr(test, part) for part in ("error", "t", "df", "users_needed", "seed_deviation")},
            "p_t": test.p,
        }
    return cells


def _intervals(values: Float64, both: Shared) -> list[Interval]:
    """The mean of every column of ``values`` [seeds, n, M] and where it lies."""
    if len(values) == 1:
        return mean_intervals(values[0], both.users)
    return [Interval(found.diff, found.low, found.high) for found in contrasts(values, both.users)]


def _by_window(difference: Float64, both: Shared, windows: Sequence[str]) -> dict[str, Any]:
    """The mean difference [n] in each window, and how far the windows lie apart."""
    opens = [iso.moment(window) or 0 for window in windows]
    number = within(both.asked["time"].to_numpy(), opens)
    parts = [difference[number == window] for window in range(len(windows))]
    means = [float(np.nanmean(part)) if np.isfinite(part).any() else float("nan") for part in parts]
    each = [
        {"opens": at, "requests": len(part), "diff": diff} for at, part, diff in zip(windows, parts, means, strict=True)
    ]
    return {"each": each, **spread([diff for diff in means if np.isfinite(diff)])}


def _leaderboard(entries: Sequence[_Entry], stage: str, k: int, notes: list[str]) -> dict[str, Any] | None:
    """All runs on the requests that all were asked, best first, in groups that nothing tells apart."""
    try:
        both = shared([table for entry in entries for table in entry.tables], "the runs")
    except InputError:
        notes.append("no request was asked of all runs, so they stand in no row")
        return None
    seeds = len(entries[0].folders)
    values = both.values([("ndcg", k)], stage).reshape(len(entries), seeds, len(both), 1)
    order = np.argsort(-np.nanmean(values, axis=(1, 2, 3)), kind="stable")
    pairs = list(combinations(range(len(order)), 2))
    chance = holm([contrasts(values[order[i]] - values[order[j]], both.users)[0].p for i, j in pairs])
    differ = np.zeros((len(order), len(order)), bool)
    for (i, j), p in zip(pairs, chance, strict=True):
        differ[i, j] = differ[j, i] = p < 1 - LEVEL
    rows = [
        {"name": entries[number].name, **asdict(_intervals(values[number], both)[0]), "group": letters}
        for number, letters in zip(order, groups(differ), strict=True)
    ]
    counts = {"requests": len(both), "users": len(np.unique(both.users))}
    return {"metric": f"ndcg@{k}", "stage": stage, **counts, "runs": rows}


def _entries(runs: Sequence[Sequence[Path]]) -> list[_Entry]:
    seeds = {len(folders) for folders in runs}
    if len(seeds) > 1:
        raise InputError(f"compare: expected as many seeds for each run, found {sorted(seeds)}")
    read = [[_document(folder) for folder in folders] for folders in runs]
    documents = [found[0] for found in read]
    names = _names([document["name"] for document in documents])
    return [_Entry(name, folders, found) for name, folders, found in zip(names, runs, documents, strict=True)]


def _notes(entries: Sequence[_Entry]) -> list[str]:
    """What makes runs hard to compare: other protocols, requests left without an answer."""
    name, asked = entries[0].name, entries[0].document["protocol"]
    notes = [
        f"{entry.name} was asked with {key} = {entry.document['protocol'].get(key)}, {name} with {asked.get(key)}"
        for entry in entries[1:]
        for key in SAME
        if entry.document["protocol"].get(key) != asked.get(key)
    ]
    for entry in entries:
        found = sum(one["requests"] for one in entry.document.get("windows", [entry.document]))
        if silent := found - entry.tables[0].rows.select(ASKED).n_unique():
            notes.append(
                f"{entry.name} found nothing at all for {silent:,} of its {found:,} requests; they leave no rows and "
                "take no part, so it looks too good beside a run that answers them"
            )
    return notes


def _document(run: Path) -> dict[str, Any]:
    """A run's figures; raises ``InputError`` unless the folder is a run."""
    for name in ("evaluation.json", "rows.parquet"):
        if not (run / name).is_file():
            raise InputError(f"{run / name}: not found; expected a folder that fit has filled")
    try:
        document: dict[str, Any] = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{run / 'evaluation.json'}: truncated or not JSON: {error}") from error
    if not isinstance(document, Mapping) or "k" not in document.get("protocol", {}) or "name" not in document:
        raise InputError(f"{run / 'evaluation.json'}: not the evaluation of a funnel")
    return document


def _names(given: Sequence[str]) -> list[str]:
    """Names told apart: a second one of the same name gets a number."""
    return [name if name not in given[:n] else f"{name} ({n + 1})" for n, name in enumerate(given)]
