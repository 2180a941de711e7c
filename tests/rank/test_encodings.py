"""Encodings that a linear ranker takes from its recipe are those of the columns encoded beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.encode.hashing import Hashing
from shortlist.encode.log import Log
from shortlist.rank.gbdt_lr import GBDTLR
from shortlist.rank.logistic import Logistic
from shortlist.tabular.samples import plain_samples


def shop(m=3000):
    rng = np.random.default_rng(0)
    price, seller = rng.lognormal(3, 2, m), rng.integers(-1, 400, m)
    price[rng.random(m) < 0.05] = np.nan
    worth = np.random.default_rng(1).normal(size=401)[seller]
    label = (1.5 * np.nan_to_num(np.log1p(price) - 3) + worth + rng.logistic(size=m) > 0).astype(float)
    return plain_samples({"price": price.astype(np.float32), "seller": seller.astype(np.int32)}, label)


def encoded(samples, **columns):
    return samples.candidates.with_columns(**columns)


def test_log_and_hash_are_those_of_the_columns_encoded_beforehand():
    samples = shop()
    rows = samples.candidates
    ranker = Logistic(log=["price"], hashed=["seller"], hash_width=64, buckets=0, min_count=1).fit(samples)
    before = encoded(samples, price=Log().transform(rows["price"]), seller=Hashing(width=64).transform(rows["seller"]))
    same = Logistic(buckets=0, min_count=1).fit(type(samples)(samples.requests, before, samples.labels, samples.weight))
    np.testing.assert_array_equal(
        ranker.score(samples.requests, rows)["score"], same.score(samples.requests, before)["score"]
    )
    plain = Logistic(hashed=["seller"], hash_width=64, buckets=0, min_count=1).fit(samples)

    def loss(one):
        p, y = one.score(samples.requests, rows)["score"].astype(float), samples.labels["label"]
        return -np.mean(np.log(np.where(y > 0, p, 1 - p)))

    assert loss(ranker) < loss(plain) - 0.05
    restored = Logistic.restore(ranker.config(), ranker.state())
    np.testing.assert_array_equal(
        restored.score(samples.requests, rows)["score"], ranker.score(samples.requests, rows)["score"]
    )


def test_trees_under_a_linear_layer_keep_their_own_categories():
    samples = shop(800)
    ranker = GBDTLR(trees=5, log=["price"], hashed=["seller"], hash_width=16).fit(samples)
    whole = ranker.score(samples.requests, samples.candidates)["score"]
    few = samples.take(np.arange(7))
    np.testing.assert_allclose(ranker.score(few.requests, few.candidates)["score"], whole[:7], rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"log": ["seller"]}, {"hashed": ["price"]}, {"log": ["cost"]}])
def test_a_column_of_another_kind_is_named(wrong):
    ((option, names),) = wrong.items()
    with pytest.raises(InputError, match=f"{option}: expected a .* found '{names[0]}'"):
        Logistic(**wrong).fit(shop(50))
