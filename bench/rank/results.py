"""Rows of this folder's tables."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # a bench is run as a script, so only its own folder is searched

import measured  # noqa: E402

RESULTS = HERE / "results"
LIBRARIES = ("torch", "xgboost-cpu", "scikit-learn", "deepctr-torch", "torch-rechub")

provenance = partial(measured.provenance, "bench/rank/run.py", LIBRARIES)
keep = partial(measured.keep, RESULTS)
kept = partial(measured.kept, RESULTS)
say = measured.say
