"""What was shown, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from shortlist.types import Array, Float32, Int32, Int64

SHOWN_AT = "shown.position"
"""Column of candidates that come from what was shown: the place on the slate, from 1."""
PROPENSITY = "shown.propensity"
"""Likewise: the chance with which the item was shown at that place; NaN = not known."""
PROPENSITY_GIVEN = "shown.propensity_given"
"""Likewise: that chance given the rows above it on the slate."""


@dataclass(frozen=True, slots=True)
class Exposures:
    """Rows of what was shown, in time order; rows of equal time keep their order. Each row is one exposure."""

    user: Int32  # [m] identity code, -1 = nobody known
    item: Int32  # [m]
    time: Int64  # [m] ascending
    position: Float32  # [m] place on the slate, from 1; NaN = not known

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: Array | slice) -> Exposures:
        """Some of the rows; the caller keeps them in time order."""
        return Exposures(self.user[rows], self.item[rows], self.time[rows], self.position[rows])

    @staticmethod
    def of(user: Array, item: Array, time: Array, position: Array | None = None) -> Exposures:
        """Sorts by time (stable), without a copy if it is sorted."""
        time = np.asarray(time, np.int64)
        position = np.full(len(time), np.nan, np.float32) if position is None else np.asarray(position, np.float32)
        rows = Exposures(np.asarray(user, np.int32), np.asarray(item, np.int32), time, position)
        return rows if (time[1:] >= time[:-1]).all() else rows.take(np.argsort(time, kind="stable"))

    @staticmethod
    def none() -> Exposures:
        """Nothing was shown."""
        return Exposures.of(np.empty(0), np.empty(0), np.empty(0))

    @staticmethod
    def read(frame: pl.DataFrame) -> Exposures:
        """From a frame of codes as ``Dataset.exposures`` is one."""
        position = frame["position"].fill_null(float("nan")).to_numpy() if "position" in frame.columns else None
        return Exposures.of(frame["user"].to_numpy(), frame["item"].to_numpy(), frame["time"].to_numpy(), position)

    def frame(self) -> pl.DataFrame:
        """The inverse of ``read``."""
        return pl.DataFrame({"user": self.user, "item": self.item, "time": self.time, "position": self.position})

    @staticmethod
    def concat(parts: list[Exposures]) -> Exposures:
        """All rows, sorted by time; of equal times, those of an earlier part first."""
        columns = ("user", "item", "time", "position")
        return Exposures.of(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
