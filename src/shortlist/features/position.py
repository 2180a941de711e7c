"""Where the row was shown, in samples of what was shown; what everybody is taken to look at, when scoring."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import State
from shortlist.data.exposures import SHOWN_AT
from shortlist.types import Array, Candidates, Requests


class Position(Feature):
    """``position.shown`` = log(position) of the display that the label comes from; log(``serve_as``) everywhere else.

    People click what stands on top, so a ranker trained on clicks learns the old ranker's order. Given the position as
    a column it can put that part of a click down to the place, and scores all candidates as if in the same place. For
    ``samples.source = "exposures"``; with rows of the funnel it is a constant.

    Source: Ling et al. (2017), Model Ensemble for Click Prediction in Bing Search Ads (position as a feature, fixed
    when scoring); Zinkevich (2023), Rules of Machine Learning, rule 36.
    """

    serve_as: Annotated[float, Field(ge=1)] = 1.0
    """The position (from 1) that a candidate is scored as if it stood in."""

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """The column ``position.shown`` [m]."""
        shown = candidates.columns.get(SHOWN_AT)
        place = np.full(len(candidates), self.serve_as) if shown is None else np.where(shown >= 1, shown, self.serve_as)
        return {"position.shown": np.log(place).astype(np.float32)}
