"""The column ``reason``: why a rule put a row where it is, as text for people.

A fixed-width string array, empty where no rule has anything to say; several reasons are joined by "; ".
"""

from __future__ import annotations

import numpy as np

from shortlist.types import Array, Bool, Candidates


def reason_of(candidates: Candidates) -> Array:
    """[m]: what rules have said so far."""
    return candidates["reason"] if "reason" in candidates else np.zeros(len(candidates), "<U1")


def because(candidates: Candidates, mask: Bool, text: str) -> Candidates:
    """The rows with ``text`` added to the reason of those in ``mask`` [m]."""
    return each(candidates, mask, ["", text])


def each(candidates: Candidates, which: Array, texts: list[str]) -> Candidates:
    """The rows with ``texts[which]`` [m] added to their reasons; the first text is empty and adds nothing."""
    old, rows = reason_of(candidates), np.flatnonzero(which)
    if not len(rows):
        return candidates.with_columns(reason=old)
    spoken = zip(old[rows].tolist(), which[rows].tolist(), strict=True)
    said = np.array([f"{before}; {texts[k]}" if before else texts[k] for before, k in spoken])
    new = old.astype(max(old.dtype, said.dtype, key=lambda dtype: dtype.itemsize))
    new[rows] = said
    return candidates.with_columns(reason=new)


def placed(candidates: Candidates, order: Array, forward: str, back: str = "") -> Candidates:
    """The rows in ``order`` [m]; who overtook another one is told why, and who was overtaken."""
    rows = candidates.take(order)
    m = len(order)
    if not m:
        return each(rows, order, ["", forward, back])
    later = np.minimum.accumulate(order[::-1])[::-1]  # the first in the old list of all that now follow
    ahead = np.maximum.accumulate(order)
    return each(rows, np.where(order > later, 1, np.where(order < ahead, 2, 0)), ["", forward, back])
