"""A version is tried before it answers: with people it knows, channel by channel, and by the lengths of its arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shortlist.bundle import manifest as manifests
from shortlist.component import InputError
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.popular import Popular
from shortlist.serve.live import Live
from shortlist.types import Candidates


def names(run: Path) -> tuple[str, str]:
    """The version that the link leads to, and the other."""
    active = (run / "bundle").resolve().name
    return active, next(path.name for path in (run / "bundles").iterdir() if path.name != active)


def spoil(version: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes an array and signs the bundle again: nothing but the array is wrong."""
    file, stated = version / "components" / name, version / "manifest.json"
    np.save(file, change(np.load(file)))
    manifest, found = json.loads(stated.read_text()), manifests.digests(version)
    manifest["files"] = {key: found[key] for key in manifest["files"]}
    stated.write_text(json.dumps({**manifest, "hash": manifests.content_hash(manifest)}))


SPOILT = [
    ("recall.cf/items_.npy", lambda a: a[:-1]),
    ("recall.cf/column_.npy", lambda a: a[:-1]),
    ("recall.cf/column_.npy", lambda a: a + 1),
    ("recall.cf/table_.csr.indptr.npy", lambda a: a[:-1]),
    ("recall.cf/table_.csr.shape.npy", lambda a: a - 1),
    ("recall.cf/table_.csr.indices.npy", lambda a: a + 9),
]


@pytest.mark.parametrize(("name", "change"), SPOILT)
def test_arrays_that_do_not_fit_are_refused_whatever_the_digests_say(
    client: Any, run: Path, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    old, new = names(run)
    spoil(run / "bundles" / new, name, change)
    reply = client.post("/v1/bundles/activate", {"bundle": new})
    assert reply.status_code == 400
    assert "recall.cf" in reply.json()["error"]
    assert client.get("/readyz").json()["bundle"] == (run / "bundle").resolve().name == old
    assert client.live.store.last() == 0
    assert client.slate("u01")
    with pytest.raises(InputError, match=r"recall\.cf"):
        Live.open(run / "bundles" / new, run / "other-store")


def throwing(channel: type, name: str, only: Callable[[Any], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(channel, name)

    def method(self: Any, requests: Any, *more: Any) -> Any:
        if only(requests):
            raise IndexError("past the end")
        return real(self, requests, *more)

    monkeypatch.setattr(channel, name, method)


@pytest.mark.parametrize(
    ("channel", "name", "called"), [(ItemCF, "retrieve", "cf"), (ItemCF, "score", "cf"), (Popular, "retrieve", "hot")]
)
def test_a_channel_that_fails_for_people_it_knows_is_found_out_before_it_answers(
    client: Any, run: Path, monkeypatch: pytest.MonkeyPatch, channel: type, name: str, called: str
) -> None:
    old, new = names(run)
    throwing(channel, name, lambda requests: (requests.user == 7).any(), monkeypatch)
    reply = client.post("/v1/bundles/activate", {"bundle": new})
    assert reply.status_code == 400
    assert reply.json()["error"] == f"{new}: {called} does not answer: IndexError: past the end"
    assert client.get("/readyz").json()["bundle"] == old
    monkeypatch.undo()
    assert client.post("/v1/bundles/activate", {"bundle": new}).status_code == 200


@pytest.mark.parametrize("rows", [{"item": 99}, {"score": np.nan}, {"request": 4000}])
def test_rows_of_nothing_are_found_out(run: Path, monkeypatch: pytest.MonkeyPatch, rows: dict[str, float]) -> None:
    def wrong(self: Any, requests: Any, *more: Any) -> Candidates:
        one = {"request": 0, "item": 0, "score": 1.0, **rows}
        columns = {"score": np.array([one["score"]], np.float32)}
        return Candidates(np.array([one["request"]], np.uint32), np.array([one["item"]], np.int32), columns)

    monkeypatch.setattr(ItemCF, "retrieve", wrong)
    with pytest.raises(InputError, match="cf does not answer: ValueError"):
        Live.open(run, run / "other-store")


def test_everything_that_was_learned_by_item_is_looked_at(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few people the trial asks for, each row of a table is used."""
    throwing(ItemCF, "retrieve", lambda requests: 19 in requests.history["item"] and len(requests) == 1, monkeypatch)
    with pytest.raises(InputError, match="cf does not answer"):
        Live.open(run, run / "other-store")
