"""Content: profiles against their definition, items nobody has met, and what is named as the reason."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist import answer
from shortlist.component import HasTopics, InputError, able
from shortlist.pipeline import Pipeline
from shortlist.recall.content import Content
from shortlist.registry import find
from shortlist.testing import worlds
from shortlist.types import Ragged, Requests

GENRES = ["crime", "love", "space", "war"]
KINDS = {"genre": "category", "tags": "list", "title": "text", "price": "number", "emb": "vector"}


def world(unseen: int = 20, n: int = 60, users: int = 24, seed: int = 0):
    """Users of one genre each; the last ``unseen`` items stand in the catalogue alone. Item i is of genre i % 4."""
    rng = np.random.default_rng(seed)
    genre = np.arange(n) % 4
    user, item = [], []
    for u in range(users):
        own = rng.permutation(np.flatnonzero(genre[: n - unseen] == u % 4))[:6]
        user += [u] * len(own)
        item += own.tolist()
    mood = rng.integers(0, 3, n)
    base = rng.normal(size=(4, 8))
    items = pl.DataFrame(
        {
            "genre": [GENRES[g] for g in genre],
            "tags": [[f"m{m}", f"g{g}"] for m, g in zip(mood, genre, strict=True)],
            "title": [f"the {GENRES[g]} story no{i} {'noise' if i % 3 else 'calm'}" for i, g in enumerate(genre)],
            "price": (10.0 * genre + rng.normal(0, 1, n)).tolist(),
            "emb": (base[genre] + rng.normal(0, 0.4, (n, 8))).tolist(),
        }
    ).with_columns(item=pl.Series([f"i{i:02d}" for i in range(n)]))
    when = worlds.START + rng.permutation(len(user)) * worlds.MINUTE
    return worlds.dataset(
        np.array(user), np.array(item), when, n_users=users, n_items=n, items=items, kinds=KINDS
    ), genre


def requests(data, users):
    users = np.asarray(users, np.int32)
    now = np.full(len(users), data.events.time[-1] + 1)
    return Requests.of(users, now, data.state().history(users, now))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"columns": ["genre"]},
        {"columns": ["tags"]},
        {"columns": ["title"]},
        {"columns": ["price"], "buckets": 4},
        {"columns": ["emb"]},
        {"answer": "topics", "best": 3},
        {"quality": "recent"},
    ],
)
def test_items_nobody_has_met_are_found_by_what_they_are(how):
    data, genre = world()
    channel = Content(popularity=0.0, **how).fit(data)
    asked = requests(data, np.arange(24))
    rows = channel.retrieve(asked, data.state(), 60)
    cold = rows.take(rows.item >= 40)
    first = cold.take(cold.positions() < 4)
    own = genre[first.item] == first.request % 4
    assert len(np.unique(first.request)) == 24
    assert own.mean() >= 0.95  # by chance a quarter


def test_one_user_alone_is_enough():
    data, genre = world(users=1)
    rows = Content(columns=["genre"]).fit(data).retrieve(requests(data, [0]), data.state(), 15)
    assert (genre[rows.item] == 0).all()
    assert len(rows) == 15


def plain_words(texts, least):
    """TF-IDF as the docstring says it, word by word."""
    words = [t.lower().split() for t in texts]
    vocab = sorted({w for ws in words for w in ws})
    df = {w: sum(w in ws for ws in words) for w in vocab}
    kept = [w for w in vocab if df[w] >= least]
    x = np.zeros((len(texts), len(kept)))
    for i, ws in enumerate(words):
        for t, w in enumerate(kept):
            x[i, t] = (w in ws) * (1 + np.log(max(ws.count(w), 1))) * np.log1p(len(texts) / df[w])
    return kept, x / np.linalg.norm(x, axis=1, keepdims=True)


def test_a_text_is_its_words_by_tf_idf():
    data, _ = world()
    channel = Content(columns=["title"], min_documents=3).fit(data)
    kept, expected = plain_words(data.items.texts["title"].to_list(), 3)
    assert channel.names_[:-1].tolist() == [f"title: {word}" for word in kept]
    np.testing.assert_allclose(channel.profiles_.toarray(), expected, rtol=1e-5)


@pytest.mark.parametrize("popularity", [0.0, 0.7])
def test_nearest_is_the_cosine_of_the_profiles(popularity):
    data, _ = world()
    channel = Content(popularity=popularity, weights={"emb": 0.5, "price": 2}, half_life="1h").fit(data)
    asked = requests(data, [3, 5])
    x = np.hstack([channel.profiles_.toarray(), channel.vectors_])
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-5)
    counts = 0.5 ** ((data.events.time[-1] - data.events.time) / channel.quality_half_life)
    sums = np.bincount(data.events.item, counts, data.n_items)
    quality = ((1 + sums) / (1 + sums.max())) ** popularity
    rows = channel.retrieve(asked, data.state(), data.n_items)
    for r in range(2):
        h = asked.history.row(r)
        w = 0.5 ** ((h["time"][-1] - h["time"]) / (60 * worlds.MINUTE))
        p = (w[:, None] * x[h["item"]]).sum(axis=0)
        expected = quality * (x @ (p / np.linalg.norm(p)))
        mine = rows.request == r
        np.testing.assert_allclose(rows["score"][mine], expected[rows.item[mine]], rtol=1e-4)
        assert set(rows.item[mine]) == set(np.flatnonzero(expected > 0))


def test_topics_interleave_their_lists_by_the_profile():
    data, _ = world()
    channel = Content(answer="topics", best=2, each=5, columns=["tags"], popularity=1.0).fit(data)
    asked = requests(data, [2])
    x = channel.profiles_.toarray()
    h = asked.history.row(0)["item"]
    p = x[h].sum(axis=0) / np.linalg.norm(x[h].sum(axis=0))
    counts = 0.5 ** ((data.events.time[-1] - data.events.time) / channel.quality_half_life)
    sums = np.bincount(data.events.item, counts, data.n_items)
    expected = np.zeros(data.n_items)
    for t in np.argsort(-p, kind="stable")[:2]:
        worth = x[:, t] * (1 + sums)
        order = [i for i in np.lexsort((np.arange(data.n_items), -worth)) if worth[i] > 0][:5]
        expected[order] += p[t] / (1 + np.arange(len(order)))
    rows = channel.retrieve(asked, data.state(), 60)
    np.testing.assert_allclose(rows["score"], expected[rows.item], rtol=1e-5)
    assert set(rows.item) == set(np.flatnonzero(expected))


def test_the_topic_behind_a_row_is_named():
    data, genre = world()
    for way in ("nearest", "topics"):
        channel = Content(columns=["genre"], answer=way).fit(data)
        asked = requests(data, [1, 2])
        rows = channel.retrieve(asked, data.state(), 5)
        named = [f"genre: {GENRES[g]}" for g in genre[rows.item]]
        assert channel.reasons(asked, rows, data.state()) == named
        because = channel.explain(asked, rows)
        assert (genre[because] == genre[rows.item]).all()
    by_vector = Content(columns=["emb"]).fit(data)
    assert set(by_vector.reasons(asked, by_vector.retrieve(asked, data.state(), 5), data.state())) == {"emb"}


def test_its_topics_can_be_read():
    data, genre = world()
    channel = Content(columns=["genre"]).fit(data)
    assert able(channel, HasTopics)
    assert channel.n_topics() == 4
    for t, name in enumerate(channel.names_[:-1]):
        found = channel.topics(t, 5)
        assert {f"genre: {GENRES[g]}" for g in genre[found.item]} == {name}
    like = channel.user_top_like(np.array([1, 999]), 5)
    assert (like.request == 0).all()
    assert (genre[like.item] == 1).all()


def test_the_newest_of_equal_fit_comes_first():
    data, _ = world(unseen=0)
    channel = Content(columns=["genre"], quality="recent", quality_half_life="1h", popularity=1.0).fit(data)
    rows = channel.retrieve(requests(data, [0]), data.state(), 60)
    first = np.full(data.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, data.events.item, data.events.time)
    assert (np.diff(first[rows.item]) <= 0).all()


@pytest.mark.parametrize("how", [{"columns": ["nothing"]}, {"weights": {"nothing": 1.0}}])
def test_an_attribute_that_is_not_there_is_refused(how):
    with pytest.raises(InputError, match="no attribute 'nothing'; the table has"):
        Content(**how).fit(world()[0])


def test_without_attributes_it_says_nothing():
    data = worlds.random_log(0)
    channel = Content().fit(data)
    assert len(channel.retrieve(requests(data, [0, 1]), data.state(), 5)) == 0
    assert len(channel.similar(np.array([0, 1]), 5)) == 0


def test_a_slate_says_which_topic_speaks_for_a_row():
    data, genre = world()
    channel = Content(columns=["genre"]).fit(data)
    pipeline = Pipeline(recall={"content": channel}, merge=find("merge", "quota")())
    pipeline.merge.fit({}, Ragged.empty(0, item=np.int32, known=bool))
    found = answer.recommend(pipeline, data.state(), requests(data, [1]), 5)
    for line in answer.tell(found, pipeline, data)[0]:
        assert line["reason"].endswith("(genre: love)")
        assert genre[data.item_ids.code(line["because"])] == 1


texts = st.none() | st.sampled_from(["", "a b", "foo bar foo", "été 映画 film", "..."])
numbers = st.none() | st.floats(-(2.0**100), 2.0**100, width=32)
vectors = st.none() | st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=2, max_size=2)


def column(cells):
    return st.lists(cells, min_size=12, max_size=12)


@settings(deadline=None, max_examples=30)
@given(
    column(texts), column(texts), column(numbers), column(vectors), st.integers(0, 30),
    st.sampled_from(["nearest", "topics"]), st.sampled_from(["popular", "recent"]),
)  # fmt: skip
def test_whatever_the_catalogue_says_rows_are_finite_and_agree_with_their_scores(c, t, p, v, seed, way, quality):
    data = worlds.random_log(seed, unit=worlds.DAY)
    schema = {"c": pl.String, "t": pl.String, "p": pl.Float32, "v": pl.List(pl.Float32)}
    frame = pl.DataFrame({"c": c, "t": t, "p": p, "v": v}, schema).with_columns(item=pl.Series(data.item_ids.ids))
    kinds = {"c": "category", "t": "text", "p": "number", "v": "vector"}
    data = worlds.replace(data, items=worlds.Table.of(frame, "item", kinds, data.item_ids))
    channel = Content(answer=way, quality=quality, min_documents=1, popularity=1.0).fit(data)
    asked = requests(data, [0, 3, 7, -1])
    found = channel.retrieve(asked, data.state(), 12)
    assert np.isfinite(found["score"]).all()
    assert (found["score"] > 0).all()
    np.testing.assert_allclose(channel.score(asked, found, data.state()), found["score"], rtol=1e-5)
    assert all(channel.reasons(asked, found, data.state()))
    assert np.isfinite(channel.similar(np.arange(14), 5)["score"]).all()
