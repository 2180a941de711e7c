"""Identity codes: raw ids are strings outside and small integers inside.

Codes follow the sorted order of the raw ids of catalogue and log together, so neither the order of arrival nor a count
hides in them. Ids first met while serving are appended after the last code; a model never learned anything about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from shortlist.types import Int32


class Vocab:
    """A two-way map between raw ids and codes 0..n-1."""

    def __init__(self, ids: Sequence[str]):
        self._ids = list(ids)
        self._codes: dict[str, int] | None = None

    @staticmethod
    def of(*columns: pl.Series) -> Vocab:
        """The vocabulary of all ids in ``columns``, nulls left out, sorted by raw id."""
        return Vocab(pl.concat([c.cast(pl.String) for c in columns]).drop_nulls().unique().sort().to_list())

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> list[str]:
        """Raw ids in the order of their codes."""
        return self._ids

    def encode(self, column: pl.Series) -> Int32:
        """[n] codes; -1 for a null or an id not known."""
        known = pl.DataFrame({"id": pl.Series(self._ids, dtype=pl.String)}).with_row_index("code")
        frame = pl.DataFrame({"id": column.cast(pl.String)}).join(known, on="id", how="left", maintain_order="left")
        return frame["code"].cast(pl.Int32).fill_null(-1).to_numpy()

    def code(self, raw: str) -> int:
        """The code of one id; -1 if it is not known."""
        return self._lookup().get(raw, -1)

    def add(self, raw: str) -> int:
        """The code of one id, given the next free one if it is new."""
        lookup = self._lookup()
        code = lookup.setdefault(raw, len(self._ids))
        if code == len(self._ids):
            self._ids.append(raw)
        return code

    def forget(self, raw: str) -> int:
        """Takes an id off its code, which nobody is given again; the code, or -1 if the id is not known."""
        code = self._lookup().pop(raw, -1)
        if code >= 0:
            self._ids[code] = ""  # an id on no interface
        return code

    def decode(self, codes: Iterable[int]) -> list[str]:
        """Raw ids of ``codes``."""
        return [self._ids[code] for code in codes]

    def _lookup(self) -> dict[str, int]:
        if self._codes is None:
            self._codes = {raw: code for code, raw in enumerate(self._ids) if raw}  # "": forgotten
        return self._codes


def codes_of(values: np.ndarray, n: int) -> Int32:
    """``values`` with everything outside 0..n-1 replaced by -1."""
    return np.where((values >= 0) & (values < n), values, -1).astype(np.int32)
