"""Vectors of items that were learned on another log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from shortlist.data.dataset import Dataset
from shortlist.types import Float32, Int32

ELSEWHERE = "elsewhere"
"""What ``Dataset.extra`` calls them: {(path, attribute that items are matched by or None): Elsewhere}."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a bundle knows of this log's items."""

    item: Int32  # [m] codes of this log
    vector: Float32  # [m, f]
    fitted_until: int  # the last moment that the other log tells of, microseconds

    def __post_init__(self) -> None:
        assert self.vector.shape[0] == len(self.item)


def learned_elsewhere(data: Dataset) -> dict[str, int]:
    """What a manifest keeps of it: by path, the last moment that the bundle there knew of."""
    return {path: known.fitted_until for (path, _), known in data.extra.get(ELSEWHERE, {}).items()}


def knowing(data: Dataset, learned: Mapping[str, int]) -> Dataset:
    """The log as one whose channels learned from there, without the vectors: to be asked, not to be learned from."""
    none, empty = np.empty(0, np.int32), np.empty((0, 0), np.float32)
    found = {(path, None): Elsewhere(none, empty, until) for path, until in learned.items()}
    return replace(data, extra={**data.extra, ELSEWHERE: found}) if found else data


def from_later(data: Dataset, moment: int) -> bool:
    """Whether vectors that the log's channels start from know of what came at ``moment`` or later."""
    return any(known.fitted_until >= moment for known in data.extra.get(ELSEWHERE, {}).values())


def matched(ours: list[str | None], theirs: list[str | None]) -> tuple[Int32, Int32]:
    """(own rows, other rows) with one and the same text; texts that stand twice on a side match nothing."""
    own, other = _once(ours), _once(theirs)
    common = [text for text in own if text in other]
    return np.array([own[t] for t in common], np.int32), np.array([other[t] for t in common], np.int32)


def _once(texts: list[str | None]) -> dict[str, int]:
    rows: dict[str, int] = {}
    twice: set[str] = set()
    for row, text in enumerate(texts):
        if text is None or not (text := " ".join(text.casefold().split())):
            continue
        if text in rows:
            twice.add(text)
        rows[text] = row
    return {text: row for text, row in rows.items() if text not in twice}
