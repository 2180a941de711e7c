"""What the recall channels and the merge said about a row, without their scales."""

from __future__ import annotations

import numpy as np

from shortlist.component import Feature
from shortlist.data import State
from shortlist.features import _rows
from shortlist.types import Array, Candidates, Float32, Requests

PARTS = ("score", "rank", "dense")
COLUMNS = ("found", "rank", "percentile", "ratio", "dense.percentile", "dense.ratio", "dense.z")


class Channel(Feature):
    """Scale-free views of every channel's score and rank: which found the row, how high, and how many did.

    For a channel c: ``c.found`` (0 or 1); ``c.rank`` in its own list; ``c.percentile`` = 1 - (rank - 1/2) / deepest
    rank of the request; ``c.ratio`` = score / best score it gave the request; and from its score of every row
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
        wanted = [f"{name}.{part}" for part in PARTS for name in names]
        said = _stacked(candidates, ["score", *wanted])
        merged, (score, rank, dense) = said[0], said[1:].reshape(len(PARTS), len(names), m)
        columns, over = np.empty((len(COLUMNS), len(names), m), np.float32), np.empty((3, m), np.float32)
        _rows.channels(offsets, score, rank, dense, columns, over)
        _rows.percentiles(offsets, dense, columns[COLUMNS.index("dense.percentile")])
        ratio = np.empty(m, np.float32)
        _rows.of_best(offsets, merged, ratio)
        place = (candidates.positions() + 1).astype(np.float32)
        out: dict[str, Array] = {
            f"channel.{name}.{column}": columns[k, c]
            for c, name in enumerate(names)
            for k, column in enumerate(COLUMNS)
        }
        out["channel.found"], out["channel.best_rank"], out["channel.fusion"] = over
        out["channel.merge.rank"] = place
        out["channel.merge.percentile"] = (1 - (place - 0.5) / np.diff(offsets)[candidates.request]).astype(np.float32)
        out["channel.merge.ratio"] = ratio
        return out


def _discovered(candidates: Candidates) -> list[str]:
    """Every name with a rank and a score (this feature's own columns have ranks too)."""
    ranked = [name.removesuffix(".rank") for name in candidates.columns if name.endswith(".rank")]
    return sorted(name for name in ranked if f"{name}.score" in candidates and not name.startswith("channel."))


def _stacked(candidates: Candidates, names: list[str]) -> Float32:
    """[len(names), m]: the columns, what is not finite as NaN; all NaN where there is none of that name."""
    out = np.full((len(names), len(candidates)), np.nan, np.float32)
    if all(name in candidates.columns for name in names):
        np.concatenate([candidates[name] for name in names], out=out.reshape(-1), casting="unsafe")
    else:
        for row, name in zip(out, names, strict=True):
            if name in candidates:
                row[:] = candidates[name]
    out[np.isinf(out)] = np.nan
    return out
