"""Tables of the terminal fit into 80 columns, and ``--help`` on one screen."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from shortlist.cli import price, tables
from shortlist.cli.leaderboards import _bare, leaderboard
from shortlist.cli.overview import GROUPS

RESULTS = json.loads((Path(__file__).parents[2] / "bench/funnel/results.json").read_text(encoding="utf-8"))


def drawn(table, width: int) -> list[str]:
    """The lines of a table on a terminal of ``width`` columns."""
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, soft_wrap=True).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", RESULTS)
def test_a_leaderboard_has_a_line_a_row_and_every_figure(name, width):
    document = RESULTS[name]
    lines = drawn(leaderboard(document), width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    for channel, values in document["channels"].items():
        (line,) = (line for line in lines if line.startswith(f"{channel} "))
        ndcg = values["ndcg@10"]
        assert f"{ndcg['mean']:.3f} ({ndcg['low']:.3f}, {ndcg['high']:.3f})".replace("0.", ".") in line
        assert f"{values['unique_hits']:,}" in line.split()
    assert sum(line.startswith("slate ") for line in lines) == 1


def test_a_rule_has_a_row_only_where_it_changed_something():
    document = json.loads(json.dumps(RESULTS["movielens-100k"]))
    rules = document["stages"]["rules"]
    name = next(iter(rules))
    assert not any(line.startswith("rule") for line in drawn(leaderboard(document), 100))
    rules[name]["change"]["ndcg@10"]["diff"] = -0.01
    assert any(line.startswith(f"rule {name} ") for line in drawn(leaderboard(document), 100))


def test_the_example_slate_is_a_line_an_item():
    title, reason = "A title that is much too long for one line of a terminal", "because of [another] long title"
    items = [{"item": str(n), "title": title, "score": 0.5, "channels": ["a", "b"], "reason": reason} for n in range(9)]
    lines = drawn(tables.slate("7", items, whole=False), 80)
    assert len(lines) == 3 + len(items)
    assert max(map(len, lines)) <= 80
    assert "[another]" in "".join(drawn(tables.slate("7", items), 200))
    assert len(drawn(tables.slate("7", items), 80)) > 3 + len(items)  # asked for, a reason is told in full
    moved = drawn(tables.slate("7", [item | {"reason": "r", "moved": "brought forward"} for item in items]), 200)
    assert sum("r; brought forward" in line for line in moved) == len(items)


def test_help_is_one_screen_with_every_command_in_its_group(shortlist_command):
    code, out, _ = shortlist_command("--help")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith("...") for line in lines[1:])
    assert [line for line in lines if line in (*GROUPS, "More")] == list(GROUPS)


@pytest.mark.parametrize("width", [80, 100])
def test_prices_have_a_line_a_rule_and_say_what_could_be_chance(width):
    def change(diff, low, high):
        return {"diff": diff, "low": low, "high": high, "p": 0.5}

    metrics = {"ndcg@10": change(-0.0123, -0.02, -0.004), "coverage@10": change(0.25, 0.2, 0.3)}
    metrics |= {"diversity.genres@10": change(0.001, -0.001, 0.003), "gini@10": change(-0.5, None, None)}
    metrics |= {"novelty@10": change(None, None, None), "age_days@10": change(-10.51, -12, -9)}
    aim = {"what": "the share of a slate outside the band", "with": 0, "without": 10.25, **change(-10.25, -11, -9.5)}
    prices = {
        "bought_recently": {"kind": "soft", "moved": 0.494, "change": metrics, "aim": aim},
        "fill": {"kind": "soft", "moved": 0.0, "change": metrics, "aim": {**aim, **change(None, None, None)}},
    }
    document = {"name": "shop", "protocol": {"k": [50, 10]}, "prices": prices}
    costs, _, aims, _ = price.tables(document)
    lines = drawn(costs, width)
    assert max(map(len, lines)) <= width
    assert lines[1].split() == ["rule", "NDCG@10", "(95", "%)", "cov.", "div.", "days", "Gini"]  # nothing has a novelty
    (line,) = (line for line in lines if line.startswith("bought_recently"))
    assert line.split()[1:] == ["-.012", "(-.020,", "-.004)", "+.250", "(+.001)", "-10.5", "(-.500)"]
    (line,) = (line for line in lines if line.startswith("fill"))
    assert line.split()[1:] == ["changes", "nothing"]
    lines = drawn(aims, width)
    assert max(map(len, lines)) <= width
    (line,) = (line for line in lines if line.startswith("bought_recently"))
    assert line.split()[5:] == ["10.25", "0", "-10.250", "(-11.000,", "-9.500)", "49", "%"]
    assert price.tables({"name": "shop", "protocol": {"k": [10]}, "prices": {}}) == []
    idle = {name: {**one, "moved": 0.0} for name, one in prices.items()}
    assert price.tables({**document, "prices": idle}) == []
    hard = {name: {**one, "kind": "hard"} for name, one in prices.items()}
    assert price.tables({**document, "prices": hard}) == []


@pytest.mark.parametrize(
    ("figure", "bare"),
    [
        ("0.154 (0.100, 0.208)", ".154 (.100, .208)"),
        ("+0.036 (-0.010, +0.082)", "+.036 (-.010, +.082)"),
        ("10.500 (0.500, 100.250)", "10.500 (.500, 100.250)"),
        ("0", "0"),
        ("–", "–"),
    ],
)
def test_only_a_leading_zero_is_dropped(figure, bare):
    assert _bare(figure) == bare
