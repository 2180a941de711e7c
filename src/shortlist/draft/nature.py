"""What a log is like: what decides which channels, features and rules a draft begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shortlist.data import Dataset
from shortlist.data.protocol import Questions
from shortlist.types import keys

DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Nature:
    """Counts of the log, and what the right answers of the window for choosing are."""

    events: int
    users: int
    items: int  # that have events
    days: float  # from the first event to the last
    per_user: float  # events of the middle user
    behaviours: int
    repeats: float  # share of the right answers that the user took before
    new: float  # share of the right answers that nobody took before the window
    strangers: float  # share of the requests of users without any history
    attributes: bool  # of items
    people: bool  # attributes of users

    @staticmethod
    def of(data: Dataset, known: Dataset, questions: Questions) -> Nature:
        """Of a log, what is ``known`` when the window opens, and the window's questions before any rule."""
        log = data.events
        counts = data.user_counts("all")
        targets, history = questions.targets, questions.requests.history
        wanted = keys(targets.rows, targets["item"])
        before = np.isin(wanted, keys(history.rows, history["item"]))
        met = np.zeros(data.n_items, bool)
        met[known.events.item] = True
        return Nature(
            events=len(log),
            users=int(np.sum(counts > 0)),
            items=len(np.unique(log.item)),
            days=float(log.time[-1] - log.time[0]) / DAY if len(log) else 0.0,
            per_user=float(np.median(counts[counts > 0])) if len(log) else 0.0,
            behaviours=len(data.behaviours.names),
            repeats=float(before.mean()) if len(before) else 0.0,
            new=float(np.mean(~met[targets["item"]])) if len(wanted) else 0.0,
            strangers=float(np.mean(history.lengths == 0)) if len(questions) else 0.0,
            attributes=bool(data.items.codes or data.items.numbers or data.items.dated),
            people=bool(data.users.codes or data.users.numbers or data.users.dated),
        )

    def told(self) -> list[str]:
        """What a person wants to know of it, a line each."""
        return [
            f"{self.events:,} events of {self.users:,} users with {self.items:,} items in {self.days:,.1f} days; "
            f"the middle user has {self.per_user:g}",
            f"of what users take next, {self.repeats:.0%} they took before, and {self.new:.0%} is new to the log; "
            f"{self.strangers:.0%} of the requests come from users without a history",
        ]
