"""Dynamic routing of a history's entries to interests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GAIN = 4.0
"""How long S makes entries at first."""
NOISE = 0.1
"""Of the first b_ij: enough to set interests apart, and little beside what entries say of themselves. With 1, where an
entry stands in the history decides as much as what it is."""


def squash(z: Tensor) -> Tensor:
    """|z|² / (1 + |z|²) · z / |z|: the direction of z, a length below 1."""
    square = (z * z).sum(-1, keepdim=True)
    return z * (square / (1 + square) / torch.sqrt(square + 1e-9))


class Routing(nn.Module):
    """Behaviour-to-interest (B2I) routing: u_j = squash(Σ_i w_ij S e_i) of K interests, from entries e_i.

    w_i = softmax over the interests of b_i, and b_ij grows by u_j · S e_i after each of ``rounds`` - 1 rounds. S is
    shared by all pairs, so only the first b_ij tell the interests apart: they are drawn from N(0, ``NOISE``²) once, by
    the place i counted from the right and the seed, and never learned. A history of n entries has
    K' = max(1, min(K, ⌊log2 n⌋)) interests where they are ``adaptive``; the others are 0. Gradients go through all
    rounds.

    Source: Li et al. (2019), Multi-Interest Network with Dynamic Routing for Recommendation at Tmall; Sabour, Frosst,
    Hinton (2017), Dynamic Routing Between Capsules.
    """

    first: Tensor
    least: Tensor

    def __init__(self, width: int, interests: int, length: int, rounds: int, seed: int, *, adaptive: bool) -> None:
        super().__init__()
        self.rounds = rounds
        self.shared = nn.Parameter(torch.empty(width, width))
        luck = torch.Generator().manual_seed(seed)
        self.register_buffer("first", NOISE * torch.randn(length, interests, generator=luck), persistent=False)
        least = [1, *(2 ** (j + 1) for j in range(1, interests))]  # K' > j from so many entries on
        self.register_buffer("least", torch.tensor(least if adaptive else [1] * interests), persistent=False)

    def reset(self, generator: torch.Generator) -> None:
        """S turns entries and makes them long: interests are shorter than 1, and would else move no entry."""
        nn.init.orthogonal_(self.shared, GAIN, generator=generator)

    def forward(self, entries: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Interests [b, K, d] and which there are [b, K], of ``entries`` [b, w, d], ``known`` [b, w] (not padding)."""
        e = entries @ self.shared.T
        there = known.sum(1, keepdim=True) >= self.least
        # not -∞ where there is none: of no interest at all, softmax would be NaN
        b = self.first[-entries.shape[1] :] - 1e9 * (~there[:, None])
        mask = known[..., None]
        for round_ in range(self.rounds):
            w = torch.softmax(b, -1) * mask
            u = squash(w.transpose(1, 2) @ e)
            if round_ < self.rounds - 1:
                b = b + e @ u.transpose(1, 2)
        return u * there[..., None], there
