"""As many rows as are asked for, where the catalogue has them, be they more than are handed on by habit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shortlist.data import Dataset
from shortlist.serve.app import create
from shortlist.serve.live import Live
from shortlist.testing import worlds

from . import conftest

ITEMS = 1200


class Coarse:
    """A pre-ranker that takes rows as they come."""

    def score(self, requests: Any, candidates: Any, state: Any) -> dict[str, Any]:
        return {"score": candidates["score"]}


@pytest.fixture(scope="module")
def wide() -> Dataset:
    return worlds.checkerboard(n_users=12, n_items=ITEMS, unseen=3)


@pytest.mark.parametrize("user", ["u01", "newcomer", None])
@pytest.mark.parametrize("coarse", [False, True])
def test_n_rows_without_a_fallback(
    wide: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str | None, coarse: bool
) -> None:
    monkeypatch.delitem(conftest.RECIPE, "fallback")
    conftest.publish(tmp_path / "bundle", wide)
    live = Live.open(tmp_path, tmp_path / "store", "log")
    if coarse:
        live.view().bundle.pipeline.prerank = Coarse()  # type: ignore[assignment]
    with conftest.calling(create(live), live) as client:
        slate = client.slate(user, n=500)
        assert len(slate) == len(set(slate)) == 500
        assert client.slate(user, n=10) == slate[:10]
