"""Whatever is sent is answered: 200, or 4xx with one line, and never 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.features.context import Context

POSTED = ("user", "item", "event", "time", "value", "request_id", "position", "id")
PARTS = ("id", "user", "time", "history", "exclude", "context", "memo", "self", "n", "state", "ids", "users")
"""What the code behind the interface calls things: a column of the request may have any of these names."""
FUZZED = settings(
    max_examples=120, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
words = st.sampled_from([*PARTS, "", "u01", "i03", "view", "shown", "page", "km", "colour", "odd", "a\0b", "\ud800"])
text = words | st.text(st.characters(), max_size=8)
numbers = st.integers(-(10**20), 10**20) | st.floats() | st.sampled_from([0, 1, 1e30, -1e30, 2**63, 10**400])
moments = st.sampled_from(["2024-01-05", "2024-01-05T10:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01", "20240105"])
values = st.none() | st.booleans() | numbers | text | moments
trees = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
pasts = st.fixed_dictionaries(
    {"item": words}, optional={"event": words, "value": values, "time": values | moments, "who": trees}
)
asks = st.fixed_dictionaries(
    {},
    optional={
        "user": words | trees,
        "n": st.integers(-1, 501) | trees,
        "context": st.dictionaries(text, values, max_size=4) | trees,
        "exclude": st.lists(words, max_size=3) | trees,
        "filter": st.dictionaries(words, words | st.lists(words, max_size=2), max_size=2) | trees,
        "history": st.lists(pasts, max_size=3) | trees,
        "explain": st.booleans() | trees,
    },
)
posts = st.lists(
    st.dictionaries(st.sampled_from(POSTED), values | trees, max_size=8)
    | st.fixed_dictionaries(
        {"user": words, "item": words, "event": st.sampled_from(["view", "shown"])},
        optional={"time": values | moments, "value": values, "position": values, "id": words, "request_id": words},
    )
    | trees,
    max_size=4,
)


class Told:
    """A ranker that reads what came with the request, as a fitted one would."""

    def score(self, requests: Any, candidates: Any, state: Any) -> dict[str, Any]:
        return {"score": candidates["context.km"] + candidates["context.page"]}


@pytest.fixture(scope="module")
def told(published: Any, board: Any, tmp_path_factory: Any) -> Iterator[Any]:
    """A service whose pipeline reads the columns ``page`` (text) and ``km`` (numbers) of the request."""
    from shortlist.serve.app import create
    from shortlist.serve.live import Live

    from .conftest import calling

    live = Live.open(published, tmp_path_factory.mktemp("bodies") / "store", "log")
    m = len(board.events)
    columns = {"page": np.array(["home", "cart"])[np.arange(m) % 2], "km": np.arange(m, dtype=np.float32)}
    pipeline = live.view().bundle.pipeline
    pipeline.features = [Context().fit(replace(board, events=replace(board.events, context=columns)))]
    pipeline.ranker = Told()  # type: ignore[assignment]
    with ExitStack() as stack:
        yield stack.enter_context(calling(create(live), live))


def answered(reply: Any) -> int:
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        assert list(reply.json()) == ["error"]
        assert "\n" not in reply.json()["error"]
    return int(reply.status_code)


def sent(client: Any, path: str, body: Any) -> Any:
    return client.post(path, content=json.dumps(body).encode(), headers={"content-type": "application/json"})


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("value", [1, "1", True, 0.5])
def test_a_column_of_the_request_may_have_any_name(told: Any, name: str, value: Any) -> None:
    reply = told.post("/v1/recommendations", {"user": "u01", "context": {name: value}})
    assert answered(reply) == 200
    assert [row["item"] for row in reply.json()["items"]] == told.slate("u01")


def test_text_where_the_log_has_numbers_is_told(told: Any) -> None:
    assert told.slate("u01", context={"km": 3, "page": "home"})
    assert told.slate("u01", context={"km": "3.5", "page": 3})
    reply = told.post("/v1/recommendations", {"context": {"km": "far"}})
    assert reply.status_code == 400
    assert reply.json() == {"error": "context.km: expected a number, found 'far'"}


@FUZZED
@given(asks | trees)
def test_any_question_is_answered(told: Any, body: Any) -> None:
    answered(sent(told, "/v1/recommendations", body))


@FUZZED
@given(posts | trees)
def test_any_events_are_taken_or_refused_one_by_one(told: Any, body: Any) -> None:
    reply = sent(told, "/v1/events", body)
    if answered(reply) == 202:
        assert reply.json()["accepted"] + len(reply.json()["rejected"]) == len(body)
    assert (
        answered(told.post("/v1/recommendations", {"user": "u01"})) == 200
    )  # and nothing was kept that spoils answers


@FUZZED
@given(st.dictionaries(st.just("bundle") | text, trees, max_size=2) | trees)
def test_any_turn_is_refused(told: Any, body: Any) -> None:
    assert answered(sent(told, "/v1/bundles/activate", body)) >= 400


@FUZZED
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(["-1", "0", "x", "501", "3", ""]))
def test_any_id_in_a_path_is_answered(told: Any, raw: str, n: str) -> None:
    for path in (f"/v1/users/{quote(raw, safe='')}", f"/v1/items/{quote(raw, safe='')}/similar"):
        answered(told.get(f"{path}?n={n}"))
    answered(told.delete(f"/v1/users/{quote('-' + raw, safe='')}"))


BROKEN = [
    b"{", b"", b"null", b"\xff\xfe", b'"', b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b"NaN", b"\xef\xbb\xbf{}",
    b'{"user": "\\ud800"}', b'[{"user": "\\ud800", "item": "i", "event": "view"}]', b'[{"\\ud800": 1}]',
    b'{"context": {"\\ud800": 1}}', b'{"filter": {"\\ud800": "a"}}', b'{"bundle": "\\ud800"}', b'{"bundle": "\\u0000"}',
    b'{"n": 1e999}', b'{"context": {"a": NaN}}', b'{"user": "u01", "user": "u02"}',
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/events", "/v1/bundles/activate"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", "x"])
def test_what_is_no_json_is_refused(told: Any, path: str, kind: str) -> None:
    for body in BROKEN:
        answered(told.post(path, content=body, headers={"content-type": kind}))
    assert told.slate("u01")  # the service goes on
