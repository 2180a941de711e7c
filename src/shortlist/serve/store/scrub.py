"""A store's file without what was deleted from it.

LMDB frees pages and does not overwrite them, and pages in use keep stale bytes between their records. Only a file that
is written anew is without them, and it may only take the place of the old one while no process has that open. So every
process holds a lock for as long as it has the store open, and the first to open it writes the file anew if people were
deleted since it was written.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import lmdb

log = logging.getLogger("shortlist.serve")
DELETED = b"deleted"
"""In the table ``meta`` while the file may hold what was deleted."""
TABLES = {
    b"records": False, b"ids": False, b"users": True, b"meta": False,
    b"answers": False, b"answered": True, b"forgotten": False,
}  # fmt: skip
"""The tables, and whether a key of theirs has several values."""


def hold(folder: Path) -> tuple[int, bool]:
    """A lock, to be closed after the store, and whether nobody else has the store open; nor may until ``share``."""
    held = os.open(folder / "open.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(held, fcntl.LOCK_SH)
        return held, False
    return held, True


def share(held: int) -> None:
    """Lets others open the store too."""
    fcntl.flock(held, fcntl.LOCK_SH)


def scrubbed(env: Any, folder: Path, largest: int) -> Any:
    """The store opened, its file written anew if people were deleted; nobody else may have it open."""
    with env.begin() as txn:
        if txn.get(b"meta") is None or txn.get(DELETED, db=env.open_db(b"meta", txn=txn)) is None:
            return env
    fresh = folder / "fresh"
    try:
        shutil.rmtree(fresh, ignore_errors=True)  # of a process that was killed at it
        _copy(env, fresh, largest)
        env.close()
        os.replace(fresh / "data.mdb", folder / "data.mdb")
    except (lmdb.Error, OSError) as error:  # the store itself is as good as before
        log.warning("store %s: its file still holds people who were deleted: %s", folder, error)
    shutil.rmtree(fresh, ignore_errors=True)
    env.close()
    return lmdb.open(str(folder), map_size=largest, max_dbs=len(TABLES), max_readers=512)


def _copy(old: Any, fresh: Path, largest: int) -> None:
    with lmdb.open(str(fresh), map_size=largest, max_dbs=len(TABLES)) as new:
        for name, several in TABLES.items():
            source, target = (env.open_db(name, dupsort=several, dupfixed=several) for env in (old, new))
            with old.begin() as reads, new.begin(write=True) as writes, reads.cursor(db=source) as rows:
                for key, value in rows:
                    if (name, key) != (b"meta", DELETED):
                        writes.put(key, value, db=target)


__all__ = ["DELETED", "hold", "scrubbed", "share"]
