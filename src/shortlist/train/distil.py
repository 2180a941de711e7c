"""A pre-ranker that learns the ranker's order instead of labels: which rows it learns from, and what is said of each.

A label tells one right row of a list from all others; a ranker has an opinion of every row, and it is its opinion of
the best that a pre-ranker must not lose. The teacher is the ranker that is served. It learned on four fifths of the
window from whole lists, and teaches its order of the last fifth's whole lists before it learns again from all: of rows
that it was fitted on its scores would say again what their labels say. The labels of the last fifth stop and choose the
teacher, as they do without a pupil; nobody learns them before it has taught.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shortlist.component import Ranker, ReadsItems, refuse_unsound
from shortlist.data import State
from shortlist.pipeline import Pipeline
from shortlist.pipeline.coarse import is_taught
from shortlist.progress import step
from shortlist.recipe import POSITIVE, Recipe
from shortlist.train.choice import MERGE, Choice
from shortlist.train.samples import from_funnel, thinned
from shortlist.types import Candidates, Float32, Samples

if TYPE_CHECKING:
    from shortlist.train.rankers import RankerSamples

DEEPEST = 100
"""The teacher's places that count: with those below it the pre-ranker loses nothing that is shown."""
DECAY = 30.0
"""Places in which what a row is worth falls to 1 / e."""
GRADES = 4
"""The grade of the first place, for pre-rankers that learn an order."""


def untaught(pipeline: Pipeline, recipe: Recipe) -> Pipeline:
    """The pipeline that rankers learn with: without a pre-ranker where it is to be taught by one of them."""
    pupil = pipeline.prerank
    return pipeline if pupil is None or not is_taught(recipe.prerank or {}, pupil) else replace(pipeline, prerank=None)


def teacher(choice: Choice, serve: str) -> str:
    """The ranker that ``serve`` names, else the best or the average of those alike, better than the merge or not."""
    return choice.served("rank" if serve in ("best", MERGE) else serve) or choice.best()


def teach(pipeline: Pipeline, recipe: Recipe, made: RankerSamples, ranker: Ranker, state: State) -> None:
    """Fits the pre-ranker on the order that a ranker fitted on ``made`` gives to the lists of its later part.

    Slates that were shown are no whole lists: where rankers learn from these, lists are found for the same requests.
    """
    pupil, asked = pipeline.prerank, made.questions
    assert pupil is not None
    if recipe.samples.source != "funnel":
        found = from_funnel(untaught(pipeline, recipe), asked, state, title="lists to learn an order of")
        made = replace(made, served=found)
    scored = made.scored(ranker, state)
    read = pipeline.read_coarsely(asked.requests.take(np.arange(min(4, len(asked)))), state)
    lists = replace(made.served, candidates=made.served.candidates.select(read))
    with step("fit the pre-ranker to the ranker's order"):
        if isinstance(pupil, ReadsItems):
            pupil.read_items(made.items)
        pupil.fit(*taught(lists, scored, pupil, recipe.samples.negatives, recipe.seed))
    refuse_unsound("prerank", pupil)


def worth(place: Float32) -> Float32:
    """[m]: e^(-(place - 1) / DECAY) down to ``DEEPEST``, below it 0; places count from 1.

    Source: Tang, Wang (2018), Ranking Distillation: the teacher's first K as positives, weighed by their place.
    """
    return np.where(place <= DEEPEST, np.exp((1 - place) / DECAY), 0).astype(np.float32)


def taught(lists: Samples, scored: Candidates, pupil: Ranker, negatives: int, seed: int) -> tuple[Samples, Samples]:
    """(what the pre-ranker learns from, the later fifth of it to stop by): ``lists`` as the teacher ``scored`` them.

    Of each list the teacher's first ``DEEPEST`` rows and ``negatives`` random others (0 = all). The label of a row is
    what its place is ``worth``: where the pupil ``predicts``, as a soft label, else as a grade of 0 to ``GRADES``.
    """
    place = scored.rank_of().astype(np.float32)
    marked = replace(lists, labels={POSITIVE: worth(place)})
    if negatives:
        marked = thinned(marked, negatives, 0, seed)
    n = len(marked.requests)
    first = max(n * 4 // 5, min(n, 1))
    told = soft if pupil.predicts else graded
    return told(marked.take(np.arange(first))), told(marked.take(np.arange(first, n)))


def soft(samples: Samples) -> Samples:
    """Labels y between 0 and 1 for whoever learns from weights: a row is right with weight y and wrong with 1 - y.

    The log loss of both is -y log p - (1 - y) log(1 - p), the cross-entropy with the soft label.
    Source: Hinton, Vinyals, Dean (2015), Distilling the Knowledge in a Neural Network.
    """
    y = samples.labels[POSITIVE]
    right, wrong = np.flatnonzero(y > 0), np.flatnonzero(y < 1)
    rows = np.concatenate([right, wrong])
    order = np.argsort(rows, kind="stable")
    rows, label = rows[order], np.repeat(np.array([1, 0], np.float32), [len(right), len(wrong)])[order]
    weight = samples.weight[rows] * np.where(label > 0, y[rows], 1 - y[rows])
    return replace(samples, candidates=samples.candidates.take(rows), labels={POSITIVE: label}, weight=weight)


def graded(samples: Samples) -> Samples:
    """Labels between 0 and 1 as whole numbers up to ``GRADES``."""
    return replace(samples, labels={POSITIVE: np.rint(GRADES * samples.labels[POSITIVE])})
