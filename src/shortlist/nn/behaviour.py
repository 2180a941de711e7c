"""A transformer's layer over a history and each of many targets behind it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    own: Tensor
    same: Tensor
    each: Tensor

    def __init__(self, width: int, heads: int, dropout: float, *, before: bool) -> None:
        super().__init__()
        self.attention, self.before = Attention(width, heads), before
        self.scale = math.sqrt(width // heads)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(), Dropout(dropout), nn.Linear(width, width))
        self.dropout = Dropout(dropout)
        own = torch.eye(heads).repeat_interleave(width // heads, 1)
        for name, blocks in {
            "own": own,  # [heads, d]: which places of a vector a head has
            "same": torch.cat([own.t() @ own, own]),  # [d + heads, d]: those of one head
            "each": torch.diag_embed(own).flatten(0, 1),  # [heads · d, d]: of each vector its head's
        }.items():
            self.register_buffer(name, blocks, persistent=False)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """[m, w, d] of ``x`` [m, w, d]; what is not ``known`` [m, w] nobody sees."""
        return self._after(x, self.attention(self._normed(x), _hidden(known, x.dtype).unsqueeze(1)))

    def beside(self, past: Tensor, known: Tensor, target: Tensor, of: Tensor) -> Tensor:
        """[m, w + 1, d]: the same of ``past`` [n, w, d] with ``target`` [m, d] behind it, ``of`` [m] which of the n.

        An event i sees the others and the target t: softmax over all of them is (1 - p) A_i + p v_t, A_i the attention
        to the others alone and p = σ(q_i · k_t / √c - log Σ_j exp(q_i · k_j / √c)). So A and the logarithm are worked
        out once a request, and a target costs w inner products a head rather than w². They are asked for once for each
        place of their head's values, by a matrix that has the head's k_t in so many columns. At the default width that
        takes onnxruntime less time than to turn axes and to stretch them; of wide layers, d² of them a row, it may not.
        """
        heads, out = self.attention.heads, self.attention.out
        q, k, v = self._into(past).chunk(3, 2)  # each [n, w, d]
        q_t, k_t, v_t = self._into(target).chunk(3, 1)  # each [m, d]
        q, hidden = q / self.scale, _hidden(known, q.dtype)
        by_q, by_k, by_v = (each.unflatten(2, (heads, -1)).transpose(1, 2) for each in (q, k, v))
        s = by_q @ by_k.transpose(-1, -2) + hidden.unsqueeze(1)  # [n, heads, w, w]
        among, weight = (torch.softmax(s, -1) @ by_v).transpose(1, 2).flatten(2), torch.logsumexp(s, -1)
        keys = functional.pad(k_t, (0, heads), value=-1.0).unsqueeze(2) * self.same
        p = torch.sigmoid(torch.cat([q, weight.transpose(1, 2)], 2).index_select(0, of) @ keys)  # [m, w, d]
        among = among.index_select(0, of)
        seen = out((among - p * among).flatten(0, 1)).view(p.shape) + p @ (v_t.unsqueeze(2) * out.weight.t())
        events = self._after(past.index_select(0, of), seen)
        seen = self._seen(q_t, k_t, v_t, k.index_select(0, of), v.index_select(0, of), hidden.index_select(0, of))
        return torch.cat([events, self._after(target, out(seen)).unsqueeze(1)], 1)

    def target(self, past: Tensor, known: Tensor, target: Tensor, of: Tensor) -> Tensor:
        """[m, d]: the last place of ``beside`` alone, w products of a row and none of the events among themselves."""
        d, into = past.shape[2], self.attention.into
        both = functional.linear(self._normed(past), into.weight[d:], into.bias[d:])  # no queries of events
        k, v = (each.index_select(0, of) for each in both.chunk(2, 2))
        q_t, k_t, v_t = self._into(target).chunk(3, 1)
        seen = self._seen(q_t, k_t, v_t, k, v, _hidden(known, k.dtype).index_select(0, of))
        return self._after(target, self.attention.out(seen))

    def _seen(self, q: Tensor, k: Tensor, v: Tensor, past_k: Tensor, past_v: Tensor, hidden: Tensor) -> Tensor:
        """[m, d]: the attention of targets [m, d] to their events [m, w, d] and to themselves."""
        q = q / self.scale
        by_head = q.unsqueeze(1) * self.own  # [m, heads, d]
        s = torch.cat([by_head @ past_k.transpose(1, 2) + hidden, ((q * k) @ self.own.t()).unsqueeze(2)], 2)
        events, itself = torch.softmax(s, 2).split([past_k.shape[1], 1], 2)
        return (events @ past_v + itself * v.unsqueeze(1)).flatten(1) @ self.each

    def _into(self, x: Tensor) -> Tensor:
        """[..., 3 d]: queries, keys and values."""
        into: Tensor = self.attention.into(self._normed(x))
        return into

    def _normed(self, x: Tensor) -> Tensor:
        """What attention reads."""
        normed: Tensor = self.first(x) if self.before else x
        return normed

    def _after(self, x: Tensor, seen: Tensor) -> Tensor:
        """The rest of the layer, place by place."""
        y = (x + self.dropout(seen)).flatten(0, -2)  # of a matrix a product and its bias are one step
        if self.before:
            y = y + self.dropout(self.feed(self.second(y)))
        else:
            y = self.first(y)
            y = self.second(y + self.dropout(self.feed(y)))
        return y.view(x.shape)


def _hidden(known: Tensor, dtype: torch.dtype) -> Tensor:
    """[n, 1, w]: what is added to the attention to events of which ``known`` [n, w] are no padding."""
    return torch.zeros_like(known, dtype=dtype).masked_fill(~known, HIDDEN).unsqueeze(1)
