"""The embedded store: one LMDB directory, read and written by all processes of one host.

Source: Chu (2011), MDB: A Memory-Mapped Database and Backend for OpenLDAP.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import orjson

from shortlist.component import InputError
from shortlist.serve.store._store import Record, digest, forgotten
from shortlist.serve.store.scrub import DELETED, hold, scrubbed, share

LARGEST = 64 << 30
"""Bytes of address space; the file itself is only as large as what it holds."""
_LAST = b"last"


class Lmdb:
    """Four tables in one file: records by sequence, event ids, each user's sequences, and the last sequence.

    A write is one transaction that is on the disk when it returns. Deleted records leave free pages; the next start
    that has the store for itself writes the file without them (``scrub``).
    """

    def __init__(self, env: Any, held: int):
        self._env, self._held = env, held
        with _refusing(env.path()):
            self._records = env.open_db(b"records")
            self._ids = env.open_db(b"ids")
            self._users = env.open_db(b"users", dupsort=True, dupfixed=True)
            self._meta = env.open_db(b"meta")

    @staticmethod
    def open(folder: Path) -> Lmdb:
        """Opens or makes the directory; raises ``InputError`` if it cannot be written or is no store."""
        with _refusing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held, alone = hold(folder)
            try:
                env = lmdb.open(str(folder), map_size=LARGEST, max_dbs=4, max_readers=512)
                if alone:
                    env = scrubbed(env, folder, LARGEST)
                    share(held)
                return Lmdb(env, held)
            except BaseException:
                os.close(held)  # or nobody else ever opens it
                raise

    def append(self, records: Sequence[Record]) -> int:
        """See ``Store``."""
        with _refusing(self._env.path()), self._env.begin(write=True) as txn:
            first = last = self._last(txn)
            for record in records:
                key = digest(record["id"]) if record.get("id") is not None else None
                if key is not None and txn.get(key, db=self._ids) is not None:
                    continue
                last += 1
                sequence = last.to_bytes(8, "big")
                if key is not None:
                    txn.put(key, sequence, db=self._ids)
                if record.get("user") is not None:
                    txn.put(digest(record["user"]), sequence, db=self._users)
                txn.put(sequence, orjson.dumps(record), db=self._records, append=True)
            txn.put(_LAST, last.to_bytes(8, "big"), db=self._meta)
        return last - first

    def last(self) -> int:
        """See ``Store``."""
        with self._env.begin() as txn:
            return self._last(txn)

    def read(self, after: int) -> list[Record]:
        """See ``Store``."""
        found = []
        with self._env.begin() as txn, txn.cursor(db=self._records) as cursor:
            if cursor.set_range((after + 1).to_bytes(8, "big")):
                for key, value in cursor:
                    found.append({**orjson.loads(value), "sequence": int.from_bytes(key, "big")})
        return found

    def forget(self, user: str, until: int) -> int:
        """See ``Store``."""
        key, gone = digest(user), 0
        with self._env.begin(write=True) as txn:
            with txn.cursor(db=self._users) as cursor:
                sequences = [bytes(value) for value in cursor.iternext_dup()] if cursor.set_key(key) else []
            for sequence in sequences:
                record = orjson.loads(txn.get(sequence, db=self._records))
                if record.get("id") is not None:
                    txn.delete(digest(record["id"]), db=self._ids)
                gone += txn.delete(sequence, db=self._records)
            txn.delete(key, db=self._users)
            note = (self._last(txn) + 1).to_bytes(8, "big")
            txn.put(note, orjson.dumps(forgotten(user, until)), db=self._records)
            txn.put(_LAST, note, db=self._meta)
            if gone:
                txn.put(DELETED, b"", db=self._meta)
        return gone

    def close(self) -> None:
        """See ``Store``."""
        self._env.close()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _last(self, txn: Any) -> int:
        return int.from_bytes(txn.get(_LAST, b"\0", db=self._meta), "big")


@contextmanager
def _refusing(folder: Path | str) -> Iterator[None]:
    """What the disk or LMDB has against a store, as one line."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise InputError(f"store {folder}: cannot be used: {error}") from error
