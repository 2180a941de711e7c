"""How well the candidate's attributes fit what the user liked before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import Dataset, State
from shortlist.durations import UNITS, Duration
from shortlist.features import _taste
from shortlist.features._history import Past
from shortlist.types import Array, Candidates, Ragged, Requests

DAY = UNITS["d"]


class Affinity(Feature):
    """The user's taste for the candidate's categories, list values and numbers, from the history.

    With w_e = strength × 2^(-(last event's time - t_e) / half_life) of the positive events e whose item has the
    attribute at all, L(c) = sum of w_e over those with level c and T = sum of all w_e, for a candidate with levels C:
    ``mean`` = mean over C of L(c)/T; ``max`` the same with the largest; ``cosine`` = sum over C of L(c) / (‖L‖ √|C|);
    ``lift`` = mean over C of log2((L(c) + prior s_c) / ((T + prior) s_c)), s_c the level's share of the log's
    positives; ``value`` = mean over C of Σ(v_e - user's mean) / (n_c + prior) over the events with a value;
    ``recent`` = mean over C of the share of the last ``last`` positives with c.
    For vectors: ``cosine`` of the candidate's with sum_e w_e v_e / ‖v_e‖.
    For numbers and times (in days): ``gap`` = candidate - the user's weighted mean, ``z`` = gap / the user's spread,
    drawn to the catalogue's by ``prior``. What the log tells is as of the candidate's request and of the events of the
    history: the price then paid against today's. Use it wherever items have attributes: it works for new items and
    short histories, where channels that count pairs are blind.

    Source: Pazzani and Billsus (2007), Content-based recommendation systems.
    """

    sizes: ClassVar[Mapping[str, str]] = {
        "coded_": "a",
        "shares_": "a s",
        "numbered_": "b",
        "spreads_": "b",
        "dense_": "v",
    }

    columns: list[str] | None = None
    """Attributes of the item table; none named means every category, list, number, time and vector."""
    half_life: Duration = 30 * DAY
    """After this long a positive event counts half."""
    last: int = Field(default=5, ge=1)
    """How many of the latest positives ``recent`` looks at."""
    prior: float = Field(default=5.0, ge=0)
    """Strength of the smoothing, in events."""

    def fit(self, data: Dataset) -> Self:
        """Learns each level's share of the log's positives and each number's spread over the catalogue."""
        positives, every = data.item_counts("positive"), np.arange(data.n_items)
        path = "features.affinity.columns"
        names = data.items.of_kind(path, self.columns, "category", "list")
        shares: list[Array] = []
        for name in names:
            table, rows = data.items.known(name, every)
            weight = positives + 1e-3
            if name in data.items.dated:  # by the values of the events
                liked = data.events.weight > 0
                then = data.items.known(name, data.events.item[liked], data.events.time[liked])[1]
                rows, weight = np.append(rows, then), np.append(np.full(len(rows), 1e-3), np.ones(len(then)))
            found = table.codes[name].of(rows)
            level = np.bincount(found["code"], weight[found.rows], minlength=len(table.codes[name].levels))
            shares.append(level / max(float(weight[found.lengths > 0].sum()), 1e-3))
        self.coded_ = np.array(names, dtype=str)
        self.shares_ = Ragged(
            np.cumsum(np.array([0, *map(len, shares)], np.int64)), {"share": np.concatenate([np.empty(0), *shares])}
        )
        self.numbered_ = np.array(data.items.of_kind(path, self.columns, "number", "time"), dtype=str)
        self.dense_ = np.array(data.items.of_kind(path, self.columns, "vector"), dtype=str)
        known = [(name, *data.items.known(name, every)) for name in self.numbered_.tolist()]
        spreads = [_spread(table.number(name, rows)) for name, table, rows in known]
        self.spreads_ = np.array(spreads, np.float64)
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``affinity.*``, each [m]."""
        past, first, m = Past.of(requests), candidates.offsets(len(requests)), len(candidates)
        out: dict[str, Array] = {}
        half_life, now = float(self.half_life), requests.time[candidates.request]
        for row, name in enumerate(self.coded_.tolist()):
            table, mine = state.attributes("item", name, past.items, past.times)
            theirs = state.attributes("item", name, candidates.item, now)[1]
            column, share = table.codes[name], self.shares_.row(row)["share"]
            if len(share) < len(column.levels):  # the catalogue has grown since: new levels have no share
                share = np.pad(share, (0, len(column.levels) - len(share)))
            views = np.empty((len(_taste.COLUMNS), m), np.float32)
            attribute = _taste.Attribute(column.values.offsets, column.values["code"], share)
            _taste.tastes(past._replace(items=mine), attribute, half_life, self.last, self.prior, first, theirs, views)
            out |= _named(f"affinity.{name}", _taste.COLUMNS, views)
        for row, name in enumerate(self.numbered_.tolist()):
            views = np.empty((2, m), np.float32)
            table, mine = state.attributes("item", name, past.items, past.times)
            theirs = state.attributes("item", name, candidates.item, now)[1]
            numbers = table.number(name, mine), float(self.spreads_[row]), half_life, self.prior, first
            _taste.distances(past, *numbers, table.number(name, theirs), views)
            out |= _named(f"affinity.{name}", ("gap", "z"), views)
        weight = self._weights(past)
        for name in self.dense_.tolist():
            vectors = state.items.vectors[name]
            liked, theirs = weight @ _unit(vectors.of(past.items)[0]), _unit(vectors.of(candidates.item)[0])
            mine = _unit(liked)[candidates.request]
            blank = ~(mine.any(axis=1) & theirs.any(axis=1))
            out[f"affinity.{name}.cosine"] = np.where(blank, np.nan, (mine * theirs).sum(axis=1)).astype(np.float32)
        return out

    def _weights(self, past: Past) -> sp.csr_matrix:
        """[n, events]: strength × decay of each event of a history."""
        offsets, n = np.asarray(past.offsets), len(past.offsets) - 1
        last = np.asarray(past.times)[np.repeat(offsets[1:] - 1, np.diff(offsets))]
        weight = np.maximum(past.weights, 0) * 0.5 ** ((last - past.times) / float(self.half_life))
        return sp.csr_matrix((weight, np.arange(len(weight)), offsets), shape=(n, len(weight)))


def _named(prefix: str, names: Sequence[str], columns: Array) -> dict[str, Array]:
    return {f"{prefix}.{name}": column for name, column in zip(names, columns, strict=True)}


def _unit(vectors: Array) -> Array:
    """[m, d]: of length 1; what is zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


def _spread(numbers: Array) -> float:
    known = numbers[np.isfinite(numbers)]
    return float(known.std(dtype=np.float64)) if len(known) else 0.0
