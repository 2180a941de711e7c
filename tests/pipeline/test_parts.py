"""The funnel's own lines, beside stages that only remember what they were asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shortlist.component import Feature, InputError, Merge, Ranker, Retriever, Rule
from shortlist.pipeline import DENSE, SPARE, Pipeline, Recalled, Trace
from shortlist.pipeline._rows import among, backed, foremost, numbered
from shortlist.pipeline.trace import attempt
from shortlist.testing import worlds
from shortlist.testing.case import case
from shortlist.types import Candidates, Ragged, Requests

N_ITEMS = 400


@pytest.fixture(scope="module")
def data():
    user, item = np.divmod(np.arange(60), 12)
    return worlds.dataset(user, item, worlds.START + np.arange(60), n_users=5, n_items=N_ITEMS)


@pytest.fixture(scope="module")
def asked(data):
    return case(data, np.array([0, 1, 2]), data.state(), exclude_history=False)


def rows_of(lists, **columns) -> Candidates:
    request = np.repeat(np.arange(len(lists), dtype=np.uint32), [len(row) for row in lists])
    item = np.array([i for row in lists for i in row], np.int32)
    falling = np.array([1 / (1 + p) for row in lists for p in range(len(row))], np.float32)
    return Candidates(request, item, {"score": falling, **columns})


class Lists(Retriever):
    """The items from ``first`` on, as many as ``lengths`` says of each request and as are asked for."""

    first: int = 0
    lengths: list[int] = []

    def fit(self, data):
        self.fits_ = np.array([data.fitted_until])
        return self

    def retrieve(self, requests, state, k):
        self.__dict__.setdefault("asked", []).append((requests.user.tolist(), k))
        return rows_of([range(self.first, self.first + min(k, self.lengths[user])) for user in requests.user])


class Scoring(Lists):
    """The same, and a score of any row: its item's code."""

    def score(self, requests, candidates, state):
        self.__dict__.setdefault("scored", []).append(candidates)
        return candidates.item.astype(np.float32)


class Union(Merge):
    """The channels' rows behind each other, each item once."""

    k: int = 300

    def fit(self, found, targets):
        return self

    def merge(self, found, n):
        self.__dict__.setdefault("asked", []).append(self.k)
        lists: list[dict[int, float]] = [{} for _ in range(n)]
        for name in found:
            for r, i, s in zip(found[name].request, found[name].item, found[name]["score"], strict=True):
                lists[r].setdefault(int(i), float(s))
        lists = [dict(list(row.items())[: self.k]) for row in lists]
        out = rows_of([list(row) for row in lists])
        for name, rows in found.items():
            said = {(int(r), int(i)): float(s) for r, i, s in zip(rows.request, rows.item, rows["score"], strict=True)}
            score = [said.get((int(r), int(i)), np.nan) for r, i in zip(out.request, out.item, strict=True)]
            out = out.with_columns(**{f"{name}.score": np.array(score, np.float32)})
        return out


class Backwards(Ranker):
    """The higher code comes first."""

    def fit(self, train, valid):
        return self

    def score(self, requests, candidates, state):
        return {"score": candidates.item.astype(np.float32)}


class Column(Feature):
    """One column, named after ``of``, of the rows it was given."""

    of: str = "one"

    def fit(self, data):
        self.fits_ = np.array([data.fitted_until])
        return self

    def compute(self, requests, candidates, state):
        self.__dict__.setdefault("rows", []).append(len(candidates))
        return {f"feature.{self.of}": candidates.item.astype(np.float32)}


class Dropping(Rule):
    """Drops the items below ``below``."""

    below: int = 0
    most: int = 1000

    def room(self, n):
        return min(n, self.most)

    def apply(self, requests, candidates, state):
        self.__dict__.setdefault("asked", []).append(requests.user.tolist())
        return candidates.take(candidates.item >= self.below)


def lists_of(rows: Candidates, n: int) -> list[list[int]]:
    return [rows.item[rows.request == r].tolist() for r in range(n)]


# rows


def test_spare_rows_stand_behind_and_none_twice():
    rows, spare = rows_of([[1, 2], [], [3]]), rows_of([[2, 9], [4], [8]])
    out = backed(rows, Candidates(spare.request, spare.item))
    order = out.take(np.argsort(out.request, kind="stable"))
    assert lists_of(order, 3) == [[1, 2, 9], [4], [3, 8]]
    assert order["fallback"].tolist() == [False, False, True, True, False, True]
    assert np.isnan(order["score"][order["fallback"]]).all()
    assert not backed(rows, Candidates.empty())["fallback"].any()


def test_rows_of_some_requests_are_numbered_from_0():
    out = numbered(rows_of([[1], [2, 3], [], [4]]), np.array([1, 3]))
    assert out.request.tolist() == [0, 0, 1]
    assert out.request.dtype == np.uint32
    assert out.item.tolist() == [2, 3, 4]


@pytest.mark.parametrize("ascending", [[], [5], [2, 5, 7], [0, 9]])
def test_among_is_membership(ascending):
    wanted = np.arange(11)
    assert among(wanted, np.array(ascending, np.int64)).tolist() == [w in ascending for w in range(11)]


# what is handed on


def test_what_recall_hands_on_comes_back_from_arrays(asked):
    context = {"device": np.array([4, 5, 6]), "place/of": np.array([1.0, 2.0, 3.0])}
    barred = Ragged.of(np.array([0, 2, 2]), 3, item=np.array([7, 8, 9], np.int32))
    requests = replace(asked.requests, id=np.array([10, 11, 12], np.uint64), exclude=barred, context=context)
    found = Recalled(requests, rows_of([[1, 2], [], [3]], **{"a.score": np.ones(3)}), rows_of([[], [4], []]))
    again = Recalled.of(found.arrays())
    for name in ("id", "user", "time"):
        np.testing.assert_array_equal(getattr(again.requests, name), getattr(requests, name))
    assert again.requests.time.tolist() != again.requests.user.tolist()
    for part in ("history", "exclude"):
        mine, other = getattr(requests, part), getattr(again.requests, part)
        np.testing.assert_array_equal(other.offsets, mine.offsets)
        assert set(other.columns) == set(mine.columns)
        for name in mine.columns:
            np.testing.assert_array_equal(other[name], mine[name])
    assert {name: column.tolist() for name, column in again.requests.context.items()} == {
        name: column.tolist() for name, column in context.items()
    }
    for mine, other in ((found.rows, again.rows), (found.spare, again.spare)):
        np.testing.assert_array_equal(other.request, mine.request)
        np.testing.assert_array_equal(other.item, mine.item)
        assert list(other.columns) == list(mine.columns)
        for name in mine.columns:
            np.testing.assert_array_equal(other[name], mine[name])


def test_a_fault_costs_one_stage_and_what_the_user_did_wrong_is_said():
    trace = Trace()
    assert attempt(trace, "recall.a", lambda: 5) == 5
    assert attempt(trace, "recall.b", lambda: 1 // 0) is None
    assert attempt(trace, "fallback", lambda: [][1]) is None
    assert trace.failed == {
        "b": "ZeroDivisionError: integer division or modulo by zero",
        "fallback": "IndexError: list index out of range",
    }
    assert list(trace.seconds) == ["recall.a", "recall.b", "fallback"]

    def wrong():
        raise InputError("no such column")

    with pytest.raises(InputError, match="no such column"):
        attempt(trace, "recall.c", wrong)
    assert "c" not in trace.failed


# recall


def test_a_channel_scores_what_it_did_not_find_and_keeps_its_own_scores(asked):
    one = Scoring(first=0, lengths=[2, 1, 0, 0, 0])
    two = Lists(first=10, lengths=[1, 1, 1, 0, 0])
    pipeline = Pipeline({"one": one, "two": two}, Union(), ranker=Backwards())
    found = pipeline.recalled(asked.requests, asked.state, 5, Trace())
    assert lists_of(found.rows, 3) == [[0, 1, 10], [0, 10], [10]]
    dense = found.rows["one" + DENSE].tolist()
    assert dense == pytest.approx([1, 0.5, 10, 1, 10, 10])  # 1 / place where it found them, the code where not
    assert [rows.item.tolist() for rows in one.scored] == [[10, 10, 10]]
    assert one.scored[0].request.tolist() == [0, 1, 2]
    assert "two" + DENSE not in found.rows.columns  # it cannot
    bare = replace(pipeline, ranker=None).recalled(asked.requests, asked.state, 5, Trace())
    assert "one" + DENSE not in bare.rows.columns  # nobody reads it


def test_a_channel_of_which_the_merge_says_nothing_scores_every_row(asked):
    pipeline = Pipeline({"one": Scoring()}, Union())
    out = pipeline.scored(asked.requests, rows_of([[5, 6], [], [7]]), asked.state, Trace())
    assert out["one" + DENSE].tolist() == [5, 6, 7]


def test_a_channel_that_failed_is_not_asked_for_scores(asked):
    class Down(Scoring):
        def retrieve(self, requests, state, k):
            raise OSError("gone")

    down, two = Down(), Lists(first=10, lengths=[1] * 5)
    trace = Trace()
    pipeline = Pipeline({"down": down, "two": two}, Union(), ranker=Backwards())
    found = pipeline.recalled(asked.requests, asked.state, 5, trace)
    assert trace.failed == {"down": "OSError: gone"}
    assert "scored" not in down.__dict__
    assert "down" + DENSE not in found.rows.columns

    class Mute(Scoring):
        def score(self, requests, candidates, state):
            raise OSError("gone")

    trace = Trace()
    pipeline = Pipeline({"mute": Mute(lengths=[1] * 5), "two": two}, Union(), ranker=Backwards())
    found = pipeline.recalled(asked.requests, asked.state, 5, trace)
    assert "mute" + DENSE not in found.rows.columns
    assert list(trace.failed) == ["mute"]
    assert len(found.rows) == 6


@pytest.mark.parametrize(("depth", "k", "n", "asks", "merges"), [(6, 9, 5, 6, 9), (6, 9, 8, 8, 9), (6, 9, 12, 12, 12)])
def test_without_a_fallback_the_stages_owe_what_is_asked_for(asked, depth, k, n, asks, merges):
    channel = Lists(lengths=[50] * 5)
    widths: list[int] = []

    class Wide(Union):
        def merge(self, found, n):
            widths.append(self.k)
            return super().merge(found, n)

    merge = Wide(k=k)
    pipeline = Pipeline({"one": channel}, merge, depth=depth)
    slate, _ = pipeline.recommend(asked.requests, asked.state, n)
    assert [k for _, k in channel.asked] == [asks]
    assert widths == [merges]
    assert np.bincount(slate.request).tolist() == [min(n, asks)] * 3
    assert merge.k == k
    channel.asked.clear()
    widths.clear()
    replace(pipeline, fallback=Lists(first=100, lengths=[50] * 5)).recommend(asked.requests, asked.state, n)
    assert [k for _, k in channel.asked] == [depth]  # the fallback fills
    assert widths == [k]


def test_the_fallback_is_asked_for_those_who_may_run_short(asked):
    n = 3
    channel = Lists(lengths=[SPARE * n, SPARE * n - 1, 0, 0, 0])
    fallback = Lists(first=100, lengths=[50] * 5)
    pipeline = Pipeline({"one": channel}, Union(), fallback=fallback)
    trace = Trace()
    found = pipeline.recalled(asked.requests, asked.state, n, trace)
    assert fallback.asked == [([1, 2], SPARE * n)]
    assert lists_of(found.spare, 3) == [[], [*range(100, 100 + SPARE * n)], [*range(100, 100 + SPARE * n)]]
    assert found.spare.request.dtype == np.uint32
    assert not found.spare.columns
    assert {"forbid", "recall.one", "merge", "fallback"} == set(trace.seconds)
    assert set(trace.stages) == {"recall.one", "merge"}
    enough = Pipeline({"one": Lists(lengths=[99] * 5)}, Union(), fallback=fallback)
    assert len(enough.recalled(asked.requests, asked.state, n, Trace()).spare) == 0
    assert len(fallback.asked) == 1
    few = replace(enough, prerank=Backwards(), keep=SPARE * n - 1)
    assert len(few.recalled(asked.requests, asked.state, n, Trace()).spare) == 3 * SPARE * n
    kept = replace(few, keep=SPARE * n)
    assert len(kept.recalled(asked.requests, asked.state, n, Trace()).spare) == 0


# ranking


def test_a_short_slate_asks_the_fallback_for_ever_more(asked):
    n = 2
    fallback = Lists(first=0, lengths=[300, 300, 20, 0, 0])
    channel = Lists(first=390, lengths=[2, 0, 1, 0, 0])
    rule = Dropping(below=60)
    pipeline = Pipeline({"one": channel}, Union(), fallback=fallback, rules={"dropping": rule})
    slate, trace = pipeline.recommend(asked.requests, asked.state, n)
    assert lists_of(slate, 3) == [[390, 391], [60, 61], [390]]
    first = SPARE * n
    # the third request's fallback has no more than twenty rows, so it is not asked again
    assert fallback.asked == [([0, 1, 2], first), ([1, 2], first * SPARE), ([1], first * SPARE**2)]
    assert not trace.failed
    assert slate.request.tolist() == [0, 0, 1, 1, 2]
    fallback.asked.clear()
    modest = replace(pipeline, rules={"dropping": Dropping(below=60, most=1)})
    slate, _ = modest.recommend(asked.requests, asked.state, n)  # the rule leaves no room for two
    assert fallback.asked[1][0] == [1]
    assert lists_of(slate, 3)[1][:1] == [60]


def test_a_fallback_that_fails_leaves_the_slates_as_they_are(asked):
    class Once(Lists):
        def retrieve(self, requests, state, k):
            if "asked" in self.__dict__:
                raise OSError("gone")
            return super().retrieve(requests, state, k)

    once = Once(first=0, lengths=[300] * 5)
    rules = {"dropping": Dropping(below=5)}
    pipeline = Pipeline({"one": Lists(first=390, lengths=[1] * 5)}, Union(), fallback=once, rules=rules)
    slate, trace = pipeline.recommend(asked.requests, asked.state, 6)
    assert np.bincount(slate.request).tolist() == [6] * 3
    assert not trace.failed
    slate, trace = replace(
        pipeline, fallback=Once(first=0, lengths=[300] * 5), rules={"d": Dropping(below=60)}
    ).recommend(asked.requests, asked.state, 6)
    assert lists_of(slate, 3) == [[390]] * 3
    assert trace.failed == {"fallback": "OSError: gone"}


def test_features_do_not_ride_on_and_stages_are_told(asked):
    class Needing(Dropping):
        needs = ("feature.two",)

    features = [Column(of="one"), Column(of="two")]
    rules: dict[str, Any] = {"needing": Needing()}
    pipeline = Pipeline(
        {"one": Scoring(lengths=[3, 2, 0, 0, 0])}, Union(), features=features, ranker=Backwards(), rules=rules
    )
    slate, trace = pipeline.recommend(asked.requests, asked.state, 9)
    assert lists_of(slate, 3) == [[2, 1, 0], [1, 0], []]
    assert set(slate.columns) == {"score", "one.score", "feature.two", "fallback", "ranked"}
    assert list(trace.stages) == ["recall.one", "merge", "rank", "rules.needing"]
    assert set(trace.seconds) == {
        "forbid", "recall.one", "merge", "features.0.test_parts", "features.1.test_parts", "rank", "rules.needing",
    }  # fmt: skip
    plain = replace(pipeline, rules={}, ranker=None)
    slate, trace = plain.recommend(asked.requests, asked.state, 9)
    assert lists_of(slate, 3) == [[0, 1, 2], [0, 1], []]  # the order of the merge
    assert [len(feature.rows) for feature in features] == [1, 1]  # nobody reads them
    unranked, trace = replace(pipeline, ranker=None).recommend(asked.requests, asked.state, 9)
    assert lists_of(unranked, 3) == [[0, 1, 2], [0, 1], []]
    assert "feature.two" in unranked.columns
    assert "rank" not in trace.stages


@pytest.mark.parametrize(("keep", "n", "kept"), [(2, 0, 2), (2, 3, 3), (9, 3, 5)])
def test_a_pre_ranker_keeps_its_best(asked, keep, n, kept):
    cheap, dear = Column(of="cheap"), Column(of="dear")
    pipeline = Pipeline({}, Union(), features=[dear, cheap], prerank=Backwards(), cheap=frozenset([1]), keep=keep)
    rows, trace = rows_of([range(5), range(1)]), Trace()
    out = pipeline.featured(asked.requests.take([0, 1]), rows, asked.state, trace, n=n)
    assert sorted(lists_of(out, 2)[0]) == [*range(5 - kept, 5)]
    assert lists_of(trace.stages["prerank"], 2) == [[*range(4, 4 - kept, -1)], [0]]
    assert list(trace.stages["prerank"].columns) == ["score"]
    assert (cheap.rows, dear.rows) == ([6], [kept + 1])
    assert {"feature.cheap", "feature.dear"} <= set(out.columns)
    surely = rows.item == 0
    out = pipeline.featured(asked.requests.take([0, 1]), rows, asked.state, Trace(), surely, n)
    assert sorted(lists_of(out, 2)[0]) == sorted({0, *range(5 - kept, 5)})
    both = replace(pipeline, prerank=None).featured(asked.requests.take([0, 1]), rows, asked.state, Trace())
    assert {"feature.cheap", "feature.dear"} <= set(both.columns)
    assert len(both) == 6


def test_a_rule_may_need_what_a_silent_channel_would_have_said(asked):
    class Needing(Dropping):
        needs = ("down.score", "down.rank", "down.dense")

    class Down(Scoring):
        def retrieve(self, requests, state, k):
            raise OSError("gone")

    ways = {"down": Down(), "one": Lists(lengths=[2] * 5)}
    pipeline = Pipeline(ways, Union(), rules={"needing": Needing()})
    slate, _ = pipeline.recommend(asked.requests, asked.state, 5)
    for column in Needing.needs:
        assert slate[column].dtype == np.float32
        assert np.isnan(slate[column]).all()
    for column in ("down.place", "one.dense", "other.score", "score.down"):

        class Lost(Dropping):
            needs = (column,)

        with pytest.raises(InputError, match=rf"rules.lost: needs the column '{column}', which no feature makes"):
            replace(pipeline, rules={"lost": Lost()}).recommend(asked.requests, asked.state, 5)


# fit


def test_the_past_is_refused_to_the_microsecond(data, asked):
    until = data.fitted_until
    pipeline = Pipeline({"one": Lists(lengths=[2] * 5)}, Union(), fallback=Lists(lengths=[2] * 5), features=[Column()])
    pipeline.recommend(asked.requests, asked.state)  # nothing seen, nothing refused
    pipeline.fit(data)
    assert pipeline.fitted_until == until
    assert pipeline.recall["one"].fits_ == pipeline.fallback.fits_ == pipeline.features[0].fits_ == [until]

    def at(*moments):
        return Requests.of(np.zeros(len(moments), np.int32), np.array(moments, np.int64))

    assert len(pipeline.recommend(at(until), asked.state, 2)[0]) == 2
    with pytest.raises(InputError, match=r"is earlier than .* already seen"):
        pipeline.recommend(at(until + 5, until - 1), asked.state)
    assert len(pipeline.recommend(at(), asked.state)[0]) == 0
    pipeline.fit_features(data.until(until - 10))
    assert pipeline.fitted_until == until  # what was seen once is not unseen
    replace(pipeline, fitted_until=until + 7).fit_recall(data)


def test_a_part_that_learned_nonsense_is_named(data):
    class Mad(Lists):
        def fit(self, data):
            self.weights_ = np.array([1.0, np.nan])
            return self

    class Odd(Column):
        def fit(self, data):
            self.weights_ = np.array([np.inf])
            return self

    with pytest.raises(InputError, match=r"recall\.mad"):
        Pipeline({"one": Lists(), "mad": Mad()}, Union()).fit(data)
    with pytest.raises(InputError, match="fallback"):
        Pipeline({"one": Lists()}, Union(), fallback=Mad()).fit(data)
    with pytest.raises(InputError, match=r"features\.1"):
        Pipeline({}, Union(), features=[Column(), Odd()]).fit(data)


@pytest.mark.parametrize("k", [1, 3, 7, 40])
def test_the_foremost_rows_are_those_of_the_first_places(k):
    """Scores that are equal, missing and infinite; requests of no, one and many rows, and no request."""
    rng = np.random.default_rng(k)
    request = np.repeat(np.arange(6), [5, 0, 1, 30, k, 12]).astype(np.uint32)
    items = np.concatenate([rng.permutation(50)[:n] for n in (5, 1, 30, k, 12)]).astype(np.int32)
    score = rng.choice([0.5, 1.0, 2.0, 3.0, np.nan, np.inf, -np.inf], len(items)).astype(np.float32)
    rows = Candidates(request, items, {"score": score})
    np.testing.assert_array_equal(foremost(rows, k), rows.rank_of() <= k)
    assert len(foremost(rows.take(slice(0)), k)) == 0
