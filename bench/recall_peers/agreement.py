"""The same models, ours and the peers', on the same MovieLens-100K matrix: same neighbours, as good lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from irspack.recommenders import CosineUserKNNRecommender, DenseSLIMRecommender
from sparse_dot_topn import sp_matmul_topn

from shortlist.data import Dataset
from shortlist.data.build import dataset
from shortlist.data.protocol import HISTORY_LENGTH
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recall.als import ALS
from shortlist.recall.ease import Ease
from shortlist.recall.item_cf import ItemCF
from shortlist.recall.user_cf import UserCF
from shortlist.types import Array, Candidates, Requests

K = 100
SEEDS = [0, 1, 2]
EASE = {"regularisation": 500.0}
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


def item_neighbours(held: HoldOut) -> dict[str, Any]:
    channel = ItemCF(neighbours=K, inverse_user_frequency=False).fit(held.train)
    x = held.x[:, channel.items_]
    unit, exact = cosine(x)
    peer = CosineRecommender(K=K + 1, num_threads=1)
    peer.fit(x, show_progress=False)
    topn = sp_matmul_topn(unit.T.tocsr(), unit, top_n=K + 1, sort=True)
    return {
        "implicit": overlap(exact, channel.table_, peer.similarity.tocsr()),
        "sparse_dot_topn": overlap(exact, channel.table_, topn),
    }


def user_neighbours(held: HoldOut) -> dict[str, Any]:
    channel = UserCF(neighbours=K, inverse_item_frequency=False).fit(held.train)
    users = np.arange(held.train.n_users)
    end = np.full(len(users), held.train.events.time[-1])
    offsets, near, score = channel._query(Requests.of(users, end, held.train.state().history(users, end)))
    ours = sp.csr_matrix((score, near, offsets), shape=(len(users), len(users)))
    x = held.x[:, channel.items_]
    _, exact = cosine(x.T.tocsr())
    peer = CosineRecommender(K=K + 1, num_threads=1)
    peer.fit(x.T.tocsr(), show_progress=False)
    knn = CosineUserKNNRecommender(x, top_k=K + 1, normalize=True, n_threads=1).learn()
    return {
        "implicit": overlap(exact, ours, peer.similarity.tocsr()),
        "irspack": overlap(exact, ours, sp.csr_matrix(knn.U)),
    }


def ndcg(held: HoldOut, lists: list[Array]) -> Array:
    """NDCG@10 of each request."""
    gain = 1 / np.log2(np.arange(2, 12))
    out = np.zeros(len(lists))
    for r, items in enumerate(lists):
        hits = np.array([item in held.targets[r] for item in items[:10].tolist()], bool)
        out[r] = gain[: len(hits)][hits].sum() / gain[: min(10, len(held.targets[r]))].sum()
    return out


def listed(held: HoldOut, found: Candidates) -> list[Array]:
    return np.split(found.item, found.offsets(len(held.requests))[1:-1])


def by_score(held: HoldOut, items: Array, scores: Array) -> list[Array]:
    """Top 10 of dense scores [requests, c] without what the user has."""
    excluded = held.requests.exclude
    lists = []
    for r in range(len(scores)):
        allowed = ~np.isin(items, excluded.row(r)["item"])
        lists.append(items[allowed][np.lexsort((items[allowed], -scores[r][allowed]))[:10]])
    return lists


def compared(held: HoldOut, ours: Callable[[int], list[Array]], peer: Callable[[int], list[Array]], seeds: list[int]):
    """Mean NDCG@10 over seeds of each, and the paired difference by user."""
    a = np.mean([ndcg(held, ours(seed)) for seed in seeds], axis=0)
    b = np.mean([ndcg(held, peer(seed)) for seed in seeds], axis=0)
    users = held.requests.user
    return {
        "requests": len(users),
        "seeds": seeds,
        "shortlist": asdict(mean_interval(a, users)),
        "peer": asdict(mean_interval(b, users)),
        "paired": asdict(paired_interval(a, b, users)),
    }


def ease(held: HoldOut) -> dict[str, Any]:
    channel = Ease(**EASE).fit(held.train)
    x = held.x[:, channel.items_]

    def ours(_: int) -> list[Array]:
        return listed(held, channel.retrieve(held.requests, held.train.state(), 10))

    def peer(_: int) -> list[Array]:
        slim = DenseSLIMRecommender(x, reg=EASE["regularisation"]).learn()
        return by_score(held, channel.items_, np.asarray(slim.get_score(held.requests.user)))

    return compared(held, ours, peer, [0])


def als(held: HoldOut) -> dict[str, Any]:
    def ours(seed: int) -> list[Array]:
        channel = ALS(seed=seed, **ALS_OPTIONS).fit(held.train)
        return listed(held, channel.retrieve(held.requests, held.train.state(), 10))

    def peer(seed: int) -> list[Array]:
        items = np.flatnonzero(held.train.item_counts())
        x = (held.x[:, items] > 0).astype(np.float32)
        model = AlternatingLeastSquares(
            factors=ALS_OPTIONS["factors"], iterations=ALS_OPTIONS["iterations"], num_threads=1, use_gpu=False,
            regularization=ALS_OPTIONS["regularisation"], random_state=seed,
        )  # fmt: skip
        model.fit((x * (1 + ALS_OPTIONS["alpha"])).tocsr(), show_progress=False)
        return by_score(held, items, model.user_factors[held.requests.user] @ model.item_factors.T)

    return compared(held, ours, peer, SEEDS)


def user_cf(held: HoldOut) -> dict[str, Any]:
    channel = UserCF(neighbours=K, inverse_item_frequency=False).fit(held.train)
    x = held.x[:, channel.items_]

    def ours(_: int) -> list[Array]:
        return listed(held, channel.retrieve(held.requests, held.train.state(), 10))

    def peer(_: int) -> list[Array]:
        knn = CosineUserKNNRecommender(x, top_k=K + 1, normalize=True, n_threads=1).learn()
        return by_score(held, channel.items_, np.asarray(knn.get_score(held.requests.user)))

    return compared(held, ours, peer, [0])


def item_cf(held: HoldOut) -> dict[str, Any]:
    channel = ItemCF(neighbours=K, inverse_user_frequency=False).fit(held.train)
    x = held.x[:, channel.items_]

    def ours(_: int) -> list[Array]:
        return listed(held, channel.retrieve(held.requests, held.train.state(), 10))

    def peer(_: int) -> list[Array]:
        model = CosineRecommender(K=K + 1, num_threads=1)
        model.fit(x, show_progress=False)
        return by_score(held, channel.items_, (x[held.requests.user] @ model.similarity.tocsr()).toarray())

    return compared(held, ours, peer, [0])
