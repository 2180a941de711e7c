"""node2vec: word2vec on random walks that remember where they came from."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.recall._item_graph import Walked


class Node2Vec(Walked):
    """Item vectors from walks between breadth-first and depth-first; a user is the sum of their history.

    P(next = x | at v, from t) ∝ w_vx / p  if x = t;   w_vx  if there is an edge t -> x;   w_vx / q  else
    score(u, i) = p_u · o_i,  p_u = sum_j w(u, j) v_j / its length

    with v_j of length 1 and o by word2vec on ``walks`` walks of ``length`` items from every item: o_i is what i is told
    by as a neighbour (``answer = "context"``), or o = v.

    w_vx = how often x came right after v in a session (w + wᵀ unless ``directed``; 1 where ``steps = "uniform"``).
    q > 1 keeps a walk near where it was (items with the same neighbours grow alike), q < 1 sends it on; p < 1 turns it
    back, p > 1 keeps it from returning. p = q = 1 is DeepWalk. Steps are drawn exactly, by rejection.

    Source: Grover, Leskovec (2016), node2vec: Scalable Feature Learning for Networks; rejection as in Yang, Zhang,
    Chen, Ma, Chen, Zheng (2019), KnightKing: A Fast Distributed Graph Random Walk Engine.
    """

    p: Annotated[float, Field(gt=0), Search(0.1, 10, log=True)] = 1.0
    """The return parameter: larger = less often straight back."""
    q: Annotated[float, Field(gt=0), Search(0.1, 10, log=True)] = 4.0
    """The in-out parameter: larger = nearer to where the walk came from, smaller = farther away."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the items' vectors and contexts."""
        self._learn(data, self.p, self.q)
        return self
