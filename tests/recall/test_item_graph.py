"""The item graph against a count of steps, one user and one event after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.recall._item_graph import item_graph, walks

C = 6


def plain(user, column, time, gap, strength, directed):
    w = np.zeros((C, C))
    for u in sorted(set(user)):
        events = [e for e in range(len(user)) if user[e] == u]
        for a, b in itertools.pairwise(events):
            j, i = column[a], column[b]
            if i != j and (gap is None or time[b] - time[a] <= gap):
                w[j, i] += 1 if strength is None else np.sqrt(strength[a] * strength[b])
    return w if directed else w + w.T


@given(
    events=st.lists(st.tuples(st.integers(0, 3), st.integers(0, C - 1), st.integers(0, 3)), max_size=40),
    gap=st.sampled_from([None, 1, 3]),
    directed=st.booleans(),
    by_strength=st.booleans(),
)
def test_steps_are_counted(events, gap, directed, by_strength):
    user, column, pause = (np.array([event[part] for event in events], np.int64) for part in range(3))
    time = np.cumsum(pause)
    strength = np.linspace(1, 5, len(events)) if by_strength else None
    graph = item_graph(user, column, time, C, gap=gap, strength=strength, directed=directed)
    assert graph.toarray() == pytest.approx(plain(user, column, time, gap, strength, directed), rel=1e-6)
    assert graph.dtype == np.float32
    for v in range(C):
        row = graph.indices[graph.indptr[v] : graph.indptr[v + 1]]
        assert (np.diff(row) > 0).all()


def test_a_pause_ends_a_session():
    user, column, time = np.zeros(4, int), np.array([0, 1, 2, 3]), np.array([0, 10, 21, 31])
    assert item_graph(user, column, time, 4, gap=10).nnz == 2
    assert item_graph(user, column, time, 4).nnz == 3


def test_an_item_after_itself_is_no_edge_and_parts_none():
    """0 0 1: the second 0 leads to 1, nothing leads to 0."""
    graph = item_graph(np.zeros(3, int), np.array([0, 0, 1]), np.arange(3), 2)
    assert graph.toarray().tolist() == [[0, 1], [0, 0]]


def test_every_node_with_an_edge_starts_as_many_walks():
    graph = item_graph(np.zeros(4, int), np.array([0, 1, 2, 1]), np.arange(4), 5, directed=False)
    tokens, offsets = walks(graph, 3, 4, rng=np.random.default_rng(0))
    starts = tokens[offsets[:-1]]
    assert np.bincount(starts, minlength=5).tolist() == [3, 3, 3, 0, 0]
    for start in range(0, 9, 3):  # round by round
        assert sorted(starts[start : start + 3]) == [0, 1, 2]


def test_no_events_no_walks():
    none = np.empty(0, np.int64)
    for directed in (True, False):
        graph = item_graph(none, none, none, 3, directed=directed)
        tokens, offsets = walks(graph, 2, 5, rng=np.random.default_rng(0))
        assert (len(tokens), offsets.tolist()) == (0, [0])
