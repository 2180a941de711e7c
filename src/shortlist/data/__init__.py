"""The log, its catalogue, and what was known at a time."""

from shortlist.data.dataset import FOREVER, Dataset, Signal
from shortlist.data.events import Behaviours, Events
from shortlist.data.exposures import Exposures
from shortlist.data.shown import Shown
from shortlist.data.state import State
from shortlist.data.table import MISSING_TIME, Codes, Dated, Dense, Table
from shortlist.data.vocab import Vocab

__all__ = [
    "FOREVER",
    "MISSING_TIME",
    "Behaviours",
    "Codes",
    "Dataset",
    "Dated",
    "Dense",
    "Events",
    "Exposures",
    "Shown",
    "Signal",
    "State",
    "Table",
    "Vocab",
]
