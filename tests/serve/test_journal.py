"""The log of answers, from the slate an observer hears of to the store, and while the store is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shortlist.experiment.design import parse
from shortlist.pipeline import Trace
from shortlist.serve import journal
from shortlist.serve.journal import Journal
from shortlist.serve.store import Unavailable
from shortlist.types import Candidates, Requests


class Shelf:
    """A store that can be away."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.trims: list[tuple[int, int]] = []
        self.away = False

    def log(self, answers: Any) -> int:
        if self.away:
            raise Unavailable("store x: away")
        self.kept += answers
        return len(answers)

    def trim(self, before: int, most: int) -> int:
        self.trims.append((before, most))
        return 0


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def kept(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(journal, "PAUSE", 1000.0)  # the tests say when it writes
    arms: Any = SimpleNamespace(design=parse({"kept": {"age": "1d", "answers": 7}}))
    return Journal(shelf, arms)  # type: ignore[arg-type]


def answered(kept: Journal, number: int, user: str | None = "u", time: int = 0) -> None:
    asked = kept.begin(number, user, time, 2)
    asked.arms, asked.bundle = {"x": "b"}, "v"
    requests = Requests.of(np.array([0]), np.array([time]))
    requests.id[:] = number
    slate = Candidates(np.zeros(2, np.uint32), np.array([4, 5], np.int32), {"propensity": np.array([0.25, np.nan])})
    kept.observe(requests, slate, Trace())
    kept.end(asked, [{"item": "a", "channels": ["cf"]}, {"item": "b", "channels": []}])


def test_an_answer_is_kept_with_its_propensities(kept: Journal, shelf: Shelf) -> None:
    answered(kept, 255)
    assert shelf.kept == []  # not before the answer is out
    kept.flush()
    (line,) = shelf.kept
    assert 0 <= line.pop("latency") < 5
    assert line == {
        "request_id": f"{255:016x}",
        "user": "u",
        "time": 0,
        "bundle": "v",
        "arms": {"x": "b"},
        "asked": 2,
        "items": [{"item": "a", "channels": ["cf"], "propensity": 0.25}, {"item": "b", "channels": []}],
    }


def test_what_was_not_answered_or_not_asked_is_not_kept(kept: Journal, shelf: Shelf) -> None:
    kept.end(kept.begin(1, None, 0, 2), None)
    kept.observe(Requests.of(np.array([0]), np.array([0])), Candidates.empty(), Trace())
    kept.flush()
    assert shelf.kept == []


def test_answers_wait_for_a_store_that_is_away_up_to_a_number(
    kept: Journal, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "WAITING", 3)
    shelf.away = True
    for number in range(1, 6):
        answered(kept, number)
    with pytest.raises(Unavailable):
        kept.flush()
    assert kept.lost == 2
    shelf.away = False
    answered(kept, 6)
    kept.flush()
    assert [int(line["request_id"], 16) for line in shelf.kept] == [3, 4, 5, 6]
    assert "2 were lost" in str(kept.warning)


def test_it_is_cut_by_the_time_of_the_latest_answer(kept: Journal, shelf: Shelf) -> None:
    day = 86_400_000_000
    kept.flush()
    assert shelf.trims == []  # nothing is known yet of what time it is
    answered(kept, 1, time=5 * day)
    kept.flush()
    assert shelf.trims == [(4 * day, 7)]
    answered(kept, 2, time=6 * day)
    kept.flush()
    assert len(shelf.trims) == 1  # once a minute


def test_closing_writes_what_waits(kept: Journal, shelf: Shelf) -> None:
    answered(kept, 1)
    kept.close()
    assert len(shelf.kept) == 1
