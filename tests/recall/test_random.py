"""The kernels that draw: the published sequence, exact odds, and one pass of gradient steps by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.recall._kernels.random import Alias, alias_table, bits, draw, drawn, uniform
from shortlist.recall._kernels.sgd import epoch
from shortlist.recall._kernels.sparse import Sparse

# The kernels count in whole numbers modulo 2^64, which numpy warns of where they are run as plain Python.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_bits_are_the_published_sequence(seed, expected):
    state = np.array([seed], np.uint64)
    assert [int(bits(state)) for _ in expected] == expected
    state, again = np.array([seed], np.uint64), np.array([seed], np.uint64)
    for word in expected:
        assert uniform(state) == (word >> 11) / 2**53
        assert draw(again, 1000) == (word >> 32) * 1000 >> 32


@settings(deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), max_size=9))
def test_an_alias_table_holds_the_weights(weights):
    """What stays with i and what others send to it add up to its share."""
    table = alias_table(np.array(weights))
    odds = table.stays.astype(float)
    assert ((odds >= 0) & (odds <= 1)).all()
    for i, other in enumerate(table.other):
        odds[other] += 1 - table.stays[i]
    total = sum(weights)
    expected = np.array(weights) / total * len(weights) if total else np.ones(len(weights))
    np.testing.assert_allclose(odds, expected, atol=1e-6 * max(len(weights), 1))


def test_draws_are_as_often_as_they_weigh():
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    table, state = alias_table(weights), np.array([7], np.uint64)
    found = np.bincount([drawn(state, *table) for _ in range(8000)], minlength=4) / 8000
    np.testing.assert_allclose(found, weights / 8, atol=0.02)
    assert found[1] == 0
    never = Alias(np.zeros(2, np.float32), np.array([1, 0], np.int32))
    assert {drawn(state, *never) for _ in range(50)} == {0, 1}


def stepped(p, q, target, step, ridges):
    error = target - p @ q
    return p + step * (error * q - ridges[0] * p), q + step * (error * p - ridges[1] * q), error


@pytest.mark.parametrize(("weight", "times"), [(0.5, 1), (1.0, 1), (2.5, 3)])
@pytest.mark.parametrize("negatives", [1, 2])
def test_a_pass_is_its_steps(weight, times, negatives):
    """One user, one item taken, and a draw that is always the other item."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    p, q, other = users[1].copy(), items[0].copy(), items[1].copy()
    rate, ridges, errors = 0.1, (0.3, 0.07), []
    for _ in range(times):
        p, q, error = stepped(p, q, 1.0, rate * weight / times, ridges)
        errors.append(error)
        for _ in range(negatives):
            p, other, error = stepped(p, other, 0.0, rate * weight / times, ridges)
            errors.append(error)
    log = Sparse(np.array([0, 0, 1]), np.array([0], np.int32), np.array([weight], np.float32))
    always = alias_table(np.array([0.0, 1.0]))
    made = users.astype(np.float32), items.astype(np.float32)
    loss = epoch(log, always, *made, rate, *ridges, negatives, np.array([0, 1]), 5)
    np.testing.assert_allclose(made[0], [users[0], p], rtol=1e-4)
    np.testing.assert_allclose(made[1], [q, other], rtol=1e-4)
    assert loss == pytest.approx(np.mean(np.square(errors)), rel=1e-4)


def test_what_a_user_has_is_no_negative():
    rng = np.random.default_rng(1)
    users, items = rng.normal(size=(1, 2)), rng.normal(size=(2, 2))
    log = Sparse(np.array([0, 1]), np.array([1], np.int32), np.ones(1, np.float32))
    made = users.astype(np.float32), items.astype(np.float32)
    epoch(log, alias_table(np.array([0.0, 1.0])), *made, 0.1, 0.0, 0.0, 4, np.array([0]), 5)  # always its own item
    p, q, _ = stepped(users[0], items[1], 1.0, 0.1, (0.0, 0.0))
    np.testing.assert_allclose(made[0][0], p, rtol=1e-4)
    np.testing.assert_allclose(made[1], [items[0], q], rtol=1e-4)
    other = users.astype(np.float32), items.astype(np.float32)
    two = Sparse(np.array([0, 1, 2]), np.array([1, 0], np.int32), np.ones(2, np.float32))
    both = np.repeat(other[0], 2, axis=0)
    epoch(two, alias_table(np.array([0.0, 1.0])), both, other[1], 0.1, 0.0, 0.0, 1, np.array([0, 1]), 5)
    assert not np.allclose(other[1][1], q)  # the second user has item 0 alone: item 1 is forgotten and a negative
