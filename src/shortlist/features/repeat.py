"""What the user did with this very item before."""

from __future__ import annotations

import numpy as np

from shortlist.component import Feature
from shortlist.data import State
from shortlist.durations import UNITS, Duration
from shortlist.features import _history
from shortlist.types import Array, Candidates, Requests

COLUMNS = ("events", "positive", "decayed", "last")


class Repeat(Feature):
    """The user's own past with the candidate: how often, how well, how long ago.

    ``events`` and ``positive`` = log(1 + count) in the history; ``decayed`` = sum of 2^(-(time - t) / half_life) over
    those events; ``last`` = log(1 + hours since the latest), NaN if there was none. Use it where people buy or play the
    same thing again; where the rules drop what was seen it is a column of zeros.

    Source: Anderson, Kumar, Tomkins and Vassilvitskii (2014), The dynamics of repeat consumption.
    """

    half_life: Duration = 7 * UNITS["d"]
    """After this long an event counts half in ``decayed``."""

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``repeat.*``, each [m]."""
        out = np.empty((len(COLUMNS), len(candidates)), np.float32)
        first, half_life = candidates.offsets(len(requests)), float(self.half_life)
        past = _history.Past.of(requests)
        _history.own(past, requests.time, half_life, float(UNITS["h"]), first, candidates.item, out)
        return {f"repeat.{name}": column for name, column in zip(COLUMNS, out, strict=True)}
