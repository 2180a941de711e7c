"""What rankers learn from, how they are fitted and how one is chosen.

Rows of [rank, test) with channels and features fitted at ``rank``; the last fifth by time stops and calibrates, and
chooses together with the fourth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from shortlist.component import InputError, Ranker, ReadsItems, Refits, refuse_unsound
from shortlist.data import Dataset, State, Table
from shortlist.data.exposures import SHOWN_AT
from shortlist.data.protocol import Questions, replay
from shortlist.memory import give_back
from shortlist.pipeline import Pipeline, joined
from shortlist.pipeline.coarse import ByChannel
from shortlist.progress import emit, step
from shortlist.questions import BATCH, answerable, is_target, questions_of, silence, warn_of_few
from shortlist.recipe import POSITIVE, EvaluateSpec, Recipe
from shortlist.train.choice import MERGE, Choice, Judged, Places, worth
from shortlist.train.distil import teach, teacher, untaught
from shortlist.train.exposures import clicked, drawn, exposed, scored, unplaced
from shortlist.train.fourth import Fourth, is_asked
from shortlist.train.samples import from_funnel, thinned, weighted
from shortlist.types import Bool, Candidates, Float64, Int32, Samples


@dataclass(frozen=True)
class RankerSamples:
    """What every ranker of a recipe learns from, and the later part that stops, chooses and calibrates them."""

    train: Samples
    unweighted: Samples  # the same, every row counting 1
    valid: Samples  # every row of the later part, which is the last fifth
    questions: Questions  # of ``valid``, with all their targets, found by a channel or not
    served: Samples  # ``valid`` as it would be asked for: where a row was shown is not known when it is scored
    items: Table

    def fit(self, ranker: Ranker) -> Ranker:
        """The ranker, fitted on them."""
        return _fitted(ranker, self.items, self.train, self.valid)

    def scored(self, ranker: Ranker, state: State) -> Candidates:
        """The later part's rows with a fitted ranker's columns, ``BATCH`` requests at a time: all at once take a
        gigabyte for every few hundred thousand rows."""
        rows, n = self.served.candidates, len(self.served.requests)
        offsets, parts = rows.offsets(n), []
        for first in range(0, n, BATCH):
            last = min(first + BATCH, n)
            some = rows.take(np.arange(offsets[first], offsets[last]))
            some = replace(some, request=(some.request - np.uint32(first)).astype(np.uint32))
            parts.append(ranker.score(self.served.requests.take(np.arange(first, last)), some, state))
        if not parts:
            return rows.with_columns(score=np.empty(0, np.float32))
        return rows.with_columns(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def ndcg(self, scored: Candidates) -> Float64:
        """[n]: NDCG@10 of the later part's requests by ``score``; NaN where there is no order to get wrong."""
        return worth(scored, self.questions.targets, self.orderable)

    @cached_property
    def orderable(self) -> Bool:
        """[n]: requests of the later part that have a row which is no target: others cannot be ordered wrongly."""
        rows, n = self.valid.candidates, len(self.questions)
        right = np.bincount(rows.request[is_target(rows, self.questions.targets)], minlength=n)
        found = np.bincount(rows.request, minlength=n)
        return (found == 0) | (right < found)


def samples_for_rankers(
    pipeline: Pipeline,
    recipe: Recipe,
    data: Dataset,
    state: State,
    opens: int,
    closes: int,
    like: RankerSamples | None = None,
    judge: Callable[[RankerSamples], object] | None = None,
) -> RankerSamples:
    """The rows of [opens, closes), with channels and features (and the pre-ranker) fitted at ``opens``.

    Where the ranker is to teach the pre-ranker, they are those of a pipeline that has none.

    ``like``: those that were made with this very pipeline, which stays as it is; rows to learn from are made as
    ``recipe.samples`` says now, and judged are the same as before.

    They are the funnel's candidates, or what was shown, as ``recipe.samples`` says. The last fifth of the window's
    questions by time is kept for early stopping and for choices; targets of the earlier part end where it begins.
    ``judge`` is given, before the last fifth is made, three fifths to learn from and the fourth to judge on; they are
    let go of when it returns. Where there is too little for that, a note says so.
    """
    spec = recipe.samples
    if like is None:
        pipeline.fit(data.until(opens))
    pipeline = untaught(pipeline, recipe)
    if spec.source == "exposures":
        sampled, whole, served, valid = _exposed(pipeline, recipe, data, state, opens, closes)
        fourth = None
    else:
        sampled, whole, train, valid = _replayed(pipeline, recipe, data, state, opens, closes, like)
        served, fourth = None, None if judge is None else Fourth.of(train)
        if fourth is not None and (lack := fourth.lacks(len(valid))):
            _left_out(lack)
            fourth = None
    if like is not None:
        samples = _found(sampled())
        return replace(like, train=weighted(samples, **spec.weights), unweighted=samples)
    warn_of_few(valid, "rankers are chosen by")
    if pipeline.prerank is not None and not isinstance(pipeline.prerank, ByChannel):
        learned = weighted(_found(sampled(coarse=True)), **spec.weights)
        _fitted(pipeline.prerank, data.items, learned, whole(coarse=True))
        refuse_unsound("prerank", pipeline.prerank)
    samples = _found(sampled() if fourth is None else sampled(hear=fourth.hear))
    positives = {name: int(np.nansum(label)) for name, label in samples.labels.items()}
    told: Any = positives if len(positives) > 1 else positives[POSITIVE]
    emit("samples", rows=len(samples), positives=told, requests=len(samples.requests))
    if fourth is not None and judge is not None:
        with fourth.samples(samples, recipe, state.behaviours) as (early, late):
            if lack := fourth.lacks(len(valid), early):
                _left_out(lack)
            else:
                judge(RankerSamples(weighted(early, **spec.weights), early, late, fourth.judged, late, data.items))
            del early, late
    check = whole()
    learned = weighted(samples, **spec.weights)
    return RankerSamples(learned, samples, check, valid, check if served is None else served(), data.items)


def _left_out(lack: str) -> None:
    emit("note", message=f"rankers are judged by the last fifth alone: {lack}")


def _fitted(ranker: Ranker, items: Table, train: Samples, valid: Samples) -> Ranker:
    if isinstance(ranker, ReadsItems):
        ranker.read_items(items)
    return ranker.fit(train, valid)


class Making(Protocol):
    """Makes rows: those of the ranker, or those that the pre-ranker reads."""

    def __call__(self, *, coarse: bool = False, hear: Callable[[Candidates], None] | None = None) -> Samples: ...


def _found(samples: Samples) -> Samples:
    """The same samples, in which there is something to learn."""
    if not (samples.labels[POSITIVE] > 0).any():
        raise InputError(
            f"samples: no channel found a target for any of the {len(samples.requests)} requests in four fifths of "
            "[rank, test), so a ranker can learn nothing; widen the window, add channels or raise depth and merge.k"
        )
    return samples


def _exposed(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> tuple[Making, Making, Making | None, Questions]:
    """What makes the rows learned from, the last fifth's, those as they are served, and the last fifth's slates.

    None for the third where the log does not say in which place a row was shown: they are the second.
    """
    spec, rng = recipe.samples, np.random.default_rng(recipe.seed)
    moments = exposed(data, state, opens, closes, spec.window, spec.labels).requests.time
    middle = int(moments[len(moments) * 4 // 5]) + 1 if len(moments) else closes
    parts = [exposed(data, state, *window, spec.window, spec.labels) for window in ((opens, middle), (middle, closes))]
    for number, (part, share) in enumerate(zip(parts, (4, 1), strict=True)):
        if spec.at_most is not None and len(part.requests) > spec.at_most * share // 5:
            drawn_ = rng.choice(len(part.requests), spec.at_most * share // 5, replace=False)
            parts[number] = part.take(np.sort(drawn_))
    for part, label in itertools.product(parts, (0, 1)):
        if not (part.labels[POSITIVE] == label).any():
            which = ("rows without a click", "clicks")[label]
            raise InputError(f"data.exposures: no {which} in four fifths or the last fifth of [rank, test)")
    train, valid = parts
    placed = np.isfinite(valid.candidates[SHOWN_AT]).any()
    return (
        lambda coarse=False, hear=None: drawn(
            scored(pipeline, train, state, "ranker samples", coarse=coarse), spec.negatives, recipe.seed
        ),
        lambda coarse=False, hear=None: scored(pipeline, valid, state, "validation samples", coarse=coarse),
        (
            lambda coarse=False, hear=None: scored(
                pipeline, unplaced(valid), state, "validation samples, as served", coarse=coarse
            )
        )
        if placed
        else None,
        clicked(valid),
    )


def _replayed(
    pipeline: Pipeline,
    recipe: Recipe,
    data: Dataset,
    state: State,
    opens: int,
    closes: int,
    like: RankerSamples | None,
) -> tuple[Making, Making, Questions, Questions]:
    """What makes the rows learned from, what makes the last fifth's, and the questions of both.

    ``like``: samples whose last fifth begins where it is to begin. Where the test asks everybody once when its window
    opens, so does the last fifth, even if rankers learn from a replay: what is served is chosen by what is asked for.
    """
    learned, judged = recipe.learned, recipe.evaluate if recipe.evaluate.requests == "start" else recipe.learned
    everything = _training_questions(pipeline, recipe, learned, data, state, opens, closes)
    if len(everything) < 5:
        key, where = ("data.split", "in [rank, test)")
        if recipe.evaluate.held_out:
            key, where = ("evaluate.requests", "held out for rankers")
        raise InputError(f"{key}: {len(everything)} requests with targets {where}, expected at least 5")
    fifth = len(everything) * 4 // 5
    if recipe.learned.once:  # all are asked at one moment: a fifth of the people is kept instead
        drawn = np.random.default_rng(recipe.seed).permutation(len(everything))
        train, valid = everything.take(np.sort(drawn[:fifth])), everything.take(np.sort(drawn[fifth:]))
    else:
        middle = int(everything.requests.time[fifth]) + 1 if like is None else int(like.questions.requests.time.min())
        train = _training_questions(pipeline, recipe, learned, data, state, opens, middle)
        valid = _training_questions(pipeline, recipe, judged, data, state, middle, closes)
    if not len(train) or not len(valid):
        raise InputError(
            "data.split: the requests in [rank, test) stand at too few distinct times to keep the last fifth apart; "
            "widen the window"
        )
    spec = recipe.samples
    rows = partial(from_funnel, pipeline, state=state, labels=spec.labels, seed=recipe.seed)
    thin = {"negatives": spec.negatives or None, "top_negatives": spec.top_negatives, "unseen": spec.unseen}
    return (
        partial(rows, train, **thin, title="ranker samples"),
        partial(rows, valid, title="validation samples"),
        train,
        valid,
    )


def sampled_alike(valid: Samples, recipe: Recipe) -> Samples:
    """The last fifth's rows with negatives left out as from the rows learned from."""
    spec = recipe.samples
    if spec.source == "exposures":
        return drawn(valid, spec.negatives, recipe.seed)
    return thinned(valid, spec.negatives, spec.top_negatives, recipe.seed) if spec.negatives else valid


def fit_rankers(
    pipeline: Pipeline, recipe: Recipe, data: Dataset, state: State, opens: int, closes: int
) -> tuple[dict[str, Ranker], Choice]:
    """Every ranker of the recipe, fitted on the funnel's rows in [opens, closes), and what is said of them.

    They are judged on the last fifth, and before that, as fitted on three fifths, on the fourth. A ranker that can
    ``refit`` then learns again from the whole window, as long as the last fifth said: what is nearest to the requests
    to come should not be left out.
    """
    windows: list[Judged] = []

    def judge(made: RankerSamples, window: str = "the fourth fifth") -> dict[str, Ranker]:
        rankers, judged = _judged(made, recipe, state, window)
        windows.insert(0, judged)
        return rankers

    asked = judge if is_asked(recipe) else None
    made = samples_for_rankers(pipeline, recipe, data, state, opens, closes, judge=asked)
    rankers = judge(made, "the last fifth")
    choice = Choice(tuple(windows)).joined(recipe.serve)
    for name, value in choice.means.items():
        emit("ranker", name=name, ndcg=value)
    if untaught(pipeline, recipe) is not pipeline:
        teach(pipeline, recipe, made, joined(teacher(choice, recipe.serve), rankers), state)
    again = {name: ranker for name, ranker in rankers.items() if isinstance(ranker, Refits)}
    if again:
        parts = [made.unweighted, sampled_alike(made.valid, recipe)]
        del made  # as large as what is learned from now
        whole = weighted(Samples.concat(parts), **recipe.samples.weights)
        del parts
        for name, ranker in again.items():
            give_back()
            with step(f"refit ranker {name} on the whole window"):
                ranker.refit(whole)
                refuse_unsound(f"rank.{name}", rankers[name])
    return rankers, choice


def _judged(made: RankerSamples, recipe: Recipe, state: State, window: str) -> tuple[dict[str, Ranker], Judged]:
    """The recipe's rankers, fitted, and what the later part says of them."""
    rows, values, rankers = made.served.candidates, dict[str, Float64](), dict[str, Ranker]()
    places = dict[str, Int32]()
    if recipe.samples.source == "funnel":
        values[MERGE] = made.ndcg(rows.with_columns(score=-rows.positions().astype(np.float32)))
    if alike := int(np.sum(~made.orderable)):
        emit(
            "warning",
            message=f"{alike:,} of {len(made.orderable):,} requests of {window} have no row that is wrong: they "
            "say nothing about an order and are left out of the rankers' NDCG",
        )
    for name in recipe.rankers:
        give_back()  # what the rows were made with, or the ranker before was judged with
        with step(f"fit ranker {name}, judged on {window}"):
            rankers[name] = made.fit(recipe.ranker(name))
            refuse_unsound(f"rank.{name}", rankers[name])
        give_back()  # what it was learned with
        scored = made.scored(rankers[name], state)
        values[name], places[name] = made.ndcg(scored), scored.rank_of().astype(np.int32)
    orders = Places(rows.select(()), made.questions.targets, made.orderable, places)
    return rankers, Judged(window, values, made.questions.requests.user, orders)


def _training_questions(
    pipeline: Pipeline, recipe: Recipe, spec: EvaluateSpec, data: Dataset, state: State, opens: int, closes: int
) -> Questions:
    at_most = recipe.samples.at_most
    if spec.once:
        questions = questions_of(data, state, spec, opens, closes, at_most=at_most, seed=recipe.seed)
    else:
        questions = replay(
            data,
            state,
            opens,
            closes,
            moments=recipe.samples.moments or None,
            ahead=spec.ahead,
            horizon=spec.horizon,
            min_gap=silence(data, spec),
            at_most=at_most,
            seed=recipe.seed,
        )
    return answerable(questions, pipeline, state)
