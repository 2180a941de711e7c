"""A recipe written back is the old one but for the changed keys."""

from __future__ import annotations

import sys
import tomllib

import pytest

from shortlist.component import InputError
from shortlist.tuning._rewrite import rewritten

pytest.importorskip("tomlkit")

TEXT = """# What to show next.
name = "films"   # a name

[recall.cf]
type = "item_cf"
half_life = "10m"   # short

[recall]
hot = { type = "popular", half_life = "7d" }

[rank.line]
type = "logistic"
[rank.line.search]
l2 = [0.3, 1.0]

# the end
[[rules]]
type = "seen"
"""


def test_only_the_changed_lines_differ():
    text = TEXT.replace("[recall]\nhot", "[recall.hot]\ntype = 'popular'\n[x]\nhot")
    changed = rewritten(text, {("recall", "cf", "half_life"): "1h", ("recall", "cf", "neighbours"): 40})
    before, after = text.splitlines(), changed.splitlines()
    assert [line for line in before if line not in after] == ['half_life = "10m"   # short']
    assert [line for line in after if line not in before] == ['half_life = "1h"   # short', "neighbours = 40"]


@pytest.mark.parametrize(
    ("changes", "at", "value"),
    [
        ({("recall", "cf", "half_life"): None}, ("recall", "cf"), {"type": "item_cf"}),
        (
            {("rank", "line", "l2"): 0.5, ("rank", "line", "search"): None},
            ("rank", "line"),
            {"type": "logistic", "l2": 0.5},
        ),
        ({("rank", "line", "l2"): 1e-07}, ("rank", "line", "l2"), 1e-07),
        ({("rank", "line", "without"): ["a", "b"]}, ("rank", "line", "without"), ["a", "b"]),
        ({("merge", "k"): 9}, ("merge",), {"k": 9}),  # a section that was left out
        ({("merge", "k"): None}, ("name",), "films"),
        ({("name",): "films-tuned"}, ("name",), "films-tuned"),
    ],
)
def test_values_are_set_and_taken_out(changes, at, value):
    text = TEXT.replace('[recall]\nhot = { type = "popular", half_life = "7d" }\n', "")
    found = tomllib.loads(rewritten(text, changes))
    for key in at:
        found = found[key]
    assert found == value


def test_inline_tables_stay_inline():
    text = 'recall = { hot = { type = "popular" } }  # one\n'
    changed = rewritten(text, {("recall", "hot", "half_life"): "3d"})
    assert changed.endswith("}  # one\n")
    assert tomllib.loads(changed) == {"recall": {"hot": {"type": "popular", "half_life": "3d"}}}


def test_without_tomlkit_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    with pytest.raises(InputError, match=r"'tomlkit': pip install 'shortlist\[tune\]'"):
        rewritten("a = 1", {})
