"""Values of a user's attribute against values of items: which suit which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numba import njit
from pydantic import Field

from shortlist.component import InputError
from shortlist.data import Dataset, State
from shortlist.progress import emit
from shortlist.rules._attributes import Values, check, values_of
from shortlist.types import Array, Bool, Requests

Edge = Annotated[float, Field(ge=-1e12, le=1e12)]
Groups = dict[str, tuple[Edge, Edge]]
"""Groups of a number, each from a value to below another."""


def pairs(
    path: str, data: Dataset, user: str, item: str, groups: Groups, named: tuple[str, Mapping[str, Sequence[str]]]
) -> Bool:
    """[values or groups of the user's attribute, values of the item's]: which suit which, by equal words if not named.

    ``named`` is the hyperparameter's name and what it says. Raises ``InputError`` on an attribute that is not there;
    words that the data does not have are reported as a warning.
    """
    check(f"{path}.item", [item], data.items)
    kind = data.users.columns().get(user)
    if kind not in ("category", "list", "number"):
        wrong = f"{user!r} is of kind {kind}" if kind else f"no user attribute {user!r}"
        known = ", ".join(sorted(n for n, k in data.users.columns().items() if k in ("category", "list", "number")))
        raise InputError(f"{path}.user: {wrong}; attributes with categories, lists or numbers: {known or 'none'}")
    if (kind == "number") != bool(groups):
        needed = "needs groups, as { young = [0, 25] }" if kind == "number" else "is no number and takes no groups"
        raise InputError(f"{path}.groups: {user!r} {needed}")
    theirs = list(groups) if groups else list(data.users.known(user, np.arange(data.n_users))[0].codes[user].levels)
    ours = data.items.known(item, np.arange(data.n_items))[0].codes[item].levels
    field, words = named
    out = np.zeros((len(theirs), len(ours)), bool)
    for row, value in enumerate(theirs):
        out[row] = np.isin(ours, list(words.get(value, [] if words else [value]))) if len(ours) else False
    for value, wanted in words.items():
        if value not in theirs:
            emit("warning", message=f"{path}.{field}: no user is {value!r}; it says nothing")
        for word in wanted:
            if word not in ours:
                emit("warning", message=f"{path}.{field}.{value}: no item is {word!r}; it says nothing")
    return out


def groups_of(requests: Requests, state: State, user: str, groups: Groups, n: int) -> Bool:
    """[requests, n]: the values or groups of each request's user, as of then; none of who is not known."""
    out = np.zeros((len(requests), n), np.bool_)
    if groups:
        table, rows = state.attributes("user", user, requests.user, requests.time)
        number = table.number(user, rows) if user in table.numbers else np.full(len(requests), np.nan, np.float32)
        for column, (low, high) in enumerate(groups.values()):
            out[:, column] = (number >= low) & (number < high)
    else:
        mark(values_of(requests.user, requests.time, state.users, [user]), out)
    return out


@njit(cache=True)
def mark(values: Values, out: Array) -> None:
    """out[row, v] = row has the value v; one that came later has no column."""
    for row in range(len(out)):
        for e in range(values.offsets[row], values.offsets[row + 1]):
            if values.code[e] < out.shape[1]:
                out[row, values.code[e]] = True


@njit(cache=True)
def wanted_by(groups: Array, pairs: Array) -> Array:
    """[n, values]: values that one of the groups [n, g] of a request is paired with."""
    out = np.zeros((len(groups), pairs.shape[1]), np.bool_)
    for q in range(len(groups)):
        for g in range(len(pairs)):
            if groups[q, g]:
                out[q] |= pairs[g]
    return out


@njit(cache=True)
def for_others(groups: Array, pairs: Array) -> Array:
    """[n, values]: values that some groups are paired with, and none of the request's, if it has one that is paired."""
    out, mine = np.zeros((len(groups), pairs.shape[1]), np.bool_), wanted_by(groups, pairs)
    for q in range(len(groups)):
        if mine[q].any():
            for g in range(len(pairs)):
                out[q] |= pairs[g]
            out[q] &= ~mine[q]
    return out


@njit(cache=True)
def touched(request: Array, values: Values, wanted: Array) -> Array:
    """[m]: rows with a value that their request wants."""
    offsets, code = values.offsets, values.code
    out = np.zeros(len(request), np.bool_)
    for row in range(len(request)):
        for e in range(offsets[row], offsets[row + 1]):
            if code[e] < wanted.shape[1] and wanted[request[row], code[e]]:
                out[row] = True
    return out
