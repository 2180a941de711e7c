"""docs/first-hour.md, from its first command to its last, on files that nobody described."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from shortlist.cli.main import app
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec

ROOT = Path(__file__).parents[1]
TWEETINGS = ROOT.parent / "shared" / "data" / "movietweetings" / "100K"
EVENTS = 30_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """ratings.csv and films.csv of a part of MovieTweetings, or of the MovieLens that pip brings."""
    made = tmp_path_factory.mktemp("hour")
    if TWEETINGS.is_dir():
        names = {"ratings": ["user_id", "film_id", "stars", "rated_at"], "movies": ["film_id", "title", "genres"]}
        tables = {}
        for name, columns in names.items():
            text = pl.read_csv(
                TWEETINGS / f"{name}.dat.gz", has_header=False, separator="\x1f", quote_char=None, new_columns=["line"]
            )
            cells = text["line"].str.split_exact("::", len(columns) - 1).struct.unnest()
            tables[name] = cells.rename(dict(zip(cells.columns, columns, strict=True)))
        tables["ratings"].sort(pl.col("rated_at").cast(int)).tail(EVENTS).write_csv(made / "ratings.csv")
        tables["movies"].write_csv(made / "films.csv")
    else:
        raw = source("movielens-100k")(DataSpec(source="movielens-100k"), None)
        log = raw.events.select("user", "item", "value", pl.col("time") // 1_000_000)
        log.sort("time").tail(EVENTS).write_csv(made / "ratings.csv")
        raw.items.select("item", "title").write_csv(made / "films.csv")
    return made


def commands() -> list[str]:
    page = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
    found = re.findall(r"<!-- hour: \w+ -->\n```bash\n(.*?)```", page, re.S)
    return [line for block in found for line in block.splitlines()]


@pytest.mark.slow
def test_the_hour_runs_from_its_first_command_to_its_last(folder, monkeypatch):
    monkeypatch.chdir(folder)
    log = pl.read_csv("ratings.csv", infer_schema=False)
    somebody = {"--user": log[log.columns[0]][-1], "--item": log[log.columns[1]][-1]}
    for line in commands():
        words = shlex.split(line)
        for at, word in enumerate(words[:-1]):
            words[at + 1] = somebody.get(word, words[at + 1])
        ran = CliRunner().invoke(app, words[1:])
        assert ran.exit_code == 0, (line, ran.output, ran.exception)
    document = json.loads(Path("runs/ratings/evaluation.json").read_text(encoding="utf-8"))
    slate, merge = document["slate"]["ndcg@10"]["mean"], document["stages"]["merge"]["ndcg@10"]["mean"]
    best = max(row["ndcg@10"]["mean"] for row in document["channels"].values())
    assert slate > 0.9 * max(best, merge)  # a part of a log: not better for certain, but no nonsense
    assert "question:" not in Path("ratings.toml").read_text(encoding="utf-8")
    assert json.loads(Path("runs/final/bundle/manifest.json").read_text(encoding="utf-8"))["final"] is True
