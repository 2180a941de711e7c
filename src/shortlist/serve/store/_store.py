"""What the service asks of a store: an append-only record of what happened live, shared by several processes.

Every record has a ``sequence``, given out by the store in the order of arrival, from 1, never twice. A process
remembers the last sequence it has applied and reads on from there, so it applies each record exactly once, whoever
wrote it.

A record is a JSON object with a ``kind``:

    event      user, item, event, time (microseconds), value?, id?, key?, request_id?, position?
    shown      item, time, user?, id?, key?, request_id?, position? (from 1): an item that was shown
    forget     digest (of the user's id), until: the user's earlier events are gone
    activate   bundle, arm?: the processes turn to this version, all requests or those of the arm; null lets an arm go

Beside them lies a log of answers for experiments, which no process follows and which is cut at its old end. An answer
has request_id, time, user?, bundle, arms (experiment -> arm), asked, latency (seconds) and items, each with item,
channels, propensity?, and team and credit where two arms are interleaved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from shortlist.component import InputError

Record = dict[str, Any]


class Unavailable(InputError, OSError):
    """The store cannot be read or written just now: a fault of this side, which may pass. Whoever asked asks again."""


class Store(Protocol):
    """A durable log of records. Methods may be called from several threads; all but ``close`` raise ``Unavailable``."""

    epoch: str
    """Stands for what the store holds: another once that was lost or put back. As of the latest ``last``."""

    def append(self, records: Sequence[Record]) -> int:
        """Writes all records or none, durably; those whose ``name`` is known are left out. Returns how many are new."""
        ...

    def last(self) -> int:
        """The sequence of the latest record; 0 when there has been none. Cheap: read before every answer."""
        ...

    def read(self, after: int) -> list[Record]:
        """Records with a sequence above ``after``, in order, each with its ``sequence``."""
        ...

    def log(self, answers: Sequence[Record]) -> int:
        """Keeps answers, but of users who were deleted since. Returns how many it keeps."""
        ...

    def logged(self, after: int = 0) -> Iterator[Record]:
        """The answers kept with a sequence above ``after``, in order, each with its own ``sequence``."""
        ...

    def trim(self, before: int, most: int) -> int:
        """Removes the oldest while there are more than ``most``, or it is from before a moment. Returns how many."""
        ...

    def holds(self, user: str) -> bool:
        """Whether there is a record or an answer of a user."""
        ...

    def forget(self, user: str, until: int) -> int:
        """Removes a user's records and answers and leaves a ``forget`` record in one step. Returns how many."""
        ...

    def owner(self) -> Record | None:
        """Whose events these are, as ``own`` was last told."""
        ...

    def own(self, owner: Record) -> None:
        """Keeps whose events these are."""
        ...

    def close(self) -> None:
        """Lets go of files or connections."""
        ...


def digest(raw: str) -> bytes:
    """16 bytes that stand for an id of any length."""
    return hashlib.blake2b(raw.encode(), digest_size=16).digest()


def name(record: Record) -> bytes | None:
    """What a record is known by: its ``key``, or its ``id``; None if it has neither."""
    raw = record.get("key", record.get("id"))
    return None if raw is None else digest(raw)


def forgotten(user: str, until: int) -> Record:
    """The record a deletion leaves: it does not hold the id itself."""
    return {"kind": "forget", "digest": digest(user).hex(), "until": until}
