"""What was worked out as of a moment is kept until an event of before that moment comes in."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.data import State, _decayed, _kept
from shortlist.data._kept import Kept
from shortlist.testing import worlds


def test_found_by_what_when_and_the_very_array_it_comes_of():
    kept, learned, equal = Kept(), np.zeros(2), np.zeros(2)
    value = (np.arange(3),)
    kept.put(("a", 1), 5, value, learned)
    assert kept.get(("a", 1), 5, learned) is value
    assert not value[0].flags.writeable
    assert kept.get(("a", 1), 5, equal) is kept.get(("a", 1), 5) is kept.get(("a", 1), 6, learned) is None


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_kept, "ROOM", 100)
    kept = Kept()
    for time in range(3):
        kept.put("sums", time, (np.zeros(5),))  # 40 bytes
    assert [kept.get("sums", time) is not None for time in range(3)] == [False, True, True]
    kept.put("sums", 2, (np.ones(5),))  # in place of the other, not beside it
    assert kept.get("sums", 1) is not None
    kept.put("sums", 9, (np.zeros(50),))
    assert kept.get("sums", 9) is None
    assert kept.get("sums", 1) is not None


def test_an_event_and_a_deletion_drop_what_they_touch():
    data = worlds.random_log(2, events=60)
    state, last = data.state(), int(data.events.time[-1])
    for time in (last - 3, last - 2, last):
        state.kept.put("x", time, (np.zeros(1),))
    meanwhile = state.kept
    late = data.events.take(slice(-1, None))
    state.append(type(late)(late.user, late.item, late.event, late.value, late.time - 2, late.weight))
    assert [state.kept.get("x", t) is not None for t in (last - 3, last - 2, last)] == [True, False, False]
    meanwhile.put("x", last, (np.ones(1),))  # worked out from what was known before the event
    assert state.kept.get("x", last) is None
    state.forget(int(data.events.user[0]), last)
    assert state.kept.get("x", last - 3) is None


class Interrupted(State):
    """Forgets a user, once, while somebody who has just read its events is still counting."""

    waiting = -1

    @property
    def _segments(self):
        found = self.__dict__["found"]
        if self.waiting >= 0:
            user, self.waiting = self.waiting, -1
            self.forget(user, self.last)
        return found

    @_segments.setter
    def _segments(self, value):
        self.__dict__["found"] = value


def test_what_was_counted_while_somebody_was_forgotten_is_not_carried_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_decayed, "BLOCK", 8)
    data = worlds.random_log(2, events=60, unknown=0.0)
    about = data.behaviours, data.users, data.items, data.available_from, data.events
    state, plain, last = Interrupted(*about), State(*about), int(data.events.time[-1])
    user = int(np.bincount(data.events.user).argmax())
    state.waiting = user
    state.decayed("item", np.array([last - 1]))
    plain.forget(user, last)
    assert state.decayed("item", np.array([last])) == pytest.approx(plain.decayed("item", np.array([last])))
