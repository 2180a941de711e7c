"""Steps that follow each other, learned on everything that was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from shortlist.nn.flat import Flat
from shortlist.nn.parallel import Towers
from shortlist.nn.tasks import chained
from shortlist.progress import emit
from shortlist.rank._tasks import TaskRanker
from shortlist.types import Array, Float32, Samples


class ESMM(TaskRanker):
    """ŷ_k = σ(z_1) ... σ(z_k), z_j = MLP_j([e_1 ... e_q, φ(x_1) ... φ(x_p)]): click, then click × conversion.

    ``labels`` are steps in their order, such as click, buy; the output of one is the chance that it and all before it
    are taken. σ(z_k), the chance of a conversion after a click, is never learned from clicks alone, which are no fair
    sample of what is shown: its product with what comes before is, on every row. Vectors are shared, so that the many
    rows without a click teach what the few conversions cannot. Where a step is not taken, no later one is, known or
    not. Without ``blend`` the score is the last output; ``buy / click`` is the chance of a conversion after a click.

    Source: Ma, Zhao, Huang, Wang, Hu, Zhu, Gai (2018), Entire Space Multi-Task Model: An Effective Approach for
    Estimating Post-Click Conversion Rate, SIGIR.
    """

    unblended: ClassVar[Literal["product", "last"]] = "last"

    def tasks(self, flat: Flat) -> nn.Module:
        """Untrained."""
        return _Net(flat, Towers(flat.size, self.hidden, self.shares_, **self.options()))

    def learn_labels(self, samples: Samples) -> Sequence[str]:
        """Keeps and returns the steps; warns of rows that took one without the one before it."""
        steps = super().learn_labels(samples)
        for before, step in pairwise(steps):
            if out := int(np.sum((samples.labels[step] > 0) & (samples.labels[before] <= 0))):
                told = f"labels: {out:,} of {len(samples):,} rows are {step!r} without {before!r} before it"
                emit("warning", message=f"{told}; they count as neither")
        return steps

    def truth(self, labels: Float32) -> Float32:
        """[m, K]: 1 where all steps up to the label's are taken, 0 where one of them is not, else NaN."""
        stopped = np.logical_or.accumulate(labels <= 0, axis=1)
        return np.where(stopped, 0, np.minimum.accumulate(labels, axis=1)).astype(np.float32)

    def begun(self, shares: Array) -> Array:
        """[K]: of each step, how many of those who took all before it took it."""
        return np.clip(shares / np.maximum(np.append(1.0, shares[:-1]), 1e-6), 0, 1)


class _Net(nn.Module):
    def __init__(self, flat: Flat, towers: Towers) -> None:
        super().__init__()
        self.flat, self.towers = flat, towers

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        return chained(self.towers(self.flat(x)))
