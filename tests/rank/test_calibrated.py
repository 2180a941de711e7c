"""Rankers that learned from a share of the negatives predict the true share of positives again."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.metrics.ranking import auc, calibration_error
from shortlist.rank._calibration import apply_isotonic, fit_centred, fit_isotonic
from shortlist.rank.gbdt import GBDT
from shortlist.rank.gbdt_lr import GBDTLR
from shortlist.rank.logistic import Logistic
from shortlist.rank.tree import Tree
from shortlist.registry import find
from shortlist.types import Candidates, Requests, Samples

from ._tables import score


def rare(m=30_000, seed=0):
    """About 4 positives in 100 rows, by two numbers."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, m)).astype(np.float32)
    label = (rng.random(m) < 1 / (1 + np.exp(4 - 1.2 * a - 0.6 * np.abs(b)))).astype(np.float32)
    rows = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), {"a": a, "b": b})
    return Samples(Requests.of(np.zeros(m), np.zeros(m)), rows, {"click": label}, np.ones(m, np.float32))


def sampled(samples, share, seed=0):
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero((samples.labels["click"] > 0) | (rng.random(len(samples)) < share))
    return replace(samples.take(kept), rate=share)


def error(samples, p):
    """How far the mean prediction is from the share of positives, and the calibration error, both relative to it."""
    y = samples.labels["click"]
    return abs(p.mean() / y.mean() - 1), calibration_error(y, p, 20) / y.mean()


def config_of(cls):
    return {GBDT: {"trees": 40}, GBDTLR: {"trees": 10, "leaves": 7, "leaf_l2": 100, "buckets": 5}}.get(cls, {})


def check(ranker_of, train, valid, test, slack=2e-3):
    raw = ranker_of(calibration="none").fit(train, valid)
    p = score(raw, test)
    assert error(test, p)[0] > 2
    for calibration in ("closed", "isotonic"):
        ranker = ranker_of(calibration=calibration).fit(train, valid)
        q = score(ranker, test)
        off, ece = error(test, q)
        within = 0.2 if calibration == "closed" else 0.12  # undoing a rate mends no overconfidence of the model's own
        assert off < within, calibration
        assert ece < within, calibration
        assert abs(auc(test.labels["click"], q) - auc(test.labels["click"], p)) < slack
        again = type(ranker).restore(ranker.config(), ranker.state(), ranker.files())
        np.testing.assert_array_equal(score(again, test), q)


@pytest.mark.parametrize("sampled_valid", [False, True])
@pytest.mark.parametrize("cls", [Logistic, Tree, GBDT, GBDTLR])
def test_calibrated_after_sampling(cls, sampled_valid):
    train, valid, test = sampled(rare(), 0.1), rare(seed=1), rare(seed=2)
    valid = sampled(valid, 0.2, 1) if sampled_valid else valid
    check(lambda **options: cls(**config_of(cls), **options), train, valid, test)


def test_deep_rankers_too():
    pytest.importorskip("torch")
    from shortlist.rank.deepfm import DeepFM

    train, valid, test = sampled(rare(), 0.1), rare(seed=1), rare(seed=2)
    check(
        lambda **options: DeepFM(epochs=15, stopping=0, monitor="auc", rate=0.005, batch=128, buckets=10, **options),
        train,
        valid,
        test,
    )


def refitting():
    found = [(GBDT, {"trees": 40}), (GBDTLR, config_of(GBDTLR)), (Logistic, {}), (Tree, {})]
    if find_spec("xgboost"):
        found.append((find("rank", "xgboost"), {"trees": 40}))
    return found


@pytest.mark.parametrize(("cls", "config"), refitting(), ids=lambda each: getattr(each, "__name__", ""))
def test_refit_takes_its_own_rate_and_keeps_the_curve(cls, config):
    train, valid, test = rare(), rare(seed=1), rare(seed=2)
    ranker = cls(**config, calibration="isotonic").fit(sampled(train, 0.1), valid)
    curve = ranker.curve_
    more = sampled(train, 0.3, 4)
    ranker.refit(more)
    assert ranker.curve_ is curve
    assert ranker.sampled_ == 0.3
    assert error(test, score(ranker, test))[0] < 0.1
    plain = cls(**config).fit(sampled(train, 0.1), valid).refit(more)
    if "trees" not in config or cls is GBDTLR:  # no early stopping: it has learned what it would at once
        np.testing.assert_array_equal(score(plain, test), score(cls(**config).fit(more), test))
    assert not cls(**config, calibration="isotonic").fit(sampled(train, 0.1)).curve_.size  # nothing to fit it to


def test_an_order_has_no_probability():
    with pytest.raises(InputError, match=r"calibration: expected none, as the objective 'lambdarank'"):
        GBDT(objective="lambdarank", calibration="closed").fit(rare(100))


@pytest.mark.parametrize("seed", range(5))
def test_the_centred_curve_keeps_the_order_and_the_blocks(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(400)
    y = (rng.random(400) < p**2).astype(float)
    at, value = fit_centred(p, y)
    assert (np.diff(at) > 0).all()
    assert (np.diff(value) > 0).all()
    q = apply_isotonic(p, at, value)
    np.testing.assert_array_equal(np.argsort(q, kind="stable"), np.argsort(p.astype(np.float64), kind="stable"))
    blocks = np.unique(fit_isotonic(p, y)[1])
    middle = blocks[(blocks > 0) & (blocks < 1)]
    assert np.isin(middle, value).all()
    assert 0 < value[1] < value[-2] < 1
    assert fit_centred(np.empty(0), np.empty(0))[1].tolist() == [0, 1]
    for all_of_one in (np.zeros(400), np.ones(400)):
        assert (np.diff(fit_centred(p, all_of_one)[1]) > 0).all()


def test_the_log_loss_that_stops_has_the_odds_that_were_learned():
    train, valid = sampled(rare(seed=1), 0.1), rare(seed=2)
    fresh = GBDT(trees=200, learning_rate=0.05, leaves=7, stopping=20)
    same = fresh.matched(valid, train)
    assert np.average(valid.labels["click"] > 0, weights=same.weight) == pytest.approx(
        np.mean(train.labels["click"]), rel=0.05
    )
    assert same.rate == train.rate
    assert fresh.matched(same, train) is same

    def trees(later):
        return len(GBDT(**fresh.config()).fit(train, later).forest)

    assert trees(valid) == trees(same) < 200
    assert trees(replace(valid, rate=0.1)) != trees(valid)  # as it is, it would have stopped elsewhere
