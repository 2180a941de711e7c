"""Memory between the steps of long work."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Returns what has been freed to the system (glibc; nothing elsewhere).

    Small arrays that were freed are otherwise kept, between others that are still in use, for arrays of their size.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim(0)
