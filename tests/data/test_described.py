"""What the log tells of items and users: at every moment what its events have said by then, and never more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data import MISSING_TIME, described
from shortlist.data.build import dataset
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec
from shortlist.features.affinity import Affinity
from shortlist.features.profile import Profile
from shortlist.features.recency import Recency
from shortlist.features.segment import Segment
from shortlist.recall.popular import Popular
from shortlist.rules.available import Available
from shortlist.rules.blacklist import Blacklist
from shortlist.rules.boost import Boost
from shortlist.rules.bought_recently import BoughtRecently
from shortlist.rules.dedupe import Dedupe
from shortlist.rules.dpp import DPP
from shortlist.rules.intent import Intent
from shortlist.rules.mismatch import Mismatch
from shortlist.rules.mmr import MMR
from shortlist.rules.price_gap import PriceGap
from shortlist.rules.quota import Quota
from shortlist.rules.scatter import Scatter
from shortlist.types import Candidates, Requests

SECOND = 1_000_000
LOG = """user,item,time,price,brand,tags,name,shop
a,x,10,4,p,k|l,X one,n
b,x,20,6,q,k|l,X two,s
c,x,20,7,q,,,s
,y,30,,,m,Y,
a,x,40,7,q,m,X four,s
a,y,50,2,,m,,s
"""
COLUMNS = {
    "price": "number",
    "first": {"column": "price", "kind": "number", "how": "first"},
    "usual": {"column": "price", "kind": "number", "how": "mean"},
    "brand": {"how": "commonest"},
    "tags": {"kind": "list"},
    "title": {"column": "name", "kind": "text", "how": "last"},
    "seen": {"column": "time", "kind": "time", "how": "first"},
}
SPEC: dict = {
    "events": {"path": "log.csv"},
    "items": {"from": "log", "columns": COLUMNS},
    "users": {"from": "log", "columns": {"shop": "category", "spends": COLUMNS["usual"]}},
}


def read(root: Path, log: str = LOG, spec: dict | None = None, like=None):
    (root / "log.csv").write_text(log)
    checked = DataSpec.model_validate(spec or SPEC)
    return dataset(load(checked, root), checked, like)


def refused(root: Path, columns: dict, **more) -> str:
    with pytest.raises(InputError) as error:
        read(root, spec={**SPEC, "items": {"from": "log", "columns": columns}, **more})
    return str(error.value)


def at(data, name: str, seconds: float | None, table: str = "items") -> list:
    """The attribute of every item (or user) at a moment."""
    held = getattr(data, table)
    codes = np.arange(held.n)
    known, rows = held.known(name, codes, None if seconds is None else np.full(held.n, int(seconds * SECOND)))
    kind = held.columns()[name]
    if kind == "number":
        return [None if np.isnan(n) else n for n in known.number(name, rows).tolist()]
    if kind == "time":
        return [None if t == MISSING_TIME else t / SECOND for t in known.time(name, rows).tolist()]
    found = known.codes[name].of(rows)
    return [[known.codes[name].levels[code] for code in found.row(r)["code"]] for r in range(len(codes))]


def test_every_way_of_making_one_value_of_many(tmp_path):
    data = read(tmp_path)
    assert data.items.kinds == {}  # nobody who does not ask for a moment finds them
    assert data.items.columns() == {
        "price": "number", "first": "number", "usual": "number", "brand": "category", "tags": "list",
        "title": "text", "seen": "time",
    }  # fmt: skip
    moments = (9.999999, 10, 19, 20, 40, 60, None)
    assert [at(data, "price", t) for t in moments] == [
        [None, None], [4, None], [4, None], [7, None], [7, None], [7, 2], [7, 2],
    ]  # fmt: skip
    assert [at(data, "first", t)[0] for t in moments] == [None, 4, 4, 4, 4, 4, 4]
    assert [at(data, "usual", t)[0] for t in moments] == pytest.approx([None, 4, 4, 17 / 3, 6, 6, 6])
    assert [at(data, "brand", t)[0] for t in moments] == [[], ["p"], ["p"], ["q"], ["q"], ["q"], ["q"]]
    assert [at(data, "tags", t) for t in moments] == [
        [[], []], [["k", "l"], []], [["k", "l"], []], [["k", "l"], []], [["m"], ["m"]], [["m"], ["m"]], [["m"], ["m"]],
    ]  # fmt: skip
    assert [at(data, "seen", t) for t in (9, 10, 30)] == [[None, None], [10, None], [10, 30]]
    assert data.items.texts["title"].to_list() == ["X four", "Y"]
    assert [at(data, "shop", t, "users") for t in (9, 10, 40)] == [[[], [], []], [["n"], [], []], [["s"], ["s"], ["s"]]]
    assert at(data, "spends", 60, "users") == pytest.approx([13 / 3, 6, 7])
    assert data.available_from.tolist() == [10 * SECOND, 30 * SECOND]  # no catalogue: from the first event on


def test_before_a_cut_nothing_later_is_known(tmp_path):
    data = read(tmp_path)
    for cut in (data.until(20 * SECOND), data.between(15 * SECOND, 20 * SECOND)):
        assert at(cut, "price", None) == at(cut, "price", 60) == [4, None]
        assert at(cut.until(60 * SECOND), "price", None) == [4, None]
        assert cut.items.texts["title"].to_list() == ["X one", None]
        assert at(cut, "shop", None, "users") == [["n"], [], []]
    assert at(data, "price", None) == [7, 2]


def test_codes_beyond_the_table_and_of_nobody_are_missing(tmp_path):
    items = read(tmp_path).items
    known, rows = items.known("price", np.array([-1, 0, 2, 7]), np.full(4, 60 * SECOND))
    assert rows.tolist() == [-1, 2, -1, -1]
    assert np.isnan(known.number("price", rows)).tolist() == [True, False, True, True]
    known, rows = items.known("seen", np.array([-1, 1, 2]), np.full(3, 60 * SECOND))
    assert known.time("seen", rows).tolist() == [MISSING_TIME, 30 * SECOND, MISSING_TIME]


def test_a_catalogue_and_the_log_together(tmp_path):
    (tmp_path / "items.csv").write_text("item,colour\ny,red\nz,blue\n")
    columns = {"colour": "category", "price": {"kind": "number", "how": "last"}}
    data = read(tmp_path, spec={**SPEC, "items": {"path": "items.csv", "columns": columns}})
    assert data.item_ids.ids == ["x", "y", "z"]
    assert data.items.kinds == {"colour": "category"}
    assert at(data, "colour", 0) == [[], ["red"], ["blue"]]
    assert at(data, "price", 60) == [7, 2, None]
    assert data.items.listed.tolist() == [False, True, True]
    shown = data.items.latest().frame("item", data.item_ids.ids)
    assert shown.rows() == [("x", None, 7.0), ("y", "red", 2.0), ("z", "blue", None)]


def test_a_log_read_again_keeps_the_levels(tmp_path):
    old = read(tmp_path)
    more = LOG + "d,w,60,9,a,a|k,W,o\nd,x,61,9,q,k,X,s\n"
    new = read(tmp_path, more, like=old)
    assert new.item_ids.ids == ["x", "y", "w"]
    for name in ("brand", "tags"):
        assert new.items.dated[name].values.codes[name].levels == old.items.dated[name].values.codes[name].levels
    assert at(new, "price", 70) == [9, 2, 9]
    assert at(new, "brand", 70) == [["q"], [], []]  # "a" has no code
    assert at(new, "tags", 70) == [["k"], ["m"], ["k"]]
    assert at(new, "shop", 70, "users") == [["s"], ["s"], ["s"], ["s"]]


WAYS = [("category", "commonest"), ("number", "mean")]
WAYS += [(kind, how) for kind in ("number", "category", "time") for how in ("last", "first")]
kinds = st.sampled_from(WAYS)
rows = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 6), st.sampled_from([None, 1, 2, 5])), max_size=25)


@settings(max_examples=300, deadline=None)
@given(rows, kinds)
def test_it_is_what_reading_the_log_up_to_a_moment_gives(log, kind_how):
    """The plain definition: take the cells of the entity's events at or before t that hold something."""
    kind, how = kind_how
    log = sorted(log, key=lambda row: row[1])
    codes = np.array([row[0] for row in log], np.int32)
    times = np.array([row[1] for row in log], np.int64)
    cells = [row[2] for row in log]
    dtype = {"number": pl.Float32, "category": pl.String, "time": pl.Int64}[kind]
    column = pl.Series("c", [None if c is None else str(c) if kind == "category" else c for c in cells], dtype)
    dated = described.told(codes, times, column, kind, how, 4)
    assert dated.values.n == len(dated.times) <= len(log)
    for t in range(-1, 8):
        row = dated.rows(np.arange(4), np.full(4, t))
        for code in range(4):
            said = [c for c, e, s in zip(cells, codes, times, strict=True) if e == code and s <= t and c is not None]
            if not said:
                assert row[code] == -1
                continue
            if kind == "category":
                found = dated.values.codes["c"].levels[dated.values.codes["c"].first(row)[code]]
            else:
                found = (dated.values.numbers if kind == "number" else dated.values.times)["c"][row[code]]
            if how == "commonest":
                counts, best = Counter(), said[0]
                for cell in said:
                    counts[cell] += 1
                    best = cell if counts[cell] > counts[best] else best
                assert found == str(best)
                assert counts[best] == max(counts.values())
            elif how == "mean":
                assert found == pytest.approx(np.mean(said))
            else:
                wanted = said[0] if how == "first" else said[-1]
                assert found == (str(wanted) if kind == "category" else wanted)


# later events change nothing


def asked(n_users: int, n_items: int, seconds: float) -> tuple[Requests, Candidates]:
    users = np.arange(-1, n_users)
    requests = Requests.of(users, np.full(len(users), int(seconds * SECOND)))
    rows = np.repeat(np.arange(len(users)), n_items)
    items = np.tile(np.arange(n_items), len(users)).astype(np.int32)
    return requests, Candidates(rows.astype(np.uint32), items, {"score": np.ones(len(rows), np.float32)})


LATER = LOG.replace("7,q,m,X four,s", "900,zz,z,later,z").replace(
    "a,y,50,2,,m,,s", "a,y,50,3,p,l,later,n\nb,x,51,1,zz,z,z,z"
)
BEFORE = "a,y,1,1,zz,z,z,z\n"  # so that both logs have the same levels, and codes can be compared


RULES = (
    Boost(user="shop", item="brand", likes={"n": ["p"], "s": ["q"]}),
    Mismatch(user="spends", groups={"little": (0, 5)}, item="brand", suits={"little": ["zz"]}),
    BoughtRecently(by="brand", evidence=1, cycle=1),
    PriceGap(price="price", by="brand", evidence=1, width=0.1),
    Intent(by=["brand", "tags"], idle=None),
    Quota(most={"brand": 0.4, "tags": 0.4}, n=3),
    DPP(by=["brand", "tags"]),
)


@pytest.mark.parametrize("seconds", [15, 20, 39.999999])
def test_later_cells_change_no_answer(tmp_path, seconds):
    """Two logs that are the same up to a moment and differ in every attribute after it answer the same until then."""
    head, body = LOG.split("\n", 1)
    logs = [f"{head}\n{BEFORE}{body}", f"{head}\n{BEFORE}{LATER.split(chr(10), 1)[1]}"]
    datas = [read(tmp_path, log) for log in logs]
    cut = 20 * SECOND if seconds >= 20 else 15 * SECOND
    answers = []
    for data in datas:
        state, known = data.state(), data.until(cut)
        requests, candidates = asked(3, 2, seconds)
        requests = replace(requests, history=state.history(requests.user, requests.time))
        found = {}
        for feature in (Profile(), Affinity(), Segment(), Recency()):
            found |= feature.fit(known).compute(requests, candidates, state)
        for rule in (*RULES, Dedupe(by="brand"), MMR(by=["brand", "tags"]), Scatter(most={"tags": 1})):
            kept = rule.fit(known).apply(requests, candidates, state)
            found[rule.__class__.__name__] = np.stack([kept.request, kept.item, kept.columns.get("score", kept.item)])
        hot = Popular(segment=["shop"], event="all").fit(known).retrieve(requests, state, 5)
        found["hot"] = np.stack([hot.request, hot.item, hot["score"]])
        found["barred"] = Blacklist(values={"brand": ["q"]}).fit(known).forbids(requests, state)["item"]
        answers.append(found)
    assert answers[0].keys() == answers[1].keys() >= {"profile.item.price", "affinity.price.gap", "segment.shop.share"}
    for name, column in answers[0].items():
        np.testing.assert_array_equal(column, answers[1][name], err_msg=name)
    changed = [
        read(tmp_path, log).state().attributes("item", "price", np.array([0]), np.array([45 * SECOND])) for log in logs
    ]
    assert [table.number("price", rows)[0] for table, rows in changed] == [7, 900]  # and afterwards they differ


def test_features_read_the_value_of_the_moment(tmp_path):
    data = read(tmp_path)
    state = data.state()
    requests = Requests.of(np.array([0, 0, -1]), np.array([15, 45, 45]) * SECOND)
    requests = replace(requests, history=state.history(requests.user, requests.time))
    candidates = Candidates(np.array([0, 0, 1, 2], np.uint32), np.array([0, 1, 0, 0], np.int32), {})
    profile = Profile().fit(data).compute(requests, candidates, state)
    nan = np.nan
    np.testing.assert_array_equal(profile["profile.item.price"], np.float32([4, nan, 7, 7]))
    levels = data.items.dated["brand"].values.codes["brand"].levels
    assert profile["profile.item.brand"].tolist() == [levels.index("p"), -1, levels.index("q"), levels.index("q")]
    assert profile["profile.item.tags=m"].tolist() == [0, 0, 1, 1]
    assert profile["profile.item.tags=k"].tolist() == [1, 0, 0, 0]
    assert profile["profile.item.tags.count"].tolist() == [2, 0, 1, 1]
    shops = data.users.dated["shop"].values.codes["shop"].levels
    assert profile["profile.user.shop"].tolist() == [shops.index("n"), shops.index("n"), shops.index("s"), -1]
    np.testing.assert_allclose(profile["profile.user.spends"], np.float32([4, 4, 5.5, nan]))
    # the price then paid against today's: at 45 user a has paid 4 and 7, and x costs 7
    gaps = Affinity(columns=["price"], half_life=10**15).fit(data).compute(requests, candidates, state)
    np.testing.assert_allclose(gaps["affinity.price.gap"], np.float32([0, nan, 1.5, nan]), atol=1e-4)
    liked = Affinity(columns=["brand"], half_life=10**15).fit(data).compute(requests, candidates, state)
    # at 45 a has taken p (at 10) and q (at 40), and x is of brand q
    np.testing.assert_allclose(liked["affinity.brand.mean"], np.float32([1, nan, 0.5, nan]), atol=1e-4)
    since = Recency().fit(data).compute(requests, candidates, state)["recency.item.seen"]
    np.testing.assert_allclose(since, np.log1p(np.float32([5, nan, 35, 35]) / 3600), rtol=1e-5)


def test_one_request_is_told_what_a_batch_is(tmp_path):
    data = read(tmp_path)
    state, n = data.state(), data.n_items
    requests, candidates = asked(3, n, 45)
    requests = replace(requests, time=np.array([15, 20, 45, 60]) * SECOND)
    requests = replace(requests, history=state.history(requests.user, requests.time))
    for feature in (Profile(), Affinity(), Segment(), Recency()):
        together = feature.fit(data).compute(requests, candidates, state)
        for r in range(4):
            alone = Candidates(np.zeros(n, np.uint32), np.arange(n, dtype=np.int32), {})
            for name, column in feature.compute(requests.take([r]), alone, state).items():
                np.testing.assert_array_equal(column, together[name][candidates.request == r], err_msg=name)


def test_the_shares_of_levels_are_those_of_the_events(tmp_path):
    feature = Affinity(columns=["brand"]).fit(read(tmp_path))
    # as of the events: p once, q at 20 (twice, both cells known by then) and at 40; y has none
    share = feature.shares_.row(0)["share"]
    np.testing.assert_allclose(share, [1 / 4, 3 / 4], atol=1e-3)
    assert feature.shares_.row(0)["share"].sum() == pytest.approx(1)


def test_people_count_where_they_were_when_it_happened(tmp_path):
    """User a moves from shop n to s: the event at 10 stays one of n."""
    data = read(tmp_path)
    state = data.state()
    levels = data.users.dated["shop"].values.codes["shop"].levels
    n, s = levels.index("n"), levels.index("s")
    now = np.full(2, 60 * SECOND)
    counts = state.segment_counts("item", np.array([0, 0]), np.array([n, s]), now, "shop", which="all")
    assert counts.tolist() == [1, 3]
    assert state.decayed("item", now[:1], "all", None, ("shop", n)).tolist() == [[1, 0]]
    assert state.decayed("item", now[:1], "all", None, ("shop", s)).tolist() == [[3, 1]]


def test_rules_read_the_value_of_the_request(tmp_path):
    log = LOG + "b,y,60,1,q,,,s\nb,y,61,1,q,,,s\n"  # from 60 on both items are of brand q
    data = read(tmp_path, log)
    state = data.state()
    kept = []
    for seconds in (55, 60):
        requests, candidates = asked(0, 2, seconds)
        kept.append(Dedupe(by="brand").fit(data).apply(requests, candidates, state).item.tolist())
    assert kept == [[0, 1], [0]]
    rule = Boost(user="shop", item="brand", likes={"n": ["p"], "s": ["p"]}).fit(data)
    moved = [rule.apply(*asked(1, 2, t), state)["reason"].tolist()[2:] for t in (9, 15, 45)]
    assert moved == [["", ""], ["brand suits shop", ""], ["", ""]]  # x is of brand p from 10 until 20
    gap = PriceGap(price="price", evidence=1, width=0.1, prior=0, events="all").fit(data)
    for seconds, paid in ((9, []), (19, [4]), (45, [4, 7])):  # user a's, each as it was then
        requests = asked(1, 2, seconds)[0]
        requests = replace(requests, history=state.history(requests.user, requests.time))
        low, high = gap.band(requests, state)
        middle = (low[1] + high[1]) / 2 + gap.middles_[0]
        prices = [] if not paid else np.log(paid)
        assert np.isnan(middle) if not paid else min(prices) - 1e-6 <= middle <= max(prices) + 1e-6
        assert (high[1] > low[1]) == (len(paid) > 1)
    forbidden = [
        Blacklist(values={"brand": ["q"]})
        .fit(data.until(t * SECOND))
        .forbids(asked(0, 2, t)[0], state)["item"]
        .tolist()
        for t in (15, 55, 61)
    ]
    assert forbidden == [[], [0], [0, 1]]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Popular(segment=["brand"]), "popular.segment: 'brand' is told by the log"),
        (Available(until="seen"), "rules.available.until: 'seen' is told by the log"),
        (
            Dedupe(by="price"),
            "rules.dedupe.by: 'price' is of kind number; attributes with categories or lists: brand, t",
        ),
        (Profile(item=["prize"]), "features.profile.item: no attribute 'prize'; the table has price, first, usual, b"),
    ],
)
def test_who_cannot_read_as_of_a_moment_refuses(tmp_path, part, message):
    with pytest.raises(InputError) as error:
        part.fit(read(tmp_path))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": "money"}, 'data.items.columns.price: expected category, list, number, text, time or {'),
        ({"item": "number"}, "data.items.columns.item: the log says which column this is (item = ..."),
        ({"available_from": "time"}, "data.items.columns.available_from: without this column an item is ava"),
        ({"p": "number"}, "data.items.columns.p: no column 'p'; recipe and file have user, item, time, price"),
        ({"price": {"how": "mean"}}, "data.items.columns.price.how: mean is of kind number, found category"),
        ({"price": {"kind": "number", "how": "commonest"}}, "data.items.columns.price.how: commonest is of kind"),
        ({"brand": "number"}, "log.csv: row 2, column brand (items.columns.brand.brand): expected a number, found 'p'"),
    ],
)  # fmt: skip
def test_what_the_log_cannot_tell_is_told_at_its_path(tmp_path, columns, message):
    assert refused(tmp_path, columns).startswith(message)


def test_how_is_for_items_and_users(tmp_path):
    events = {"path": "log.csv", "columns": {"user": "user", "item": "item", "time": "time", "price": {"how": "last"}}}
    assert refused(tmp_path, {}, events=events).startswith("data.events.columns.price.how: is for columns of [data.it")


def test_who_the_log_describes_is_listed(tmp_path):
    data = read(tmp_path, spec={**SPEC, "items": {"from": "log", "columns": {"first": COLUMNS["first"]}}})
    assert data.items.latest().listed.tolist() == [True, True]


def test_a_time_that_the_log_tells_is_written_as_the_events_are(tmp_path):
    log = "user,item,time,out\na,x,01|02|2020,02|01|2019\nb,x,02|02|2020,03|01|2019\n"
    out = {"column": "out", "kind": "time", "how": "first"}
    spec = {"events": {"path": "log.csv", "time_format": "%d|%m|%Y"}, "items": {"from": "log", "columns": {"out": out}}}
    table, rows = read(tmp_path, log, spec).items.known("out", np.array([0]))
    assert table.times["out"][rows].tolist() == [1546387200 * SECOND]  # the second of January
