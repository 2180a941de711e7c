"""Experts that several labels share, mixed anew for each row by gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from shortlist.nn.parallel import Parallel, Perceptrons


class Gates(Parallel):
    """g_k = softmax(W_k h_k), K weights of n experts each: they sum to one.

    Source: Jacobs, Jordan, Nowlan, Hinton (1991), Adaptive Mixtures of Local Experts.
    """

    def forward(self, h: Tensor) -> Tensor:
        """[K, m, n] of ``h`` [K, m, size], or of one ``h`` [m, size] for all."""
        return super().forward(h).softmax(2)


def mixed(gates: Tensor, experts: Tensor) -> Tensor:
    """f_k = Σ_i g_ki e_i, [K, m, d] of ``gates`` [K, m, n] and ``experts`` [n, m, d]."""
    return (gates.permute(1, 0, 2) @ experts.transpose(0, 1)).transpose(0, 1)


class Extraction(nn.Module):
    """Customised gate control: each label mixes its own experts and the shared ones, and a shared path mixes all.

    f_k = Σ_i g_ki e_i over the experts of label k and the shared ones, each an MLP: those of k of h_k, the shared ones
    of h_S; g_k = softmax(W_k h_k). f_S = Σ_i g_Si e_i over the experts of all labels and the shared ones,
    g_S = softmax(W_S h_S). The last level has no f_S.

    Source: Tang, Liu, Zhao, Gong (2020), Progressive Layered Extraction (PLE), RecSys.
    """

    def __init__(self, labels: int, size: int, own: int, shared: int, last: bool, **options: Any) -> None:
        super().__init__()
        self.labels, self.own, self.shared = labels, own, shared
        self.experts = Perceptrons(labels * own + shared, size, **options)
        self.gates = Gates(labels, size, own + shared)
        self.gate = None if last else Gates(1, size, labels * own + shared)
        self.size = self.experts.size

    def forward(self, h: Tensor) -> Tensor:
        """[K + 1, m, d] of ``h`` [K + 1, m, size], or of one ``h`` [m, size] for all; the last level gives [K, m, d].

        The shared path's row is the last.
        """
        k, own = self.labels, self.own
        if h.dim() == 3:
            each = h[:k].repeat_interleave(own, 0)
            experts = self.experts(torch.cat([each, h[k:].expand(self.shared, -1, -1)]))
        else:
            experts = self.experts(h)
        shared = experts[k * own :]
        gates = self.gates(h[:k] if h.dim() == 3 else h)
        mine = [mixed(gates[i : i + 1], torch.cat([experts[i * own : (i + 1) * own], shared])) for i in range(k)]
        if self.gate is None:
            return torch.cat(mine)
        return torch.cat([*mine, mixed(self.gate(h[k:] if h.dim() == 3 else h), experts)])
