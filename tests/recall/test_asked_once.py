"""What a channel works out for a batch of requests is kept with that batch, and only as long as it holds."""

from __future__ import annotations

import numpy as np

from shortlist.data import Dataset
from shortlist.registry import find
from shortlist.testing import worlds
from shortlist.types import Requests


def asked(data: Dataset) -> Requests:
    users = np.arange(data.n_users, dtype=np.int32)
    times = np.full(data.n_users, data.fitted_until)
    return Requests.of(users, times, data.state().history(users, times))


def test_a_channel_fitted_anew_does_not_answer_from_what_it_kept() -> None:
    one, other = worlds.checkerboard(n_users=12, n_items=20), worlds.random_log(3, users=12, items=20, events=200)
    requests, fresh = asked(one), asked(one)
    channel = find("recall", "als").from_config({"factors": 4})
    first = channel.fit(one).retrieve(requests, one.state(), 5)  # type: ignore[attr-defined]
    again = channel.fit(other).retrieve(requests, one.state(), 5)  # type: ignore[attr-defined]
    expected = channel.retrieve(fresh, one.state(), 5)  # type: ignore[attr-defined]
    assert again.item.tolist() == expected.item.tolist() != first.item.tolist()


def test_a_changed_copy_starts_without_what_was_kept() -> None:
    requests = asked(worlds.checkerboard(n_users=4, n_items=6))
    requests.memo["key"] = "kept"
    assert requests.take([0, 1]).memo == {}
    assert requests.excluding(requests.exclude).memo == {}
