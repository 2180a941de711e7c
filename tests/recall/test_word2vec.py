"""The word2vec kernel: gradients, the tree, the draws, weights, and gensim on the same sentences."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from shortlist.recall._kernels.random import alias_table, drawn
from shortlist.recall._kernels.word2vec import Corpus, Plan, epoch, example, huffman
from shortlist.recall._word2vec import Word2Vec, _present, embed, kept
from shortlist.types import Array

F = 7


def train(*corpus, **options):
    """The items' own vectors."""
    return embed(*corpus, **options)[0]


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def negative_loss(h: Array, outputs: Array, target: int, drawn: list[int]) -> float:
    """-log σ(h · o_t) - sum_n log σ(-h · o_n)"""
    return float(-np.log(logistic(h @ outputs[target])) - np.log(logistic(-outputs[drawn] @ h)).sum())


def hierarchical_loss(h: Array, outputs: Array, target: int, counts: Array) -> float:
    """-log of the product of the turns' probabilities: σ(h · o) to one side of a node, 1 - σ(h · o) to the other."""
    offsets, path, branches = huffman(counts)
    turns = slice(offsets[target], offsets[target + 1])
    right = logistic(outputs[path[turns]] @ h)
    return float(-np.log(np.where(branches[turns] == 1, right, 1 - right)).sum())


def slope(loss: Any, at: Array) -> Array:
    """The gradient of ``loss`` by central differences."""
    out = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        near, step = at[place], 1e-5
        at[place] = near + step
        above = loss()
        at[place] = near - step
        out[place] = (above - loss()) / (2 * step)
        at[place] = near
    return out


@pytest.mark.parametrize("words", [[3], [3, 0, 5, 3]], ids=["skip_gram", "cbow"])
@pytest.mark.parametrize("kind", ["negative", "hierarchical"])
def test_a_step_goes_down_the_gradient_of_the_loss(words: list[int], kind: str):
    rng = np.random.default_rng(1)
    inputs, outputs = rng.normal(0, 0.7, (6, F)), rng.normal(0, 0.7, (6, F))
    counts = np.array([5.0, 1, 9, 2, 2, 4])
    target, negatives = 2, [1, 4, 0]
    worth = rng.uniform(0.5, 2, len(words))
    shares = worth / worth.sum()

    def loss() -> float:
        h = shares @ inputs[words]
        if kind == "negative":
            return negative_loss(h, outputs, target, negatives)
        return hierarchical_loss(h, outputs, target, counts)

    if kind == "negative":
        rows, labels = np.array([target, *negatives], np.int32), np.array([1, 0, 0, 0], np.float32)
    else:
        offsets, path, branches = huffman(counts)
        rows, labels = (a[offsets[target] : offsets[target + 1]] for a in (path, branches))
    v, o = inputs.astype(np.float32), outputs.astype(np.float32)
    room = np.empty(F, np.float32), np.empty(F, np.float32)
    rate = 0.5
    given = np.array(words, np.int32), shares.astype(np.float32), 0, len(words)
    example(v, *given, o, rows, labels, len(rows), rate, *room)
    assert (inputs - v) / rate == pytest.approx(slope(loss, inputs), abs=2e-5)
    assert (outputs - o) / rate == pytest.approx(slope(loss, outputs), abs=2e-5)


def lengths_by_heap(counts: Array) -> Iterator[int]:
    """How deep each leaf of a Huffman tree lies, by the definition: join the two least until one is left."""
    heap = [(count, i, [i]) for i, count in enumerate(counts)]
    depth = [0] * len(counts)
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, i, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        for leaf in left + right:
            depth[leaf] += 1
        heapq.heappush(heap, (a + b, i, left + right))
    return iter(depth)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_the_tree_is_a_huffman_tree(counts: list[int]):
    offsets, path, branches = huffman(np.array(counts, np.float64))
    c = len(counts)
    codes = [tuple(branches[offsets[i] : offsets[i + 1]].astype(int)) for i in range(c)]
    assert sum(n * len(code) for n, code in zip(counts, codes, strict=True)) == sum(
        n * length for n, length in zip(counts, lengths_by_heap(np.array(counts)), strict=True)
    )
    if c > 1:
        assert sum(2.0 ** -len(code) for code in codes) == 1  # complete
    inner: dict[tuple[int, ...], int] = {}
    for i, code in enumerate(codes):
        for b in range(len(code)):
            node = path[offsets[i] + b]
            assert inner.setdefault(code[:b], node) == node  # what is turned at is known by the turns before
            assert code[:b] not in codes
    assert sorted(inner.values()) == list(range(c - 1))


@njit
def many(n: int, stays: Array, other: Array, seed: int) -> Array:
    state, found = np.array([seed], np.uint64), np.zeros(len(stays), np.int64)
    for _ in range(n):
        found[drawn(state, stays, other)] += 1
    return found


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.01, 1.0, 3.0, 50.0]), min_size=1, max_size=30).filter(any))
def test_negatives_come_as_often_as_they_should(weights: list[float]):
    share = np.array(weights) / sum(weights)
    stays, other = alias_table(np.array(weights))
    meant = stays / len(stays) + np.bincount(other, (1 - stays) / len(stays), len(stays))
    assert meant == pytest.approx(share, abs=1e-6)
    n = 20_000
    found = many(n, stays, other, 5)
    assert (found[share == 0] == 0).all()
    assert np.abs(found - n * share).max() < 5 * np.sqrt(n * (share * (1 - share)).max()) + 1


def groups(seed: int, groups: int = 10, size: int = 10, sentences: int = 1500, length: int = 8):
    """Sentences that stay within a group of items, but for one word in ten; (tokens, offsets, weights, c)."""
    rng = np.random.default_rng(seed)
    c = groups * size
    own = rng.integers(groups, size=sentences)[:, None] * size + (size * rng.random((sentences, length)) ** 1.5).astype(
        int
    )
    tokens = np.where(rng.random(own.shape) < 0.1, rng.integers(c, size=own.shape), own)
    offsets = np.arange(0, tokens.size + 1, length)
    return tokens.ravel().astype(np.int32), offsets, np.ones(tokens.size, np.float32), c


def neighbours(vectors: Array, k: int) -> Array:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    return np.argsort(-cosine, axis=1)[:, :k]


def in_group(near: Array, size: int = 10) -> float:
    return float((near // size == np.arange(len(near))[:, None] // size).mean())


FOUR = [(a, b) for a in ("skip_gram", "cbow") for b in ("negative", "hierarchical")]


def setting(architecture: str, loss: str, **more: Any) -> Word2Vec:
    rate = 0.05 if architecture == "skip_gram" else 0.1  # the true gradient of a mean is smaller
    options = {"factors": 16, "epochs": 8, "rate": rate, **more}
    return Word2Vec.from_config({"architecture": architecture, "loss": loss, **options})


@pytest.mark.parametrize(("architecture", "loss"), FOUR)
def test_each_variant_finds_the_groups_and_repeats_itself(architecture: str, loss: str):
    corpus = groups(0)
    first = train(*corpus, setting(architecture, loss))
    assert in_group(neighbours(first, 5)) > 0.9
    assert np.array_equal(first, train(*corpus, setting(architecture, loss)))
    assert not np.array_equal(first, train(*corpus, setting(architecture, loss, seed=1)))
    assert in_group(neighbours(train(*corpus, setting(architecture, loss), shuffle=True), 5)) > 0.9


def test_threads_learn_the_same_thing():
    vectors, contexts = embed(*groups(0), setting("skip_gram", "negative", threads=3))
    assert contexts is not None
    assert in_group(neighbours(vectors, 5)) > 0.9
    assert in_group(np.argsort(-(vectors @ contexts.T), axis=1)[:, :5]) > 0.9


@pytest.mark.parametrize(("architecture", "loss"), FOUR)
def test_a_token_of_weight_0_is_absent(architecture: str, loss: str):
    tokens, offsets, weights, c = groups(2, sentences=200)
    gone = np.random.default_rng(3).random(len(tokens)) < 0.4
    before = np.concatenate([[0], np.cumsum(~gone)])
    without = train(tokens[~gone], before[offsets], weights[~gone], c, setting(architecture, loss))
    assert np.array_equal(train(tokens, offsets, np.where(gone, 0, 1), c, setting(architecture, loss)), without)


def test_weights_count_examples():
    # item 0 stands beside 1 as often as beside 2, but the tokens of the sentences with 2 weigh twice
    tokens = np.tile(np.array([0, 1, 0, 2, 3, 4], np.int32), 400)
    offsets = np.arange(0, len(tokens) + 1, 2)
    weights = np.tile(np.array([1, 1, 2, 2, 1, 1], np.float32), 400)
    options = setting("skip_gram", "negative", popularity=0.0, epochs=30, rate=0.1, negatives=3)
    vectors, contexts = embed(tokens, offsets, weights, 5, options)
    assert contexts is not None
    evidence = vectors[0] @ contexts.T
    same, others = embed(tokens, offsets, np.ones_like(weights), 5, options)
    assert others is not None
    # P(2 | 0) = 4/5 and P(1 | 0) = 1/5; a negative is never the target itself, so their odds are 4 and 1/4
    assert evidence[2] - evidence[1] == pytest.approx(np.log(16), abs=0.3)
    plain = same[0] @ others.T
    assert plain[2] - plain[1] == pytest.approx(0, abs=0.3)


def test_nothing_is_copied_where_nothing_is_absent():
    tokens, offsets, weights = np.arange(3, dtype=np.int32), np.array([0, 3]), np.ones(3, np.float32)
    assert _present(tokens, offsets, weights)[0] is tokens
    weights[1] = 0
    assert [part.tolist() for part in _present(tokens, offsets, weights)] == [[0, 2], [0, 2], [1, 1]]


def test_what_the_tree_does_not_use_has_no_effect():
    assert not setting("cbow", "negative").without_effect()
    assert setting("cbow", "hierarchical").without_effect() == {"negatives", "popularity", "answer"}


def test_items_without_company_have_no_vector():
    tokens, offsets = np.array([0, 1, 2, 0, 4], np.int32), np.array([0, 2, 3, 5])
    vectors, contexts = embed(tokens, offsets, np.array([1, 1, 1, 1, 0], np.float32), 6, setting("cbow", "negative"))
    assert contexts is not None
    assert (np.abs(vectors).sum(axis=1) > 0).tolist() == [True, True, False, False, False, False]
    assert (contexts[2:] == 0).all()


@pytest.mark.parametrize(("architecture", "loss"), FOUR)
def test_heavy_examples_are_many_steps_and_no_leaps(architecture: str, loss: str):
    tokens, offsets, weights, c = groups(2, sentences=200)
    heavy = np.where(np.arange(len(weights)) % 100 == 0, 1e6, weights).astype(np.float32)
    for trained in embed(tokens, offsets, heavy, c, setting(architecture, loss)):
        assert trained is None or np.abs(trained).max() < 100
    alike = (embed(tokens, offsets, w, c, setting(architecture, loss))[0] for w in (weights, weights * np.float32(1e6)))
    assert next(alike) == pytest.approx(next(alike), abs=1e-4)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        setting(architecture, loss, rate=1.5)


@pytest.mark.parametrize(("architecture", "loss"), FOUR)
def test_nothing_to_learn_from(architecture: str, loss: str):
    none = np.empty(0, np.int32)
    for c in (0, 1, 3):
        assert not train(none, np.zeros(1, np.int64), none, c, setting(architecture, loss)).any()


def ring(seed: int, c: int = 400, sentences: int = 8000, length: int = 8):
    """Walks on a ring of items by steps of about 4, and one word in ten anywhere; (tokens, offsets, weights, c)."""
    rng = np.random.default_rng(seed)
    steps = np.rint(rng.normal(0, 4, (sentences, length))).astype(int)
    tokens = (rng.integers(c, size=(sentences, 1)) + np.cumsum(steps, axis=1)) % c
    tokens = np.where(rng.random(tokens.shape) < 0.1, rng.integers(c, size=tokens.shape), tokens)
    return tokens.ravel().astype(np.int32), np.arange(0, tokens.size + 1, length), np.ones(tokens.size, np.float32), c


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "loss"), FOUR)
def test_gensim_finds_the_same_neighbours(architecture: str, loss: str):
    gensim = pytest.importorskip("gensim")
    tokens, offsets, weights, c = ring(4)
    sentences = [[str(t) for t in tokens[a:b]] for a, b in pairwise(offsets)]

    def peer(seed: int) -> Array:
        model = gensim.models.Word2Vec(
            sentences,
            vector_size=16,
            window=5,
            min_count=1,
            sample=0,
            sg=int(architecture == "skip_gram"),
            hs=int(loss == "hierarchical"),
            negative=5 if loss == "negative" else 0,
            epochs=8,
            alpha=0.05,
            workers=1,
            seed=seed,
        )
        return np.stack([model.wv[str(i)] for i in range(c)])

    def near(found: Array) -> float:
        apart = np.abs(found - np.arange(c)[:, None])
        return float((np.minimum(apart, c - apart) <= 10).mean())

    def overlap(a: Array, b: Array) -> float:
        return float(np.mean([len(np.intersect1d(x, y)) / len(x) for x, y in zip(a, b, strict=True)]))

    ours = neighbours(train(tokens, offsets, weights, c, setting(architecture, loss)), 10)
    theirs, again = neighbours(peer(1), 10), neighbours(peer(2), 10)
    assert near(ours) > near(theirs) - 0.02
    assert overlap(ours, theirs) > overlap(theirs, again) - 0.03


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12), st.sampled_from([1e-4, 0.01, 0.3, 2.0]))
def test_frequent_items_are_thinned_out_as_stated(counts: list[int], s: float):
    """With the share f of the log an item stays with probability sqrt(s / f) + s / f, at most 1."""
    shares = [n / max(sum(counts), 1) for n in counts]
    stated = [min(np.sqrt(s / f) + s / f, 1) if f > 0 else 1 for f in shares]
    assert kept(np.array(counts, np.float64), s) == pytest.approx(stated, rel=1e-5)
    assert (kept(np.array(counts, np.float64), 0) == 1).all()


def in_pairs(n: int, kept: float = 1.0, rate: float = 0.5, last_rate: float = 0.5) -> Array:
    """o after a pass over ``n`` sentences, each of two items of its own; before it v was 1 and o 0; no negatives.

    So a sentence is met once, and moves o_t by step (1 - σ(0)) v_j, v not at all. ``kept``: how often its first stays.
    """
    v, o = np.ones((2 * n, F), np.float32), np.zeros((2 * n, F), np.float32)
    stays = np.tile(np.array([kept, 1], np.float32), n)
    tokens, offsets = np.arange(2 * n, dtype=np.int32), np.arange(0, 2 * n + 1, 2)
    corpus = Corpus(tokens, offsets, np.ones(2 * n, np.float32), stays)
    plan = Plan(1, 0, False, False, False)
    drawing = alias_table(np.zeros(2 * n)), huffman(np.zeros(1))
    epoch(np.arange(n), rate, last_rate, 3, corpus, *drawing, v, o, plan)
    return o


def test_the_step_falls_in_a_line_within_a_pass():
    o = in_pairs(8, rate=0.5, last_rate=0.1)
    steps = np.repeat(np.linspace(0.5, 0.1, 9)[:8], 2)  # what a pass ends with is what the next begins with
    assert o == pytest.approx(np.repeat(steps[:, None] / 2, F, axis=1), rel=1e-5)


def test_an_item_stays_in_a_sentence_as_often_as_it_should():
    o = in_pairs(2000, kept=0.3)
    met = o[:, 0] > 0
    assert np.array_equal(met[::2], met[1::2])  # who stays alone learns nothing
    assert met[::2].mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 2000))


@pytest.mark.parametrize("popularity", [1.0, -1.0])
def test_evidence_is_relative_to_how_often_an_item_is_a_negative(popularity: float):
    # item 0 stands beside 1 as often as beside 2, but in all 2 is met three times as often
    tokens = np.tile(np.array([0, 1, 0, 2, 2, 3, 2, 4], np.int32), 150)
    offsets = np.arange(0, len(tokens) + 1, 2)
    options = setting("skip_gram", "negative", popularity=popularity, factors=6, epochs=20, rate=0.1, negatives=3)
    vectors, contexts = embed(tokens, offsets, np.ones(len(tokens), np.float32), 5, options)
    assert contexts is not None
    evidence = vectors[0] @ contexts.T
    assert evidence[2] - evidence[1] == pytest.approx(-popularity * np.log(3), abs=0.3)
