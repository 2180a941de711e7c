"""The outermost layer: counts and times every request, and refuses a body that is too large."""

from __future__ import annotations

import time
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shortlist.serve._metrics import Metrics

JSON = "application/json"
_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")
LIMIT = 2 << 20
"""Bytes of a request's body."""


class Gate:
    """ASGI middleware; a plain class, because the framework's own wrapper costs more than a quick answer does."""

    def __init__(self, app: Any, metrics: Metrics, limit: int = LIMIT):
        self.app = app
        self.metrics = metrics
        self.limit = limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, size = time.perf_counter(), 500, 0

        async def counted() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limit:
                raise HTTPException(413, f"the body is larger than {self.limit} bytes")  # told by the app's handler
            return message

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        try:
            if not stated.isdigit() or int(stated) > self.limit:
                refusal = Response(
                    orjson.dumps({"error": f"the body is larger than {self.limit} bytes"}), 413, media_type=JSON
                )
                await refusal(scope, receive, noted)
            else:
                await self.app(scope, counted, noted)
        finally:
            route = getattr(scope.get("route"), "path_format", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.latency.labels(route).observe(time.perf_counter() - began)
            self.metrics.requests.labels(method, route, str(status)).inc()
