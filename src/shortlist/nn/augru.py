"""A gated recurrent unit whose update gate listens to attention, and what teaches its states to be interests."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from shortlist.nn.histories import Pairs


class AUGRU(nn.Module):
    """h_t = (1 - a_t u_t) ∘ h_{t-1} + a_t u_t ∘ tanh(W_h i_t + b_h + r_t ∘ U_h h_{t-1}), with gates
    u_t = σ(W_u i_t + b_u + U_u h_{t-1}), r_t = σ(W_r i_t + b_r + U_r h_{t-1}).

    An entry of attention a_t = 0, as padding is, leaves the state as it was; with a_t = 1 for every other it is a GRU.

    Source: Zhou et al. (2019), Deep Interest Evolution Network for Click-Through Rate Prediction.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.width, self.widths = width, [2 * width, width]
        self.entry, self.state = nn.Linear(size, 3 * width), nn.Linear(width, 3 * width, bias=False)

    def forward(self, entries: Tensor, attention: Tensor, of: Tensor | None = None) -> list[Tensor]:
        """The states after each of w entries, w × [m, width]: of ``entries`` [n, w, size], ``attention`` [m, w].

        ``of`` [m]: which of the n each row reads, if several read the same: W i_t + b is worked out once for all.
        """
        given = self.entry(entries).transpose(0, 1)  # [w, n, 3 width]
        if of is not None:
            given = given.index_select(1, of)
        h, states = entries.new_zeros(attention.shape[0], self.width), []
        into_gates, into_new = self.state.weight.t().split(self.widths, 1)
        for gates, new, a in zip(*given.split(self.widths, 2), attention.t().unsqueeze(2), strict=True):
            r, u = torch.sigmoid(torch.addmm(gates, h, into_gates)).chunk(2, 1)
            new = torch.tanh(torch.addcmul(new, r, h @ into_new))
            h = torch.lerp(h, new.type_as(h), (a * u).type_as(h))  # in half precision states stay whole
            states.append(h)
        return states

    def of_pairs(self, entries: Tensor, attention: Tensor, pairs: Pairs) -> Tensor:
        """[p, width], the same of ``entries`` [e, size], ``attention`` [p]: after each place those that have begun."""
        weight = self.state.weight
        given = self.entry(entries).index_select(0, pairs.entry).type_as(weight)  # in half precision states stay whole
        states: Tensor = _Packed.apply(given, attention.type_as(weight), weight, pairs.counts())
        return states


class _Packed(torch.autograd.Function):
    """The states of pairs, their gradient written out: a few operations a place, where autograd takes thirty.

    With c = a u and n the new state, h = (1 - c) h' + c n. So of ∂h comes (1 - c) ∂h to h' and, through each of
    U_r h', U_u h' and U_h h', ∂h times a factor in which no gradient has a part: all are there before the first place.
    """

    @staticmethod
    def forward(ctx: Any, given: Tensor, attention: Tensor, weight: Tensor, counts: list[int]) -> Tensor:
        """[p, d] of W i + b [p, 3 d], a [p] and U [3 d, d]; ``counts`` pairs of each place."""
        p, d = len(given), weight.shape[1]
        into, a = weight.t().contiguous(), attention.unsqueeze(1)
        states, gates, new = given.new_empty(p, d), given.new_empty(p, 2 * d), given.new_empty(p, d)
        before, seen = given.new_zeros(p, d), given.new_empty(p, 3 * d)
        last, parts = states[:0], (given, before, gates, new, seen, states, a)
        with torch.autocast(given.device.type, enabled=False):
            for x, h, g, n, s, out, share in zip(*(part.split(counts) for part in parts), strict=True):
                h[: len(last)] = last
                torch.mm(h, into, out=s)
                torch.sigmoid(x[:, : 2 * d] + s[:, : 2 * d], out=g)
                torch.tanh(torch.addcmul(x[:, 2 * d :], g[:, :d], s[:, 2 * d :]), out=n)
                last = torch.lerp(h, n, share * g[:, d:], out=out)
        ctx.counts = counts
        ctx.save_for_backward(attention, weight, before, gates, seen[:, 2 * d :], new)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Of W i + b, a and U."""
        attention, weight, before, gates, seen, new = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):
            a, (r, u) = attention.unsqueeze(1), gates.chunk(2, 1)
            c, moved = a * u, new - before
            of_new = c * (1 - new.square())
            factors = torch.stack([of_new * seen * r * (1 - r), moved * a * u * (1 - u), of_new * r], 1)
            whole, kept = grad.clone(), 1 - c
            carried, parts = whole[:0], (whole, kept, factors)
            for of_h, keep, factor in zip(*(reversed(part.split(ctx.counts)) for part in parts), strict=True):
                of_h[: len(carried)] += carried[: len(of_h)]
                carried = torch.addmm(of_h * keep, (of_h.unsqueeze(1) * factor).flatten(1), weight)
            through = (whole.unsqueeze(1) * factors).flatten(1)
            of_given = torch.cat([through[:, : 2 * grad.shape[1]], whole * of_new], 1)
            return of_given, (whole * moved * u).sum(1), through.t() @ before, None


class NextEntry(nn.Module):
    """L = mean_t -log σ(⟨h_t, e_{t+1}⟩) - log(1 - σ(⟨h_t, ê_t⟩)): a state tells what came next from what did not.

    ê is an entry of the step drawn at random, so what is met often is drawn often.

    Source: Zhou et al. (2019), Deep Interest Evolution Network for Click-Through Rate Prediction (the auxiliary loss).
    """

    generator: torch.Generator | None = None

    def forward(self, states: Tensor, entries: Tensor, request: Tensor) -> Tensor:
        """Of ``states`` and ``entries`` [e, d], those of a ``request`` [e] in order; 0 where no entry has a next."""
        there = request[1:] == request[:-1]
        h, right = states[:-1][there], entries[1:][there]
        if not len(h):
            return states.sum() * 0
        drawn = torch.randint(len(entries), (len(h),), generator=self.generator).to(entries.device)
        wrong = entries.index_select(0, drawn)
        return (functional.softplus(-(h * right).sum(1)) + functional.softplus((h * wrong).sum(1))).mean()
