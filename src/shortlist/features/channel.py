"""What the recall channels and the merge said about a row, without their scales."""

from __future__ import annotations

import numpy as np

from shortlist.component import Feature
from shortlist.data import State
from shortlist.features import _rows
from shortlist.types import Array, Candidates, Float32, Int64, Requests


class Channel(Feature):
    """Scale-free views of every channel's score and rank: which found the row, how high, and how many did.

    For a channel c: ``c.found`` (0 or 1); ``c.rank`` in its own list; ``c.percentile`` = place of its score among the
    rows it found for the request; ``c.ratio`` = score / best score it gave the request; and from its score of every row
    (``c.dense``, also of rows it did not find) ``.percentile``, ``.ratio`` and ``.z`` = (score - mean) / sd over the
    request. Over all channels: ``found`` (how many), ``best_rank``, ``fusion`` = sum of 1 / (60 + rank); of the merge:
    ``merge.rank``, ``merge.percentile``, ``merge.ratio``. NaN where a channel was silent, failed or has no score. Only
    these forms may feed a ranker, since channels are refitted after it was trained and their raw scores move.

    Source: Cormack, Clarke and Buettcher (2009), Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods.
    """

    channels: list[str] | None = None
    """The channels' names; filled in from the recipe, so that a channel that fails leaves empty columns, not none."""

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``channel.*``, each [m]."""
        m = len(candidates)
        offsets = candidates.offsets(len(requests))
        names = self.channels if self.channels is not None else _discovered(candidates)
        out: dict[str, Array] = {}
        found, fusion = np.zeros(m, np.float32), np.zeros(m, np.float32)
        best = np.full(m, np.nan, np.float32)
        for name in names:
            rank = _column(candidates, f"{name}.rank")
            score = _column(candidates, f"{name}.score")
            heard = ~np.isnan(rank)
            found += heard
            best = np.fmin(best, rank)
            fusion += np.where(heard, 1 / (60 + rank), 0)
            own = f"channel.{name}"
            out[f"{own}.found"] = heard.astype(np.float32)
            out[f"{own}.rank"] = rank
            out[f"{own}.percentile"] = _percentile(offsets, score)
            out[f"{own}.ratio"] = _relative(offsets, score)[0]
            dense = _column(candidates, f"{name}.dense")
            out[f"{own}.dense.percentile"] = _percentile(offsets, dense)
            out[f"{own}.dense.ratio"], out[f"{own}.dense.z"] = _relative(offsets, dense)
        out["channel.found"], out["channel.best_rank"], out["channel.fusion"] = found, best, fusion
        place = candidates.positions()
        merged = _column(candidates, "score")
        out["channel.merge.rank"] = (place + 1).astype(np.float32)
        out["channel.merge.percentile"] = ((place + 0.5) / np.diff(offsets)[candidates.request]).astype(np.float32)
        out["channel.merge.ratio"] = _relative(offsets, merged)[0]
        return out


def _discovered(candidates: Candidates) -> list[str]:
    """Every name with a rank and a score (this feature's own columns have ranks too)."""
    ranked = [name.removesuffix(".rank") for name in candidates.columns if name.endswith(".rank")]
    return sorted(name for name in ranked if f"{name}.score" in candidates and not name.startswith("channel."))


def _column(candidates: Candidates, name: str) -> Float32:
    """The column as float32 with what is not finite as NaN; all NaN where there is none."""
    if name not in candidates:
        return np.full(len(candidates), np.nan, np.float32)
    column = np.asarray(candidates[name], np.float32)
    return np.where(np.isfinite(column), column, np.float32(np.nan))


def _percentile(offsets: Int64, values: Float32) -> Float32:
    out = np.empty(len(values), np.float32)
    _rows.percentile(offsets, values, out)
    return out


def _relative(offsets: Int64, values: Float32) -> tuple[Float32, Float32]:
    ratio, z = np.empty(len(values), np.float32), np.empty(len(values), np.float32)
    _rows.relative(offsets, values, ratio, z)
    return ratio, z
