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

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np

from shortlist.experiment.design import HELD, HOLD_OUT, OPEN, Design, Experiment
from shortlist.types import Array, Float64

OUT = -1
"""The code of whoever is in no arm."""
UInt64 = Array


def hashed(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def keys(users: Sequence[str]) -> UInt64:
    """[n] 64 bits of each user's id."""
    return np.fromiter((hashed(user) for user in users), np.uint64, len(users))


def uniform(key: UInt64, *salt: str) -> Float64:
    """[n] numbers in [0, 1), one for each key [n]; those of two salts are independent.

    The words of a salt are told apart by their lengths: ("a", "bc") is another salt than ("ab", "c").
    """
    word = np.uint64(hashed("".join(f"{len(part)}:{part}" for part in salt)))
    x = key ^ word
    for _ in range(2):  # keys that differ by what two salts differ by must not trade places: hence twice
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = (x ^ (x >> np.uint64(31))) + word
    return np.asarray((x >> np.uint64(11)) * 2.0**-53, np.float64)


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
            if chosen.stop is not None and time >= chosen.stop:
                continue
            for other, one in design.experiments.items():
                if one.layer == chosen.layer:
                    dealt[other][row] = OUT
            dealt[name][row] = list(chosen.arms).index(arm)
    return dealt


def held_out(design: Design, key: UInt64) -> Array:
    """[n] whether each is in no experiment at all."""
    return uniform(key, design.salt, "", "hold-out") < design.hold_out


def _dealt(design: Design, name: str, one: Experiment, key: UInt64, held: Array, time: int) -> Array:
    share = one.share_at(time)
    if not share:
        return np.full(len(key), OUT, np.int16)
    place = uniform(key, design.salt, "layer", one.layer)
    low, high = one.span
    inside = (place >= low) & (place < low + (high - low) * share) & ~held
    bounds = np.cumsum([arm.weight for arm in one.arms.values()])
    draw = uniform(key, design.salt, "layer", one.layer, one.salt or name) * bounds[-1]
    arm = np.minimum(np.searchsorted(bounds, draw, side="right"), len(bounds) - 1)
    return np.where(inside, arm, OUT).astype(np.int16)


def told(design: Design, user: str | None, time: int) -> dict[str, str]:
    """Experiment -> arm of one user, as an answer says it; nobody known is in none, since nothing would stick."""
    if user is None or not (design.experiments or design.hold_out):
        return {}
    said = {
        name: list(design.experiments[name].arms)[codes[0]]
        for name, codes in arms_of(design, [user], time).items()
        if codes[0] != OUT
    }
    if design.hold_out and user not in design.testers:
        said[HOLD_OUT] = HELD if held_out(design, keys([user]))[0] else OPEN
    return said


def weights(design: Design, experiment: str) -> Mapping[str, float]:
    """Arm -> the share of the experiment's users it should have; of the hold-out too."""
    if experiment == HOLD_OUT:
        return {OPEN: 1 - design.hold_out, HELD: design.hold_out}
    arms = design.experiments[experiment].arms
    whole = sum(arm.weight for arm in arms.values())
    return {name: arm.weight / whole for name, arm in arms.items()}


__all__ = ["OUT", "arms_of", "hashed", "held_out", "keys", "told", "uniform", "weights"]
