"""word2vec: vectors of items such that an item's neighbours in a sentence can be told from its vector.

For every token t of a sentence and a window of random reach 1..``window`` around it (hidden layer h, output vectors o):

    skip-gram   an example for each neighbour j: h = v_j               weighed by w_t w_j
    CBOW        one example: h = sum_j w_j v_j / sum_j w_j             weighed by w_t

    negative sampling      loss = -log σ(h · o_t) - sum_n log σ(-h · o_n),   n drawn by count^popularity, n != t
    hierarchical softmax   loss = -sum_b log σ(±h · o_b) over the branches b on the way to t in the Huffman tree

Token weights w multiply: a token of weight 0 is absent, one of weight 2 counts as two. Descent is by single examples
with a step that falls linearly to nothing but ``min_rate``.

Source: Mikolov, Sutskever, Chen, Corrado, Dean (2013), Distributed Representations of Words and Phrases and their
Compositionality; İrsoy, Benton, Stratos (2021), Corrected CBOW Performs as well as Skip-gram (the CBOW gradient).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from shortlist.component import Component, InputError, Search
from shortlist.progress import track
from shortlist.recall._kernels.random import alias_table
from shortlist.recall._kernels.word2vec import Corpus, Plan, epoch, huffman
from shortlist.types import Array, Float32, Int32, Int64


class Word2Vec(Component):
    """The hyperparameters of word2vec, for the channels that train item vectors with it."""

    architecture: Literal["skip_gram", "cbow"] = "skip_gram"
    """Whether each neighbour alone predicts an item, or the mean of its neighbours (faster; wants a larger rate)."""
    loss: Literal["negative", "hierarchical"] = "negative"
    """Negative sampling, or hierarchical softmax over the Huffman tree of the items."""
    factors: Annotated[int, Field(ge=1), Search(16, 256, log=True)] = 64
    """The length of the vectors."""
    window: Annotated[int, Field(ge=1), Search(2, 50, log=True)] = 5
    """The farthest neighbour on either side; the reach at each item is drawn from 1 to this: near ones count more."""
    negatives: Annotated[int, Field(ge=1), Search(2, 30, log=True)] = 5
    """Sampled negatives an example, without the hierarchical softmax."""
    popularity: Annotated[float, Field(ge=-2, le=2), Search(-1, 1)] = 0.75
    """The power of an item's count it is drawn by as a negative; 0 = all alike, below 0 = the rare rather."""
    subsample: float = Field(default=0.0, ge=0)
    """s: an item with the share f of the log stays in a sentence with probability sqrt(s / f) + s / f, at most 1, as
    frequent words are thinned out; 0 = all stay."""
    epochs: Annotated[int, Field(ge=1), Search(5, 100, log=True)] = 10
    """Passes over the sentences."""
    rate: Annotated[float, Field(gt=0, le=1), Search(0.005, 0.2, log=True)] = 0.025
    """The first step size."""
    min_rate: float = Field(default=0.0001, ge=0)
    """The last step size."""
    seed: int = 0
    """Of the first vectors, the order of the sentences, the windows and the negatives."""
    threads: int = Field(default=1, ge=1)
    """More than one train without locks: faster, and no two runs are the same."""

    def without_effect(self) -> frozenset[str]:
        """The hierarchical softmax knows no negatives and no context of an item."""
        return frozenset(("negatives", "popularity", "answer") if self.loss == "hierarchical" else ())


def embed(
    tokens: Int32, offsets: Int64, weights: Float32, c: int, setting: Word2Vec, *, shuffle: bool = False
) -> tuple[Float32, Float32 | None]:
    """(v, o), each [c, f]: each item's vector and the one it is told by as a neighbour; o only with negative sampling.

    h · o_i + (the same for all i) estimates log P(i | h) / P(i is drawn as a negative); o has a mean of 0. Both are 0
    for items that have no neighbour in any sentence. Sentence s is ``tokens[offsets[s]:offsets[s + 1]]`` with
    ``weights`` [m] >= 0; ``shuffle``: each sentence is a set, its order drawn anew in every epoch. Reproducible with
    one thread. Raises ``InputError`` where the descent went astray.
    """
    rng = np.random.default_rng(setting.seed)
    tokens, offsets = np.asarray(tokens, np.int32), np.asarray(offsets, np.int64)
    tokens, offsets, weights = _present(tokens, offsets, np.asarray(weights, np.float32))
    weights = weights / np.sqrt(np.float32(max(_example(offsets, weights), 1)))
    counts = np.bincount(tokens, weights, c)
    inputs = ((rng.random((c, setting.factors), np.float32) - 0.5) / setting.factors).astype(np.float32)
    alone = ~accompanied(tokens, offsets, c)
    outputs = np.zeros_like(inputs)
    hierarchical = setting.loss == "hierarchical"
    tree = huffman(counts if hierarchical else np.zeros(min(c, 1)))
    drawn = alias_table(np.where(counts > 0, np.maximum(counts, 1e-12) ** setting.popularity, 0.0))
    corpus = Corpus(tokens, offsets, weights, kept(counts, setting.subsample))
    plan = Plan(setting.window, setting.negatives, setting.architecture == "cbow", hierarchical, shuffle)
    fixed = corpus, drawn, tree, inputs, outputs, plan
    passes(np.diff(offsets), setting, rng, partial(_epoch, fixed))
    bounded(setting, inputs, outputs)
    inputs[alone] = 0
    if hierarchical:
        return inputs, None
    outputs -= outputs[~alone].mean(axis=0) if not alone.all() else 0
    outputs[alone] = 0
    return inputs, outputs


def passes(
    lengths: Int64, setting: Word2Vec, rng: np.random.Generator, work: Callable[[float, float, Int64, int], None]
) -> None:
    """``epochs`` passes over sentences of ``lengths``, each in an order of its own, shared out among ``threads``.

    ``work(rate, last rate, numbers of sentences, seed)`` does a part of one.
    """
    rates = np.linspace(setting.rate, setting.min_rate, setting.epochs + 1)
    with ThreadPoolExecutor(setting.threads) as pool:
        for e in track(range(setting.epochs), "word2vec"):
            order = rng.permutation(len(lengths))
            cuts = np.linspace(0, lengths.sum(), setting.threads + 1)[1:-1]
            parts = np.split(order, np.searchsorted(np.cumsum(lengths[order]), cuts))
            seeds = rng.integers(2**62, size=len(parts)).tolist()
            list(pool.map(partial(work, rates[e], rates[e + 1]), parts, seeds))


def bounded(setting: Word2Vec, *tables: Float32) -> None:
    """Raises ``InputError`` where the descent went astray."""
    if not all(np.isfinite(table).all() for table in tables):
        raise InputError(f"word2vec: the vectors grew beyond all bounds with rate = {setting.rate:g}; lower rate")


def _epoch(fixed: tuple[Any, ...], rate: float, last_rate: float, order: Int64, seed: int) -> None:
    epoch(order, rate, last_rate, seed, *fixed)


def _present(tokens: Int32, offsets: Int64, weights: Float32) -> tuple[Int32, Int64, Float32]:
    """The sentences without the tokens of weight 0."""
    there = weights > 0
    if there.all():
        return tokens, offsets, weights
    before = np.concatenate([[0], np.cumsum(there)])
    return tokens[there], before[offsets], weights[there]


def _example(offsets: Int64, weights: Float32) -> float:
    """The mean weight of an example of two tokens side by side; above 1 it would be that many steps."""
    both = weights[1:].astype(np.float64) * weights[:-1]
    inside = np.ones(len(both), np.bool_)
    inside[offsets[1:-1][(offsets[1:-1] > 0) & (offsets[1:-1] < len(weights))] - 1] = False
    return float(both[inside].mean()) if inside.any() else 1.0


def accompanied(tokens: Int32, offsets: Int64, c: int) -> Array:
    """[c]: whether an item ever stands in a sentence of two tokens or more."""
    lengths = np.diff(offsets)
    found = np.zeros(c, np.bool_)
    found[tokens[np.repeat(lengths > 1, lengths)]] = True
    return found


def kept(counts: Array, subsample: float) -> Float32:
    """[c]: the probability that a token stays: (sqrt(x) + 1) / x at x = share / subsample, at most 1."""
    if subsample == 0:
        return np.ones(len(counts), np.float32)
    x = np.maximum(counts / max(counts.sum(), 1e-12) / subsample, 1e-12)
    return np.minimum((np.sqrt(x) + 1) / x, 1).astype(np.float32)
