"""The plain verbs around one channel: ``sl.ItemCF(neighbours=100).fit(log).recommend(["196"])``."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import numpy as np
import polars as pl

from shortlist.component import Compares, Explains, InputError, Reasons, Retriever, able, refuse_unsound
from shortlist.data import Dataset
from shortlist.face._asked import Asked, Ids, Moment, at_most, concat, ids_of, item_codes, picked
from shortlist.face._signature import signature
from shortlist.face.log import Log, Tabular, log_of

ROWS = {"user": pl.String(), "item": pl.String(), "score": pl.Float32(), "rank": pl.Int32()}
LIKE = {"item": pl.String(), "similar": pl.String(), "score": pl.Float32(), "rank": pl.Int32()}


class Recommender:
    """A recall channel with the verbs of a notebook around it; ``component`` is the channel itself.

    ``Recommender(channel)`` gives them to a channel of one's own, ``sl.ItemCF`` and its like to those of the package.
    """

    def __init__(self, component: Retriever) -> None:
        self.component = component
        self._log: Log | None = None

    def fit(self, log: Log | Dataset | Tabular) -> Self:
        """Learns from a log, or from anything ``read`` reads."""
        self._log = log_of(log)
        self.component.fit(self._log.data)
        refuse_unsound(type(self.component).__name__, self.component)
        return self

    def recommend(
        self,
        users: Ids,
        n: int = 10,
        *,
        exclude_seen: bool = True,
        explain: bool = True,
        now: Moment | None = None,
    ) -> pl.DataFrame:
        """At most ``n`` items for each user: columns user, item, score, rank (from 1) and, with ``explain``, reason.

        A user the log does not know gets what a stranger gets: nothing of a channel that needs a history, the list for
        everybody of one that does not. ``exclude_seen`` leaves out what the user has met. ``now`` is the end of the
        log unless given. ``reason`` is null where the channel cannot name one.
        """
        log, n, parts = self._fitted(), at_most(n), []
        asked = Asked.of(log, users, now, log.data.fitted_until)
        names = pl.Series(asked.users, dtype=pl.String)
        for first, requests in asked.batches(exclude_seen):
            rows = self.component.retrieve(requests, log.state, n)
            columns = {
                "user": names.gather(rows.request + first),
                "item": log.item_ids.gather(rows.item),
                "score": np.asarray(rows["score"], np.float32),
                "rank": (rows.positions() + 1).astype(np.int32),
            }
            if explain:
                columns["reason"] = self._reasons(log, requests, rows)
            parts.append(pl.DataFrame(columns))
        return concat(parts, ROWS | {"reason": pl.String()} if explain else ROWS)

    def similar(self, items: Ids, n: int = 10) -> pl.DataFrame:
        """The ``n`` items most like each: columns item, similar, score, rank (from 1). An unknown item has none.

        Raises ``InputError`` if the channel does not compare items.
        """
        log = self._fitted()
        asked = ids_of(items)
        if (channel := able(self.component, Compares)) is None:
            raise InputError(f"{type(self.component).__name__}: does not compare items")
        return neighbours(channel, log, asked, n)

    def _reasons(self, log: Log, requests: Any, rows: Any) -> pl.Series:
        """[m] "because of TITLE", or what the channel says instead; null where it names nothing."""
        bare, found = rows.select(()), pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))
        if channel := able(self.component, Explains):
            found = "because of " + picked(log.item_names, channel.explain(requests, bare))
        if telling := able(self.component, Reasons):
            said = pl.Series(telling.reasons(requests, bare, log.state), dtype=pl.String).replace("", None)
            found = (found + " (" + said + ")").fill_null(found).fill_null(said)
        return found

    def _fitted(self) -> Log:
        if self._log is None:
            raise InputError(f"{type(self).__name__}: not fitted yet; call fit(log) first")
        return self._log

    def __repr__(self) -> str:
        part = self.component
        said = (f"{name}={value!r}" for name, value in part.config().items() if name in part.model_fields_set)
        return f"{type(part).__name__}({', '.join(said)})"


def neighbours(channel: Any, log: Log, items: list[str], n: int) -> pl.DataFrame:
    """What a channel's ``similar`` says of items, in words."""
    rows = channel.similar(item_codes(log, items), at_most(n))
    return pl.DataFrame(
        {
            "item": pl.Series(items, dtype=pl.String).gather(rows.request),
            "similar": log.item_ids.gather(rows.item),
            "score": np.asarray(rows["score"], np.float32),
            "rank": (rows.positions() + 1).astype(np.int32),
        },
        schema=LIKE,
    )


@cache
def recommender_of(cls: type[Retriever]) -> type[Recommender]:
    """The class that makes a ``cls`` of hyperparameters and puts the verbs around it, with its signature and doc."""

    def __init__(self: Recommender, **hyperparameters: Any) -> None:
        Recommender.__init__(self, cls(**hyperparameters))

    __init__.__qualname__ = f"{cls.__name__}.__init__"  # named by Python where hyperparameters come without their names
    parts = {"__init__": __init__, "__doc__": cls.__doc__, "__module__": "shortlist"}
    return type(cls.__name__, (Recommender,), parts | {"__signature__": signature(cls)})
