"""Personal rank: three ways to one definition, and the definition behind what a request is answered."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.recall import _memory
from shortlist.recall._kernels.random_walk import Graph, Solver, iterate, push
from shortlist.recall.personal_rank import PersonalRank
from shortlist.testing import worlds
from shortlist.types import Requests

WAYS = {
    "iteration": lambda graph, at, alpha: iterate(graph, graph.restarts(at), alpha, 1e-10),
    "solve": lambda graph, at, alpha: Solver(graph, alpha).ranks(graph.restarts(at)),
    "push": lambda graph, at, alpha: push(graph, at, alpha, 1e-10),
}
EVERYTHING = {"neighbours": 1000, "signal": "all", "repeats": "sum"}


def drawn(n: int, c: int, seed: int = 0) -> sp.csr_matrix:
    """A log of weights 1 to 4, where user 0 and the last item have no edge."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 5, (n, c)) * (rng.random((n, c)) < 0.25)
    x[0] = 0
    x[:, -1] = 0
    x[1, 0] = x[-1, 1] = 1
    return sp.csr_matrix(x.astype(np.float32))


def walk(x: np.ndarray) -> np.ndarray:
    """M of a log [n, c], dense: edge weights over their sum at each vertex."""
    n, c = x.shape
    edges = np.block([[np.zeros((n, n)), x], [x.T, np.zeros((c, c))]])
    return edges / np.maximum(edges.sum(axis=1, keepdims=True), 1e-300)


def definition(m: np.ndarray, r0: np.ndarray, alpha: float) -> np.ndarray:
    """(E - α Mᵀ)^-1 (1 - α) r0."""
    return np.linalg.solve(np.eye(len(m)) - alpha * m.T, (1 - alpha) * r0)


@pytest.fixture(scope="module")
def log():
    return worlds.random_log(5, users=20, items=15, events=160, unknown=0.0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(12, 9), (9, 12)])
@pytest.mark.parametrize("alpha", [0.15, 0.85])
def test_the_three_ways_meet_the_definition(way, shape, alpha):
    x = drawn(*shape)
    vertices = np.arange(sum(shape))
    found = WAYS[way](Graph.of(x), vertices, alpha)
    assert found == pytest.approx(definition(walk(x.toarray()), np.eye(sum(shape)), alpha), abs=1e-8)


def test_as_networkx():
    networkx = pytest.importorskip("networkx")
    x = drawn(12, 9)
    graph, peer = Graph.of(x), networkx.Graph()
    peer.add_nodes_from(range(21))
    upper = sp.triu(graph.weight).tocoo()
    peer.add_weighted_edges_from(zip(upper.row.tolist(), upper.col.tolist(), upper.data.tolist(), strict=True))
    for vertex in (3, 12, 14):
        rank = networkx.pagerank(peer, alpha=0.8, personalization={vertex: 1}, tol=1e-13, max_iter=1000)
        for way in WAYS.values():
            assert way(graph, np.array([vertex]), 0.8)[:, 0] == pytest.approx([rank[v] for v in range(21)], abs=1e-8)


def test_as_scikit_network():
    ranking = pytest.importorskip("sknetwork.ranking")
    x = drawn(12, 9)
    peer = ranking.PageRank(damping_factor=0.8, solver="piteration", n_iter=500, tol=1e-13)
    peer.fit(x, weights_row=np.zeros(12), weights_col=np.eye(9)[2], force_bipartite=True)
    ours = WAYS["solve"](Graph.of(x), np.array([12 + 2]), 0.8)[12:, 0]
    theirs = np.asarray(peer.scores_col_)
    assert theirs / theirs.sum() == pytest.approx(ours / ours.sum(), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0.05, 0.95), tolerance=st.sampled_from([1e-4, 1e-2, 0.3, 2.0]))
def test_push_stays_below_by_its_tolerance_at_most(seed, alpha, tolerance):
    graph = Graph.of(drawn(8, 7, seed))
    vertices = np.arange(15)
    exact = WAYS["solve"](graph, vertices, alpha)
    short = exact - push(graph, vertices, alpha, tolerance)
    assert short.min() >= -1e-12
    assert (short <= tolerance * graph.degree[:, None] / graph.degree[None, :] + 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), alpha=st.floats(0.05, 0.95))
def test_iteration_stops_within_its_tolerance(seed, alpha):
    graph = Graph.of(drawn(8, 7, seed))
    r0 = graph.restarts(np.arange(15))
    wrong = np.abs(iterate(graph, r0, alpha, 1e-3) - Solver(graph, alpha).ranks(r0)).sum(axis=0)
    assert wrong.max() <= 1e-3


@pytest.mark.parametrize("method", WAYS)
def test_the_table_is_the_same_by_every_method(log, method):
    exact = PersonalRank(method="solve", **EVERYTHING).fit(log).table_.toarray()
    channel = PersonalRank(method=method, tolerance=1e-6, **EVERYTHING).fit(log)
    assert channel.table_.toarray() == pytest.approx(exact, abs=1e-5)
    m = walk(log.matrix("all")[:, channel.items_].toarray())
    n = log.n_users
    assert exact == pytest.approx(definition(m, np.eye(len(m)), 0.5)[n:, n:].T, abs=1e-6)


def test_only_the_largest_entries_are_kept(log):
    whole = PersonalRank(method="solve", **EVERYTHING).fit(log).table_.toarray()
    for method in WAYS:
        kept = PersonalRank(**{**EVERYTHING, "neighbours": 4}, method=method, tolerance=1e-9).fit(log).table_
        assert np.diff(kept.indptr).tolist() == [5] * len(whole)
        others = np.where(np.eye(len(whole)), 0, whole)
        assert kept.diagonal() == pytest.approx(whole.diagonal(), abs=1e-7)
        kept.setdiag(0)
        assert -np.sort(-kept.toarray(), axis=1)[:, :4] == pytest.approx(-np.sort(-others, axis=1)[:, :4], abs=1e-7)


def test_threads_do_not_change_the_result(log):
    one, three = (PersonalRank(threads=threads, **EVERYTHING).fit(log).table_ for threads in (1, 3))
    assert (one != three).nnz == 0
    assert one.indices.tolist() == three.indices.tolist()


def asked_about_everything(log, user: int) -> Requests:
    last = int(log.events.time[-1])
    return Requests.of([user], [last], log.state().history(np.array([user]), np.array([last])))


def scores(channel: PersonalRank, requests: Requests, log) -> np.ndarray:
    found = channel.retrieve(requests, log.state(), log.n_items)
    out = np.zeros(log.n_items)
    out[found.item] = found["score"]
    return out[channel.items_]


def test_a_user_of_the_log_is_answered_as_from_his_own_vertex(log):
    """His edges lead back to him there and not to the vertex of the request: that is already in r(j)."""
    channel = PersonalRank(method="solve", alpha=0.7, **EVERYTHING).fit(log)
    x = log.matrix("all")[:, channel.items_].toarray()
    for user in (2, 7):
        of_user = definition(walk(x), np.eye(sum(x.shape))[user], 0.7)[len(x) :]
        asked = scores(channel, asked_about_everything(log, user), log) * 0.7 / x[user].sum()
        assert asked == pytest.approx(of_user, abs=1e-6)


def test_a_stranger_is_a_vertex_nobody_walks_to(log):
    last = int(log.events.time[-1])
    known = log.until(last - 5)
    channel = PersonalRank(method="solve", alpha=0.7, **EVERYTHING).fit(known)
    x = known.matrix("all")[:, channel.items_].toarray()
    stranger = worlds.dataset(np.array([0, 0]), channel.items_[[1, 4]], np.array([3, 9]), n_items=log.n_items)
    asked = scores(channel, asked_about_everything(stranger, 0), known) * 0.7 / 2
    n, v = len(x), sum(x.shape)
    one_way = np.zeros((v + 1, v + 1))
    one_way[:v, :v] = walk(x)
    one_way[v, [n + 1, n + 4]] = 0.5
    assert asked == pytest.approx(definition(one_way, np.eye(v + 1)[v], 0.7)[n:v], abs=1e-6)

    taken = np.zeros((1, x.shape[1]))
    taken[0, [1, 4]] = 1
    both_ways = definition(walk(np.vstack([x, taken])), np.eye(v + 1)[n], 0.7)[n + 1 :]
    assert both_ways != pytest.approx(asked, abs=1e-3)  # in the log he would draw the walkers of others, and his own
    assert (both_ways[[1, 4]] > asked[[1, 4]]).all()


@pytest.mark.parametrize("method", WAYS)
def test_user_rank_is_the_textbook_list(log, method):
    channel = PersonalRank(method=method, tolerance=1e-9, alpha=0.7, **EVERYTHING)
    users = np.array([3, -1, 11, 3, 99])
    found = channel.user_rank(log, users, 6)
    assert "items_" not in channel.__dict__
    x = log.matrix("all").toarray()
    ranks = definition(walk(x), np.eye(sum(x.shape)), 0.7)[len(x) :].T
    for row, user in enumerate(users):
        mine = found.take(found.request == row)
        if not 0 <= user < len(x):
            assert len(mine) == 0
            continue
        wanted = np.where(x[user] > 0, 0, ranks[user])
        order = np.argsort(-wanted, kind="stable")[:6]
        order = order[wanted[order] > 0]
        assert mine.item.tolist() == order.tolist()
        assert mine["score"] == pytest.approx(wanted[order], abs=1e-6)


def test_what_does_not_fit_is_refused(log, monkeypatch):
    monkeypatch.setattr(_memory, "free", lambda: 1000.0)
    with pytest.raises(InputError, match=r"personal_rank: 15 items need .* GB.*push"):
        PersonalRank(method="solve", **EVERYTHING).fit(log)
    PersonalRank(method="push", **EVERYTHING).fit(log)
    PersonalRank(method="iteration", **EVERYTHING).fit(log)
