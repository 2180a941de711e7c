"""A small shop: a log with two tastes, its recipe, and what fit leaves behind, made once for all tests."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from shortlist import train
from shortlist.cli.main import main
from shortlist.recipe import read

settings.register_profile("repeatable", derandomize=True)  # the same examples on every machine
settings.load_profile("repeatable")

RECIPE = """
name = "shop"
seed = 3
serve = "rank"
depth = 6

[data]
source = "tables"
split = { tune = 0.5, rank = 0.6, test = 0.8 }
positive = { rating = 3 }

[data.events]
path = "log.csv"

[data.events.filters]
user = { drop = ["robot"] }

[data.items]
path = "items.csv"
columns = { item = "item", title = "text", genres = "list" }

[recall.cf]
type = "item_cf"

[recall.hot]
type = "popular"

[fallback]
type = "popular"

[merge]
type = "reciprocal_rank"
k = 30

[[features]]
type = "channel"

[samples]
negatives = 10

[rank.trees]
type = "gbdt"
trees = 5

[rank.line]
type = "logistic"

[[rules]]
type = "seen"

[[rules]]
type = "fill"

[evaluate]
k = [3, 6]
horizon = "30d"
"""


def write_log(folder: Path, n_users: int = 30, n_items: int = 24) -> None:
    """Users of one parity take items of that parity; ratings 1 to 5, an event an hour, and a robot."""
    rng = random.Random(5)
    lines = ["user,item,value,time"]
    clock = 1_600_000_000
    for step in range(14):
        for user in rng.sample(range(n_users), n_users):
            own = range(user % 2, n_items, 2)
            item = own[(step * 5 + user) % len(own)] if rng.random() < 0.85 else rng.randrange(n_items)
            clock += rng.randrange(600, 3600)
            lines.append(f"u{user:02d},i{item:02d},{rng.choice([2, 3, 4, 5])},{clock}")
    lines += [f"robot,i00,5,{clock - 10}", f"robot,i01,5,{clock - 5}"]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    items = ["item,title,genres"] + [
        f"i{i:02d},Film <{i}> & Co,{'even' if i % 2 == 0 else 'odd'}|all" for i in range(n_items)
    ]
    (folder / "items.csv").write_text("\n".join(items) + "\n")
    (folder / "shop.toml").write_text(RECIPE)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with log.csv, items.csv and shop.toml; not to be written to."""
    folder = tmp_path_factory.mktemp("shop")
    write_log(folder)
    return folder


@pytest.fixture(scope="session")
def shop_run(shop: Path) -> train.Fitted:
    """The shop's recipe, fitted; not to be written to."""
    return train.fit(read(shop / "shop.toml"), root=shop, out=shop / "run")


@pytest.fixture
def shortlist_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """``shortlist_command("list", "--json")`` in this process: (exit code, standard output, standard error)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["shortlist", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call
