"""Who asks and what is offered: the attributes of users and items as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numba import njit
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import Codes, Dataset, State
from shortlist.types import Array, Candidates, Int64, Ragged, Requests


class Profile(Feature):
    """Attributes of the user and of the item: categories as codes, numbers, lists as flags of their commonest levels.

    A category is the code of its level in the table (-1 = missing or unknown). A number stays a number; a time becomes
    days since 1970. A list of at most ``levels`` levels per column becomes one 0/1 column a level, chosen at the first
    ``fit`` by the events of the items that carry it, and ``count``, the length of the list. What the log tells (a
    price) is as of the request. Use it to let a ranker learn that some users, or some kinds of item, answer
    differently; it also carries what little is known of new users and items.

    Source: Covington, Adams and Sargin (2016), Deep neural networks for YouTube recommendations.
    """

    sizes: ClassVar[Mapping[str, str]] = {"lists_": "k", "chosen_": "k l"}

    user: list[str] | None = None
    """Columns of the user table; none named means all."""
    item: list[str] | None = None
    """Columns of the item table; none named means all."""
    levels: int = Field(default=20, ge=0, le=1000)
    """How many of a list's levels get a column of their own."""
    ids: bool = False
    """Whether the identity codes themselves are columns, for rankers that learn a weight or a vector per identity."""

    def fit(self, data: Dataset) -> Self:
        """Chooses the levels of list columns by how many events carry them; fitted again, it keeps its choice."""
        if "chosen_" in self.__dict__ and self._known_to(data):
            return self  # a ranker has learned these columns
        chosen: list[Array] = []
        names: list[str] = []
        levels: list[str] = []
        log = data.events
        sources = (("user", data.users, log.user), ("item", data.items, log.item))
        for entity, table, of_events in sources:
            for name in table.of_kind(f"features.profile.{entity}", getattr(self, entity), "list"):
                known, codes = table.known(name, of_events, log.time)
                column = known.codes[name]
                counts = np.bincount(codes[codes >= 0], minlength=known.n)
                rows = column.of(np.arange(known.n))
                seen = np.bincount(rows["code"], counts[: known.n][rows.rows], minlength=len(column.levels))
                common = np.lexsort((np.arange(len(seen)), -seen))[: self.levels]
                chosen.append(np.sort(common[seen[common] > 0]).astype(np.int32))
                levels += [column.levels[code] for code in chosen[-1]]
                names.append(f"{entity}.{name}")
        lengths = np.array([0, *map(len, chosen)], np.int64)
        self.lists_ = np.array(names, dtype=str)
        self.levels_ = np.array(levels, dtype=str)  # of all lists, in the order of their codes
        self.chosen_ = Ragged(np.cumsum(lengths), {"code": np.concatenate([np.empty(0, np.int32), *chosen])})
        return self

    def _known_to(self, data: Dataset) -> bool:
        """Whether the chosen levels are those of the tables of ``data``."""
        tables = {"user": data.users, "item": data.items}
        found: list[str] = []
        for row, path in enumerate(self.lists_):
            entity, _, name = str(path).partition(".")
            own = tables[entity].known(name, np.empty(0, np.int32))[0].codes
            levels = own[name].levels if name in own else ()
            found += [levels[code] for code in self.chosen_.row(row)["code"] if code < len(levels)]
        return found == self.levels_.tolist()

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """Columns ``profile.user.*`` and ``profile.item.*``, each [m]."""
        mine = self._columns("user", state, requests.user, requests.time)  # looked up once a request, then repeated
        out = {name: column[candidates.request] for name, column in mine.items()}
        return out | self._columns("item", state, candidates.item, requests.time[candidates.request])

    def _columns(self, entity: str, state: State, codes: Array, times: Int64) -> dict[str, Array]:
        path, wanted = f"features.profile.{entity}", getattr(self, entity)
        table = state.items if entity == "item" else state.users
        out: dict[str, Array] = {}
        if self.ids:
            out[f"profile.{entity}.id"] = codes.astype(np.int32)
        for name in table.of_kind(path, wanted, "category"):
            known, rows = table.known(name, codes, times)
            out[f"profile.{entity}.{name}"] = known.codes[name].first(rows)
        for name in table.of_kind(path, wanted, "number", "time"):
            known, rows = table.known(name, codes, times)
            out[f"profile.{entity}.{name}"] = known.number(name, rows)
        for name in table.of_kind(path, wanted, "list"):
            known, rows = table.known(name, codes, times)
            out |= self._flags(f"{entity}.{name}", known.codes[name], rows)
        return out

    def _flags(self, name: str, column: Codes, codes: Array) -> dict[str, Array]:
        place = np.flatnonzero(self.lists_ == name)
        chosen = self.chosen_.row(int(place[0]))["code"] if len(place) else np.empty(0, np.int32)
        flags = np.zeros((len(chosen) + 1, len(codes)), np.float32)
        _marked(column.values.offsets, column.values["code"], codes, chosen, flags)
        out: dict[str, Array] = {f"profile.{name}.count": flags[-1]}
        for row, level in enumerate(chosen):
            out[f"profile.{name}={column.levels[level]}"] = flags[row]
        return out


@njit(cache=True)
def _marked(offsets: Array, codes: Array, rows: Array, chosen: Array, out: Array) -> None:
    """out[k, r] = 1 where row r has code chosen[k] (ascending); the last row of ``out`` counts all codes of the row."""
    last = len(chosen)
    for r in range(len(rows)):
        i = rows[r]
        if i < 0 or i + 1 >= len(offsets):
            continue
        out[last, r] = offsets[i + 1] - offsets[i]
        for e in range(offsets[i], offsets[i + 1]):
            k = np.searchsorted(chosen, codes[e])
            if k < last and chosen[k] == codes[e]:
                out[k, r] = 1
