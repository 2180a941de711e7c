"""What a drafted funnel takes to fit, and how few requests keep it within the machine's memory."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shortlist import train
from shortlist.draft.funnel import funnel
from shortlist.draft.size import LARGE, MEMORY, Size
from shortlist.questions import questions_of
from shortlist.recipe import parse

sys.path.insert(0, str(Path(__file__).parent))
from layouts import shop

SIZE = Size(
    requests=4_000, columns=100, learned=50.0, judged=300.0, channels=2.0, request=0.001, hard=2,
    base=0.5 * 2**30, history=400.0,
)  # fmt: skip


def test_a_small_funnel_learns_from_all_it_may():
    assert SIZE.at_most == LARGE
    assert SIZE.memory < MEMORY


@pytest.mark.parametrize("larger", [{"columns": 800}, {"history": 20_000.0}, {"judged": 1_000.0}])
def test_a_large_one_from_as_many_as_there_is_room_for(larger):
    size = replace(SIZE, **larger)
    assert 500 <= size.at_most < LARGE
    assert size.memory <= MEMORY
    assert size._memory(size.at_most + 100) > MEMORY


def test_some_rows_are_learned_from_whatever_they_take():
    assert replace(SIZE, base=4 * 2.0**30).at_most == 500


def test_seconds_are_those_of_fits_rows_and_trees():
    rows = 3 * 2.0 + (4_000 + 4_000 * 3) * 0.001
    assert SIZE.seconds == pytest.approx(rows + 4 / 3 * 0.8 * 4_000 * 50 * 100 * 1e-6)
    assert SIZE.told().startswith("about 43 s of one core and 1.")


def test_a_net_beside_the_trees_takes_its_epochs_and_its_looks():
    both = replace(SIZE, epochs=6, checks=18)
    rows = 6 * 2.4 * 4_000 * 50 + 18 * 0.2 * 4_000 * 300 / 3
    assert both.seconds - SIZE.seconds == pytest.approx(2e-5 * rows)
    assert both.memory - SIZE.memory == pytest.approx(300 * 2**20)


def test_rows_and_columns_are_those_of_the_funnel(tmp_path):
    rows = [f"u{row.user},i{row.item},{row.seconds}" for row in shop(3000)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows, ""]))
    data = {"split": {"tune": 0.7, "rank": 0.8, "test": 0.9}, "events": {"path": str(tmp_path / "log.csv")}}
    recipe = parse({
        "name": "shop", "data": data, "recall": {"hot": {"type": "popular"}},
        "merge": {"type": "reciprocal_rank", "k": 20},
        "features": [{"type": "channel"}], "samples": {"negatives": 5}, "rank": {"type": "gbdt"},
        "rules": [{"type": "available"}],
    })  # fmt: skip
    log = train.load(recipe)[0]
    cuts = train.Schedule.of(recipe, log).cuts
    asked = questions_of(log, log.state(), recipe.evaluate, cuts.tune, cuts.rank, seed=1)
    size = Size.of(recipe, log.until(cuts.tune), log.state(), asked)
    assert size.judged == 20
    assert 1 < size.learned < 8  # five others and the right ones, of requests of which one was found
    assert size.requests == min(len(asked) + asked.dropped, LARGE)
    assert size.hard == 1
    assert size.columns >= 2
    assert size.request > 0
    assert funnel(recipe, log).reasons[""][-1].endswith(" GiB to fit")
