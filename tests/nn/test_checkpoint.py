"""Training that was cut short goes on where it was, to the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shortlist.nn import checkpoint
from shortlist.progress import listening
from shortlist.recall.sasrec import SASRec
from shortlist.testing import worlds

CONFIG = {"factors": 8, "epochs": 6, "batch": 16, "length": 8, "hold": 0.0, "checks": 2}
MORE = [
    {},
    {"average": 0.9, "schedule": "cosine"},
    {"hold": 0.2, "stopping": 2, "objective": "sampled", "negatives": 5},
]


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard()


class Killed(Exception):
    """What ends a fit in the middle."""


def cut_short(channel: SASRec, data, after: int) -> None:
    """Fits until so many checks were told of."""
    heard = 0

    def listen(name: str, fields: dict) -> None:
        nonlocal heard
        heard += name == "check"
        if heard > after:
            raise Killed

    with listening(listen), pytest.raises(Killed):
        channel.fit(data)


@pytest.mark.parametrize("more", MORE, ids=["plain", "averaged", "stopped"])
@pytest.mark.parametrize("after", [2, 5])
def test_a_fit_that_was_cut_short_ends_as_one_that_was_not(board, tmp_path, monkeypatch, more, after):
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    whole = SASRec(**{**CONFIG, **more}).fit(board)
    with checkpoint.kept_in(tmp_path):
        cut_short(SASRec(**{**CONFIG, **more}), board, after)
        assert list(tmp_path.iterdir())
        resumed: list[int] = []
        with listening(lambda name, fields: resumed.append(fields["check"]) if name == "resumed" else None):
            again = SASRec(**{**CONFIG, **more}).fit(board)
    assert resumed
    assert resumed[0] > 0
    assert again.checks_ == whole.checks_
    np.testing.assert_array_equal(again.weights_["value"], whole.weights_["value"])
    np.testing.assert_array_equal(again.table_, whole.table_)


def test_what_was_finished_is_not_repeated(board, tmp_path):
    with checkpoint.kept_in(tmp_path):
        first = SASRec(**CONFIG).fit(board)
        told: list[str] = []
        with listening(lambda name, fields: told.append(name)):
            second = SASRec(**CONFIG).fit(board)
    assert "check" not in told
    np.testing.assert_array_equal(first.table_, second.table_)


def test_another_log_or_other_settings_begin_anew(board, tmp_path):
    with checkpoint.kept_in(tmp_path):
        SASRec(**CONFIG).fit(board)
        for channel, data in (
            (SASRec(**{**CONFIG, "rate": 2e-3}), board),
            (SASRec(**CONFIG), worlds.checkerboard(seed=1)),
        ):
            told: list[str] = []
            with listening(lambda name, fields, told=told: told.append(name)):
                channel.fit(data)
            assert "resumed" not in told


def test_a_file_that_cannot_be_read_is_told_of_and_left_aside(board, tmp_path):
    with checkpoint.kept_in(tmp_path):
        first = SASRec(**CONFIG).fit(board)
        for file in tmp_path.iterdir():
            file.write_bytes(file.read_bytes()[:100])
        warned: list[str] = []
        with listening(lambda name, fields: warned.append(fields["message"]) if name == "warning" else None):
            second = SASRec(**CONFIG).fit(board)
    assert "training begins anew" in warned[0]
    np.testing.assert_array_equal(first.table_, second.table_)


def test_nothing_is_kept_where_nobody_asked_for_it(board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SASRec(**CONFIG).fit(board)
    assert list(tmp_path.iterdir()) == []
    assert torch.is_grad_enabled()
