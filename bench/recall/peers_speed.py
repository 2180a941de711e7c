"""Alternating warm fits of one model, ours and the peers', on one log.

    python bench/recall/peers_speed.py speed '{"channel": NAME, "threads": 1, "events": 1000000, "runs": 7}'

Started by peers.py, which sets the threads of every library in the environment. One line of JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from irspack.recommenders import CosineUserKNNRecommender, DenseSLIMRecommender, RP3betaRecommender
from peers_word2vec import WORD2VEC, Sentences, gensim
from power_law import power_law
from sknetwork.ranking import PageRank
from sparse_dot_topn import sp_matmul_topn
from threadpoolctl import threadpool_limits

from shortlist.data import MISSING_TIME, Behaviours, Dataset, Events, Table, Vocab
from shortlist.recall._item_graph import item_graph, walks
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
from shortlist.types import Requests

K = 100
Run = Callable[[], Any]
Entrants = dict[str, Run]


def log_of(events: int) -> sp.csr_matrix:
    return power_law(events, events // 40, min(4000, events // 25))


def as_dataset(x: sp.csr_matrix) -> Dataset:
    """The matrix as a log of views, all at one moment."""
    users, items = x.nonzero()
    view = Behaviours(("view",), np.ones(1, np.float32), np.full(1, -np.inf, np.float32))
    zeros = np.zeros(x.nnz)
    log = Events.of(users, items, zeros, np.full(x.nnz, np.nan), zeros, view)
    n, c = x.shape
    names = Vocab([str(u) for u in range(n)]), Vocab([str(i) for i in range(c)])
    return Dataset(log, view, *names, Table(n), Table(c), np.full(c, MISSING_TIME, np.int64))


def prepared(channel: Any, x: sp.csr_matrix) -> Any:
    """The channel with the matrix already made, as the peers are given it: only the model is timed."""
    channel._matrix(as_dataset(x))
    object.__setattr__(channel, "_matrix", lambda _: x.copy())
    return channel


def item_cf(x: sp.csr_matrix, threads: int) -> Entrants:
    ours = prepared(ItemCF(neighbours=K, inverse_user_frequency=False, threads=threads), x)

    def sparse_dot_topn() -> sp.csr_matrix:
        unit = x.multiply(1 / np.sqrt(np.maximum(x.multiply(x).sum(axis=0), 1))).tocsr().astype(np.float32)
        return sp_matmul_topn(unit.T.tocsr(), unit, top_n=K + 1, sort=True, n_threads=threads)

    def implicit() -> None:
        CosineRecommender(K=K + 1, num_threads=threads).fit(x, show_progress=False)  # itself is one of the 101

    return {"shortlist": lambda: ours.fit(None), "implicit": implicit, "sparse_dot_topn": sparse_dot_topn}


def user_cf(x: sp.csr_matrix, threads: int) -> Entrants:
    """Ours looks for neighbours when it is asked; so everybody asks."""
    data = as_dataset(x)
    ours = prepared(UserCF(neighbours=K, inverse_item_frequency=False, max_users=x.shape[0]), x)
    users = np.arange(x.shape[0])
    requests = Requests.of(
        users, np.zeros(len(users), np.int64), data.state().history(users, np.zeros(len(users)), 5000)
    )

    def irspack() -> None:
        CosineUserKNNRecommender(x, top_k=K + 1, normalize=True, n_threads=threads).learn()

    def shortlist() -> None:
        fitted = ours.fit(None)
        fitted._nearest(fitted._taken(requests), requests.user)

    return {"shortlist": shortlist, "irspack": irspack}


def als(x: sp.csr_matrix, threads: int) -> Entrants:
    options: dict[str, Any] = {"factors": 64, "iterations": 10}
    ours = prepared(ALS(alpha=10.0, regularisation=10.0, threads=threads, **options), x)
    confidence = (x * 11).tocsr()  # 1 + alpha x

    def implicit() -> None:
        peer = AlternatingLeastSquares(
            regularization=10.0, num_threads=threads, use_gpu=False, random_state=0, **options
        )
        peer.fit(confidence, show_progress=False)

    return {"shortlist": lambda: ours.fit(None), "implicit": implicit}


def ease(x: sp.csr_matrix, threads: int) -> Entrants:
    ours = prepared(Ease(regularisation=500.0), x)

    def both(work: Run) -> Run:
        def run() -> None:
            with threadpool_limits(threads, "blas"):
                work()

        return run

    peer = DenseSLIMRecommender(x, reg=500.0)
    return {"shortlist": both(lambda: ours.fit(None)), "irspack": both(peer.learn)}


def rp3beta(x: sp.csr_matrix, threads: int) -> Entrants:
    options = {"alpha": 1.0, "beta": 0.3}
    ours = prepared(RP3Beta(neighbours=K, threads=threads, **options), x)

    def irspack() -> None:
        RP3betaRecommender(x, top_k=K, n_threads=threads, **options).learn()

    return {"shortlist": lambda: ours.fit(None), "irspack": irspack}


def personal_rank(x: sp.csr_matrix, threads: int) -> Entrants:
    """The rank restarted at every item, its 200 largest entries."""
    ours = prepared(PersonalRank(alpha=0.5, neighbours=200, threads=threads), x)

    def networks() -> None:
        edges = Graph.of(x).weight.tocsr()
        walker = PageRank(0.5, n_iter=100, tol=1e-3)
        for item in range(x.shape[1]):
            ranks = walker.fit_predict(edges, {x.shape[0] + item: 1})[x.shape[0] :]
            np.argpartition(-ranks, min(200, len(ranks) - 1))

    return {"shortlist": lambda: ours.fit(None), "scikit-network": networks}


def trained(corpus: Sentences, c: int, setting: Any) -> Entrants:
    """Training alone: gensim's vocabulary is counted beforehand. It reads its sentences from a list, or from a file."""
    ones = np.ones(len(corpus[0]), np.float32)
    model = gensim(corpus, setting)
    file = Path(tempfile.mkdtemp()) / "corpus.txt"
    file.write_text("\n".join(" ".join(sentence) for sentence in model.text), encoding="utf-8")
    totals = {"total_examples": len(model.text), "total_words": len(corpus[0]), "epochs": setting.epochs}

    def peer(**text: Any) -> None:
        model.init_weights()
        model.train(**text, **totals)

    return {
        "shortlist": lambda: embed(*corpus, ones, c, setting),
        "gensim": lambda: peer(corpus_iterable=model.text),
        "gensim, from a file": lambda: peer(corpus_file=str(file)),
    }


def item2vec(x: sp.csr_matrix, threads: int, factors: int) -> tuple[Sentences, Any]:
    """A user's items in random order are a sentence."""
    rng = np.random.default_rng(0)
    tokens = np.concatenate([rng.permutation(x.indices[a:b]) for a, b in zip(x.indptr, x.indptr[1:], strict=False)])
    setting = Item2Vec(**{**WORD2VEC, "factors": factors}, epochs=1, threads=threads)
    return (tokens, x.indptr.astype(np.int64)), setting


def walked(x: sp.csr_matrix, threads: int, kind: Any) -> tuple[Sentences, Any]:
    """Walks through the graph of the log, as many tokens as it has events."""
    user, item = x.nonzero()
    graph = item_graph(user, item, np.zeros(len(user)), x.shape[1])
    setting = kind(**WORD2VEC, epochs=1, threads=threads)
    each = max(1, x.nnz // (x.shape[1] * setting.length))
    p, q = (setting.p, setting.q) if isinstance(setting, Node2Vec) else (1.0, 1.0)
    return walks(graph, each, setting.length, p=p, q=q, rng=np.random.default_rng(0)), setting


CHANNELS: dict[str, Callable[[sp.csr_matrix, int], Entrants]] = {
    "item_cf": item_cf,
    "user_cf": user_cf,
    "ease": ease,
    "als": als,
    "rp3beta": rp3beta,
    "personal_rank": personal_rank,
}
CORPORA: dict[str, Callable[[sp.csr_matrix, int], tuple[Sentences, Any]]] = {
    "item2vec": lambda x, threads: item2vec(x, threads, 64),
    "item2vec_100": lambda x, threads: item2vec(x, threads, 100),
    "deepwalk": lambda x, threads: walked(x, threads, DeepWalk),
    "node2vec": lambda x, threads: walked(x, threads, Node2Vec),
}
FEWER = {"personal_rank": 50, "user_cf": 10}
"""By how much the log is smaller where a run would take minutes."""


def timed(entrants: Entrants, runs: int) -> dict[str, Any]:
    """Seconds of ``runs`` runs each, in turn, after one to warm up; wall clock and processor."""
    wall: dict[str, list[float]] = {name: [] for name in entrants}
    processor: dict[str, list[float]] = {name: [] for name in entrants}
    for run in range(runs + 1):
        for name, work in entrants.items():
            began, used = time.perf_counter(), time.process_time()
            work()
            if run:
                wall[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - used)
    return {
        name: {
            "wall": statistics.median(wall[name]),
            "processor": statistics.median(processor[name]),
            "walls": [round(seconds, 3) for seconds in wall[name]],
        }
        for name in entrants
    }


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each, and of what."""
    channel, threads = job["channel"], job["threads"]
    x = log_of(job["events"] // FEWER.get(channel, 1))
    found: dict[str, Any] = {"events": x.nnz, "users": x.shape[0], "items": x.shape[1]}
    if channel in CORPORA:
        corpus, setting = CORPORA[channel](x, threads)
        found["words"] = len(corpus[0])
        entrants = trained(corpus, x.shape[1], setting)
    else:
        entrants = CHANNELS[channel](x, threads)
    return found | {"seconds": timed(entrants, job["runs"])}


if __name__ == "__main__" and len(sys.argv) == 3:
    print(json.dumps(measure(json.loads(sys.argv[2]))))
