"""Several rankers as one, where nothing tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from shortlist.component import InputError, Ranker
from shortlist.data import State
from shortlist.types import Array, Candidates, Float32, Requests, Samples

AND = "+"
"""Joins the names of rankers that are averaged: ``trees+line``."""


class Averaged(Ranker):
    """Orders rows by the mean of the places in which several fitted rankers put them.

    ``score = -(1 / R) Σ_r place_r``; ``place_r`` counts from 1 within the request. Places alone are joined, so scores
    of any scale may be; a request costs what all of them cost together. The score is one of order: it is no
    probability, and says what it says among the rows of its request.
    Source: Borda (1781), Mémoire sur les élections au scrutin; Dwork, Kumar, Naor, Sivakumar (2001), Rank Aggregation
    Methods for the Web, WWW.
    """

    rankers: dict[str, Ranker]
    """Those that are joined, by name."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Averaged:
        """Fits each of them on the same rows."""
        return Averaged(rankers={name: ranker.fit(samples, valid) for name, ranker in self.rankers.items()})

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": [m]}``; with a ``propensity`` that nobody knows, NaN, where one of them leaves it to chance."""
        told = [ranker.score(requests, candidates, state) for ranker in self.rankers.values()]
        score = averaged(candidates.with_columns(score=one["score"]).rank_of() for one in told)
        if any("propensity" in one for one in told):
            return {"score": score, "propensity": np.full(len(score), np.nan, np.float32)}
        return {"score": score}


def averaged(places: Iterable[Array]) -> Float32:
    """[m]: minus the mean of the places, each [m], that several rankers give to the same rows."""
    return np.asarray(-np.mean(list(places), axis=0, dtype=np.float64), np.float32)


def joined(name: str, rankers: Mapping[str, Ranker]) -> Ranker:
    """The fitted ranker of that name, or the average of those that it joins."""
    names = members(name)
    return rankers[name] if len(names) == 1 else Averaged(rankers={one: rankers[one] for one in names})


def members(name: str) -> list[str]:
    """The rankers that a name joins: ``trees+line`` both, ``trees`` itself; raises ``InputError`` if one is twice."""
    found = name.split(AND)
    if len(set(found)) < len(found):
        raise InputError(f"serve: {name!r} has a ranker twice")
    return found
