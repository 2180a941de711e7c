"""What a training step makes smaller."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

RowLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(logit [m], label [m], weight [m], request [m] counted from 0 without gaps) -> a number."""


def pointwise(logit: Tensor, label: Tensor, weight: Tensor, request: Tensor) -> Tensor:
    """Σ w (-y log σ(z) - (1 - y) log(1 - σ(z))) / m."""
    return functional.binary_cross_entropy_with_logits(logit, label, weight)


def softmax(logit: Tensor, label: Tensor, weight: Tensor, request: Tensor) -> Tensor:
    """-Σ_q Σ_{r in q} w_r y_r / P_q log(e^{z_r} / Σ_{s in q} e^{z_s}) / |q|, P_q the request's positives.

    A request counts by the mean weight of its positives, y = 1; |q| are the requests that have any.

    Source: Cao et al. (2007), Learning to Rank: from Pairwise Approach to Listwise Approach.
    """
    n = int(request[-1]) + 1 if len(request) else 0
    top = logit.new_full((n,), -torch.inf).scatter_reduce(0, request, logit.detach(), "amax")
    total = logit.new_zeros(n).index_add(0, request, (logit - top[request]).exp())
    gain = weight * label
    positives = logit.new_zeros(n).index_add(0, request, label)
    log_share = logit - (total.log() + top)[request]
    return -(gain / positives.clamp(min=1)[request] * log_share).sum() / (positives > 0).sum().clamp(min=1)


LOSSES: dict[str, RowLoss] = {"pointwise": pointwise, "softmax": softmax}
