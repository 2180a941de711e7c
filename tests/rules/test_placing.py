"""Channel order, quota and DPP against plain definitions; each states what it holds to, and holds to it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.progress import listening
from shortlist.rules.channel_order import ChannelOrder
from shortlist.rules.dpp import DPP
from shortlist.rules.mmr import MMR
from shortlist.rules.quota import Quota
from shortlist.rules.scatter import Scatter

from ._shop import apply, ask, catalogue, lists_of, rows_of

N = 9
KINDS = {"brand": "category", "tags": "list"}
brands = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=N, max_size=N)
tags = st.lists(st.lists(st.sampled_from("wxyz"), max_size=3, unique=True), min_size=N, max_size=N)


# channel order


@st.composite
def found(draw):
    """Two requests' rows with the ranks that three channels gave them, the last rows the fallback's."""
    rows = rows_of([draw(st.permutations(range(N))) for _ in range(2)], [[10, 11], []])
    columns = {}
    for channel in ("cf", "als", "hot"):
        ranks = np.full(len(rows), np.nan, np.float32)
        for r in (0, 1):
            mine = np.flatnonzero((rows.request == r) & ~rows["fallback"])
            chosen = draw(st.permutations(mine.tolist()))[: draw(st.integers(0, N))]
            ranks[chosen] = np.arange(1, len(chosen) + 1)
        columns[f"{channel}.rank"] = ranks
    return rows.with_columns(**columns)


@settings(max_examples=120, deadline=None)
@given(
    rows=found(),
    channels=st.sampled_from([["cf"], ["hot", "cf"], ["cf", ["als", "hot"]], [["cf", "als"], "hot", "cf"], ["gone"]]),
    across=st.sampled_from(["blocks", "turns"]),
    within=st.sampled_from(["rank", "place"]),
)
def test_channel_order_is_its_definition(rows, channels, across, within):
    rule, data = ChannelOrder(channels=channels, across=across, within=within), catalogue({}, n_items=12)
    out = rule.apply(ask(2), rows, data.state())
    for r in (0, 1):
        mine = rows.take(rows.request == r)
        lists = []
        for group in channels:
            names = [f"{name}.rank" for name in ([group] if isinstance(group, str) else group)]
            best = [
                min([mine[n][at] for n in names if n in mine and mine[n][at] > 0], default=None)
                for at in range(len(mine))
            ]
            order = [at for at in range(len(mine)) if best[at] is not None]
            lists.append(order if within == "place" else sorted(order, key=lambda at, b=best: b[at]))
        placed: list[int] = []
        if across == "blocks":
            for one in lists:
                placed += [at for at in one if at not in placed]
        while across == "turns" and any(at not in placed for one in lists for at in one):
            for one in lists:
                placed += [at for at in one if at not in placed][:1]
        rest = [at for at in range(len(mine)) if at not in placed]
        got = out.take(out.request == r)
        assert got.item.tolist() == mine.item[placed + rest].tolist()
        scores = got["score"][: (~got["fallback"]).sum()]
        assert scores.tolist() == sorted(mine["score"][~mine["fallback"]].tolist(), reverse=True)
        assert (got["reason"] != "").tolist() == [True] * len(placed) + [False] * len(rest)
    if within == "rank" or across == "blocks":
        again = rule.apply(ask(2), out, data.state())
        assert again.item.tolist() == out.item.tolist()
    assert (rule.missed(ask(2), out, data.state())[0] == 0) or (within == "place" and across == "turns")


def test_channel_order_asks_for_the_ranks_it_reads():
    assert ChannelOrder(channels=["cf", ["als", "hot"]]).needed() == ["cf.rank", "als.rank", "hot.rank"]


# quota


def violation(counts: dict, bounds: dict) -> int:
    return sum(max(0, low - counts.get(v, 0)) + max(0, counts.get(v, 0) - high) for v, (low, high) in bounds.items())


def counted(items, values) -> dict:
    counts: dict = {}
    for item in items:
        for value in values[item]:
            counts[value] = counts.get(value, 0) + 1
    return counts


shares = st.tuples(st.integers(0, 10), st.integers(0, 10)).map(lambda pair: tuple(x / 10 for x in sorted(pair)))


@settings(max_examples=80, deadline=None)
@given(
    brand=brands,
    tag=tags,
    order=st.permutations(range(N)),
    spare=st.integers(0, N),
    places=st.integers(1, 6),
    bounds=st.fixed_dictionaries(
        {
            "brand": st.dictionaries(st.sampled_from("ab"), shares),
            "tags": st.dictionaries(st.sampled_from("wx"), shares),
        }
    ),
    most=st.dictionaries(st.sampled_from(["brand", "tags"]), st.integers(2, 10).map(lambda x: x / 10)),
)
def test_quota_violates_as_little_as_any_choice_of_rows(brand, tag, order, spare, places, bounds, most):
    if not any(bounds.values()) and not most:
        return
    data = catalogue(KINDS, brand=brand, tags=tag)
    values = [{("brand", brand[i])} - {("brand", None)} | {("tags", t) for t in tag[i]} for i in range(N)]
    rule = Quota(bounds={k: v for k, v in bounds.items() if v}, most=most, n=places)
    ranked, behind = order[: N - spare], order[N - spare :]
    rows = rows_of([ranked], [behind])
    (got,) = apply(rule, data, rows)
    assert sorted(got) == sorted(order)
    size = min(places, N)
    limits = {}
    for name, levels in (("brand", {*brand} - {None}), ("tags", {t for one in tag for t in one})):
        for level in levels:
            low, high = bounds[name].get(level, (0.0, most.get(name, 1.0)))
            least = math.ceil(low * size - 1e-9)
            limits[name, level] = least, max(math.floor(high * size + 1e-9), least)
    chosen, first = got[:size], ranked if len(ranked) < size else []
    pool = behind if len(ranked) < size else ranked
    assert set(first) <= set(chosen)
    options = [[*first, *more] for more in itertools.combinations(pool, size - len(first))]
    least = min(violation(counted(option, values), limits) for option in options)
    assert violation(counted(chosen, values), limits) == least
    state = data.state()
    out = rule.apply(ask(1), rows, state)
    assert rule.missed(ask(1), out.head(size), state).tolist() == [least]
    kept = [i for i in order if i in chosen]
    assert got == [*kept, *(i for i in ranked if i not in chosen), *(i for i in behind if i not in chosen)]
    old = {i: at for at, i in enumerate(order)}
    place = [old[i] for i in got]
    told = [
        "brought forward for its share" if any(p < old[i] for p in place[at + 1 :])
        else "held back: its share is reached" if any(p > old[i] for p in place[:at]) else ""
        for at, i in enumerate(got)
    ]  # fmt: skip
    assert out["reason"].tolist() == told


@settings(max_examples=80, deadline=None)
@given(brand=brands, order=st.permutations(range(N)), places=st.integers(1, 6), low=shares, high=shares)
def test_of_values_that_exclude_each_other_quota_takes_the_rows_furthest_up(brand, order, places, low, high):
    data = catalogue(KINDS, brand=brand, tags=[[]] * N)
    (got,) = apply(Quota(bounds={"brand": {"a": low, "b": high}}, n=places), data, rows_of([order]))
    limits = {}
    for name, (a, b) in (("a", low), ("b", high)):
        least = math.ceil(a * places - 1e-9)
        limits[name] = (least, max(math.floor(b * places + 1e-9), least))
    limits = {name: bound for name, bound in limits.items() if name in brand}
    values = [{brand[i]} for i in range(N)]
    at = {item: place for place, item in enumerate(order)}

    def worth(option):
        return violation(counted(option, values), limits), sum(at[i] for i in option)

    least = min(itertools.combinations(order, places), key=worth)
    assert worth(got[:places]) == worth(least)


COVER = [list("abde"), list("abcz"), list("abc"), list("defz"), list("def"), ["y"]]


@pytest.mark.parametrize(
    ("order", "most", "expected"),
    [
        ([0, 2, 4], {}, [2, 4, 0]),  # the row that helps most bounds leaves two that no other row reaches together
        ([5, 0, 1, 2, 3, 4], {}, [1, 3, 5, 0, 2, 4]),  # of equally good pairs the one further up
        ([0, 1, 3, 4, 2], {"tags": 0.5}, [1, 4, 0, 3, 2]),  # not both with z
        ([4, 3, 2, 1, 0], {"tags": 0.5}, [4, 2, 3, 1, 0]),
    ],
)
def test_quota_finds_what_the_greedy_choice_misses(order, most, expected):
    data = catalogue({"tags": "list"}, tags=COVER)
    rule = Quota(bounds={"tags": dict.fromkeys("abcdef", (0.5, 1.0))}, most=most, n=2)
    assert apply(rule, data, rows_of([order])) == [expected]
    assert rule.missed(ask(1), rows_of([expected[:2]]), data.state()).tolist() == [0]
    assert rule.missed(ask(1), rows_of([[0, 2]]), data.state()).tolist() == [1]


def test_quota_says_whom_it_brought_forward_and_whom_it_held_back():
    data = catalogue({"brand": "category"}, brand=["a", "a", "b"])
    out = Quota(most={"brand": 0.5}, n=2).fit(data).apply(ask(1), rows_of([[0, 1, 2]]), data.state())
    assert out.item.tolist() == [0, 2, 1]
    assert out["reason"].tolist() == ["", "brought forward for its share", "held back: its share is reached"]


def test_quota_names_what_is_wrong():
    data = catalogue({**KINDS, "price": "number"}, brand=["a"], tags=[["x"]], price=[1.0])
    for rule, line in [
        (Quota(), "rules.quota: expected bounds or most, found neither"),
        (Quota(most={"price": 0.5}), "rules.quota.most: 'price' is of kind number; .*: brand, tags"),
        (Quota(bounds={"colour": {}}), "rules.quota.bounds: no item attribute 'colour'"),
        (
            Quota(bounds={"brand": {"a": (0.5, 0.25)}}),
            r"rules.quota.bounds.brand.a: expected the least .* 0.5 and 0.25",
        ),
    ]:
        with pytest.raises(InputError, match=line):
            rule.fit(data)
    with pytest.raises(InputError, match="less than or equal to 1"):
        Quota(most={"brand": 1.5})
    said = []
    with listening(lambda name, fields: said.append(fields.get("message", ""))):
        Quota(bounds={"brand": {"z": (0.1, 0.5)}}).fit(data)
    assert said == ["rules.quota.bounds.brand.z: no item has this value; its share is never reached"]


# DPP


def likeness(a: set, b: set, similarity: str) -> float:
    if not a & b:
        return 0.0
    return len(a & b) / (len(a | b) if similarity == "jaccard" else math.sqrt(len(a) * len(b)))


def plain_kernel(values, scores, trade_off, own, similarity) -> np.ndarray:
    low, high = min(scores), max(scores)
    quality = [
        math.exp(trade_off / (2 * (1 - trade_off)) * ((s - low) / (high - low) if high > low else 1.0)) for s in scores
    ]
    n = len(scores)
    alike = np.array(
        [
            [1.0 if i == j else (1 - own) * likeness(values[i], values[j], similarity) for j in range(n)]
            for i in range(n)
        ]
    )
    return np.outer(quality, quality) * alike


@settings(max_examples=150, deadline=None)
@given(
    brand=brands,
    tag=tags,
    scores=st.lists(st.integers(0, 64).map(lambda x: x / 8), min_size=N, max_size=N),
    trade_off=st.sampled_from([0.0, 0.3, 0.7, 0.95]),
    similarity=st.sampled_from(["cosine", "jaccard"]),
    own=st.sampled_from([0.05, 0.3, 1.0]),
    among=st.integers(1, 12),
    n=st.integers(1, 12),
)
def test_dpp_is_greedy_by_determinants_worked_out_anew(brand, tag, scores, trade_off, similarity, own, among, n):
    data = catalogue(KINDS, brand=brand, tags=tag)
    rule = DPP(by=["tags", "brand"], trade_off=trade_off, similarity=similarity, own=own, among=among, n=n)
    rows = rows_of([list(range(N))], [[10, 11]], scores=[scores])
    (got,) = apply(rule, data, rows)
    m = min(among, N)
    values = [{*tag[i]} | {("brand", brand[i])} - {("brand", None)} for i in range(m)]
    kernel = plain_kernel(values, scores[:m], trade_off, own, similarity)
    assert np.linalg.eigvalsh(kernel).min() > 0  # both similarities make a kernel
    placed: list[int] = []
    for item in got[: min(n, m)]:
        det = {i: np.linalg.det(kernel[np.ix_([*placed, i], [*placed, i])]) for i in range(m) if i not in placed}
        best = max(det.values())
        assert det[item] >= best * (1 - 1e-9)
        if sum(value >= best * (1 - 1e-9) for value in det.values()) == 1 or not placed:
            assert item == min(i for i, value in det.items() if value >= best * (1 - 1e-9))
        placed.append(item)
    assert got == [*placed, *(i for i in range(m) if i not in placed), *range(m, N), 10, 11]


@settings(max_examples=60, deadline=None)
@given(
    brand=brands,
    tag=tags,
    scores=st.lists(st.integers(0, 64).map(lambda x: x / 8), min_size=N, max_size=N),
    k=st.integers(1, 4),
)
def test_dpp_is_not_further_from_the_best_slate_than_is_proven(brand, tag, scores, k):
    """Greedy volume is at least 1 / k! of the largest (Çivril and Magdon-Ismail 2009), a determinant its square."""
    data = catalogue(KINDS, brand=brand, tags=tag)
    (got,) = apply(DPP(by=["tags", "brand"], n=k), data, rows_of([list(range(N))], scores=[scores]))
    kernel = plain_kernel(
        [{*tag[i]} | {("brand", brand[i])} - {("brand", None)} for i in range(N)], scores, 0.7, 0.1, "cosine"
    )
    dets = {s: np.linalg.det(kernel[np.ix_(s, s)]) for s in itertools.combinations(range(N), k)}
    assert dets[tuple(sorted(got[:k]))] >= max(dets.values()) / math.factorial(k) ** 2


def test_dpp_finds_the_best_slate_mostly():
    """Against every slate of three of nine: what greedy choice costs, on 300 lists drawn at random."""
    rng, found, share = np.random.default_rng(5), 0, []
    for _ in range(300):
        tag = [[str(t) for t in rng.choice(4, rng.integers(1, 4), False)] for _ in range(N)]
        scores = np.sort(rng.normal(size=N))[::-1].tolist()
        rows = rows_of([list(range(N))], scores=[scores])
        data = catalogue({"tags": "list"}, tags=tag)
        (got,) = lists_of(DPP(by=["tags"], n=3).fit(data).apply(ask(1), rows, data.state()), 1)
        kernel = plain_kernel([set(t) for t in tag], scores, 0.7, 0.1, "cosine")
        dets = {s: np.linalg.det(kernel[np.ix_(s, s)]) for s in itertools.combinations(range(N), 3)}
        own = dets[tuple(sorted(got[:3]))]
        share.append(own / max(dets.values()))
        found += share[-1] > 1 - 1e-9
    assert found / 300 > 0.9
    assert np.mean(share) > 0.99
    assert min(share) > 0.7


def test_variety_and_worth_pull_against_each_other():
    data = catalogue({"brand": "category"}, brand=["a", "a", "b"])
    rows = rows_of([[0, 1, 2]], scores=[[1.0, 0.9, 0.5]])
    state = data.state()
    firsts = [DPP(by=["brand"], trade_off=t).fit(data).apply(ask(1), rows, state) for t in (0.3, 0.95)]
    assert [out.item.tolist() for out in firsts] == [[0, 2, 1], [0, 1, 2]]
    assert firsts[0]["reason"].tolist() == ["", "brought forward for variety", "held back: much alike above"]
    spread = DPP(by=["brand"]).missed(ask(1), firsts[0].head(2), state)
    assert spread.tolist() == [0.0]
    for rule in (DPP(by=["brand"]), MMR(by=["brand"])):
        assert rule.missed(ask(1), rows.head(2), state).tolist() == [1.0]
        assert rule.missed(ask(1), rows, state).tolist() == pytest.approx([1 / 3])
    assert np.isnan(DPP(by=["brand"]).missed(ask(1), rows.head(1), state)).all()


# scatter's own measure


@settings(max_examples=80, deadline=None)
@given(brand=brands, tag=tags, order=st.permutations(range(N)), window=st.integers(2, 5), most=st.integers(1, 2))
def test_scatter_counts_what_it_could_not_keep(brand, tag, order, window, most):
    data = catalogue(KINDS, brand=brand, tags=tag)
    rule = Scatter(most={"brand": most, "tags": 2}, window={"brand": window, "tags": 3}).fit(data)
    out = rule.apply(ask(1), rows_of([order]), data.state())
    assert sorted(out.item.tolist()) == list(range(N))
    for item, other in itertools.combinations(order, 2):  # who cannot be told apart keeps the order of the list
        if (brand[item], set(tag[item])) == (brand[other], set(tag[other])):
            assert out.item.tolist().index(item) < out.item.tolist().index(other)
    for rows in (rows_of([order]), out):
        items, wanted = rows.item.tolist(), 0
        for at, item in enumerate(items):
            for width, limit, own, values in (
                (window, most, {brand[item]} - {None}, lambda i: {brand[i]}),
                (3, 2, set(tag[item]), lambda i: set(tag[i])),
            ):
                for value in own:
                    wanted += max(0, sum(value in values(i) for i in items[max(0, at - width + 1) : at + 1]) - limit)
        assert rule.missed(ask(1), rows, data.state()).tolist() == [wanted]
