"""What a column transform is, and the look-ups that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shortlist.component import Component, InputError
from shortlist.types import Array, Float64, Int32


class Encoder(Component):
    """Learns a transform of columns from training rows, then applies it to any rows.

    Missing is NaN in a numeric column, -1 in a column of codes and the empty string in a column of strings. What was
    not in the training rows gets an answer too: nothing raises at scoring time.
    """

    def fit(self, *columns: Any) -> Self:
        """Learns from the training rows, each column [m]."""
        raise NotImplementedError

    def transform(self, *columns: Any) -> Any:
        """The encoded rows, in the order they came."""
        raise NotImplementedError


def one_a_row(name: str, column: Array) -> Array:
    """The feature column itself; raises ``InputError`` unless it is [m] numbers or codes."""
    if column.ndim != 1 or column.dtype.kind not in "fiub":
        found = f"shape {column.shape}" if column.ndim != 1 else f"the type {column.dtype}"
        raise InputError(f"feature column {name!r}: expected one number or code a row, found {found}")
    return column


def stacked(names: Sequence[str], columns: Sequence[Array], m: int, dtype: Any = np.float64) -> Array:
    """[f, m]: feature columns [m] one under the other; raises ``InputError`` for one that ``one_a_row`` refuses."""
    x = np.empty((len(columns), m), dtype)
    try:  # all at once takes a third of the time of one after the other
        np.concatenate(columns or [x.ravel()], out=x.reshape(-1))
    except (TypeError, ValueError):  # one is text or a list: which?
        for cells, name, column in zip(x, names, columns, strict=True):
            cells[:] = one_a_row(name, column)
    return x


def known_values(values: Array, min_count: int) -> Array:
    """The values that occur at least ``min_count`` times, ascending: a vocabulary.

    Rarer ones are out of vocabulary in the training rows too, so whatever learns from the codes has seen code 0 before
    a new value arrives. Missing (-1 or "") is a value like any other.

    Source: Cheng et al. (2016), Wide & Deep Learning for Recommender Systems.
    """
    found, counts = np.unique(values, return_counts=True)
    kept: Array = found[counts >= min_count]
    return kept


def codes_of(values: Array, known: Array) -> Int32:
    """[m]: 1 + place of each value in ``known`` (ascending), 0 where it is not there."""
    if not len(known):
        return np.zeros(len(values), np.int32)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[place] == values, place + 1, 0).astype(np.int32)


def quantile_edges(values: Array, buckets: int) -> Float64:
    """At most ``buckets - 1`` inner edges, ascending and distinct: midpoints between neighbouring observed values.

    Edge q lies just above the q/buckets quantile of the values that are not missing. A value that many rows share
    (zero in capital-gain) takes up several quantiles and still yields one edge, so the rest keep buckets of their own.

    Source: Dougherty, Kohavi, Sahami (1995), Supervised and Unsupervised Discretization of Continuous Features.
    """
    present = np.asarray(values, np.float64)
    present = present[np.isfinite(present)]
    distinct, counts = np.unique(present, return_counts=True)
    if len(distinct) < 2:
        return np.empty(0, np.float64)
    middle = distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2
    if len(middle) < buckets:
        return middle
    share = np.cumsum(counts)[:-1] / counts.sum()  # [d - 1]: rows at or below each gap
    wanted = np.arange(1, buckets) / buckets
    return np.unique(middle[np.minimum(np.searchsorted(share, wanted), len(middle) - 1)])


def buckets_of(values: Array, edges: Float64) -> Int32:
    """[m]: 0 where missing, else 1 + the number of edges below the value."""
    values = np.asarray(values, np.float64)
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, side="left")).astype(np.int32)


def hashed(values: Array, width: int, seed: int) -> NDArray[np.int32]:
    """[m]: a bucket in 0..width-1 that depends on value and seed only, the same on every machine.

    Integers go through the finaliser of splitmix64; strings are folded by FNV-1a over their code points first.
    """
    if values.dtype.kind in "US":
        text = values.astype(np.str_)
        points = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), -1) if len(text) else np.zeros((0, 1))
        key = np.full(len(text), 0xCBF29CE484222325, np.uint64)
        for point in points.T:  # one column of characters at a time; the padding of shorter strings is 0 and skipped
            key = np.where(point == 0, key, (key ^ point.astype(np.uint64)) * np.uint64(0x100000001B3))
    else:
        key = values.astype(np.int64).view(np.uint64)
    key = key + np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) % 2**64)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    key = key ^ (key >> np.uint64(31))
    return (key % np.uint64(width)).astype(np.int32)
