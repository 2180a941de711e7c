"""The commands of experiments, on tables and on a real store."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from shortlist.cli.main import app
from shortlist.component import InputError
from shortlist.experiment.design import read
from shortlist.serve.store import open_store

from ..experiment._log import T0, log

FILE = """
hold_out = 0.1
[counted]
click = ["view"]
conversion = ["buy"]
[experiments.x]
start = 2026-01-01
effect = 0.3
[experiments.x.arms.a]
[experiments.x.arms.b]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """experiments.toml with tables of exposures, events and users beside it."""
    where = tmp_path_factory.mktemp("experiment")
    (where / "experiments.toml").write_text(FILE)
    shown, events = log(read(where / "experiments.toml"), users=500, lift=0.6)
    shown.write_parquet(where / "exposures.parquet")
    events.write_parquet(where / "events.parquet")
    pl.DataFrame({"user": [f"u{u}" for u in range(500)], "team": ["red", "blue"] * 250}).write_csv(where / "users.csv")
    return where


def call(folder: Path, *arguments: str) -> str:
    words = [word.replace("@", f"{folder}/") for word in arguments]
    result = CliRunner().invoke(app, ["experiment", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


LOGS = ("--exposures", "@exposures.parquet", "--events", "@events.parquet")


def test_an_analysis_is_printed_written_and_json(folder: Path) -> None:
    told = call(folder, "analyse", "@experiments.toml", "x", *LOGS, "--html", "@page.html")
    assert re.search(r"ctr \*\s+b .*better", told)
    page = (folder / "page.html").read_text()
    assert "<b>b</b> is better than a: ctr" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    document = json.loads(call(folder, "analyse", "@experiments.toml", "x", *LOGS, "--json", "--bootstrap", "100"))
    assert document["metrics"][0]["comparisons"][0]["verdict"] == "better"
    assert document["metrics"][0]["comparisons"][0]["bootstrap"]["error"] > 0


def test_slices_and_a_last_moment(folder: Path) -> None:
    (folder / "sliced.toml").write_text(FILE.replace("effect", 'slices = ["team"]\neffect'))
    arguments = ("analyse", "@sliced.toml", "x", *LOGS, "--users", "@users.csv", "--until", "2026-01-04", "--json")
    document = json.loads(call(folder, *arguments, "--html", "@sliced.html"))
    assert [line["level"] for line in document["slices"][0]["levels"]] == ["blue", "red"]
    assert document["until"].startswith("2026-01-04T00:00")
    assert "b by team" in (folder / "sliced.html").read_text()


def test_a_plan_from_a_log_and_from_numbers(folder: Path) -> None:
    told = call(folder, "plan", "@experiments.toml", "x", *LOGS)
    assert "to find +30.0% with a power of 80%" in told
    document = json.loads(call(folder, "plan", "@experiments.toml", "x", *LOGS, "--json"))
    assert document["users"] < document["peeking"]["users"] < 2 * document["users"]
    numbers = ("--baseline", "0.1", "--deviation", "0.2", "--daily", "100", "--json")
    document = json.loads(call(folder, "plan", "@experiments.toml", "x", *numbers))
    assert document["users"] == math.ceil(7.8489 * 0.04 * (2 + 2 * 1.3**2) / 0.03**2)  # (1.960 + 0.842)^2 = 7.849
    assert document["days"] == math.ceil(document["users"] / 90)  # 90 a day, for a tenth is held out
    effects = [line["effect"] for line in document["detectable"]]
    assert effects == sorted(effects, reverse=True)


def test_how_it_stands(folder: Path) -> None:
    bare = call(folder, "status", "@experiments.toml")
    assert "hold_out" in bare
    document = json.loads(call(folder, "status", "@experiments.toml", *LOGS[:2], "--json"))
    one = document["experiments"]["x"]
    assert sum(arm["users"] for arm in one["arms"].values()) > 400
    assert one["sample_ratio"] > 0.001
    assert one["share"] == 1.0


def test_a_store_is_exported_and_analysed_alike(folder: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    rows = pl.read_parquet(folder / "exposures.parquet").sort("request_id", "position")
    for (_, *_), part in rows.group_by("request_id", maintain_order=True):
        first = part.row(0, named=True)
        arms = dict(pair.split("=") for pair in first["arms"].split())
        items = [{"item": item, "channels": []} for item in part["item"].drop_nulls()]
        kept = {key: first[key] for key in ("request_id", "user", "time", "bundle", "asked", "latency")}
        store.log([{**kept, "arms": arms, "items": items}])
    events = pl.read_parquet(folder / "events.parquet").head(100).rows(named=True)
    store.append([{"kind": "event", **{k: v for k, v in event.items() if v is not None}} for event in events])
    store.close()
    call(folder, "export", str(tmp_path / "store"), "--out", str(tmp_path / "out"))
    tables = ("--exposures", f"{tmp_path}/out/exposures.parquet", "--events", f"{tmp_path}/out/events.parquet")
    found = [
        json.loads(call(folder, "analyse", "@experiments.toml", "x", *where, "--json"))
        for where in (tables, ("--store", str(tmp_path / "store")))
    ]
    assert found[0] == found[1]
    assert pl.read_parquet(tmp_path / "out" / "events.parquet")["time"].max() > T0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("analyse", "@experiments.toml", "y", *LOGS), "experiment 'y': not in the file, which has x, hold_out"),
        (("analyse", "@experiments.toml", "x"), "give either --store"),
        (("analyse", "@experiments.toml", "x", *LOGS[:2]), "needs --events"),
        (("analyse", "@experiments.toml", "x", "--store", "@nowhere"), "no store; expected the directory"),
        (("analyse", "@experiments.toml", "x", "--store", "@x", "--events", "@y"), "goes with --exposures"),
        (("analyse", "@none.toml", "x", *LOGS), "no such file"),
        (("analyse", "@experiments.toml", "x", *LOGS, "--until", "soon"), "--until soon: expected ISO 8601"),
        (("analyse", "@experiments.toml", "x", *LOGS[:3], "@experiments.toml"), "expected a Parquet or .csv table"),
        (("analyse", "@experiments.toml", "x", *LOGS[:3], "@exposures.parquet"), "no column 'event'"),
        (("plan", "@experiments.toml", "x", "--baseline", "1"), "give --baseline, --deviation, --daily together"),
        (("status", "@users.csv"), "not a TOML file"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        call(folder, *arguments)


def test_interleaving_is_told(folder: Path) -> None:
    (folder / "mixed.toml").write_text(
        FILE.replace("effect", "interleave = true\neffect").replace("hold_out = 0.1", "")
    )
    base: dict[str, Any] = {"arms": "x=interleaved", "asked": 2, "time": T0}
    rows = [
        {**base, "request_id": f"{u}", "user": f"u{u}", "item": i, "position": p, "team": team, "credit": credit}
        for u in range(30)
        for p, (i, team, credit) in enumerate((("i", "a", -1.0), ("j", "b", 1.0)), 1)
    ]
    events = [{"user": f"u{u}", "item": "j" if u % 5 else "i", "event": "view", "time": T0 + 1} for u in range(30)]
    pl.DataFrame(rows).write_parquet(folder / "mixed.parquet")
    pl.DataFrame(events).write_parquet(folder / "mixed_events.parquet")
    mixed = ("--exposures", "@mixed.parquet", "--events", "@mixed_events.parquet", "--html", "@mixed.html")
    assert ": b" in call(folder, "analyse", "@mixed.toml", "x", *mixed)
    assert "Who is preferred" in (folder / "mixed.html").read_text()
    assert "interleaved" in call(folder, "status", "@mixed.toml", *mixed[:2])
