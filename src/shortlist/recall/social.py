"""What friends took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import InputError, Retriever, Search
from shortlist.data import Dataset, State
from shortlist.durations import Duration
from shortlist.progress import emit
from shortlist.recall._collaborative import AGES, FAINT
from shortlist.recall._ties import graph, overlap, within_two
from shortlist.types import Array, Candidates, Float32, Float64, Int32, Int64, Requests, keys, spans


class Taken(NamedTuple):
    """What friends took, request by request: one row for each item, by code."""

    key: Int64  # [p] request and item, ascending
    score: Float32  # [p]
    friends: Int32  # [p] how many took it


class Social(Retriever):
    """Items that friends took, by how near the friend is and how long ago it was.

    score(u, i) = sum_v p(u, v) · max over events of v with i before the request: w_e 2^(-(latest - t_e) / half_life)
    p(u, v) = q(u, v) + second · sum_x q(u, x) q(x, v),  q(u, v) = s(u, v) / sum_x s(u, x)

    over the ``friends`` nearest v and the ``last`` events of each; ``latest`` is the newest of all these events. s is
    the weight of the tie in ``[data.ties]`` (1 where it has none; rows of one pair add up), times what ``strength``
    says. Friends are those of the fit; what they took is told by the state, up to the request's moment, so that a
    friend's event counts at once. Answers people without a history of their own, if they have friends. Ties that began
    after the fit's cut count for nothing; a tie without a time has always been there.

    Source: Ma, Yang, Lyu, King (2008), SoRec: Social Recommendation Using Probabilistic Matrix Factorization; Konstas,
    Stathopoulos, Jose (2009), On Social Networks and Collaborative Recommendation.
    """

    sizes: ClassVar[Mapping[str, str]] = {"ties_": "u u"}

    strength: Annotated[Literal["given", "neighbours", "items"], Search()] = "given"
    """What makes a tie strong: its weight as ``given``, or that times the overlap (Jaccard) of the two users'
    ``neighbours`` (each among their own) or ``items`` ((in common + 1) / (of either + 1))."""
    directed: bool = False
    """Whether a tie goes from ``user`` to ``friend`` alone, as following does; else it binds both, by its larger
    weight."""
    second: Annotated[float, Field(ge=0, le=1), Search(0, 1)] = 0.2
    """What a friend's friend counts beside a friend; 0 = friends alone."""
    friends: Annotated[int, Field(ge=1), Search(20, 500, log=True)] = 100
    """How many people are asked at most, the nearest ones."""
    last: Annotated[int, Field(ge=1), Search(10, 200, log=True)] = 50
    """How many of the latest events of each of them count."""
    half_life: Annotated[Duration | None, AGES] = None
    """An event this much older than the latest one of a friend counts half; none = age does not matter."""
    event: str = "positive"
    """Which events count: "positive", "all" or the name of a behaviour."""

    def fit(self, data: Dataset) -> Self:
        """Keeps who is near whom; raises ``InputError`` without ``[data.ties]`` or for an unknown ``event``."""
        if data.ties is None:
            raise InputError("social: expected [data.ties] with the columns user and friend, found none")
        if self.event not in ("positive", "all", *data.behaviours.names):
            raise InputError(f"social.event: {self.event!r} is not positive, all or one of {data.behaviours.names}")
        tie, unknown = graph(data, self.directed)
        if unknown:
            emit("note", message=f"social: {unknown:,} of {len(data.ties):,} ties name a user the data does not know")
        if self.strength == "neighbours":
            tie = overlap(tie, tie + sp.eye_array(tie.shape[0], format="csr"), 0)
        elif self.strength == "items":
            tie = overlap(tie, data.matrix("positive"), 1)
        self.ties_: sp.csr_matrix = within_two(tie, self.second, self.friends)
        return self

    def retrieve(self, requests: Requests, state: State, k: int) -> Candidates:
        """The best ``k`` items that a friend took; people without friends get none."""
        taken = self._taken(requests, state)
        free = ~np.isin(taken.key, keys(requests.exclude.rows, requests.exclude["item"]))
        key = taken.key[free]
        rows = Candidates((key >> 32).astype(np.uint32), (key & 0xFFFFFFFF).astype(np.int32))
        return rows.with_columns(score=taken.score[free]).top(k)

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` gives each row; 0 for what no friend took."""
        taken = self._taken(requests, state)
        return _looked_up(taken.key, taken.score, candidates)

    def reasons(self, requests: Requests, candidates: Candidates, state: State) -> list[str]:
        """[m]: how many friends took the row, in words, and never who; "" where none did."""
        taken = self._taken(requests, state)
        counts = _looked_up(taken.key, taken.friends, candidates).tolist()
        whose = "people near you" if self.second else "friends"
        one = "one of the people near you" if self.second else "a friend"
        return [f"{n} {whose} took it" if n > 1 else f"{one} took it" if n else "" for n in counts]

    def _taken(self, requests: Requests, state: State) -> Taken:
        """What the friends of each request's user took before its moment."""
        now = state.kept  # another one as soon as an event comes in
        kept = requests.memo.get(key := (id(self), "taken"))
        if kept is not None and kept[0] is self.ties_ and kept[1] is now:
            return kept[2]
        found = self._asked(requests, state)
        requests.memo[key] = self.ties_, now, found
        return found

    def _asked(self, requests: Requests, state: State) -> Taken:
        tie = self.ties_
        known = np.flatnonzero((requests.user >= 0) & (requests.user < tie.shape[0]))
        starts, ends = tie.indptr[requests.user[known]], tie.indptr[requests.user[known] + 1]
        entries, asker = spans(starts, ends), np.repeat(known, ends - starts)
        past = state.history(tie.indices[entries].astype(np.int32), requests.time[asker], self.last, self.event)
        friend = past.rows
        who = asker[friend]
        key = keys(who, past["item"])
        worth = np.where(past["weight"] > 0, past["weight"], state.behaviours.strengths[past["event"]])
        order = np.lexsort((friend, key))
        key, friend = key[order], friend[order]
        worth = (worth * self._faded(who, past["time"], len(requests)))[order] * tie.data[entries][friend]
        pair = np.flatnonzero(np.append(True, (key[1:] != key[:-1]) | (friend[1:] != friend[:-1]))[: len(key)])
        best, key = np.maximum.reduceat(worth, pair) if len(pair) else worth, key[pair]
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
        score = np.add.reduceat(best, first).astype(np.float32) if len(first) else best.astype(np.float32)
        friends = np.diff(np.append(first, len(key))).astype(np.int32)
        positive = score > 0
        return Taken(key[first][positive], score[positive], friends[positive])

    def _faded(self, who: Array, times: Int64, n: int) -> Float64:
        """[m]: what age leaves of events, relative to the latest of the same request."""
        if not self.half_life:
            return np.ones(len(times))
        latest = np.zeros(n, np.int64)
        np.maximum.at(latest, who, times)
        return np.maximum(0.5 ** ((latest[who] - times) / self.half_life), FAINT)


def _looked_up(key: Int64, values: Array, rows: Candidates) -> Array:
    """[m]: the value of each row's (request, item) among the sorted keys, 0 where it is not."""
    out = np.zeros(len(rows), values.dtype)
    place = np.searchsorted(key, rows.keys)
    here = place < len(key)
    here[here] = key[place[here]] == rows.keys[here]
    out[here] = values[place[here]]
    return out
