"""What off-policy estimators read: what was shown by chance, what came of it, how likely a new policy shows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shortlist.component import InputError
from shortlist.types import Array, Float64


@dataclass(frozen=True, slots=True)
class Rounds:
    """m rounds: in round i the logged policy showed item a_i in situation x_i (who, when, at which place).

    Raises ``InputError`` naming the first round that cannot be: a reward that is no number, ``logged`` outside (0, 1],
    ``target`` outside [0, 1], columns of different lengths.
    """

    reward: Float64  # [m] r_i
    logged: Float64  # [m] p_i = chance with which the logged policy showed a_i in x_i
    target: Float64  # [m] chance with which the new policy would
    cluster: Array  # [m] whose round: rounds of one cluster hang together, so clusters are what intervals draw
    expected: Float64 | None = None  # [m] q(x_i, a_i): what a model expects of what was shown
    value: Float64 | None = None  # [m] sum over items a of target(a | x_i) q(x_i, a): what it expects of the new policy

    def __post_init__(self) -> None:
        model = ("expected", "value") if self.modelled else ()
        for name in ("logged", "target", "cluster", *model):
            column, m = getattr(self, name), len(self.reward)
            if column is None or len(column) != m:
                found = "none" if column is None else f"{len(column):,}"
                raise InputError(f"{name}: expected {m:,} values, as many as rewards, found {found}")
        for name in ("reward", *model):
            column = getattr(self, name)
            _refuse(name, column, ~np.isfinite(column), "a finite number")
        _refuse("logged", self.logged, ~((self.logged > 0) & (self.logged <= 1)), "a chance above 0 and at most 1")
        _refuse("target", self.target, ~((self.target >= 0) & (self.target <= 1)), "a chance from 0 to 1")

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def modelled(self) -> bool:
        """Whether a model of the reward takes part."""
        return self.expected is not None or self.value is not None

    @property
    def weight(self) -> Float64:
        """[m]: w_i = target_i / logged_i."""
        return self.target / self.logged


def _refuse(name: str, column: Array, wrong: Array, expected: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{name}: round {row + 1}: expected {expected}, found {column[row]:g}")
