"""The store of several hosts: a Redis server.

Source: Sanfilippo (2009), Redis.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shortlist.component import InputError
from shortlist.serve.store._store import Record, Unavailable, digest, forgotten, name

T = TypeVar("T")
BATCH = 1000
"""Records fetched in one round trip."""
QUICK, PATIENT = 0.5, 2.0
"""Seconds to wait for the server: while an answer waits, and while a write does."""


class Redis:
    """A sorted set of sequences, a hash of records, a hash of event ids and a set of sequences for each user.

    Answers lie in the same way under keys of their own, with a hash of until when users were deleted.

    A write is one ``MULTI`` after a ``WATCH`` of the last sequence, tried again if another process was quicker. Keys
    begin with ``shortlist:``; whether a write survives the server's end is the server's ``appendfsync``.

    ``epoch`` is a random word that lies among the keys, with the server's run: it is another after the keys were lost,
    and after the server was started again, be it with an older copy of them.
    """

    def __init__(self, url: str, prefix: str = "shortlist:"):
        self._url = url
        clients: list[Any] = [
            redis.Redis.from_url(
                url,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),
                redis_connect_func=self._connected,
            )
            for seconds in (QUICK, PATIENT)
        ]
        self._reader, self._writer = clients
        self.epoch = ""
        self._run: str | None = None  # the server's run; not known since a connection was made anew
        self._last, self._order, self._records, self._ids, self._owner, self._epoch = (
            f"{prefix}{key}" for key in ("last", "order", "records", "ids", "owner", "epoch")
        )
        self._last_answer, self._answer_order, self._answers, self._forgotten = (
            f"{prefix}{key}" for key in ("last_answer", "answer_order", "answers", "forgotten")
        )
        self._users, self._answered = f"{prefix}user:", f"{prefix}answered:"

    @staticmethod
    def open(url: str) -> Redis:
        """Connects; raises ``InputError`` if nobody answers."""
        try:
            store = Redis(url)
            store.last()
        except (Unavailable, ValueError) as error:
            raise InputError(f"store {url}: cannot be reached: {error}") from error
        return store

    def append(self, records: Sequence[Record]) -> int:
        """See ``Store``."""
        keys = [name(record) or b"" for record in records]
        named = [key for key in keys if key]

        def write(pipe: Any, last: int) -> int:
            places = pipe.hmget(self._ids, named) if named else []
            known = {key for key, place in zip(named, places, strict=True) if place is not None}
            pipe.multi()
            first = last
            for record, key in zip(records, keys, strict=True):
                if key and key in known:
                    continue
                last += 1
                if key:
                    known.add(key)
                    pipe.hset(self._ids, key, last)
                if record.get("user") is not None:
                    pipe.sadd(self._users + digest(record["user"]).hex(), last)
                self._put(pipe, last, record)
            return last - first

        return self._write(write)

    def last(self) -> int:
        """See ``Store``."""
        with self._available():
            run = self._run
            if run is None:
                run = self._run = str(self._reader.info("server").get("run_id", ""))
            last, epoch = self._reader.mget(self._last, self._epoch)
            if epoch is None:
                self._reader.set(self._epoch, secrets.token_hex(8), nx=True)
                epoch = self._reader.get(self._epoch)
            self.epoch = f"{epoch.decode()} {run}"
            return int(last or 0)

    def read(self, after: int) -> list[Record]:
        """See ``Store``."""
        with self._available():
            return list(self._read(self._order, self._records, after))

    def log(self, answers: Sequence[Record]) -> int:
        """See ``Store``."""
        users = [None if answer.get("user") is None else digest(answer["user"]).hex() for answer in answers]

        def write(pipe: Any, last: int) -> int:
            known = sorted({user for user in users if user is not None})
            notes = dict(zip(known, pipe.hmget(self._forgotten, known), strict=True)) if known else {}
            first = last = int(pipe.get(self._last_answer) or 0)
            pipe.multi()
            for answer, user in zip(answers, users, strict=True):
                until = None if user is None else notes[user]
                if until is not None and answer["time"] <= int(until):
                    continue
                last += 1
                if user is not None:
                    pipe.sadd(self._answered + user, last)
                pipe.hset(self._answers, str(last), orjson.dumps(answer))
                pipe.zadd(self._answer_order, {str(last): last})
            pipe.set(self._last_answer, last)
            return last - first

        return self._write(write)

    def logged(self, after: int = 0) -> Iterator[Record]:
        """See ``Store``."""
        with self._available():
            yield from self._read(self._answer_order, self._answers, after)

    def trim(self, before: int, most: int) -> int:
        """See ``Store``."""
        gone = 0
        with self._available():
            surplus = self._reader.zcard(self._answer_order) - most
            while part := self._reader.zrange(self._answer_order, 0, BATCH - 1):
                values = self._reader.hmget(self._answers, part)
                old: list[tuple[bytes, str | None]] = []
                for sequence, value in zip(part, values, strict=True):
                    answer: Record = {"time": before - 1} if value is None else orjson.loads(value)
                    if gone + len(old) >= surplus and answer["time"] >= before:
                        break
                    old.append((sequence, answer.get("user")))
                with self._writer.pipeline() as pipe:
                    for sequence, user in old:
                        pipe.zrem(self._answer_order, sequence)
                        pipe.hdel(self._answers, sequence)
                        if user is not None:
                            pipe.srem(self._answered + digest(user).hex(), sequence)
                    pipe.execute()
                gone += len(old)
                if len(old) < len(part):
                    break
        return gone

    def holds(self, user: str) -> bool:
        """See ``Store``."""
        with self._available():
            key = digest(user).hex()
            return bool(self._reader.exists(self._users + key, self._answered + key))

    def forget(self, user: str, until: int) -> int:
        """See ``Store``."""
        hexed = digest(user).hex()
        key, answered = self._users + hexed, self._answered + hexed

        def write(pipe: Any, last: int) -> int:
            sequences = [int(member) for member in pipe.smembers(key)]
            records = [orjson.loads(value) for value in (pipe.hmget(self._records, sequences) if sequences else [])]
            answers = list(pipe.smembers(answered))
            pipe.multi()
            for sequence, record in zip(sequences, records, strict=True):
                if (known := name(record)) is not None:
                    pipe.hdel(self._ids, known)
                pipe.hdel(self._records, sequence)
                pipe.zrem(self._order, sequence)
            if answers:
                pipe.hdel(self._answers, *answers)
                pipe.zrem(self._answer_order, *answers)
            pipe.delete(key, answered)
            pipe.hset(self._forgotten, hexed, max(until, 0))
            self._put(pipe, last + 1, forgotten(user, until))
            return len(sequences) + len(answers)

        return self._write(write)

    def owner(self) -> Record | None:
        """See ``Store``."""
        with self._available():
            found = self._reader.get(self._owner)
            return None if found is None else orjson.loads(found)

    def own(self, owner: Record) -> None:
        """See ``Store``."""
        with self._available():
            self._writer.set(self._owner, orjson.dumps(owner))

    def close(self) -> None:
        """See ``Store``."""
        self._reader.close()
        self._writer.close()

    def _connected(self, connection: Any) -> None:
        connection.on_connect()
        self._run = None

    def _read(self, order: str, records: str, after: int) -> Iterator[Record]:
        while part := self._reader.zrange(
            order, f"({after}", "+inf", byscore=True, offset=0, num=BATCH
        ):  # in pieces: the server answers everybody else in between
            values = self._reader.hmget(records, part)
            for sequence, value in zip(part, values, strict=True):
                if value is not None:
                    yield {**orjson.loads(value), "sequence": int(sequence)}
            after = int(part[-1])

    def _put(self, pipe: Any, sequence: int, record: Record) -> None:
        pipe.hset(self._records, sequence, orjson.dumps(record))
        pipe.zadd(self._order, {str(sequence): sequence})
        pipe.set(self._last, sequence)

    def _write(self, write: Callable[[Any, int], T]) -> T:
        """Runs ``write(pipe, last)`` as one transaction: again and again while others write in between."""
        with self._available():
            while True:
                with self._writer.pipeline() as pipe:
                    try:
                        pipe.watch(self._last, self._last_answer)
                        outcome = write(pipe, int(pipe.get(self._last) or 0))
                        pipe.execute()
                        return outcome
                    except redis.WatchError as error:
                        broken = error.__context__
                        if isinstance(broken, redis.RedisError | OSError):
                            raise broken from None  # maybe after the write: nobody may write it twice unasked

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError, ValueError) as error:
            self._run = None
            raise Unavailable(f"store {self._url}: {error}") from error
