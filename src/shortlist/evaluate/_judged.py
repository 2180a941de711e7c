"""What scores are worth by themselves: do right rows score above wrong ones, and does a probability hold?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shortlist.metrics.ranking import auc, calibration_error, calibration_ratio, gauc, log_loss
from shortlist.questions import is_target
from shortlist.types import Bool, Candidates, Float32, Int64, Ragged


@dataclass(frozen=True, slots=True)
class Judged:
    """Every row that a stage ordered: whose request, whether it is a target, its score."""

    request: Int64  # [m]
    right: Bool  # [m]
    score: Float32  # [m]

    @staticmethod
    def of(rows: Candidates, targets: Ragged, first: int) -> Judged:
        """The rows of requests numbered from ``first``."""
        score = np.asarray(rows["score"], np.float32)
        told = np.isfinite(score)
        return Judged(rows.request[told].astype(np.int64) + first, is_target(rows, targets)[told], score[told])

    @staticmethod
    def concat(parts: Sequence[Judged]) -> Judged:
        """The rows of all parts."""
        return Judged(
            np.concatenate([part.request for part in parts]),
            np.concatenate([part.right for part in parts]),
            np.concatenate([part.score for part in parts]),
        )

    def figures(self, predicts: bool) -> dict[str, float]:
        """AUC over all rows, GAUC within each request; of probabilities (``predicts``) log loss and calibration too."""
        found = {
            "auc": auc(self.right, self.score),
            "gauc": gauc(self.right, self.score, self.request),
        }
        if predicts:
            found["log_loss"] = log_loss(self.right, self.score)
            found["calibration_error"] = calibration_error(self.right, self.score)
            found["calibration_ratio"] = calibration_ratio(self.right, self.score)
        return found
