"""People who look, click, buy and tire, and whose true chances are known: a world to try experiments in.

What a person u does with an item i at place k of a slate:

    looks at it    1 / k^bias                                      (position bias)
    clicks, if it was looked at   σ(pull (taste_u · kind_i) + quality_i + temper_u − reserve − fatigue · times shown)
    leaves, satisfied, after a click                               satisfied
    buys, if clicked              σ(appetite − thrift · log(price_i / middle price) + (taste_u · kind_i) − 1)
    stays, if clicked             seconds drawn evenly by their logarithm about 60 · e^(taste_u · kind_i)

Tastes and kinds are unit vectors over topics. Tastes wander a little every day; items are born all the time; sessions
come at random with a rate of the person's own, and in some of them people find an item by themselves.

Ids are as in ``worlds``: user ``u007``, item ``i0123``. Everything follows from the seed and the order of the calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import Field, PrivateAttr

from shortlist.configured import Configured
from shortlist.testing.worlds import DAY, START
from shortlist.types import Array, Float64

VIEW, BUY = "view", "buy"


class Population(Configured):
    """See the module; the fields are what may be chosen about it."""

    users: int = Field(300, ge=1)
    """How many people."""
    items: int = Field(200, ge=2)
    """How many items, those included that are born later."""
    topics: int = Field(6, ge=1)
    """Dimensions of tastes and kinds."""
    days: int = Field(60, ge=1)
    """How long the world lasts; items are born evenly over all of it, but for those there from the start."""
    new: float = Field(0.3, ge=0, lt=1)
    """Which share of the items is not there from the start."""
    sessions: float = Field(0.6, gt=0)
    """Visits a day, on average over people; each has a rate of their own (gamma, shape 2)."""
    drift: float = Field(0.02, ge=0)
    """How far a taste wanders in a day, as the length of the step before it is a unit vector again."""
    pull: float = Field(4.0, ge=0)
    """How much taste decides about a click."""
    temper: float = Field(0.7, ge=0)
    """How much people differ in how easily they click: standard deviation of the log-odds."""
    reserve: float = 2.5
    """How hard it is to make anybody click."""
    bias: float = Field(0.7, ge=0)
    """How quickly looking fades from place to place; 0 = all places are looked at."""
    satisfied: float = Field(0.5, ge=0, le=1)
    """How often a click ends a visit: what stands below is not looked at (cascade)."""
    fatigue: float = Field(0.25, ge=0)
    """What each earlier showing of an item to a person takes off its log-odds of a click."""
    thrift: float = Field(0.8, ge=0)
    """How much a high price keeps people from buying."""
    appetite: float = -1.0
    """Log-odds of a purchase after a click, at the middle price and a taste that fits fully."""
    found: Annotated[float, Field(ge=0, le=1)] = 0.3
    """In which share of sessions people find an item by themselves, of all there are, by its appeal to them."""
    seed: int = Field(0, ge=0)
    """Of everything drawn."""

    _taste: Array = PrivateAttr()
    _shown: Array = PrivateAttr()

    def model_post_init(self, context: object) -> None:
        """Draws the world."""
        rng = self._rng = np.random.default_rng([self.seed, self.users, self.items])
        self._taste = _unit(rng.normal(size=(self.users, self.topics)))  # [u, f]
        self._kind = _unit(rng.normal(size=(self.items, self.topics)))  # [c, f]
        self._quality = rng.normal(0, 0.5, self.items)
        self._price = np.round(np.exp(rng.normal(3, 0.6, self.items)), 2)
        born = np.sort(rng.uniform(0, self.days, self.items))
        late = int(self.new * self.items)
        self._born = np.where(np.arange(self.items) < self.items - late, 0, (START + born * DAY).astype(np.int64))
        self._temper = self.temper * rng.normal(size=self.users)
        self._rate = rng.gamma(2, self.sessions / 2, self.users)
        self._shown = np.zeros((self.users, self.items), np.int32)
        self._day = 0

    # who and what

    @property
    def user_ids(self) -> list[str]:
        """Raw ids, by number."""
        return [f"u{u:0{len(str(self.users - 1))}}" for u in range(self.users)]

    @property
    def item_ids(self) -> list[str]:
        """Raw ids, by number."""
        return [f"i{i:0{len(str(self.items - 1))}}" for i in range(self.items)]

    def catalogue(self) -> pl.DataFrame:
        """item, topic (the one it has most of), price and when it was born (microseconds)."""
        topic = [f"topic {t}" for t in self._kind.argmax(axis=1)]
        columns = {"item": self.item_ids, "topic": topic, "price": self._price, "born": self._born}
        return pl.DataFrame(columns)

    # what is true

    def affinity(self, user: int, items: Sequence[int] | Array) -> Float64:
        """[n] taste · kind, between -1 and 1."""
        return np.asarray(self._kind[np.asarray(items, np.int64)] @ self._taste[user], np.float64)

    def chances(self, user: int, items: Sequence[int] | Array) -> Float64:
        """[n] the true chance that ``user`` clicks each item of a slate (from its first place on), as it is today.

        P_k = c_k Π_{j < k} (1 - satisfied c_j), with c of ``tempted``. Source: Craswell, Zoeter, Taylor and Ramsey
        (2008), An experimental comparison of click position-bias models, WSDM; Guo, Liu and Wang (2009), Efficient
        multiple-click models in web search, WSDM.
        """
        tempted = self.tempted(user, items)
        return self.reached(tempted) * tempted

    def reached(self, tempted: Array) -> Float64:
        """[.., n] the chance that nobody has left before each place."""
        on = np.cumprod(1 - self.satisfied * tempted, axis=-1)
        return np.concatenate([np.ones_like(on[..., :1]), on[..., :-1]], axis=-1)

    def tempted(self, user: int, items: Sequence[int] | Array) -> Float64:
        """[n] the chance of a click on each place for somebody who has not left yet."""
        items = np.asarray(items, np.int64)
        appeal = self.pull * self.affinity(user, items) + self._quality[items] + self._temper[user] - self.reserve
        appeal = appeal - self.fatigue * self._shown[user, items]
        return _sigmoid(appeal) * np.arange(1, len(items) + 1, dtype=np.float64) ** -self.bias

    def purchase(self, user: int, items: Sequence[int] | Array) -> Float64:
        """[n] the true chance of a purchase after a click."""
        items = np.asarray(items, np.int64)
        dear = np.log(self._price[items] / np.median(self._price))
        return _sigmoid(self.appetite - self.thrift * dear + self.affinity(user, items) - 1)

    # what happens

    def day(self) -> list[tuple[int, int]]:
        """The next day: tastes wander, and who comes when, as (microseconds, user) in order."""
        rng = self._rng
        self._taste = _unit(self._taste + self.drift * rng.normal(size=self._taste.shape))
        visits = np.repeat(np.arange(self.users), rng.poisson(self._rate))
        times = START + self._day * DAY + rng.integers(0, DAY, len(visits))
        self._day += 1
        order = np.argsort(times, kind="stable")
        return list(zip(times[order].tolist(), visits[order].tolist(), strict=True))

    @property
    def rates(self) -> Float64:
        """[u] visits a day of each person."""
        return np.asarray(self._rate, np.float64)

    def there(self, time: int) -> Array:
        """The items born by a moment."""
        return np.flatnonzero(self._born <= time)

    def look(self, user: int, items: Sequence[int]) -> tuple[Float64, list[dict[str, object]]]:
        """Somebody is shown a slate: the true chances [n], and what they do with it.

        Each event has the number of its ``item``, its ``place`` from 1, ``event`` and ``value``: seconds of a view,
        the price of a purchase. An item without a number (-1) is never clicked.
        """
        shown = np.asarray(items, np.int64)
        known = shown >= 0
        tempted = np.where(known, self.tempted(user, np.where(known, shown, 0)), 0.0)
        clicked = self._clicked(tempted)
        bought = self._rng.random(len(clicked)) < self.purchase(user, shown[clicked])
        stayed = 60 * np.exp(self.affinity(user, shown[clicked]) + self._rng.uniform(-1, 1, len(clicked)))
        np.add.at(self._shown[user], shown[known], 1)
        events: list[dict[str, object]] = []
        for place, buys, seconds in zip(clicked.tolist(), bought.tolist(), stayed.tolist(), strict=True):
            base = {"item": int(shown[place]), "place": place + 1}
            events.append({**base, "event": VIEW, "value": round(seconds, 1)})
            if buys:
                events.append({**base, "event": BUY, "value": float(self._price[shown[place]])})
        return self.reached(tempted) * tempted, events

    def _clicked(self, tempted: Float64) -> Array:
        """The places that are clicked, until somebody leaves."""
        clicked = np.flatnonzero(self._rng.random(len(tempted)) < tempted)
        left = np.flatnonzero(self._rng.random(len(clicked)) < self.satisfied)
        return clicked[: left[0] + 1] if len(left) else clicked

    def wanders(self, user: int, time: int) -> int | None:
        """The item somebody finds by themselves in a session, if any: by appeal, the popular more often."""
        if self._rng.random() >= self.found:
            return None
        there = self.there(time)
        weight = np.exp(self.pull / 2 * self.affinity(user, there) + self._quality[there])
        return int(self._rng.choice(there, p=weight / weight.sum()))

    def log(self, days: int, n: int = 10) -> pl.DataFrame:
        """The first ``days``, before there is a recommender: slates of random items, and what people find themselves.

        Columns user, item, event, value, time (microseconds), in time order.
        """
        rows: list[tuple[str, str, str, float, int]] = []
        users, ids = self.user_ids, self.item_ids
        for _ in range(days):
            for time, user in self.day():
                slate = self._rng.permutation(self.there(time))[:n]
                for event in self.look(user, slate.tolist())[1]:
                    kind, value = str(event["event"]), float(event["value"])  # type: ignore[arg-type]
                    rows.append((users[user], ids[int(event["item"])], kind, value, time))  # type: ignore[call-overload]
                if (item := self.wanders(user, time)) is not None:
                    rows.append((users[user], ids[item], VIEW, 30.0, time + 1))
        schema = {"user": pl.String, "item": pl.String, "event": pl.String, "value": pl.Float64, "time": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row").sort("time", maintain_order=True)

    @property
    def now(self) -> int:
        """When the next day begins."""
        return START + self._day * DAY


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _sigmoid(x: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


__all__ = ["BUY", "VIEW", "Population"]
