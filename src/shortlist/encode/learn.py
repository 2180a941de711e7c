"""Learning a ``Schema``: vocabularies, edges and moments of columns and histories, from training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.encode._encoder import known_values
from shortlist.encode.edges import even_edges
from shortlist.encode.history import AGE, CARRIED, VALUE, Window, check, entries, last
from shortlist.encode.options import Options
from shortlist.encode.schema import (
    BUCKET,
    CATEGORY,
    CODED,
    EXACT,
    HISTORY,
    HISTORY_BUCKET,
    LIST,
    NUMBER,
    POOLED,
    Schema,
    column_of,
    kind_of,
)  # fmt: skip
from shortlist.encode.standardise import moments
from shortlist.types import Array, Candidates, Ragged, Requests

CODES = (CATEGORY, LIST, HISTORY)
"""Kinds of fields whose values are codes: they may be hashed, and a history may use their vectors."""


def learn_schema(
    names: Sequence[str],
    requests: Requests,
    candidates: Candidates,
    options: Options,
    attributes: Mapping[str, Array] | None = None,
) -> Schema:
    """Learns vocabularies, edges and moments of the columns ``names`` and of histories from training rows.

    ``attributes`` are columns of codes by item, -1 = missing, for histories to carry.
    """
    attributes, windows = attributes or {}, list(options.windows())
    check(windows, list(names), list(attributes))
    values = {name: column_of(name, requests, candidates) for name in names}
    kinds = {name: kind_of(name, values[name], options.numeric) for name in names}
    for window in windows:
        values |= _entries(window, requests, attributes)
        kinds |= {field: HISTORY_BUCKET if part in (VALUE, AGE) else HISTORY for field, part in window.parts().items()}
    for name in options.hashed:
        if kinds.get(name) not in CODES:
            raise InputError(f"hashed: {name!r} is no column of codes or lists that the ranker reads")
    order = [name for group in (CODED, POOLED, (NUMBER,)) for name, kind in kinds.items() if kind in group]
    learned = _placed([_learn(name, kinds[name], values[name], options) for name in order], _shares(windows))
    schema = Schema(
        np.array([field.name for field in learned], np.str_),
        np.array([field.kind for field in learned], np.str_),
        np.array([field.width for field in learned], np.int64),
        np.array([field.first for field in learned], np.int64),
        np.array([field.length for field in learned], np.int64),
        _ragged([field.table for field in learned], "value", np.float64),
        np.array([field.mean for field in learned], np.float64),
        np.array([field.deviation for field in learned], np.float64),
        np.array([field.gaps for field in learned], np.bool_),
    )
    return _with_windows(schema, windows, attributes)


def _placed(fields: list[_Field], shares: Mapping[str, Sequence[str]]) -> list[_Field]:
    """The fields with their rows of the table: those of the first that they share with, else rows of their own."""
    placed: dict[str, _Field] = {}
    rows = 1
    for field in fields:
        twins = [placed[name] for name in shares.get(field.name, ()) if name in placed and placed[name].kind in CODES]
        if twins:
            field = replace(field, width=twins[0].width, first=twins[0].first, table=twins[0].table)
        elif field.kind != NUMBER:
            field = replace(field, first=rows)
            rows += field.width
        placed[field.name] = field
    return list(placed.values())


def _with_windows(schema: Schema, windows: list[Window], attributes: Mapping[str, Array]) -> Schema:
    """The schema with what only some histories need: how old entries may be, table rows of attributes by item."""
    names: list[str] = schema.names.tolist()
    within = {field: window.within for window in windows for field in window.parts()}
    if any(age is not None for age in within.values()):
        ages = [-1 if (age := within.get(name)) is None else age for name in names]
        schema = replace(schema, within=np.array(ages, np.int64))
    carried = {field: part for window in windows for field, part in window.parts().items() if part in attributes}
    if carried:
        codes = [attributes[carried[name]] if name in carried else np.empty(0, np.int32) for name in names]
        schema = replace(schema, looked=_ragged([schema.rows_of(f, c) for f, c in enumerate(codes)], "row", np.int32))
    return schema


@dataclass(slots=True)
class _Field:
    name: str
    kind: str
    width: int = 0
    first: int = -1
    length: int = 1
    table: Array | Sequence[float] = ()
    mean: float = 0.0
    deviation: float = 1.0
    gaps: bool = False


def _ragged(parts: Sequence[Array | Sequence[float]], column: str, dtype: Any) -> Ragged:
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return Ragged(offsets, {column: np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)})


def _entries(window: Window, requests: Requests, attributes: Mapping[str, Array]) -> dict[str, Array]:
    """What the window's entries carry in training, by field, [n, length]; -1 or NaN where padded."""
    place, inside = last(requests, window.length, window.within)
    found = {}
    for field, part in window.parts().items():
        values = entries(requests, part, place, inside)
        if part in attributes:
            known = (values >= 0) & (values < len(attributes[part]))
            values = np.where(known, np.append(attributes[part], -1)[np.where(known, values, -1)], -1)
        found[field] = values
    return found


def _shares(windows: list[Window]) -> dict[str, list[str]]:
    """Whose table rows a history's field uses, the first of them that there is: of items and of their attributes.

    Those of a column, that the target's and the history's vectors are one; else those of an earlier window.
    """
    shares: dict[str, list[str]] = {}
    for number, window in enumerate(windows):
        for field, part in window.parts().items():
            if part not in CARRIED:
                own = part or window.shares
                earlier = (one for one in windows[:number] if (part or one.shares) == own)
                names = [f"{one.name}.{part}" if part else one.name for one in earlier]
                shares[field] = [own, *([f"profile.item.{part}"] if part else []), *names]
    return shares


def _learn(name: str, kind: str, values: Array, options: Options) -> _Field:
    length = values.shape[1] if values.ndim == 2 else 1
    if kind in (BUCKET, HISTORY_BUCKET):
        edges = even_edges(values, options.buckets)
        return _Field(name, kind, len(edges) + 2, length=length, table=edges)
    if kind == NUMBER:
        mean, deviation = moments(values)
        finite = np.isfinite(values)
        ends = [values[finite].min(), values[finite].max()] if finite.any() else []
        bounded = options.numeric == "piecewise"
        bounds = np.unique(np.append(even_edges(values, options.buckets), ends)) if bounded else np.empty(0)
        edges = (bounds - mean) / deviation
        return _Field(name, kind, table=edges, mean=mean, deviation=deviation, gaps=not finite.all())
    if name in options.hashed:
        return _Field(name, kind, options.hash_width, length=length)
    if values.size and values.max() >= EXACT:
        raise InputError(f"feature column {name!r}: expected codes below 2^53, found {values.max()}; put it in hashed")
    values = values.astype(np.int64)
    known = known_values(values[values >= 0] if kind in POOLED else values, options.min_count)
    return _Field(name, kind, len(known) + 1, length=length, table=known)
