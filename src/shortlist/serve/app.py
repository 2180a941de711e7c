"""The HTTP interface on one bundle, one store and one clock; every answer comes from ``shortlist.answer``.

Answers are computed on the event loop: they are a few milliseconds of arithmetic that threads of one process could not
share, and several workers can. What waits for a disk (posting, deleting, turning to another bundle) runs in a thread;
the state that answers are made from is only changed on the event loop, by ``Live.view``.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import orjson
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException as Refused

from shortlist import answer
from shortlist.component import InputError
from shortlist.data.order import WORDS
from shortlist.serve import wire
from shortlist.serve._gate import JSON, Gate
from shortlist.serve._metrics import Metrics
from shortlist.serve.answers import describe, recommend
from shortlist.serve.arms import Arms
from shortlist.serve.clock import Kind
from shortlist.serve.journal import Journal
from shortlist.serve.learner import Learner
from shortlist.serve.live import STORE, Live, Start
from shortlist.serve.store import Unavailable

log = logging.getLogger("shortlist.serve")
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": wire.Problem, "description": text}
    for code, text in {400: "Not possible", 413: "Too large", 422: "Not of the stated shape"}.items()
}
AWAY: dict[int | str, dict[str, Any]] = {503: {"model": wire.Problem, "description": "Not possible just now"}}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": wire.Problem, "description": "Not known"}}


def create(
    live: Live, metrics: Metrics | None = None, record_shown: bool = False, experiments: Path | None = None
) -> FastAPI:
    """The application over an opened ``Live``, which it closes when it stops.

    With ``record_shown`` an answer's items are in the store as shown before it goes out. With a file of
    ``experiments`` answers are dealt their arms and kept; raises ``InputError`` if the file cannot stand.
    """
    counted = metrics or Metrics()
    arms = None if experiments is None else Arms(experiments, live)
    journal = None if arms is None else Journal(live.store, arms)
    learner = Learner(live)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        view = live.view()
        live.observers += [counted.observe] + ([] if journal is None else [journal.observe])
        for warning in (live.clock.warning(view.last, view.data.order_only), *view.doubts):
            if warning:
                log.warning(warning)
        learner.start()
        yield
        learner.close()
        if arms is not None and journal is not None:
            arms.close()
            journal.close()
        live.close()

    app = FastAPI(title="Shortlist", version=version("shortlist"), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Gate, metrics=counted)

    @app.exception_handler(RequestValidationError)
    async def misshapen(request: Request, error: RequestValidationError) -> Response:
        return problem(422, wire.line(error.errors()))

    @app.exception_handler(Unavailable)
    async def away(request: Request, error: Unavailable) -> Response:
        return problem(503, str(error), {"retry-after": "1"})

    @app.exception_handler(InputError)
    async def wrong(request: Request, error: InputError) -> Response:
        return problem(400, str(error))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.post("/v1/recommendations", responses={200: {"model": wire.Slate}, **PROBLEMS})
    async def recommendations(ask: wire.Ask) -> Response:
        """A slate for somebody, now."""
        learner.hand_over()
        told = recommend(live, ask, arms, journal)
        if record_shown and told["items"] and not live.watch.failed:
            try:
                await run_in_threadpool(live.append, wire.slate_shown(told, ask.user, live.now(live.view())))
            except Unavailable as error:  # the answer is worth more than the note of it
                live.watch.lose(error)
        return said(told)

    @app.post(
        "/v1/events",
        status_code=202,
        responses={202: {"model": wire.Receipt}, **PROBLEMS, **AWAY},
        openapi_extra=_POSTED,
    )
    async def events(posted: list[Any]) -> Response:
        """Keeps what happened or was shown: durable when this answers, and known to the next recommendation."""
        if len(posted) > wire.MAX_EVENTS:
            raise HTTPException(422, f"{len(posted)} events, expected at most {wire.MAX_EVENTS} at a time")

        view = live.view()
        kept, rejected = wire.records(posted, view, live.now(view))
        if kept:
            await run_in_threadpool(live.append, kept)
            live.view()
        counted.events.labels("accepted").inc(len(kept))
        counted.events.labels("rejected").inc(len(rejected))
        return said({"accepted": len(kept), "rejected": rejected}, 202)

    @app.get("/v1/items/{item:path}/similar", responses={**PROBLEMS, **MISSING})
    async def similar(item: str, n: Annotated[int, Query(ge=1, le=wire.MAX_N)] = 10) -> Response:
        """For each channel that has an opinion, the items most like this one."""
        view = live.view()
        code = known(view.data.item_ids.code(item), f"item {item!r}")
        fitted = code < view.data.items.n  # what was first met live is like nothing yet
        found = answer.similar(view.bundle.pipeline, view.data, code, n) if fitted else {}
        return said({"item": item, "bundle": view.bundle.path.name, "similar": found})

    @app.get("/v1/topics", responses={**PROBLEMS, **MISSING})
    async def topics(user: str | None = None, n: Annotated[int, Query(ge=1, le=wire.MAX_N)] = 10) -> Response:
        """Of channels whose factors can be read: the items that load most on each, or those nearest to a user."""
        view = live.view()
        pipeline, data = view.bundle.pipeline, view.data
        if user is None:
            told: dict[str, Any] = {"topics": answer.topics(pipeline, data, n)}
        else:
            code = known(data.user_ids.code(user) if user else -1, f"user {user!r}")
            told = {"user": user, "channels": answer.top_like(pipeline, data, code, n)}
        return said({"bundle": view.bundle.path.name, **told})

    @app.get("/v1/users/{user:path}", responses={**PROBLEMS, **MISSING})
    async def person(user: str, n: Annotated[int, Query(ge=0, le=wire.MAX_N)] = 20) -> Response:
        """What is known of somebody: how many events of each kind, how much was shown, the last ``n``, latest first."""
        view = live.view()
        code = known(view.data.user_ids.code(user) if user else -1, f"user {user!r}")
        return said(describe(view, user, code, live.now(view), n))

    @app.delete("/v1/users/{user:path}", responses={**PROBLEMS, **MISSING, **AWAY})
    async def delete(user: str) -> Response:
        """Deletes a person.

        Gone when this answers: their live events in the store; their id, attributes and events in the ``users`` folder
        of every version of the bundle; their history in this process, and in the others before their next answer. What
        was shown to them counts among the events. What
        models learned from them together with others stays in the bundles, under a number that leads to nobody, until
        the next fit; the log that bundles are fitted from is not this service's. A note with a digest of the id stays,
        so that a version copied back from elsewhere does not bring the history back. Somebody who returns is new.
        In the run's lists the rows stay, under a number. Freed pages of the store's file may hold what they did until
        the next start, and the run's ``rejected.parquet`` the lines of the log that were left out.
        """
        outcome = await changing(live.forget, user, live.now(live.view()))
        live.view()
        if not outcome["live_events"] and not any(line is not None for line in outcome["snapshot_events"].values()):
            raise HTTPException(404, f"user {user!r}: not known")
        return said(outcome)

    @app.get("/v1/bundles")
    async def versions() -> Response:
        """The versions that can be turned to, and which one answers."""
        return said({"bundles": live.bundles()})

    @app.post("/v1/bundles/activate", responses={**PROBLEMS, **AWAY})
    async def activate(turn: wire.Turn) -> Response:
        """Verifies a version and turns to it; if it does not verify, the old one goes on."""
        view = await changing(live.activate, turn.bundle)
        return said({"bundle": view.bundle.path.name, "hash": view.bundle.hash})

    @app.get("/v1/experiments")
    async def running() -> Response:
        """The experiments of the file, and how many of their users are in them now."""
        return said({"experiments": {} if arms is None else arms.told(live.now(live.view()))})

    @app.get("/healthz")
    async def healthy() -> Response:
        """The process answers."""
        return said({"ok": True, "process": os.getpid()})

    @app.get("/readyz", responses=AWAY)
    async def ready() -> Response:
        """The bundle is open and the store can be read."""
        try:
            view = live.view()
        except Exception as error:  # whatever it is, this instance should get no traffic
            return problem(503, str(error))
        if live.watch.failed:
            return problem(503, f"{live.watch.failed}; answers go on from memory, nothing is stored")
        told = (live.clock.warning(view.last, view.data.order_only), *view.doubts, live.lost, live.unwritten)
        told += (live.failed, live.uncleaned, live.astray, learner.warning)
        if arms is not None and journal is not None:
            told += (arms.failed, journal.warning)
        warnings = [line for line in told if line]
        told_at = view.data.when
        clock = {"kind": live.clock.kind, "now": told_at(live.now(view)), "data_until": told_at(view.last)}
        if view.data.order_only:
            clock["order"] = WORDS[view.data.clock]
        learned = {"learned": learner.told()} if learner.told() else {}
        return said({"ready": True, "bundle": view.bundle.path.name, "clock": clock, **learned, "warnings": warnings})

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics_() -> Response:
        """Prometheus text."""
        return PlainTextResponse(counted.text(), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        view = live.view()
        return HTMLResponse(_INDEX.format(name=view.bundle.recipe.name, version=view.bundle.path.name))

    return app


async def changing(change: Callable[..., Any], *arguments: Any) -> Any:
    """What ``change`` returns, run in a thread; 503 where a folder of bundles does not let itself be written."""
    try:
        return await run_in_threadpool(change, *arguments)
    except OSError as error:
        raise HTTPException(503, str(error)) from error


def known(code: int, what: str) -> int:
    """The code, or 404."""
    if code < 0:
        raise HTTPException(404, f"{what}: not known")
    return code


def said(content: Any, status: int = 200) -> Response:
    """JSON as it is: response models would check again what the schema already says."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type=JSON)


def problem(status: int, text: str, headers: Any = None) -> Response:
    """An error on one line."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return Response(orjson.dumps({"error": line}), status, headers=headers, media_type=JSON)


def run(
    bundle: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    store: str | Path = STORE,
    clock: Kind = "wall",
    record_shown: bool = False,
    experiments: Path | None = None,
) -> None:
    """Serves until it is stopped. ``bundle`` is a bundle, a link to one, or a run's directory.

    Raises ``InputError`` before anything listens if the bundle, the store or the experiments cannot be opened.
    """
    settings = {"http": "auto", "loop": "auto", "access_log": False, "host": host, "port": port}
    if workers == 1:
        live = Live.open(bundle, store, clock)
        uvicorn.run(create(live, None, record_shown, experiments), **settings)  # type: ignore[arg-type]
        return
    live = Live.open(bundle, store, clock)
    start = live.began
    if experiments is not None:
        Arms(experiments, live).close()  # whether it can stand is known before there are workers
    live.close()
    with tempfile.TemporaryDirectory(prefix="shortlist-metrics-") as together:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = together
        os.environ["SHORTLIST_SERVE"] = orjson.dumps(
            [str(bundle), str(store), clock, record_shown, str(experiments or ""), str(start.version), start.since]
        ).decode()
        uvicorn.run("shortlist.serve.app:worker", factory=True, workers=workers, **settings)  # type: ignore[arg-type]


def worker() -> FastAPI:
    """The application of one of several worker processes, which ``run`` tells its settings by the environment."""
    bundle, store, clock, record_shown, experiments, version, since = orjson.loads(os.environ["SHORTLIST_SERVE"])
    live = Live.open(Path(bundle), store, clock, Start(Path(version), since))
    return create(live, None, record_shown, Path(experiments) if experiments else None)


_POSTED = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"type": "array", "maxItems": wire.MAX_EVENTS, "items": wire.Posted.model_json_schema()}}
        },
    }
}
_INDEX = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Shortlist</title>
<style>body{{font:16px/1.6 system-ui;max-width:42em;margin:4em auto;padding:0 1em}}
code{{background:#eee;padding:.1em .3em}}</style>
<h1>Shortlist</h1><p>Recommendations from <b>{name}</b>, bundle <code>{version}</code>.</p>
<ul><li><code>POST /v1/recommendations</code> a slate &nbsp; <code>POST /v1/events</code> what happened</li>
<li><code>GET /v1/items/ID/similar</code> &nbsp; <code>GET /v1/users/ID</code></li>
<li><a href="/v1/bundles">bundles</a> &nbsp; <a href="/readyz">ready</a> &nbsp; <a href="/metrics">metrics</a> &nbsp;
<a href="/openapi.json">the whole interface</a></li></ul></html>"""
