"""A synthetic log of any size, in which popularity and taste drift: what is popular fades and people change their mind.

Items have a power-law appeal (rank^-0.8), are born one after the other and fade with their own half-life; each belongs
to one of 200 subjects. Users have a Pareto activity and two subjects at a time; they change one of them now and then.
Nine events in ten are of an item of one's subjects, drawn by appeal at that moment, the others of anything.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shortlist.data import Dataset
from shortlist.data.build import available_from
from shortlist.data.events import Behaviours, Events
from shortlist.data.table import Table
from shortlist.data.vocab import Vocab

USERS, ITEMS, SUBJECTS, EPOCHS = 100_000, 50_000, 200, 60
DAY = 86_400_000_000
START = 1_700_000_000_000_000


def columns(events: int, users: int = USERS, items: int = ITEMS, seed: int = 0) -> tuple[np.ndarray, ...]:
    """user, item [events] int32 and time [events] int64, ascending, over 60 days (one epoch a day)."""
    rng = np.random.default_rng(seed)
    subjects = min(SUBJECTS, max(2, items // 20))
    appeal = rng.permutation(np.arange(1, items + 1) ** -0.8)
    born = rng.uniform(-0.5 * EPOCHS, EPOCHS * 0.95, items)
    fade = rng.lognormal(np.log(20), 1, items)  # days to half the appeal
    subject = rng.integers(0, subjects, items)
    active = rng.pareto(1.5, users) + 1
    liked = rng.integers(0, subjects, (users, 2))
    size = np.diff(np.linspace(0, events, EPOCHS + 1).astype(int))
    user, item, time = [], [], []
    by_subject = np.argsort(subject, kind="stable")
    bounds = np.searchsorted(subject[by_subject], np.arange(subjects + 1))
    for epoch in range(EPOCHS):
        m = int(size[epoch])
        now = appeal * np.where(born <= epoch, 0.5 ** (np.maximum(epoch - born, 0) / fade), 0)
        moved = rng.random(users) < 0.05
        liked[moved, rng.integers(0, 2, int(moved.sum()))] = rng.integers(0, subjects, int(moved.sum()))
        who = np.searchsorted(np.cumsum(active) / active.sum(), rng.random(m)).astype(np.int32)
        wants = liked[who, rng.integers(0, 2, m)]
        running = np.concatenate([[0], np.cumsum(now[by_subject])])
        low, high = running[bounds[wants]], running[bounds[wants + 1]]
        astray = (rng.random(m) < 0.1) | (high <= low)
        low[astray], high[astray] = 0, running[-1]
        place = np.searchsorted(running, low + rng.random(m) * (high - low), side="right") - 1
        user.append(who)
        item.append(by_subject[np.clip(place, 0, items - 1)].astype(np.int32))
        time.append(START + epoch * DAY + np.sort(rng.integers(0, DAY, m)))
    return np.concatenate(user), np.concatenate(item), np.concatenate(time).astype(np.int64)


def dataset(events: int, folder: Path, users: int = USERS, items: int = ITEMS) -> Dataset:
    """The log as a coded dataset; its columns are made once and kept in ``folder``."""
    files = [folder / f"{events}.{name}.npy" for name in ("user", "item", "time")]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        for file, column in zip(files, columns(events, users, items), strict=True):
            np.save(file, column)
    user, item, time = (np.load(file, mmap_mode="r") for file in files)
    kinds = Behaviours(("view",), np.ones(1, np.float32), np.full(1, -np.inf, np.float32))
    event, value = np.zeros(events, np.int16), np.full(events, np.nan, np.float32)
    log = Events(np.array(user), np.array(item), event, value, np.array(time), np.ones(events, np.float32))
    names = [Vocab([f"{n:06d}" for n in range(count)]) for count in (users, items)]
    empty = [Table.of(None, kind, {}, vocab, {}) for kind, vocab in zip(("user", "item"), names, strict=True)]
    return Dataset(log, kinds, *names, *empty, available_from(log, empty[1]))
