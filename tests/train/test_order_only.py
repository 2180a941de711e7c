"""A funnel on a log without times: it is said wherever its figures are, and no number of days cuts anything off."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shortlist import report, train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.data.protocol import replay
from shortlist.recipe import read

RECIPE = """
name = "steps"
seed = 7
depth = 20

[data]
split = { tune = 0.6, rank = 0.7, test = 0.85 }

[data.events]
path = "log.txt"
layout = "sequences"

[recall.next]
type = "association"

[recall.hot]
type = "popular"

[fallback]
type = "popular"

[[features]]
type = "channel"

[rank]
type = "logistic"

[[rules]]
type = "seen"

[evaluate]
k = [3, 6]
"""
Command = Callable[..., tuple[int, str, str]]


def write(folder: Path, users: int = 60) -> None:
    """Everybody walks around a ring of 30 items, from somewhere of their own."""
    draw = random.Random(3)
    lines = []
    for user in range(users):
        start, n = draw.randrange(30), draw.randrange(6, 16)
        lines.append(" ".join([f"u{user:02}", *(f"i{(start + step) % 30:02}" for step in range(n))]))
    (folder / "log.txt").write_text("\n".join(lines) + "\n")
    (folder / "steps.toml").write_text(RECIPE)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> train.Fitted:
    folder = tmp_path_factory.mktemp("steps")
    write(folder)
    return train.fit(read(folder / "steps.toml"), root=folder, out=folder / "run")


def test_every_result_says_order_only(fitted: train.Fitted) -> None:
    document = json.loads((fitted.out / "evaluation.json").read_text())
    asked = document["protocol"]
    assert asked["order"].startswith("order only")
    assert asked["horizon"] is None
    assert asked["opens"].startswith("event ")
    assert document["data"]["order"].startswith("order only")
    assert fitted.manifest["clock"] == "each"
    assert fitted.manifest["data"]["order"].startswith("order only")
    page = report.page(document)
    assert "order only" in page
    assert "within" not in page.split("Right answers are")[1].split(";")[0]
    assert "1970" not in page
    assert "UTC" not in page


def test_the_order_is_learned(fitted: train.Fitted) -> None:
    stages = fitted.evaluation.document["stages"] | fitted.evaluation.document["channels"]
    assert stages["next"]["ndcg@3"]["mean"] > 0.9
    assert stages["hot"]["ndcg@3"]["mean"] < 0.3


def test_the_terminal_says_it(fitted: train.Fitted, shortlist_command: Command) -> None:
    folder = fitted.out.parent
    code, out, err = shortlist_command("fit", folder / "steps.toml", "--data", folder, "--out", folder / "again")
    assert code == 0
    assert "order only" in out.split("\n")[0]
    assert "note: order only" in err
    assert "days" not in err


def test_horizon_leaves_no_target_out(fitted: train.Fitted) -> None:
    data, _ = train.load(read(fitted.out.parent / "steps.toml"), fitted.out.parent)
    opens = data.cut(0.85)
    asked = [replay(data, data.state(), opens, None, horizon=horizon) for horizon in (1, 10**18)]
    assert asked[0].targets.lengths.tolist() == asked[1].targets.lengths.tolist()
    assert asked[0].targets.lengths.max() > 1


def test_gaps_and_calendars_of_an_order_are_refused_or_doubted(
    fitted: train.Fitted, shortlist_command: Command
) -> None:
    recipe, root = fitted.out.parent / "steps.toml", fitted.out.parent
    with pytest.raises(InputError, match=r"evaluate\.min_gap: .*order only"):
        train.load(read(recipe, ['evaluate.min_gap="30m"']), root)
    setting = 'features=[{type="channel"}, {type="context"}]'
    code, _, err = shortlist_command("fit", recipe, "--data", root, "--out", root / "hours", "--set", setting)
    assert code == 0
    assert "features.1 (context): hours and weekdays of an order say nothing" in err


def test_a_bundle_keeps_that_it_is_order_only_and_is_measured_again(
    fitted: train.Fitted, shortlist_command: Command, tmp_path: Path
) -> None:
    bundle = fitted.out / "bundle"
    assert open_bundle(bundle).data.clock == "each"
    code, out, _ = shortlist_command("evaluate", bundle, "--data", fitted.out.parent)
    assert code == 0
    assert "order only" in out
    write(tmp_path, users=61)
    code, _, err = shortlist_command("evaluate", bundle, "--data", tmp_path)
    assert code == 2
    assert "spread anew as the log grows; fit again" in err


def test_a_common_order_may_grow_and_be_asked_again(tmp_path: Path, shortlist_command: Command) -> None:
    draw = random.Random(4)
    rows = [f"u{draw.randrange(20)},i{draw.randrange(12)}" for _ in range(500)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item", *rows]) + "\n")
    (tmp_path / "rows.toml").write_text(
        RECIPE.replace("log.txt", "log.csv").replace('layout = "sequences"', 'time = "row"')
    )
    fitted = train.fit(read(tmp_path / "rows.toml"), root=tmp_path, out=tmp_path / "run")
    assert fitted.manifest["clock"] == "common"
    with (tmp_path / "log.csv").open("a") as log:
        log.write("".join(f"u{draw.randrange(20)},i{draw.randrange(12)}\n" for _ in range(100)))
    code, _, err = shortlist_command("evaluate", fitted.out / "bundle", "--data", tmp_path, "--rows", tmp_path / "r.pq")
    assert (code, err) == (0, err), err
    asked = pl.read_parquet(tmp_path / "r.pq")["time"]
    assert int(asked.min()) >= fitted.manifest["fitted_until"]  # type: ignore[call-overload]


def test_a_cut_goes_through_everybodys_own_history(fitted: train.Fitted) -> None:
    data, _ = train.load(read(fitted.out.parent / "steps.toml"), fitted.out.parent)
    whole, before = data.user_counts("all"), data.until(data.cut(0.7)).user_counts("all")
    assert (np.abs(before - 0.7 * whole) <= 1.5).all()
