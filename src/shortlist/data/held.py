"""Events held out by user or by chance instead of by time: leave-one-out and random shares, as papers report them.

Every event has a role: learned from, validation (merge, rankers and ``tune`` are chosen on it) or test. Such a split
needs no times, and it is *not time-true*: what other people did after the event in question is known. All of a user's
own held-out events are hidden until they are asked for.

The log is told again as it was known: held-out events stand behind its end, at one moment, or are gone. Whoever reads
it asks everybody at that moment, so nothing that learns or counts needs to know of roles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from shortlist.component import InputError
from shortlist.data.build import available_from
from shortlist.data.dataset import Dataset
from shortlist.data.events import Events
from shortlist.data.protocol import DAY
from shortlist.types import Array, Bool

LEARNED, VALIDATION, TEST = 0, 1, 2
NOT_TIME_TRUE = "not time-true"
"""What is said of every figure that comes of such a split."""
FEWEST = 3
"""Positive events a user must have to be asked for the last: one to learn from, one to choose on, one to ask for."""

Part = Literal["tune", "rank", "test"]


def last(events: Events) -> Array:
    """[m] role of each event: test is a user's last positive one, validation the one before it.

    What the user did between the two belongs to the first of them, what came later to the second. Of equal times the
    order of the log decides. Users with fewer than ``FEWEST`` positive events are learned from alone.
    """
    known = np.flatnonzero(events.user >= 0)
    rows = known[np.argsort(events.user[known], kind="stable")]
    user, good = events.user[rows], events.weight[rows] > 0
    total = np.bincount(user, weights=good, minlength=1).astype(np.int64)
    mine = np.cumsum(good) - (np.cumsum(total) - total)[user]  # positive ones of the user up to here
    total = total[user]
    roles = np.zeros(len(events), np.int8)
    roles[rows[(mine == total - 1) & (total >= FEWEST)]] = VALIDATION
    roles[rows[(mine == total) & (total >= FEWEST)]] = TEST
    return roles


def share(events: Events, part: float, seed: int) -> Array:
    """[m] role of each event: ``part`` of those with a user, at random, is test; ``part`` of the others validation."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(events.user >= 0))
    test = round(part * len(rows))
    roles = np.zeros(len(events), np.int8)
    roles[rows[:test]] = TEST
    roles[rows[test : test + round(part * (len(rows) - test))]] = VALIDATION
    return roles


def moment(data: Dataset) -> int:
    """Where the held-out events stand: everybody is asked 1 microsecond before, the first midnight after the log.

    Lists that are made anew every hour or every day, such as those of ``popular``, have then seen all of it.
    """
    return -(-int(data.events.time[-1]) // DAY) * DAY + 1


def seen_from(data: Dataset, roles: Array, part: Part, ranked: bool, seed: int) -> Dataset:
    """The log as it is known in one part of the work; what is to be found stands at ``moment`` and is alone there.

    Parts of one kind do not overlap: a third of the users' validation events is for the merge and ``tune``
    (``"tune"``), two thirds are for rankers (``"rank"``), or all are for the merge where nothing is ``ranked``. In both
    parts all validation and test events are hidden from what is learned. In ``"test"`` the validation events are known.

    Raises ``InputError`` for a log that says what was shown, or that tells of items or users: both would tell of the
    hidden events.
    """
    for name, table in (("items", data.items), ("users", data.users)):
        if table.dated:
            raise InputError(
                f"data.{name}.columns.{next(iter(table.dated))}: what the log tells comes of the events held out as "
                "well; leave it out, or split by time"
            )
    if data.exposures is not None:
        raise InputError("data.exposures: what was shown tells of the events held out; leave it out, or split by time")
    events = data.events
    held, known = roles == TEST, roles != TEST
    if part != "test":
        merges = _thirds(data.n_users, seed)[events.user] | (not ranked)
        held, known = (roles == VALIDATION) & (merges == (part == "tune")), roles == LEARNED
    told = events.take(np.concatenate([np.flatnonzero(known), np.flatnonzero(held)]))
    behind = np.arange(len(told)) >= np.sum(known)
    told = replace(told, time=np.where(behind, moment(data), told.time))
    return replace(data, events=told, available_from=available_from(told, data.items))


def _thirds(n: int, seed: int) -> Bool:
    """[n + 1]: whether a user is of the third that the merge learns from; nobody, -1, is not."""
    return np.append(np.random.default_rng(seed).permutation(n) % 3 == 0, False)
