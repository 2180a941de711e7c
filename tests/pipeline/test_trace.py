"""What one half hands to the other comes back from flat arrays as it was."""

from __future__ import annotations

import io

import numpy as np

from shortlist.pipeline import Recalled
from shortlist.types import HISTORY, Candidates, Ragged, Requests


def test_recalled_comes_back_from_a_file_of_arrays():
    history = Ragged(np.array([0, 2, 3]), {name: np.arange(1, 4).astype(dtype) for name, dtype in HISTORY.items()})
    exclude = Ragged(np.array([0, 1, 1]), {"item": np.array([7], np.int32)})
    requests = Requests(
        np.array([11, 12], np.uint64),
        np.array([5, -1], np.int32),
        np.array([1000, 2000], np.int64),
        history,
        exclude,
        {"device": np.array([3, 4], np.int32), "price": np.array([0.5, np.nan], np.float32)},
    )
    rows = Candidates(
        np.array([0, 0, 1], np.uint32), np.array([9, 8, 9], np.int32), {"score": np.array([3, 2, 1], np.float32)}
    )
    spare = Candidates(np.array([1], np.uint32), np.array([2], np.int32), {"fallback": np.array([True])})
    file = io.BytesIO()
    np.savez(file, **Recalled(requests, rows, spare).arrays())
    back = Recalled.of(np.load(io.BytesIO(file.getvalue())))
    for name in ("id", "user", "time"):
        assert np.array_equal(getattr(back.requests, name), getattr(requests, name)), name
    for name, column in requests.context.items():
        assert np.array_equal(back.requests.context[name], column, equal_nan=True)
    for name in ("history", "exclude"):
        was, now = getattr(requests, name), getattr(back.requests, name)
        assert np.array_equal(now.offsets, was.offsets)
        assert now.columns.keys() == was.columns.keys()
        assert all(np.array_equal(now[c], was[c]) and now[c].dtype == was[c].dtype for c in was.columns)
    for was, now in ((rows, back.rows), (spare, back.spare)):
        assert np.array_equal(now.keys, was.keys)
        assert now.columns.keys() == was.columns.keys()
        assert all(np.array_equal(now[c], was[c]) for c in was.columns)
