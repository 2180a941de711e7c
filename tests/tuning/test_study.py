"""The search itself, on functions whose best is known."""

from __future__ import annotations

import math
import sys
import time

import numpy as np
import pytest

from shortlist.component import InputError
from shortlist.progress import emit, listening
from shortlist.search import Dimension
from shortlist.tuning._study import IDLE, Budget, study

optuna = pytest.importorskip("optuna")

SPACE = {
    "x": Dimension(0.01, 100, True),
    "kind": Dimension(choices=("good", "bad")),
    "n": Dimension(1, 9, kind="whole"),
}
CURRENT = {"x": 50.0, "kind": "bad", "n": 9}


def measured(params):
    """Best at x = 1, n = 3, kind = good; three questions, each a little different."""
    at = {**CURRENT, **params}
    value = 1 - 0.1 * abs(math.log(at["x"])) - 0.02 * abs(at["n"] - 3) - 0.3 * (at["kind"] == "bad")
    return value + np.array([-0.01, 0.0, 0.01])


def found(trials=30, seed=0, measure=measured, space=SPACE, current=CURRENT, **budget):
    return study(space, measure, current, Budget(trials, **budget), seed, "tune")


def test_it_comes_near_the_best_and_starts_with_the_recipes_own():
    result = found(60)
    assert result.trials[0].params == {}
    assert result.trials[0].value == pytest.approx(measured({}).mean())
    best = result.trials[result.best]
    assert best.value == max(trial.value for trial in result.trials) > 0.85
    assert best.params["kind"] == "good"
    assert result.chosen == pytest.approx(measured(best.params))
    assert result.own == pytest.approx(measured({}))
    assert len(result.trials) == 61


def test_it_repeats_with_its_seed():
    assert [t.params for t in found(8).trials] == [t.params for t in found(8).trials]
    assert [t.params for t in found(8).trials] != [t.params for t in found(8, seed=1).trials]


def test_nothing_is_worse_than_the_recipes_own_even_where_all_else_is():
    result = found(5, measure=lambda params: np.array([0.0 if params else 1.0]))
    assert result.best == 0
    assert result.chosen is result.own


def test_of_equals_the_one_that_changes_least_wins():
    assert found(5, measure=lambda params: np.ones(2)).best == 0
    space = {"kind": Dimension(choices=("good", "bad")), "idle": Dimension(choices=(0, 1, 2))}
    result = found(
        None,
        measure=lambda params: np.ones(1) * (params.get("kind") == "good"),
        space=space,
        current={"kind": "bad", "idle": 1},
    )
    assert result.trials[result.best].params == {"kind": "good", "idle": 1}


def test_its_own_setting_may_lie_outside_of_what_is_tried():
    for current in ({**CURRENT, "x": 1e6}, {**CURRENT, "kind": "other"}, {**CURRENT, "n": None}):
        assert len(found(3, measure=lambda params: np.ones(1), current=current).trials) == 4


@pytest.mark.parametrize(
    ("error", "said"),
    [(InputError("no bad ones"), "no bad ones"), (MemoryError("of 9 TB"), "tune: out of memory: of 9 TB")],
)
def test_refused_settings_are_counted_and_avoided(error, said):
    def measure(params):
        if params.get("kind") == "bad":
            raise error
        return measured(params)

    result = found(30, measure=measure)
    refused = [trial for trial in result.trials if trial.value is None]
    assert refused
    assert {trial.refusal for trial in refused} == {said}
    assert result.trials[result.best].params["kind"] == "good"


def test_a_refusal_of_the_recipes_own_is_the_users_to_mend_and_a_bug_is_none():
    def refuse(params):
        raise InputError("merge.k: too few")

    def fail(params):
        raise ZeroDivisionError

    with pytest.raises(InputError, match=r"merge\.k: too few"):
        found(measure=refuse)
    with pytest.raises(ZeroDivisionError):
        found(measure=fail)
    with pytest.raises(InputError, match="no request of the window"):
        found(measure=lambda params: np.array([np.nan]))


@pytest.mark.parametrize("inside_a_kernel", [False, True])
def test_control_c_keeps_the_best_so_far(inside_a_kernel):
    calls = []

    def measure(params):
        calls.append(params)
        if len(calls) == 6:
            if inside_a_kernel:
                inner = SystemError("returned a result with an exception set")
                inner.__cause__ = KeyboardInterrupt()
                raise SystemError("and again") from inner
            raise KeyboardInterrupt
        return measured(params)

    result = found(50, measure=measure)
    assert result.stopped
    assert len(result.trials) == 5
    assert result.trials[result.best].value == max(trial.value for trial in result.trials)


def test_a_kernel_that_fails_for_another_reason_is_a_bug():
    def fail(params):
        raise SystemError("bad kernel") from ValueError("x")

    with pytest.raises(SystemError, match="bad kernel"):
        found(measure=fail)


def test_no_setting_is_measured_twice_and_a_small_space_ends_by_itself():
    calls = []

    def measure(params):
        calls.append(str(params))
        return np.ones(1)

    space = {"kind": Dimension(choices=("good", "bad")), "n": Dimension(1, 3, kind="whole")}
    result = found(None, measure=measure, space=space, current={"kind": "bad", "n": 2})
    assert len(calls) == len(set(calls)) == len(result.trials) <= 6
    assert result.repeats == IDLE


def test_time_ends_it():
    assert len(found(None, until=time.monotonic() - 1).trials) == 1


def test_progress_tells_the_best_so_far_and_no_noise_from_inside():
    seen = []

    def measure(params):
        emit("start", title="inner fit")
        return measured(params)

    with listening(lambda name, fields: seen.append((name, fields))):
        found(4, measure=measure)
    assert [name for name, _ in seen] == ["start", *["advance"] * 5, "done"]
    assert seen[-2][1]["done"] == seen[-2][1]["total"] == 5
    assert "best" in seen[-2][1]["note"]


def test_without_optuna_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"tuning needs the package 'optuna': pip install 'shortlist\[tune\]'"):
        found(1)
