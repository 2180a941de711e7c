"""Where live events are kept: a directory on this host, or a server shared by several hosts."""

from __future__ import annotations

from pathlib import Path

from shortlist.component import InputError
from shortlist.serve.store._store import Record, Store, Unavailable, digest, forgotten
from shortlist.serve.store.watch import Watch


def open_store(address: str | Path) -> Store:
    """Opens a directory (made if it is missing) or ``redis://host:port/db``; raises ``InputError`` if it cannot."""
    if str(address).startswith(("redis://", "rediss://", "unix://")):
        from shortlist.serve.store.redis import Redis

        return Redis.open(str(address))
    if "://" in str(address):
        raise InputError(f"store {address}: expected a directory or redis://HOST:PORT/DB")
    from shortlist.serve.store.lmdb import Lmdb

    return Lmdb.open(Path(address))


__all__ = ["Record", "Store", "Unavailable", "Watch", "digest", "forgotten", "open_store"]
