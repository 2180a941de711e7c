"""Kernel: vectors of entities and relations by stochastic gradient descent over triples, with sampled tails."""

from __future__ import annotations

import numpy as np
from numba import njit

from shortlist.recall._kernels.random import draw
from shortlist.types import Array


@njit(cache=True, nogil=True)
def epoch(
    head: Array,
    relation: Array,
    tail: Array,
    low: Array,
    high: Array,
    entities: Array,
    relations: Array,
    translates: bool,
    rate: float,
    ridge: float,
    margin: float,
    negatives: int,
    order: Array,
    state: Array,
) -> None:
    """One pass over the triples in ``order``: steps down on log(1 + exp(-y s(h, r, t))), y = 1, or -1 for a drawn tail.

    s = margin - |h + r - t|^2 (``translates``) or sum_f h_f r_f t_f. Tails of relation r are drawn evenly from the
    entities low_r to high_r - 1, so that a film is held against films.
    """
    f = entities.shape[1]
    for e in order:
        h, r = head[e], relation[e]
        for turn in range(1 + negatives):
            t, y = tail[e], 1.0
            if turn:
                t, y = low[r] + draw(state, high[r] - low[r]), -1.0
                if t == tail[e]:
                    continue
            score = 0.0
            if translates:
                for d in range(f):
                    score += (entities[h, d] + relations[r, d] - entities[t, d]) ** 2
                score = margin - score
            else:
                for d in range(f):
                    score += entities[h, d] * relations[r, d] * entities[t, d]
            step = np.float32(rate * y / (1 + np.exp(min(max(y * score, -30.0), 30.0))))
            shrink = np.float32(rate * ridge)
            for d in range(f):
                a, b, c = entities[h, d], relations[r, d], entities[t, d]
                if translates:
                    pull = np.float32(2) * step * (a + b - c)
                    entities[h, d] -= pull + shrink * a
                    relations[r, d] -= pull + shrink * b
                    entities[t, d] += pull - shrink * c
                else:
                    entities[h, d] += step * b * c - shrink * a
                    relations[r, d] += step * a * c - shrink * b
                    entities[t, d] += step * a * b - shrink * c
