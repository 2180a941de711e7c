"""The funnel, in two halves, and what is handed on in it."""

from shortlist.pipeline.averaged import AND, Averaged, averaged, joined, members
from shortlist.pipeline.pipeline import DENSE, SPARE, Pipeline
from shortlist.pipeline.trace import Observer, Recalled, Trace

__all__ = [
    "AND",
    "DENSE",
    "SPARE",
    "Averaged",
    "Observer",
    "Pipeline",
    "Recalled",
    "Trace",
    "averaged",
    "joined",
    "members",
]
