"""The window before the last: rankers that learned on three fifths are judged on the fourth.

The last fifth alone is few requests of few days. The rows of the fourth are made for learning anyway; here they are
kept whole on the way, before negatives are left out, so that no feature is computed twice. Rows of the first three
fifths are those learned from, with other labels: what was done from the beginning of the fourth on is not known there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shortlist.data import Behaviours
from shortlist.data.protocol import Questions
from shortlist.recipe import POSITIVE, Recipe
from shortlist.train.samples import good_rows, joined, labelled
from shortlist.types import Candidates, Samples

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

    def samples(self, made: Samples, recipe: Recipe, behaviours: Behaviours) -> tuple[Samples, Samples]:
        """(what is learned from, what is judged), from the rows of four fifths; the whole rows are used up.

        A row that was right and is not known to be is kept as often as any other that is wrong, and requests that then
        teach nothing are left out, both as if rows had been made of ``learned``.
        """
        labels = recipe.samples.labels
        learned, whole = self._relabelled(made, recipe, behaviours), joined(self.whole)
        found = labelled(whole, self.judged, labels, behaviours)
        return learned, Samples(self.judged.requests, whole, found, np.ones(len(whole), np.float32))

    def _relabelled(self, made: Samples, recipe: Recipe, behaviours: Behaviours) -> Samples:
        n = len(self.learned)
        first = slice(int(np.searchsorted(made.candidates.request, n)))  # their rows, of which no copy is made
        rows, known = made.candidates.take(first), {name: label[first] for name, label in made.labels.items()}
        labels = labelled(rows, self.learned, recipe.samples.labels, behaviours)
        right = good_rows(labels)
        kept = right | ~good_rows(known) | (np.random.default_rng(recipe.seed).random(len(rows)) < made.rate)
        if recipe.samples.negatives:
            kept &= (np.bincount(rows.request[right], minlength=n) > 0)[rows.request]
        labels = {name: label[kept] for name, label in labels.items()}
        requests = made.requests.take(np.arange(n))
        return Samples(requests, rows.take(kept), labels, made.weight[first][kept], made.rate)

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
