"""Which order is served, by what the last fifth says of each."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.progress import listening
from shortlist.recipe import parse
from shortlist.train.choice import Choice

USERS = np.repeat(np.arange(20), 5)
DRAW = np.random.default_rng(3)


def around(mean, spread=0.05, among=USERS):
    """Values of mean ``mean`` whose differences from others vary from user to user."""
    each = DRAW.normal(0, spread, among.max() + 1)
    return mean + (each - each.mean())[among]


def choice(users=USERS, **means):
    return Choice({name: around(mean, among=users) for name, mean in means.items()}, users)


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
    assert told.startswith(f"rank: NDCG@10 {trees:.4f} of trees on the last fifth (20 users) is ")
    assert ("no better than" in told) == (trees <= 0.2)


def test_one_user_can_tell_nothing():
    made = choice(np.zeros(50, int), merge=0.1, trees=0.9)
    assert served(made)[0] is None
    assert served(made, "rank")[0] == "trees"


def test_of_rankers_the_highest_mean_is_taken_and_the_first_of_equals():
    assert choice(merge=0.1, quick=0.4, slow=0.4001).best() == "slow"
    assert choice(merge=0.1, slow=0.4001, quick=0.4).best() == "slow"
    same = Choice(dict.fromkeys(("merge", "one", "other"), around(0.3)), USERS)
    assert same.best() == "one"


def test_requests_without_an_order_say_nothing():
    made = choice(merge=0.2, trees=0.4)
    made.values["trees"][:50] = np.nan
    made.values["merge"][:50] = np.nan
    assert made.means["trees"] == pytest.approx(np.mean(made.values["trees"][50:]))
    nothing = Choice({name: np.full(100, np.nan) for name in ("merge", "trees")}, USERS)
    assert served(nothing) == ("trees", [])


def test_what_the_recipe_says_is_served():
    made = choice(merge=0.4, trees=0.2, line=0.1)
    assert [served(made, how)[0] for how in ("merge", "rank", "line")] == [None, "trees", "line"]
    assert served(Choice({"trees": made.values["trees"]}, USERS))[0] == "trees"  # nobody merged anything


def test_a_recipe_serves_what_it_has():
    tables = {
        "name": "x",
        "data": {"source": "movielens-100k", "split": {"test": 0.9}},
        "recall": {"a": {"type": "popular"}},
    }
    assert parse({**tables, "serve": "merge"}).serve == "merge"
    with pytest.raises(InputError, match="serve: expected best, rank, merge or a ranker's name, found 'trees'"):
        parse({**tables, "serve": "trees"})
