"""Channels that start from vectors of another bundle: what that bundle knows of this log's items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from shortlist.bundle import Bundle, open_bundle
from shortlist.component import HasVectors, InputError
from shortlist.data import Dataset
from shortlist.data.elsewhere import ELSEWHERE, Elsewhere, matched
from shortlist.progress import emit
from shortlist.recipe import Recipe
from shortlist.types import Array, Int32


def with_vectors(data: Dataset, recipe: Recipe, root: Path | None) -> Dataset:
    """The log with the vectors that the recipe's channels start from (``warm_start``), if any do.

    Raises ``InputError`` naming the channel where there is no such bundle, no channel with vectors in it, none of the
    length wanted, or not one item in common.
    """
    found: dict[tuple[str, str | None], Elsewhere] = {}
    for name, section in recipe.recall.items():
        path = section.get("warm_start")
        if path is None:
            continue
        by = section.get("warm_by")
        where = f"recall.{name}.warm_start"
        folder = (root or Path()) / str(path)
        try:
            other = open_bundle(folder)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        items, vectors = _vectors(other, name, where, folder)
        own, theirs = _matched(data, other, by, f"recall.{name}.warm_by")
        row = np.full(other.data.n_items, -1, np.int32)
        row[items] = np.arange(len(items), dtype=np.int32)
        known = row[theirs] >= 0
        own, vector = own[known], vectors[row[theirs[known]]]
        if not len(own):
            raise InputError(f"{where}: {folder} knows none of this log's items by {by or 'their ids'}")
        emit("note", message=f"recall.{name} starts from {len(own):,} item vectors of {folder}")
        until = int(other.manifest["fitted_until"])
        found[str(path), by] = Elsewhere(own, vector.astype(np.float32), until)
    return replace(data, extra={**data.extra, ELSEWHERE: found}) if found else data


def _vectors(other: Bundle, name: str, where: str, folder: Path) -> tuple[Int32, Array]:
    """Items and vectors of the other bundle's channel of that name, or of its first that has any."""
    channels = other.pipeline.recall
    having = {key: channel for key, channel in channels.items() if isinstance(channel, HasVectors)}
    if not having:
        raise InputError(f"{where}: {folder} has no channel with item vectors; it has {', '.join(channels)}")
    return (having.get(name) or next(iter(having.values()))).item_vectors()


def _matched(data: Dataset, other: Bundle, by: str | None, where: str) -> tuple[Int32, Int32]:
    """(codes here, codes there) of the items in common: of one id, or of one value of the attribute ``by``."""
    if by is None:
        return matched(list(data.item_ids.ids), list(other.data.item_ids.ids))
    return matched(_texts(data, by, where), _texts(other.data, by, where))


def _texts(data: Dataset, by: str, where: str) -> list[str | None]:
    items = data.items
    if by in items.texts:
        return items.texts[by].to_list()
    if by in items.codes:
        codes = items.codes[by].first(np.arange(items.n))
        levels = items.codes[by].levels
        return [str(levels[code]) if code >= 0 else None for code in codes]
    known = ", ".join([*items.texts, *items.codes])
    raise InputError(f"{where}: no text or category {by!r} on both sides; there are {known}")
