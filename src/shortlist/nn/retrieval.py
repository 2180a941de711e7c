"""Losses of nets that answer with vectors: the right item's inner product against all others', or against rivals'."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

Objective = Literal["softmax", "sampled", "gbce", "bpr"]
CHUNK = 128
"""Rows whose scores of all items are held at once."""
Vectors = Callable[[Tensor | None], Tensor]
"""Item numbers [...] -> their vectors [..., f]; of all items [c, f] for None."""


class _Softmax(torch.autograd.Function):
    """Σ_t -log softmax(p_t Qᵀ)[target_t], ``CHUNK`` rows at a time, with both gradients worked out on the way.

    All scores of a step are tens of megabytes that would be written and read several times, those of a chunk stay in
    the cache: less than half the time of cross-entropy over the whole.
    """

    @staticmethod
    def forward(ctx: Any, p: Tensor, q: Tensor, target: Tensor) -> Tensor:
        to_p, to_q, total = torch.empty_like(p), torch.zeros_like(q), p.new_zeros(())
        room = p.new_empty(min(CHUNK, len(p)), len(q))
        for first in range(0, len(p), CHUNK):
            some, own = p[first : first + CHUNK], target[first : first + CHUNK, None]
            s = torch.mm(some, q.T, out=room[: len(some)])
            most, right = s.amax(1, keepdim=True), s.gather(1, own)
            z = s.sub_(most).exp_().sum(1, keepdim=True)
            total += (z.log() + most - right).sum()
            s.mul_(1 / z).scatter_add_(1, own, torch.full_like(right, -1))
            torch.mm(s, q, out=to_p[first : first + CHUNK])
            to_q.addmm_(s.T, some)
        ctx.save_for_backward(to_p, to_q)
        return total

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        to_p, to_q = ctx.saved_tensors
        return grad[0] * to_p, grad[0] * to_q, None


def full_softmax(p: Tensor, target: Tensor, q: Tensor) -> Tensor:
    """The sum over t of -log of the share of exp(p_t · q_target) among all items; ``p`` [t, f], ``q`` [c, f]."""
    total: Tensor = _Softmax.apply(p, q, target)
    return total


def against(p: Tensor, target: Tensor, rivals: Tensor, items: Vectors) -> tuple[Tensor, Tensor]:
    """(scores of the targets [g, r], of the rivals [g, r, s]): p · q, with -∞ where a rival is the target itself.

    ``p`` [g, r, f] and ``target`` [g, r]: g groups of r requests that share ``rivals`` [g, s].
    """
    q = items(torch.cat([target.clamp(min=0).flatten(), rivals.flatten()]))  # at once: a tower sees each item once
    right = (p * q[: target.numel()].view(p.shape)).sum(-1)
    wrong = p @ q[target.numel() :].view(*rivals.shape, -1).transpose(1, 2)
    return right, wrong.masked_fill(rivals[:, None] == target[..., None], -torch.inf)


def sampled_softmax(right: Tensor, wrong: Tensor) -> Tensor:
    """[...]: -log of the share of exp(right) among itself and its rivals: ``right`` [...], ``wrong`` [..., s].

    Source: Bengio, Senécal (2008), Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic
    Language Model; scores less log Q, as in Yi et al. (2019), Sampling-Bias-Corrected Neural Modeling for Large Corpus
    Item Recommendations.
    """
    return torch.logsumexp(torch.cat([right[..., None], wrong], -1), -1) - right


def gbce(right: Tensor, wrong: Tensor, share: float, calibration: float) -> Tensor:
    """[...]: (-β log σ(right) - Σ log(1 - σ(wrong))) / (s + 1), β = α (t (1 - 1/α) + 1/α).

    α = ``share`` of all other items drawn as rivals, t = ``calibration``: 0 is plain binary cross-entropy, 1 undoes
    what drawing does to the odds.

    Source: Petrov, Macdonald (2023), gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with
    Negative Sampling.
    """
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    total = -beta * functional.logsigmoid(right) + functional.softplus(wrong).sum(-1)
    return total / (wrong.shape[-1] + 1)


def bpr(right: Tensor, wrong: Tensor) -> Tensor:
    """[...]: the mean over rivals of -log σ(right - wrong).

    Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme (2009), BPR: Bayesian Personalized Ranking from Implicit
    Feedback.
    """
    return functional.softplus(wrong - right[..., None]).mean(-1)


def ndcg(scores: Tensor, target: Tensor, k: int = 100) -> Tensor:
    """[n]: 1 / log2(1 + rank) of the ``target`` [n] in ``scores`` [n, c], 0 beyond ``k``; equals share their ranks."""
    own = scores.gather(1, target[:, None])
    rank = 1 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    return torch.where(rank <= k, math.log(2) / torch.log1p(rank), 0.0)
