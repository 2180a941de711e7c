"""The HTTP interface over the checkerboard: what is answered, what is refused, what changes what."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shortlist import answer
from shortlist.bundle import open_bundle
from shortlist.data import Dataset
from shortlist.serve.app import create
from shortlist.serve.live import Live

from .conftest import calling, publish


def view(user: str, item: str, **more: Any) -> dict[str, Any]:
    return {"user": user, "item": item, "event": "view", **more}


def test_a_slate_has_what_the_user_has_not_seen_of_their_colour(client: Any, board: Dataset) -> None:
    seen = {board.item_ids.ids[i] for i in board.events.item[board.events.user == 1]}
    unseen = {f"i{i:02}" for i in range(1, 20, 2)} - seen
    answer = client.post("/v1/recommendations", {"user": "u01", "n": 3}).json()
    assert {row["item"] for row in answer["items"]} == unseen
    assert [answer["bundle"]] == [v["bundle"] for v in client.get("/v1/bundles").json()["bundles"] if v["active"]]
    assert answer["arms"] == {}
    assert len(answer["request_id"]) == 16
    assert "trace" not in answer
    best = answer["items"][0]
    assert "cf" in best["channels"]
    assert best["because"] in seen
    assert best["reason"].startswith("because of odd")


def test_a_posted_event_changes_the_next_answer_of_that_user_only(client: Any) -> None:
    before, other = client.slate("u01", n=3), client.slate("u03", n=3)
    reply = client.post("/v1/events", [view("u01", before[0])])
    assert (reply.status_code, reply.json()) == (202, {"accepted": 1, "rejected": []})
    assert before[0] not in client.slate("u01")
    assert client.slate("u01", n=2) == before[1:]
    assert client.slate("u03", n=3) == other


def test_a_newcomers_first_event_turns_the_slate_to_their_colour(client: Any) -> None:
    assert len(client.slate("newcomer", n=5)) == 5
    client.post("/v1/events", [view("newcomer", "i04"), view("newcomer", "never seen before")])
    slate = client.slate("newcomer", n=5)
    assert len(slate) == 5
    assert all(int(item[1:]) % 2 == 0 for item in slate)
    assert "i04" not in slate


def test_a_restart_keeps_the_events(serve: Any) -> None:
    with serve() as client:
        first = client.slate("u01")[0]
        client.post("/v1/events", [view("u01", first), view("somebody", "i03")])
        slate = client.slate("u01")
    with serve() as client:
        assert client.slate("u01") == slate
        assert client.get("/v1/users/somebody").json()["by_event"] == {"view": 1}


def test_an_event_posted_twice_under_one_id_counts_once(serve: Any) -> None:
    with serve() as client:
        for _ in range(2):
            assert client.post("/v1/events", [view("a", "i01", id="e1")] * 2).json()["accepted"] == 2
        assert client.get("/v1/users/a").json()["events"] == 1
    with serve() as client:
        assert client.get("/v1/users/a").json()["events"] == 1
        client.post("/v1/events", [view("a", "i01")] * 2)
        assert client.get("/v1/users/a").json()["events"] == 3


REFUSED: list[tuple[Any, str]] = [
    ("text", "expected an object"),
    ({"user": "a", "event": "view"}, "item"),
    (view("a", ""), "item"),
    (view("a", "i" * 257), "item"),
    (view(7, "i01"), "user"),  # type: ignore[arg-type]
    (view("a", "i01") | {"event": "dance"}, "'dance' is not one of view"),
    (view("a", "i01", time="yesterday"), "ISO 8601"),
    (view("a", "i01", time=1.5), "ISO 8601"),
    (view("a", "i01", time=True), "ISO 8601"),
    (view("a", "i01", time="2090-01-01"), "in the future"),
    (view("a", "i01", value="much"), "value"),
    (view("a", "i01", value=1e300), "value"),
    (view("a", "i01", position=-1), "position"),
    (view("a", "i01", colour="red"), "colour"),
]


def test_each_event_is_judged_alone(client: Any) -> None:
    posted = [view("a", "i01"), *(event for event, _ in REFUSED), view("a", "i03")]
    reply = client.post("/v1/events", posted).json()
    assert reply["accepted"] == 2
    assert [line["index"] for line in reply["rejected"]] == list(range(1, len(REFUSED) + 1))
    for line, (_, said) in zip(reply["rejected"], REFUSED, strict=True):
        assert said in line["reason"]
        assert "\n" not in line["reason"]
    assert client.get("/v1/users/a").json()["events"] == 2


def test_times_are_iso_or_microseconds(client: Any, board: Dataset) -> None:
    moment = datetime.fromtimestamp(int(board.events.time[-1]) // 1_000_000, UTC) - timedelta(days=1)
    stamps = [moment.isoformat(), moment.replace(tzinfo=None).isoformat(), int(moment.timestamp() * 1e6)]
    client.post("/v1/events", [view("a", "i01", time=stamp) for stamp in stamps])
    times = {line["time"] for line in client.get("/v1/users/a").json()["recent"]}
    assert times == {moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"n": 0}, 422, "n: "),
        ({"n": 501}, 422, "n: "),
        ({"n": "3"}, 422, "n: "),
        ({"user": 5}, 422, "user: "),
        ({"usr": "a"}, 422, "usr: "),
        ({"exclude": "i01"}, 422, "exclude: "),
        ({"filter": {"price": "3"}}, 400, "filter.price: not a category or list attribute"),
        ({"history": [{"item": "i01", "event": "dance"}]}, 400, "history.0.event: 'dance'"),
        ({"history": [{"item": "i01", "time": "2090-01-01"}]}, 400, "history.0.time: 2090"),
        ({"context": {"a": [1]}}, 422, "context.a"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(client: Any, body: Any, status: int, said: str) -> None:
    reply = client.post("/v1/recommendations", body)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert said in reply.json()["error"]
    assert "\n" not in reply.json()["error"]


def test_bodies_that_are_not_json_or_too_large_are_refused(client: Any) -> None:
    assert client.post("/v1/recommendations", content=b"{").status_code == 422
    assert client.post("/v1/events", [view("a", "i01")] * 1001).status_code == 422
    large = b"[" + b" " * (2 << 20) + b"]"
    assert client.post("/v1/events", content=large).status_code == 413

    async def pieces() -> Any:
        for start in range(0, len(large), 1 << 16):
            yield large[start : start + (1 << 16)]

    assert client.post("/v1/events", content=pieces()).json() == {"error": f"the body is larger than {2 << 20} bytes"}


def test_exclude_filter_and_history_of_the_request(client: Any) -> None:
    first = client.slate("u01", n=3)
    assert client.slate("u01", n=2, exclude=[first[0], "unheard of"]) == first[1:]
    even = client.slate("u01", n=8, filter={"colour": "even"})
    assert len(even) == 8
    assert all(int(item[1:]) % 2 == 0 for item in even)
    both = client.slate(None, n=20, filter={"tags": ["round", "long"], "colour": ["odd"]})
    titles = client.post("/v1/recommendations", {"n": 20, "filter": {"tags": ["round"]}}).json()["items"]
    assert both
    assert all(int(item[1:]) % 2 for item in both)
    assert all("round" in row["title"] for row in titles)
    assert client.slate("u01", filter={"colour": "blue"}) == []
    anonymous = client.slate(None, n=4, history=[{"item": "i04"}, {"item": "i08"}, {"item": "unheard of"}])
    assert all(int(item[1:]) % 2 == 0 for item in anonymous)
    assert not {"i04", "i08"} & set(anonymous)


def test_explain_tells_the_funnel(client: Any) -> None:
    trace = client.post("/v1/recommendations", {"user": "u01", "explain": True}).json()["trace"]
    assert set(trace["rows"]) >= {"recall.cf", "recall.hot", "merge"}
    assert "rules.seen" not in trace["rows"]  # a hard rule speaks before retrieval
    assert "forbid" in trace["milliseconds"]
    assert trace["failed"] == {}
    assert trace["history"] == 7
    assert all(spent >= 0 for spent in trace["milliseconds"].values())


def test_a_failed_channel_costs_its_rows_only_and_is_counted(client: Any) -> None:
    channel = client.live.view().bundle.pipeline.recall["cf"]
    channel.__dict__.clear()
    answer = client.post("/v1/recommendations", {"user": "u01", "explain": True}).json()
    assert answer["items"]
    assert list(answer["trace"]["failed"]) == ["cf"]
    assert 'shortlist_failed_channels_total{channel="cf"} 1.0' in client.get("/metrics").text


def test_similar_items(client: Any) -> None:
    found = client.get("/v1/items/i02/similar?n=3").json()["similar"]["cf"]
    assert len(found) == 3
    assert all(int(row["item"][1:]) % 2 == 0 for row in found)
    assert client.get("/v1/items/nothing/similar").json() == {"error": "item 'nothing': not known"}
    client.post("/v1/events", [view("a", "met/live")])
    assert client.get("/v1/items/met%2Flive/similar").json()["similar"] == {}


def test_topics_and_the_items_nearest_to_a_user(run: Path, board: Dataset, tmp_path: Path, client: Any) -> None:
    assert client.get("/v1/topics").json()["topics"] == {}  # item_cf has none
    publish(tmp_path / "lfm" / "bundle", board, recall={"lfm": {"type": "lfm", "factors": 2, "epochs": 30}})
    live = Live.open(tmp_path / "lfm", tmp_path / "topics", "log")
    with calling(create(live), live) as service:
        told = service.get("/v1/topics?n=4").json()
        bundle = live.view().bundle
        assert told == {"bundle": bundle.path.name, "topics": answer.topics(bundle.pipeline, bundle.data, 4)}
        assert [len(rows) for rows in told["topics"]["lfm"]] == [4, 4]
        near = service.get("/v1/topics?user=u01&n=5").json()
        assert near["user"] == "u01"
        assert len(near["channels"]["lfm"]) == 5
        assert all(int(row["item"][1:]) % 2 for row in near["channels"]["lfm"])  # of their colour
        service.post("/v1/events", [view("newcomer", "i04")])
        assert service.get("/v1/topics?user=newcomer").json()["channels"] == {"lfm": []}
        assert service.get("/v1/topics?user=nobody").status_code == 404
        assert service.get("/v1/topics?n=0").status_code == 422


def test_health_readiness_and_metrics(serve: Any) -> None:
    with serve(clock="wall") as client:
        assert client.get("/healthz").json()["ok"]
        ready = client.get("/readyz").json()
        assert ready["ready"]
        assert "days before the wall clock" in ready["warnings"][0]
        client.post("/v1/events", [view("a", "i01"), {}])
        client.slate("u01")
        text = client.get("/metrics").text
        assert 'shortlist_requests_total{method="POST",route="/v1/recommendations",status="200"} 1.0' in text
        assert 'shortlist_events_total{outcome="rejected"} 1.0' in text
        assert 'shortlist_stage_seconds_count{stage="recall.cf"} 1.0' in text
        assert "/v1/recommendations" in client.get("/").text
        client.live.store.close()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_deleting_a_person(serve: Any, run: Path) -> None:
    with serve() as client:
        client.post("/v1/events", [view("u01", "i00", id="e1"), view("u02", "i01")])
        fresh = client.slate("nobody known", n=20)
        reply = client.delete("/v1/users/u01").json()
        assert reply["live_events"] == 1
        assert set(reply["snapshot_events"].values()) == {7 + 40}  # events, and items shown
        assert client.get("/v1/users/u01").status_code == 404
        assert client.delete("/v1/users/u01").status_code == 404
        assert len(client.slate("u01", n=20)) == len(fresh)  # nothing is seen
        assert client.get("/v1/users/u02").json()["events"] == 8
        client.post("/v1/events", [view("u01", "i02", id="e1")])
        assert client.get("/v1/users/u01").json()["events"] == 1
    for version in (run / "bundles").iterdir():
        bundle = open_bundle(version)  # verifies: the digests were brought up to date
        assert bundle.data.user_ids.code("u01") == -1
        assert not (bundle.data.events.user == 1).any()
        assert bundle.data.user_ids.code("u02") == 2
        assert "u01" not in pl.read_parquet(version / bundle.manifest["users"] / "users.parquet")["user"]
    with serve() as client:
        assert client.get("/v1/users/u01").json()["events"] == 1


def test_a_version_copied_back_does_not_bring_a_deleted_person_back(serve: Any, run: Path, published: Path) -> None:
    with serve() as client:
        client.delete("/v1/users/u01")
    shutil.rmtree(run / "bundles")
    shutil.copytree(published / "bundles", run / "bundles")
    with serve() as client:
        assert client.get("/v1/users/u01").status_code == 404
        assert client.get("/v1/users/u02").status_code == 200


def test_turning_to_another_version_keeps_the_tail_and_survives_a_restart(serve: Any, run: Path) -> None:
    with serve() as client:
        listed = client.get("/v1/bundles").json()["bundles"]
        old = next(line["bundle"] for line in listed if line["active"])
        new = next(line["bundle"] for line in listed if not line["active"])
        client.post("/v1/events", [view("somebody", "i03")])
        assert client.post("/v1/bundles/activate", {"bundle": new}).json()["bundle"] == new
        assert client.post("/v1/recommendations", {"user": "u01"}).json()["bundle"] == new
        assert client.get("/v1/users/somebody").json()["events"] == 1
        assert (run / "bundle").resolve().name == new
        assert client.get("/readyz").json()["bundle"] == new
    with serve() as client:
        assert client.get("/readyz").json()["bundle"] == new != old


@pytest.mark.parametrize("name", ["nothing", "..", "../bundles", "/", "."])
def test_only_a_version_beside_the_active_one_can_be_turned_to(client: Any, name: str) -> None:
    assert client.post("/v1/bundles/activate", {"bundle": name}).status_code == 400


def test_a_spoilt_version_is_refused_and_the_old_one_goes_on(client: Any, run: Path) -> None:
    listed = client.get("/v1/bundles").json()["bundles"]
    old = next(line["bundle"] for line in listed if line["active"])
    new = next(line["bundle"] for line in listed if not line["active"])
    file = next((run / "bundles" / new / "components").rglob("*.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    reply = client.post("/v1/bundles/activate", {"bundle": new})
    assert reply.status_code == 400
    assert file.name in reply.json()["error"]
    assert client.post("/v1/recommendations", {"user": "u01"}).json()["bundle"] == old
    assert (run / "bundle").resolve().name == old
    (run / "bundles" / new / "manifest.json").write_text("{")
    assert "truncated" in next(v for v in client.get("/v1/bundles").json()["bundles"] if not v["active"])["error"]


def test_the_hot_routes_shapes_are_in_the_schema(client: Any) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/recommendations"]["post"]["responses"]) == {"200", "400", "413", "422"}
    posted = paths["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(posted["items"]["required"]) == {"user", "item", "event"}
    assert "HTTPValidationError" not in json.dumps(paths)


def test_an_observer_hears_of_every_answer_whatever_version_gives_it(serve):
    heard = []
    with serve() as client:
        client.live.observers.append(lambda requests, slates, trace: heard.append((len(requests), len(slates))))
        client.post("/v1/recommendations", json={"n": 3})
        assert heard == [(1, 3)]
        other = next(b["bundle"] for b in client.get("/v1/bundles").json()["bundles"] if not b["active"])
        assert client.post("/v1/bundles/activate", json={"bundle": other}).status_code == 200
        assert len(heard) == 1  # the answer that tried the new version was for nobody
        client.post("/v1/recommendations", json={"n": 2})
        assert heard == [(1, 3), (1, 2)]
