"""Channel columns: the plain definition, and that no scale gets through."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shortlist.features import _rows

from .conftest import World, make


def test_against_the_plain_definition(world):
    columns = world.columns(make("channel"))
    rows = world.candidates
    for q in range(len(world.requests)):
        mine = np.flatnonzero(rows.request == q)
        for name, source in (("cf", "cf.score"), ("hot", "hot.score"), ("cf.dense", "cf.dense")):
            score = rows[source][mine].astype(np.float64)
            known = ~np.isnan(score)
            if not known.any():
                continue
            best = score[known].max()
            ratio = score / best if best > 0 else np.full(len(mine), np.nan)
            np.testing.assert_allclose(columns[f"channel.{name}.ratio"][mine], ratio, rtol=1e-5)
            if name != "cf.dense":
                rank = rows[f"{name}.rank"][mine]
                np.testing.assert_allclose(
                    columns[f"channel.{name}.percentile"][mine], 1 - (rank - 0.5) / np.nanmax(rank), rtol=1e-5
                )
                continue
            place = [((score < s).sum() + (score == s).sum() / 2) / known.sum() if s == s else np.nan for s in score]
            np.testing.assert_allclose(columns[f"channel.{name}.percentile"][mine], place, rtol=1e-6)
        dense = rows["cf.dense"][mine].astype(np.float64)
        if len(mine) > 1:
            z = (dense - dense.mean()) / dense.std()
            np.testing.assert_allclose(columns["channel.cf.dense.z"][mine], z, rtol=1e-4, atol=1e-5)
        ranks = np.stack([rows["cf.rank"][mine], rows["hot.rank"][mine]])
        np.testing.assert_allclose(columns["channel.found"][mine], (~np.isnan(ranks)).sum(0))
        np.testing.assert_allclose(columns["channel.fusion"][mine], np.nansum(1 / (60 + ranks), axis=0), rtol=1e-6)
        np.testing.assert_array_equal(columns["channel.merge.rank"][mine], np.arange(1, len(mine) + 1))
    assert np.isnan(columns["channel.hot.dense.z"]).all()


def test_scales_do_not_get_through(world: World):
    before = world.columns(make("channel"))
    scaled = {
        name: column * 37 if name.endswith((".score", ".dense")) or name == "score" else column
        for name, column in world.candidates.columns.items()
    }
    after = make("channel").compute(world.requests, replace(world.candidates, columns=scaled), world.state)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_failed_channel_leaves_empty_columns(world):
    feature = make("channel", channels=["cf", "hot", "gone"])
    columns = world.columns(feature)
    assert np.isnan(columns["channel.gone.rank"]).all()
    assert (columns["channel.gone.found"] == 0).all()
    silent = replace(world.candidates, columns={"score": world.candidates["score"]})
    assert list(feature.compute(world.requests, silent, world.state)) == list(columns)


def test_own_columns_are_no_channels(world):
    first = world.columns(make("channel"))
    again = make("channel").compute(world.requests, world.candidates.with_columns(**first), world.state)
    assert list(again) == list(first)


def test_infinite_scores_are_missing(world):
    score = world.candidates["cf.dense"].copy()
    score[::4] = np.inf
    columns = make("channel").compute(world.requests, world.candidates.with_columns(**{"cf.dense": score}), world.state)
    assert np.isnan(columns["channel.cf.dense.percentile"][::4]).all()


@given(hnp.arrays(np.float32, st.integers(1, 60), elements=st.sampled_from([0, 1, 1.5, 2, 7, np.nan])))
def test_percentile(values):
    out = np.empty(len(values), np.float32)
    _rows.percentiles(np.array([0, len(values)]), values[None], out[None])
    known = values[~np.isnan(values)]
    for v, p in zip(values, out, strict=True):
        if np.isnan(v):
            assert np.isnan(p)
        else:
            np.testing.assert_allclose(p, ((known < v).sum() + (known == v).sum() / 2) / len(known), rtol=1e-6)
