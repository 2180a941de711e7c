"""The plain verbs on every channel there is, and that they say what the channel itself says."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

import shortlist as sl
from shortlist import answer
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.repeat import Repeat
from shortlist.recall.social import Social
from shortlist.registry import find
from shortlist.testing import contract

CHANNELS = [find(kind, name) for kind, name, _ in contract.found() if kind == "recall"]
FRAME = {"user": pl.String, "item": pl.String, "score": pl.Float32, "rank": pl.Int32, "reason": pl.String}
LIKE = {"item": pl.String, "similar": pl.String, "score": pl.Float32, "rank": pl.Int32}


@pytest.fixture(scope="module")
def few(films):
    """The log of every fourth person: every channel fits on it within a second or so."""
    frame = films.events.filter(pl.col("user").cast(pl.Int32) % 4 == 0).select("user", "item", "time", "value")
    return sl.read(frame, items=films.items.select("item", "title"), users=films.users)


@pytest.mark.parametrize("cls", CHANNELS, ids=lambda cls: cls.__name__)
def test_every_channel(cls, few):
    example = {key: value for key, value in cls.example.items() if key not in ("segment",)}
    if cls is Social:
        with pytest.raises(sl.InputError, match=r"social: expected \[data.ties\]"):
            sl.Recommender(cls()).fit(few)
        return
    if "hold" in cls.model_fields:  # a net: what it learns is another test's affair
        example |= {"epochs": 2, "hold": 0.0}
    asked = sl.Recommender(cls.from_config(example)).fit(few)
    users, again = ["196", "8", "nobody"], cls is Repeat  # whose answers are what the user has met
    frame = asked.recommend(users, n=5, exclude_seen=not again)
    assert dict(frame.schema) == FRAME
    assert frame["user"].is_in(users).all()
    assert frame.group_by("user").len()["len"].max() <= 5
    assert frame.filter(pl.col("user") != "nobody").height > 0
    for (user,), rows in frame.group_by("user"):
        assert rows["rank"].to_list() == list(range(1, len(rows) + 1))
        assert rows["score"].is_sorted(descending=True)
        assert rows["item"].n_unique() == len(rows)
        met = few.events.filter(pl.col("user") == user)["item"]
        assert rows["item"].is_in(met.implode()).any() == again
    plain = asked.recommend(users, n=5, exclude_seen=not again, explain=False)
    assert plain.equals(frame.drop("reason"))
    if hasattr(asked.component, "similar"):
        near = asked.similar(["50", "zzz"], n=3)
        assert dict(near.schema) == LIKE
        assert set(near["item"]) == {"50"}
        assert near["rank"].to_list() == [1, 2, 3]
        assert "50" not in near["similar"]
    else:
        with pytest.raises(sl.InputError, match="does not compare items"):
            asked.similar("50")


def test_the_answer_is_the_channels_own(films):
    asked = sl.ItemCF(neighbours=40).fit(films)
    own = ItemCF(neighbours=40).fit(films.data)
    state = films.data.state()
    code = films.data.user_ids.code("196")
    rows = own.retrieve(answer.requests_of(state, np.array([code]), state.last), state, 10)
    frame = asked.recommend("196", n=10, exclude_seen=False)
    assert frame["item"].to_list() == films.data.item_ids.decode(rows.item)
    np.testing.assert_array_equal(frame["score"].to_numpy(), rows["score"])
    met = films.events.filter(pl.col("user") == "196")["item"]
    assert frame["item"].is_in(met.implode()).any()


def test_many_users_get_what_each_gets_alone(films):
    asked = sl.ItemCF().fit(films)
    everyone = films.user_ids.to_list()
    doubled = [*everyone, *everyone[:5]]
    frame = asked.recommend(pl.Series(doubled), n=4)
    assert frame["user"].unique(maintain_order=True).to_list() == [u for u in everyone if u in set(frame["user"])]
    for user in ("1", "500", "943"):
        assert frame.filter(pl.col("user") == user).equals(asked.recommend(user, n=4))


def test_ids_are_text_whatever_they_come_as(films):
    asked = sl.ItemCF().fit(films)
    said = asked.recommend(["196", "7"], n=2)
    assert said.equals(asked.recommend([196, 7], n=2))
    assert said.equals(asked.recommend(np.array([196, 7]), n=2))
    assert said.head(2).equals(asked.recommend(np.int64(196), n=2))
    assert asked.recommend([], n=2).is_empty()
    assert dict(asked.recommend([], n=2).schema) == FRAME
    assert asked.similar(242, n=2).equals(asked.similar("242", n=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": -1}, "n: expected a whole number from 0 on, found -1"),
        ({"n": 1.5}, "n: expected a whole number"),
        ({"n": "5"}, "n: expected a whole number"),
        ({"users": None}, "expected an id or many .*, found a NoneType"),
        ({"users": pl.DataFrame({"user": ["196"]})}, "expected an id or many .*, found a DataFrame"),
        ({"now": 0.5}, "now: expected ISO 8601, a datetime or microseconds since 1970, found 0.5"),
    ],
)
def test_wrong_questions_are_refused(films, options, message):
    for asked in (sl.Popular().fit(films), sl.Funnel(hot=sl.Popular()).fit(films)):
        with pytest.raises(sl.InputError, match=message):
            asked.recommend(**{"users": "196", **options})
    with pytest.raises(sl.InputError, match="n: expected"):
        sl.ItemCF().fit(films).similar("242", n=-1)


def test_no_rows_and_more_rows_than_there_are(films):
    for asked in (sl.Popular().fit(films), sl.Funnel(hot=sl.Popular()).fit(films)):
        assert asked.recommend("196", n=0).is_empty()
        whole = asked.recommend("196", n=10**6)
        assert 10 < len(whole) == whole["item"].n_unique()
        assert len(whole) <= len(films.items)


def test_reasons_name_what_the_user_took(films):
    frame = sl.ItemCF().fit(films).recommend("196", n=10)
    titles = films.events.filter(pl.col("user") == "196").join(films.items, on="item")["title"]
    assert frame["reason"].str.strip_prefix("because of ").is_in(titles.implode()).all()


def test_a_stranger_gets_what_strangers_get(films):
    assert sl.ItemCF().fit(films).recommend("nobody").is_empty()
    first, second = (sl.Popular().fit(films).recommend(name, n=3) for name in ("nobody", "who"))
    assert len(first) == 3
    assert first["item"].equals(second["item"])
    assert first["reason"].null_count() == 3


def test_now_is_the_end_of_the_log_unless_said(films):
    asked = sl.Popular(half_life="1d").fit(films)
    end = films.events["time"][-1]
    assert asked.recommend("x", now=end).equals(asked.recommend("x"))
    assert asked.recommend("x", now=datetime(1999, 1, 1, tzinfo=UTC)).equals(asked.recommend("x", now="1999-01-01"))
    with pytest.raises(sl.InputError, match=r"now: 1990.* is before 1998-04-22"):
        asked.recommend("x", now="1990-01-01")
    with pytest.raises(sl.InputError, match="now: expected ISO 8601"):
        asked.recommend("x", now="soon")


def test_fit_comes_first():
    with pytest.raises(sl.InputError, match="ItemCF: not fitted yet"):
        sl.ItemCF().recommend("1")
