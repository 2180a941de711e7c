"""Several labels a row: rows where some are not known, the loss of each, and how losses are weighed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.loss import RowLoss
from shortlist.nn.rows import Rows, auc
from shortlist.types import Float32, Float64


@dataclass(frozen=True)
class Tasks(Rows):
    """Rows with K labels each: ``label`` and ``weight`` [m, K]; a label that is not known has the weight 0.

    The weights of each label have the mean 1, so that ``losses`` are means over the rows where it is known.
    """

    @classmethod
    def weighed(cls, label: Float32, weight: Float32) -> tuple[Float32, Float32]:
        """``(label, weight)`` [m, K] for the constructor, of labels [m, K] with NaN and the rows' weights [m]."""
        each = np.where(np.isnan(label), 0.0, weight[:, None].astype(np.float64))
        each *= len(each) / np.maximum(each.sum(0), 1e-300)
        return (np.nan_to_num(label) > 0).astype(np.float32), each.astype(np.float32)

    def shares(self) -> Float64:
        """[K]: of each label's weight, how much is positive; a half where there are no rows."""
        if not len(self):
            return np.full(self.label.shape[1], 0.5)
        return np.asarray((self.weight * self.label).mean(0, dtype=np.float64))

    def figure(self, loss: RowLoss, monitor: str) -> Callable[[nn.Module], float] | None:
        """What is looked at: the loss, or 1 - the mean AUC of labels; None where it is the same for every net."""
        known = self.weight > 0
        if monitor == "loss":
            return (lambda net: self.loss(net, loss)) if known.any() else None
        both = [k for k, y in enumerate(self.label.T) if 0 < y[known[:, k]].sum() < known[:, k].sum()]

        def missed(net: nn.Module) -> float:
            z = self.answers(net)
            return 1 - float(np.mean([auc(self.label[known[:, k], k], z[known[:, k], k]) for k in both]))

        return missed if both else None


def losses(logit: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """[K]: Σ_r w_rk (-y_rk log σ(z_rk) - (1 - y_rk) log(1 - σ(z_rk))) / m, of [m, K] each."""
    return functional.binary_cross_entropy_with_logits(logit, label, weight, reduction="none").mean(0)


class Uncertainty(nn.Module):
    """L = Σ_k (exp(-s_k) L_k + s_k / 2), s_k = log σ_k² learned: what cannot be told well weighs less.

    Source: Kendall, Gal, Cipolla (2018), Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR (likelihood of
    classes).
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n))  # s; a parameter of this name does not decay

    def reset(self, generator: torch.Generator) -> None:
        """All weigh alike at first."""
        nn.init.zeros_(self.bias)

    def forward(self, each: Tensor) -> Tensor:
        """A number of the losses ``each`` [K]."""
        return ((-self.bias).exp() * each + self.bias / 2).sum()


def chained(logit: Tensor) -> Tensor:
    """[m, K]: the logits of p_k = σ(z_1) ... σ(z_k), the chance that all steps up to k are taken.

    1 / (σ(a) σ(b)) - 1 = e^-a + e^-b + e^-(a + b), so logit(σ(a) σ(b)) = -log(e^-a + e^-b + e^-(a + b)): nothing is
    lost where a chance is near 0 or 1.
    """
    steps = [logit[:, :1]]
    for k in range(1, logit.shape[1]):
        a, b = steps[-1], logit[:, k : k + 1]
        steps.append(-torch.cat([-a, -b, -a - b], 1).logsumexp(1, keepdim=True))
    return torch.cat(steps, 1)
