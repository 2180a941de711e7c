"""A ranker of two labels and a formula, written as a user would, from the contract to the slate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shortlist import answer, train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.rank._objectives import Objectives
from shortlist.rank._table import observed_of, sigmoid
from shortlist.recipe import parse, read
from shortlist.testing import contract
from shortlist.testing.case import samples
from shortlist.testing.worlds import checkerboard


class Ridge(Objectives):
    """For each label its own linear model of standardised columns: p = σ(4 (b + w · z) - 2), w by ridge regression.

    Source: Hoerl, Kennard (1970), Ridge Regression.
    """

    def fit(self, samples, valid=None):
        self.learn_columns(samples.candidates)
        x = self.table(samples.candidates)
        self.mean_, self.scale_ = np.nanmean(x, axis=0), np.nanstd(x, axis=0) + 1e-6
        z = self.standardised(samples.candidates)
        weights = []
        for label in self.learn_labels(samples):
            observed, y, weight = observed_of(samples, label)
            a = z[observed] * weight[:, None]
            weights.append(np.linalg.solve(a.T @ z[observed] + np.eye(z.shape[1]), a.T @ y))
        self.weights_ = np.array(weights)
        return self

    def standardised(self, rows):
        z = np.nan_to_num((self.table(rows) - self.mean_) / self.scale_).clip(-9, 9)
        return np.concatenate([z, np.ones((len(z), 1))], axis=1)

    def score(self, requests, candidates, state=None):
        z = self.standardised(candidates)
        outputs = zip(self.labels_.tolist(), self.weights_, strict=True)
        return self.blended({label: sigmoid(4 * (z * w).sum(axis=1) - 2) for label, w in outputs})


BLENDS = [{}, {"labels": ["click"]}, {"blend": "click ** 0.7 * buy ** 0.3"}, {"blend": "click + 0 * log(buy - buy)"}]


@pytest.mark.parametrize("owed", contract.checks("rank"), ids=lambda check: check.__name__)
@pytest.mark.parametrize("config", BLENDS[:3], ids=["product", "one", "blend"])
def test_keeps_the_contract(owed, config):
    owed(contract.Subject("rank", Ridge, config))


def test_what_the_formula_makes_of_nothing_sinks():
    given = samples(checkerboard(), seed=1)
    ranker = Ridge(blend=BLENDS[3]["blend"]).fit(given)
    score = ranker.score(given.requests, given.candidates)["score"]
    assert np.isfinite(score).all()
    assert (score == -np.finfo(np.float32).max).all()


def test_rows_where_a_label_is_unknown_teach_only_the_other():
    given = samples(checkerboard(), seed=1)
    hidden = given.labels["buy"].copy()
    hidden[::2] = np.nan
    fitted = Ridge().fit(given)
    fewer = Ridge().fit(type(given)(given.requests, given.candidates, {**given.labels, "buy": hidden}, given.weight))
    np.testing.assert_array_equal(fewer.weights_[0], fitted.weights_[0])
    assert not np.allclose(fewer.weights_[1], fitted.weights_[1])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"blend": "click *"}, "blend: formula 'click \\*': not a formula"),
        ({"labels": ["click"], "blend": "click * buy"}, "blend: no label 'buy'; labels are click"),
    ],
)
def test_a_wrong_formula_is_told_when_it_is_written(config, said):
    with pytest.raises(InputError, match=said):
        Ridge(**config)


@pytest.mark.parametrize("config", [{"labels": ["share"]}, {"blend": "click * share"}])
def test_a_label_the_samples_lack_is_told(config):
    with pytest.raises(InputError, match="labels: no label 'share'; there are click, buy"):
        Ridge(**config).fit(samples(checkerboard(), seed=1))


LABELS = {"watched": {"rating": 2}, "liked": {"rating": 5}}
BLEND = "watched ** 0.3 * liked ** 0.7"


def recipe_of(shop, **rank):
    tables = read(shop / "shop.toml").model_dump(exclude_unset=True)
    return parse({**tables, "name": "two", "samples": {"negatives": 10, "labels": LABELS},
                  "rank": {"type": f"{__name__}:Ridge", **rank}})  # fmt: skip


def test_two_labels_of_a_recipe_become_one_slate(shop, tmp_path):
    """From ``[samples.labels]`` to the bundle: the score of every ranked row is the formula of its two outputs."""
    recipe = recipe_of(shop, labels=["watched", "liked"], blend=BLEND)
    fitted = train.fit(recipe, root=shop, out=tmp_path)
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document["slate"]["ndcg@3"]["mean"] > 0
    opened = open_bundle(fitted.out / "bundle", trust=True)
    state = opened.data.state()
    requests = answer.requests_of(state, np.arange(opened.data.n_users), opened.pipeline.fitted_until)
    slate, _ = opened.pipeline.recommend(requests, state, 5)
    own = slate.take(~slate["fallback"])
    assert len(own) > 20
    assert ((own["watched"] > 0) & (own["liked"] < 1)).all()
    np.testing.assert_allclose(own["score"], own["watched"] ** 0.3 * own["liked"] ** 0.7, rtol=1e-5)
    assert np.mean(own["watched"] > own["liked"]) > 0.8  # ratings of 2 and more come more often than 5s


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (
            {"labels": ["watched", "lked"]},
            r"rank\.labels: \[samples\.labels\] has no 'lked'; there are positive",
        ),
        ({"type": "gbdt", "label": "like"}, r"rank\.label: \[samples\.labels\] has no 'like'"),
    ],
)
def test_a_ranker_learns_only_labels_that_the_recipe_makes(shop, rank, said):
    with pytest.raises(InputError, match=said):
        recipe_of(shop, **rank)
