"""Rows behind rows, and rows of some requests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shortlist.types import Array, Candidates


def backed(rows: Candidates, spare: Candidates) -> Candidates:
    """The rows with the spare ones behind them, marked ``fallback`` and without a score."""
    rows = rows.with_columns(fallback=np.zeros(len(rows), bool))
    if not len(spare):
        return rows
    spare = spare.take(~np.isin(spare.keys, rows.keys))
    return Candidates.concat([rows, spare.with_columns(fallback=np.ones(len(spare), bool))])


def numbered(rows: Candidates, chosen: Array) -> Candidates:
    """The rows of the requests numbered ``chosen`` (ascending), numbered from 0."""
    rows = rows.take(np.isin(rows.request, chosen))
    return replace(rows, request=np.searchsorted(chosen, rows.request).astype(np.uint32))


def among(wanted: Array, ascending: Array) -> Array:
    """Which of ``wanted`` are in ``ascending``."""
    if not len(ascending):
        return np.zeros(len(wanted), np.bool_)
    return ascending[np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)] == wanted
