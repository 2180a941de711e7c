"""Numbers to vectors: linear, piecewise linear or periodic."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from shortlist.encode.schema import NUMBER, Schema


class Numbers(nn.Module):
    """v_j = W_jᵀ φ_j(x_j) + b_j, and + u_j where x_j is missing; φ by ``numeric``:

    ``standard``: φ(x) = x, so v_j = x_j w_j + b_j. ``piecewise``: φ_t(x) = clip((x - b_t) / (b_{t+1} - b_t), 0, 1)
    between training quantiles, a continuous piecewise linear curve a coordinate. ``periodic``: φ(x) = (sin 2πcx,
    cos 2πcx) with learned frequencies c ~ N(0, ``spread``²).

    Source: Gorishniy, Rubachev, Babenko (2022), On Embeddings for Numerical Features in Tabular Deep Learning.
    """

    low: Tensor
    span: Tensor
    place: Tensor

    def __init__(self, schema: Schema, width: int, numeric: str, frequencies: int = 16, spread: float = 0.5) -> None:
        super().__init__()
        fields = schema.of_kind(NUMBER)
        gaps = np.flatnonzero(schema.gaps[fields])
        self.count, self.numeric, self.spread = len(fields), numeric, spread
        coordinates = 1
        if numeric == "piecewise":
            low, span = bins([schema.table.row(int(f))["value"] for f in fields])
            self.register_buffer("low", torch.from_numpy(low), persistent=False)
            self.register_buffer("span", torch.from_numpy(span), persistent=False)
            coordinates = low.shape[1]
        elif numeric == "periodic":
            self.frequency = nn.Parameter(torch.empty(self.count, frequencies))
            coordinates = 2 * frequencies
        self.weight = nn.Parameter(torch.empty(self.count, coordinates, width))
        self.bias = nn.Parameter(torch.empty(self.count, width))
        self.missing = nn.Parameter(torch.empty(self.count, width))
        place = np.zeros((len(gaps), self.count), np.float32)
        place[np.arange(len(gaps)), gaps] = 1
        self.register_buffer("place", torch.from_numpy(place), persistent=False)

    def draw(self, generator: torch.Generator, deviation: float) -> None:
        """Draws the first weights."""
        if self.numeric == "periodic":
            nn.init.normal_(self.frequency, 0, self.spread, generator=generator)
        scale = deviation / math.sqrt(max(1, self.weight.shape[1] // 2))
        nn.init.normal_(self.weight, 0, scale, generator=generator)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.missing)

    def forward(self, numbers: Tensor) -> Tensor:
        """[m, p, width] of ``numbers`` [m, p + g]."""
        if self.numeric == "standard" and not self.training:
            return self._product(numbers)
        x = numbers[:, : self.count].unsqueeze(2)
        if self.numeric == "standard":
            vectors = torch.addcmul(self.bias, x, self.weight.squeeze(1))
        else:
            if self.numeric == "piecewise":
                phi = ((x - self.low) / self.span).clamp(0, 1)
            else:
                angle = 2 * math.pi * self.frequency * x
                phi = torch.cat([torch.sin(angle), torch.cos(angle)], 2)
            vectors = torch.einsum("mpt,ptd->mpd", phi, self.weight) + self.bias
        if len(self.place):
            flags = numbers[:, self.count :] @ self.place
            vectors = torch.addcmul(vectors, flags.unsqueeze(2), self.missing)
        return vectors

    def _product(self, numbers: Tensor) -> Tensor:
        """The same for ``standard``, as one product with a matrix that is nearly all zeros.

        A few rows take half the time that broadcasting over short vectors takes.
        """
        own = torch.eye(self.count, device=numbers.device).unsqueeze(2) * self.weight.squeeze(1)  # [p, p, width]
        gaps = self.place.unsqueeze(2) * self.missing  # [g, p, width]
        matrix = torch.cat([own, gaps]).flatten(1)
        return torch.addmm(self.bias.flatten(), numbers, matrix).view(-1, *self.bias.shape)


def bins(edges: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``(low, span)``, Float32 [p, t]: the bins between each number's edges; those it lacks have no effect."""
    size = max([1, *(len(e) - 1 for e in edges)])
    low, span = np.full((len(edges), size), 1e30, np.float32), np.ones((len(edges), size), np.float32)
    for row, e in enumerate(edges):
        if len(e) > 1:
            low[row, : len(e) - 1], span[row, : len(e) - 1] = e[:-1], np.maximum(np.diff(e), 1e-6)
        elif len(e):
            low[row, 0], span[row, 0] = e[0] - 0.5, 1.0
    return low, span
