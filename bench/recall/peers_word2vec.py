"""gensim's word2vec on the corpora of item2vec, deepwalk and node2vec, with the same hyperparameters."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
from gensim.models import Word2Vec

from shortlist.data import Dataset
from shortlist.recall._item_graph import Walked, walks
from shortlist.recall._kernels.sentences import sentences
from shortlist.recall.node2vec import Node2Vec
from shortlist.types import Array

WORD2VEC: dict[str, Any] = {
    "factors": 64,
    "window": 5,
    "negatives": 5,
    "popularity": 0.75,
    "rate": 0.025,
    "min_count": 5,
}
"""Skip-gram with negative sampling and what else gensim does by default, but for the length of the vectors."""
EPOCHS = {"item2vec": 20, "deepwalk": 2, "node2vec": 2}
Sentences = tuple[Array, Array]
"""Tokens, and where each sentence begins."""


def gensim(corpus: Sentences, setting: Any, **more: Any) -> Word2Vec:
    """Its model with the hyperparameters of ours, the vocabulary counted, not trained yet."""
    tokens, offsets = corpus
    words = [str(token) for token in tokens.tolist()]
    text = [words[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    model = Word2Vec(
        vector_size=setting.factors, window=setting.window, negative=setting.negatives, alpha=setting.rate, sg=1,
        min_alpha=setting.min_rate, ns_exponent=setting.popularity, epochs=setting.epochs, seed=setting.seed,
        min_count=1, sample=0, workers=setting.threads, **more,
    )  # fmt: skip
    model.build_vocab(text)
    model.text = text
    return model


def learned(model: Word2Vec, c: int) -> tuple[Array, Array]:
    """Its vectors and contexts [c, f], prepared as ours are."""
    vectors, contexts = (np.zeros((c, model.vector_size), np.float32) for _ in range(2))
    place = np.array([int(word) for word in model.wv.index_to_key])
    vectors[place], contexts[place] = model.wv.vectors, model.syn1neg - model.syn1neg.mean(axis=0)
    return vectors, contexts


def nearest(vectors: Array, k: int = 10) -> Array:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1)[:, :k]


def shared(a: Array, b: Array, rows: Array) -> float:
    """Mean over the items ``rows`` of the share of the 10 nearest that two sets of vectors have in common."""
    x, y = nearest(a)[rows], nearest(b)[rows]
    return float(np.mean([len(np.intersect1d(i, j)) / len(i) for i, j in zip(x, y, strict=True)]))


def corpus_of(channel: Any, data: Dataset) -> Sentences:
    """What the channel's word2vec is trained on, all tokens of weight 1; the channel learns its vocabulary."""
    if isinstance(channel, Walked):
        p, q = (channel.p, channel.q) if isinstance(channel, Node2Vec) else (1.0, 1.0)
        rng = np.random.default_rng(0)
        return walks(channel._graph(data), channel.walks, channel.length, p=p, q=q, rng=rng)
    channel._vocabulary(data)
    rows, events = channel._rows(data), data.events
    log = events.user[rows], channel.column_[events.item[rows]], events.time[rows]
    return sentences(*log, np.ones(len(rows)), None, "once")[:2]


def overlaps(ours: list[Array], theirs: list[Array], rows: Array) -> dict[str, Any]:
    """``shared`` of ours and gensim's vectors, and of either's own of two seeds."""

    def mean(pairs: Any) -> float:
        return float(np.mean([shared(a, b, rows) for a, b in pairs]))

    return {
        "items": len(rows),
        "ours and gensim's": mean(product(ours, theirs)),
        "gensim's of two seeds": mean(combinations(theirs, 2)),
        "ours of two seeds": mean(combinations(ours, 2)),
    }
