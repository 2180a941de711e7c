"""A ranker that learns while it serves: from what was posted as a fit on that log would, in every process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shortlist import train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.recipe import POSITIVE, Recipe, read
from shortlist.train.exposures import exposed, followed, scored

from . import test_processes
from .test_processes import serving, wait_for

SECOND = 1_000_000
START, SLATES, EVERY, ITEMS = 1_600_000_000, 500, 600, 12
RECIPE = """
name = "shown"
depth = 12
serve = "try"
[data]
source = "tables"
split = { tune = 0.3, rank = 0.4, test = 0.9 }
[data.events]
path = "log.csv"
[data.exposures]
path = "shown.csv"
[recall.hot]
type = "popular"
[merge]
type = "reciprocal_rank"
k = 12
[[features]]
type = "channel"
[[features]]
type = "position"
[samples]
source = "exposures"
window = "3s"
negatives = 0
[rank.try]
type = "TYPE"
parameters = "disjoint"
own = []
every = "1s"
[evaluate]
k = [3]
"""


def slate(number: int, rng: np.random.Generator) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Four items shown at once; those of an even number are taken more often, half a second later."""
    user, at = f"u{rng.integers(30)}", START + EVERY * number
    shown, events = [], []
    for place, item in enumerate(rng.choice(ITEMS, 4, replace=False).tolist(), 1):
        shown.append((user, f"i{item}", f"{at}000000", place, f"r{number}"))
        if rng.random() < (0.5 if item % 2 == 0 else 0.1):
            events.append((user, f"i{item}", f"{at}500000"))
    return shown, events


def written(folder: Path, slates: int) -> None:
    """The log and what was shown, as files."""
    rng = np.random.default_rng(4)
    made = [slate(number, rng) for number in range(slates)]
    shown = [row for rows, _ in made for row in rows]
    names = ["user", "item", "time", "position", "request"]
    pl.DataFrame(shown, names, orient="row").write_csv(folder / "shown.csv")
    log = [row for _, rows in made for row in rows]
    pl.DataFrame(log, ["user", "item", "time"], orient="row").write_csv(folder / "log.csv")


def made(folder: Path, kind: str) -> Recipe:
    (folder / "r.toml").write_text(RECIPE.replace("TYPE", kind))
    return read(folder / "r.toml")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a version of linucb and one of thompson, which answers."""
    folder = tmp_path_factory.mktemp("learner")
    written(folder, SLATES)
    for kind in ("linucb", "thompson"):
        train.fit(made(folder, kind), root=folder, out=folder / "run", final=True)
    return folder


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted / "run", tmp_path / "run", symlinks=True))


@pytest.fixture
def later() -> list[dict[str, Any]]:
    """Forty more slates as they are posted: what was shown, then what came of it."""
    rng = np.random.default_rng(4)
    posted: list[dict[str, Any]] = []
    for number in range(SLATES + 40):
        shown, events = slate(number, rng)
        if number >= SLATES:
            for user, item, at, place, request in shown:
                more = {"position": place, "request_id": request}
                posted.append({"user": user, "item": item, "event": "shown", "time": int(at), **more})
            posted += [{"user": user, "item": item, "event": "view", "time": int(at)} for user, item, at in events]
    return posted


def post(client: Any, posted: list[dict[str, Any]]) -> None:
    for first in range(0, len(posted), 50):
        reply = client.post("/v1/events", json=posted[first : first + 50]).json()
        assert not reply["rejected"]


def learned(client: Any) -> dict[str, Any]:
    """What the version that answers has learned."""
    ready = client.get("/readyz").json()
    return ready.get("learned", {}).get(ready["bundle"], {"rows": 0})


def of_fit(fitted: Path, tmp_path: Path, slates: int) -> tuple[Any, int]:
    """The bundle's ranker after the rows that a fit would make of a log with all slates; how many of them."""
    written(tmp_path, slates)
    recipe, bundle = made(tmp_path, "thompson"), open_bundle(fitted / "run" / "bundle")
    data, _ = train.load(recipe, tmp_path)
    pipeline, state, end = bundle.pipeline, data.state(), START * SECOND + 2 * slates * EVERY * SECOND
    shown = exposed(data, state, pipeline.fitted_until + 1, end, recipe.samples.window)
    assert np.isfinite(shown.labels[POSITIVE]).all()
    return pipeline.ranker.update(scored(pipeline, shown, state)), len(shown)


def answering(client: Any) -> Any:
    """The ranker that answers, once it has been given what was learned."""
    client.slate("u1")
    return client.live.view().bundle.pipeline.ranker


@pytest.fixture
def posted(serve: Any, later: list[dict[str, Any]]) -> None:
    """They are in the store: of long ago, so it is a start that learns from them."""
    with serve(clock="wall") as client:
        post(client, later)


@pytest.mark.usefixtures("posted")
def test_what_is_posted_is_learned_as_a_fit_would_after_every_start(serve: Any, fitted: Path, tmp_path: Path) -> None:
    before = open_bundle(fitted / "run" / "bundle").pipeline.ranker
    everything, rows = of_fit(fitted, tmp_path, SLATES + 40)
    assert rows == 160
    for _ in range(2):
        with serve(clock="wall") as client:
            wait_for(lambda client=client: learned(client)["rows"] == rows)
            ranker = answering(client)
            for name in ("items_", "sums_", "rewards_", "own_sums_", "mean_", "own_mean_", "shifts_"):
                np.testing.assert_array_equal(getattr(ranker, name), getattr(everything, name), err_msg=name)
            assert not np.allclose(ranker.mean_, before.mean_)
            wait_for(lambda client=client: learned(client)["until"] > "2021")
            told = client.post("/v1/recommendations", json={"user": "u3"}).json()["items"]
            assert all(0 < row["propensity"] <= 1 for row in told)


@pytest.mark.usefixtures("posted")
def test_a_turn_to_another_version_learns_it_all_again(serve: Any) -> None:
    with serve(clock="wall") as client:
        wait_for(lambda: learned(client)["rows"] == 160)
        other = next(line["bundle"] for line in client.get("/v1/bundles").json()["bundles"] if not line["active"])
        client.post("/v1/bundles/activate", json={"bundle": other})
        wait_for(lambda: learned(client)["rows"] == 160)
        wait_for(lambda: client.get("/readyz").json()["learned"].keys() == {other})
        bundle = open_bundle(client.live.folder / other)
        assert not np.allclose(answering(client).mean_, bundle.pipeline.ranker.mean_)


@pytest.mark.usefixtures("posted")
def test_a_row_of_now_is_learned_when_its_window_is_over_and_nobodys_never(serve: Any) -> None:
    with serve(clock="wall", record_shown=True) as client:
        wait_for(lambda: learned(client)["rows"] == 160)
        before = answering(client)  # ten rows are shown to u1
        count, taken = before.sums_[-1, -1], before.rewards_[-1]
        assert client.slate(None, n=4)
        told = client.slate("u7", n=4)  # the service itself keeps what it shows
        post(client, [{"user": "u7", "item": told[2], "event": "view"}])
        assert learned(client)["rows"] == 160
        wait_for(lambda: learned(client)["rows"] == 160 + 10 + 4)
        client.slate(None)
        after = client.live.view().bundle.pipeline.ranker
        assert (after.sums_[-1, -1], after.rewards_[-1]) == (count + 14, taken + 1)  # sums of the constant: counts


@pytest.mark.usefixtures("posted")
def test_who_was_deleted_is_in_nothing_that_is_learned_later(serve: Any, later: list[dict[str, Any]]) -> None:
    mine = sum(line["event"] == "shown" and line["user"] == later[0]["user"] for line in later)
    with serve(clock="wall") as client:
        assert client.delete(f"/v1/users/{later[0]['user']}").status_code == 200
    with serve(clock="wall") as client:
        wait_for(lambda: learned(client)["rows"] == 160 - mine)


@pytest.mark.slow
def test_two_processes_learn_alike_from_what_comes_of_their_answers(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """linucb draws nothing, so equal rankers give equal slates; an item that is always taken rises to the top."""
    monkeypatch.setattr(test_processes, "SERVE", test_processes.SERVE.replace('clock="log"', 'clock="wall"'))
    versions = {open_bundle(path).pipeline.ranker.__class__.__name__: path for path in (run / "bundles").iterdir()}
    (run / "bundle").unlink()
    (run / "bundle").symlink_to(versions["LinUCB"].relative_to(run))
    with serving(tmp_path, servers=2) as (one, two):
        first = slates(one)
        assert first == slates(two)
        low = first[0][-1]
        for turn, client in enumerate((one, two, one), 1):
            answer = client.post("/v1/recommendations", json={"user": "u5", "n": 12}).json()
            for user in (f"u{n}" for n in range(20)):
                shown = [
                    {"user": user, "item": row["item"], "event": "shown", "position": k, "request_id": f"{turn} {user}"}
                    for k, row in enumerate(answer["items"], 1)
                ]
                post(client, [*shown, {"user": user, "item": low, "event": "view"}])
            wait_for(lambda rows=12 * 20 * turn: learned(one)["rows"] == learned(two)["rows"] == rows)
        after = slates(one)
        assert after == slates(two)
        assert after[0][0] == low != first[0][0]


def slates(client: Any) -> list[list[str]]:
    answers = [client.post("/v1/recommendations", json={"user": f"u{n}", "n": 12}).json() for n in (1, 2, 29)]
    return [[row["item"] for row in answer["items"]] for answer in answers]


def test_rows_are_learned_once_and_only_when_their_window_is_over(fitted: Path, tmp_path: Path) -> None:
    written(tmp_path, SLATES + 50)
    bundle, recipe = open_bundle(fitted / "run" / "bundle"), made(tmp_path, "thompson")
    data, _ = train.load(recipe, tmp_path)
    pipeline, spec, state = bundle.pipeline, recipe.samples, data.state()
    begin, window = int(pipeline.fitted_until or 0) + 1, spec.window
    closes = begin + 300 * EVERY * SECOND
    whole = followed(pipeline, spec, data, state, begin, closes)
    assert len(whole) == 200
    edge = int(whole.requests.time[20]) + 1  # the very moment at which a slate was shown
    early = followed(pipeline, spec, data, state, begin, edge + window - 1)
    rest = followed(pipeline, spec, data, state, edge, closes)
    assert (len(early), len(rest)) == (80, 120)
    np.testing.assert_array_equal(
        np.concatenate([early.labels[POSITIVE], rest.labels[POSITIVE]]), whole.labels[POSITIVE]
    )
    np.testing.assert_array_equal(
        np.concatenate([early.candidates["channel.hot.rank"], rest.candidates["channel.hot.rank"]]),
        whole.candidates["channel.hot.rank"],
    )
    assert not len(followed(pipeline, spec, data, state, begin, begin))


@pytest.mark.usefixtures("posted")
def test_a_fault_costs_nothing_but_what_would_be_learned(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shortlist.serve.learner.followed", Broken())
    with serve(clock="wall") as client:
        wait_for(lambda: "learning: ValueError: no disk" in client.get("/readyz").json()["warnings"])
        assert client.slate("u1")
        assert learned(client)["rows"] == 0
        monkeypatch.setattr("shortlist.serve.learner.followed", followed)
        wait_for(lambda: learned(client)["rows"] == 160)
        wait_for(lambda: "learning" not in str(client.get("/readyz").json()["warnings"]))


class Broken:
    def __call__(self, *arguments: Any) -> Any:
        raise ValueError("no disk")


def test_a_ranker_that_was_to_learn_and_does_not_answer_is_said(fitted: Path, tmp_path: Path, serve: Any) -> None:
    recipe = read(fitted / "r.toml", ['serve="merge"'])
    train.fit(recipe, root=fitted, out=tmp_path / "other")
    with serve(tmp_path / "other", clock="wall") as client:
        told = client.get("/readyz").json()
        assert "learned" not in told
        assert any("try was to learn while it serves (every), and it is not what" in line for line in told["warnings"])


@pytest.mark.parametrize(
    "change",
    [
        ('source = "exposures"', 'source = "funnel"'),
        ("negatives = 0", "negatives = 50"),
        ("negatives = 0", 'negatives = 0\nhalf_life = "3d"'),
        ("negatives = 0", "negatives = 0\nbalance = true"),
        (
            '[data.exposures]\npath = "shown.csv"',
            '[data.exposures]\npath = "shown.csv"\ncolumns = { user = "u", item = "i", time = "t", label = "k" }',
        ),
    ],
)
def test_rows_that_a_service_could_not_make_are_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    text = RECIPE.replace("TYPE", "thompson")
    assert change[0] in text
    (tmp_path / "r.toml").write_text(text.replace(*change))
    with pytest.raises(InputError, match=r"rank\.try\.every: a service learns from every row as it was shown"):
        read(tmp_path / "r.toml")
