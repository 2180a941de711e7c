"""Who is in which arm: a pure function of the user's id, the file's words and the moment.

Nothing is stored, so every process, every host and the analysis give the same answer, today and in a year.

A user's id is hashed once (BLAKE2b, 64 bits) and mixed with 64 bits of a salt by the finaliser of SplitMix64: numbers
of different salts are as good as independent. Each use has a salt of its own:

    hold-out    (file)                     u < share: in no experiment
    place       (file, layer)              u in the experiment's span, within the share its ramp has reached: in it
    arm         (file, layer, experiment)  which of the arms, by their weights

As place and arm are different numbers, a ramp that grows brings in more of each arm and moves nobody from one to
another, and an experiment that follows on the same span deals its users anew. A place is kept by its layer and not by
what else runs there, so that starting or stopping a neighbour changes nothing.

Source: Tang, Agarwal, O'Brien and Meyer (2010), Overlapping experiment infrastructure: more, better, faster
experimentation, KDD; Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate

import numpy as np

from shortlist.experiment.design import HELD, HOLD_OUT, OPEN, Design, Experiment
from shortlist.types import Array, Float64

_HELD = ("", "hold-out")
OUT = -1
"""The code of whoever is in no arm."""
UInt64 = Array
_ALL = 2**64 - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of SplitMix64."""


def hashed(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def keys(users: Sequence[str]) -> UInt64:
    """[n] 64 bits of each user's id."""
    return np.fromiter((hashed(user) for user in users), np.uint64, len(users))


def uniform(key: UInt64, *salt: str) -> Float64:
    """[n] numbers in [0, 1), one for each key [n]; those of two salts are independent."""
    word = np.uint64(_word(salt))
    x = key ^ word
    for _ in range(2):  # keys that differ by what two salts differ by must not trade places: hence twice
        x = x + np.uint64(_STEP)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(_FIRST)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(_SECOND)
        x = (x ^ (x >> np.uint64(31))) + word
    return np.asarray((x >> np.uint64(11)) * 2.0**-53, np.float64)


def _uniform(key: int, *salt: str) -> float:
    """``uniform`` of one key: an answer deals one user, and arrays of one cost fifty times as much."""
    word = _word(salt)
    x = key ^ word
    for _ in range(2):
        x = (x + _STEP) & _ALL
        x = ((x ^ (x >> 30)) * _FIRST) & _ALL
        x = ((x ^ (x >> 27)) * _SECOND) & _ALL
        x = ((x ^ (x >> 31)) + word) & _ALL
    return (x >> 11) * 2.0**-53


@lru_cache(maxsize=4096)
def _word(salt: tuple[str, ...]) -> int:
    """64 bits of a salt, whose words are told apart by their lengths: ("a", "bc") is another than ("ab", "c")."""
    return hashed("".join(f"{len(part)}:{part}" for part in salt))


def arms_of(design: Design, users: Sequence[str], time: int) -> dict[str, Array]:
    """For each experiment [n] the number of each user's arm at ``time`` (microseconds), ``OUT`` = in none of them.

    Testers are in the arms the file says until the experiment stops, and in nothing else of its layer.
    """
    key = keys(users)
    held = held_out(design, key)
    dealt = {name: _dealt(design, name, one, key, held, time) for name, one in design.experiments.items()}
    for row in [row for row, user in enumerate(users) if user in design.testers] if design.testers else []:
        for name, arm in design.testers[users[row]].items():
            chosen = design.experiments[name]
            if _over(chosen, time):
                continue
            for other, one in design.experiments.items():
                if one.layer == chosen.layer:
                    dealt[other][row] = OUT
            dealt[name][row] = list(chosen.arms).index(arm)
    return dealt


def held_out(design: Design, key: UInt64) -> Array:
    """[n] whether each is in no experiment at all."""
    return uniform(key, design.salt, *_HELD) < design.hold_out


def _dealt(design: Design, name: str, one: Experiment, key: UInt64, held: Array, time: int) -> Array:
    share = one.share_at(time)
    if not share:
        return np.full(len(key), OUT, np.int16)
    place = uniform(key, design.salt, "layer", one.layer)
    low, high = one.span
    inside = (place >= low) & (place < low + (high - low) * share) & ~held
    bounds = np.array(_bounds(one))
    draw = uniform(key, design.salt, "layer", one.layer, one.salt or name) * bounds[-1]
    arm = np.minimum(np.searchsorted(bounds, draw, side="right"), len(bounds) - 1)
    return np.where(inside, arm, OUT).astype(np.int16)


def told(design: Design, user: str | None, time: int) -> dict[str, str]:
    """Experiment -> arm of one user, as an answer says it and ``arms_of`` deals it.

    Nobody known is in none, since nothing would stick.
    """
    if user is None or not (design.experiments or design.hold_out):
        return {}
    key, own = hashed(user), design.testers.get(user, {})
    own = {name: arm for name, arm in own.items() if not _over(design.experiments[name], time)}
    taken = {design.experiments[name].layer for name in own}
    held = design.hold_out > 0 and _uniform(key, design.salt, *_HELD) < design.hold_out
    said: dict[str, str] = {}
    for name, one in design.experiments.items():
        if name in own:
            said[name] = own[name]
        elif not held and one.layer not in taken and (share := one.share_at(time)):
            low, high = one.span
            if low <= _uniform(key, design.salt, "layer", one.layer) < low + (high - low) * share:
                said[name] = _arm(one, _uniform(key, design.salt, "layer", one.layer, one.salt or name))
    if design.hold_out and user not in design.testers:
        said[HOLD_OUT] = HELD if held else OPEN
    return said


def _arm(one: Experiment, draw: float) -> str:
    """The arm a number in [0, 1) falls into."""
    names, bounds = list(one.arms), _bounds(one)
    return names[min(bisect_right(bounds, draw * bounds[-1]), len(names) - 1)]


def _bounds(one: Experiment) -> list[float]:
    return list(accumulate(arm.weight for arm in one.arms.values()))


def _over(one: Experiment, time: int) -> bool:
    return one.stop is not None and time >= one.stop


def weights(design: Design, experiment: str) -> Mapping[str, float]:
    """Arm -> the share of the experiment's users it should have; of the hold-out too."""
    if experiment == HOLD_OUT:
        return {OPEN: 1 - design.hold_out, HELD: design.hold_out}
    arms = design.experiments[experiment].arms
    whole = sum(arm.weight for arm in arms.values())
    return {name: arm.weight / whole for name, arm in arms.items()}


__all__ = ["OUT", "arms_of", "hashed", "held_out", "keys", "told", "uniform", "weights"]
