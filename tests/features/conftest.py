"""A small random log with every kind of attribute, and questions about it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from shortlist.component import Feature
from shortlist.data import Behaviours, Dataset, Events, State, Table, Vocab
from shortlist.registry import find
from shortlist.types import Candidates, Ragged, Requests

DAY = 86_400_000_000
START = 20_000 * DAY
USERS, ITEMS, EVENTS = 12, 30, 600


@dataclass
class World:
    data: Dataset
    state: State
    requests: Requests
    candidates: Candidates

    def columns(self, feature: Feature, state: State | None = None) -> dict[str, np.ndarray]:
        return feature.compute(self.requests, self.candidates, state or self.state)


def behaviours() -> Behaviours:
    return Behaviours(("rating", "view"), np.array([2, 1], np.float32), np.array([4, -np.inf], np.float32))


def tables(rng: np.random.Generator) -> tuple[Vocab, Table, Vocab, Table]:
    users = Vocab([f"u{i:02d}" for i in range(USERS)])
    items = Vocab([f"i{i:02d}" for i in range(ITEMS)])
    genres = [list(rng.choice(["a", "b", "c", "d"], size=rng.integers(0, 4), replace=False)) for _ in range(ITEMS)]
    catalogue = pl.DataFrame(
        {
            "item": items.ids,
            "genres": pl.Series(genres, dtype=pl.List(pl.String)),
            "brand": rng.choice(["x", "y", "z", None], ITEMS),
            "price": np.where(rng.random(ITEMS) < 0.2, np.nan, rng.gamma(2, 5, ITEMS)),
            "released": START - rng.integers(0, 900, ITEMS) * DAY,
        }
    ).with_columns(pl.col("price").fill_nan(None))
    people = pl.DataFrame(
        {
            "user": users.ids,
            "gender": rng.choice(["F", "M", None], USERS),
            "age": rng.integers(15, 70, USERS),
            "hobbies": pl.Series([["p", "q"][: i % 3] for i in range(USERS)], dtype=pl.List(pl.String)),
        }
    )
    kinds = {"genres": "list", "brand": "category", "price": "number", "released": "time"}
    return (
        users,
        Table.of(people, "user", {"gender": "category", "age": "number", "hobbies": "list"}, users),
        items,
        Table.of(catalogue, "item", kinds, items),
    )


def log(rng: np.random.Generator, m: int = EVENTS, start: int = START, span: int = 60 * DAY) -> Events:
    event = rng.integers(0, 2, m)
    value = np.where(event == 0, rng.integers(1, 6, m), np.nan)
    time = start + rng.integers(0, span, m) // (DAY // 50) * (DAY // 50)  # some events share a moment
    item = np.minimum(rng.geometric(0.12, m) - 1, ITEMS - 3)  # the last two items are never met
    return Events.of(rng.integers(-1, USERS, m), item, event, value, time, behaviours())


@pytest.fixture
def world() -> World:
    rng = np.random.default_rng(3)
    users, people, items, catalogue = tables(rng)
    data = Dataset(log(rng), behaviours(), users, items, people, catalogue, np.full(ITEMS, START - DAY))
    cut = START + 30 * DAY
    user = np.array([0, 3, 5, -1, USERS + 4, 7, 7])
    time = cut + np.array([0, 2, 5, 8, 10, 20, 40]) * DAY
    state = data.state()
    requests = Requests.of(user, time, state.history(user, time))
    rows = [rng.permutation(ITEMS + 2)[: rng.integers(1, ITEMS)] for _ in user]  # codes past the catalogue too
    rows[2] = rows[2][:0]
    request = np.repeat(np.arange(len(user), dtype=np.uint32), [len(r) for r in rows])
    candidates = scored(rng, Candidates(request, np.concatenate(rows).astype(np.int32)))
    return World(data.until(cut), state, requests, candidates)


def scored(rng: np.random.Generator, rows: Candidates) -> Candidates:
    """Merge columns as the pipeline leaves them: channel ``cf`` with a dense score, ``hot`` without."""
    columns = {}
    for name in ("cf", "hot"):
        score = rng.normal(size=len(rows)).astype(np.float32)
        score[rng.random(len(rows)) < 0.4] = np.nan
        ranked = rows.with_columns(score=score).rank_of()
        columns[f"{name}.score"] = score
        columns[f"{name}.rank"] = np.where(np.isnan(score), np.nan, ranked).astype(np.float32)
    columns["cf.dense"] = rng.normal(size=len(rows)).astype(np.float32)
    columns["score"] = rng.random(len(rows)).astype(np.float32)
    return rows.with_columns(**columns).ranked()


def empty(world: World) -> Dataset:
    nothing = world.data.events.between(0, 0)
    return Dataset(
        nothing,
        world.data.behaviours,
        world.data.user_ids,
        world.data.item_ids,
        world.data.users,
        world.data.items,
        world.data.available_from,
    )


def make(name: str, **config: object) -> Feature:
    feature = find("features", name).from_config(config)
    assert isinstance(feature, Feature)
    return feature


def without_history(requests: Requests) -> Requests:
    from dataclasses import replace

    return replace(requests, history=Ragged.of(np.empty(0, np.int64), len(requests), **_no_history()))


def _no_history() -> dict[str, np.ndarray]:
    from shortlist.types import HISTORY

    return {name: np.empty(0, dtype) for name, dtype in HISTORY.items()}
