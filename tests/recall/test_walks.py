"""Random walks against their definition: which steps are possible, and how often each is taken."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from shortlist.recall._item_graph import walks


def barbell() -> sp.csr_matrix:
    """Two cliques of four (0-3, 4-7) with one bridge (3-4) and a tail (7-8), weights 1 to 3, undirected."""
    rng = np.random.default_rng(3)
    w = np.zeros((9, 9), np.float32)
    for part in (range(4), range(4, 8)):
        for a in part:
            for b in part:
                if a < b:
                    w[a, b] = rng.integers(1, 4)
    w[3, 4], w[7, 8] = 2, 1
    return sp.csr_matrix(w + w.T)


def one_way() -> sp.csr_matrix:
    """Directed, strongly connected, with edges that have no way back."""
    rng = np.random.default_rng(5)
    w = rng.integers(0, 3, (7, 7)).astype(np.float32) * (rng.random((7, 7)) < 0.7)
    np.fill_diagonal(w, 0)
    w[np.arange(7), (np.arange(7) + 1) % 7] = 1
    return sp.csr_matrix(w)


def definition(w: np.ndarray, t: int, v: int, p: float, q: float, weighted: bool = True) -> np.ndarray:
    """[c] where a walk from t to v goes next: Grover, Leskovec (2016), section 3.2.2."""
    c = len(w)
    out = np.zeros(c)
    for x in range(c):
        if w[v, x] > 0:
            distance = 0 if x == t else 1 if w[t, x] > 0 else 2
            out[x] = {0: 1 / p, 1: 1, 2: 1 / q}[distance] * (w[v, x] if weighted else 1)
    return out / out.sum()


def steps(tokens, offsets, order):
    """[n, order + 1]: every run of that many steps within a walk."""
    runs = np.stack([tokens[o : len(tokens) - order + o] for o in range(order + 1)], axis=1)
    walk = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return runs[walk[:-order] == walk[order:]]


def misfit(counts: np.ndarray, expected: np.ndarray) -> tuple[float, int]:
    """Chi-square and its degrees of freedom of one state's steps; steps of probability 0 must not occur."""
    assert not counts[expected == 0].any()
    possible = expected > 0
    wanted = expected[possible] * counts.sum()
    return float(((counts[possible] - wanted) ** 2 / wanted).sum()), int(possible.sum()) - 1


@pytest.mark.parametrize("graph", [barbell(), one_way()], ids=["undirected", "directed"])
@pytest.mark.parametrize(
    ("p", "q"), [(1, 1), (0.25, 4), (4, 0.25), (4, 4), (0.25, 0.25), (0.01, 1), (1, 200), (200, 200), (1, 0.01)]
)
@pytest.mark.parametrize("weighted", [True, False])
def test_second_steps_follow_the_definition(graph, p, q, weighted):
    w = graph.toarray()
    c = len(w)
    found = walks(graph, 300, 60, weighted=weighted, p=p, q=q, rng=np.random.default_rng(7))
    counts = np.zeros((c, c, c))
    np.add.at(counts, tuple(steps(*found, 2).T), 1)
    square, freedom = 0.0, 0
    for t, v in np.argwhere(counts.sum(2) >= 200):
        more, degrees = misfit(counts[t, v], definition(w, t, v, p, q, weighted))
        square, freedom = square + more, freedom + degrees
    assert freedom > 20
    assert chi2.sf(square, freedom) > 1e-4


@pytest.mark.parametrize("weighted", [True, False])
def test_first_steps_follow_the_weights(weighted):
    graph = barbell()
    tokens, offsets = walks(graph, 3000, 2, weighted=weighted, p=0.1, q=10, rng=np.random.default_rng(1))
    counts = np.zeros(graph.shape)
    np.add.at(counts, tuple(steps(tokens, offsets, 1).T), 1)
    w = graph.toarray() if weighted else (graph.toarray() > 0).astype(float)
    total = [misfit(counts[v], w[v] / w[v].sum()) for v in range(len(w))]
    assert chi2.sf(sum(x for x, _ in total), sum(d for _, d in total)) > 1e-4


def visited(p: float, q: float) -> float:
    """Mean number of distinct nodes of walks of 12 on a ring of 40 with chords."""
    n = 40
    hop = np.arange(n)
    w = sp.lil_matrix((n, n), dtype=np.float32)
    for far in (1, 2):
        w[hop, (hop + far) % n] = w[(hop + far) % n, hop] = 1
    tokens, offsets = walks(w.tocsr(), 20, 12, p=p, q=q, rng=np.random.default_rng(0))
    return float(np.mean([len(set(tokens[a:b])) for a, b in itertools.pairwise(offsets)]))


def test_p_and_q_between_breadth_and_depth():
    plain = visited(1, 1)
    assert visited(p=1, q=50) < plain < visited(p=50, q=0.02)  # stays near, wanders off
    assert visited(p=1e-6, q=1) < 2.1  # back and forth between two nodes
    assert visited(p=1e6, q=1) > plain  # never straight back


def test_p_and_q_of_one_are_the_plain_walk():
    graph, one, same = barbell(), np.random.default_rng(2), np.random.default_rng(2)
    assert np.array_equal(walks(graph, 5, 9, rng=one)[0], walks(graph, 5, 9, p=1, q=1, rng=same)[0])


def test_a_walk_ends_where_no_edge_leaves():
    path = sp.csr_matrix(np.diag(np.ones(3, np.float32), 1))  # 0 -> 1 -> 2 -> 3
    for p, q in ((1, 1), (0.5, 2)):
        tokens, offsets = walks(path, 1, 10, p=p, q=q, rng=np.random.default_rng(0))
        found = sorted(tokens[a:b].tolist() for a, b in itertools.pairwise(offsets))
        assert found == [[0, 1, 2, 3], [1, 2, 3], [2, 3]]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 12),
    density=st.floats(0.05, 0.9),
    directed=st.booleans(),
    length=st.integers(1, 9),
    p=st.floats(0.01, 100),
    q=st.floats(0.01, 100),
)
def test_walks_keep_to_the_edges(seed, n, density, directed, length, p, q):
    rng = np.random.default_rng(seed)
    w = np.where(rng.random((n, n)) < density, rng.random((n, n)).astype(np.float32) + 0.1, 0)
    np.fill_diagonal(w, 0)
    w = w if directed else w + w.T
    graph = sp.csr_matrix(w.astype(np.float32))
    tokens, offsets = walks(graph, 2, length, p=p, q=q, rng=np.random.default_rng(seed))
    again, _ = walks(graph, 2, length, p=p, q=q, rng=np.random.default_rng(seed))
    assert np.array_equal(tokens, again)
    assert tokens.dtype == np.int32
    assert offsets[-1] == len(tokens)
    lengths = np.diff(offsets)
    assert ((lengths >= 1) & (lengths <= length)).all()
    if len(tokens):
        taken = steps(tokens, offsets, 1)
        assert (w[taken[:, 0], taken[:, 1]] > 0).all()
    short = lengths < length
    last = tokens[offsets[1:][short] - 1]
    assert not w[last].any()  # only a node without edges ends a walk early


def test_another_seed_another_walk():
    graph = barbell()
    first, other = (walks(graph, 2, 20, rng=np.random.default_rng(seed))[0] for seed in (0, 1))
    assert not np.array_equal(first, other)


def test_visits_approach_the_stationary_distribution():
    """A plain walk on a connected undirected graph visits nodes by their weighted degree, as networkx has it too."""
    nx = pytest.importorskip("networkx")
    graph = barbell()
    tokens, _ = walks(graph, 20, 4000, rng=np.random.default_rng(4))
    share = np.bincount(tokens, minlength=9) / len(tokens)
    rank = nx.pagerank(nx.from_scipy_sparse_array(graph), alpha=1 - 1e-9, max_iter=10**5, tol=1e-12)
    assert share == pytest.approx([rank[v] for v in range(9)], abs=0.01)
