"""The history kernel against its plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.recall._kernels.history import LOG, ONCE, weighted

RATE = 1 / 5


def plain(
    events: list[tuple[int, float, int]], column: list[int], rate: float, fade: float, last: int, mode: int
) -> dict[int, float]:
    """Weight of each column, latest first; ``events`` are (item, strength, time), oldest first."""
    counted = [(column[i], s, t) for i, s, t in events if s > 0 and 0 <= i < len(column) and column[i] >= 0]
    order = list(dict.fromkeys(c for c, _, _ in reversed(counted)))
    kept = order[:last] if last else order
    if last and len(order) > last:  # nothing older than the first occurrence of an item too many
        cut = max(p for p, (c, _, _) in enumerate(counted) if c == order[last])
        counted = counted[cut + 1 :]
    latest = counted[-1][2] if counted else 0
    weights = {}
    for c in kept:
        place = 2.0 ** (-fade * order.index(c))
        decays = [(s, place * 2.0 ** (-rate * (latest - t))) for x, s, t in counted if x == c]
        total = sum(s * d for s, d in decays)
        weights[c] = max(s * d for s, d in decays) if mode == ONCE else total
        if mode == LOG:
            weights[c] = np.log2(1 + total)
    return weights


events = st.lists(st.tuples(st.integers(-1, 9), st.sampled_from([0.0, 1.0, 2.5]), st.integers(0, 30)), max_size=12)


@settings(deadline=None)
@given(
    st.lists(events, max_size=4),
    st.integers(0, 4),
    st.sampled_from([0.0, RATE]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0, 1, 2]),
)
def test_weights_match_the_definition(histories, last, rate, fade, mode):
    column = [0, -1, 1, 2, 3, -1, 4, 5]  # items 1 and 5 are unknown, so are -1, 8 and 9
    histories = [sorted(history, key=lambda e: e[2]) for history in histories]
    flat = [e for history in histories for e in history]
    offsets = np.concatenate([[0], np.cumsum([len(h) for h in histories])]).astype(np.int64)
    item, strength, time = (np.array([e[c] for e in flat], t) for c, t in enumerate((np.int32, np.float32, np.int64)))
    out = weighted(offsets, item, strength, time, np.array(column, np.int32), 6, rate, fade, last, mode)
    for r, history in enumerate(histories):
        row = slice(out[0][r], out[0][r + 1])
        expected = plain(history, column, rate, fade, last, mode)
        assert out[1][row].tolist() == list(expected)
        assert out[2][row] == pytest.approx(list(expected.values()), rel=1e-5)
