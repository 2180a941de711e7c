"""Vectors of items that were learned on another log."""

from __future__ import annotations

from dataclasses import dataclass

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
