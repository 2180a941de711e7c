"""Numbers by channel name, between a recipe, a fitted merge and the channels that answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from shortlist.component import InputError
from shortlist.types import Array, Float64


def check_names(field: str, given: Mapping[str, object] | None, channels: Iterable[str]) -> None:
    """Raises ``InputError`` where a recipe names a channel that it does not have."""
    known = sorted(channels)
    for name in given or {}:
        if name not in known:
            raise InputError(f"merge.{field}.{name}: no such recall channel; there are {', '.join(known) or 'none'}")


def weights_of(
    channels: Sequence[str], known: Sequence[str], learned: Array | None, given: Mapping[str, float]
) -> Float64:
    """[C]: the learned weight of each channel, else the one given, else the mean of the learned ones, else 1."""
    if learned is not None and list(channels) == list(known):
        return np.asarray(learned, np.float64)
    by_name = dict(given)
    default = 1.0
    if learned is not None and len(learned):
        by_name.update(zip(known, learned.tolist(), strict=True))
        default = float(learned.mean()) if not given else 1.0
    return np.array([by_name.get(name, default) for name in channels], np.float64)
