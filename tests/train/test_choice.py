"""Which order is served, by what the windows say of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.progress import listening
from shortlist.recipe import parse
from shortlist.train.choice import Choice, Judged, Places, worth
from shortlist.types import Candidates, Ragged

USERS = np.repeat(np.arange(20), 5)
DRAW = np.random.default_rng(3)


def around(mean, spread=0.05, among=USERS):
    """Values of mean ``mean`` whose differences from others vary from user to user."""
    each = DRAW.normal(0, spread, among.max() + 1)
    return mean + (each - each.mean())[among]


def window(users=USERS, said="the last fifth", **means):
    return Judged(said, {name: around(mean, among=users) for name, mean in means.items()}, users)


def choice(users=USERS, **means):
    return Choice((window(users, **means),))


def served(made, serve="best"):
    said = []
    with listening(lambda name, fields: said.append((name, fields.get("message")))):
        return made.served(serve), [message for name, message in said if name == "warning"]


def test_a_ranker_surely_better_than_the_merge_order_is_served():
    assert served(choice(merge=0.2, trees=0.4)) == ("trees", [])


@pytest.mark.parametrize("trees", [0.1, 0.2, 0.2005])
def test_a_ranker_that_is_worse_or_too_close_is_not_and_that_is_said(trees):
    name, (told,) = served(choice(merge=0.2, trees=trees))
    assert name is None
    assert told.startswith("rank: NDCG@10 of trees is ")
    assert ("is no better than the merge order" in told) == (trees <= 0.2)
    assert f": {round(trees - 0.2, 4) + 0.0:+.4f} ± 0.0" in told
    assert told.endswith("on the last fifth (100 requests of 20 users): the merge order is served")


@pytest.mark.parametrize(
    ("last", "fourth", "sure"),
    [(0.4, 0.4, True), (0.4, 0.19, True), (0.19, 0.4, False), (0.1, 0.1, False), (0.2, 0.2005, False)],
)
def test_a_gain_is_that_of_all_requests_of_both_windows(last, fourth, sure):
    """They agree, they disagree and the larger has its way, neither can tell."""
    many = np.repeat(np.arange(30), 100)
    both = Choice((window(many, merge=0.2, trees=last), window(said="the fourth fifth", merge=0.2, trees=fourth)))
    name, told = served(both)
    assert name == ("trees" if sure else None)
    assert len(told) == (not sure)
    if told:
        assert " on the last fifth (3,000 requests of 30 users), " in told[0]
        pooled = (3000 * (last - 0.2) + 100 * (fourth - 0.2)) / 3100
        assert (
            f" on the fourth fifth (100 requests of 20 users); together {round(pooled, 4) + 0.0:+.4f} ± 0." in told[0]
        )
    assert served(both, "rank") == ("trees", [])


def test_a_user_of_both_windows_is_one_cluster():
    """Whose luck is the same in both says nothing twice: the error is that of one window, not smaller."""
    one = window(merge=0.2, trees=0.22)
    again = Judged("the fourth fifth", one.values, one.users)
    strangers = Judged("the fourth fifth", one.values, one.users + 20)
    alone, same, others = (Choice(two)._gain("trees", "merge") for two in ((one,), (one, again), (one, strangers)))
    assert same == pytest.approx(alone)
    assert others == pytest.approx((alone[0], alone[1] / 2**0.5))


def test_one_user_can_tell_nothing():
    made = choice(np.zeros(50, int), merge=0.1, trees=0.9)
    assert served(made)[0] is None
    assert served(made, "rank")[0] == "trees"


def test_of_rankers_the_highest_mean_is_taken_and_the_first_of_equals():
    assert choice(merge=0.1, quick=0.4, slow=0.4001).best() == "slow"
    assert choice(merge=0.1, slow=0.4001, quick=0.4).best() == "slow"
    same = Choice((Judged("", dict.fromkeys(("merge", "one", "other"), around(0.3)), USERS),))
    assert same.best() == "one"


def test_the_mean_is_that_of_all_requests_of_both_windows():
    many = np.repeat(np.arange(20), 50)
    both = window(merge=0.1, one=0.5, other=0.4), window(many, merge=0.1, one=0.3, other=0.35)
    assert Choice(both[:1]).best() == "one"
    assert Choice(both).best() == "other"
    assert Choice(both).means["one"] == pytest.approx(0.5)  # what is reported as validation stays the last fifth's


def test_requests_without_an_order_say_nothing():
    made = choice(merge=0.2, trees=0.4)
    values = made.windows[0].values
    values["trees"][:50] = np.nan
    values["merge"][:50] = np.nan
    assert made.means["trees"] == pytest.approx(np.mean(values["trees"][50:]))
    assert made.windows[0].counts == (50, 10)
    nothing = Choice((Judged("", {name: np.full(100, np.nan) for name in ("merge", "trees")}, USERS),))
    assert served(nothing) == ("trees", [])


def test_what_the_recipe_says_is_served():
    made = choice(merge=0.4, trees=0.2, line=0.1)
    assert [served(made, how)[0] for how in ("merge", "rank", "line")] == [None, "trees", "line"]
    shown = Judged("", {"trees": made.windows[0].values["trees"]}, USERS)
    assert served(Choice((shown,)))[0] == "trees"  # nobody merged anything
    assert "gain" not in shown.document()


def test_the_document_has_every_window():
    first, other = window(merge=0.2, trees=0.5), window(said="before", merge=0.1, trees=0.3)
    told = Choice((first, other)).document()
    assert [one["window"] for one in told] == ["the last fifth", "before"]
    assert told[1]["ndcg@10"] == pytest.approx({"merge": 0.1, "trees": 0.3})
    assert told[1]["gain"]["trees"]["mean"] == pytest.approx(0.2)
    assert 0 < told[1]["gain"]["trees"]["error"] < 0.1
    assert (told[0]["requests"], told[0]["users"]) == (100, 20)


def test_a_recipe_serves_what_it_has():
    tables = {
        "name": "x",
        "data": {"source": "movielens-100k", "split": {"test": 0.9}},
        "recall": {"a": {"type": "popular"}},
    }
    assert parse({**tables, "serve": "merge"}).serve == "merge"
    with pytest.raises(
        InputError, match=r"serve: expected best, rank, merge or rankers' names joined by \+, found 'trees'"
    ):
        parse({**tables, "serve": "trees"})


def orders(**scores):
    """A window whose two requests have three rows each, judged as ``fit`` judges it; the second and fifth are right."""
    rows = Candidates(np.repeat(np.arange(2, dtype=np.uint32), 3), np.array([1, 2, 3, 1, 2, 3], np.int32))
    targets = Ragged.of(np.arange(2), 2, item=np.array([2, 2], np.int32))
    places = {
        name: rows.with_columns(score=np.array(score, np.float32)).rank_of().astype(np.int32)
        for name, score in scores.items()
    }
    orderable = np.ones(2, bool)
    values = {name: worth(rows.with_columns(score=-place), targets, orderable) for name, place in places.items()}
    found = Places(rows, targets, orderable, {name: place for name, place in places.items() if name != "merge"})
    return Judged("the last fifth", values, np.arange(2), found)


def test_rankers_that_nothing_tells_apart_are_averaged():
    """Each has one request right and one wrong; their mean has both right."""
    second = 1 / np.log2(3)
    window = orders(merge=[3, 2, 1, 3, 2, 1], a=[1, 5, 2, 3, 2, 1], b=[3, 2, 1, 1, 5, 2], c=[3, 1, 2, 3, 1, 2])
    made = Choice((window,))
    assert made.alike() == ["a", "b"]
    both = made.joined("best")
    assert both.means == pytest.approx(
        {"merge": second, "a": (1 + second) / 2, "b": (1 + second) / 2, "c": 0.5, "a+b": 1.0}
    )
    assert served(both, "rank")[0] == "a+b"
    assert "a+b" in both.document()[0]["gain"]


def test_one_that_is_surely_best_stands_alone():
    window = orders(merge=[3, 2, 1, 3, 2, 1], a=[1, 5, 2, 1, 5, 2], b=[5, 2, 1, 5, 2, 1])
    made = Choice((window,))
    assert made.alike() == ["a"]
    assert made.joined("best") is made


def test_the_recipe_may_name_who_is_averaged():
    window = orders(merge=[3, 2, 1, 3, 2, 1], a=[1, 5, 2, 1, 5, 2], b=[5, 2, 1, 5, 2, 1])
    made = Choice((window, window)).joined("a+b")
    assert set(made.means) == {"merge", "a", "b", "a+b"}
    assert served(made, "a+b") == ("a+b", [])
    assert Choice((window,)).joined("merge").means.keys() == {"merge", "a", "b"}
    unknown = Choice((replace(window, places=None),))
    assert unknown.joined("a+b") is unknown  # values alone do not say how an average would do
