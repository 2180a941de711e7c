"""Named labels: what follows a request makes them, and not only what is a right answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data.protocol import replay, start
from shortlist.recipe import POSITIVE, parse
from shortlist.testing import worlds
from shortlist.train.samples import from_funnel, labels_of
from shortlist.types import Candidates, Ragged

SHOP = worlds.SHOP  # view, buy, rating
RULES = {"met": {"view": True, "buy": True, "rating": 1}, "loved": {"rating": 4.5}, "bought": {"buy": True}}


def plain(pair, after, kinds):
    """1, 0 or NaN of one row, from its request's later events."""
    mine = [(kind, value) for item, kind, value in after[pair[0]] if item == pair[1]]
    if any(least is True or (least is not False and value >= least)
           for kind, value in mine for name, least in kinds.items() if SHOP.code(name) == kind):  # fmt: skip
        return 1.0
    if any(np.isnan(value) and not isinstance(least, bool)
           for kind, value in mine for name, least in kinds.items() if SHOP.code(name) == kind):  # fmt: skip
        return np.nan
    return 0.0


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_labels_are_their_definition(data):
    event = st.tuples(st.integers(0, 5), st.integers(0, 2), st.sampled_from([1.0, 4.0, 4.5, 5.0, np.nan]))
    after = data.draw(st.lists(st.lists(event, max_size=6), min_size=1, max_size=4))
    flat = [(r, *one) for r, row in enumerate(after) for one in row]
    columns = {name: np.array([one[c] for one in flat], t) for name, c, t in
               (("item", 1, np.int32), ("event", 2, np.int16), ("value", 3, np.float32))}  # fmt: skip
    ragged = Ragged.of(np.array([one[0] for one in flat], np.int64), len(after), **columns)
    pairs = [(r, i) for r in range(len(after)) for i in range(6)]
    rows = Candidates(np.array([r for r, _ in pairs], np.uint32), np.array([i for _, i in pairs], np.int32))
    found = labels_of(rows, ragged, RULES, SHOP)
    for name, kinds in RULES.items():
        np.testing.assert_array_equal(found[name], [plain(pair, after, kinds) for pair in pairs], err_msg=name)


def test_a_kind_of_event_that_the_log_lacks_is_told():
    with pytest.raises(
        InputError, match=r"samples\.labels\.met\.share: the log has no such event; there are view, buy"
    ):
        labels_of(Candidates.empty(), Ragged.empty(0, item=np.int32, event=np.int16, value=np.float32),
                  {"met": {"share": True}}, SHOP)  # fmt: skip


def test_targets_carry_behaviour_and_value_and_what_followed_is_kept():
    """A view, then a rating of 5, then a purchase of item 2: its strongest event is the purchase."""
    user = np.zeros(6, np.int32)
    item = np.array([1, 2, 3, 2, 2, 4], np.int32)
    kind = np.array([0, 0, 2, 2, 1, 2], np.int16)
    value = np.array([np.nan, np.nan, 2, 5, np.nan, 4], np.float32)
    data = worlds.dataset(user, item, np.arange(6) * worlds.MINUTE + worlds.START, kind, value, behaviours=SHOP)
    opens = worlds.START + worlds.MINUTE
    for asked in (replay(data, data.state(), opens, None, moments=1), start(data, data.state(), opens, None)):
        assert asked.targets["item"].tolist() == [2, 4]
        assert asked.targets["event"].tolist() == [1, 2]
        assert asked.targets["value"][1] == 4
        assert np.isnan(asked.targets["value"][0])
    asked = replay(data, data.state(), opens, None, moments=1)
    assert asked.after["item"].tolist() == [2, 3, 2, 2, 4]  # the view and the 2 are no targets, but they happened
    assert asked.after["event"].tolist() == [0, 2, 2, 1, 2]
    few = asked.answerable(Ragged.of(np.zeros(1, np.int64), 1, item=np.array([2], np.int32)))
    assert few.targets["item"].tolist() == [4]
    assert few.targets["event"].tolist() == [2]


def funnel(**samples):
    return parse({
        "name": "t", "depth": 12,
        "data": {"source": "tables", "events": {"path": "log.csv"}},
        "recall": {"hot": {"type": "popular"}}, "features": [{"type": "channel"}], "rank": {"type": "logistic"},
        "samples": samples,
    })  # fmt: skip


def test_the_funnels_samples_have_every_label_and_lose_no_good_row():
    data = worlds.two_behaviours()
    cut = data.cut(0.6)
    pipeline = funnel().pipeline()
    pipeline.fit(data.until(cut))
    questions = replay(data, data.state(), cut, None)
    whole = from_funnel(pipeline, questions, data.state(), labels=RULES)
    thin = from_funnel(pipeline, questions, data.state(), labels=RULES, negatives=2, seed=1)
    assert list(whole.labels) == list(thin.labels) == [POSITIVE, *RULES]
    good = np.any([whole.labels[name] > 0 for name in whole.labels], axis=0)
    assert (whole.labels["met"] >= whole.labels[POSITIVE]).all()
    assert whole.labels["met"].sum() > whole.labels[POSITIVE].sum() > whole.labels["bought"].sum() > 0
    kept = set(thin.candidates.keys.tolist())
    asked = {int(request) for request in whole.candidates.request[good]}
    assert {int(key) for key in whole.candidates.keys[good]} <= kept
    bad = ~np.any([thin.labels[name] > 0 for name in thin.labels], axis=0)
    assert np.bincount(thin.candidates.request[bad]).max() <= 2
    assert set(thin.candidates.request.tolist()) == asked
    assert thin.rate == pytest.approx(bad.sum() / (~good).sum())


def test_the_name_of_the_label_that_always_is_cannot_be_given_again():
    with pytest.raises(InputError, match=r"samples\.labels\.positive: the name of the label"):
        funnel(labels={"positive": {"view": True}})
