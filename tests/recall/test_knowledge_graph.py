"""Knowledge graph: shared entities, the relation that tells, vectors of entities, and what is due again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Vocab
from shortlist.recall import _facts
from shortlist.recall._kernels import cycle
from shortlist.recall.knowledge_graph import KnowledgeGraph, weights
from shortlist.testing import worlds
from shortlist.types import Requests

DAY = worlds.DAY


def graph(*rows):
    return pl.DataFrame(rows, ["head", "relation", "tail"], orient="row")


def asking(data, users, later=1):
    users = np.asarray(users, np.int32)
    now = np.full(len(users), data.events.time[-1] + later)
    return Requests.of(users, now, data.state().history(users, now))


def world(unseen=20, n=60, users=40, seed=0):
    """Users follow one of four directors; studios are drawn at random; the last ``unseen`` items have no events."""
    rng = np.random.default_rng(seed)
    director, studio = np.arange(n) % 4, rng.integers(0, 4, n)
    user, item, time = [], [], []
    for u in range(users):
        own = rng.permutation(np.flatnonzero(director[: n - unseen] == u % 4))[:7]
        user += [u] * len(own)
        item += own.tolist()
        time += (worlds.START + np.sort(rng.integers(0, 40 * 1440, len(own))) * worlds.MINUTE).tolist()
    triples = graph(
        *((f"i{i:02d}", "directed by", f"director {d}") for i, d in enumerate(director)),
        *((f"i{i:02d}", "made at", f"studio {s}") for i, s in enumerate(studio)),
    )
    data = worlds.dataset(np.array(user), np.array(item), np.array(time), n_users=users, n_items=n, triples=triples)
    return data, director, studio


@pytest.mark.parametrize("how", [{}, {"vectors": "none"}, {"vectors": "transe"}, {"vectors": "distmult"}])
def test_an_item_without_events_is_found_through_its_entities(how):
    data, director, _ = world()
    channel = KnowledgeGraph(popularity=0.0, **how).fit(data)
    rows = channel.retrieve(asking(data, np.arange(40)), data.state(), 60)
    cold = rows.take(rows.item >= 40)
    first = cold.take(cold.positions() < 4)
    assert len(np.unique(first.request)) == 40
    assert (director[first.item] == first.request % 4).mean() >= 0.95  # by chance a quarter


def test_the_relation_that_tells_is_weighed():
    data, _, _ = world()
    channel = KnowledgeGraph(vectors="none").fit(data)
    weight = dict(zip(channel.relations_.tolist(), channel.theta_.tolist(), strict=False))
    assert weight["directed by"] > 5 * weight["made at"]
    plain = KnowledgeGraph(vectors="none", learn=False).fit(data)
    assert plain.theta_.tolist() == [1] * 5


def test_the_entity_behind_a_row_is_named():
    data, director, _ = world()
    channel = KnowledgeGraph(vectors="none").fit(data)
    asked = asking(data, [1, 2])
    rows = channel.retrieve(asked, data.state(), 10)
    assert channel.reasons(asked, rows, data.state()) == [f"directed by: director {d}" for d in director[rows.item]]
    because = channel.explain(asked, rows)
    assert (director[because] == director[rows.item]).all()


@pytest.mark.parametrize("how", [{"vectors": "none"}, {"vectors": "distmult"}, {"learn": False}])
def test_the_score_is_the_sum_of_its_parts(how):
    data, _, _ = world()
    channel = KnowledgeGraph(half_life="7d", popularity=0.5, **how).fit(data)
    asked = asking(data, [0, 3], later=DAY)
    rows = channel.retrieve(asked, data.state(), 60)
    x, v = channel.profiles_.toarray(), channel.vectors_
    theta, (by_vector, by_item, by_fact) = channel.theta_[:-3][channel.relation_], channel.theta_[-3:]
    faded = 0.5 ** ((data.events.time[-1] - data.events.time) / channel.quality_half_life)
    counts = np.bincount(data.events.item, faded, data.n_items)
    quality = ((1 + counts) / (1 + counts.max())) ** 0.5
    for r in range(2):
        h = asked.history.row(r)
        w = 0.5 ** ((h["time"][-1] - h["time"]) / (7 * DAY))
        w = w / w.sum()
        expected = x @ (theta * (w @ x[h["item"]]))
        if v.shape[1]:
            expected = expected + by_vector * (v @ (w @ v[h["item"]]))
        for what, rate, gap, spread, weight in (
            (np.eye(60), channel.item_rate_, channel.item_gap_, channel.item_spread_, by_item),
            (x, channel.fact_rate_, channel.fact_gap_, channel.fact_spread_, by_fact),
        ):
            for t in range(what.shape[1]):
                times = [s for i, s in zip(h["item"], h["time"], strict=True) if what[i, t] > 0]
                if times:
                    off = (np.log(asked.time[r] - max(times)) - gap[t]) / spread
                    expected = expected + weight * rate[t] * np.exp(-off * off / 2) * what[:, t]
        mine = rows.request == r
        np.testing.assert_allclose(rows["score"][mine], (quality * expected)[rows.item[mine]], rtol=1e-3)


def staples(seed=0):
    """Users take bread (item 0) every 7 days, coffee (1) every 40, and other things once."""
    rng = np.random.default_rng(seed)
    user, item, time = [], [], []
    for u in range(30):
        for thing, every in ((0, 7), (1, 40)):
            days = np.arange(rng.uniform(0, every), 200, every)
            days = np.maximum(days + rng.normal(0, 0.3, len(days)), 0)
            user += [u] * len(days)
            item += [thing] * len(days)
            time += (worlds.START + (days * DAY).astype(np.int64)).tolist()
        for thing in 2 + rng.permutation(20)[:5]:
            user.append(u)
            item.append(int(thing))
            time.append(worlds.START + int(rng.uniform(0, 200) * DAY))
    return worlds.dataset(np.array(user), np.array(item), np.array(time), n_users=31, n_items=22)


@pytest.mark.parametrize(("days", "first"), [(7, 0), (40, 1)])
def test_what_is_due_comes_again(days, first):
    data = staples()
    channel = KnowledgeGraph(popularity=0.0).fit(data)
    assert np.exp(channel.item_gap_[0]) / DAY == pytest.approx(7, rel=0.1)
    assert np.exp(channel.item_gap_[1]) / DAY == pytest.approx(40, rel=0.15)
    assert channel.theta_[-2] > 0
    both = data.events.time[-1] + 1000 * DAY
    shopped = worlds.dataset(np.array([30, 30]), np.array([0, 1]), np.array([both, both]), n_users=31, n_items=22)
    now = np.array([both + days * DAY])
    asked = Requests.of(np.array([30], np.int32), now, shopped.state().history(np.array([30], np.int32), now))
    rows = channel.retrieve(asked, shopped.state(), 2)
    assert rows.item[0] == first
    assert channel.reasons(asked, rows, shopped.state())[0] == f"taken again: i{first:02d}"
    assert channel.explain(asked, rows)[0] == first


def test_gaps_and_what_is_due_are_as_defined():
    identity = np.arange(3), np.arange(2, dtype=np.int32)
    offsets, item, time = np.array([0, 4, 6]), np.array([0, 1, 0, 0, 1, -1]), np.array([0, 5, 10, 30, 7, 8]) * 1000
    count, logs, events, total, square = cycle.gaps(offsets, item, time, *identity, 2)
    assert count.tolist() == [2, 0]
    assert events.tolist() == [3, 2]
    np.testing.assert_allclose(logs, [np.log(10_000) + np.log(20_000), 0])
    np.testing.assert_allclose([total, square], [logs[0], np.log(10_000) ** 2 + np.log(20_000) ** 2])
    rate, middle = np.array([0.5, 0.25], np.float32), np.array([np.log(20_000), np.log(9_000)], np.float32)
    ends, columns, weight = cycle.due(offsets, item, time, np.array([50_000, 16_000]), *identity, rate, middle, 0.5)
    assert ends.tolist() == [0, 2, 3]
    assert columns.tolist() == [0, 1, 1]
    off = (np.log(45_000) - np.log(9_000)) / 0.5
    np.testing.assert_allclose(weight, [0.5, 0.25 * np.exp(-off * off / 2), 0.25], rtol=1e-5)


@pytest.mark.parametrize("model", ["transe", "distmult"])
def test_vectors_see_what_is_two_steps_away(model):
    """Items have an actor each to themselves and a friend; only the actors' troupe says which items go together."""
    n = 40
    troupe = np.arange(n) % 2
    triples = graph(
        *((f"i{i:02d}", "played by", f"actor {i}") for i in range(n)),
        *((f"actor {i}", "member of", f"troupe {t}") for i, t in enumerate(troupe)),
    )
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(20), 8)
    item = np.concatenate([rng.permutation(np.flatnonzero(troupe[:30] == u % 2))[:8] for u in range(20)])
    data = worlds.dataset(user, item, worlds.START + rng.permutation(160) * DAY, n_users=20, n_items=n, triples=triples)
    channel = KnowledgeGraph(vectors=model, epochs=60, popularity=0.0).fit(data)
    rows = channel.retrieve(asking(data, range(20)), data.state(), n)
    cold = rows.take(rows.item >= 30)
    first = cold.take(cold.positions() < 3)
    assert len(np.unique(first.request)) == 20
    assert (troupe[first.item] == first.request % 2).mean() >= 0.75  # nothing else knows anything of them: half
    blind = KnowledgeGraph(vectors="none").fit(data)
    assert not (blind.retrieve(asking(data, range(20)), data.state(), n).item >= 30).any()


def test_the_catalogue_makes_triples_where_there_are_none():
    data = worlds.checkerboard()
    told = _facts.triples(worlds.replace(data, triples=None))
    assert told["relation"].unique().sort().to_list() == ["colour", "tags"]
    assert told.filter(pl.col("relation") == "colour").height == data.n_items
    assert _facts.triples(data)["relation"].unique().sort().to_list() == ["made_by", "shaped"]


def test_a_triple_of_two_items_is_a_fact_of_both():
    told = _facts.triples(worlds.replace(worlds.checkerboard(), triples=graph(("a", "goes with", "b"))))
    found = _facts.facts(told, Vocab(["a", "b", "c"]), 2, True)
    assert found.names == ["goes with: b", "goes with of: a"]
    assert (found.x.toarray() > 0).tolist() == [[True, True], [True, True], [False, False]]


def test_weights_are_those_of_the_least_loss_and_never_below_nothing():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(4000, 3))
    z = d @ np.array([2.0, 0.5, -1.0])
    d = d * np.where(rng.random(4000) < 1 / (1 + np.exp(-z)), 1, -1)[:, None]
    theta = weights(d, 0.0)
    assert theta[2] == 0
    assert theta[0] == 1
    assert theta[1] == pytest.approx(0.25, abs=0.06)
    assert weights(np.zeros((5, 2)), 1e-3).tolist() == [1, 1]


def test_a_log_without_anything_to_go_by_gives_what_is_taken_again_at_most():
    data = worlds.random_log(0)
    channel = KnowledgeGraph(vectors="none").fit(data)
    asked = asking(data, [0, 1])
    rows = channel.retrieve(asked, data.state(), 5)
    for r in range(2):
        assert set(rows.item[rows.request == r]) <= set(asked.history.row(r)["item"])


names = st.sampled_from(["i0", "i1", "i07", "i11", "x", "y", "z", ""])


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(names, st.sampled_from(["r", "s", "r of"]), names, st.none() | st.floats(0, 1e6, width=32))),
    st.integers(0, 50),
    st.sampled_from(["chosen", "none"]),
)
def test_whatever_the_triples_say_rows_are_finite_and_agree_with_their_scores(rows, seed, vectors):
    schema = {"head": pl.String, "relation": pl.String, "tail": pl.String, "weight": pl.Float32}
    triples = pl.DataFrame(rows, schema, orient="row")
    data = worlds.replace(worlds.random_log(seed, unit=DAY), triples=triples)
    channel = KnowledgeGraph(vectors=vectors, epochs=2, min_items=1).fit(data)
    asked = asking(data, [0, 3, 7, -1])
    found = channel.retrieve(asked, data.state(), 12)
    assert np.isfinite(found["score"]).all()
    assert (found["score"] > 0).all()
    np.testing.assert_allclose(channel.score(asked, found, data.state()), found["score"], rtol=1e-5)
    assert len(channel.reasons(asked, found, data.state())) == len(found)
    assert all(channel.reasons(asked, found, data.state()))
