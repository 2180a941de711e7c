"""What shares an entity with the things this user took: a maker, an author, a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from pydantic import Field
from scipy.optimize import minimize

from shortlist.component import Search
from shortlist.data import Dataset
from shortlist.durations import Duration
from shortlist.recall import _entities, _facts
from shortlist.recall._kernels import cycle
from shortlist.recall._kernels.sparse import Sparse
from shortlist.recall._profiles import Profiles, Query, decayed
from shortlist.types import Array, Bool, Float32, Float64, Requests

PAIRS, AGAINST = 3000, 10
"""Events that weights are learned from, at most, and how many other items each is held against."""
PRIOR = 5.0
"""How many gaps of the whole log a thing is believed to have had."""


class Cycle(NamedTuple):
    """When things are bought again."""

    rate: Float32  # [things]
    middle: Float32  # [things]: mean logarithm of the gap
    spread: float


class KnowledgeGraph(Profiles):
    """Entity-aware retrieval: shared entities weighted by relation, learned vectors, what is due to be bought again.

    score(u, i) = q_i^popularity (sum_r θ_r sum_{t in r} p_ut x_it + θ_v p̂_u · v_i + θ_c due(u, i)
                  + θ_e sum_t due(u, t) x_it)

    x_it = log(1 + n_r / df_t) for a fact t = (relation r, entity) that item i has, of length 1 within r; p_u and p̂_u
    are the means of x and v over the history by strength × 2^(-age / half_life); v are vectors of length 1 learned from
    the triples and from (user, took, item), by TransE s(h, r, t) = 2 - ‖h + r - t‖² or DistMult s = sum_f h_f r_f t_f,
    whichever puts what was taken next before other items more often.
    due(u, t) = ρ_t exp(-(ln(now - last_ut) - m_t)² / (2 s²)), with m_t the mean logarithm of the gaps between a user's
    events with t (an item, or a fact) and ρ_t the share of its events that came again, both drawn to the log's.
    θ ≥ 0 minimises mean log(1 + exp(-θ · (f_i - f_j))) + ridge ‖θ‖² over what users took next, i, in the last ``part``
    of the log fitted on, against what others took then, j; everything else is learned before that part to judge it.

    Without ``[data.triples]`` the catalogue makes triples (item, column, value) of its categories and lists, so any log
    with attributes can use it. A new item is found through its entities before anybody has taken it.

    Source: Bordes et al. (2013), Translating Embeddings for Modeling Multi-relational Data; Yang et al. (2015),
    Embedding Entities and Relations for Learning and Inference in Knowledge Bases; Ai et al. (2018), Learning
    Heterogeneous Knowledge Base Embeddings for Explainable Recommendation; Bhagat et al. (2018), Buy It Again:
    Modeling Repeat Purchase Recommendations.
    """

    sizes: ClassVar[Mapping[str, str]] = {
        "relation_": "t",
        "relations_": "r",
        "theta_": "r+3",
        **{f"item_{name}_": "c" for name in ("rate", "gap")},
        **{f"fact_{name}_": "t" for name in ("rate", "gap")},
    }

    vectors: Annotated[Literal["chosen", "transe", "distmult", "none"], Search(choices=("chosen", "none"))] = "chosen"
    """Which vectors are learned; ``chosen``: the better of the two, on the last part of the log fitted on."""
    factors: Annotated[int, Field(ge=1), Search(choices=(16, 32, 64))] = 32
    """Length of the vectors."""
    epochs: Annotated[int, Field(ge=1), Search(5, 40, log=True)] = 15
    """Passes over the triples."""
    rate: Annotated[float, Field(gt=0), Search(0.01, 0.2, log=True)] = 0.05
    """Size of the first step; it falls to a tenth."""
    learn: bool = True
    """Whether the weights θ are learned; else all are 1."""
    part: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """The last share of the log's events, which weights and vectors are chosen on."""
    ridge: Annotated[float, Field(ge=0)] = 1e-3
    """Pulls the weights to nothing."""
    min_items: Annotated[int, Field(ge=1), Search(2, 10, log=True)] = 2
    """A fact of fewer items is left out."""
    popularity: Annotated[float, Field(ge=0), Search(0, 1)] = 0.2
    """The power of q_i = (1 + events of the item that fade) / (1 + the most); 0 = new items stand beside old ones."""
    quality_half_life: Annotated[Duration, Search(choices=("7d", "30d", "90d", "365d"))] = 90 * 86_400_000_000
    """An event this much older than the log's last counts half in q."""
    seed: int = 0
    """Of the first vectors, the draws and the events that weights are learned from."""

    def fit(self, data: Dataset) -> Self:
        """Learns facts, weights, vectors and cycles."""
        told = _facts.triples(data)
        said = _facts.facts(told, data.item_ids, self.min_items, data.triples is not None)
        self.relation_ = said.relation
        self.relations_: Array = np.array(said.relations, dtype=str)
        self.model_: str = self.vectors if self.vectors in _entities.MODELS else "none"
        self.theta_: Float64 = np.ones(len(said.relations) + 3)
        past, nexts = self._split(data)
        if self.learn and len(nexts):
            models = _entities.MODELS if self.vectors == "chosen" else (self.model_,)
            judged = [self._judged(past, data, told, said, model, nexts) for model in models]
            _, self.model_, self.theta_ = max(judged, key=lambda one: one[0])
        elif self.vectors == "chosen":
            self.model_ = _entities.MODELS[0]
        self._learn(data, told, said, self.model_ if self.theta_[-3] > 0 else "none")
        return self

    def _learn(self, data: Dataset, told: pl.DataFrame, said: _facts.Facts, model: str) -> None:
        """Everything but the weights, from all of ``data``."""
        self._vocabulary(data)
        happened = np.bincount(data.events.item, minlength=data.n_items) > 0
        self._know(np.flatnonzero(said.told | happened), data.n_items)
        vectors = np.zeros((data.n_items, 0), np.float32)
        if model != "none":
            how = self.factors, self.epochs, self.rate, self.seed
            vectors = _entities.vectors(told, data, model, *how, data.item_ids)
        self.profiles_ = said.x[self.items_]
        self.vectors_ = np.ascontiguousarray(vectors[self.items_])
        c = len(self.items_)
        self.table_ = sp.vstack([self.profiles_.T, sp.identity(c, np.float32)], format="csr", dtype=np.float32)
        again = [f"taken again: {data.item_ids.ids[i]}" for i in self.items_]
        self.names_: Array = np.array([*said.names, *again, "vectors of entities"], dtype=str)
        counts = decayed(data, self.quality_half_life)[self.items_]
        self.quality_ = (((1 + counts) / (1 + counts.max(initial=0))) ** self.popularity).astype(np.float32)
        sequences = data.sequences(signal="positive")
        log = sequences.offsets, self._columns(sequences["item"]), sequences["time"]
        self.item_rate_, self.item_gap_, self.item_spread_ = self._cycle(log, sp.identity(c, np.float32, "csr"))
        self.fact_rate_, self.fact_gap_, self.fact_spread_ = self._cycle(log, self.profiles_)

    @staticmethod
    def _cycle(log: tuple[Array, Array, Array], things: sp.csr_matrix) -> Cycle:
        count, logs, events, total, square = cycle.gaps(*log, things.indptr, things.indices, things.shape[1])
        n = count.sum()
        if not n:
            nothing = np.zeros(things.shape[1], np.float32)
            return Cycle(nothing, nothing, 1.0)
        mean, again = total / n, n / events.sum()
        rate = ((count + PRIOR * again) / (events + PRIOR)).astype(np.float32)
        rate[events == 0] = 0
        middle = ((logs + PRIOR * mean) / (count + PRIOR)).astype(np.float32)
        return Cycle(rate, middle, max(float(np.sqrt(max(square / n - mean**2, 0))), 0.25))

    def _parts(self, requests: Requests) -> tuple[sp.csr_matrix, Float32, sp.csr_matrix, sp.csr_matrix]:
        """Of each request: p [n, t], p̂ [n, d], what is due of items [n, c] and of facts [n, t]."""
        n, c = len(requests), len(self.items_)
        offsets, columns, weights = self._taken(requests)
        rows = np.repeat(np.arange(n), np.diff(offsets))
        share = (weights / np.maximum(np.bincount(rows, weights, n)[rows], 1e-30)).astype(np.float32)
        w = sp.csr_matrix((share, columns, offsets), shape=(n, c))
        history = requests.history
        counted = self._strength(history["weight"], history["event"]) > 0
        log = history.offsets, np.where(counted, self._columns(history["item"]), -1), history["time"], requests.time
        identity = np.arange(c + 1), np.arange(c, dtype=np.int32)
        again = cycle.due(*log, *identity, self.item_rate_, self.item_gap_, self.item_spread_)
        x = self.profiles_
        facts = cycle.due(*log, x.indptr, x.indices, self.fact_rate_, self.fact_gap_, self.fact_spread_)
        due = [sp.csr_matrix((v, i, o), shape=(n, m)) for (o, i, v), m in ((again, c), (facts, x.shape[1]))]
        return (w @ x).tocsr(), np.asarray(w @ self.vectors_, np.float32), due[0], due[1]

    def _query(self, requests: Requests) -> Query:
        taken, vectors, again, facts = self._parts(requests)
        by_vector, by_item, by_fact = self.theta_[-3:].astype(np.float32)
        topics = taken @ sp.diags(self._topic_weights()) + by_fact * facts
        asked = sp.hstack([topics, by_item * again], format="csr", dtype=np.float32)
        asked.eliminate_zeros()
        return Query(Sparse.of(asked), np.ascontiguousarray(by_vector * vectors))

    def _profile(self, w: sp.csr_matrix) -> Query:
        asked = sp.hstack(
            [(w @ self.profiles_) @ sp.diags(self._topic_weights()), sp.csr_matrix(w.shape)], format="csr"
        )
        asked = asked.astype(np.float32)
        asked.eliminate_zeros()
        return Query(
            Sparse.of(asked), np.ascontiguousarray(np.float32(self.theta_[-3]) * (w @ self.vectors_), np.float32)
        )

    def _topic_weights(self) -> Float32:
        return self.theta_[self.relation_].astype(np.float32)

    def _vector_weight(self) -> float:
        return float(self.theta_[-3])

    def _split(self, data: Dataset) -> tuple[Dataset, Array]:
        """The log before its last part; events of that part, with something before them, to learn weights from."""
        events = data.events
        cut = data.cut(1 - self.part)
        past = data.until(cut)
        known = np.zeros(data.n_users, bool)
        known[past.events.user[(past.events.weight > 0) & (past.events.user >= 0)]] = True
        late = np.flatnonzero((events.time >= cut) & (events.weight > 0) & (events.user >= 0))
        late = late[known[events.user[late]]]
        if len(late) > PAIRS:
            late = np.sort(np.random.default_rng(self.seed).choice(len(late), PAIRS, replace=False))
        return past, late

    def _judged(
        self, past: Dataset, data: Dataset, told: pl.DataFrame, said: _facts.Facts, model: str, nexts: Array
    ) -> tuple[float, str, Float64]:
        """(how often the vectors put what was taken first, the model, θ), learned before the last part."""
        self._learn(past, told, said, model)
        events, rng = data.events, np.random.default_rng(self.seed)
        users, before = events.user[nexts], events.time[nexts] - 1
        requests = Requests.of(users, before, data.state().history(users, before))
        taken, vectors, again, facts = self._parts(requests)
        right = self._columns(events.item[nexts])
        m, r = len(nexts), len(said.relations)
        against = right[rng.integers(0, m, (m, AGAINST))]
        valid: Bool = (right[:, None] >= 0) & (against >= 0) & (against != right[:, None])
        row, place = np.nonzero(valid)

        def features(column: Array) -> Array:
            f = np.zeros((len(row), r + 3))
            mine, x = taken[row], self.profiles_[column]
            shared = mine.multiply(x).tocoo()
            np.add.at(f, (shared.row, self.relation_[shared.col]), shared.data)
            f[:, r] = (vectors[row] * self.vectors_[column]).sum(axis=1)
            f[:, r + 1] = np.asarray(again[row, column]).ravel()
            f[:, r + 2] = np.asarray(facts[row].multiply(x).sum(axis=1)).ravel()
            return f

        difference = features(right[row]) - features(against[row, place])
        if not len(difference):
            return 0.0, model, np.ones(r + 3)
        by_vector = difference[:, r]
        ahead = float((by_vector > 0).mean() + (by_vector == 0).mean() / 2)
        return ahead, model, weights(difference, self.ridge)


def weights(difference: Float64, ridge: float) -> Float64:
    """θ ≥ 0 [f] with the least mean log(1 + exp(-θ · d)) + ridge ‖θ‖², the largest 1; ones where none speaks."""
    scale = np.sqrt((difference**2).mean(axis=0))
    d = difference / np.where(scale > 0, scale, 1)

    def loss(theta: Float64) -> tuple[float, Float64]:
        z = d @ theta
        wrong = 1 / (1 + np.exp(np.clip(z, -30, 30)))
        return float(np.logaddexp(0, -z).mean() + ridge * theta @ theta), -(d.T @ wrong) / len(d) + 2 * ridge * theta

    found = minimize(loss, np.full(d.shape[1], 0.1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * d.shape[1])
    theta = np.where(scale > 0, found.x / np.where(scale > 0, scale, 1), 0)
    theta[theta < 1e-6] = 0
    return theta / theta.max() if theta.max() > 0 else np.ones(len(theta))
