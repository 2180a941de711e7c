"""Experiments of a running service: arms in every answer, what was answered kept, the file heeded when it changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist import answer
from shortlist.component import InputError
from shortlist.experiment.assign import told
from shortlist.experiment.design import read
from shortlist.serve import arms, exports, journal
from shortlist.serve.app import create
from shortlist.serve.live import Live
from shortlist.serve.store import Unavailable

from ._redis import Server
from .conftest import _board, calling, publish

USERS = [f"u{u:02}" for u in range(12)]
RULES = [{"type": "seen"}, {"type": "mmr", "by": ["tags"], "trade_off": 1.0}]
DIVERSE = """
[experiments.diverse]
[experiments.diverse.arms.a]
[experiments.diverse.arms.b]
rules.mmr.trade_off = 0.0
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run with three versions, and their names: popular only, without rules, and the one that serves."""
    run = tmp_path_factory.mktemp("experiments")
    names = []
    for changes in ({"recall": {"hot": {"type": "popular"}}}, {"rules": [{"type": "seen"}]}, {"rules": RULES}):
        names.append(publish(run / "bundle", _board(), **changes).name)
    return run, names


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks and writes twenty times a second instead of once."""
    monkeypatch.setattr(arms, "PAUSE", 0.05)
    monkeypatch.setattr(journal, "PAUSE", 0.05)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "experiments.toml"


@pytest.fixture
def start(world: Any, tmp_path: Path, file: Path) -> Callable[..., Any]:
    def begin(text: str, store: Any = None, **options: Any) -> Any:
        file.write_text(text)
        live = Live.open(world[0], store or tmp_path / "store", "log")
        try:
            return calling(create(live, experiments=file, **options), live)
        except BaseException:
            live.close()
            raise

    return begin


def ask(client: Any, user: str | None, **more: Any) -> dict[str, Any]:
    reply = client.post("/v1/recommendations", {"user": user, "n": 5, **more})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def until(holds: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def rewrite(file: Path, text: str) -> None:
    """As an editor does: another file takes its place."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, file)


def running(client: Any) -> dict[str, Any]:
    return dict(client.get("/v1/experiments").json()["experiments"])


def test_arms_are_in_every_answer_and_a_rule_is_changed_for_one_of_them(start: Any, file: Path) -> None:
    with start(DIVERSE) as client:
        found = {user: ask(client, user) for user in USERS}
        design, view = read(file), client.live.view()
        now = client.live.now(view)
        for user, reply in found.items():
            assert reply["arms"] == told(design, user, now)
            pipeline = view.bundle.pipeline
            mmr = pipeline.rules["mmr"].model_copy(
                update={"trade_off": 0.0 if reply["arms"]["diverse"] == "b" else 1.0}
            )
            pipeline.rules, kept = {**pipeline.rules, "mmr": mmr}, pipeline.rules
            requests = answer.requests_of(view.state, np.array([view.data.user_ids.code(user)]), now)
            expected = answer.tell(answer.recommend(pipeline, view.state, requests, 5), pipeline, view.data)[0]
            pipeline.rules = kept
            assert [row["item"] for row in reply["items"]] == [row["item"] for row in expected]
        assert {reply["arms"]["diverse"] for reply in found.values()} == {"a", "b"}
        assert ask(client, None)["arms"] == {}
        assert ask(client, "never met")["arms"]["diverse"] in "ab"
    with start(DIVERSE) as client:
        assert {user: ask(client, user)["arms"] for user in USERS} == {u: r["arms"] for u, r in found.items()}


def test_an_arm_may_be_another_bundle_the_merge_s_order_or_its_weights(start: Any, world: Any) -> None:
    bundles = f"""
[experiments.v]
layer = "bundles"
[experiments.v.arms.a]
[experiments.v.arms.b]
bundle = "{world[1][1]}"
"""
    merged = """
[experiments.m]
layer = "merge"
[experiments.m.arms.a]
merge.weights = { cf = 1.0, hot = 0.0 }
[experiments.m.arms.b]
merge.weights = { cf = 0.0, hot = 1.0 }
ranker = "merge"
"""
    with start(bundles + merged) as client:
        found = [ask(client, f"n{user}") for user in range(40)]
        assert {(r["arms"]["v"], r["arms"]["m"]) for r in found} == {(v, m) for v in "ab" for m in "ab"}
        for reply in found:
            assert reply["bundle"] == world[1][1 if reply["arms"]["v"] == "b" else 2]
        for user in USERS:
            reply = ask(client, user)
            scores = [row["score"] for row in reply["items"] if row["channels"] == ["hot"]]
            assert all((score == 0) == (reply["arms"]["m"] == "a") for score in scores)


def test_layers_that_cannot_answer_together_are_refused(start: Any, world: Any) -> None:
    bundle = f"[experiments.v]\nlayer = 'v'\n[experiments.v.arms.a]\n[experiments.v.arms.b]\nbundle = '{world[1][0]}'\n"
    with pytest.raises(InputError, match=r"experiments\.diverse\.arms\.b\.rules\.mmr: no such soft rule"):
        start(DIVERSE + bundle)


def test_what_is_answered_is_kept_exported_and_gone_with_the_person(start: Any, world: Any, tmp_path: Path) -> None:
    with start(DIVERSE) as client:
        replies = [ask(client, user) for user in ("u01", "u02", "stranger", None)]
        asked = [reply["request_id"] for reply in replies]
        until(lambda: len(list(client.live.store.logged())) == 4)
        rows = exports.exposures(client.live.store)
        assert rows["request_id"].unique(maintain_order=True).to_list() == asked
        first = rows.filter(rows["request_id"] == asked[0])
        assert first["item"].to_list() == [row["item"] for row in replies[0]["items"]]
        assert first["position"].to_list() == list(range(1, len(first) + 1))
        assert first["channels"].to_list() == [row["channels"] for row in replies[0]["items"]]
        assert first["arms"][0] == f"diverse={replies[0]['arms']['diverse']}"
        assert first["bundle"][0] == world[1][2]
        assert 0 < first["latency"][0] < 5
        assert rows["user"].unique().sort().to_list() == [None, "stranger", "u01", "u02"]
        reply = client.delete("/v1/users/stranger")  # known by nothing but that they were answered
        assert reply.status_code == 200
        assert reply.json()["live_events"] == 1
        assert len(list(client.live.store.logged())) == 3
        assert client.delete("/v1/users/stranger").status_code == 404
        ask(client, "u01")
        client.delete("/v1/users/u01")  # its last answer is on its way
    live = Live.open(world[0], tmp_path / "store", "log")
    assert {one.get("user") for one in live.store.logged()} == {"u02", None}
    live.close()


def test_events_that_follow_an_answer_are_counted_with_it(start: Any, file: Path) -> None:
    from shortlist.experiment.analyse import analyse, main_line

    with start("[counted]\nclick = ['view']\n" + DIVERSE) as client:
        for user in USERS:
            reply = ask(client, user)
            event = {"user": user, "item": reply["items"][0]["item"], "event": "view"}
            client.post("/v1/events", [{**event, "request_id": reply["request_id"]}])
        until(lambda: len(list(client.live.store.logged())) == 12)
        store = client.live.store
        told_ = analyse(read(file), "diverse", exports.exposures(store), exports.events(store))
    shown = np.mean([len(reply["items"])])
    assert sum(arm["users"] for arm in told_["arms"]) == 12
    assert main_line(told_)["values"]["a"] == pytest.approx(1 / shown)
    position = next(line for line in told_["metrics"] if line["metric"] == "position")
    assert position["values"] == {"a": 1.0, "b": 1.0}


def test_the_file_is_heeded_without_a_restart_and_a_bad_one_changes_nothing(start: Any, file: Path, world: Any) -> None:
    with start(DIVERSE) as client:
        assert list(running(client)) == ["diverse"]
        first = DIVERSE.replace("[experiments.diverse]", "[experiments.diverse]\nspan = [0, 0.5]")
        other = f"{first}[experiments.v]\nspan = [0.5, 1]\n[experiments.v.arms.a]\n[experiments.v.arms.b]\n"
        rewrite(file, other + f"bundle = '{world[1][1]}'\n")
        until(lambda: list(running(client)) == ["diverse", "v"])
        assert len(client.live.held) == 2
        rewrite(file, DIVERSE + "hold = 1")
        until(lambda: "hold: unknown" in " ".join(client.get("/readyz").json()["warnings"]))
        assert list(running(client)) == ["diverse", "v"]
        rewrite(file, DIVERSE.replace("mmr", "mmm"))
        until(lambda: "rules.mmm: no such soft rule" in " ".join(client.get("/readyz").json()["warnings"]))
        file.unlink()
        until(lambda: "no such file" in " ".join(client.get("/readyz").json()["warnings"]))
        assert ask(client, "u01")["arms"]
        rewrite(file, "")
        until(lambda: not running(client))
        until(lambda: len(client.live.held) == 1)
        assert ask(client, "u01")["arms"] == {}
        assert client.get("/readyz").json()["warnings"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[experiments.x]\n[experiments.x.arms.a]", "experiments.x.arms"),
        (DIVERSE.replace("trade_off = 0.0", "trade_off = 3"), r"experiments\.diverse\.arms\.b\.rules\.mmr\.trade_off"),
        (DIVERSE.replace("trade_off", "trade"), r"rules\.mmr\.trade: unknown; did you mean trade_off"),
        (DIVERSE.replace("mmr.trade_off = 0.0", "mmr.by = ['town']"), "town"),
        (DIVERSE.replace("mmr.trade_off = 0.0", "seen.off = true"), r"rules\.seen: no such soft rule.*mmr"),
        (DIVERSE.replace("rules.mmr.trade_off = 0.0", "merge.weights = { cv = 1 }"), r"merge\.weights\.cv"),
        (DIVERSE.replace("rules.mmr.trade_off = 0.0", "bundle = 'gone'"), r"arms\.b\.bundle: 'gone' is not in"),
    ],
)
def test_a_file_that_cannot_stand_is_refused_before_anything_listens(start: Any, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        start(text)
    assert "experiments.toml" in str(error.value)


def test_a_rule_may_be_switched_off(start: Any) -> None:
    with start(DIVERSE.replace("mmr.trade_off = 0.0", "mmr.off = true")) as client:
        arm_b = next(user for user in USERS if ask(client, user)["arms"]["diverse"] == "b")
        arm_a = next(user for user in USERS if ask(client, user)["arms"]["diverse"] == "a")
        stages = [ask(client, user, explain=True)["trace"]["rows"] for user in (arm_a, arm_b)]
    assert ["rules.mmr" in rows for rows in stages] == [True, False]


def test_an_arm_that_fails_costs_its_arm_and_not_the_answer(start: Any, world: Any) -> None:
    with start(DIVERSE) as client:
        user = next(user for user in USERS if ask(client, user)["arms"] == {"diverse": "b"})
        client.post("/v1/bundles/activate", {"bundle": world[1][1]})  # has no mmr
        assert ask(client, user)["arms"] == {}
        assert "an arm did not answer" in " ".join(client.get("/readyz").json()["warnings"])
        wrong = client.post("/v1/recommendations", {"user": user, "filter": {"town": "x"}})
        assert wrong.status_code == 400
        client.post("/v1/bundles/activate", {"bundle": world[1][2]})
        assert ask(client, user)["arms"] == {"diverse": "b"}
        until(lambda: len(list(client.live.store.logged())) >= 3)
        assert all(one["items"] for one in client.live.store.logged())


def test_two_arms_in_one_slate(start: Any, world: Any) -> None:
    text = f"""
[experiments.v]
interleave = true
[experiments.v.arms.a]
[experiments.v.arms.b]
bundle = "{world[1][0]}"
"""
    with start(text) as client:
        replies = [ask(client, user) for user in USERS]
        for reply in replies:
            assert reply["arms"] == {"v": "interleaved"}
            assert reply["bundle"] == f"{world[1][2]}+{world[1][0]}"
            items = [row["item"] for row in reply["items"]]
            assert len(set(items)) == len(items) == 5
        teams = [[row["team"] for row in reply["items"]] for reply in replies]
        assert {first for first, *_ in teams} == {"a", "b"}
        until(lambda: len(list(client.live.store.logged())) == 12)
        rows = exports.exposures(client.live.store)
        assert rows["team"].to_list() == [team for slate in teams for team in slate]


def test_the_log_is_cut_as_the_file_says(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "TRIM", 0.0)
    with start("[kept]\nanswers = 3\n") as client:
        asked = [ask(client, user)["request_id"] for user in USERS]
        until(lambda: [one["request_id"] for one in client.live.store.logged()] == asked[-3:])


def test_processes_on_one_redis_deal_alike_and_a_server_away_loses_nothing(
    start: Any, tmp_path: Path, world: Any, file: Path
) -> None:
    server = Server(tmp_path)
    try:
        with start(DIVERSE, store=server.address) as one:
            live = Live.open(world[0], server.address, "log")
            with calling(create(live, experiments=file), live) as two:
                assert [ask(one, user)["arms"] for user in USERS] == [ask(two, user)["arms"] for user in USERS]
                until(lambda: len(list(live.store.logged())) == 24)
                server.pause()
                before = ask(one, "u01")["request_id"]
                until(lambda: "exposures:" in str(one.get("/readyz").json()) or one.live.watch.failed is not None)
                server.resume()
                until(lambda: before in [a["request_id"] for a in live.store.logged()] if _answers(live) else False)
    finally:
        server.kill()


def _answers(live: Live) -> bool:
    try:
        live.store.last()
    except InputError:
        return False
    return True


def test_a_store_that_is_away_while_the_file_changes_delays_it(
    start: Any, file: Path, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start("") as client:
        activate, tries = client.live.activate, []

        def away_once(*arguments: Any) -> Any:
            tries.append(arguments)
            if len(tries) == 1:
                raise Unavailable("store x: away")
            return activate(*arguments)

        monkeypatch.setattr(client.live, "activate", away_once)
        rewrite(file, f"[experiments.v]\n[experiments.v.arms.a]\n[experiments.v.arms.b]\nbundle = '{world[1][1]}'\n")
        until(lambda: list(running(client)) == ["v"])
        assert len(tries) == 2
        assert client.get("/readyz").json()["warnings"] == []


def test_without_a_file_nothing_is_dealt_or_kept(serve: Any) -> None:
    with serve() as client:
        assert ask(client, "u01")["arms"] == {}
        assert running(client) == {}
        time.sleep(0.05)
        assert list(client.live.store.logged()) == []
