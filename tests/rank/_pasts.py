"""Made-up histories in which something of what was done, or when, or in which order, tells the label."""

from __future__ import annotations

import numpy as np

from shortlist.types import Candidates, Ragged, Requests, Samples

DAY = 86_400_000_000
GROUPS, ITEMS = 8, 40
"""Item i is of group i modulo ``GROUPS``."""


def asked(past, event, age, item, label, seed):
    """Requests of ``past`` [n, w] and ``age`` [n, w] microseconds, oldest first, each with the rows ``item`` [n, r]."""
    n, w = past.shape
    time = 1000 * 365 * DAY + np.arange(n)
    columns = {
        "item": past.ravel().astype(np.int32),
        "event": event.ravel().astype(np.int16),
        "value": np.full(n * w, np.nan, np.float32),
        "time": (time[:, None] - age).ravel().astype(np.int64),
        "weight": np.ones(n * w, np.float32),
    }
    requests = Requests.of(np.zeros(n), time, Ragged(np.arange(n + 1) * w, columns))
    request = np.repeat(np.arange(n, dtype=np.uint32), item.shape[1])
    noise = np.random.default_rng(seed + 100).normal(size=len(request)).astype(np.float32)
    rows = Candidates(request, item.ravel().astype(np.int32), {"noise": noise})
    return Samples(requests, rows, {"click": label.ravel().astype(np.float32)}, np.ones(len(request), np.float32))


def of_groups(rng, group):
    """An item of each group."""
    return group + GROUPS * rng.integers(0, ITEMS // GROUPS, group.shape)


def scaled(rng, n, w):
    """Ages [n, w], oldest first: of a request minutes, of another years, so that none alone says what came last."""
    unit = 10 ** rng.uniform(8, 12, (n, 1))
    return np.sort(rng.uniform(0.2, 1, (n, w)), 1)[:, ::-1] * unit


def bought_lately(n=1500, each=6, w=10, seed=0):
    """The label is whether an item of the target's group was bought (behaviour 1) within three days.

    What was bought, when, and how long ago are drawn apart from each other, so that no mean of the items, of the
    behaviours or of the ages says which item it was that was bought, nor when.
    """
    rng = np.random.default_rng(seed)
    age = -np.sort(-rng.integers(1, 6 * 24, (n, w)) * (DAY // 24), axis=1)
    past, bought = rng.integers(0, ITEMS, (n, w)), rng.integers(0, 2, (n, w))
    item = rng.integers(0, ITEMS, (n, each))
    counts = (bought == 1) & (age < 3 * DAY)
    label = (counts[:, None] & (past[:, None] % GROUPS == item[:, :, None] % GROUPS)).any(2)
    return asked(past, bought, age, item, label, seed)


def drifted(n=1500, each=6, w=10, seed=0):
    """An interest gives way to another at some moment; right is the one that it has become, not the one it was.

    Of a third of the rows the item is of the later group, of a third of the earlier, of a third of any.
    """
    rng = np.random.default_rng(seed)
    two = np.argsort(rng.random((n, GROUPS)), 1)[:, :2]
    later = np.arange(w) >= rng.integers(2, w - 1, (n, 1))
    group = np.where(later, two[:, 1:], two[:, :1])
    group = np.where(rng.random((n, w)) < 0.1, rng.integers(0, GROUPS, (n, w)), group)
    which = rng.integers(0, 3, (n, each))
    wanted = np.where(which == 0, two[:, 1:], np.where(which == 1, two[:, :1], rng.integers(0, GROUPS, (n, each))))
    label = wanted == two[:, 1:]
    return asked(of_groups(rng, group), np.zeros((n, w)), scaled(rng, n, w), of_groups(rng, wanted), label, seed)


def last_word(n=1500, each=6, groups=4, seed=0):
    """Of each of some groups two items were met, one liked (behaviour 1) and one not; right is what was liked last.

    Both were, of whatever group: only their order tells.
    """
    rng = np.random.default_rng(seed)
    w = 2 * groups
    chosen = np.argsort(rng.random((n, GROUPS)), 1)[:, :groups]
    place = np.argsort(rng.random((n, w)), 1)
    group = np.take_along_axis(np.repeat(chosen, 2, 1), place, 1)
    first = np.zeros((n, w), bool)
    for g in range(GROUPS):
        mine = group == g
        first |= mine & (np.cumsum(mine, 1) == 1)
    up = rng.integers(0, 2, (n, GROUPS))  # whether the later of the two was liked
    event = np.where(first, 1 - np.take_along_axis(up, group, 1), np.take_along_axis(up, group, 1))
    target = np.take_along_axis(chosen, rng.integers(0, groups, (n, each)), 1)
    label = np.take_along_axis(up, target, 1)
    return asked(of_groups(rng, group), event, scaled(rng, n, w), of_groups(rng, target), label, seed)
