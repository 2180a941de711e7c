"""Sessions: what a user did without a long pause, numbered."""

from __future__ import annotations

import numpy as np

from shortlist.types import Array, Int32


def sessions(user: Array, time: Array, gap: int) -> Int32:
    """[m]: which of its user's sessions each event is of, from 0; -1 where nobody is known.

    A pause longer than ``gap`` microseconds begins a new one, whatever was done before and after it. Events [m] are in
    the order of time, so a number comes of what the user did before, and no later event changes it.
    """
    rows = np.flatnonzero(user >= 0)
    rows = rows[np.argsort(user[rows], kind="stable")]
    first = np.append(True, user[rows][1:] != user[rows][:-1])[: len(rows)]
    begun = np.cumsum(first | np.append(True, np.diff(time[rows]) > gap)[: len(rows)])
    number = np.full(len(user), -1, np.int32)
    number[rows] = begun - np.repeat(begun[first], np.diff(np.append(np.flatnonzero(first), len(rows))))
    return number
