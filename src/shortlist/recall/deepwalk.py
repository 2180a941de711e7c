"""DeepWalk: word2vec on random walks through the graph of what follows what."""

from __future__ import annotations

from typing import Self

from shortlist.data import Dataset
from shortlist.recall._item_graph import Walked


class DeepWalk(Walked):
    """Item vectors from random walks over the sessions' item graph; a user is the sum of their history.

    w_ji = how often item i came right after item j in a session, w + wᵀ unless ``directed``
    P(next = i | at j) = w_ji / sum_i w_ji,  or the same for all i with w_ji > 0 where ``steps = "uniform"``
    score(u, i) = p_u · o_i,  p_u = sum_j w(u, j) v_j / its length

    with v_j of length 1 and o by word2vec on ``walks`` walks of ``length`` items from every item: o_i is what i is told
    by as a neighbour (``answer = "context"``), or o = v.

    Walks join what no single user did in one sitting, and begin at every item as often: rare items are seen more than
    in the log itself. Items that nobody took beside another have no vector.

    Source: Perozzi, Al-Rfou, Skiena (2014), DeepWalk: Online Learning of Social Representations; Wang, Huang, Zhao,
    Zhang, Zhao, Lee (2018), Billion-scale Commodity Embedding for E-commerce Recommendation in Alibaba (the graph).
    """

    def fit(self, data: Dataset) -> Self:
        """Keeps the items' vectors and contexts."""
        self._learn(data)
        return self
