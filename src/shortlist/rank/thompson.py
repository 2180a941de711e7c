"""Thompson sampling: rows by a value drawn from what is believed of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field
from scipy.linalg import solve_triangular

from shortlist.component import Search
from shortlist.encode._encoder import hashed
from shortlist.rank._bandit import LinearBandit
from shortlist.rank._draws import chances, firsts, normals, places
from shortlist.types import Array, Candidates, Float32, Float64, Requests

if TYPE_CHECKING:
    from shortlist.data import State


class Thompson(LinearBandit):
    """score = a draw of zᵀβ + xᵀδ_item, β ~ N(A⁻¹ Σ w y z, scale² A⁻¹), δ_a ~ N(A_a⁻¹(Σ w y x - B_a β), scale² A_a⁻¹).

    A row is shown as often as it is the best, as far as anybody knows. The draws are made when it learns, each a
    whole set of parameters that all rows are valued by; the request's id picks one, each with the same chance. So an
    order is the same whenever the same request is asked, and ``propensity``, the share of the draws in which a row
    stands at the place where it stands, is no estimate but the chance of just this policy: Thompson sampling from
    ``draws`` points of the posterior. A row that is best in none of them is not tried. The chance holds as long as no
    rule moves or drops rows behind it.

    Source: Agrawal, Goyal (2013), Thompson Sampling for Contextual Bandits with Linear Payoffs, ICML; Chapelle, Li
    (2011), An Empirical Evaluation of Thompson Sampling, NIPS; Lu, Van Roy (2017), Ensemble Sampling, NIPS, for a pool
    of draws.
    """

    sizes: ClassVar[Mapping[str, str]] = {"shifts_": "q+1 m"}

    scale: Annotated[float, Field(ge=0), Search(0.01, 2.0, log=True)] = 0.5
    """Deviation of the noise of a reward, by which draws lie apart; 0 = nothing is tried."""
    draws: Annotated[int, Field(ge=2, le=4096)] = 256
    """How many sets of parameters are drawn: chances are multiples of 1 / draws."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed draws other parameters, and picks others for the same requests."""

    def _doubt(self, precision: Float64) -> None:
        drawn = np.random.default_rng(self.seed).standard_normal((self.draws, len(precision)))
        lower = np.linalg.cholesky(precision)
        self.shifts_ = self.scale * solve_triangular(lower, drawn.T, lower=True, trans=1)  # [d, draws] β - β̂

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": [m], "propensity": [m]}``."""
        score, propensity = np.empty(len(candidates), np.float32), np.empty(len(candidates), np.float32)
        picked = hashed(requests.id, self.draws, self.seed)
        for request, rows, values in self._drawn(requests, candidates):
            score[rows] = values[picked[request]]
            propensity[rows] = chances(places(values, candidates.item[rows]), picked[request])
        return {"score": score, "propensity": propensity}

    def chances(self, requests: Requests, candidates: Candidates) -> Float64:
        """[m]: how likely each row is to be the first of its request; they sum to 1 over its rows."""
        share = np.empty(len(candidates))
        for _, rows, values in self._drawn(requests, candidates):
            share[rows] = firsts(places(values, candidates.item[rows]))
        return share

    def _drawn(self, requests: Requests, candidates: Candidates) -> Iterator[tuple[int, slice, Float32]]:
        """(request, its rows, their values in every draw [draws, n])."""
        n, offsets = len(requests), candidates.offsets(len(requests))
        for first, last in self._blocks(candidates, n, self.draws):
            values = self._values(candidates.take(slice(int(offsets[first]), int(offsets[last]))))
            for request in range(first, last):
                low, high = int(offsets[request]), int(offsets[request + 1])
                if low < high:
                    yield request, slice(low, high), values[:, low - offsets[first] : high - offsets[first]]

    def _values(self, some: Candidates) -> Array:
        """[draws, m] Float32: the rows' values in every draw."""
        mean, u, own = self.believed(some)
        values = np.repeat(mean[:, None], self.draws, 1) if u is None else mean[:, None] + u @ self.shifts_
        if own is not None:
            values += self.scale * own[:, None] * normals(some.item, self.draws, self.seed % 2**63)
        return np.ascontiguousarray(values.T, np.float32)
