"""A ranker for each label: those it is made of, alone; saved with all of them; what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.bundle.lengths import lengths
from shortlist.component import InputError
from shortlist.rank.each import Each
from shortlist.rank.logistic import Logistic
from shortlist.testing import contract
from shortlist.testing.case import samples
from shortlist.testing.worlds import checkerboard

BLEND = "click ** 0.7 * buy ** 0.3"


@pytest.mark.parametrize("ranker", ["gbdt", "xgboost", "deepfm"])
def test_any_ranker_of_one_label_keeps_the_contract(ranker):
    quick = {"gbdt": {"trees": 20}, "xgboost": {"trees": 20}, "deepfm": {"epochs": 3}}
    contract.check("rank", Each, {"ranker": {"type": ranker, **quick[ranker]}, "blend": BLEND})


def test_each_is_the_ranker_that_its_label_would_have_alone():
    given, later = samples(checkerboard(), seed=1), samples(checkerboard(), seed=2)
    gaps = {**given.labels, "buy": np.where(np.arange(len(given)) % 3, given.labels["buy"], np.nan)}
    given = type(given)(given.requests, given.candidates, gaps, given.weight)
    config = {"without": ["noise"]}
    each = Each(ranker={"type": "logistic", "l2": 3.0}, blend=BLEND, **config).fit(given, later).refit(given)
    found = each.score(later.requests, later.candidates)
    for label in ("click", "buy"):
        alone = Logistic(l2=3.0, label=label, **config).fit(given, later).refit(given)
        np.testing.assert_array_equal(found[label], alone.score(later.requests, later.candidates)["score"])
    np.testing.assert_allclose(found["score"], found["click"] ** 0.7 * found["buy"] ** 0.3, rtol=1e-5)


def test_what_it_is_made_of_must_fit_too():
    each = contract.subject("rank", "each").fitted
    state = each.state()
    lengths(Each.restore(each.config(), state))
    name = next(name for name, array in state.items() if name.startswith("1.") and array.ndim and len(array) > 1)
    with pytest.raises(InputError, match=r"buy: .*expected"):
        lengths(Each.restore(each.config(), {**state, name: state[name][:-1]}))
    with pytest.raises(InputError, match="labels_: expected a ranker for each, found 1 labels"):
        Each.restore(each.config(), {**state, "labels_": state["labels_"][:1]})


@pytest.mark.parametrize(
    ("ranker", "said"),
    [
        ({"type": "gbtd"}, "ranker: .*gbtd"),
        ({}, "ranker: "),
        ({"type": "gbdt", "tres": 3}, "tres: unknown; did you mean trees?"),
        ({"type": "gbdt", "objective": "lambdarank"}, "expected a ranker of one label whose scores are chances"),
        ({"type": "mmoe"}, "ranker: "),
    ],
)
def test_what_cannot_learn_a_label_is_told_when_it_is_written(ranker, said):
    with pytest.raises(InputError) as refused:
        Each(ranker=ranker)
    assert said.partition(".*")[0] in str(refused.value)
    assert said.partition(".*")[2] in str(refused.value)
