"""Affinity against its formulas, request by request in plain Python."""

import numpy as np
import pytest

from .conftest import DAY, ITEMS, empty, make


def plain(world, codes, share, half_life, last, prior):
    """Rows of mean, max, cosine, lift, value, recent as the docstring defines them."""
    history = world.requests.history
    levels = [codes.values.row(i)["code"] if i < ITEMS else [] for i in range(ITEMS + 2)]
    out = np.full((6, len(world.candidates)), np.nan)
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        h, mine = history.row(int(q)), levels[i]
        if not len(mine):
            continue
        has = [len(levels[x]) > 0 for x in h["item"]]
        weight = [
            w * 0.5 ** ((h["time"][-1] - t) / half_life) * known
            for w, t, known in zip(h["weight"], h["time"], has, strict=True)
        ]
        liked = np.zeros(len(codes.levels))
        for x, w in zip(h["item"], weight, strict=True):
            liked[levels[x]] += w
        total = sum(weight)
        if total > 0:
            out[0, r], out[1, r] = liked[mine].mean() / total, liked[mine].max() / total
            out[2, r] = liked[mine].sum() / np.linalg.norm(liked) / len(mine) ** 0.5
        out[3, r] = np.mean([np.log2((liked[c] + prior * share[c]) / ((total + prior) * share[c])) for c in mine])
        rated = ~np.isnan(h["value"])
        if rated.any():
            mean = h["value"][rated].mean(dtype=np.float64)
            tastes = []
            for c in mine:
                with_c = [v - mean for x, v in zip(h["item"], h["value"], strict=True) if c in levels[x] and v == v]
                tastes.append(sum(with_c) / (len(with_c) + prior))
            out[4, r] = np.mean(tastes)
        good = [x for x, w, known in zip(h["item"], h["weight"], has, strict=True) if w > 0 and known][-last:]
        if good:
            out[5, r] = np.mean([sum(c in levels[x] for x in good) / len(good) for c in mine])
    return out


@pytest.mark.parametrize(("name", "prior"), [("genres", 2), ("brand", 2), ("genres", 0.5)])
def test_levels(world, name, prior):
    feature = make("affinity", columns=[name], half_life="5d", last=3, prior=prior).fit(world.data)
    columns = world.columns(feature)
    codes = world.data.items.codes[name]
    positives = world.data.item_counts() + 1e-3
    have = np.flatnonzero(codes.values.lengths)
    share = [sum(positives[i] for i in have if c in codes.values.row(i)["code"]) for c in range(len(codes.levels))]
    expected = plain(world, codes, np.array(share) / positives[have].sum(), 5 * DAY, 3, prior)
    for kind, column in zip(("mean", "max", "cosine", "lift", "value", "recent"), expected, strict=True):
        got = columns[f"affinity.{name}.{kind}"]
        np.testing.assert_allclose(got, column, rtol=1e-4, atol=1e-5, err_msg=kind)
        assert np.isfinite(got).any()


def test_numbers(world):
    columns = world.columns(make("affinity", columns=["price"], half_life="5d", prior=2).fit(world.data))
    price, history = world.state.items.numbers["price"].astype(np.float64), world.requests.history
    spread = np.nanstd(price)
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        h = history.row(int(q))
        used = (h["weight"] > 0) & ~np.isnan(price[h["item"]])
        if not used.any() or i >= ITEMS or np.isnan(price[i]):
            assert np.isnan(columns["affinity.price.gap"][r])
            continue
        w = h["weight"][used] * 0.5 ** ((h["time"][-1] - h["time"][used]) / (5 * DAY))
        x = price[h["item"][used]]
        mean = (w * x).sum() / w.sum()
        sd = np.sqrt(((w * (x - mean) ** 2).sum() + 2 * spread**2) / (w.sum() + 2))
        np.testing.assert_allclose(columns["affinity.price.gap"][r], price[i] - mean, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(columns["affinity.price.z"][r], (price[i] - mean) / sd, rtol=1e-4, atol=1e-4)


def test_the_default_takes_every_column(world):
    columns = world.columns(make("affinity").fit(world.data))
    assert {name.split(".")[1] for name in columns} == {"genres", "brand", "price", "released"}


@pytest.mark.parametrize("column", ["genres", "brand", "price"])
def test_an_item_first_met_live_is_one_without_attributes_whatever_its_code(world, column):
    feature = make("affinity", columns=[column]).fit(world.data)
    history = world.requests.history
    found = []
    for code in (ITEMS, ITEMS + 1000):
        history["item"][::3] = code
        found.append(world.columns(feature))
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name], err_msg=name)


def test_without_a_prior_there_is_no_lift_and_with_little_there_is(world):
    def columns(prior):
        return world.columns(make("affinity", columns=["genres"], prior=prior).fit(world.data))

    none, little, more = columns(0), columns(0.5), columns(2)
    assert np.isnan(none["affinity.genres.lift"]).all()
    for name in none:
        if not name.endswith(".lift"):
            np.testing.assert_array_equal(np.isnan(none[name]), np.isnan(more[name]), err_msg=name)
        np.testing.assert_array_equal(np.isnan(little[name]), np.isnan(more[name]), err_msg=name)


def test_shares_of_a_log_without_positives_are_shares_of_the_catalogue(world):
    feature = make("affinity", columns=["brand"]).fit(empty(world))
    codes = world.data.items.codes["brand"]
    count = np.bincount(codes.values["code"], minlength=len(codes.levels))
    np.testing.assert_allclose(feature.shares_["share"], count / count.sum(), rtol=1e-5)
