"""A bundle of the checkerboard world, made once, and a service over a copy of it with a store of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from shortlist import bundle as bundles
from shortlist.data import Dataset
from shortlist.recipe import parse
from shortlist.serve.app import create
from shortlist.serve.live import Live
from shortlist.testing import worlds

RECIPE: dict[str, Any] = {
    "name": "board",
    "depth": 20,
    "data": {"source": "tables", "events": {"path": "none.csv", "columns": {"user": "u", "item": "i", "time": "t"}}},
    "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}},
    "fallback": {"type": "popular"},
    "merge": {"type": "reciprocal_rank"},
    "rules": [{"type": "seen"}],
}


class Client:
    """Plain calls to an application in this process: ``get("/healthz")``."""

    def __init__(self, portal: Any, inner: httpx.AsyncClient, live: Live):
        self.live = live
        self._portal, self._inner = portal, inner

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        return self._portal.call(partial(self._inner.request, method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **options)

    def delete(self, path: str) -> httpx.Response:
        """DELETE."""
        return self.request("DELETE", path)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        """POST of a JSON body."""
        return self.request("POST", path, **({"json": json} if json is not None else {}), **options)

    def slate(self, user: str | None, **more: Any) -> list[str]:
        """The items recommended."""
        answer = self.post("/v1/recommendations", {"user": user, **more})
        assert answer.status_code == 200, answer.text
        return [row["item"] for row in answer.json()["items"]]


Serve = Callable[..., Any]


def publish(out: Path, data: Dataset, /, **changes: object) -> Path:
    """Fits the recipe on all of ``data`` and publishes it beside ``out``."""
    recipe = parse({**RECIPE, **changes})
    pipeline = recipe.pipeline()
    pipeline.fit_recall(data)
    return bundles.save(out, pipeline, recipe, data, None, {})


def _board(unseen: int = 3) -> Dataset:
    """12 users and 20 items of two colours; each user has not yet seen ``unseen`` of their colour."""
    return worlds.checkerboard(n_users=12, n_items=20, unseen=unseen)


@contextmanager
def calling(app: FastAPI, live: Live) -> Iterator[Client]:
    """The application started, and stopped at the end."""
    transport = httpx.ASGITransport(app)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Client(portal, httpx.AsyncClient(transport=transport, base_url="http://test"), live)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's directory with two versions of a bundle, ``bundle`` leading to the second."""
    run = tmp_path_factory.mktemp("published")
    publish(run / "bundle", _board(), depth=10)
    publish(run / "bundle", _board())
    return run


@pytest.fixture
def run(published: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(published, tmp_path / "run", symlinks=True))


@pytest.fixture
def serve(run: Path, tmp_path: Path) -> Serve:
    """Starts the service (``with serve() as client``); started again, it finds its store again."""

    def start(path: Path = run, clock: str = "log", **options: Any) -> Any:
        live = Live.open(path, tmp_path / "store", clock)  # type: ignore[arg-type]
        return calling(create(live, **options), live)

    return start


@pytest.fixture
def client(serve: Serve) -> Iterator[Client]:
    """A running service."""
    with ExitStack() as stack:
        yield stack.enter_context(serve())


@pytest.fixture(scope="session")
def board() -> Dataset:
    """The world the bundle was fitted on."""
    return _board()
