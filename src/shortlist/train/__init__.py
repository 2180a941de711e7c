"""From a recipe to a published bundle and its evaluation."""

from shortlist.train.funnel import Fitted, fit, load, peak_memory, versions
from shortlist.train.merge import fit_merge
from shortlist.train.schedule import Cuts, Schedule, as_asked

__all__ = ["Cuts", "Fitted", "Schedule", "as_asked", "fit", "fit_merge", "load", "peak_memory", "versions"]
