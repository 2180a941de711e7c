"""The embedded store: one LMDB directory, read and written by all processes of one host.

Source: Chu (2011), MDB: A Memory-Mapped Database and Backend for OpenLDAP.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import orjson

from shortlist.component import InputError
from shortlist.serve.store._store import Record, Unavailable, digest, forgotten, name
from shortlist.serve.store.scrub import DELETED, TABLES, hold, scrubbed, share

LARGEST = 64 << 30
"""Bytes of address space; the file itself is only as large as what it holds."""
PIECE = 10_000
"""Answers read at a time."""
LARGEST_TRIM = 50_000
"""Answers removed in one transaction: nobody else writes meanwhile."""
_LAST, _OWNER, _LAST_ANSWER = b"last", b"owner", b"last answer"
_READ_ALL = """
import lmdb, os, sys
env = lmdb.open(sys.argv[1], readonly=True, lock=False, max_dbs=8, map_size=int(sys.argv[2]))
env.copyfd(os.open(os.devnull, os.O_WRONLY), compact=True)
"""


class Lmdb:
    """Tables in one file: records by sequence, event ids, each user's sequences, and the last sequence; answers by a
    sequence of their own, each user's, and until when users were deleted.

    A write is one transaction that is on the disk when it returns. Deleted records leave free pages; the next start
    that has the store for itself writes the file without them (``scrub``).

    The file is looked at before it is read and after it was written: LMDB goes on with a file that was removed, and
    what is written to it is gone with the process; to read what was cut off kills the process.
    """

    epoch = ""  # what the file holds is only lost with the file, and then this store is no longer available

    def __init__(self, env: Any, folder: Path, held: int):
        self._env, self._folder, self._held = env, folder, held
        with _refusing(folder):
            self._records = env.open_db(b"records")
            self._ids = env.open_db(b"ids")
            self._users = env.open_db(b"users", dupsort=True, dupfixed=True)
            self._meta = env.open_db(b"meta")
            self._answers = env.open_db(b"answers")
            self._answered = env.open_db(b"answered", dupsort=True, dupfixed=True)
            self._forgotten = env.open_db(b"forgotten")
            self._files, self._size = _files(folder)

    @staticmethod
    def open(folder: Path) -> Lmdb:
        """Opens or makes the directory; raises ``InputError`` if it cannot be written or is no whole store."""
        with _refusing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held, alone = hold(folder)
            try:
                _refuse_empty(folder / "data.mdb")
                env = lmdb.open(str(folder), map_size=LARGEST, max_dbs=len(TABLES), max_readers=512)
                _refuse_truncated(env, folder)
                if alone:
                    env = scrubbed(env, folder, LARGEST)
                    share(held)
                return Lmdb(env, folder, held)
            except BaseException:
                os.close(held)  # or nobody else ever opens it
                raise

    def append(self, records: Sequence[Record]) -> int:
        """See ``Store``."""
        with self._available(), self._env.begin(write=True) as txn:
            first = last = self._last(txn)
            for record in records:
                key = name(record)
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
        self._look()  # the file may have gone while this was writing
        return last - first

    def last(self) -> int:
        """See ``Store``."""
        with self._available(), self._env.begin() as txn:
            return self._last(txn)

    def read(self, after: int) -> list[Record]:
        """See ``Store``."""
        found = []
        with self._available(), self._env.begin() as txn, txn.cursor(db=self._records) as cursor:
            if cursor.set_range((after + 1).to_bytes(8, "big")):
                for key, value in cursor:
                    found.append({**orjson.loads(value), "sequence": int.from_bytes(key, "big")})
        return found

    def log(self, answers: Sequence[Record]) -> int:
        """See ``Store``."""
        kept = 0
        with self._available(), self._env.begin(write=True) as txn:
            last = self._last(txn, _LAST_ANSWER)
            for answer in answers:
                user = None if answer.get("user") is None else digest(answer["user"])
                until = None if user is None else txn.get(user, db=self._forgotten)
                if until is not None and answer["time"] <= int.from_bytes(until, "big"):
                    continue
                last, kept = last + 1, kept + 1
                sequence = last.to_bytes(8, "big")
                if user is not None:
                    txn.put(user, sequence, db=self._answered)
                txn.put(sequence, orjson.dumps(answer), db=self._answers, append=True)
            txn.put(_LAST_ANSWER, last.to_bytes(8, "big"), db=self._meta)
        self._look()
        return kept

    def logged(self, after: int = 0) -> Iterator[Record]:
        """See ``Store``."""
        while True:  # in pieces: a long read keeps LMDB from using free pages again
            part: list[Record] = []
            with self._available(), self._env.begin() as txn, txn.cursor(db=self._answers) as cursor:
                if cursor.set_range((after + 1).to_bytes(8, "big")):
                    for key, value in cursor:
                        part.append({**orjson.loads(value), "sequence": int.from_bytes(key, "big")})
                        if len(part) == PIECE:
                            break
            if not part:
                return
            yield from part
            after = part[-1]["sequence"]

    def trim(self, before: int, most: int) -> int:
        """See ``Store``."""
        gone = 0
        with self._available(), self._env.begin(write=True) as txn, txn.cursor(db=self._answers) as cursor:
            surplus = txn.stat(self._answers)["entries"] - most
            while gone < LARGEST_TRIM and cursor.first():
                sequence, answer = cursor.item()
                known = orjson.loads(answer)
                if gone >= surplus and known["time"] >= before:
                    break
                if known.get("user") is not None:
                    txn.delete(digest(known["user"]), sequence, db=self._answered)
                cursor.delete()
                gone += 1
        self._look()
        return gone

    def holds(self, user: str) -> bool:
        """See ``Store``."""
        with self._available(), self._env.begin() as txn:
            return any(txn.get(digest(user), db=table) is not None for table in (self._users, self._answered))

    def forget(self, user: str, until: int) -> int:
        """See ``Store``."""
        key, gone = digest(user), 0
        with self._available(), self._env.begin(write=True) as txn:
            with txn.cursor(db=self._users) as cursor:
                sequences = [bytes(value) for value in cursor.iternext_dup()] if cursor.set_key(key) else []
            for sequence in sequences:
                record = orjson.loads(txn.get(sequence, db=self._records))
                if (known := name(record)) is not None:
                    txn.delete(known, db=self._ids)
                gone += txn.delete(sequence, db=self._records)
            txn.delete(key, db=self._users)
            with txn.cursor(db=self._answered) as cursor:
                answers = [bytes(value) for value in cursor.iternext_dup()] if cursor.set_key(key) else []
            gone += sum(txn.delete(sequence, db=self._answers) for sequence in answers)
            txn.delete(key, db=self._answered)
            txn.put(key, max(until, 0).to_bytes(8, "big"), db=self._forgotten)
            note = (self._last(txn) + 1).to_bytes(8, "big")
            txn.put(note, orjson.dumps(forgotten(user, until)), db=self._records)
            txn.put(_LAST, note, db=self._meta)
            if gone:
                txn.put(DELETED, b"", db=self._meta)
        self._look()
        return gone

    def owner(self) -> Record | None:
        """See ``Store``."""
        with self._available(), self._env.begin() as txn:
            found = txn.get(_OWNER, db=self._meta)
            return None if found is None else orjson.loads(found)

    def own(self, owner: Record) -> None:
        """See ``Store``."""
        with self._available(), self._env.begin(write=True) as txn:
            txn.put(_OWNER, orjson.dumps(owner), db=self._meta)

    def close(self) -> None:
        """See ``Store``."""
        self._env.close()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _last(self, txn: Any, key: bytes = _LAST) -> int:
        return int.from_bytes(txn.get(key, b"\0", db=self._meta), "big")

    @contextmanager
    def _available(self) -> Iterator[None]:
        self._look()
        try:
            yield
        except (lmdb.Error, OSError, orjson.JSONDecodeError) as error:
            raise Unavailable(f"store {self._folder}: {error}") from error

    def _look(self) -> None:
        """Raises ``Unavailable`` if the file that is open is not the one in the folder, or has become shorter."""
        known = self._size  # before the file is asked: another thread may make it longer at any time
        try:
            files, size = _files(self._folder)
        except OSError:
            files, size = (), 0
        if files != self._files:
            raise Unavailable(
                f"store {self._folder}: its files were removed or replaced while it was open; put them back, or start "
                "the service again"
            )
        if size < known:
            raise Unavailable(f"store {self._folder}: data.mdb was cut from {known} to {size} bytes while in use")
        self._size = size


def _files(folder: Path) -> tuple[tuple[int, ...], int]:
    """Which files these are, and how many bytes the one with the data has."""
    data, lock = os.stat(f"{folder}/data.mdb"), os.stat(f"{folder}/lock.mdb")
    return (data.st_dev, data.st_ino, lock.st_dev, lock.st_ino), data.st_size


def _refuse_empty(file: Path) -> None:
    """A file without a byte is made by LMDB into a new store, and nobody hears that the old one is gone."""
    if file.exists() and not file.stat().st_size:
        raise InputError(f"store {file.parent}: data.mdb is truncated: it has 0 bytes; put it back, or take it away")


def _refuse_truncated(env: Any, folder: Path) -> None:
    """Raises ``InputError`` if pages that are in use lie behind the end of the file.

    A whole file may end before the last page that was ever given out, so where it does, another process reads it all:
    reading what is not there ends a process on the spot.
    """
    size, needed = _files(folder)[1], (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    if size >= needed:
        return
    reading = subprocess.run(
        [sys.executable, "-c", _READ_ALL, str(folder), str(LARGEST)], capture_output=True, text=True, check=False
    )
    if reading.returncode:
        env.close()
        raise InputError(f"store {folder}: data.mdb is truncated: it has {size} bytes of {needed}")


@contextmanager
def _refusing(folder: Path | str) -> Iterator[None]:
    """What the disk or LMDB has against a store, as one line."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"store {folder}: cannot be used: {error}") from error
