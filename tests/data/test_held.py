"""Which events are held out and what is left to be known, against plain definitions and against irspack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data import held
from shortlist.data.build import dataset as dataset_of
from shortlist.data.held import LEARNED, TEST, VALIDATION
from shortlist.data.protocol import start
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec
from shortlist.testing.worlds import SHOP, VIEW, dataset, random_log


def log(rows):
    """A log of (user, item, time) in the order of a file; users and items are letters from u and a on."""
    users, items, times = zip(*rows, strict=True)
    codes = [ord(user) - ord("u") for user in users], [ord(item) - ord("a") for item in items]
    return dataset(*(np.array(column) for column in (*codes, times)))


def letters(items):
    return "".join(chr(ord("a") + item) for item in items)


steady = settings(deadline=None, derandomize=True, max_examples=120)


def plain_last(data):
    """A user's last positive event and all after it are the test, the span from the positive one before it validation.

    Users with fewer than three positive events have none.
    """
    roles = [LEARNED] * len(data.events)
    for user in set(data.events.user.tolist()) - {-1}:
        mine = [row for row in range(len(roles)) if data.events.user[row] == user]
        good = [row for row in mine if data.events.weight[row] > 0]
        if len(good) >= 3:
            for row in mine:
                roles[row] = TEST if row >= good[-1] else VALIDATION if row >= good[-2] else LEARNED
    return roles


logs = st.builds(
    random_log,
    st.integers(0, 10_000),
    users=st.sampled_from([1, 4, 12]),
    items=st.sampled_from([5, 30]),
    events=st.sampled_from([1, 30, 200]),
    behaviours=st.sampled_from([VIEW, SHOP]),
    span=st.sampled_from([1, 10, 1000]),  # 1: every event at one moment
    unknown=st.sampled_from([0.0, 0.2]),
)


@steady
@given(data=logs)
def test_the_last_positive_event_is_the_test_and_the_one_before_it_validation(data):
    assert held.last(data.events).tolist() == plain_last(data)


def test_of_equal_times_the_order_of_the_file_decides():
    data = log([("u", item, 5) for item in "dcab"])
    roles = held.last(data.events)
    assert letters(data.events.item[roles == TEST]) == "b"
    assert letters(data.events.item[roles == VALIDATION]) == "a"


def test_it_is_the_event_that_irspack_holds_out():
    split = pytest.importorskip("irspack.split.time").split_last_n_interaction_df
    data = random_log(3, users=40, items=60, events=900, behaviours=VIEW, span=10**6, unknown=0.0)
    events, roles = data.events, held.last(data.events)
    frame = pl.DataFrame({"user": events.user, "item": events.item, "time": events.time}).to_pandas()
    learned, test = split(frame, "user", "time", n_heldout=1)
    _, valid = split(learned, "user", "time", n_heldout=1)
    enough = frame.groupby("user").size()
    for theirs, role in ((test, TEST), (valid, VALIDATION)):
        theirs = theirs[theirs["user"].map(enough) >= 3]
        mine = set(zip(events.user[roles == role].tolist(), events.item[roles == role].tolist(), strict=True))
        assert mine == set(zip(theirs["user"], theirs["item"], strict=True))


@steady
@given(data=logs, share=st.sampled_from([0.05, 0.1, 0.5]), seed=st.integers(0, 5))
def test_a_random_share_is_drawn_among_events_of_somebody(data, share, seed):
    roles = held.share(data.events, share, seed)
    known = int(np.sum(data.events.user >= 0))
    test = round(share * known)
    assert (roles == TEST).sum() == test
    assert (roles == VALIDATION).sum() == round(share * (known - test))
    assert (roles[data.events.user < 0] == LEARNED).all()
    assert (roles == held.share(data.events, share, seed)).all()


def test_a_random_share_is_another_with_another_seed():
    data = random_log(3, users=40, items=60, events=900, behaviours=VIEW)
    assert (held.share(data.events, 0.1, 1) != held.share(data.events, 0.1, 2)).any()


@steady
@given(data=logs, at_random=st.booleans(), ranked=st.booleans())
def test_every_part_knows_what_it_may_and_asks_what_is_its_own(data, at_random, ranked):
    roles = held.share(data.events, 0.3, 0) if at_random else held.last(data.events)
    at = held.moment(data)
    asked, people = {}, set()
    for part in ("tune", "rank", "test"):
        told = held.seen_from(data, roles, part, ranked, 0)
        known, found = told.until(at).events, told.events.between(at, None)
        learned = (roles != TEST) if part == "test" else (roles == LEARNED)
        for name in ("user", "item", "event", "value", "time", "weight"):
            np.testing.assert_array_equal(getattr(known, name), getattr(data.events, name)[learned])
        assert (found.time == at).all()
        asked[part] = len(found)
        assert part == "test" or people.isdisjoint(found.user.tolist())
        people |= set(found.user.tolist())
    assert asked["test"] == (roles == TEST).sum()
    assert asked["tune"] + asked["rank"] == (roles == VALIDATION).sum()
    assert ranked or not asked["rank"]


def test_a_log_of_nobody_holds_nothing_out():
    data = random_log(3, users=1, items=6, events=20, behaviours=VIEW, unknown=1.0)
    data = replace(data, user_ids=type(data.user_ids)([]), users=replace(data.users, n=0))
    for roles in (held.last(data.events), held.share(data.events, 0.5, 0)):
        for part in ("tune", "rank", "test"):
            told = held.seen_from(data, roles, part, True, 0)
            assert len(told.until(held.moment(data)).events) == len(told.events) == 20


def test_a_third_of_the_people_is_for_the_merge():
    data = random_log(3, users=90, items=60, events=4000, behaviours=VIEW, unknown=0.0)
    roles, at = held.last(data.events), held.moment(data)
    people = {
        part: len(np.unique(held.seen_from(data, roles, part, True, 0).events.between(at, None).user))
        for part in ("tune", "rank", "test")
    }
    assert people == {"tune": 30, "rank": 60, "test": 90}


def test_each_is_asked_once_for_one_item_and_knows_the_rest():
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "c", 3), ("u", "d", 4), ("v", "a", 1), ("v", "b", 9)]
    data = log(rows)
    told = held.seen_from(data, held.last(data.events), "test", True, 0)
    at = held.moment(data)
    questions = start(told, told.state(), at, None, unknown=True)
    assert len(questions) == 1
    assert questions.dropped == 1  # v has too few events: learned from, not asked
    assert letters(questions.targets["item"]) == "d"
    assert letters(questions.requests.history["item"]) == "abc"
    assert questions.requests.time.tolist() == [at - 1]


def test_what_others_never_chose_stays_a_right_answer_that_nobody_could_know():
    data = log([("u", "a", 1), ("u", "b", 2), ("u", "c", 3), ("v", "a", 1), ("v", "b", 2), ("v", "a", 3)])
    data = replace(data, items=replace(data.items, listed=np.zeros(data.n_items, bool)))
    told = held.seen_from(data, held.last(data.events), "test", True, 0)
    questions = start(told, told.state(), held.moment(data), None, unknown=True)
    found = dict(zip(questions.requests.user.tolist(), questions.targets["known"].tolist(), strict=True))
    assert found == {0: False, 1: True}


def test_everybody_is_asked_at_the_first_midnight_that_has_seen_all():
    day = 86_400_000_000
    for last, at in ((0, 0), (1, day), (day, day), (day + 1, 2 * day), (-1, 0)):
        data = log([("u", "a", -5), ("u", "b", last)])
        assert held.moment(data) - 1 == at


def test_what_was_shown_would_tell_of_hidden_events():
    data = log([("u", "a", 1)])
    shown = pl.DataFrame({"user": [0], "item": [0], "time": [1]})
    with pytest.raises(InputError, match="what was shown tells of the events held out"):
        held.seen_from(replace(data, exposures=shown), held.last(data.events), "test", True, 0)


def test_what_the_log_tells_of_its_items_would_tell_of_hidden_events(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,time,price\nu,a,1,3\nu,b,2,4\n")
    items = {"from": "log", "columns": {"price": "number"}}
    spec = DataSpec.model_validate({"events": {"path": "log.csv"}, "items": items})
    data = dataset_of(load(spec, tmp_path), spec)
    with pytest.raises(
        InputError, match=r"data\.items\.columns\.price: what the log tells comes of the events held out"
    ):
        held.seen_from(data, held.last(data.events), "test", True, 0)
