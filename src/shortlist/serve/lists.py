"""The lists of a run's evaluation (``rows.parquet``) without the ids of people who were deleted."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from shortlist.bundle import locked


@contextmanager
def nameless(run: Path, gone: Callable[[str], bool]) -> Iterator[None]:
    """Once the block has ended well, the rows of users who are ``gone`` bear a number that leads to nobody.

    The rows stay, by request, so that every figure made of them does too. That they can be written is known before the
    block begins. Raises ``OSError`` if not; a run without lists has nothing to do.
    """
    file, fresh = run / "rows.parquet", run / ".rows.parquet"  # what a killed process left there goes with the next
    if not file.is_file():
        yield
        return
    with locked(run):
        try:
            known = pl.scan_parquet(file).select(pl.col("user").unique()).collect()["user"]
        except pl.exceptions.PolarsError as error:
            raise OSError(f"{file}: cannot be read, take it away: {error}") from error
        named = {user: f"deleted {secrets.token_hex(8)}" for user in known if user is not None and gone(user)}
        try:
            if named:
                pl.read_parquet(file).with_columns(pl.col("user").replace(named)).write_parquet(fresh)
            yield
            if named:
                os.replace(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)


__all__ = ["nameless"]
