"""How much of the catalogue an arm shows, as far as arms of unequal size can be compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from scipy.special import gammaln

from shortlist.experiment.effect import Effect, Estimate, compared
from shortlist.types import Array

GROUPS = 20
"""Parts of the users that are left out in turn to see how sure the figure is."""


def distinct(counts: Array, rows: int) -> float:
    """How many different items ``rows`` of the shown rows hold on average, drawn without replacement.

    ``counts`` [items]: how often each was shown. E = sum over items of 1 - C(N - n_i, rows) / C(N, rows), N = Σ n_i.

    Source: Hurlbert (1971), The nonconcept of species diversity, Ecology 52.
    """
    n = np.asarray(counts, np.float64)
    n = n[n > 0]
    whole = n.sum()
    if not 0 < rows <= whole:
        return float("nan") if rows else 0.0
    rest = whole - n
    possible = rest >= rows
    log = gammaln(rest[possible] + 1) - gammaln(rest[possible] - rows + 1)
    log -= gammaln(whole + 1) - gammaln(whole - rows + 1)
    return float(len(n) - np.exp(log).sum())


def coverage(shown: pl.DataFrame, arms: Mapping[int, str], control: int) -> dict[str, dict[str, float]]:
    """For each treatment the different items among equally many rows, beside its control's, as an ``Effect`` says it.

    ``shown``: columns ``arm`` (number), ``user`` and ``item``. Users in 20 groups are left out in turn (delete-a-group
    jackknife), with the number of rows that the smaller arm has left, so that no row counts twice. The interval errs to
    the wide side.
    """
    rows = shown.filter(pl.col("item").is_not_null()).select(
        "arm", group=pl.col("user").hash(0) % GROUPS, item=pl.col("item").cast(pl.Categorical).to_physical()
    )
    tables = {}
    items = int(rows["item"].to_numpy().max()) + 1 if len(rows) else 1
    for arm in arms:
        own = rows.filter(pl.col("arm") == arm)
        cell = own["group"].to_numpy().astype(np.int64) * items + own["item"].to_numpy()
        tables[arm] = np.bincount(cell, minlength=GROUPS * items).reshape(GROUPS, items)
    found = {}
    for arm, name in arms.items():
        if arm != control:
            found[name] = _beside(tables[control], tables[arm]).document()
    return found


def _beside(a: Array, b: Array) -> Effect:
    """Two arms' counts [groups, items] as one comparison."""
    whole = [t.sum(0) for t in (a, b)]
    left = [[w - t[g] for g in range(GROUPS)] for w, t in zip(whole, (a, b), strict=True)]
    size = int(min(counts.sum() for part in left for counts in part))
    figures = []
    for counts, without in zip(whole, left, strict=True):
        values = np.array([distinct(part, size) for part in without])
        variance = (GROUPS - 1) / GROUPS * np.sum((values - values.mean()) ** 2)
        figures.append(Estimate(distinct(counts, size), float(variance), GROUPS))
    return compared(figures[0], figures[1])


__all__ = ["coverage", "distinct"]
