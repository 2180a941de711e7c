"""item2vec: sentences from the log, and what a history is answered with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.recall._embeddings import _direction
from shortlist.recall._kernels.sentences import sentences
from shortlist.recall.item2vec import Item2Vec
from shortlist.testing import worlds
from shortlist.types import Array, Requests

SMALL = {"factors": 8, "epochs": 10, "rate": 0.05}


def plain(events: list[tuple[int, int, int, int]], gap: int | None, repeats: str) -> list[list[tuple[int, float]]]:
    """Sentences by the definition, from (time, user, token, strength) in the order of the log."""
    last: dict[int, int] = {}
    own: dict[int, list[dict[int, list[int]]]] = defaultdict(list)
    for time, user, token, strength in events:
        if user not in last or (gap is not None and time - last[user] > gap):
            own[user].append({})
        last[user] = time
        own[user][-1].setdefault(token, []).append(strength)
    worth = {"once": max, "sum": sum, "log": lambda strengths: float(np.log2(1 + sum(strengths)))}[repeats]
    return [[(token, worth(s)) for token, s in sentence.items()] for user in sorted(own) for sentence in own[user]]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 4), st.integers(1, 5)), max_size=40),
    st.sampled_from([None, 0, 2]),
    st.sampled_from(["once", "sum", "log"]),
)
def test_sentences_are_cut_by_user_and_pause(events, gap, repeats):
    events = sorted(events, key=lambda event: event[0])
    time, user, token, strength = np.array(events, np.int64).reshape(-1, 4).T
    tokens, offsets, weights = sentences(user, token, time, strength.astype(np.float32), gap, repeats)
    wanted = plain(events, gap, repeats)
    assert len(offsets) == len(wanted) + 1
    for s, sentence in enumerate(wanted):
        words = slice(offsets[s], offsets[s + 1])
        assert tokens[words].tolist() == [token for token, _ in sentence]
        assert weights[words] == pytest.approx([worth for _, worth in sentence])


def asking(data, users) -> Requests:
    users = np.asarray(users)
    times = np.full(len(users), data.events.time[-1])
    return Requests.of(users, times, data.state().history(users, times))


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(6, users=40, items=20, events=400, unknown=0.0)


@pytest.mark.parametrize("answer", ["context", "vector"])
def test_the_score_is_the_product_of_directions_and_the_largest_term_the_reason(answer: str, log):
    channel = Item2Vec.from_config({**SMALL, "answer": answer, "half_life": "2d"}).fit(log)
    requests, state = asking(log, np.arange(40)), log.state()
    found = channel.retrieve(requests, state, 6)
    reasons = channel.explain(requests, found)
    offsets, columns, weights = channel._taken(requests)
    v, q = channel.vectors_.astype(np.float64), channel.table_.astype(np.float64)
    assert np.linalg.norm(v, axis=1) == pytest.approx(np.ones(len(v)), abs=1e-5)
    assert len(np.unique(found.request)) > 30
    for m in range(len(found)):
        own = slice(offsets[found.request[m]], offsets[found.request[m] + 1])
        pooled = weights[own] @ v[columns[own]]
        terms = weights[own] * (v[columns[own]] @ q[channel.column_[found.item[m]]])
        assert found["score"][m] == pytest.approx(terms.sum() / np.linalg.norm(pooled), abs=1e-4)
        assert reasons[m] == channel.items_[columns[own][terms.argmax()]]
    if answer == "vector":
        assert found["score"].max() <= 1 + 1e-5


def test_similar_is_the_cosine_of_the_vectors_and_of_nothing_else(log):
    channel = Item2Vec.from_config(SMALL).fit(log)
    found = channel.similar(np.array([-1, 99, int(channel.items_[2])]), 3)
    cosine = channel.vectors_ @ channel.vectors_[2]
    cosine[2] = -1
    best = np.argsort(-cosine)[: len(found)]
    assert found.request.tolist() == [2] * len(found)
    assert found.item.tolist() == channel.items_[best].tolist()
    assert found["score"] == pytest.approx(cosine[best], abs=1e-5)


def in_pairs(channel: Item2Vec) -> Array:
    """[c] whether item 2 p speaks most for its partner 2 p + 1, and the other way round."""
    evidence = channel.vectors_ @ channel.table_.T
    np.fill_diagonal(evidence, -np.inf)
    return evidence.argmax(axis=1) == (np.arange(len(evidence)) ^ 1)


def test_order_and_pauses_are_learned_when_asked_for():
    # every user takes all 12 items, each pair in a sitting of its own: as sets, all users are alike
    rng = np.random.default_rng(0)
    users, n = 150, 12
    pairs = np.stack([rng.permutation(n // 2) for _ in range(users)])
    item = (2 * pairs[:, :, None] + np.argsort(rng.random((users, n // 2, 2)), axis=2)).reshape(users, n)
    time = (np.arange(n // 2)[:, None] * 600 + np.arange(2)).ravel() * 60_000_000
    data = worlds.dataset(np.repeat(np.arange(users), n), item.ravel(), worlds.START + np.tile(time, users))
    options = {"factors": 16, "rate": 0.05, "window": 1, "epochs": 20}
    assert in_pairs(Item2Vec.from_config(options).fit(data)).all()
    shuffled = {**options, "order": "shuffled"}
    assert in_pairs(Item2Vec.from_config(shuffled).fit(data)).mean() < 0.5  # the known defect: order is lost
    assert in_pairs(Item2Vec.from_config({**shuffled, "gap": "1h"}).fit(data)).all()


def test_strength_is_learned_when_asked_for():
    # item 0 is as often viewed beside 1 as bought beside 2
    users = 200
    item = np.where(np.arange(users)[:, None] % 2, [0, 1], [0, 2]).ravel()
    event = np.where(np.arange(users)[:, None] % 2, [0, 0], [1, 1]).ravel().astype(np.int16)  # SHOP: view 1, buy 5
    time = worlds.START + np.arange(2 * users)
    data = worlds.dataset(np.repeat(np.arange(users), 2), item, time, event, behaviours=worlds.SHOP)
    options = {"factors": 8, "rate": 0.02, "epochs": 30, "signal": "all"}
    strong = Item2Vec.from_config({**options, "weighted": True}).fit(data)
    weak = Item2Vec.from_config(options).fit(data)  # the known defect: strength is lost
    ahead = [float((c.table_[2] - c.table_[1]) @ c.vectors_[0]) for c in (strong, weak)]
    assert ahead[0] > 1
    assert abs(ahead[1]) < 0.3


def test_an_item_without_company_is_never_found():
    data = worlds.dataset(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 2, 0, 1]), worlds.START + np.arange(5))
    channel = Item2Vec.from_config({**SMALL, "popularity": 0}).fit(data)
    found = channel.retrieve(asking(data, [0, 1]), data.state(), 5)
    assert 2 not in found.item
    assert 1 not in found.request
    assert not len(channel.similar(np.array([2]), 3))


@pytest.mark.parametrize("unit", [2.0**-8, 2.0**8])
def test_the_unit_of_the_strengths_says_nothing(log, unit: float):
    """An example counts by its strength relative to the mean: a log of small weights is learned from as any other."""
    options = {**SMALL, "epochs": 3, "weighted": True}
    other = replace(log, events=replace(log.events, weight=log.events.weight * np.float32(unit)))
    one, two = (Item2Vec.from_config(options).fit(data) for data in (log, other))
    assert np.array_equal(one.vectors_, two.vectors_)
    assert np.array_equal(one.table_, two.table_)


@pytest.mark.parametrize("worth", [1e-3, 1.0, 1e3])
def test_a_request_is_a_direction_whatever_its_history_weighs(worth: float):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((9, 5)).astype(np.float32)
    vectors[8] = -vectors[7]
    offsets, columns = np.array([0, 1, 1, 4, 9, 11]), np.array([3, 0, 5, 2, 1, 4, 6, 0, 2, 7, 8], np.int32)
    weights = (worth * np.append(rng.random(9), [1, 1])).astype(np.float32)
    found = _direction(offsets, columns, weights, vectors)
    for r in range(5):
        own = slice(offsets[r], offsets[r + 1])
        pooled = weights[own].astype(np.float64) @ vectors[columns[own]]
        length = np.linalg.norm(pooled)
        assert found[r] == pytest.approx(pooled / length if length > 0 else pooled, abs=1e-5)
    assert not found[[1, 4]].any()  # nothing in it, and two that cancel out
