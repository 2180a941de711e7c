"""The funnel, in two halves, and what is handed on in it."""

from shortlist.pipeline.pipeline import DENSE, SPARE, Pipeline
from shortlist.pipeline.trace import Observer, Recalled, Trace

__all__ = ["DENSE", "SPARE", "Observer", "Pipeline", "Recalled", "Trace"]
