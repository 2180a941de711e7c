"""One writer at a time, whatever process it is in, and no reader while it writes.

The lock is on the folder itself (``flock``): it needs no file of its own, works on folders that may only be read, and
the kernel lets go of it when a process dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Waits until nobody else holds ``folder``, and holds it; ``shared``: beside others who hold it so.

    It does not nest: who holds a folder and asks for it again waits for ever. Raises ``OSError`` if there is no such
    folder, or the file system knows no locks.
    """
    while True:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(held), os.stat(folder)):  # else another was put in its place meanwhile
                yield
                return
        finally:
            os.close(held)
