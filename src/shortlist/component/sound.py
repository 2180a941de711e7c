"""Whether what a component learned can be used."""

from __future__ import annotations

import numpy as np

from shortlist.component.component import Component
from shortlist.component.stages import Retriever
from shortlist.types import InputError

MODERATE = 1e7
"""No number that a channel learned is larger: vectors of such a length have run away, though they are still finite."""


_REMEDY = "lower its rate, or the strengths of events"


def refuse_unsound(name: str, part: Component) -> None:
    """Raises ``InputError`` where a number that ``part`` learned is not finite, or of a channel beyond ``MODERATE``."""
    for key, array in part.state().items():
        if array.dtype.kind != "f" or not array.size:
            continue
        limit = MODERATE if isinstance(part, Retriever) and array.dtype == np.float32 else np.inf
        low, high = float(array.min()), float(array.max())  # NaN if any is
        if not (np.isfinite(low) and np.isfinite(high)):
            lost = int(np.sum(~np.isfinite(array)))
            raise InputError(f"{name}: {lost:,} of {array.size:,} learned numbers ({key}) are not finite; {_REMEDY}")
        if max(-low, high) > limit:
            raise InputError(f"{name}: learned numbers ({key}) as large as {max(-low, high):.2g}; {_REMEDY}")
