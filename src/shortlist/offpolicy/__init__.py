"""What a policy would be worth, told from what another one showed by chance: estimators over arrays, and a recipe's."""

from shortlist.offpolicy.estimators import (
    Terms,
    clipped,
    direct,
    doubly_robust,
    inverse_propensity,
    self_normalised,
    switch,
)
from shortlist.offpolicy.overlap import Overlap
from shortlist.offpolicy.rounds import Rounds

__all__ = [
    "Overlap",
    "Rounds",
    "Terms",
    "clipped",
    "direct",
    "doubly_robust",
    "inverse_propensity",
    "self_normalised",
    "switch",
]
