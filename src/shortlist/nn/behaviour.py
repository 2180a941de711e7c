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
    """y = x + attention(norm(x)), then y + W₂ leaky(W₁ norm(y)): a transformer's layer.

    Not ``before`` it, the norms stand behind what is added: y = norm(x + attention(x)), then norm(y + W₂ leaky(W₁ y)).

    Source: Chen, Zhao, Li, Huang, Ou (2019), Behavior Sequence Transformer for E-commerce Recommendation in Alibaba;
    Xiong et al. (2020), On Layer Normalization in the Transformer Architecture (norms before).
    """

    def __init__(self, width: int, heads: int, dropout: float, *, before: bool) -> None:
        super().__init__()
        self.attention, self.before = Attention(width, heads), before
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(), Dropout(dropout), nn.Linear(width, width))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """[m, w, d] of ``x`` [m, w, d]; what is not ``known`` [m, w] nobody sees."""
        bias = torch.zeros_like(known, dtype=x.dtype).masked_fill(~known, HIDDEN)[:, None, None]
        return self._after(x, self.attention(self._normed(x), bias))

    def beside(self, past: Tensor, known: Tensor, target: Tensor, of: Tensor) -> Tensor:
        """[m, w + 1, d]: the same of ``past`` [n, w, d] with ``target`` [m, d] behind it, ``of`` [m] which of the n.

        An event i sees the others and the target t: softmax over all of them is (1 - p) A_i + p v_t, A_i the attention
        to the others alone and p = σ(q_i · k_t / √c - log Σ_j exp(q_i · k_j / √c)). So A and the logarithm are worked
        out once a request, and a target costs w inner products rather than w².
        """
        heads, (w, d) = self.attention.heads, past.shape[1:]
        c = d // heads
        q, k, v = self._into(past).view(-1, w, 3, heads, c).permute(2, 0, 3, 1, 4)  # each [n, heads, w, c]
        q_t, k_t, v_t = self._into(target).view(-1, 3, heads, 1, c).unbind(1)  # each [m, heads, 1, c]
        q = q / math.sqrt(c)
        s = q @ k.transpose(-1, -2) + torch.zeros_like(known, dtype=q.dtype).masked_fill(~known, HIDDEN)[:, None, None]
        among, weight = torch.softmax(s, -1) @ v, torch.logsumexp(s, -1)
        p = torch.sigmoid((q.index_select(0, of) @ k_t.transpose(-1, -2)).squeeze(3) - weight.index_select(0, of))
        among = among.index_select(0, of)
        of_events = among + p.unsqueeze(3) * (v_t - among)  # [m, heads, w, c]
        of_target = _seen(q_t, k_t, v_t, k, v, known, of)
        both = torch.cat([of_events, of_target], 2).transpose(1, 2).reshape(-1, w + 1, d)
        x = torch.cat([past.index_select(0, of), target.unsqueeze(1)], 1)
        return self._after(x, self.attention.out(both))

    def target(self, past: Tensor, known: Tensor, target: Tensor, of: Tensor) -> Tensor:
        """[m, d]: the last place of ``beside`` alone, w products of a row and none of the events among themselves."""
        heads, d, into = self.attention.heads, past.shape[2], self.attention.into
        both = functional.linear(self._normed(past), into.weight[d:], into.bias[d:])  # no queries of events
        k, v = both.unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        q_t, k_t, v_t = self._into(target).view(-1, 3, heads, 1, d // heads).unbind(1)
        seen = _seen(q_t, k_t, v_t, k, v, known, of)
        return self._after(target, self.attention.out(seen.flatten(1)))

    def _into(self, x: Tensor) -> Tensor:
        """[..., 3 d]: queries, keys and values."""
        into: Tensor = self.attention.into(self._normed(x))
        return into

    def _normed(self, x: Tensor) -> Tensor:
        """What attention reads."""
        normed: Tensor = self.first(x) if self.before else x
        return normed

    def _after(self, x: Tensor, seen: Tensor) -> Tensor:
        y = x + self.dropout(seen)
        if self.before:
            return y + self.dropout(self.feed(self.second(y)))
        y = self.first(y)
        out: Tensor = self.second(y + self.dropout(self.feed(y)))
        return out


def _seen(q: Tensor, k: Tensor, v: Tensor, past_k: Tensor, past_v: Tensor, known: Tensor, of: Tensor) -> Tensor:
    """[m, heads, 1, c]: the attention of targets [m, heads, 1, c] to the events [n, heads, w, c] and to themselves."""
    keys, values = torch.cat([past_k.index_select(0, of), k], 2), torch.cat([past_v.index_select(0, of), v], 2)
    there = functional.pad(known.index_select(0, of), (0, 1), value=True)[:, None, None]
    return shares(q @ keys.transpose(-1, -2) / math.sqrt(k.shape[-1]), there) @ values
