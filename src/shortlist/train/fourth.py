"""The window before the last: rankers that learned on three fifths are judged on the fourth.

The last fifth alone is few requests of few days. The rows of the fourth are made for learning anyway; here they are
kept whole on the way, before negatives are left out, so that no feature is computed twice. Rows of the first three
fifths are those learned from, with other labels: what was done from the beginning of the fourth on is not known there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shortlist.data import Behaviours
from shortlist.data.protocol import Questions
from shortlist.recipe import POSITIVE, Recipe
from shortlist.train.samples import Labels, good_rows, joined, labelled
from shortlist.types import Array, Bool, Candidates, Samples

FEWEST = 30
"""Requests without which a window says nothing."""


def is_asked(recipe: Recipe) -> bool:
    """Whether something is chosen, by requests that stand in an order of time and are those learned from.

    Not where ``serve`` names an order, where rows were shown, or where the test asks all at one moment.
    """
    chosen = recipe.serve == "best" or (recipe.serve == "rank" and len(recipe.rankers) > 1)
    return chosen and recipe.samples.source == "funnel" and not (recipe.learned.once or recipe.evaluate.once)


@dataclass(frozen=True, slots=True)
class Fourth:
    """Whole rows of the fourth fifth, kept while those of four fifths are made to be learned from."""

    learned: Questions  # of the first three fifths, in which nothing from the fourth on is right
    judged: Questions
    whole: list[Candidates] = field(default_factory=list)  # of ``judged``, batch by batch

    @staticmethod
    def of(questions: Questions) -> Fourth:
        """From the questions of four fifths, in order of time; those of one moment are not parted."""
        times = questions.requests.time
        asked = int(times[len(questions) * 3 // 4])
        first = int(np.searchsorted(times, asked))
        learned, judged = (questions.take(part) for part in np.split(np.arange(len(questions)), [first]))
        return Fourth(learned.until(asked + 1), judged)  # a request stands a microsecond before its moment

    def hear(self, rows: Candidates) -> None:
        """Keeps those of the fourth fifth."""
        first = np.uint32(len(self.learned))
        rows = rows.take(np.flatnonzero(rows.request >= first))
        if len(rows):
            self.whole.append(Candidates(rows.request - first, rows.item, rows.columns))

    @contextmanager
    def samples(self, made: Samples, recipe: Recipe, behaviours: Behaviours) -> Iterator[tuple[Samples, Samples]]:
        """(what is learned from, what is judged), from the rows of four fifths; the whole rows are used up.

        A row that was right and is not known to be is kept as often as any other that is wrong, and requests that then
        teach nothing are left out, both as if rows had been made of ``learned``. ``made`` has no columns meanwhile.
        """
        n, labels = len(self.learned), recipe.samples.labels
        first = slice(int(np.searchsorted(made.candidates.request, n)))  # the rows of the first three fifths
        rows, known = made.candidates.take(first), {name: label[first] for name, label in made.labels.items()}
        found = labelled(rows, self.learned, labels, behaviours)
        right = good_rows(found)
        kept = right | ~good_rows(known) | (np.random.default_rng(recipe.seed).random(len(rows)) < made.rate)
        if recipe.samples.negatives:
            kept &= (np.bincount(rows.request[right], minlength=n) > 0)[rows.request]
        found = {name: label[kept] for name, label in found.items()}
        requests, weight = made.requests.take(np.arange(n)), made.weight[first][kept]
        del rows
        with lent(made.candidates, np.append(kept, np.zeros(len(made) - len(kept), bool))) as learned:
            yield Samples(requests, learned, found, weight, made.rate), self._whole(labels, behaviours)

    def _whole(self, labels: Labels, behaviours: Behaviours) -> Samples:
        whole = joined(self.whole)
        found = labelled(whole, self.judged, labels, behaviours)
        return Samples(self.judged.requests, whole, found, np.ones(len(whole), np.float32))

    def lacks(self, last: int, learned: Samples | None = None) -> str:
        """Why it says nothing beside a last fifth of ``last`` requests, in words; empty where it does."""
        taught = len(self.learned)
        if learned is not None:
            taught = len(np.unique(learned.candidates.request[learned.labels[POSITIVE] > 0]))
        for number, what in (
            (len(self.judged), "the fourth has {} requests"),
            (last, "it has {} requests"),
            (taught, "the first three have {} requests to learn from"),
        ):
            if number < FEWEST:
                return f"{what.format(number)}, expected {FEWEST}"
        return ""


@contextmanager
def lent(rows: Candidates, chosen: Bool) -> Iterator[Candidates]:
    """The ``chosen`` [m] of the rows; until the block ends ``rows`` has no columns, so that none is there twice.

    Its columns are a ``dict`` that nobody else reads at the time.
    """
    columns: Any = rows.columns
    mine, others = dict[str, Array](), dict[str, Array]()
    for name in list(columns):
        column = columns.pop(name)
        mine[name], others[name] = column[chosen], column[~chosen]
        del column
    try:
        yield Candidates(rows.request[chosen], rows.item[chosen], mine)
    finally:
        for name, part in mine.items():
            columns[name] = np.empty((len(rows), *part.shape[1:]), part.dtype)
            columns[name][chosen], columns[name][~chosen] = part, others.pop(name)
