"""How far slates are from what a rule is for, and what that is in words."""

from __future__ import annotations

import re

import numpy as np

from shortlist.component import Aims, HardRule, Rule, able
from shortlist.data import State
from shortlist.types import Candidates, Float64, Requests

EMPTY = "the share of places that nothing stands at"
"""What is missed by a rule that does not say what it is for."""


def missed(rule: Rule | HardRule, requests: Requests, slate: Candidates, state: State, k: int) -> Float64:
    """[n]: 0 where the first ``k`` rows of a slate reach the rule's aim; NaN where it has none for a request."""
    if aim := able(rule, Aims):
        return np.asarray(aim.missed(requests, slate, state), np.float64)
    rows = np.bincount(slate.request, minlength=len(requests))
    full = rule.room(k) if isinstance(rule, Rule) else k
    return np.asarray(1 - np.minimum(rows / full, 1), np.float64)


def told_of(rule: Rule | HardRule) -> str:
    """What is missed, in the words of the rule's docstring: what follows "Missed:" up to the full stop."""
    for kind in type(rule).__mro__:
        if found := re.search(r"\bMissed:\s*(.+?)\.(?:\s|\Z)", kind.__doc__ or "", re.S):
            return " ".join(found.group(1).split())
    return EMPTY
