"""Which log each step of the schedule sees, and what is said where a cut is missing."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist import train
from shortlist.component import InputError
from shortlist.pipeline import joined
from shortlist.recipe import read
from shortlist.train.choice import Choice

STEPS = [
    "merge: channels at tune, weights on [tune, rank)",
    "rank: channels at rank, samples from [rank, test)",
    "channels at test",
    "final: channels at the end of the log",
]


@pytest.fixture(scope="module")
def schedule(shop) -> train.Schedule:
    recipe = read(shop / "shop.toml")
    return train.Schedule.of(recipe, train.load(recipe, shop)[0])


def test_every_step_is_fitted_up_to_its_cut_and_timed(schedule):
    pipeline, cuts = schedule.recipe.pipeline(), schedule.cuts
    schedule.merge(pipeline)
    assert pipeline.fitted_until == cuts.tune - 1
    fitted, choice, chosen = schedule.rankers(pipeline)
    assert pipeline.fitted_until == cuts.rank - 1
    assert list(fitted) == list(schedule.recipe.rankers)
    assert len(choice.windows) == 1  # of this window's requests too few stand in a fifth
    assert set(choice.means) == {"merge", *fitted, "trees+line"}
    assert pipeline.ranker == joined(chosen, fitted)
    schedule.refit(pipeline)
    assert pipeline.fitted_until == cuts.test - 1
    schedule.final(pipeline)
    assert pipeline.fitted_until == schedule.data.events.time[-1] >= cuts.test
    assert list(schedule.seconds) == STEPS


def test_the_samples_are_those_the_rankers_are_fitted_on(schedule):
    pipeline = schedule.recipe.pipeline()
    schedule.merge(pipeline)
    made = schedule.samples(pipeline)
    _, choice, chosen = schedule.rankers(pipeline)
    assert chosen == "trees+line"  # nothing tells them apart
    again = schedule.recipe.ranker(chosen).fit(made.train, made.valid)
    assert np.nanmean(made.ndcg(made.scored(again, schedule.state))) == choice.means[chosen]


def test_until_hides_what_comes_later(schedule):
    past = schedule.until(schedule.cuts.rank)
    assert past.data.events.time[-1] < schedule.cuts.rank <= schedule.data.events.time[-1]
    assert past.state.last == past.data.events.time[-1]
    assert past.cuts == schedule.cuts


def test_without_cuts_there_is_less_to_do(shop):
    recipe = read(shop / "shop.toml", ["data.split={ test = 0.8 }"])
    short = train.Schedule.of(recipe, train.load(recipe, shop)[0])
    pipeline = recipe.pipeline()
    short.merge(pipeline)
    assert pipeline.fitted_until is None
    assert short.rankers(pipeline) == ({}, Choice(()), None)
    assert short.cuts.merge_closes == short.cuts.test
    with pytest.raises(InputError, match=r"data\.split\.rank: missing; rankers learn from \[rank, test\)"):
        short.samples(pipeline)
