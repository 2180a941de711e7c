"""Samples from a plain table: one row is one request with one candidate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shortlist.types import Array, Candidates, Requests, Samples


def plain_samples(columns: Mapping[str, Array], label: Array, name: str = "label") -> Samples:
    """Samples whose request r has the single candidate r with item -1, user -1 and time 0, all weights 1.

    ``columns`` are feature columns [m]: floats are numbers (NaN = missing), integers are codes (-1 = missing).
    """
    m = len(label)
    requests = Requests.of(np.full(m, -1, np.int32), np.zeros(m, np.int64))
    candidates = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), dict(columns))
    return Samples(requests, candidates, {name: np.asarray(label, np.float32)}, np.ones(m, np.float32))
