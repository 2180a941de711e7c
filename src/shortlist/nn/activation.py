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

    W = [W_k, W_q, W_d, W_p]: of many rows of a request what W_k k_j + W_d s_j + b makes of an entry is worked out once.
    The rest, W_p (s_j ∘ q) + (W_q - W_d) q, is a product of [s_j, 1] and a matrix that is worked out once a row.

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
        """[m, w] of ``target`` [m, q]. Scoring, a single ``Dice`` is part of the products before it and behind."""
        first, k = self.layers[0], entries.vectors
        assert isinstance(first, nn.Linear)
        fold = not self.training and len(self.bends) == 1
        dice = self.bends[0] if fold and isinstance(self.bends[0], Dice) else None
        weight, bias = dice.standardised(first) if dice is not None else (first.weight, first.bias)
        of_entry, of_target, of_difference, of_product = weight.split(self.sizes, 1)
        s = k[..., : target.shape[1]]
        once = functional.linear(k, of_entry, bias) + functional.linear(s, of_difference)
        by_row = functional.linear(target, of_target - of_difference).unsqueeze(1)
        by_row = torch.cat([target.unsqueeze(2) * of_product.t(), by_row], 1)  # [m, q + 1, width]
        pairs = functional.pad(s, (0, 1), value=1.0).index_select(0, entries.of) @ by_row
        z = (pairs + once.index_select(0, entries.of)).flatten(0, 1)
        a = dice.weighed(z, self.out) if dice is not None else self._rest(z)
        return a.view(-1, k.shape[1])

    def of_pairs(self, k: Tensor, q: Tensor) -> Tensor:
        """[p] of entries [p, k], each with its target [p, q]; the plain formula is quicker where rows are few."""
        s = k[:, : q.shape[1]]
        return self._rest(self.layers[0](torch.cat([k, q, s - q, s * q], 1)))

    def _rest(self, z: Tensor) -> Tensor:
        """a [...] of what enters the first bend [..., width]."""
        for number, bend in enumerate(self.bends):
            z = bend(self.layers[number](z) if number else z)
        a: Tensor = self.out(z).squeeze(-1)
        return a


class Interest(nn.Module):
    """v = Σ_j a_j k_j; ``share``: with softmax_j a_j in place of a_j, where there is any entry.

    The paper's sum keeps how strong an interest is: two entries like the target count twice as much as one.
    """

    def __init__(self, unit: ActivationUnit, *, share: bool) -> None:
        super().__init__()
        self.unit, self.share = unit, share

    def forward(self, entries: Entries, target: Tensor) -> Tensor:
        """[m, k] of ``target`` [m, q]; zero where there are no entries.

        Learning, padding is left out before anything is made of it: a step may have histories of any length, and the
        moments of an activation are those of entries.
        """
        if self.training:
            pairs = entries.pairs()
            k = pairs.entries.index_select(0, pairs.entry)
            a = self.unit.of_pairs(k, target.index_select(0, pairs.row))
            v = (pairs.shares(a) if self.share else a).unsqueeze(1) * k
            return v.new_zeros(len(target), v.shape[1]).index_add(0, pairs.row, v)
        a, known = self.unit(entries, target), entries.known.index_select(0, entries.of)
        a = shares(a, known) if self.share else a * known
        return (a.unsqueeze(1) @ entries.vectors.index_select(0, entries.of)).squeeze(1)


def shares(a: Tensor, known: Tensor) -> Tensor:
    """softmax over what is ``known`` of the last axis; zero for all else."""
    return torch.softmax(a.masked_fill(~known, -1e9), -1) * known
