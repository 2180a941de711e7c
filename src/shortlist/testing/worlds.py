"""Small logs with a known answer, deterministic from a seed.

Ids are zero-padded, so a code is the number in the id: user ``u07`` has code 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from shortlist.data import FOREVER, MISSING_TIME, Behaviours, Codes, Dataset, Dense, Events, Table, Vocab
from shortlist.types import Array, Candidates, Float32, Ragged, Requests, Samples

MINUTE = 60_000_000
DAY = 1440 * MINUTE
START = 1_577_836_800_000_000
"""2020-01-01 UTC, when every world begins."""
SESSION = 4
"""Events of a user that follow each other within minutes."""

VIEW = Behaviours(("view",), np.ones(1, np.float32), np.full(1, -np.inf, np.float32))
"""One behaviour, always positive."""
SHOP = Behaviours(
    ("view", "buy", "rating"), np.array([1, 5, 2], np.float32), np.array([np.inf, -np.inf, 4], np.float32)
)
"""Views are never positive, purchases always, ratings from 4 on."""


def dataset(
    user: Array,
    item: Array,
    time: Array,
    event: Array | None = None,
    value: Array | None = None,
    *,
    behaviours: Behaviours = VIEW,
    n_users: int | None = None,
    n_items: int | None = None,
    users: pl.DataFrame | None = None,
    items: pl.DataFrame | None = None,
    kinds: Mapping[str, str] | None = None,
    ties: pl.DataFrame | None = None,
    triples: pl.DataFrame | None = None,
    available_from: Array | None = None,
    exposures: pl.DataFrame | None = None,
) -> Dataset:
    """A data set from columns of codes; attributes are frames with a row per code and the kind of each column."""
    n_users = _size(user) if n_users is None else n_users
    n_items = _size(item) if n_items is None else n_items
    user_ids, item_ids = _ids("u", n_users), _ids("i", n_items)
    m = len(time)
    event = np.zeros(m, np.int16) if event is None else event
    value = np.full(m, np.nan, np.float32) if value is None else value
    return Dataset(
        Events.of(user, item, event, value, time, behaviours),
        behaviours,
        user_ids,
        item_ids,
        _table(users, "user", user_ids, kinds or {}),
        _table(items, "item", item_ids, kinds or {}),
        np.full(n_items, MISSING_TIME, np.int64) if available_from is None else np.asarray(available_from, np.int64),
        exposures=exposures,
        triples=triples,
        ties=ties,
    )


def checkerboard(n_users: int = 50, n_items: int = 50, unseen: int = 1, days: int = 30, seed: int = 0) -> Dataset:
    """Users with an even code like the items with an even code, users with an odd code the others.

    Each user has viewed every item of his own colour once, in sessions of four over ``days`` days, but for ``unseen``
    of them, chosen at random: those are the right answers. Everything else agrees with the colour: the items'
    attributes, a friend network within each colour and triples that tie items to one of two makers. Items are equally
    popular up to chance.

    Item attributes: ``colour`` (category), ``tags`` (list), ``price`` (number), ``released`` (time, before the log
    begins), ``title`` (text). User attributes: ``team`` (category), ``age`` (number).

    Each user was shown eight slates of five items of any colour, at random moments of those days.
    """
    rng = np.random.default_rng(seed)
    user, item, time = [], [], []
    for u in range(n_users):
        own = rng.permutation(np.arange(u % 2, n_items, 2))[unseen:]
        sessions = -(-len(own) // SESSION)
        opened = START + np.sort(rng.integers(0, days * 1440, sessions)) * MINUTE
        pause = np.cumsum(rng.integers(1, 6, len(own))) * MINUTE  # less than half an hour within a session
        session = np.arange(len(own)) // SESSION
        user.append(np.full(len(own), u))
        item.append(own)
        time.append(opened[session] + pause - pause[session * SESSION])
    return dataset(
        np.concatenate(user),
        np.concatenate(item),
        np.concatenate(time),
        n_users=n_users,
        n_items=n_items,
        exposures=slates(np.repeat(np.arange(n_users), 8), n_items, days * 1440, MINUTE, seed=seed),
        **_attributes(n_users, n_items, rng),  # type: ignore[arg-type]
    )


def slates(user: Array, n_items: int, span: int, unit: int = 1, size: int = 5, seed: int = 0) -> pl.DataFrame:
    """Exposures as ``Dataset`` holds them: for each of ``user`` [s] a slate of ``size`` items, each drawn at random.

    Times are START (0 for a ``unit`` of 1) and a multiple of ``unit`` below ``span`` units; a tenth of the rows does
    not say its position.
    """
    rng = np.random.default_rng([seed, len(user)])  # its own: what else is drawn from the seed stays as it is
    time = np.sort(rng.integers(0, span, len(user))) * unit + (START if unit > 1 else 0)
    position = np.tile(np.arange(1, size + 1, dtype=np.float32), len(user))
    position[rng.random(len(position)) < 0.1] = np.nan
    return pl.DataFrame(
        {
            "user": np.repeat(rng.permutation(user), size).astype(np.int32),
            "item": rng.integers(0, n_items, len(position)).astype(np.int32),
            "time": np.repeat(time, size).astype(np.int64),
            "position": position,
        }
    )


def colour_of(codes: Array) -> Array:
    """[n]: 0 for even users or items of a checkerboard, 1 for odd ones."""
    return np.asarray(codes) % 2


def empty(n_users: int = 6, n_items: int = 8, seed: int = 0) -> Dataset:
    """A catalogue and users with attributes, friends and triples, and not one event."""
    none = np.empty(0, np.int64)
    extra = _attributes(n_users, n_items, np.random.default_rng(seed))
    return dataset(none, none, none, n_users=n_users, n_items=n_items, **extra)  # type: ignore[arg-type]


def two_behaviours(n_users: int = 30, n_items: int = 40, seed: int = 0) -> Dataset:
    """A checkerboard as a shop sees it (``SHOP``): views of any colour, purchases and ratings from 4 of the own colour.

    Each user views 8 items of each colour, buys 6 of the own colour (after viewing some), rates 3 of the own colour 5
    and 3 of the other 1.
    """
    rng = np.random.default_rng(seed)
    columns: list[list[float]] = [[], [], [], [], []]
    for u in range(n_users):
        own, other = (rng.permutation(np.arange((u + c) % 2, n_items, 2)) for c in (0, 1))
        views, buys, ratings = 0, 1, 2
        parts = [(own[:8], views, np.nan), (other[:8], views, np.nan), (own[4:10], buys, np.nan)]
        for items, event, value in [*parts, (own[:3], ratings, 5.0), (other[:3], ratings, 1.0)]:
            stamps = START + rng.integers(0, 20 * DAY, len(items))
            for column, part in zip(columns, (u, items, stamps, event, value), strict=True):
                column.extend(np.broadcast_to(np.asarray(part), len(items)).tolist())
    user, item, time, kind, value_of = (np.array(column) for column in columns)
    extra = _attributes(n_users, n_items, rng)
    return dataset(
        user, item, time, kind, value_of,
        behaviours=SHOP, n_users=n_users, n_items=n_items, **extra,  # type: ignore[arg-type]
    )  # fmt: skip


def random_log(
    seed: int,
    users: int = 8,
    items: int = 12,
    events: int = 80,
    behaviours: Behaviours = SHOP,
    span: int = 20,
    unknown: float = 0.1,
    unit: int = 1,
    shown: int = 0,
) -> Dataset:
    """Events drawn at random: times are multiples of ``unit`` in [0, span × unit), so that many are equal.

    A share ``unknown`` of the events has no user, a third of them no value, and each item becomes available at a
    random moment, always or never. ``shown`` slates were shown, some of them to nobody known. For property tests.
    """
    rng = np.random.default_rng(seed)
    value = rng.integers(1, 6, events).astype(np.float32)
    value[rng.random(events) < 1 / 3] = np.nan
    choices = np.concatenate([rng.integers(0, span, items) * unit, [MISSING_TIME, np.iinfo(np.int64).max]])
    return dataset(
        np.where(rng.random(events) < unknown, -1, rng.integers(0, users, events)),
        rng.integers(0, items, events),
        rng.integers(0, span, events) * unit,
        rng.integers(0, len(behaviours.names), events),
        value,
        behaviours=behaviours,
        n_users=users,
        n_items=items,
        available_from=rng.choice(choices, items),
        exposures=slates(np.arange(shown) % (users + 1) - 1, items, span, unit, 3, seed) if shown else None,
    )


def uneven(seed: int = 0) -> Dataset:
    """The checkerboard with strengths drawn evenly by their logarithm over six orders of magnitude."""
    board = checkerboard(seed=seed)
    return replace(board, events=replace(board.events, weight=six_orders(len(board.events), seed)))


def six_orders(m: int, seed: int = 0) -> Float32:
    """[m] weights from 0.001 to 1,000, drawn evenly by their logarithm."""
    return (10 ** np.random.default_rng([seed, 6]).uniform(-3, 3, m)).astype(np.float32)


def among_newcomers(codes: Array) -> Array:
    """[m]: the codes in ``crowded`` of users or items of a world; -1 stays."""
    return np.where(np.asarray(codes) < 0, codes, 2 * np.asarray(codes) + 1).astype(np.int32)


def crowded(data: Dataset) -> Dataset:
    """The same log with as many users and items more, one before each, of whom nothing is known or has happened."""

    def ids(vocab: Vocab) -> Vocab:
        return Vocab([name for known in vocab.ids for name in (f"{known[0]}!{known}", known)])

    def table(own: Table) -> Table:
        n, rows = 2 * own.n, among_newcomers(np.arange(own.n))

        def spread(column: Array, missing: Any) -> Array:
            out = np.full(n, missing, column.dtype)
            out[rows] = column
            return out

        codes = {
            name: Codes(Ragged.of(rows[c.values.rows], n, code=c.values["code"]), c.levels)
            for name, c in own.codes.items()
        }
        numbers = {name: spread(column, np.nan) for name, column in own.numbers.items()}
        times = {name: spread(column, MISSING_TIME) for name, column in own.times.items()}
        texts = {
            name: pl.Series([t for text in column.to_list() for t in (None, text)], dtype=pl.String)
            for name, column in own.texts.items()
        }
        vectors = {}
        for name, dense in own.vectors.items():
            vectors[name] = Dense(np.zeros((n, dense.values.shape[1]), np.float32), spread(dense.known, False))
            vectors[name].values[rows] = dense.values
        return Table(n, codes, numbers, times, texts, spread(own.listed, False), own.kinds, vectors=vectors)

    shown = data.exposures
    if shown is not None:
        moved = {name: among_newcomers(shown[name].to_numpy()) for name in ("user", "item")}
        shown = shown.with_columns(**{name: pl.Series(column) for name, column in moved.items()})
    available = np.full(2 * data.n_items, FOREVER)
    available[among_newcomers(np.arange(data.n_items))] = data.available_from
    events = data.events
    return replace(
        data,
        events=replace(events, user=among_newcomers(events.user), item=among_newcomers(events.item)),
        user_ids=ids(data.user_ids),
        item_ids=ids(data.item_ids),
        users=table(data.users),
        items=table(data.items),
        available_from=available,
        exposures=shown,
    )


def crossed(order: int = 2, m: int = 6000, values: int = 6, noise: int = 2, seed: int = 0) -> Samples:
    """A plain table whose label is a cross of ``order`` categories: any fewer of them, or any sum of them, say nothing.

    Columns ``c0``, ``c1`` ... are codes drawn evenly from an even number of ``values``, ``noise`` more than ``order``.
    P(label = 1) = σ(2 Π_{i < order} s(c_i)), s(c) = 1 for even and -1 for odd codes: .88 or .12, so that the best AUC
    is .88. The rule is the same for every seed.
    """
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, values, (order + noise, m)).astype(np.int32)
    sign = np.prod(1 - 2 * (codes[:order] % 2), axis=0)
    label = (rng.random(m) < 1 / (1 + np.exp(-2.0 * sign))).astype(np.float32)
    columns = {f"c{i}": column for i, column in enumerate(codes)}
    rows = Candidates(np.arange(m, dtype=np.uint32), np.full(m, -1, np.int32), columns)
    return Samples(Requests.of(np.full(m, -1), np.zeros(m)), rows, {"label": label}, np.ones(m, np.float32))


def _attributes(n_users: int, n_items: int, rng: np.random.Generator) -> dict[str, object]:
    """Tables, friends and triples that agree with the colour."""
    words = np.array(["even", "odd"])
    colour, team = words[colour_of(np.arange(n_items))], words[colour_of(np.arange(n_users))]
    shape = np.array(["round", "square", "long"])[rng.integers(0, 3, n_items)]
    ids, people = _ids("i", n_items).ids, _ids("u", n_users).ids
    items = pl.DataFrame(
        {
            "item": ids,
            "colour": colour,
            "tags": [[c, s] for c, s in zip(colour.tolist(), shape.tolist(), strict=True)],
            "price": np.round(10 + 20 * colour_of(np.arange(n_items)) + rng.normal(0, 2, n_items), 2),
            "released": START - rng.integers(1, 30, n_items) * DAY,
            "title": [f"{c} {s} thing {i}" for i, (c, s) in enumerate(zip(colour, shape, strict=True))],
        }
    )
    users = pl.DataFrame({"user": people, "team": team, "age": rng.integers(18, 70, n_users)})
    friends = [(u, (u + 2 * step) % n_users) for u in range(n_users) for step in (1, 2, 3)] if n_users % 2 == 0 else []
    pairs = sorted({pair for u, v in friends if u != v for pair in ((u, v), (v, u))})
    ties = pl.DataFrame(
        {"user": [people[u] for u, _ in pairs], "friend": [people[v] for _, v in pairs], "weight": [1.0] * len(pairs)},
        schema={"user": pl.String, "friend": pl.String, "weight": pl.Float64},
    )
    triples = pl.DataFrame(
        {
            "head": [*ids, *ids],
            "relation": ["made_by"] * n_items + ["shaped"] * n_items,
            "tail": [f"maker {c}" for c in colour] + [f"shape {s}" for s in shape],
        }
    )
    kinds = {"colour": "category", "tags": "list", "price": "number", "released": "time", "title": "text"}
    return {
        "users": users, "items": items, "ties": ties, "triples": triples,
        "kinds": {**kinds, "team": "category", "age": "number"},
    }  # fmt: skip


def _table(frame: pl.DataFrame | None, key: str, ids: Vocab, kinds: Mapping[str, str]) -> Table:
    own = {} if frame is None else {name: kind for name, kind in kinds.items() if name in frame.columns}
    return Table.of(frame, key, own, ids)


def _ids(letter: str, n: int) -> Vocab:
    width = len(str(max(n - 1, 0)))
    return Vocab([f"{letter}{code:0{width}}" for code in range(n)])


def _size(codes: Array | Sequence[int]) -> int:
    return int(np.max(codes)) + 1 if len(codes) else 0


__all__ = [
    "DAY", "MINUTE", "SHOP", "START", "VIEW", "among_newcomers", "checkerboard", "colour_of", "crossed", "crowded",
    "dataset", "empty", "random_log", "six_orders", "slates", "two_behaviours", "uneven",
]  # fmt: skip
