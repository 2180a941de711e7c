"""A ranker of sixty lines that attends to a history: its contract, and a world that only attention reveals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shortlist.nn.rows import auc
from shortlist.testing import contract
from shortlist.types import Candidates, Ragged, Requests, Samples

from ._din import DIN

DAY = 86_400_000_000
GROUPS, ITEMS, EVENTS = 8, 40, 10


def bought_lately(n=1500, each=6, seed=0):
    """The label is whether an item of the target's group was bought (behaviour 1) within three days.

    What was bought, when, and how long ago are drawn apart from each other, so that no mean of the items, of the
    behaviours or of the ages says which item it was that was bought, nor when.
    """
    rng = np.random.default_rng(seed)
    m, h = n * each, n * EVENTS
    age = -np.sort(-rng.integers(1, 6 * 24, (n, EVENTS)) * (DAY // 24), axis=1)  # oldest first
    past, bought = rng.integers(0, ITEMS, (n, EVENTS)), rng.integers(0, 2, (n, EVENTS))
    time = 1000 * DAY + np.arange(n)
    history = Ragged(
        np.arange(n + 1) * EVENTS,
        {
            "item": past.ravel().astype(np.int32),
            "event": bought.ravel().astype(np.int16),
            "value": np.full(h, np.nan, np.float32),
            "time": (time[:, None] - age).ravel(),
            "weight": np.ones(h, np.float32),
        },
    )
    request, item = np.repeat(np.arange(n, dtype=np.uint32), each), rng.integers(0, ITEMS, m).astype(np.int32)
    counts = (bought == 1) & (age < 3 * DAY)
    label = (counts[request] & (past[request] % GROUPS == item[:, None] % GROUPS)).any(1).astype(np.float32)
    rows = Candidates(request, item, {"noise": rng.normal(size=m).astype(np.float32)})
    return Samples(Requests.of(np.zeros(n), time, history), rows, {"click": label}, np.ones(m, np.float32))


def test_it_is_short():
    assert len((Path(__file__).parent / "_din.py").read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("owed", contract.checks("rank"), ids=lambda check: check.__name__)
def test_it_keeps_the_contract(owed, subject):
    owed(subject)


@pytest.fixture(scope="module")
def subject():
    return contract.Subject("rank", DIN, {"epochs": 4, "rate": 0.01})


def reached(**config):
    train, test = bought_lately(), bought_lately(500, seed=1)
    ranker = DIN(columns=["noise"], rate=0.01, batch=256, epochs=12, buckets=12, history=EVENTS, **config).fit(train)
    return auc(test.labels["click"], ranker.score(test.requests, test.candidates)["score"])


def test_attention_finds_what_a_mean_hides():
    attention, mean = reached(), reached(pool="mean")
    assert attention > 0.95  # .9996
    assert attention > mean + 0.2  # .66


def test_behaviours_and_ages_are_read():
    """Without what was done, .75; without how long ago, .88."""
    assert reached(history_carries=[]) < 0.85
    assert 0.8 < reached(history_carries=["event"]) < 0.94
