"""Funnels put together in a notebook, and opened from a bundle."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import shortlist as sl
from shortlist.bundle import open_bundle
from shortlist.component import Rule
from shortlist.face.recommender import ROWS

FRAME = {**ROWS, "channels": pl.List(pl.String), "reason": pl.String}


@pytest.fixture(scope="module")
def mixed(films):
    return sl.Funnel(cf=sl.ItemCF(), hot=sl.Popular(), merge=sl.ReciprocalRank()).fit(films)


def test_a_merge_of_channels_answers_with_the_same_verbs(mixed, films):
    frame = mixed.recommend(["196", "nobody"], n=5)
    assert dict(frame.schema) == FRAME
    assert frame["user"].to_list() == ["196"] * 5 + ["nobody"] * 5
    assert set(frame.filter(pl.col("user") == "nobody")["channels"].explode()) == {"hot"}
    met = films.events.filter(pl.col("user") == "196")["item"]
    assert not frame["item"].head(5).is_in(met.implode()).any()
    assert mixed.recommend("196", n=50, exclude_seen=False)["item"].is_in(met.implode()).any()
    near = mixed.similar(["242", "zzz"], n=3)
    assert near.columns == ["item", "channel", "similar", "score", "rank"]
    assert set(near["channel"]) == {"cf"}
    assert near.drop("channel").equals(sl.ItemCF().fit(films).similar("242", n=3))


def test_the_merge_joins_what_the_channels_say(mixed, films):
    trace = mixed.trace("196", n=5)
    alone = sl.ItemCF().fit(films).recommend("196", n=200)
    assert trace["recall.cf"]["item"].to_list() == alone["item"].to_list()
    both = trace["merge"].head(20)
    by_rank = 1 / (60 + both["cf.rank"]) + 1 / (60 + both["hot.rank"])
    found = by_rank.is_not_null()
    np.testing.assert_allclose(both["score"].filter(found), by_rank.filter(found), rtol=1e-5)
    assert trace["slate"]["item"].to_list() == mixed.recommend("196", n=5)["item"].to_list()


def test_what_a_funnel_is_made_of_stays_as_it_is(films):
    cf = sl.ItemCF()
    sl.Funnel(cf=cf).fit(films)
    with pytest.raises(sl.InputError, match="not fitted yet"):
        cf.recommend("196")


def test_fallback_and_rules(films):
    funnel = sl.Funnel(cf=sl.ItemCF(), fallback=sl.Popular(), rules=[sl.Fill()]).fit(films)
    frame = funnel.recommend("nobody", n=4)
    assert frame["channels"].to_list() == [["fallback"]] * 4
    assert frame["score"].null_count() == 4
    assert frame["reason"].to_list() == ["popular now"] * 4


class LastFirst(Rule):
    """Turns the list round."""

    def apply(self, requests, candidates, state):
        return candidates.take(np.lexsort((-candidates.positions(), candidates.request)))


class Halved(LastFirst):
    """Drops every other row."""

    def apply(self, requests, candidates, state):
        return candidates.take(candidates.positions() % 2 == 0)


def test_several_rules_of_one_kind_or_of_ones_own_all_apply(films):
    twice = [sl.Scatter(most={"genres": 1}, window=2), sl.Scatter(most={"genres": 2}, window=3)]
    funnel = sl.Funnel(cf=sl.ItemCF(), rules=[*twice, LastFirst(), Halved()]).fit(films)
    assert list(funnel.pipeline.rules) == ["scatter", "scatter.1", "LastFirst", "Halved"]
    assert [rule.config() for rule in list(funnel.pipeline.rules.values())[:2]] == [rule.config() for rule in twice]


def test_an_id_may_be_a_number_of_numpy(mixed):
    assert mixed.recommend(np.int64(196), n=3).equals(mixed.recommend("196", n=3))


def test_a_funnel_needs_channels_and_a_log(films):
    with pytest.raises(sl.InputError, match="Funnel: expected channels by name"):
        sl.Funnel()
    with pytest.raises(sl.InputError, match="Funnel: not fitted yet"):
        sl.Funnel(cf=sl.ItemCF()).recommend("1")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"cf": sl.ItemCF}, r"cf: expected a recall channel .*, found the class ItemCF; make one: ItemCF\(\)"),
        ({"cf": "item_cf"}, "cf: expected a recall channel .*, found 'item_cf'"),
        ({"cf": sl.Quota()}, "cf: expected a recall channel .*, found Quota"),
        ({"hot": sl.Popular(), "merge": "quota"}, "merge: expected a merge such as .*, found 'quota'"),
        ({"hot": sl.Popular(), "rules": [sl.Popular()]}, "rules: expected a rule such as .*, found Popular"),
        ({"hot": sl.Popular(), "fallback": "popular"}, "fallback: expected a recall channel"),
        ({"slate": sl.Popular()}, "slate: no name for a channel"),
        ({"hot": sl.Popular(), "ranker": sl.Logistic()}, "ranker: no name for a channel; .*recipe"),
        ({"hot": sl.Popular(), "depth": 0}, "depth: expected at least 1, found 0"),
    ],
)
def test_what_does_not_belong_is_refused_at_once(parts, message):
    with pytest.raises(sl.InputError, match=f"Funnel: {message}"):
        sl.Funnel(**parts)


def test_one_rule_or_two_of_a_kind(films):
    one = sl.Funnel(hot=sl.Popular(), rules=sl.Blacklist(items=["50"])).fit(films)
    two = sl.Funnel(hot=sl.Popular(), rules=[sl.Blacklist(items=["50"]), sl.Blacklist(items=["313"])]).fit(films)
    assert "50" not in one.recommend("x")["item"]
    assert "313" in one.recommend("x")["item"]
    assert not {"50", "313"}.intersection(two.recommend("x")["item"])


def test_a_bundle_answers_as_the_command_line_does(run, shortlist_command):
    funnel = sl.open(run.bundle)
    frame = funnel.recommend("196", n=10, explain=True)
    _, said, _ = shortlist_command("recommend", run.bundle, "--user", "196", "--explain", "--json")
    items = json.loads(said)["items"]
    for column in ("item", "score", "channels", "reason"):
        assert frame[column].to_list() == [line[column] for line in items]
    _, said, _ = shortlist_command("similar", run.bundle, "--item", "242", "--json")
    told = json.loads(said)["channels"]["cf"]
    assert funnel.similar("242")["similar"].to_list() == [line["item"] for line in told]


def test_a_trace_has_every_stage(run):
    funnel = sl.open(run.bundle)
    trace = funnel.trace("196", n=10)
    stages = list(trace.stages)
    assert stages[:3] == ["recall.cf", "recall.hot", "merge"]
    assert {"rank", "slate"} <= set(stages)
    assert trace["slate"]["item"].to_list() == funnel.recommend("196", n=10)["item"].to_list()
    assert set(trace["merge"].columns) >= {"rank", "item", "title", "score", "cf.score", "cf.rank", "hot.rank"}
    assert {"recall.cf", "merge", "rank"} <= set(trace.seconds)
    assert all(spent >= 0 for spent in trace.seconds.values())
    assert not trace.failed
    assert "recall.cf: 200 rows" in repr(trace)
    assert "<h4>merge" in trace._repr_html_()
    with pytest.raises(sl.InputError, match=r"no stage 'merged'; there are recall.cf"):
        trace["merged"]
    for users in (["196", "7"], []):
        with pytest.raises(sl.InputError, match=f"trace: expected one user, found {len(users)}"):
            funnel.trace(users)


def test_a_bundle_is_fitted_already(run):
    funnel = sl.open(run.bundle)
    assert "ranker=GBDT" in repr(funnel)
    with pytest.raises(sl.InputError, match="came from a bundle"):
        funnel.fit("ratings.csv")
    opened = open_bundle(run.bundle)
    with pytest.raises(sl.InputError, match="is before 1998"):
        funnel.recommend("196", now=opened.pipeline.fitted_until - 1)
    assert not funnel.recommend("196", now=opened.pipeline.fitted_until).is_empty()
