"""From a recipe to a published bundle and its evaluation."""

from shortlist.train.funnel import Cuts, Fitted, fit, fit_merge, load, peak_memory, versions

__all__ = ["Cuts", "Fitted", "fit", "fit_merge", "load", "peak_memory", "versions"]
