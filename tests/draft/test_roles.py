"""Which column is what: right, or asked with the right one among the two best guesses, and never wrong in silence."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec
from shortlist.draft import section
from shortlist.draft.look import look
from shortlist.draft.roles import roles

sys.path.insert(0, str(Path(__file__).parent))
from layouts import every

LAYOUTS = list(every())
EXACT = 28
"""So many layouts at least must be told without any question."""


TOLD = {}


def told(layout, tmp_path):
    """What is said of a layout, looked at once."""
    if layout.name not in TOLD:
        (tmp_path / "log.csv").write_text(layout.text, encoding="utf-8")
        TOLD[layout.name] = roles(look(tmp_path / "log.csv"), {})
    return TOLD[layout.name]


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.name for layout in LAYOUTS])
def test_a_column_is_right_or_asked(layout, tmp_path):
    found = told(layout, tmp_path)
    for role in ("user", "item", "time", "event", "value"):
        wanted = getattr(layout, role)
        guess = found.guesses.get(role) or (found.guesses.get("count") if role == "value" else None)
        if guess is None or wanted is None:
            assert guess is wanted or role in layout.may_ask, role
        elif guess.column != wanted:
            assert role in layout.may_ask, (role, guess)
            assert guess.question is None or wanted == guess.second, (role, guess)
        elif guess.question is not None:
            assert role in layout.may_ask, (role, guess)


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.name for layout in LAYOUTS])
def test_a_draft_reads_its_file_as_it_stands(layout, tmp_path):
    """Every row, but for what came back: thirty-seven of the lines of one layout."""
    (tmp_path / "log.csv").write_text(layout.text, encoding="utf-8")
    raw = load(DataSpec.model_validate(tomllib.loads("\n".join(section(tmp_path / "log.csv")))["data"]))
    assert raw.events.height + len(raw.rejected) == 1500
    assert len(raw.rejected) == (37 if layout.name == "online retail" else 0)


def test_two_half_empty_times_of_a_file_without_a_header(tmp_path):
    rows = [(f"u{n % 40}", f"i{n * 7 % 60}", f"2024-01-{n % 28 + 1:02} 10:00:00") for n in range(400)]
    lines = [f"{u},{i},{t if n % 2 else ''},{'' if n % 2 else t}" for n, (u, i, t) in enumerate(rows)]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    raw = load(DataSpec.model_validate(tomllib.loads("\n".join(section(tmp_path / "log.csv")))["data"]))
    days = raw.events["time"].cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S").to_list()
    assert list(zip(raw.events["user"], raw.events["item"], days, strict=True)) == rows


@pytest.mark.parametrize("separator", [" ", "\t", ","])
def test_sequences_are_read_as_such_however_their_cells_are_separated(separator, tmp_path):
    rows = [[f"u{n}", *(f"i{(n * 5 + k * k) % 17}" for k in range(2 + n % 9))] for n in range(60)]
    (tmp_path / "log.txt").write_text("".join(separator.join(row) + "\n" for row in rows))
    raw = load(DataSpec.model_validate(tomllib.loads("\n".join(section(tmp_path / "log.txt")))["data"]))
    assert raw.events.height == sum(len(row) - 1 for row in rows)


def test_most_are_told_without_a_question(tmp_path):
    assert sum(all(g.question is None for g in told(layout, tmp_path).guesses.values()) for layout in LAYOUTS) >= EXACT
