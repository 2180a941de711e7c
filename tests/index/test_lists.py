"""Search by lists beside exact search: nothing forbidden, nothing missing, the same bits; nearly all of the best."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.index import auto
from shortlist.index._probes import figures
from shortlist.index.auto import Auto, named
from shortlist.index.exact import Exact, inner
from shortlist.index.ivf import IVF
from shortlist.index.ivf_pq import IVFPQ
from shortlist.progress import listening
from shortlist.types import InputError, Ragged

pytest.importorskip("faiss", reason="the extra 'index' is not installed")
BOTH = pytest.mark.parametrize("kind", [IVF, IVFPQ])


def clusters(rng: np.random.Generator, c: int, f: int, groups: int, norms: float = 0.0) -> np.ndarray:
    """c vectors around ``groups`` directions; lengths lognormal where ``norms`` is above 0."""
    centres = rng.standard_normal((groups, f))
    x = centres[rng.integers(0, groups, c)] + 0.4 * rng.standard_normal((c, f))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return (x * np.exp(norms * rng.standard_normal((c, 1)))).astype(np.float32)


def asking(rng: np.random.Generator, n: int, heads: int, f: int, whole: bool) -> np.ndarray:
    p = rng.integers(-2, 3, (n, heads, f)) if whole else rng.standard_normal((n, heads, f))
    return np.where(rng.random((n, heads, 1)) < 0.3, 0, p).astype(np.float32)


def barring(rng: np.random.Generator, n: int, c: int, most: int) -> Ragged:
    """Up to ``most`` columns a request, in any order, with -1 for an item nobody knows."""
    parts = [rng.choice(c + 1, min(c + 1, int(rng.integers(0, most + 1))), replace=False) - 1 for _ in range(n)]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Ragged(offsets, {"column": np.concatenate([*parts, np.empty(0)]).astype(np.int32)})


@BOTH
@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 10**6), st.integers(0, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 60),
    st.integers(0, 70), st.sampled_from([-np.inf, -3.0, 0.0]), st.booleans(), st.integers(1, 3),
)  # fmt: skip
def test_of_what_is_looked_into_nothing_is_forbidden_wrong_or_missing(
    kind, seed, n, heads, f, c, k, floor, whole, probes
):
    """However few lists are looked into at first, as many come back as exact search has: it widens."""
    rng = np.random.default_rng(seed)
    table = (rng.integers(-2, 3, (c, f)) if whole else rng.standard_normal((c, f))).astype(np.float32)
    p, forbidden = asking(rng, n, heads, f, whole), barring(rng, n, c, c)
    index = kind()
    built = {**index.build(table, lambda: table), "probes": np.array([probes])}
    request, column, score = index.search(table, built, p, forbidden, k, floor)
    assert (request.dtype, column.dtype, score.dtype) == (np.uint32, np.int32, np.float32)
    right = Exact().search(table, {}, p, forbidden, k, floor)
    assert np.array_equal(request, right[0])  # as many of each request, none shortened
    assert np.array_equal(inner(table, p, request, column), score)  # the score of a row to the bit
    keys = list(zip(request.tolist(), (-score).tolist(), column.tolist(), strict=True))
    assert keys == sorted(set(keys))  # best first, ties by column, nothing twice
    for r in range(n):
        assert not set(column[request == r].tolist()) & set(forbidden.row(r)["column"].tolist())
        assert not (score[request == r] > right[2][request == r]).any()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 80), st.integers(0, 90), st.booleans())
def test_all_lists_together_are_exact(seed, heads, c, k, whole):
    rng = np.random.default_rng(seed)
    table = (rng.integers(-2, 3, (c, 5)) if whole else rng.standard_normal((c, 5))).astype(np.float32)
    p, forbidden = asking(rng, 4, heads, 5, whole), barring(rng, 4, c, 3)
    built = {**IVF().build(table, lambda: table), "probes": np.array([c])}
    found = IVF().search(table, built, p, forbidden, k, -np.inf)
    for one, other in zip(found, Exact().search(table, {}, p, forbidden, k, -np.inf), strict=True):
        assert np.array_equal(one, other)


@BOTH
@pytest.mark.parametrize(("norms", "heads"), [(0.0, 1), (0.0, 3), (0.5, 1)])
def test_as_much_is_found_as_was_asked_for_of_lists_that_are_few(kind, norms, heads):
    """Also by several heads, and where the inner product is no cosine; requests that the build has not seen."""
    rng = np.random.default_rng(5)
    whole = clusters(rng, 20_600, 16, 60, norms)
    table, spare = whole[:20_000], whole[20_000:] / np.linalg.norm(whole[20_000:], axis=1, keepdims=True)
    index = kind(recall=0.97)
    built = index.build(table, lambda: spare[:300])
    assert built["probes"][0] < len(built["spread"]) / 3
    p, nothing = spare[300:].reshape(-1, heads, 16), Ragged.empty(300 // heads, column=np.int32)
    for k in (100, 200):
        found = index.search(table, built, p, nothing, k, -np.inf)
        right = Exact().search(table, {}, p, nothing, k, -np.inf)
        both = np.intersect1d(*(r.astype(np.int64) * len(table) + i for r, i, _ in (found, right)))
        assert len(both) / len(right[0]) > 0.955
    told = figures(index, table, built, lambda: spare[:300])
    assert told["recall@100"] >= 0.97
    assert told["products"] < len(table) / 2
    fewer = {**built, "probes": built["probes"] - 1}
    assert figures(index, table, fewer, lambda: spare[:300])["recall@100"] < 0.97


@BOTH
def test_a_batch_and_a_single_request_give_the_same_bits_and_so_does_another_build(kind):
    rng = np.random.default_rng(1)
    table = clusters(rng, 3000, 10, 30, 0.3)
    p, forbidden = asking(rng, 20, 2, 10, whole=False), barring(rng, 20, 3000, 200)
    built = kind().build(table, lambda: table[::7])
    again = kind().build(np.asfortranarray(table), lambda: table[::7])
    assert built.keys() == again.keys()
    assert all(np.array_equal(built[name], again[name]) for name in built)
    request, column, score = kind().search(table, built, p, forbidden, 50, 0.0)
    for r in range(20):
        _, alone, bits = kind().search(table, built, p[r : r + 1], forbidden.take([r]), 50, 0.0)
        assert np.array_equal(alone, column[request == r])
        assert np.array_equal(bits, score[request == r])


@BOTH
def test_new_items_are_found_without_another_build(kind):
    rng = np.random.default_rng(2)
    table = clusters(rng, 4000, 12, 20)
    table /= np.linalg.norm(table, axis=1, keepdims=True)  # so that an item's own vector is its best
    table[3500] = np.nan
    built = kind().build(table[:3000], lambda: table[:300])
    grown = kind().grow(table, built, 3000)
    assert np.array_equal(built["means"], grown["means"])
    assert sorted(grown["columns"].tolist()) == [i for i in range(4000) if i != 3500]
    wanted = np.delete(np.arange(3000, 4000), 500)
    nothing = Ragged.empty(len(wanted), column=np.int32)
    _, column, _ = kind().search(table, grown, table[wanted][:, None], nothing, 1, -np.inf)
    assert (column == wanted).mean() > 0.8  # lists of old items: some new ones lie at their edges
    found = kind().search(table, grown, table[:200, None], Ragged.empty(200, column=np.int32), 100, -np.inf)
    finite = np.where(np.isfinite(table), table, 0)
    right = Exact().search(finite, {}, table[:200, None], Ragged.empty(200, column=np.int32), 100, -np.inf)
    both = np.intersect1d(*(r.astype(np.int64) * 4000 + i for r, i, _ in (found, right)))
    assert len(both) / len(right[0]) > 0.85  # .97 when it was built: a third more items lie in lists of others' means
    for j, (start, end) in enumerate(zip(grown["starts"][:-1], grown["starts"][1:], strict=True)):
        assert (np.diff(grown["columns"][start:end]) > 0).all(), j


@BOTH
def test_what_is_no_number_is_not_found_and_a_table_without_any_needs_no_lists(kind):
    rng = np.random.default_rng(3)
    table = rng.standard_normal((40, 3)).astype(np.float32)
    table[[4, 9]], table[7] = np.inf, np.nan
    index, ones = kind(), np.ones((1, 1, 3), np.float32)
    nothing = Ragged.empty(1, column=np.int32)
    built = index.build(table, lambda: np.concatenate([table, np.zeros((3, 3), np.float32)]))
    assert sorted(index.search(table, built, ones, nothing, 99, -np.inf)[1].tolist()) == sorted(
        {*range(40)} - {4, 7, 9}
    )
    lost = np.array([[[np.nan] * 3, [1, 0, 0]], [[np.nan] * 3, [np.inf, 0, 0]]], np.float32)
    request, _, score = index.search(table, built, lost, Ragged.empty(2, column=np.int32), 5, -np.inf)
    assert request.tolist() == [0] * 5
    assert np.isfinite(score).all()
    for empty in (np.empty((0, 3), np.float32), np.empty((3, 0), np.float32), np.full((2, 2), np.nan, np.float32)):
        assert index.build(empty, lambda empty=empty: empty) == {}
        assert len(index.search(empty, {}, np.ones((1, 1, empty.shape[1]), np.float32), nothing, 5, -np.inf)[0]) == 0


@BOTH
@pytest.mark.parametrize("change", [{"starts": lambda a: a[::-1].copy()}, {"starts": lambda a: a * 0 - 1}])
def test_lists_that_do_not_fit_are_no_way_into_foreign_memory(kind, change):
    """A bundle's digests and ``sizes`` come first; what they let through is at worst a wrong answer."""
    rng = np.random.default_rng(4)
    table = rng.standard_normal((50, 4)).astype(np.float32)
    built = kind().build(table, lambda: table)
    bad = {**built, **{name: make(built[name]) for name, make in change.items()}}
    _, column, _ = kind().search(table, bad, table[:5, None], Ragged.empty(5, column=np.int32), 10, -np.inf)
    assert set(column.tolist()) <= set(range(50))


def test_auto_is_exact_while_it_is_small_or_without_clusters_and_has_codes_when_memory_is_short(monkeypatch):
    rng = np.random.default_rng(6)
    table = clusters(rng, 6000, 8, 30)
    asked = lambda: table[::20]  # noqa: E731
    assert Auto().build(table, asked) == {}
    assert Auto().order({}) == "F"
    monkeypatch.setattr(auto, "FEW", 6000 * 8 - 1)
    built = Auto().build(table, asked)
    assert "grouped" in built
    assert Auto().order(built) == "C"
    noise = rng.standard_normal((6000, 32)).astype(np.float32)
    assert Auto().build(noise, lambda: noise[::20]) == {}
    monkeypatch.setattr(auto, "SPARE", table.nbytes - 1)
    coded = Auto().build(table, asked)
    assert "codes" in coded
    assert sum(array.nbytes for array in coded.values()) < sum(array.nbytes for array in built.values())
    nothing = Ragged.empty(5, column=np.int32)
    for made, kind in ((built, IVF), (coded, IVFPQ), ({}, Exact)):
        found, right = (i.search(table, made, table[:5, None], nothing, 9, 0.0) for i in (Auto(), kind()))
        assert all(np.array_equal(one, other) for one, other in zip(found, right, strict=True))
        more = np.concatenate([table, table[:1]])
        assert Auto().grow(more, made, 6000).keys() == made.keys()


def test_without_faiss_auto_warns_once_and_the_others_say_what_to_install(monkeypatch):
    table, heard = np.ones((20, 4), np.float32), []
    auto._say_missing.cache_clear()
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(auto, "FEW", 10)
    with listening(lambda name, fields: heard.append((name, fields["message"]))):
        assert Auto().build(table, lambda: table) == {}
        assert Auto().build(table, lambda: table) == {}
    assert [name for name, _ in heard] == ["warning"]
    assert "pip install 'shortlist[index]'" in heard[0][1]
    for name in ("ivf", "ivf_pq"):
        with pytest.raises(InputError, match=rf"index = \"{name}\" needs the package faiss-cpu: pip install"):
            named(name, 0.97).build(table, lambda: table)


def test_more_items_than_were_measured_have_more_lists_looked_into():
    rng = np.random.default_rng(7)
    table = clusters(rng, 5000, 8, 25)
    index = IVF()
    built = {**index.build(table, lambda: table[::17]), "probes": np.array([10])}
    nothing = Ragged.empty(50, column=np.int32)
    k = 400
    found = index.search(table, built, table[:50, None], nothing, k, -np.inf)
    alike = index.search(table, {**built, "probes": np.array([20])}, table[:50, None], nothing, 200, -np.inf)
    top = [np.flatnonzero(found[0] == r)[:200] for r in range(50)]
    assert np.array_equal(found[1][np.concatenate(top)], alike[1])


def test_settings_are_no_state():
    assert replace(IVF(), recall=0.5) == IVF(0.5) == named("ivf", 0.5)
    assert named("exact", 0.5).build(np.ones((2, 2), np.float32), lambda: 1 / 0) == {}
