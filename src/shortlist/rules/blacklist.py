"""Items that may not be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from shortlist.component import HardRule
from shortlist.data import Dataset, State
from shortlist.data.vocab import codes_of
from shortlist.progress import emit
from shortlist.rules._attributes import check, members
from shortlist.types import Array, Ragged, Requests, spans


class Blacklist(HardRule):
    """Forbids items by id or by attribute value, for everybody or for one user: F(u) = F(all) + F(of u).

    Lists are resolved when the rule is fitted. Ids and values that the catalogue does not have forbid nothing and are
    reported as a warning.

    Source: Shortlist's own definition.
    """

    sizes: ClassVar[Mapping[str, str]] = {"users_": "x", "user_items_": "x l"}

    example: ClassVar[Mapping[str, Any]] = {
        "items": ["i03"],
        "values": {"tags": ["long"]},
        "users": {"u01": ["i05"]},
        "user_values": {"u02": {"colour": ["even"]}},
    }

    items: list[str] = []
    """Ids of items that nobody is shown."""
    values: dict[str, list[str]] = {}
    """Values of item attributes that nobody is shown: ``{genres = ["Horror"]}``."""
    users: dict[str, list[str]] = {}
    """Ids of items that one user is not shown, by user id."""
    user_values: dict[str, dict[str, list[str]]] = {}
    """Values of item attributes that one user is not shown, by user id."""

    def fit(self, data: Dataset) -> Self:
        """Learns ``items_`` (sorted codes), ``users_`` (sorted codes) and ``user_items_`` (a row of each of those)."""
        self.items_ = self._resolve(data, "items", self.items, "values", self.values)
        lists: dict[int, Array] = {}
        for user in dict.fromkeys([*self.users, *self.user_values]):
            code = data.user_ids.code(user)
            if code < 0:
                _warn("users", user)
                continue
            where = f"user_values.{user}"
            own = self._resolve(data, f"users.{user}", self.users.get(user, []), where, self.user_values.get(user, {}))
            lists[code] = np.setdiff1d(own, self.items_)
        codes = sorted(lists)
        self.users_ = np.array(codes, np.int32)
        item = np.concatenate([lists[code] for code in codes]) if codes else np.empty(0, np.int32)
        rows = np.repeat(np.arange(len(codes)), [len(lists[code]) for code in codes])
        self.user_items_ = Ragged.of(rows, len(codes), item=item.astype(np.int32))
        return self

    def forbids(self, requests: Requests, state: State) -> Ragged:
        """[n] rows of "item"."""
        own, n = self._own(requests), len(requests)
        rows = np.concatenate([np.repeat(np.arange(n), len(self.items_)), own.rows])
        items = np.concatenate([np.tile(self.items_, n), own["item"]])
        order = np.argsort(rows, kind="stable")
        return Ragged.of(rows[order], n, item=items[order])

    def _own(self, requests: Requests) -> Ragged:
        """[n] rows of the items that only the request's user is not shown."""
        if not len(self.users_):
            return Ragged.empty(len(requests), item=np.int32)
        at = np.searchsorted(self.users_, requests.user)
        at[at == len(self.users_)] = 0
        low = self.user_items_.offsets[at]
        high = np.where(self.users_[at] == requests.user, self.user_items_.offsets[at + 1], low)
        offsets = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
        return Ragged(offsets, {"item": self.user_items_["item"][spans(low, high)]})

    def _resolve(self, data: Dataset, ids_at: str, ids: list[str], at: str, values: dict[str, list[str]]) -> Array:
        """Sorted codes of items with one of ``ids`` or one of ``values``."""
        check(f"rules.blacklist.{at}", values, data.items)
        codes = np.array([data.item_ids.code(raw) for raw in ids], np.int64)
        for raw, code in zip(ids, codes.tolist(), strict=True):
            if code < 0:
                _warn(ids_at, raw)
        parts = [codes_of(codes, data.n_items)]
        for name, wanted in values.items():
            rows, unknown = members(data.items, name, wanted)
            parts.append(rows)
            for value in unknown:
                _warn(f"{at}.{name}", value)
        joined = np.unique(np.concatenate(parts)).astype(np.int32)
        return joined[joined >= 0]


def _warn(where: str, raw: str) -> None:
    emit("warning", message=f"rules.blacklist.{where}: {raw!r} is not in the data and forbids nothing")
