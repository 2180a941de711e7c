"""Tuning the numbers of a formula: one fit, and every formula worth what a fit with it would be worth."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from shortlist import train, tuning
from shortlist.component import InputError
from shortlist.rank._formula import numbers
from shortlist.rank.each import Each
from shortlist.recipe import parse
from shortlist.testing.worlds import DAY, MINUTE, START, VIEW, random_log
from shortlist.tuning import Asked, measures

pytest.importorskip("optuna")
pytest.importorskip("tomlkit")

TEXT = """
name = "blends"
depth = 12
[data]
source = "tables"
events = { path = "log.csv" }
split = { tune = 0.5, rank = 0.7, test = 0.85 }
[recall.cf]
type = "item_cf"
[recall.hot]
type = "popular"
[[features]]
type = "channel"
[samples]
negatives = 10
[samples.labels]
watched = { view = 1 }
liked = { view = 4 }
[rank.both]
type = "each"
ranker = { type = "logistic" }
labels = ["watched", "liked"]
blend = "watched ** 0.3 * liked ** 0.7"  # a first guess
[rank.plain]
type = "logistic"
"""


@pytest.fixture
def tune(monkeypatch):
    """``tune(asked, text)``: (recipe, what was tuned)."""
    log = random_log(4, users=25, items=40, events=1500, behaviours=VIEW, span=1000, unit=60 * MINUTE, unknown=0.0)
    value = np.random.default_rng(0).integers(1, 6, len(log.events)).astype(np.float32)
    events = replace(log.events, time=log.events.time + START, value=value)
    data = replace(log, events=events, available_from=np.full(40, START - DAY))
    monkeypatch.setattr(train, "load", lambda recipe, root: (data, None))

    def run(asked, text=TEXT):
        recipe = parse(tomllib.loads(text))
        return recipe, tuning.tune(recipe, text, asked)

    return run


def test_a_formula_is_worth_what_a_fit_with_it_would_be(tune, monkeypatch):
    fits, fit = [], Each.fit
    monkeypatch.setattr(Each, "fit", lambda self, *args: fits.append(self.blend) or fit(self, *args))
    recipe, tuned = tune(Asked(formula=True, trials=12))
    assert fits == ["watched ** 0.3 * liked ** 0.7"]
    (section,) = tuned.document["sections"]
    assert section["section"] == "rank.both"
    assert section["current"] == {"number 1": 0.3, "number 2": 0.7}
    assert len(section["trials"]) == 13
    for trial in section["trials"][::4]:
        own = section["current"] | trial["params"]
        blend = f"watched ** {own['number 1']:g} * liked ** {own['number 2']:g}"
        schedule = train.Schedule.of(recipe, train.load(recipe, None)[0])
        afresh = measures.rankers(schedule, measures.Metric("ndcg", 10))["both"]
        worth = np.nanmean(afresh.measure({**recipe.rank["both"], "blend": blend}))
        assert trial["value"] == pytest.approx(worth, abs=1e-6)
    best = section["trials"][section["best"]]
    assert best["value"] == section["after"] >= section["before"]
    written = tomllib.loads(tuned.text)["rank"]["both"]["blend"]
    assert numbers(written) == [*(section["current"] | best["params"]).values()]
    assert "# a first guess" in tuned.text


@pytest.mark.parametrize(
    ("kind", "power"),
    [("each", [1.0, 1.0]), ("esmm", [0.0, 1.0])],
)
def test_without_a_formula_the_powers_begin_where_the_score_is_the_same(kind, power):
    text = TEXT.replace('blend = "watched ** 0.3 * liked ** 0.7"', "").replace('type = "each"', f'type = "{kind}"')
    text = text if kind == "each" else text.replace('ranker = { type = "logistic" }', "")
    recipe = parse(tomllib.loads(text))
    ranker = recipe.component("rank", "rank.both", recipe.rank["both"])
    outputs = {name: np.random.default_rng(n).random(9, np.float32) for n, name in enumerate(("watched", "liked"))}
    assert ranker.numbers() == power
    spelled = ranker.model_copy(update={"blend": ranker.formula()})
    np.testing.assert_array_equal(ranker.blended(outputs)["score"], spelled.blended(outputs)["score"])


@pytest.mark.parametrize(
    ("asked", "text", "said"),
    [
        (Asked(formula=True, rankers=("plain",)), TEXT, r"rank\.plain: no formula with numbers to tune"),
        (
            Asked(formula=True),
            TEXT[: TEXT.index("[rank.both]")] + '[rank]\ntype = "logistic"\n',
            "--formula: no ranker",
        ),
        (Asked(formula=True), TEXT.replace("watched ** 0.3 * liked ** 0.7", "liked"), "--formula: no ranker"),
    ],
)
def test_where_there_is_no_number_it_says_so(tune, asked, text, said):
    with pytest.raises(InputError, match=said):
        tune(asked, text)
