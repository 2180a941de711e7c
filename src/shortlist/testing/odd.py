"""Logs as odd as real ones: what files hold that nobody would write into a test.

Days without events, one giant item, users of one event, times that are all alike, ids of all alphabets, strengths over
six orders of magnitude, attributes that are empty, catalogue rows that are missing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

DAY = 86_400
START = 1_600_000_000
IDS = (
    "плитка", "寿司", "كتاب", "ספר", "🍕", "👩‍👩‍👧", "e\u0301", "é", "Ⅷ", "ﬁ", "ß", "SS", "a b", "a  b",
    "a,b", 'a"b', "a|b", "a/b", "a\\b", "../a", "%2e", "'", "$x", "{}", "[1]", "null", "None", "nan", "NaN", "true",
    "0", "00", "-1", "1e3", "1.50", "x" * 300,
)  # fmt: skip
"""Names that some program or other takes for something else."""


def odd_log(seed: int, n_users: int = 60, n_items: int = 45, events: int = 1500) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(log, catalogue) with several of the oddities, drawn by ``seed``.

    The log has user (null = nobody), item, event, time (seconds) and value; the catalogue item, kind, tags, price,
    parent (several items may share one) and name.
    """
    rng = np.random.default_rng(seed)

    def has(chance: float = 0.5) -> bool:
        return bool(rng.random() < chance)

    items, users = _names(n_items, rng, "i"), _names(n_users, rng, "u")
    popularity = rng.pareto(1.2, n_items) + 0.1
    if has():
        popularity[rng.integers(n_items)] = popularity.sum() * 3  # one item with most of all events
    activity = rng.pareto(1.0, n_users) + 0.05
    item = rng.choice(n_items - 4, events, p=_share(popularity[:-4]))  # the last four never occur
    user = rng.choice(n_users, events, p=_share(activity))
    if has():  # users of one event
        user[: n_users // 2] = np.arange(n_users // 2)
        user[n_users // 2 :] = n_users // 2 + user[n_users // 2 :] % (n_users - n_users // 2)
    day = rng.integers(0, 120, events).astype(np.float64)
    if has():
        day[(day > 30) & (day < 75)] += 60  # weeks without events
    time = START + (day * DAY).astype(np.int64) + rng.integers(0, DAY, events)
    if has():
        time -= time % DAY  # dates only
    if has():
        time[rng.random(events) < 0.3] = START + 50 * DAY  # an import
    value = rng.integers(1, 6, events).astype(np.float64)
    value = 10 ** rng.uniform(-3, 3, events) if has(0.3) else np.where(rng.random(events) < 0.2, np.nan, value)
    kind = np.where(rng.random(events) < 0.01, "buy", np.where(rng.random(events) < 0.1, "cart", "view"))
    kind[rng.integers(events)] = "buy"
    order = rng.permutation(events) if has() else np.argsort(time, kind="stable")
    log = pl.DataFrame(
        {
            "user": pl.Series([users[u] for u in user]).scatter(np.flatnonzero(rng.random(events) < 0.03), None),
            "item": [items[i] for i in item],
            "event": kind,
            "time": time,
            "value": pl.Series(value).fill_nan(None),
        }
    )[order]
    listed = rng.random(n_items) < (0.8 if has() else 1)
    price = 10 ** rng.uniform(-2, 6, n_items)
    tags = [[f"t{t}" for t in rng.choice(12, rng.integers(0, 4), replace=False)] for _ in range(n_items)]
    catalogue = pl.DataFrame(
        {
            "item": items,
            "kind": pl.Series(rng.choice(["a", "b", ""], n_items, p=[0.6, 0.2, 0.2]).tolist()),
            "tags": ["|".join(each) for each in tags],
            "price": pl.Series(np.where(rng.random(n_items) < 0.2, np.nan, price)).fill_nan(None),
            "parent": [f"p{number // 3}" if number % 2 else "" for number in range(n_items)],
            "name": [f"{name} no. {number}" for number, name in enumerate(items)],
        }
    ).filter(pl.Series(listed))
    return log, catalogue


def write(log: pl.DataFrame, catalogue: pl.DataFrame, folder: Path) -> None:
    """As ``log.csv`` and ``items.csv``."""
    log.write_csv(folder / "log.csv")
    catalogue.write_csv(folder / "items.csv")


def _names(n: int, rng: np.random.Generator, letter: str) -> list[str]:
    odd = rng.permutation(np.array(IDS, object))[: n // 3].tolist()
    return [*odd, *(f"{letter}{number}" for number in range(n - len(odd)))]


def _share(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()
