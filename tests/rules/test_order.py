"""Scatter, dedupe, MMR and fill against plain definitions on lists."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.rules.dedupe import Dedupe
from shortlist.rules.fill import Fill
from shortlist.rules.mmr import MMR
from shortlist.rules.scatter import Scatter

from ._shop import apply, ask, catalogue, rows_of

KINDS = {"brand": "category", "tags": "list"}
N = 12


@st.composite
def shops(draw):
    brand = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=N, max_size=N))
    tags = draw(st.lists(st.lists(st.sampled_from("wxyz"), max_size=3, unique=True), min_size=N, max_size=N))
    return catalogue(KINDS, brand=brand, tags=tags), brand, [sorted(t) for t in tags]


@st.composite
def asked(draw, fallback=False):
    """Lists of items (codes from N on are new to the catalogue), and fallback lists disjoint from them."""
    n = draw(st.integers(1, 3))
    everything = [draw(st.permutations(range(N + 2))) for _ in range(n)]
    cut = [draw(st.integers(0, N + 2)) for _ in range(n)]
    ranked = [order[:c] for order, c in zip(everything, cut, strict=True)]
    spare = [order[c : c + draw(st.integers(0, 5))] for order, c in zip(everything, cut, strict=True)]
    return ranked, spare if fallback else []


def values(shop, item: int, names: list[str]) -> set[tuple[str, str]]:
    _, brand, tags = shop
    if item >= N:
        return set()
    found = set()
    if "brand" in names and brand[item] is not None:
        found.add(("brand", brand[item]))
    if "tags" in names:
        found |= {("tags", tag) for tag in tags[item]}
    return found


def plain_scatter(shop, ranked, spare, most, window, n):
    left, behind, out = list(ranked), list(spare), []
    while left or behind:
        pool = left or behind
        if len(out) >= n:
            out.append(pool.pop(0))
            continue

        def excess(item, placed=out):
            return sum(
                max(0, sum((name, v) in values(shop, o, [name]) for o in placed[-(window - 1) :]) + 1 - most[name])
                for name, v in values(shop, item, list(most))
            )

        best = min(pool, key=excess)  # the first of equals
        pool.remove(best)
        out.append(best)
    return out


@settings(max_examples=120, deadline=None)
@given(
    shop=shops(), given=asked(fallback=True), most=st.integers(1, 2), tags=st.integers(1, 3), window=st.integers(2, 5)
)
def test_scatter_is_its_definition(shop, given, most, tags, window):
    ranked, spare = given
    limits = {"brand": most, "tags": tags}
    for n in (3, 100):
        got = apply(Scatter(most=limits, window=window, n=n), shop[0], rows_of(ranked, spare), ask(len(ranked)))
        assert got == [plain_scatter(shop, r, s, limits, window, n) for r, s in zip(ranked, spare, strict=True)]


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(8)))
def test_scatter_holds_where_brands_are_balanced(order):
    data = catalogue({"brand": "category"}, brand=["a", "b"] * 4)
    (out,) = apply(Scatter(most={"brand": 1}, window=2), data, rows_of([order]))
    assert sorted(out) == list(range(8))
    assert all(x % 2 != y % 2 for x, y in pairwise(out))
    assert apply(Scatter(most={"brand": 1}, window=2), data, rows_of([out])) == [out]  # nothing left to move


def test_each_attribute_may_have_its_own_window():
    data = catalogue(KINDS, brand=["a", "a", "b", "b", "c"], tags=[["x"], [], [], [], ["x"]])
    rule = Scatter(most={"brand": 1, "tags": 1}, window={"brand": 2, "tags": 4})
    assert apply(rule, data, rows_of([[0, 4, 1, 2, 3]])) == [[0, 2, 1, 3, 4]]


@settings(max_examples=120, deadline=None)
@given(shop=shops(), given=asked(fallback=True), by=st.sampled_from(["brand", "tags"]))
def test_dedupe_keeps_the_first_of_each_value(shop, given, by):
    ranked, spare = given
    wanted = []
    for r, s in zip(ranked, spare, strict=True):
        shown: set = set()
        kept = []
        for item in [*r, *s]:
            own = values(shop, item, [by])
            if not own & shown:
                kept.append(item)
                shown |= own
        wanted.append(kept)
    rule, requests, state = Dedupe(by=by), ask(len(ranked)), shop[0].state()
    got = apply(rule, shop[0], rows_of(ranked, spare), requests)
    assert got == wanted
    for rows, more in (
        (rows_of(ranked, spare), [len(r) + len(s) for r, s in zip(ranked, spare, strict=True)]),
        (rows_of(got), [len(r) for r in got]),
    ):
        missed = [size - len(kept) for size, kept in zip(more, wanted, strict=True)]
        assert rule.missed(requests, rows, state).tolist() == missed
    assert apply(Dedupe(by=by), shop[0], rows_of(got), ask(len(ranked))) == got  # once is enough


def plain_mmr(shop, ranked, scores, by, trade_off, similarity, among, n):
    pool, rest = list(range(len(ranked)))[:among], list(range(len(ranked)))[among:]
    considered = [scores[p] for p in pool]
    low, high = min(considered, default=0), max(considered, default=0)

    def alike(p, q):
        a, b = values(shop, ranked[p], by), values(shop, ranked[q], by)
        if not a & b:
            return 0.0
        return len(a & b) / (len(a | b) if similarity == "jaccard" else math.sqrt(len(a) * len(b)))

    out: list[int] = []
    while pool and len(out) < n:

        def gain(p, placed=out):
            relevance = (scores[p] - low) / (high - low) if high > low else 1.0
            return trade_off * relevance - (1 - trade_off) * max((alike(p, q) for q in placed), default=0.0)

        best = max(pool, key=gain)
        pool.remove(best)
        out.append(best)
    return [ranked[p] for p in [*out, *pool, *rest]]


@settings(max_examples=120, deadline=None)
@given(
    shop=shops(),
    given=asked(fallback=True),
    data=st.data(),
    trade_off=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    similarity=st.sampled_from(["jaccard", "cosine"]),
    among=st.integers(1, 14),
    n=st.integers(1, 14),
)
def test_mmr_is_its_definition(shop, given, data, trade_off, similarity, among, n):
    ranked, spare = given
    # eighths are exact in float32, so that ties are ties in both
    scores = [[data.draw(st.integers(0, 8)) / 8 for _ in r] for r in ranked]
    scores = [[0.0, 1.0, *row[2:]] if len(row) >= 2 else row for row in scores]
    among = max(among, 2)
    by = ["tags", "brand"]
    rule = MMR(by=by, trade_off=trade_off, similarity=similarity, among=among, n=n)
    got = apply(rule, shop[0], rows_of(ranked, spare, scores), ask(len(ranked)))
    wanted = [
        plain_mmr(shop, r, s, by, trade_off, similarity, among, n) + list(behind)
        for r, s, behind in zip(ranked, scores, spare, strict=True)
    ]
    assert got == wanted


def test_mmr_bears_scores_that_are_not_numbers():
    data = catalogue({"brand": "category"}, brand=["a", "a", "b"])
    assert apply(MMR(by=["brand"], trade_off=0.6), data, rows_of([[0, 1, 2]], scores=[[1, np.nan, 0.5]])) == [[0, 2, 1]]


@settings(max_examples=40, deadline=None)
@given(shop=shops(), data=st.data(), trade_off=st.sampled_from([0.25, 0.5, 0.9]))
def test_mmr_does_not_ask_on_what_scale_scores_are(shop, data, trade_off):
    scores = [data.draw(st.integers(0, 8)) / 8 for _ in range(N)]
    rule = MMR(by=["tags", "brand"], trade_off=trade_off)
    given, moved = (rows_of([list(range(N))], scores=[row]) for row in (scores, [4 * s - 3 for s in scores]))
    assert apply(rule, shop[0], given) == apply(rule, shop[0], moved)


def test_mmr_of_equal_scores_holds_them_for_the_best():
    data = catalogue({"brand": "category"}, brand=["a", "a", "b"])
    assert apply(MMR(by=["brand"], trade_off=0.6), data, rows_of([[2, 0]], scores=[[np.nan, 0.5]])) == [[0, 2]]
    last = catalogue({"brand": "category"}, brand=["a", "b", "c"])  # the worst is worth as little as what has no score
    assert apply(MMR(by=["brand"], trade_off=0.6), last, rows_of([[0, 1, 2]], scores=[[0.9, np.nan, 0.5]])) == [
        [0, 1, 2]
    ]
    equal = rows_of([[0, 1, 2]], scores=[[0.5, 0.5, np.nan]])
    assert apply(MMR(by=["brand"], trade_off=0.4), data, equal) == [[0, 2, 1]]  # .4 of 1 less .6 of 1 against 0
    assert apply(MMR(by=["brand"], trade_off=0.6), data, equal) == [[0, 1, 2]]


@settings(max_examples=80, deadline=None)
@given(given=asked(fallback=True), n=st.integers(1, 10))
def test_fill_is_its_definition(given, n):
    ranked, spare = given
    data = catalogue({}, n_items=N)
    rows = rows_of(ranked, spare)
    got = apply(Fill(n=n), data, rows, ask(len(ranked)))
    assert got == [[*r, *s[: max(0, n - len(r))]] for r, s in zip(ranked, spare, strict=True)]
    out = Fill(n=n).apply(ask(len(ranked)), rows, data.state())
    assert ((out["reason"] == "fills the slate") == out["fallback"]).all()


def test_fill_leaves_a_row_where_a_rule_has_placed_it():
    """Behind the ranked rows it counts what stands before, whatever that is."""
    rows = rows_of([[3, 1, 2]], [[4, 5]]).take(np.array([0, 3, 1, 2, 4]))
    for n, kept in ((2, [3, 4, 1, 2]), (4, [3, 4, 1, 2]), (5, [3, 4, 1, 2, 5])):
        out = Fill(n=n).apply(ask(1), rows, catalogue({}, n_items=N).state())
        assert out.item.tolist() == kept
        assert out["reason"].tolist() == [*[""] * 4, *["fills the slate"] * (len(kept) - 4)]


def test_fill_without_a_fallback_changes_nothing_and_keeps_other_reasons():
    data = catalogue({}, n_items=N)
    rows = rows_of([[3, 1, 2]])
    assert Fill(n=2).apply(ask(1), rows, data.state()) is rows
    spoken = rows_of([[3]], [[4]]).with_columns(reason=np.array(["", "new"]))
    assert Fill(n=2).apply(ask(1), spoken, data.state())["reason"].tolist() == ["", "new; fills the slate"]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (Scatter(most={"genre": 1}), "rules.scatter.most: no item attribute 'genre'; .*: brand, tags"),
        (Dedupe(by="price"), "rules.dedupe.by: 'price' is of kind number; .*: brand, tags"),
        (MMR(by=["tags", "x"]), "rules.mmr.by: no item attribute 'x'; .*: brand, tags"),
    ],
)
def test_an_unknown_attribute_is_named(rule, line):
    data = catalogue({**KINDS, "price": "number"}, brand=["a"], tags=[["x"]], price=[1.0])
    with pytest.raises(InputError, match=line):
        rule.fit(data)
