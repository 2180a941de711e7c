"""The funnel in two processes: one finds rows, the other ranks them, and together they answer as one."""

from __future__ import annotations

import io
from multiprocessing import get_context

import numpy as np
import pytest

from shortlist import answer
from shortlist.bundle import open_bundle
from shortlist.pipeline import Recalled, Trace
from shortlist.testing._shared import agree
from shortlist.types import Candidates

N = 20


def packed(arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name.replace("/", "|"): array for name, array in arrays.items()})
    return buffer.getvalue()


def unpacked(wire: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(wire), allow_pickle=False) as found:
        return {name.replace("|", "/"): found[name] for name in found.files}


def recall_service(path, wire):
    """Answers user codes with what recall hands on."""
    opened = open_bundle(path, half="recall")
    state = opened.data.state()
    assert not opened.pipeline.features[0].state()
    assert not opened.pipeline.ranker.state()
    while users := wire.recv_bytes():
        requests = answer.requests_of(state, np.frombuffer(users, np.int32), opened.pipeline.fitted_until)
        wire.send_bytes(packed(opened.pipeline.recalled(requests, state, N, Trace()).arrays()))


def rank_service(path, wire):
    """Answers what recall handed on with slates."""
    opened = open_bundle(path, half="rank")
    state = opened.data.state()
    assert not any(channel.state() for channel in opened.pipeline.recall.values())
    while found := wire.recv_bytes():
        slate = opened.pipeline.ranked(Recalled.of(unpacked(found)), state, N, Trace())
        wire.send_bytes(packed({"/request": slate.request, "/item": slate.item, **slate.columns}))


@pytest.fixture
def services(shop_run):
    """The two processes, and the wire to each."""
    spawned, wires = [], []
    for service in (recall_service, rank_service):
        here, there = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=service, args=(shop_run.out / "bundle", there), daemon=True)
        process.start()
        spawned.append(process)
        wires.append(here)
    yield wires
    for wire in wires:
        wire.send_bytes(b"")
    for process in spawned:
        process.join(20)
    assert [process.exitcode for process in spawned] == [0, 0]


def test_two_processes_answer_as_one(shop_run, services):
    whole = open_bundle(shop_run.out / "bundle")
    state = whole.data.state()
    users = np.array([-1, *range(whole.data.n_users), 999], np.int32)
    expected, trace = whole.pipeline.recommend(answer.requests_of(state, users, whole.pipeline.fitted_until), state, N)
    recall, rank = services
    recall.send_bytes(users.tobytes())
    assert recall.poll(60)
    rank.send_bytes(recall.recv_bytes())
    assert rank.poll(60)
    columns = unpacked(rank.recv_bytes())
    slate = Candidates(columns.pop("/request"), columns.pop("/item"), columns)
    agree(slate, expected, "two processes against one", exact=True)
    assert set(slate.columns) == set(expected.columns)
    assert slate["fallback"].any()
    assert not slate["fallback"].all()
    assert any(name.endswith(".dense") for name in trace.recalled.rows.columns)
    assert not any(name.endswith(".dense") for name in slate.columns)


def test_what_recall_hands_on_survives_the_wire(shop_run):
    opened = open_bundle(shop_run.out / "bundle")
    state = opened.data.state()
    requests = answer.requests_of(
        state, np.array([3, -1]), opened.pipeline.fitted_until, context={"device": np.array([1, 2])}
    )
    found = opened.pipeline.recalled(requests, state, N, Trace())
    again = Recalled.of(unpacked(packed(found.arrays())))
    for mine, other in ((found.rows, again.rows), (found.spare, again.spare)):
        agree(other, mine, "after the wire", exact=True)
    np.testing.assert_array_equal(again.requests.exclude["item"], found.requests.exclude["item"])
    np.testing.assert_array_equal(again.requests.history["weight"], found.requests.history["weight"])
    np.testing.assert_array_equal(again.requests.context["device"], [1, 2])
