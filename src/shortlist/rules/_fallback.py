"""Which rows are the fallback's."""

from __future__ import annotations

import numpy as np

from shortlist.types import Bool, Candidates


def fallback_of(candidates: Candidates) -> Bool:
    """[m]: rows of the fallback, which no ranker has seen; none where there is no such column."""
    return candidates["fallback"] if "fallback" in candidates else np.zeros(len(candidates), np.bool_)
