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
    return each(candidates, mask.astype(np.int64), ["", text])


def each(candidates: Candidates, which: Array, texts: list[str]) -> Candidates:
    """The rows with ``texts[which]`` [m] added to their reasons; an empty text adds nothing."""
    old, text = reason_of(candidates), np.array(texts, np.str_)
    if not which.any() and not texts[0]:
        return candidates.with_columns(reason=old)
    # whoever has spoken before is few: there are only so many distinct reasons, and joining them is dear
    spoken = np.flatnonzero((old != "") & (text != "")[which])
    new = np.where(old == "", text[which], old)
    if len(spoken):
        joined = np.array(
            [f"{a}; {b}" for a, b in zip(old[spoken].tolist(), text[which[spoken]].tolist(), strict=True)]
        )
        new = new.astype(np.promote_types(new.dtype, joined.dtype))
        new[spoken] = joined
    return candidates.with_columns(reason=new)


def placed(candidates: Candidates, order: Array, forward: str, back: str = "") -> Candidates:
    """The rows in ``order`` [m]; who overtook another one is told why, and who was overtaken."""
    rows = candidates.take(order)
    m = len(order)
    if not m:
        return each(rows, np.zeros(0, np.int64), ["", forward, back])
    later = np.minimum.accumulate(order[::-1])[::-1]  # the first in the old list of all that now follow
    ahead = np.maximum.accumulate(order)
    return each(rows, np.where(order > later, 1, np.where(order < ahead, 2, 0)), ["", forward, back])
