"""Catalogues and candidate rows for rules, and what a rule gives as plain lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from shortlist.data import Dataset
from shortlist.testing import worlds
from shortlist.types import Candidates, Requests


def catalogue(
    kinds: Mapping[str, str],
    events: Sequence[tuple] = (),
    n_items: int | None = None,
    available_from=None,
    users=None,
    shown: Sequence[tuple] = (),
    **columns,
) -> Dataset:
    """Items with attributes, and events (user, item, event, time) of a shop with views, purchases and ratings.

    ``users`` are columns of five users, ``shown`` exposures (user, item, time).
    """
    n = len(next(iter(columns.values()))) if columns else (n_items or 10)
    user, item, event, time = (np.array([e[at] for e in events], np.int64) for at in range(4))
    frame = pl.DataFrame({"item": [f"i{code:0{len(str(n - 1))}}" for code in range(n)], **columns})
    people = None if users is None else pl.DataFrame({"user": [f"u{code}" for code in range(5)], **users})
    types = {"user": pl.Int32, "item": pl.Int32, "time": pl.Int64}
    slates = pl.DataFrame(sorted(shown, key=lambda row: row[2]), schema=types, orient="row") if shown else None
    return worlds.dataset(
        user, item, time, event,
        behaviours=worlds.SHOP, n_users=5, n_items=n, items=frame, users=people, kinds=kinds,
        available_from=available_from, exposures=slates,
    )  # fmt: skip


def rows_of(lists: Sequence[Sequence[int]], fallback: Sequence[Sequence[int]] = (), scores=None) -> Candidates:
    """Items in list order for each request, scores falling; ``fallback`` items behind them, without a score."""
    request, item, score, behind = [], [], [], []
    for r, ranked in enumerate(lists):
        spare = list(fallback[r]) if fallback else []
        request += [r] * (len(ranked) + len(spare))
        item += [*ranked, *spare]
        score += (list(scores[r]) if scores else [1 - p / 100 for p in range(len(ranked))]) + [np.nan] * len(spare)
        behind += [False] * len(ranked) + [True] * len(spare)
    return Candidates(
        np.array(request, np.uint32),
        np.array(item, np.int32),
        {"score": np.array(score, np.float32), "cf.rank": np.arange(len(item), dtype=np.float32)}
        | ({"fallback": np.array(behind, bool)} if fallback else {}),
    )


def ask(n: int, time: int | Sequence[int] = 1000, user: Sequence[int] | None = None) -> Requests:
    return Requests.of(
        np.arange(n, dtype=np.int32) if user is None else np.array(user, np.int32),
        np.broadcast_to(np.asarray(time, np.int64), n),
    )


def lists_of(rows: Candidates, n: int) -> list[list[int]]:
    return [rows.item[rows.request == r].tolist() for r in range(n)]


def apply(rule, data: Dataset, rows: Candidates, requests: Requests | None = None) -> list[list[int]]:
    """What the fitted rule leaves, checked to be the same for each request alone."""
    n = int(rows.request.max()) + 1 if len(rows) else 1
    requests = ask(n) if requests is None else requests
    rule.fit(data)
    state = data.state()
    out = rule.apply(requests, rows, state)
    whole = lists_of(out, len(requests))
    for r in range(len(requests)):
        mine = rows.take(rows.request == r)
        alone = Candidates(np.zeros(len(mine), np.uint32), mine.item, mine.columns)
        single = rule.apply(requests.take([r]), alone, state)
        assert single.item.tolist() == whole[r]
        back = out.take(out.request == r)
        for column in ("score", "cf.rank"):  # every row kept its own columns
            np.testing.assert_array_equal(single[column], back[column])
    of_row = {(int(r), int(i)): c for r, i, c in zip(rows.request, rows.item, rows["cf.rank"], strict=True)}
    assert all(of_row[int(r), int(i)] == c for r, i, c in zip(out.request, out.item, out["cf.rank"], strict=True))
    return whole
