"""A gated recurrent unit whose update gate listens to attention, and what teaches its states to be interests."""

from __future__ import annotations

import torch
from torch import Tensor, nn
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
        h, weights, states = entries.new_zeros(attention.shape[0], self.width), self._weights(), []
        for gates, new, a in zip(*given.split(self.widths, 2), attention.t().unsqueeze(2), strict=True):
            h = self._after(h, gates, new, a, *weights)
            states.append(h)
        return states

    def of_pairs(self, entries: Tensor, attention: Tensor, pairs: Pairs) -> list[Tensor]:
        """The same of ``entries`` [e, size] and ``attention`` [p]: after each place those rows that have begun."""
        counts = pairs.counts()
        given, each = self.entry(entries).index_select(0, pairs.entry).split(counts), attention.unsqueeze(1)
        h, weights, states = entries.new_zeros(0, self.width), self._weights(), []
        for x, a in zip(given, each.split(counts), strict=True):
            h = self._after(functional.pad(h, (0, 0, 0, len(x) - len(h))), *x.split(self.widths, 1), a, *weights)
            states.append(h)
        return states

    def _weights(self) -> tuple[Tensor, ...]:
        """Uᵀ of both gates [width, 2 width], and of the new state."""
        return self.state.weight.t().split(self.widths, 1)

    def _after(self, h: Tensor, of_gates: Tensor, of_new: Tensor, a: Tensor, *weights: Tensor) -> Tensor:
        """h_t of h_{t-1} [m, width]; W i + b of both gates [m, 2 width] and of the new state, a [m, 1]."""
        from_gates, from_new = weights
        r, u = torch.sigmoid(torch.addmm(of_gates, h, from_gates)).chunk(2, 1)
        new = torch.tanh(torch.addcmul(of_new, r, h @ from_new))
        return torch.lerp(h, new.type_as(h), (a * u).type_as(h))  # in half precision states stay whole


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
