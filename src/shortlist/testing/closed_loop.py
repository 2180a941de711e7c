"""The closed loop: a population's log, two bundles of it, a service with an experiment, the people, the analysis.

One bundle shows what is popular, the other what people like them clicked: in a world where taste decides, the second is
better by construction. The service is real (HTTP, a store, exposures written by its observer); only its clock is set by
the play, so that days pass as quickly as it answers.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.component import InputError
from shortlist.durations import stamp
from shortlist.experiment.analyse import analyse, main_line
from shortlist.experiment.design import read as read_design
from shortlist.progress import step
from shortlist.recipe import parse
from shortlist.testing.play import Service, play, truth
from shortlist.testing.population import BUY, VIEW, Population
from shortlist.testing.worlds import DAY
from shortlist.train import fit

NAME = "taste"
CHANNELS: dict[str, dict[str, Any]] = {
    "popular": {"hot": {"type": "popular"}},
    "taste": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}},
}
"""The recall of the control and of the better bundle."""
WAIT = 30.0
"""Seconds within which the service must listen and stop."""


def recipe(channels: str, folder: Path) -> dict[str, Any]:
    """The tables of a recipe over the files that ``write_log`` leaves in ``folder``."""
    columns = {name: name for name in ("user", "item", "event", "value", "time")}
    return {
        "name": "population",
        "data": {
            "source": "tables",
            "split": {"tune": 0.7, "rank": 0.8, "test": 0.9},
            "positive": {VIEW: True, BUY: True},
            "events": {
                "path": str((folder / "events.csv").resolve()),
                "columns": columns,
                "strengths": {VIEW: 1, BUY: 3},
                "time_unit": "us",
            },
            "items": {
                "path": str((folder / "items.csv").resolve()),
                "columns": {"item": "item", "topic": "category", "price": "number"},
            },
        },
        "recall": CHANNELS[channels],
        "fallback": {"type": "popular"},
        "rules": [{"type": "seen"}, {"type": "fill"}],
    }


def write_log(population: Population, folder: Path, days: int) -> pl.DataFrame:
    """Lives through the first ``days`` and leaves events.csv and items.csv; returns the log."""
    folder.mkdir(parents=True, exist_ok=True)
    log = population.log(days)
    log.write_csv(folder / "events.csv")
    population.catalogue().drop("born").write_csv(folder / "items.csv")
    return log


class Play:
    """A clock that stands where the play sets it, and never goes back."""

    def __init__(self, now: int):
        self.kind = "log"
        self._now = now

    def set(self, now: int) -> None:
        """It is this moment now."""
        self._now = max(now, self._now)

    def now(self, last: int = 0) -> int:
        """Microseconds."""
        return max(self._now, last)

    def warning(self, last: int, order_only: bool = False) -> str | None:
        """Nothing to warn of."""
        return None


def closed_loop(population: Population, folder: Path, days: int = 14, before: int = 30, n: int = 10) -> dict[str, Any]:
    """Plays ``days`` after a log of ``before``; leaves everything in ``folder`` and returns what came of it.

    The document has the analysis, the truth of each arm and whether they agree.
    """
    with step("log"):
        write_log(population, folder, before)
    run = folder / "run"
    names = {}
    for channels in ("taste", "popular"):  # the last one answers everybody
        fit(parse(recipe(channels, folder)), out=run, final=True)
        names[channels] = (run / "bundle").resolve().name
    began = population.now
    file = folder / "experiments.toml"
    file.write_text(
        f'[counted]\nclick = ["{VIEW}"]\nconversion = ["{BUY}"]\ndwell = "{VIEW}"\n'
        f"[experiments.{NAME}]\nstart = {stamp(began)}\nstop = {stamp(began + days * DAY)}\neffect = 0.2\n"
        f'[experiments.{NAME}.arms.popular]\n[experiments.{NAME}.arms.taste]\nbundle = "{names["taste"]}"\n',
        encoding="utf-8",
    )
    with step("play"):
        rows = _served(run / "bundle", folder / "store", file, population, days, n)
    rows.write_parquet(folder / "played.parquet")
    exposures, events = _tables(folder / "store")
    with step("analyse"):
        found = analyse(read_design(file), NAME, exposures, events, until=began + days * DAY)
    return {"analysis": found, **_beside_truth(found, rows)}


def _served(bundle: Path, store: Path, file: Path, population: Population, days: int, n: int) -> pl.DataFrame:
    """What was played against a real service on a port of its own."""
    import uvicorn

    from shortlist.serve.app import create
    from shortlist.serve.live import Live

    live = Live.open(bundle, store, "log")
    clock = Play(population.now)
    live.clock = clock  # type: ignore[assignment]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = uvicorn.Config(create(live, experiments=file), port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + WAIT
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise InputError(f"the service did not start on port {port}")
        time.sleep(0.02)
    service = Service(f"http://127.0.0.1:{port}")
    try:
        return play(population, service, days, n, clock.set)
    finally:
        service.close()
        server.should_exit = True
        thread.join(WAIT)


def _tables(store: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    from shortlist.serve import exports
    from shortlist.serve.store import open_store

    opened = open_store(store)
    try:
        return exports.exposures(opened), exports.events(opened)
    finally:
        opened.close()


def _beside_truth(found: dict[str, Any], rows: pl.DataFrame) -> dict[str, Any]:
    """The true lift of what was shown, and whether the analysis says so."""
    true = {line["arms"].partition("=")[2]: line for line in truth(rows).to_dicts() if line["arms"]}
    (effect,) = main_line(found)["comparisons"]
    position = next(line for line in found["metrics"] if line["metric"] == "position")["comparisons"][0]
    lift = true["taste"]["ctr"] / true["popular"]["ctr"] - 1
    moved = true["taste"]["position"] - true["popular"]["position"]
    return {
        "truth": {arm: {key: line[key] for key in ("users", "shown", "ctr", "position")} for arm, line in true.items()},
        "lift": {"true": lift, "found": effect["lift"], "low": effect["lift_low"], "high": effect["lift_high"]},
        "position": {"true": moved, "found": position["difference"], "low": position["low"], "high": position["high"]},
        "agrees": {
            "the better bundle wins": effect["verdict"] == "better",
            "the true lift lies in the interval": bool(effect["lift_low"] <= lift <= effect["lift_high"]),
            "the click position moves as it does in truth": bool(_sign(moved) == _sign(position["difference"])),
        },
    }


def _sign(value: float) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


__all__ = ["closed_loop", "recipe", "write_log"]
