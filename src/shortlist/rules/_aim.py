"""What rules say of a slate when they are asked how far it is from their aim (``HasAim``)."""

from __future__ import annotations

import numpy as np

from shortlist.types import Bool, Candidates, Float64


def share(mask: Bool, rows: Candidates, n: int) -> Float64:
    """[n]: the share of the rows of each of ``n`` requests where ``mask`` [m] is true; NaN without rows."""
    with np.errstate(invalid="ignore"):
        return np.bincount(rows.request, mask, n) / np.bincount(rows.request, minlength=n)
