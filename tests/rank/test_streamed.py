"""Rows encoded when they are read: the same arrays, nets and scores as of rows encoded whole, in less memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.encode.inputs import Inputs, Streamed
from shortlist.nn import checkpoint, onnx
from shortlist.nn.rows import Rows
from shortlist.rank import _deep
from shortlist.rank.deepfm import DeepFM
from shortlist.rank.din import DIN
from shortlist.rank.mmoe import MMOE
from shortlist.rank.wide_deep import WideDeep
from shortlist.types import Ragged

from ._pasts import bought_lately
from ._tables import made_up

PLAN = {"epochs": 2, "batch": 128, "stopping": 1, "hidden": [8]}
SETTINGS = [
    (WideDeep, {"objective": "softmax", "numeric": "standard", "crosses": [("a", "kind")]}),
    (WideDeep, {"objective": "pointwise", "checks": 3}),
    (DeepFM, {"ids": ["item", "user"], "numeric": "quantile"}),
    (DIN, {"history": 5}),
    (MMOE, {}),
]


def tables():
    """Rows to learn from, some of which are not known, and later ones; with infinities, a list and histories."""
    found = []
    for seed in (0, 1):
        samples = bought_lately(500, 6, 5, seed)
        rows = samples.candidates.with_columns(**made_up(3000, seed, 6).candidates.columns)
        a, tags = rows["a"].copy(), np.random.default_rng(seed).integers(-1, 6, (3000, 3)).astype(np.int32)
        a[::97] = np.inf
        label = samples.labels["click"].copy()
        label[::53] = np.nan
        rows = rows.with_columns(a=a, tags=tags, flag=rows["b"] > 1, _unread=np.full(3000, "text"))
        found.append(replace(samples, candidates=rows, labels={"click": label, "other": 1 - label}))
    return found


@pytest.fixture
def small(monkeypatch):
    """No rows are encoded whole that are not scored at once."""
    return lambda: monkeypatch.setattr(_deep, "WHOLE", 0)


@pytest.mark.parametrize(("cls", "given"), SETTINGS, ids=lambda part: getattr(part, "__name__", ""))
def test_the_net_and_its_scores_are_the_same_to_the_last_bit(cls, given, small, monkeypatch):
    train, valid = tables()
    whole = cls(**PLAN, **given).fit(train, valid).refit(train)
    scored = whole.score(valid.requests, valid.candidates)
    small()
    sizes = []
    encode = cls.of_rows
    monkeypatch.setattr(cls, "of_rows", lambda self, q, rows: sizes.append(len(rows)) or encode(self, q, rows))
    parts = cls(**PLAN, **given).fit(train, valid).refit(train)
    np.testing.assert_array_equal(parts.weights_["value"], whole.weights_["value"])
    assert parts.checks_ == whole.checks_
    for name, column in parts.score(valid.requests, valid.candidates).items():
        np.testing.assert_array_equal(column, scored[name])
    assert len(sizes) > 2 * 3000 // 128
    assert max(sizes) <= onnx.CHUNK


@pytest.mark.parametrize(("cls", "given"), SETTINGS, ids=lambda part: getattr(part, "__name__", ""))
def test_a_part_is_the_part_of_the_whole(cls, given, small):
    train, _ = tables()
    ranker = cls(**PLAN | {"epochs": 1}, **given).fit(train)
    whole = ranker.streamed(train.requests, train.candidates)
    assert isinstance(whole, Inputs)
    small()
    streamed = ranker.streamed(train.requests, train.candidates)
    assert isinstance(streamed, Streamed)
    assert len(streamed) == len(whole) == 3000
    assert "_unread" not in streamed.candidates
    chosen = np.random.default_rng(0).permutation(3000)[:500]
    for rows in (chosen, slice(100, 400)):
        same(streamed.of_rows(rows), whole.of_rows(rows))
        same(whole.of_rows(rows), {name: array[rows] for name, array in whole.rows.items()})
    for start, end in ((0, 7), (990, 2011), (2995, 4000)):
        same(streamed.part(start, end).named(), whole.part(start, end).named())


def test_rows_that_are_few_are_encoded_at_once(small):
    train, _ = tables()
    ranker = WideDeep(**PLAN).fit(train)
    small()
    few = train.take(np.arange(100))
    assert isinstance(ranker.streamed(few.requests, few.candidates), Inputs)


def test_a_run_is_known_again_by_the_rows_that_it_streams(tmp_path, small):
    train, _ = tables()
    ranker = DIN(**PLAN, history=5).fit(train)
    small()

    def file(samples):
        ones = np.ones(len(samples), np.float32)
        rows = Rows(ranker.streamed(samples.requests, samples.candidates), ones, ones)
        with checkpoint.kept_in(tmp_path):
            return checkpoint.of(ranker.net(), ranker, rows).path

    first = file(train)
    train.requests.memo["worked out"] = np.arange(3)
    assert file(train) == first
    a = train.candidates["a"].copy()
    a[7] += 1
    assert file(replace(train, candidates=train.candidates.with_columns(a=a))) != first
    history = train.requests.history
    other = {**history.columns, "item": history["item"] + 1}
    assert file(replace(train, requests=replace(train.requests, history=Ragged(history.offsets, other)))) != first


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name])
