"""What part of a slate is so."""

from __future__ import annotations

import numpy as np

from shortlist.types import Array, Candidates, Float64


def share_of(mask: Array, slate: Candidates, n: int) -> Float64:
    """[n]: mean of ``mask`` [m] over the rows of each of ``n`` requests; NaN of an empty slate."""
    size = np.bincount(slate.request, minlength=n)
    return np.divide(np.bincount(slate.request, mask, n), size, out=np.full(n, np.nan), where=size > 0)
