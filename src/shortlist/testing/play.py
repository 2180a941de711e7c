"""A population and a recommender: who comes is asked for, what they do is posted, and the truth is kept."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import polars as pl

from shortlist import answer
from shortlist.component import InputError
from shortlist.data import Dataset, Events
from shortlist.pipeline import Pipeline
from shortlist.progress import track
from shortlist.testing.population import VIEW, Population
from shortlist.types import Array


@dataclass(frozen=True, slots=True)
class Slate:
    """An answer: raw item ids in order."""

    request_id: str
    arms: Mapping[str, str]
    items: Sequence[str]


class Recommender(Protocol):
    """Whoever can be asked and told."""

    def ask(self, user: str, n: int, time: int) -> Slate:
        """A slate for somebody at a moment (microseconds)."""
        ...

    def post(self, events: Sequence[Mapping[str, Any]]) -> None:
        """What happened: user, item, event, value, time and, after a slate, request_id and position."""
        ...


class Service:
    """A running service, over HTTP. Its clock is its own: moments are only told with ``timed``."""

    def __init__(self, url: str, timed: bool = False):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if not parts.hostname:
            raise InputError(f"{url}: expected the address of a service, such as http://127.0.0.1:8000")
        self._url, self._timed = url, timed
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._wire = kind(parts.hostname, parts.port, timeout=30)

    def ask(self, user: str, n: int, time: int) -> Slate:
        """``POST /v1/recommendations``."""
        told = self._post("/v1/recommendations", {"user": user, "n": n})
        return Slate(told["request_id"], told["arms"], [row["item"] for row in told["items"]])

    def post(self, events: Sequence[Mapping[str, Any]]) -> None:
        """``POST /v1/events``; raises ``InputError`` with the first that was refused."""
        for first in range(0, len(events), 1000):
            part = [dict(event) for event in events[first : first + 1000]]
            for event in part:
                if not self._timed:
                    event.pop("time", None)
            told = self._post("/v1/events", part)
            if told["rejected"]:
                raise InputError(f"{self._url}: an event was refused: {told['rejected'][0]['reason']}")

    def close(self) -> None:
        """Lets go of the connection."""
        self._wire.close()

    def _post(self, path: str, body: Any) -> Any:
        try:
            self._wire.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            reply = self._wire.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise InputError(f"{self._url}: no service answers: {error}") from error
        if reply.status >= 400:
            raise InputError(f"{self._url}{path}: {reply.status}: {text.decode(errors='replace')[:200]}")
        return json.loads(text)


class Funnel:
    """A fitted pipeline over its data, in this process; what is posted it knows at the next question."""

    def __init__(self, pipeline: Pipeline, data: Dataset):
        self.pipeline, self.data, self.state = pipeline, data, data.state()
        self._asked = 0

    def ask(self, user: str, n: int, time: int) -> Slate:
        """``Pipeline.recommend``."""
        self._asked += 1
        code = np.array([self.data.user_ids.code(user)], np.int32)
        found = answer.recommend(self.pipeline, self.state, answer.requests_of(self.state, code, time), n)
        return Slate(str(self._asked), {}, [self.data.item_ids.ids[item] for item in found.rows.item])

    def post(self, events: Sequence[Mapping[str, Any]]) -> None:
        """New users and items get codes of their own; kinds of event that the log does not have are passed over."""
        kinds, data = self.data.behaviours, self.data
        events = [event for event in events if kinds.code(event["event"]) >= 0]
        if not events:
            return
        columns: list[Array] = [
            np.array([data.user_ids.add(event["user"]) for event in events], np.int32),
            np.array([data.item_ids.add(event["item"]) for event in events], np.int32),
            np.array([kinds.code(event["event"]) for event in events], np.int16),
            np.array([event.get("value", np.nan) for event in events], np.float32),
            np.array([event["time"] for event in events], np.int64),
        ]
        user, item, kind, value, time = columns
        self.state.append(Events.of(user, item, kind, value, time, kinds))


ROWS = pl.Schema(
    {
        "day": pl.Int32(), "time": pl.Int64(), "user": pl.String(), "request_id": pl.String(), "arms": pl.String(),
        "item": pl.String(), "position": pl.Int32(), "chance": pl.Float64(), "clicked": pl.Boolean(),
    }
)  # fmt: skip


def play(
    population: Population,
    recommender: Recommender,
    days: int,
    n: int = 10,
    each: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """Lives through ``days``: a row for each item shown, its true ``chance`` of a click and whether it was clicked.

    ``each(time)`` is called before anybody comes at a moment: a clock that is set by it makes a service live through
    the same days.
    """
    users, ids = population.user_ids, population.item_ids
    number = {raw: code for code, raw in enumerate(ids)}
    rows: list[tuple[Any, ...]] = []
    for day in track(range(days), "days"):
        for time, user in population.day():
            if each is not None:
                each(time)
            slate = recommender.ask(users[user], n, time)
            items = [number.get(item, -1) for item in slate.items]
            chance, did = population.look(user, items)
            posted = [
                {
                    "user": users[user], "item": ids[int(event["item"])], "event": event["event"],  # type: ignore[call-overload]
                    "value": event["value"], "time": time, "request_id": slate.request_id, "position": event["place"],
                }
                for event in did
            ]  # fmt: skip
            if (found := population.wanders(user, time)) is not None:
                posted.append({"user": users[user], "item": ids[found], "event": VIEW, "value": 30.0, "time": time})
            if posted:
                recommender.post(posted)
            clicked = {event["place"] for event in did}
            arms = " ".join(f"{name}={arm}" for name, arm in slate.arms.items())
            for place, (item, p) in enumerate(zip(slate.items, chance.tolist(), strict=True), 1):
                line = (day, time, users[user], slate.request_id, arms, item, place, p, place in clicked)
                rows.append(line)
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def truth(rows: pl.DataFrame) -> pl.DataFrame:
    """For each value of ``arms`` the true click rate and click position of what was shown, no click drawn.

    Columns arms, users, shown, ctr = Σ chance / rows, position = Σ chance · position / Σ chance.
    """
    p, k = pl.col("chance"), pl.col("position")
    return (
        rows.group_by("arms")
        .agg(users=pl.col("user").n_unique(), shown=pl.len(), ctr=p.mean(), position=(p * k).sum() / p.sum())
        .sort("arms")
    )


__all__ = ["ROWS", "Funnel", "Recommender", "Service", "Slate", "play", "truth"]
