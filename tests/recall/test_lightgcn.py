"""LightGCN: it propagates as the textbook does, requests are answered by it, and long paths tell more than short."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from shortlist.nn.propagation import Bipartite
from shortlist.nn.rivals import Rivals
from shortlist.recall.lightgcn import LightGCN, Pairs
from shortlist.testing import worlds
from shortlist.types import Candidates, Requests

DAY, START = worlds.DAY, worlds.START
NOW = START + 100 * DAY


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard()


@pytest.fixture(scope="module", params=[True, False], ids=["own", "history"])
def channel(board, request):
    return LightGCN(factors=8, epochs=20, own=request.param).fit(board)


def pairs(seed: int = 0, users: int = 7, items: int = 9):
    there = np.random.default_rng(seed).random((users, items)) < 0.4
    there[0], there[:, 1] = False, False  # one of each without an edge
    return np.nonzero(there)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("own", [True, False])
def test_propagation_is_that_of_the_whole_matrix(layers, own):
    user, item = pairs()
    r = sp.csr_matrix((np.ones(len(user)), (user, item)), shape=(7, 9))
    a = sp.bmat([[None, r], [r.T, None]]).tocsr()
    scale = sp.diags(1 / np.sqrt(np.maximum(np.asarray(a.sum(axis=1)).ravel(), 1)))
    s = scale @ a @ scale
    rng = np.random.default_rng(1)
    p, q = rng.standard_normal((7, 4)), rng.standard_normal((9, 4))
    e = np.concatenate([p if own else 0 * p, q])
    total, power = e.copy(), e
    for _ in range(layers):
        before = total
        power = s @ power
        total = before + power
    graph = Bipartite.of(user, item, 7, 9)
    p32, q32 = (torch.from_numpy(x.astype(np.float32)) for x in (p, q))
    users, items, sources = graph.spread(p32 if own else None, q32, layers)
    np.testing.assert_allclose(users, total[:7], atol=1e-5)
    np.testing.assert_allclose(items, total[7:], atol=1e-5)
    np.testing.assert_allclose(sources, before[7:], atol=1e-5)


@pytest.mark.parametrize("own", [True, False])
def test_gradients_are_those_of_finite_differences(own):
    user, item = pairs()
    graph = Bipartite.of(user, item, 7, 9)
    graph = Bipartite(*(m.to(torch.float64) for m in (graph.there, graph.back)))
    rng = np.random.default_rng(2)
    p, q = (torch.from_numpy(rng.standard_normal((n, 3))).requires_grad_() for n in (7, 9))

    def value(*tables):
        users, items, before = graph.spread(tables[0] if own else None, tables[-1], 3)
        return (users[user] * items[item]).sum(-1).sigmoid(), before.square().sum()

    assert torch.autograd.gradcheck(value, (p, q) if own else (q,))


def test_a_request_is_answered_as_the_user_would_be(board, channel):
    """The history as it was at the fit gives the propagated vector, whoever has it but for the user's own part."""
    users = np.arange(board.n_users)
    history = board.state().history(users, np.full(len(users), NOW))
    p = channel.vectors(Requests.of(users, np.full(len(users), NOW), history), board.state())[:, 0]
    strangers = channel.vectors(Requests.of(np.full(len(users), -1), np.full(len(users), NOW), history), board.state())
    own = np.zeros_like(p)
    own[channel.askers_[: len(channel.own_)]] = channel.own_
    np.testing.assert_allclose(p - own, strangers[:, 0], atol=1e-5)
    assert bool(np.abs(own).max() > 0) == channel.own
    # e_u by hand: |N|^-1/2 times the sum of what its items bring
    taken = [np.unique(history.row(u)["item"]) for u in users]
    expected = [channel.sources_[channel.column_[items]].sum(0) / np.sqrt(len(items)) for items in taken]
    np.testing.assert_allclose(strangers[:, 0], expected, atol=1e-5)


def test_the_net_and_the_channel_have_one_rule(board):
    """What says when to stop is what is served."""
    channel = LightGCN(factors=8, epochs=2, hold=0)
    seen = {}
    build = channel.build

    def kept():
        seen["net"] = build()
        return seen["net"]

    object.__setattr__(channel, "build", kept)
    channel.fit(board)
    log = channel._counted(board.sequences())
    rows = np.arange(board.n_users)
    x = channel.read(log, log.offsets[:-1], log.offsets[1:], np.zeros(len(rows)), rows, board.users)
    with torch.inference_mode():
        p = seen["net"].eval()({name: torch.from_numpy(array) for name, array in x.items()})
    history = board.state().history(rows, np.full(len(rows), NOW))
    served = channel.vectors(Requests.of(rows, np.full(len(rows), NOW), history), board.state())
    np.testing.assert_allclose(p, served, atol=1e-5)
    np.testing.assert_allclose(seen["net"].items(None).detach(), channel.table_, atol=1e-6)


def test_only_long_paths_tell():
    """Chains of items 0 - 1 - 2 - 3; a user has two of them, side by side. Who has the first is told apart by three
    steps which chain's last is near; by one step, only the first's own neighbour is."""
    chains, each = 12, 8
    user, item, u = [], [], 0
    for chain in range(chains):
        for link in range(3):
            for _ in range(each):
                user += [u, u]
                item += [4 * chain + link, 4 * chain + link + 1]
                u += 1
    data = worlds.dataset(np.array(user), np.array(item), START + DAY * np.arange(len(user)))
    deep, flat = (LightGCN(factors=48, depth=d, own=False, epochs=30, hold=0, rate=1e-3).fit(data) for d in (3, 1))
    first = 4 * np.arange(chains)
    history = worlds.dataset(np.arange(chains), first, np.full(chains, START), n_items=4 * chains).state()
    history = history.history(np.arange(chains), np.full(chains, NOW))

    def right(channel):
        requests = Requests.of(np.full(chains, -1), np.full(chains, NOW), history)
        thirds = np.tile(first + 3, chains)
        rows = Candidates(np.repeat(np.arange(chains, dtype=np.uint32), chains), thirds.astype(np.int32))
        score = channel.score(requests, rows, data.state()).reshape(chains, chains)
        return (score.argmax(axis=1) == np.arange(chains)).mean()

    assert right(deep) >= 0.8
    assert right(flat) <= right(deep) - 0.4


def test_rivals_are_no_items_of_their_user():
    user, item = pairs()
    taken = set(zip(user.tolist(), item.tolist(), strict=True))
    batches = Pairs(user, item, 9, Rivals(np.ones(9), "uniform", 2), "sequence")
    drawn = [step for seed in range(20) for step in batches.epoch(3, torch.Generator().manual_seed(seed))]
    rows = np.concatenate([np.repeat(step.inputs["row"].numpy(), 2) for step in drawn])
    rivals = np.concatenate([step.rivals.ravel().numpy() for step in drawn])
    hits = np.mean([pair in taken for pair in zip(rows.tolist(), rivals.tolist(), strict=True)])
    assert hits < 0.07  # a third of the items are the user's: three draws more leave 1.5 % of them, or a few more
    assert all(len(step) == len(step.target) for step in drawn)


@pytest.mark.parametrize("objective", ["bpr", "softmax", "sampled", "gbce"])
def test_every_objective_solves_the_board(board, objective):
    channel = LightGCN(factors=8, epochs=20, objective=objective, negatives=4).fit(board)
    users = np.arange(board.n_users)
    history = board.state().history(users, np.full(len(users), NOW))
    found = channel.retrieve(Requests.of(users, np.full(len(users), NOW), history), board.state(), 10)
    assert (worlds.colour_of(found.item) == worlds.colour_of(users[found.request])).mean() > 0.95


def test_a_repeated_item_counts_once(board, channel):
    state, one = board.state(), np.array([NOW])
    history = state.history(np.array([2]), one)
    twice = history.take([0])
    twice = type(twice)(twice.offsets * 2, {name: np.repeat(column, 2) for name, column in twice.columns.items()})
    a, b = (channel.vectors(Requests.of([2], one, h), state) for h in (history, twice))
    np.testing.assert_array_equal(a, b)


def test_the_penalty_is_on_the_vectors_of_the_step(board):
    light, heavy = (LightGCN(factors=8, epochs=20, hold=0, embedding_l2=l2).fit(board) for l2 in (0.0, 1.0))
    assert np.linalg.norm(heavy.table_) < 0.5 * np.linalg.norm(light.table_)
