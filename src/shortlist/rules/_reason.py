"""The column ``reason``: why a rule put a row where it is, as text for people.

A fixed-width string array, empty where no rule has anything to say; several reasons are joined by "; ".
"""

from __future__ import annotations

import numpy as np

from shortlist.types import Bool, Candidates


def because(candidates: Candidates, mask: Bool, text: str) -> Candidates:
    """The rows with ``text`` added to the reason of those in ``mask`` [m]."""
    old = candidates["reason"] if "reason" in candidates else np.zeros(len(candidates), "<U1")
    if not mask.any():
        return candidates.with_columns(reason=old)
    new = np.where(old == "", text, np.strings.add(np.strings.add(old, "; "), text))
    return candidates.with_columns(reason=np.where(mask, new, old))
