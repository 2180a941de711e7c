"""The store of several hosts: a Redis server.

Source: Sanfilippo (2009), Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
import redis

from shortlist.component import InputError
from shortlist.serve.store._store import Record, digest, forgotten

T = TypeVar("T")
BATCH = 1000
"""Records fetched in one round trip."""


class Redis:
    """A sorted set of sequences, a hash of records, a hash of event ids and a set of sequences for each user.

    A write is one ``MULTI`` after a ``WATCH`` of the last sequence, tried again if another process was quicker. Keys
    begin with ``shortlist:``; whether a write survives the server's end is the server's ``appendfsync``.
    """

    def __init__(self, client: Any, prefix: str = "shortlist:"):
        self._client = client
        self._last, self._order, self._records, self._ids = (
            f"{prefix}{name}" for name in ("last", "order", "records", "ids")
        )
        self._users = f"{prefix}user:"

    @staticmethod
    def open(url: str) -> Redis:
        """Connects; raises ``InputError`` if nobody answers."""
        try:
            client = redis.Redis.from_url(url)
            client.ping()
        except (redis.RedisError, ValueError) as error:
            raise InputError(f"store {url}: cannot be reached: {error}") from error
        return Redis(client)

    def append(self, records: Sequence[Record]) -> int:
        """See ``Store``."""

        def write(pipe: Any, last: int) -> int:
            keys = [digest(record["id"]) if record.get("id") is not None else b"" for record in records]
            stored = [bool(key) and pipe.hexists(self._ids, key) for key in keys]
            pipe.multi()
            seen: set[bytes] = set()
            first = last
            for record, key, known in zip(records, keys, stored, strict=True):
                if known or (key and key in seen):
                    continue
                last += 1
                if key:
                    seen.add(key)
                    pipe.hset(self._ids, key, last)
                if record.get("user") is not None:
                    pipe.sadd(self._users + digest(record["user"]).hex(), last)
                self._put(pipe, last, record)
            return last - first

        return self._write(write)

    def last(self) -> int:
        """See ``Store``."""
        return int(self._client.get(self._last) or 0)

    def read(self, after: int) -> list[Record]:
        """See ``Store``."""
        sequences = [int(member) for member in self._client.zrange(self._order, f"({after}", "+inf", byscore=True)]
        found: list[Record] = []
        for first in range(0, len(sequences), BATCH):
            part = sequences[first : first + BATCH]
            values = self._client.hmget(self._records, part)
            found += [{**orjson.loads(v), "sequence": s} for s, v in zip(part, values, strict=True) if v is not None]
        return found

    def forget(self, user: str, until: int) -> int:
        """See ``Store``."""
        key = self._users + digest(user).hex()

        def write(pipe: Any, last: int) -> int:
            sequences = [int(member) for member in pipe.smembers(key)]
            records = [orjson.loads(value) for value in (pipe.hmget(self._records, sequences) if sequences else [])]
            pipe.multi()
            for sequence, record in zip(sequences, records, strict=True):
                if record.get("id") is not None:
                    pipe.hdel(self._ids, digest(record["id"]))
                pipe.hdel(self._records, sequence)
                pipe.zrem(self._order, sequence)
            pipe.delete(key)
            self._put(pipe, last + 1, forgotten(user, until))
            return len(sequences)

        return self._write(write)

    def close(self) -> None:
        """See ``Store``."""
        self._client.close()

    def _put(self, pipe: Any, sequence: int, record: Record) -> None:
        pipe.hset(self._records, sequence, orjson.dumps(record))
        pipe.zadd(self._order, {str(sequence): sequence})
        pipe.set(self._last, sequence)

    def _write(self, write: Callable[[Any, int], T]) -> T:
        """Runs ``write(pipe, last)`` as one transaction: again and again while others write in between."""
        while True:
            with self._client.pipeline() as pipe:
                try:
                    pipe.watch(self._last)
                    outcome = write(pipe, int(pipe.get(self._last) or 0))
                    pipe.execute()
                    return outcome
                except redis.WatchError:
                    continue
