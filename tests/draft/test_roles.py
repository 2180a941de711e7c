"""Which column is what: right, or asked with the right one among the two best guesses, and never wrong in silence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shortlist.draft.look import look
from shortlist.draft.roles import roles

sys.path.insert(0, str(Path(__file__).parent))
from layouts import every

LAYOUTS = list(every())
EXACT = 28
"""So many layouts at least must be told without any question."""


def told(layout, tmp_path):
    (tmp_path / "log.csv").write_text(layout.text, encoding="utf-8")
    return roles(look(tmp_path / "log.csv"), {})


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


def test_most_are_told_without_a_question(tmp_path):
    assert sum(all(g.question is None for g in told(layout, tmp_path).guesses.values()) for layout in LAYOUTS) >= EXACT
