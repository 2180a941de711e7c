"""Counts against the plain definition, row by row."""

import numpy as np
import pytest

from .conftest import DAY, make


def test_item_columns(world):
    columns = world.columns(make("counts", windows=["3d", "14d"]))
    events, rows = world.state.events, world.candidates
    positive = events.weight > 0
    value = ~np.isnan(events.value)
    for q in range(len(world.requests)):
        now = world.requests.time[q]
        past = events.time <= now
        mine = np.flatnonzero(rows.request == q)
        recent = {
            "3d": past & (events.time > now - 3 * DAY),
            "14d": past & (events.time > now - 14 * DAY),
            "ever": past,
        }
        for which, select in (("positive", positive), ("all", np.ones(len(events), bool))):
            c = {
                w: np.array([(m & select & (events.item == rows.item[r])).sum() for r in mine])
                for w, m in recent.items()
            }
            for w, count in c.items():
                name = f"counts.item.{which}.{w}"
                np.testing.assert_allclose(columns[name][mine], np.log1p(count), rtol=1e-6)
                total = (recent[w] & select).sum()
                share = count / total if total else np.full(len(mine), np.nan)
                np.testing.assert_allclose(columns[f"{name}.share"][mine], share, rtol=1e-6)
                place = [((count < x).sum() + (count == x).sum() / 2) / len(mine) for x in count]
                np.testing.assert_allclose(columns[f"{name}.percentile"][mine], place, rtol=1e-6)
            trend = np.log2((c["3d"] * 14 / 3 + 1) / (c["14d"] + 1))
            np.testing.assert_allclose(columns[f"counts.item.{which}.trend.3d.14d"][mine], trend, rtol=1e-5, atol=1e-6)
        for r in mine:
            own = past & (events.item == rows.item[r])
            rate = (past & positive).sum() / past.sum()
            expected = ((own & positive).sum() + 10 * rate) / (own.sum() + 10)
            assert columns["counts.item.positive_rate"][r] == pytest.approx(expected, rel=1e-5)
            mean = events.value[past & value].mean(dtype=np.float64)
            expected = (events.value[own & value].sum(dtype=np.float64) + 10 * mean) / ((own & value).sum() + 10)
            assert columns["counts.item.value"][r] == pytest.approx(expected, rel=1e-5)


def test_user_columns(world):
    columns = world.columns(make("counts", events=["view"], windows=["7d"]))
    events = world.state.events
    for r, q in enumerate(world.candidates.request):
        own = (events.user == world.requests.user[q]) & (events.user >= 0) & (events.event == 1)
        own &= events.time <= world.requests.time[q]
        week = own & (events.time > world.requests.time[q] - 7 * DAY)
        assert columns["counts.user.view.ever"][r] == pytest.approx(np.log1p(own.sum()))
        assert columns["counts.user.view.7d"][r] == pytest.approx(np.log1p(week.sum()))


def test_without_users_and_prior(world):
    columns = world.columns(make("counts", users=False, prior=0))
    assert not any(name.startswith("counts.user") for name in columns)
    unseen = world.candidates.item >= 30
    assert np.isnan(columns["counts.item.value"][unseen]).all()


def test_popular_far_beyond_the_list_is_ranked_too(world):
    """A histogram of counts is used for short ranges, a sort for long ones: both rank alike."""
    from shortlist.features import _rows

    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, 40).astype(np.float32)
    offsets = np.array([0, 40])
    both = np.stack([counts, counts * 10_000], 1)[:, None]  # [m, 1, W]
    views = np.empty((1, 2, 3, 40), np.float32)
    _rows.popularities(offsets, both, np.full((1, 1, 2), 100.0), np.empty(0), views, np.empty((1, 0, 40), np.float32))
    np.testing.assert_array_equal(views[0, 0, 2], views[0, 1, 2])
