"""How much each entry of a history has to do with a target."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.dice import Dice
from shortlist.nn.histories import Entries
from shortlist.nn.mlp import Activation, activated


class ActivationUnit(nn.Module):
    """a_j = wᵀ f(W [k_j, q, s_j - q, s_j ∘ q] + b) + c, of entry k_j = [s_j, ...] and target q; f may be more layers.

    W = [W_k, W_q, W_d, W_p]: what W_k k_j + W_d s_j + b makes of an entry is worked out once a request, (W_q - W_d) q
    once a row, and only W_p (s_j ∘ q) for each pair of them.

    Source: Zhou et al. (2018), Deep Interest Network for Click-Through Rate Prediction.
    """

    def __init__(self, entry: int, target: int, hidden: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.sizes = [entry, target, target, target]
        widths = [sum(self.sizes), *hidden]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths[:-1], hidden, strict=True)])
        self.bends = nn.ModuleList([activated(activation, width) for width in hidden])
        self.out = nn.Linear(widths[-1], 1)

    def forward(self, entries: Entries, target: Tensor) -> Tensor:
        """[m, w] of ``target`` [m, q]."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        of_entry, of_target, of_difference, of_product = first.weight.split(self.sizes, 1)
        shared, of = entries.vectors[..., : entries.shared], entries.of
        once = functional.linear(entries.vectors, of_entry, first.bias) + functional.linear(shared, of_difference)
        a_row = functional.linear(target, of_target - of_difference)
        pairs = functional.linear(shared.index_select(0, of) * target.unsqueeze(1), of_product)
        z = once.index_select(0, of) + (pairs + a_row.unsqueeze(1))
        known = entries.known.index_select(0, of)
        for number, bend in enumerate(self.bends):
            z = self.layers[number](z) if number else z
            z = bend(z, known) if isinstance(bend, Dice) else bend(z)
        return functional.linear(z, self.out.weight).squeeze(2) + self.out.bias


class Interest(nn.Module):
    """v = Σ_j a_j k_j; ``share``: with softmax_j a_j in place of a_j, where there is any entry.

    The paper's sum keeps how strong an interest is: two entries like the target count twice as much as one.
    """

    def __init__(self, unit: ActivationUnit, *, share: bool) -> None:
        super().__init__()
        self.unit, self.share = unit, share

    def forward(self, entries: Entries, target: Tensor) -> Tensor:
        """[m, k] of ``target`` [m, q]; zero where there are no entries."""
        at, known = entries.vectors.index_select(0, entries.of), entries.known.index_select(0, entries.of)
        a = self.unit(entries, target)
        a = shares(a, known) if self.share else a * known
        return (a.unsqueeze(1) @ at).squeeze(1)


def shares(a: Tensor, known: Tensor) -> Tensor:
    """softmax over what is ``known`` of the last axis; zero for all else."""
    return torch.softmax(a.masked_fill(~known, -1e9), -1) * known
