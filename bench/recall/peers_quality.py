"""The same models, ours and the peers', learned from the same log: the same neighbours, and lists as good.

    python bench/recall/peers_quality.py quality '{"channel": NAME}'

Started by peers.py. MovieLens-100K, ratings from 4; every user's last fifth in time is asked for. One line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from irspack.recommenders import CosineUserKNNRecommender, DenseSLIMRecommender, RP3betaRecommender
from peers_word2vec import EPOCHS, WORD2VEC, corpus_of, gensim, learned, overlaps
from sknetwork.ranking import PageRank
from sparse_dot_topn import sp_matmul_topn

from shortlist.data import Dataset
from shortlist.data.build import dataset
from shortlist.data.protocol import HISTORY_LENGTH
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recall._kernels.random_walk import Graph
from shortlist.recall._word2vec import embed
from shortlist.recall.als import ALS
from shortlist.recall.deepwalk import DeepWalk
from shortlist.recall.ease import Ease
from shortlist.recall.item2vec import Item2Vec
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.node2vec import Node2Vec
from shortlist.recall.personal_rank import PersonalRank
from shortlist.recall.rp3beta import RP3Beta
from shortlist.recall.user_cf import UserCF
from shortlist.types import Array, Candidates, Requests

K = 100
"""Neighbours of item_cf and user_cf."""
LISTED = 50
SEEDS = [0, 1, 2]
EASE = {"regularisation": 500.0}
RP3BETA = {
    "alpha": 1.0,
    "beta": 0.3,
}  # another alpha is not the same in irspack: it is a power of the log, not of the steps
ALPHA = 0.5
ALS_OPTIONS: dict[str, Any] = {"factors": 32, "iterations": 15, "regularisation": 30.0, "alpha": 3.0}


@dataclass(frozen=True)
class HoldOut:
    """Of each user with five positives or more the last fifth is asked for, the rest is learned from."""

    train: Dataset
    x: sp.csr_matrix  # [n_users, n_items]
    requests: Requests  # one a user with targets
    targets: list[set[int]]


def movielens() -> HoldOut:
    spec = DataSpec(source="movielens-100k", positive={"rating": 4})
    data = dataset(source("movielens-100k")(spec), spec)
    log = data.events.take(data.events.weight > 0)
    order = np.argsort(log.user, kind="stable")
    counts = np.bincount(log.user, minlength=data.n_users)
    place = np.empty(len(log), np.int64)
    place[order] = np.arange(len(log)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = (place >= counts[log.user] - counts[log.user] // 5) & (counts[log.user] >= 5)
    train = Dataset(
        log.take(~held), data.behaviours, data.user_ids, data.item_ids, data.users, data.items, data.available_from
    )
    users = np.unique(log.user[held])
    end = np.full(len(users), log.time[-1])
    history = train.state().history(users, end, HISTORY_LENGTH)
    requests = Requests.of(users, end, history).excluding(history)
    targets = [set(log.item[held & (log.user == user)].tolist()) for user in users]
    return HoldOut(train, train.matrix(), requests, targets)


def overlap(exact: Array, ours: sp.csr_matrix, peer: sp.csr_matrix) -> dict[str, float]:
    """Mean over rows of the share of our neighbours that are among the peer's.

    "strict" by number; "tied": ours also counts if its exact similarity is that of the peer's last one or more, since
    which of several equal ones fill the last places is arbitrary.
    """
    strict, tied, difference = [], [], 0.0
    for i in range(ours.shape[0]):
        a = ours.indices[ours.indptr[i] : ours.indptr[i + 1]]
        b = peer.indices[peer.indptr[i] : peer.indptr[i + 1]]
        score = peer.data[peer.indptr[i] : peer.indptr[i + 1]]
        b, score = b[(b != i) & (score > 0)], score[(b != i) & (score > 0)]
        best = np.lexsort((b, -score))[:K]
        b, score = b[best], score[best]
        if not len(a) and not len(b):
            continue
        size = max(len(a), len(b))
        last = score.min() if len(score) == K else 0
        strict.append(len(np.intersect1d(a, b)) / size)
        tied.append((exact[i, a] >= last - 1e-5).sum() / size)
        own = ours.data[ours.indptr[i] : ours.indptr[i + 1]]
        difference = max(difference, float(np.abs(np.sort(own)[::-1][: len(score)] - score[: len(own)]).max(initial=0)))
    return {
        "rows": len(strict),
        "strict": float(np.mean(strict)),
        "tied": float(np.mean(tied)),
        "largest_difference": difference,
    }


def cosine(x: sp.csr_matrix) -> tuple[sp.csr_matrix, Array]:
    """Columns of length 1, and the similarity of all pairs."""
    norm = np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).ravel())
    unit = sp.csr_matrix(x.multiply(1 / np.maximum(norm, 1e-12)), dtype=np.float32)
    return unit, (unit.T @ unit).toarray()


def quality(held: HoldOut, lists: list[Array]) -> dict[str, Array]:
    """Figures of each request."""
    gain = 1 / np.log2(np.arange(2, 12))
    ndcg, recall = np.zeros(len(lists)), np.zeros(len(lists))
    for r, items in enumerate(lists):
        hits = np.array([item in held.targets[r] for item in items.tolist()], bool)
        ndcg[r] = gain[: len(hits)][hits[:10]].sum() / gain[: min(10, len(held.targets[r]))].sum()
        recall[r] = hits[:LISTED].sum() / len(held.targets[r])
    return {"ndcg@10": ndcg, f"recall@{LISTED}": recall}


def by_score(held: HoldOut, items: Array, scores: Array) -> list[Array]:
    """The best of dense scores [requests, c] above 0 without what the user has."""
    excluded = held.requests.exclude
    lists = []
    for r in range(len(scores)):
        allowed = ~np.isin(items, excluded.row(r)["item"]) & (scores[r] > 0)
        lists.append(items[allowed][np.lexsort((items[allowed], -scores[r][allowed]))[:LISTED]])
    return lists


def retrieved(held: HoldOut, channel: Any) -> list[Array]:
    found: Candidates = channel.retrieve(held.requests, held.train.state(), LISTED)
    return np.split(found.item, found.offsets(len(held.requests))[1:-1])


Lists = Callable[[int], list[Array]]


def compared(held: HoldOut, ours: Lists, peer: Lists, seeds: list[int]) -> dict[str, Any]:
    """Mean over seeds of each figure, and the paired difference by user."""
    a, b = ([quality(held, lists(seed)) for seed in seeds] for lists in (ours, peer))
    users, found = held.requests.user, {}
    for name in a[0]:
        mine, theirs = (np.mean([each[name] for each in figures], axis=0) for figures in (a, b))
        found[name] = {
            "shortlist": asdict(mean_interval(mine, users)),
            "peer": asdict(mean_interval(theirs, users)),
            "paired": asdict(paired_interval(mine, theirs, users)),
        }
    return {"requests": len(users), "seeds": seeds, **found}


def item_cf(held: HoldOut) -> dict[str, Any]:
    channel = ItemCF(neighbours=K, inverse_user_frequency=False).fit(held.train)
    x = held.x[:, channel.items_]
    unit, exact = cosine(x)
    model = CosineRecommender(K=K + 1, num_threads=1)
    model.fit(x, show_progress=False)
    topn = sp_matmul_topn(unit.T.tocsr(), unit, top_n=K + 1, sort=True)

    def peer(_: int) -> list[Array]:
        return by_score(held, channel.items_, (x[held.requests.user] @ model.similarity.tocsr()).toarray())

    lists = compared(held, lambda _: retrieved(held, channel), peer, [0])
    return {
        "implicit": {"neighbours@100": overlap(exact, channel.table_, model.similarity.tocsr()), **lists},
        "sparse_dot_topn": {"neighbours@100": overlap(exact, channel.table_, topn)},
    }


def user_cf(held: HoldOut) -> dict[str, Any]:
    channel = UserCF(neighbours=K, inverse_item_frequency=False).fit(held.train)
    users = np.arange(held.train.n_users)
    end = np.full(len(users), held.train.events.time[-1])
    offsets, near, score = channel._query(Requests.of(users, end, held.train.state().history(users, end)))
    ours = sp.csr_matrix((score, near, offsets), shape=(len(users), len(users)))
    x = held.x[:, channel.items_]
    _, exact = cosine(x.T.tocsr())
    model = CosineRecommender(K=K + 1, num_threads=1)
    model.fit(x.T.tocsr(), show_progress=False)
    knn = CosineUserKNNRecommender(x, top_k=K + 1, normalize=True, n_threads=1).learn()

    def peer(_: int) -> list[Array]:
        return by_score(held, channel.items_, np.asarray(knn.get_score(held.requests.user)))

    lists = compared(held, lambda _: retrieved(held, channel), peer, [0])
    return {
        "irspack": {"neighbours@100": overlap(exact, ours, sp.csr_matrix(knn.U)), **lists},
        "implicit": {"neighbours@100": overlap(exact, ours, model.similarity.tocsr())},
    }


def ease(held: HoldOut) -> dict[str, Any]:
    channel = Ease(**EASE).fit(held.train)

    def peer(_: int) -> list[Array]:
        slim = DenseSLIMRecommender(held.x[:, channel.items_], reg=EASE["regularisation"]).learn()
        return by_score(held, channel.items_, np.asarray(slim.get_score(held.requests.user)))

    return {"irspack": compared(held, lambda _: retrieved(held, channel), peer, [0])}


def als(held: HoldOut) -> dict[str, Any]:
    def ours(seed: int) -> list[Array]:
        return retrieved(held, ALS(seed=seed, **ALS_OPTIONS).fit(held.train))

    def peer(seed: int) -> list[Array]:
        items = np.flatnonzero(held.train.item_counts())
        x = (held.x[:, items] > 0).astype(np.float32)
        model = AlternatingLeastSquares(
            factors=ALS_OPTIONS["factors"], iterations=ALS_OPTIONS["iterations"], num_threads=1, use_gpu=False,
            regularization=ALS_OPTIONS["regularisation"], random_state=seed,
        )  # fmt: skip
        model.fit((x * (1 + ALS_OPTIONS["alpha"])).tocsr(), show_progress=False)
        return by_score(held, items, model.user_factors[held.requests.user] @ model.item_factors.T)

    return {"implicit": compared(held, ours, peer, SEEDS)}


def rp3beta(held: HoldOut) -> dict[str, Any]:
    """All of W: what is cut off is the least of each item's row here, of each item's column there."""
    channel = RP3Beta(neighbours=held.train.n_items, **RP3BETA).fit(held.train)

    def peer(_: int) -> list[Array]:
        model = RP3betaRecommender(held.x[:, channel.items_], n_threads=1, **RP3BETA).learn()
        return by_score(held, channel.items_, np.asarray(model.get_score(held.requests.user)))

    return {"irspack": compared(held, lambda _: retrieved(held, channel), peer, [0])}


def personal_rank(held: HoldOut) -> dict[str, Any]:
    channel = PersonalRank(alpha=ALPHA, tolerance=1e-6, neighbours=held.train.n_items).fit(held.train)
    edges = Graph.of(held.x[:, channel.items_]).weight.tocsr()

    def peer(_: int) -> list[Array]:
        walker = PageRank(ALPHA, n_iter=100, tol=1e-9)
        ranks = [walker.fit_predict(edges, {int(user): 1})[held.x.shape[0] :] for user in held.requests.user]
        return by_score(held, channel.items_, np.array(ranks))

    return {"scikit-network": compared(held, lambda _: retrieved(held, channel), peer, [0])}


def word2vec(kind: Any, held: HoldOut, epochs: int) -> dict[str, Any]:
    """Ours and gensim's vectors of one corpus, asked in the same way."""
    trained: dict[str, dict[int, tuple[Array, Array]]] = {"shortlist": {}, "gensim": {}}

    def answers(who: str, answer: str, seed: int) -> list[Array]:
        channel = kind(answer=answer, epochs=epochs, seed=seed, **WORD2VEC)
        corpus = corpus_of(channel, held.train)
        c = len(channel.items_)
        if seed in trained[who]:
            pass
        elif who == "shortlist":
            trained[who][seed] = embed(*corpus, np.ones(len(corpus[0]), np.float32), c, channel)
        else:
            model = gensim(corpus, channel)
            model.train(model.text, total_examples=len(model.text), epochs=epochs)
            trained[who][seed] = learned(model, c)
        channel._learned(*trained[who][seed])
        return retrieved(held, channel)

    def comparison(answer: str) -> dict[str, Any]:
        ours, peer = (partial(answers, who, answer) for who in trained)
        return compared(held, ours, peer, SEEDS)

    found = {f"gensim, {answer}s": comparison(answer) for answer in ("context", "vector")}
    vectors = ([v for v, _ in each.values()] for each in trained.values())
    rows = np.flatnonzero(np.bincount(corpus_of(kind(**WORD2VEC), held.train)[0]) >= 10)
    found["gensim, contexts"]["neighbours@10"] = overlaps(*vectors, rows)
    return found


CHANNELS: dict[str, Callable[[HoldOut], dict[str, Any]]] = {
    "item_cf": item_cf,
    "user_cf": user_cf,
    "ease": ease,
    "als": als,
    "rp3beta": rp3beta,
    "personal_rank": personal_rank,
    "item2vec": lambda held: word2vec(Item2Vec, held, EPOCHS["item2vec"]),
    "deepwalk": lambda held: word2vec(DeepWalk, held, EPOCHS["deepwalk"]),
    "node2vec": lambda held: word2vec(Node2Vec, held, EPOCHS["node2vec"]),
}

if __name__ == "__main__" and len(sys.argv) == 3:
    print(json.dumps(CHANNELS[json.loads(sys.argv[2])["channel"]](movielens())))
