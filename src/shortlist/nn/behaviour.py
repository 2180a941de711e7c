"""A transformer's layer over a history and each of many targets behind it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.activation import shares
from shortlist.nn.mlp import Dropout
from shortlist.nn.transformer import Attention

HIDDEN = -1e9
"""Added to the attention to what is not to be seen: nothing is left of it, and a row without any other stays finite."""


class BehaviourLayer(nn.Module):
    """y = norm(x + attention(x)), then norm(y + W₂ leaky(W₁ y)): a transformer's layer with its norms behind.

    Source: Chen, Zhao, Li, Huang, Ou (2019), Behavior Sequence Transformer for E-commerce Recommendation in Alibaba.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(), Dropout(dropout), nn.Linear(width, width))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """[m, w, d] of ``x`` [m, w, d]; what is not ``known`` [m, w] nobody sees."""
        bias = torch.zeros_like(known, dtype=x.dtype).masked_fill(~known, HIDDEN)[:, None, None]
        return self._after(x, self.attention(x, bias))

    def beside(self, past: Tensor, known: Tensor, target: Tensor, of: Tensor) -> Tensor:
        """[m, w + 1, d]: the same of ``past`` [n, w, d] with ``target`` [m, d] behind it, ``of`` [m] which of the n.

        An event i sees the others and the target t: softmax over all of them is (1 - p) A_i + p v_t, A_i the attention
        to the others alone and p = σ(q_i · k_t / √c - log Σ_j exp(q_i · k_j / √c)). So A and the logarithm are worked
        out once a request, and a target costs w inner products rather than w².
        """
        heads, (w, d) = self.attention.heads, past.shape[1:]
        c = d // heads
        into = self.attention.into
        q, k, v = into(past).view(-1, w, 3, heads, c).permute(2, 0, 3, 1, 4)  # each [n, heads, w, c]
        q_t, k_t, v_t = into(target).view(-1, 3, heads, 1, c).unbind(1)  # each [m, heads, 1, c]
        q = q / math.sqrt(c)
        s = q @ k.transpose(-1, -2) + torch.zeros_like(known, dtype=q.dtype).masked_fill(~known, HIDDEN)[:, None, None]
        among, weight = torch.softmax(s, -1) @ v, torch.logsumexp(s, -1)
        p = torch.sigmoid((q.index_select(0, of) @ k_t.transpose(-1, -2)).squeeze(3) - weight.index_select(0, of))
        among = among.index_select(0, of)
        of_events = among + p.unsqueeze(3) * (v_t - among)  # [m, heads, w, c]
        keys, values = torch.cat([k.index_select(0, of), k_t], 2), torch.cat([v.index_select(0, of), v_t], 2)
        seen = functional.pad(known.index_select(0, of), (0, 1), value=True)[:, None, None]
        of_target = shares(q_t @ keys.transpose(-1, -2) / math.sqrt(c), seen) @ values
        both = torch.cat([of_events, of_target], 2).transpose(1, 2).reshape(-1, w + 1, d)
        x = torch.cat([past.index_select(0, of), target.unsqueeze(1)], 1)
        return self._after(x, self.attention.out(both))

    def _after(self, x: Tensor, seen: Tensor) -> Tensor:
        y = self.first(x + self.dropout(seen))
        out: Tensor = self.second(y + self.dropout(self.feed(y)))
        return out
