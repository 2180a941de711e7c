"""What each feature column of a ranker's samples is like, and what it is worth alone.

A column is a number (floats; NaN = missing), a category (integer codes; -1 = missing) or a list: codes [m, w] padded
with -1, or one of its levels as a number named ``feature=level``. Labels are those of the earlier rows; the later rows
say how far a column has moved, and whether it orders them as well. Only rows whose labels a ranker may learn from or be
chosen by come in here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from shortlist.encode._encoder import buckets_of, quantile_edges
from shortlist.metrics.columns import column_auc, column_gauc, out_of_fold_means
from shortlist.metrics.dependence import entropy, expected_mutual_information, mutual_information
from shortlist.metrics.drift import kolmogorov_smirnov, population_stability
from shortlist.metrics.ranking import auc, gauc
from shortlist.progress import track
from shortlist.types import Array, Bool, Float64, Int64, Samples

BINS = 20
"""Quantile buckets of a number for its mutual information and its out-of-fold means."""
DRIFT_BINS = 10
"""Quantile buckets of a number, and most common values of a category, that drift is counted in."""
SMOOTHING = 20.0
"""Rows of the mean label added to every value's own."""
SHIFTED = 0.25
"""Population stability index above which a column is flagged."""
TOO_GOOD = 0.95
"""AUC of one column alone above which it must know the label."""
SUSPECT = 0.85
"""AUC from which a column is compared with the best of the others."""
AHEAD = 1.5
"""How much farther from .5 than the best other column a suspect is."""
ALIKE = 0.95
"""Correlation of ranks from which two columns say the same: such a column is no other."""
QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}

LEAK_RULE = (
    "A column is suspected of knowing the label if its AUC alone (as it is, by value, or within requests) is above "
    f"{TOO_GOOD}, or if it is at least {SUSPECT} and {AHEAD} times as far above .5 as the best column that is not much "
    f"the same (correlation of ranks below {ALIKE})."
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The rows that are looked at."""

    train: Samples
    later: Samples  # sampled as ``train`` is, so that what moved is the data and not the sampling
    label: str
    judged: bool = True  # whether the later rows' labels may be looked at

    @property
    def grouped(self) -> bool:
        """Whether requests have several rows, so that order within them means something."""
        return len(self.train.requests) < len(self.train)


def described(parts: Parts, seed: int = 0) -> list[dict[str, Any]]:
    """One record for every column of numbers or codes, those that tell most first, with ``warnings`` in words."""
    columns = parts.train.candidates.columns
    usable = [name for name, column in columns.items() if column.dtype.kind in "fiub" and not name.startswith("_")]
    found = [_column(name, parts, seed) for name in track(usable, "describe columns")]
    by_name = {record["name"]: record for record in found}
    for name, twin in same_as(parts.train.candidates.columns, usable).items():
        by_name[name]["same_as"] = twin
        by_name[name]["warnings"].append(f"says the same as {twin}")
    _suspect(found, parts.train)
    order = "gauc" if parts.grouped else "auc"
    return sorted(found, key=lambda record: (-_alone(record, order), record["name"]))


def _column(name: str, parts: Parts, seed: int) -> dict[str, Any]:
    before, after = parts.train.candidates[name], parts.later.candidates[name]
    labels, group = parts.train.labels[parts.label], parts.train.candidates.request
    coded = before.dtype.kind in "iu"
    gone = _gone(before)
    present = before[before >= 0] if coded else before[~gone]
    values, counts = np.unique(present, return_counts=True)
    record: dict[str, Any] = {
        "name": name,
        "type": "list" if before.ndim > 1 or "=" in name else "category" if coded else "number",
        "missing": float(gone.mean()) if len(gone) else 0.0,
        "distinct": len(values),
        "most_common": float(counts.max() / len(before)) if len(counts) else 0.0,
        "warnings": [],
    }
    if not coded and len(present):
        at = np.quantile(present.astype(np.float64), list(QUANTILES.values()))
        record["quantiles"] = dict(zip(QUANTILES, at.tolist(), strict=True))
        record["mean"] = float(present.astype(np.float64).mean())
    codes, later_codes = _codes(before, after, BINS)
    means = _by_value(labels, codes, group, seed)
    counted = codes if codes.ndim == 1 else buckets_of(means, quantile_edges(means, BINS))  # lists: what they promise
    told = mutual_information(labels, counted) - expected_mutual_information(labels, counted)
    record["information"] = max(0.0, told) / (entropy(labels) or 1.0)
    record["auc_by_value"] = auc(labels, means)
    if coded:
        record["auc"], record["direction"] = record["auc_by_value"], None
        record["gauc"] = gauc(labels, means, group) if parts.grouped else None
    else:
        record["auc"], sign = column_auc(labels, before)
        record["direction"] = "up" if sign > 0 else "down"
        record["gauc"] = column_gauc(labels, before, group)[0] if parts.grouped else None
    record["auc_later"] = _later(parts, codes, later_codes) if parts.judged else None
    record["drift"] = _drift(before, after)
    if len(values) + gone.any() <= 1:
        record["warnings"].append("always missing" if gone.any() else "constant")
    elif (record["drift"]["psi"] or 0.0) > SHIFTED:
        record["warnings"].append(f"moved: stability index {record['drift']['psi']:.2f} > {SHIFTED}")
    return record


def _gone(column: Array) -> Bool:
    """[m]: which rows have no value."""
    if column.dtype.kind not in "iu":
        return ~np.isfinite(column)
    return np.asarray((column < 0).all(axis=1) if column.ndim > 1 else column < 0)


def _by_value(labels: Array, codes: Array, group: Array, seed: int) -> Float64:
    """[m]: the out-of-fold mean label of each row's code; of a list's codes [m, w], on average."""
    if codes.ndim == 1:
        return out_of_fold_means(labels, codes, group, smoothing=SMOOTHING, seed=seed)
    rows, place = np.nonzero(codes >= 0)
    means = out_of_fold_means(labels[rows], codes[rows, place], group[rows], smoothing=SMOOTHING, seed=seed)
    return _averaged(means, rows, len(codes), float(np.nanmean(labels)) if len(labels) else 0.0)


def _averaged(means: Float64, rows: Array, m: int, empty: float) -> Float64:
    counts = np.bincount(rows, minlength=m)
    return np.where(counts > 0, np.bincount(rows, weights=means, minlength=m) / np.maximum(counts, 1), empty)


def _codes(before: Array, after: Array, buckets: int) -> tuple[Array, Array]:
    """Both parts as codes learned from the earlier one: a number's buckets (0 = missing), a category's own (-1)."""
    if before.dtype.kind in "iu":
        return np.maximum(before, -1), np.maximum(after, -1)
    finite = np.where(np.isfinite(before), before, np.nan)
    edges = quantile_edges(finite, buckets)
    return buckets_of(finite, edges), buckets_of(np.where(np.isfinite(after), after, np.nan), edges)


def _drift(before: Array, after: Array) -> dict[str, float | None]:
    """Stability index over quantiles or the most common values, the largest gap of the distributions, missing rates."""
    coded, some = before.dtype.kind in "iu", len(before) > 0 and len(after) > 0
    codes, later = _codes(before, after, DRIFT_BINS)
    if coded:  # the most common values by themselves, all others together
        if codes.ndim > 1:
            codes, later = codes[codes >= 0], later[later >= 0]
        values, counts = np.unique(codes, return_counts=True)
        known = np.sort(values[np.argsort(-counts, kind="stable")[:DRIFT_BINS]])
        codes, later = _place(codes, known), _place(later, known)
    size = int(max(codes.max(initial=0), later.max(initial=0))) + 1
    return {
        "psi": population_stability(np.bincount(codes, minlength=size), np.bincount(later, minlength=size)),
        "ks": None if coded else kolmogorov_smirnov(before, after),
        "missing": float(_gone(after).mean() - _gone(before).mean()) if some else None,
    }


def _place(values: Array, known: Array) -> Int64:
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[place] == values, place, len(known)) if len(known) else np.zeros(len(values), np.int64)


def _later(parts: Parts, codes: Array, later_codes: Array) -> float:
    """AUC on the later rows of the mean labels that the values (a number's buckets) have in the earlier ones."""
    y = parts.train.labels[parts.label].astype(np.float64)
    rows = np.flatnonzero(~np.isnan(y)) if codes.ndim == 1 else np.nonzero(codes >= 0)[0]
    entries = codes[rows] if codes.ndim == 1 else codes[codes >= 0]
    known, number = np.unique(entries, return_inverse=True)
    prior = float(np.nanmean(y)) if len(y) else 0.0
    positives = np.bincount(number, weights=np.nan_to_num(y[rows]))
    means = np.append((positives + SMOOTHING * prior) / (np.bincount(number) + SMOOTHING), prior)
    if codes.ndim == 1:
        scores = means[_place(later_codes, known)]
    else:
        at = np.nonzero(later_codes >= 0)[0]
        scores = _averaged(means[_place(later_codes[later_codes >= 0], known)], at, len(later_codes), prior)
    return auc(parts.later.labels[parts.label], scores)


def _alone(record: dict[str, Any], *measures: str) -> float:
    """How far above .5 a column is, at its best or by the measures named."""
    values = [record[name] for name in measures or ("auc", "auc_by_value", "gauc") if record[name] is not None]
    return max((value - 0.5 for value in values if np.isfinite(value)), default=0.0)


def _suspect(found: Sequence[dict[str, Any]], samples: Samples) -> None:
    """Sets ``suspect`` and adds the warning of ``LEAK_RULE``."""
    ranked = sorted(found, key=lambda record: -_alone(record))
    for record in ranked:
        strength, best = _alone(record), 0.0
        if strength >= SUSPECT - 0.5:
            others = (o for o in ranked if o is not record and not _alike(record["name"], o["name"], samples))
            best = next((_alone(other) for other in others), strength)
        record["suspect"] = strength > TOO_GOOD - 0.5 or (best > 0 and strength >= AHEAD * best)
        if record["suspect"]:
            said = f"may know the label: {strength + 0.5:.3f} alone, the best other column {best + 0.5:.3f}"
            record["warnings"].insert(0, said)


def _alike(a: str, b: str, samples: Samples) -> bool:
    """Whether two columns order the first rows in much the same way (or one against the other)."""
    if samples.candidates[a].ndim > 1 or samples.candidates[b].ndim > 1:
        return False
    x, y = (rankdata(np.nan_to_num(samples.candidates[name][:20_000], nan=-np.inf)) for name in (a, b))
    return bool(x.std() and y.std() and abs(np.corrcoef(x, y)[0, 1]) >= ALIKE)


def same_as(columns: Any, names: Sequence[str]) -> dict[str, str]:
    """Columns that repeat an earlier one: two numbers in the same order (or turned round), or values one to one.

    Values that are nearly all different pair up by chance, so that one-to-one counts only below half as many values as
    rows.
    """
    first: dict[bytes, str] = {}
    twins: dict[str, str] = {}
    for name in (name for name in names if columns[name].ndim == 1):
        _, appears, code = np.unique(columns[name], return_index=True, return_inverse=True)
        if len(appears) < 2:
            continue
        prints = []
        if columns[name].dtype.kind not in "iu":
            missing = np.isnan(columns[name]) if columns[name].dtype.kind == "f" else np.zeros(len(code), bool)
            order = np.where(missing, -1, code)
            turned = np.where(missing, -1, code[~missing].max(initial=0) - code)
            prints = [_print(order), _print(turned)]
        if 2 * len(appears) < len(code):
            prints.append(_print(np.argsort(np.argsort(appears))[code]))  # values numbered as they first appear
        twin = next((first[p] for p in prints if p in first), None)
        if twin is not None:
            twins[name] = twin
        for p in prints:
            first.setdefault(p, name)
    return twins


def _print(codes: Array) -> bytes:
    return hashlib.blake2b(codes.astype(np.int32).tobytes(), digest_size=16).digest()


__all__ = ["LEAK_RULE", "Parts", "described", "same_as"]
