"""Worlds of two policies: what one of them showed by chance, and the true worth of the other.

Users ask several times, and some click more than others, so their rounds hang together. Users belong to segments that
like different items.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from shortlist.offpolicy.reward import Expected, folds
from shortlist.offpolicy.rounds import Rounds
from shortlist.types import Array, Float64, Int64

SEGMENTS, ITEMS, SHELF, PLACES = 4, 10, 5, 3


@dataclass(frozen=True, slots=True)
class SlateWorld:
    """Slates of ``PLACES`` items of a shelf, drawn without putting back, and what they are worth."""

    slate: Int64  # [rows]
    reward: Float64  # [rows]
    logged: Float64  # [rows] chance of the item at its place under the logged policy
    target: Float64  # [rows] likewise under the new one
    logged_given: Float64  # [rows] those chances given the rows above
    target_given: Float64  # [rows]
    truth: float  # rewards a slate under the new policy


def rounds(seed: int, users: int = 300, *, knows: bool = False) -> tuple[Rounds, float]:
    """Single items: the log with a cross-fitted model, and the mean reward that the new policy would get.

    ``knows``: the model is told the segments, else it is wrong.
    """
    rng = np.random.default_rng([seed, 1])
    clicks = rng.uniform(0.02, 0.6, (SEGMENTS, ITEMS))
    logging, target = _policy(rng, clicks, 3.0, 0.3), _policy(rng, clicks, 8.0, 0.1)
    user = np.repeat(np.arange(users), rng.integers(1, 7, users))
    segment, eager = rng.integers(0, SEGMENTS, users)[user], rng.choice([0.4, 1.6], users)[user]
    item = _drawn(rng, logging[segment])
    reward = (rng.random(len(user)) < eager * clicks[segment, item]).astype(np.float64)
    fold, nowhere = folds(user, seed), np.zeros(len(user), np.int64)
    first = ITEMS * segment if knows else np.zeros_like(segment)  # what the model takes for an item
    model = Expected.fit(first + item, nowhere, reward, fold, SEGMENTS * ITEMS, 0)
    each = np.stack([model.of(first + a, nowhere, fold) for a in range(ITEMS)], axis=1)
    rows = np.arange(len(user))
    log = Rounds(
        reward, logging[segment, item], target[segment, item], user, each[rows, item], (target[segment] * each).sum(1)
    )
    return log, float((target * clicks).sum(1).mean())


def slates(seed: int, n: int = 1500, *, cascade: bool) -> SlateWorld:
    """The new policy likes items 0, 2 and 4. ``cascade``: an item is clicked a third as often right below one as even,
    or odd, as itself, so that the new policy's slates are worth less than their items; else the rows above are
    nothing to it."""
    rng = np.random.default_rng([seed, 2])
    clicks, seen = rng.uniform(0.05, 0.4, SHELF), np.array([1.0, 0.7, 0.5])
    lists = np.array(list(permutations(range(SHELF), PLACES)))  # [lists, PLACES]
    like = np.hstack([np.zeros((len(lists), 1), bool), lists[:, 1:] % 2 == lists[:, :-1] % 2])
    chance = clicks[lists] * seen * np.where(like & cascade, 1 / 3, 1.0)
    even = np.where(np.arange(SHELF) % 2 == 0, 4.0, 1.0)
    odds = {"logged": rng.uniform(1, 3, SHELF), "target": even * rng.uniform(1, 2, SHELF)}
    given = {name: _down(each, lists) for name, each in odds.items()}
    whole = {name: steps.prod(1) for name, steps in given.items()}  # [lists]
    shown = rng.choice(len(lists), n, p=whole["logged"])
    alone = {}
    for name, weight in whole.items():
        at = np.stack([np.bincount(lists[:, k], weight, SHELF) for k in range(PLACES)], axis=1)  # [SHELF, PLACES]
        alone[name] = at[lists[shown], np.arange(PLACES)].ravel()
    return SlateWorld(
        np.repeat(np.arange(n), PLACES),
        (rng.random((n, PLACES)) < chance[shown]).astype(np.float64).ravel(),
        alone["logged"],
        alone["target"],
        given["logged"][shown].ravel(),
        given["target"][shown].ravel(),
        float(np.sum(whole["target"] * chance.sum(1))),
    )


def _policy(rng: Any, clicks: Float64, sharp: float, even: float) -> Float64:
    """[SEGMENTS, ITEMS]: softmax of what somebody believes of the clicks, mixed with an even choice."""
    odds = np.exp(sharp * (clicks + rng.normal(0, 0.1, clicks.shape)))
    chance: Float64 = (1 - even) * odds / odds.sum(1, keepdims=True) + even / ITEMS
    return chance


def _drawn(rng: Any, chance: Float64) -> Int64:
    """[m]: an item of each row of chances [m, ITEMS]."""
    drawn: Int64 = (rng.random(len(chance))[:, None] > np.cumsum(chance, axis=1)).sum(1)
    return np.minimum(drawn, chance.shape[1] - 1)


def _down(odds: Float64, lists: Array) -> Float64:
    """[lists, PLACES]: chance of each item given those above, drawn by ``odds`` without putting back."""
    above = np.hstack([np.zeros((len(lists), 1)), np.cumsum(odds[lists], axis=1)[:, :-1]])
    steps: Float64 = odds[lists] / (odds.sum() - above)
    return steps
