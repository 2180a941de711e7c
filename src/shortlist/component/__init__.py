"""What a component is, what each stage asks of its own, and what some can do beside. ``registry`` finds them."""

from shortlist.component.component import Component, Search, explain
from shortlist.component.powers import (
    Aims,
    Blends,
    Compares,
    Explains,
    HasParts,
    HasTopics,
    HasVectors,
    Measured,
    ReadsItems,
    Reasons,
    Refits,
    Scores,
    Updates,
    able,
)
from shortlist.component.sound import MODERATE, refuse_unsound
from shortlist.component.stages import Feature, HardRule, Merge, Ranker, Retriever, Rule
from shortlist.types import InputError  # told by everybody who has anything to do with components

__all__ = [
    "Aims",
    "Blends",
    "Compares",
    "Component",
    "Explains",
    "Feature",
    "HardRule",
    "HasParts",
    "HasTopics",
    "HasVectors",
    "Measured",
    "InputError",
    "MODERATE",
    "Merge",
    "Ranker",
    "ReadsItems",
    "Reasons",
    "Refits",
    "Retriever",
    "Rule",
    "Scores",
    "Search",
    "Updates",
    "able",
    "explain",
    "refuse_unsound",
]
