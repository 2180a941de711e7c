"""Layers of self-attention over a sequence, padded on the left."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.mlp import Dropout

Layers = Literal["vanilla", "ligr"]
BUCKETS = 32
"""Of the time between two events: powers of 2 of seconds."""


class Table(nn.Module):
    """Vectors of codes [rows, width]; ``padding``: code 0 is no code and has 0."""

    def __init__(self, rows: int, width: int, *, padding: bool = True, deviation: float = 0.02) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(rows, width))
        self.padding, self.deviation = padding, deviation

    def reset(self, generator: torch.Generator) -> None:
        """Normal, narrow."""
        nn.init.normal_(self.table, 0, self.deviation, generator=generator)
        if self.padding:
            with torch.no_grad():
                self.table[0] = 0

    def forward(self, codes: Tensor) -> Tensor:
        """[..., width] of ``codes`` [...]."""
        return functional.embedding(codes, self.table, padding_idx=0 if self.padding else None)


def buckets(seconds: Tensor) -> Tensor:
    """[...] Int64 below ``BUCKETS``: floor(log2(1 + |seconds|))."""
    return torch.log2(1 + seconds.abs()).floor().clamp(max=BUCKETS - 1).long()


class TimeBias(nn.Module):
    """b[head, bucket of |t_i - t_j|], added to the attention of event i to event j.

    Source: Zhai et al. (2024), Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
    Generative Recommendations (the bias of time; its buckets here are powers of 2).
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.of = Table(BUCKETS, heads, padding=False)

    def forward(self, age: Tensor) -> Tensor:
        """[b, heads, w, w] of ``age`` [b, w] seconds."""
        bias: Tensor = self.of(buckets(age[:, :, None] - age[:, None]))
        return bias.permute(0, 3, 1, 2)


class Attention(nn.Module):
    """softmax(Q Kᵀ / √d + bias) V of each head, side by side, through one more matrix.

    Source: Vaswani et al. (2017), Attention Is All You Need.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """[b, w, d] of ``x`` [b, w, d]; ``bias`` [b, 1 or heads, w, w], -∞ where nothing is to be seen."""
        b, w, d = x.shape
        q, k, v = self.into(x).view(b, w, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        seen = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d // self.heads) + bias, -1)
        out: Tensor = self.out((seen @ v).transpose(1, 2).reshape(b, w, d))
        return out


class Vanilla(nn.Module):
    """x + attention(norm x), then x + W relu(W' norm x): a transformer's layer with its norms first."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), Dropout(dropout), nn.Linear(width, width))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """The shape of ``x``."""
        x = x + self.dropout(self.attention(self.first(x), bias))
        out: Tensor = x + self.dropout(self.feed(self.second(x)))
        return out


class LiGR(nn.Module):
    """x + attention(norm x) ∘ σ(W x), then x + swiglu(norm x) ∘ σ(W' x): what a layer adds passes learned gates.

    Source: Borisyuk et al. (2025), From Features to Transformers: Redefining Ranking for Scalable Impact (LiGR).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.gates = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width)])
        self.up, self.gate = nn.Linear(width, 4 * width), nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """The shape of ``x``."""
        x = x + self.dropout(self.attention(self.first(x), bias)) * torch.sigmoid(self.gates[0](x))
        y = self.second(x)
        y = self.down(functional.silu(self.gate(y)) * self.up(y))
        return x + self.dropout(y) * torch.sigmoid(self.gates[1](x))


LAYERS: dict[str, type[nn.Module]] = {"vanilla": Vanilla, "ligr": LiGR}


class Transformer(nn.Module):
    """Layers over x_k = what an entry is + position k, counted from the right; a last norm.

    ``causal``: a place sees itself and what stands before it, else all. Padding is never seen, but by itself.
    """

    def __init__(
        self,
        width: int,
        length: int,
        *,
        layers: Layers,
        number: int,
        heads: int,
        dropout: float,
        causal: bool,
        timed: bool,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.place = Table(length, width, padding=False)
        self.times = TimeBias(heads) if timed else None
        self.layers = nn.ModuleList([LAYERS[layers](width, heads, dropout) for _ in range(number)])
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(dropout)

    def forward(self, entries: Tensor, known: Tensor, age: Tensor | None = None) -> Tensor:
        """[b, w, d] of ``entries`` [b, w, d], ``known`` [b, w] (not padding) and ``age`` [b, w] seconds."""
        w = entries.shape[1]
        place = self.place.table[-w:]
        x = self.dropout(entries + place)
        at = torch.arange(w, device=x.device)
        seen = known[:, None] | (at[:, None] == at)
        if self.causal:
            seen = seen & (at[:, None] >= at)
        bias = torch.zeros_like(seen, dtype=x.dtype).masked_fill(~seen, -torch.inf)[:, None]
        if self.times is not None and age is not None:
            bias = bias + self.times(age)
        for layer in self.layers:
            x = layer(x, bias)
        out: Tensor = self.norm(x)
        return out
