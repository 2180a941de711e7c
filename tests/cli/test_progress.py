"""What long work shows: one line a step in a file or a pipe, two screens for a whole fit."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from shortlist.cli import progress as shown
from shortlist.cli import terminal
from shortlist.progress import emit, step, track

TWO_SCREENS = 48


@pytest.fixture
def written(monkeypatch):
    """What a file behind standard error gets to read; ``written(terminal=True)`` a terminal of 80 columns."""

    def console(is_terminal=False):
        file = io.StringIO()
        console = Console(file=file, force_terminal=is_terminal, width=80, highlight=False, soft_wrap=True)
        monkeypatch.setattr(terminal, "err", console)
        return file

    return console


def work():
    """Steps in steps, with all events that library code emits."""
    with step("rank"):
        emit("data", events=1000, dropped={})
        for _ in track(range(40), "samples"):
            pass
        with step("fit ranker gbdt"):
            for number in range(30):
                emit("check", number=number, loss=0.5)
        with step("read data"):
            pass


def test_a_pipe_gets_one_line_for_each_step_that_took_its_time(written, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("shortlist.progress.time.perf_counter", lambda: next(clock))
    file = written()
    with shown.progress():
        work()
    assert file.getvalue().splitlines() == [
        "  data: events 1,000",
        "  fit ranker gbdt  1.0 s",
        "  read data  1.0 s",
        "  rank  5.0 s",
    ]


def test_a_step_too_short_to_notice_gets_no_line(written):
    file = written()
    with shown.progress():
        work()
    assert file.getvalue() == "  data: events 1,000\n"


def test_long_silence_says_what_is_running_ever_less_often(written, monkeypatch):
    monkeypatch.setattr(shown, "PATIENCE", 0.1)
    file = written()
    with shown.progress(), step("rank"), step("fit ranker gbdt"):
        time.sleep(1.0)  # after .1, .2, .4 and .8 s
    lines = file.getvalue().splitlines()
    assert set(lines[:-2]) == {"  fit ranker gbdt ..."}
    assert 3 <= len(lines[:-2]) <= 4
    assert [line.split("  ")[1] for line in lines[-2:]] == ["fit ranker gbdt", "rank"]


def test_a_terminal_sees_checks_in_the_bar_and_keeps_none(written):
    file = written(is_terminal=True)
    with shown.progress():
        work()
        with step("fit ranker dcn"):  # as the training loop tells of itself
            emit("check", number=7, loss=0.25)
            emit("advance", title="train", done=7, total=9, note="loss 0.25")
            time.sleep(0.15)  # a bar is drawn ten times a second
    kept = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "train: loss 0.25" in kept
    assert "fit ranker dcn:" not in kept  # said once, in the bar that moves
    assert not re.search(r"^  check", kept, re.M)


def fitted(recipe: Path, out: Path, *more: object) -> list[str]:
    """Every line that ``shortlist fit`` writes into a pipe."""
    words = [sys.executable, "-m", "shortlist", "fit", recipe, "--out", out, *more]
    ended = subprocess.run(
        list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.splitlines()


def check(lines: list[str]) -> None:
    """Two screens less the line that make adds; nothing twice; 100 columns."""
    assert len(lines) <= TWO_SCREENS - 1, "\n".join(lines)
    said = [re.sub(r"  \d.*", "", line) for line in lines if line.startswith("  ") and line.strip()]
    assert len(said) == len(set(said)), said
    assert max(map(len, lines)) <= 100


def test_a_fit_into_a_pipe_is_two_screens(shop, tmp_path):
    lines = fitted(shop / "shop.toml", tmp_path / "run", "--data", shop)
    check([line.replace(str(tmp_path), "runs") for line in lines])
    assert any(line.startswith("slate") for line in lines)


@pytest.mark.slow
def test_the_demo_is_two_screens(tmp_path):
    recipe = Path(__file__).parents[2] / "recipes/movielens-100k.toml"
    lines = fitted(recipe, tmp_path / "run")
    check([line.replace(str(tmp_path), "runs") for line in lines])
    assert sum(bool(re.fullmatch(r"  .*  [\d.]+ s", line)) for line in lines) >= 3
