"""two_tower, youtube_dnn and mind: what each can see that others cannot, in small worlds with margins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data import Behaviours, Dataset
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.mind import MIND
from shortlist.recall.two_tower import TwoTower
from shortlist.recall.youtube_dnn import YouTubeDNN
from shortlist.testing import worlds
from shortlist.types import Candidates, Ragged, Requests

KINDS = ("river", "mountain", "castle")
END = worlds.START + 60 * worlds.DAY
SMALL = {"factors": 16, "hidden": [], "batch": 64, "rate": 5e-3, "hold": 0.0}


def asking(data: Dataset, users, at: int = END, *, history: bool = True) -> Requests:
    users = np.asarray(users, np.int32)
    times = np.full(len(users), at)
    if not history:
        return Requests.of(users, times)
    past = data.state().history(users, times)
    return Requests.of(users, times, past).excluding(Ragged(past.offsets, {"item": past["item"]}))


# attributes: items and users that nobody has met


def described(column: str, n_users: int = 60, n_items: int = 90, unseen: int = 15, seed: int = 0) -> Dataset:
    """User u likes items of kind u % 3; the last ``unseen`` items are in nobody's history.

    ``column`` alone says what kind an item is: a category, a list, a text or a number.
    """
    rng = np.random.default_rng(seed)
    kind = np.arange(n_items) % 3
    user, item = [], []
    for u in range(n_users - 3):  # the last three are new
        own = rng.permutation(np.arange(u % 3, n_items - unseen, 3))[:15]
        user += [u] * len(own)
        item += own.tolist()
    time = worlds.START + rng.integers(0, 20 * 1440, len(user)) * worlds.MINUTE
    words = [KINDS[k] for k in kind]
    noise = rng.integers(0, 1000, n_items)
    columns = {
        "category": words,
        "list": [[w, f"tag {x}"] for w, x in zip(words, noise % 7, strict=True)],
        "text": [f"The {x} {w}s of {x}" for w, x in zip(words, noise, strict=True)],
        "number": 100.0 * kind + noise / 1000,
    }
    width = len(str(n_items - 1))
    items = pl.DataFrame({"item": [f"i{i:0{width}}" for i in range(n_items)], "what": columns[column]})
    users = pl.DataFrame({"user": [f"u{u:02}" for u in range(n_users)], "team": [KINDS[u % 3] for u in range(n_users)]})
    return worlds.dataset(
        np.array(user), np.array(item), time, n_users=n_users, n_items=n_items, items=items, users=users,
        kinds={"what": column, "team": "category"},
    )  # fmt: skip


@pytest.mark.parametrize("column", ["category", "list", "text", "number"])
def test_items_nobody_has_met_are_found_by_what_they_are(column):
    data = described(column)
    channel = TwoTower(**SMALL, epochs=20, user=[], id_dropout=0.3).fit(data)
    requests = asking(data, np.arange(57))
    new = np.arange(75, 90)
    rows = Candidates(np.repeat(np.arange(57, dtype=np.uint32), 15), np.tile(new, 57).astype(np.int32))
    best = rows.with_columns(score=channel.score(requests, rows, data.state())).top(5)
    right = (best.item % 3 == best.request % 3).mean()
    assert right > 0.9  # a third by chance
    found = channel.retrieve(requests, data.state(), 15)  # ten that others have met and five new ones are right
    assert (found.item % 3 == found.request % 3).mean() > 0.9
    assert np.isin(found.item, new).mean() > 0.2
    classic = ItemCF().fit(data).retrieve(requests, data.state(), 30)
    assert not np.isin(classic.item, new).any()


def test_users_nobody_has_met_are_answered_by_what_they_are():
    data = described("category")
    channel = TwoTower(**SMALL, epochs=15).fit(data)
    found = channel.retrieve(asking(data, [57, 58, 59]), data.state(), 10)
    assert (found.item % 3 == found.request % 3).mean() > 0.9
    told = YouTubeDNN(**SMALL, epochs=15).fit(data).retrieve(asking(data, [57, 58, 59]), data.state(), 10)
    assert (told.item % 3 == told.request % 3).mean() > 0.9


def test_items_of_whom_nothing_is_known_are_no_rows():
    data = described("category")
    bare = replace(data, items=worlds.dataset(*[np.empty(0, int)] * 3, n_items=90).items)
    channel = TwoTower(**SMALL, epochs=1, user=[]).fit(bare)
    assert channel.items_.tolist() == sorted(set(bare.events.item.tolist()))
    assert channel.ids_.tolist() == list(range(1, 1 + len(channel.items_)))


@pytest.mark.parametrize("cls", [TwoTower, YouTubeDNN, MIND])
def test_a_live_click_moves_the_answer(cls):
    data = described("category")
    channel = cls(**SMALL, epochs=15, user=[]).fit(data)
    state = data.state()
    rows = Candidates(np.zeros(75, np.uint32), np.arange(75, dtype=np.int32))

    def liking() -> list[float]:
        """The mean score of each kind."""
        history = state.history(np.zeros(1, np.int32), np.array([END]))
        score = channel.score(Requests.of(np.zeros(1), np.array([END]), history), rows, state)
        return [float(score[k::3].mean()) for k in range(3)]

    before = liking()
    live = data.events.take(slice(0, 12))
    clicked = np.arange(1, 37, 3, dtype=np.int32)  # of another kind
    state.append(replace(live, user=np.zeros(12, np.int32), item=clicked, time=np.sort(live.time) + 30 * worlds.DAY))
    after = liking()
    assert before[0] > before[1]
    assert after[1] - after[0] > 0.5 * (before[1] - before[0])  # at least half the way to as much


# a second history


SEARCHING = Behaviours(("watch", "search"), np.ones(2, np.float32), np.array([-np.inf, np.inf], np.float32))


def searched(n_users: int = 80, n_items: int = 60, seed: int = 0) -> Dataset:
    """A search for something of a group of items (codes from 60 on) and, next, an item of that group: groups at random.

    What was watched before says nothing of what is watched next.
    """
    rng = np.random.default_rng(seed)
    user, item, event = [], [], []
    for u in range(n_users):
        for group in rng.integers(0, 6, 8):
            user += [u, u]
            item += [n_items + group, 6 * rng.integers(0, n_items // 6) + group]
            event += [1, 0]
        user.append(u)
        item.append(n_items + u % 6)  # what is asked for now
        event.append(1)
    time = worlds.START + np.arange(len(user)) * worlds.MINUTE
    return worlds.dataset(np.array(user), np.array(item), time, np.array(event), behaviours=SEARCHING)


def test_searches_tell_what_comes_next():
    data = searched()
    users = np.arange(80)

    def right(**config) -> float:
        channel = YouTubeDNN(**SMALL, epochs=12, length=1, **config).fit(data)
        found = channel.retrieve(asking(data, users), data.state(), 5)
        assert (found.item < 60).all()  # what was searched for is no answer
        return float((found.item % 6 == users[found.request] % 6).mean())

    assert right() < 0.35  # a sixth by chance
    assert right(second="search") > 0.9


def test_a_second_history_that_the_log_does_not_have_is_refused():
    with pytest.raises(InputError, match="no behaviour 'serch'; it has watch, search"):
        YouTubeDNN(second="serch").fit(searched(8))


# the example's age


def fashion(n_users: int = 120, seed: int = 0) -> Dataset:
    """Of two dozen items the first is what everybody takes in the first tenth of the log, the next in the next ..."""
    rng = np.random.default_rng(seed)
    m = 1500
    moment = np.sort(rng.random(m))
    item = np.minimum((moment * 8).astype(int), 7) * 3 + rng.integers(0, 3, m)
    time = worlds.START + (moment * 50 * worlds.DAY).astype(np.int64)
    return worlds.dataset(rng.integers(0, n_users, m), item, time, n_users=n_users, n_items=24)


def test_requests_are_told_that_they_are_asked_at_the_end():
    data = fashion()
    nobody = asking(data, [-1], history=False)

    def newest(**config) -> float:
        channel = YouTubeDNN(**{**SMALL, "hidden": [16]}, epochs=25, **config).fit(data)
        return float((channel.retrieve(nobody, data.state(), 6).item >= 18).mean())

    assert newest() == 1
    assert newest(age=False) < 1
    assert newest(serve_as=40.0) == 0  # as if it were the first days


# several interests


def tastes(n_users: int = 120, groups: int = 8, size: int = 10, each: int = 3, seed: int = 0) -> Dataset:
    """Every user takes items of ``each`` of the groups, of one as often as of another and in any order."""
    rng = np.random.default_rng(seed)
    user, item = [], []
    for u in range(n_users):
        own = rng.permutation(groups)[:each]
        taken = np.concatenate([g * size + rng.permutation(size)[:5] for g in own])
        user += [u] * len(taken)
        item += rng.permutation(taken).tolist()
    time = worlds.START + np.arange(len(user)) * worlds.MINUTE
    return worlds.dataset(np.array(user), np.array(item), time, n_users=n_users, n_items=groups * size)


def test_several_interests_find_what_one_vector_mixes():
    data = tastes(200, each=2)
    users = np.arange(data.n_users)
    config = {**SMALL, "factors": 3, "objective": "softmax", "epochs": 80, "length": 15, "rate": 2e-2}

    def right(interests: int) -> float:
        channel = MIND(**config, interests=interests).fit(data)
        requests = asking(data, users)
        found = channel.retrieve(requests, data.state(), 15)
        taken = [set((requests.history.row(u)["item"] // 10).tolist()) for u in users]
        return float(np.mean([i // 10 in taken[r] for r, i in zip(found.request, found.item, strict=True)]))

    one, several = right(1), right(2)
    assert several > one + 0.05  # ten of the seventy left are right: a seventh by chance, two thirds at most


def test_short_histories_have_fewer_interests():
    data = tastes(40)
    channel = MIND(**SMALL, epochs=1, interests=4).fit(data)
    history = data.state().history(np.zeros(6, np.int32), np.full(6, END))
    lengths = np.array([0, 1, 3, 4, 8, 15])
    kept = history.keep(np.arange(len(history["item"])) % 15 < np.repeat(lengths, 15))
    p = channel.vectors(Requests.of(np.zeros(6), np.full(6, END), kept), data.state())
    assert p.shape == (6, 4, 16)
    assert p.any(2).sum(1).tolist() == [0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("cls", [TwoTower, MIND])
def test_items_need_an_id_or_attributes(cls):
    with pytest.raises(InputError, match="ids: expected true"):
        cls(ids=False, epochs=1).fit(tastes(10))


def test_an_attribute_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"recall\.item: no attribute 'colour'; the table has what"):
        TwoTower(item=["colour"]).fit(described("category"))
    with pytest.raises(InputError, match=r"recall\.user: no attribute 'city'"):
        YouTubeDNN(user=["city"]).fit(described("category"))


@pytest.mark.parametrize("objective", ["softmax", "bpr"])
@pytest.mark.parametrize("draw", ["batch", "mixed", "log"])
def test_two_towers_take_every_objective(objective, draw):
    data = described("category")
    channel = TwoTower(**SMALL, epochs=10, objective=objective, draw=draw, negatives=20).fit(data)
    found = channel.retrieve(asking(data, np.arange(57)), data.state(), 5)
    assert (found.item % 3 == found.request % 3).mean() > 0.8
