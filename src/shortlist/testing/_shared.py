"""What components of every kind owe."""

from __future__ import annotations

import inspect
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from shortlist.component import HardRule, InputError, Ranker, refuse_unsound
from shortlist.testing import worlds
from shortlist.testing.case import HOUR, Case, Subject, case, samples
from shortlist.types import HISTORY, Array, Candidates, Ragged

TOLERANCE = 1e-5
FORMULA = ("=", "Σ", "σ", "∑", "√", "^", "·")

LIMITS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const", "ge", "gt", "le", "lt"}
"""What bounds a number in a schema; the short ones where a validator of our own stands before the bound."""


def owe(kept: bool | np.bool_, message: str) -> None:
    """Raises ``AssertionError`` with ``message`` unless ``kept``."""
    if not kept:
        raise AssertionError(message)


def agree(a: Candidates, b: Candidates, what: str, *, exact: bool = False) -> None:
    """The same rows in the same order with the same columns, numbers within ``TOLERANCE``.

    Rows may change places only where their scores are tied within the tolerance.
    """
    owe(set(a.columns) == set(b.columns), f"{what}: columns {sorted(a.columns)} against {sorted(b.columns)}")
    owe(np.array_equal(a.request, b.request), f"{what}: {len(a)} rows against {len(b)}, or of other requests")
    tied = np.zeros(len(a), bool)
    if not np.array_equal(a.item, b.item):
        moved = a.item != b.item
        first = int(np.argmax(moved))
        message = f"{what}: row {first} of request {a.request[first]} is item {a.item[first]} against {b.item[first]}"
        owe(not exact and "score" in a, message)
        owe(close(a["score"], b["score"])[moved].all(), message)
        for r in np.unique(a.request[moved]):
            x, y = a.take(a.request == r), b.take(b.request == r)
            where = {item: place for place, item in enumerate(y.item.tolist())}
            swapped = [where.get(item, len(y) - 1) for item in x.item.tolist()]  # gone: tied with the last
            owe(close(x["score"], y["score"][swapped]).all(), message)
        tied = moved
    for name, column in a.columns.items():
        same = column == b[name] if exact or column.dtype.kind != "f" else close(column, b[name])
        same |= (column != column) & (b[name] != b[name])  # NaN is NaN
        bad = np.flatnonzero(~same & ~tied)
        owe(not len(bad), f"{what}: column {name!r} differs in {len(bad)} rows, first {_pair(column, b[name], bad)}")


def close(a: Array, b: Array) -> Array:
    """[m]: equal within ``TOLERANCE`` of the value, or of the largest value where it is near zero."""
    finite = np.abs(a[np.isfinite(a)])
    largest = float(finite.max(initial=0))
    return np.isclose(a, b, rtol=TOLERANCE, atol=0.1 * TOLERANCE * largest, equal_nan=True)


def _pair(a: Array, b: Array, rows: Array) -> str:
    return f"{a[rows[0]]} against {b[rows[0]]} in row {rows[0]}" if len(rows) else ""


def config_round_trips(subject: Subject) -> None:
    """``from_config(config())`` is the same configuration, also through JSON."""
    component = subject.fresh()
    again = subject.cls.from_config(json.loads(json.dumps(component.config())))
    owe(
        again.config() == component.config(), f"config changes on the way: {component.config()} became {again.config()}"
    )


def unknown_key_rejected(subject: Subject) -> None:
    """A key that is no hyperparameter is an error."""
    try:
        subject.cls.from_config({**subject.config, "no_such_key": 1})
    except ValidationError:
        return
    raise AssertionError("from_config takes a key it does not know")


def constructor_does_no_work(subject: Subject) -> None:
    """A fresh component holds its hyperparameters and nothing else."""
    component = subject.fresh()
    extra = set(vars(component)) - set(type(component).model_fields)
    owe(not extra and not component.state(), f"the constructor stores {sorted(extra)}")


def documented(subject: Subject) -> None:
    """The docstring has a one-line summary, says more (recall, merge, rank: a formula) and cites its source."""
    doc = inspect.cleandoc(subject.cls.__doc__ or "")
    lines = doc.splitlines() or [""]
    owe(lines[0].endswith((".", "?", "!")), f"the docstring's first line is no one-line summary: {lines[0]!r}")
    owe(len(lines) == 1 or not lines[1].strip(), "the docstring's summary runs over its first line")
    paragraphs = doc.split("\n\n")
    owe(paragraphs[-1].startswith("Source:"), "the docstring's last paragraph must begin with 'Source:'")
    if subject.kind in ("recall", "merge", "rank"):
        owe(any(sign in text for text in paragraphs[:-1] for sign in FORMULA), "the docstring states no formula")


def hyperparameters_described(subject: Subject) -> None:
    """Every field has a string under it, and every number a bound (or choices)."""
    schema = subject.cls.model_json_schema()
    for name, own in schema.get("properties", {}).items():
        owe(bool(subject.cls.model_fields[name].description), f"{name}: no string under the field says what it means")
        for part in _numbers(own, schema.get("$defs", {})):
            owe(bool(LIMITS & part.keys()) or name == "seed", f"{name}: a number without bounds")


def _numbers(part: Any, shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema of a number inside ``part``."""
    if isinstance(part, list):
        for inner in part:
            yield from _numbers(inner, shared)
    elif isinstance(part, dict):
        if part.get("type") in ("integer", "number"):
            yield part
        if "$ref" in part:
            yield from _numbers(shared.get(part["$ref"].rpartition("/")[2]), shared)
        for key in ("anyOf", "allOf", "oneOf", "items", "prefixItems", "additionalProperties", "properties"):
            inner = part.get(key)
            yield from _numbers(list(inner.values()) if key == "properties" and inner else inner, shared)


def fit_stores_learned(subject: Subject) -> None:
    """``fit`` returns the component, keeps its hyperparameters and adds only arrays under names ending in ``_``."""
    component = subject.fresh()
    before = component.config()
    owe(subject.fit(component, subject.world) is component, "fit does not return the component")
    owe(component.config() == before, "fit changes hyperparameters")
    extra = [name for name in vars(component) if name not in type(component).model_fields]
    wrong = [name for name in extra if not name.endswith("_") or name.startswith("_")]
    owe(not wrong, f"fit stores {wrong}: learned attributes end in '_' and do not begin with it")
    for name, array in component.state().items():
        plain = isinstance(array, np.ndarray) and array.dtype.kind in "biufSUM"
        owe(plain, f"state() holds {name!r}, which is no plain array")
        owe("/" not in name, f"state() holds {name!r}: a name must serve as a file name")
    for name, content in component.files().items():
        owe(
            isinstance(content, bytes) and not name.endswith(".npy") and "/" not in name, f"files(): bad entry {name!r}"
        )


def saved_and_loaded(subject: Subject) -> None:
    """What is restored from configuration, arrays and files answers exactly as before, and so does what that saves."""
    expected = subject.ask(subject.fitted, subject.case)
    component = subject.fitted
    for _ in range(2):
        arrays = {name: _through_npy(array) for name, array in component.state().items()}
        component = type(component).restore(json.loads(json.dumps(component.config())), arrays, component.files())
        agree(subject.ask(component, subject.case), expected, "after save and load", exact=True)


def _through_npy(array: Array) -> Array:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    buffer.seek(0)
    loaded: Array = np.load(buffer, allow_pickle=False)
    return loaded


def same_seed_same_result(subject: Subject) -> None:
    """Two fits answer alike whatever the global random generators are at; so do two questions."""
    answers = []
    for luck in (1, 2):
        np.random.seed(luck)  # noqa: NPY002  what a component must not depend on
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(luck)
        component = subject.fit(subject.fresh(), subject.world)
        answers += [subject.ask(component, subject.case) for _ in range(2)]
    for answer in answers[1:]:
        agree(answer, answers[0], "fitted or asked again", exact=True)


def batch_equals_single(subject: Subject) -> None:
    """A batch answers as its requests do one at a time, in the same order, numbers within the tolerance."""
    whole = subject.ask(subject.fitted, subject.case)
    for r in range(len(subject.case.requests)):
        chosen = np.array([r])
        alone = subject.ask(subject.fitted, subject.case.only(chosen))
        of_batch = whole.take(whole.request == r)
        agree(replace(of_batch, request=np.zeros(len(of_batch), np.uint32)), alone, f"request {r} of a batch and alone")


def inputs_unchanged(subject: Subject) -> None:
    """Asking changes none of the arrays it is given, nor the component."""
    asked = case(subject.world, np.arange(12), subject.world.state())  # one that no other check has asked
    given = {**_arrays(asked), **{f"learned {name}": array for name, array in subject.fitted.state().items()}}
    before = {name: array.copy() for name, array in given.items()}
    subject.ask(subject.fitted, asked)
    for name, array in given.items():
        owe(np.array_equal(array, before[name], equal_nan=array.dtype.kind == "f"), f"asking changes {name}")


def _arrays(asked: Case) -> dict[str, Array]:
    requests = asked.requests
    arrays: dict[str, Array] = {"user": requests.user, "time": requests.time, "exclude": requests.exclude["item"]}
    arrays |= {f"history {name}": column for name, column in requests.history.columns.items()}
    for name, rows in {"rows": asked.rows, **asked.found}.items():
        arrays |= {f"{name} request": rows.request, f"{name} item": rows.item}
        arrays |= {f"{name} {column}": rows[column] for column in rows.columns}
    return arrays


def empty_batch(subject: Subject) -> None:
    """No requests, and requests for which nothing was found, never raise; the columns stay what they are."""
    none = subject.ask(subject.fitted, subject.case.only(np.empty(0, np.int64)))
    owe(len(none) == 0, f"no requests, {len(none)} rows")
    asked = subject.case
    nothing = {name: rows.take(np.empty(0, np.int64)) for name, rows in asked.found.items()}
    silent = subject.ask(subject.fitted, replace(asked, rows=asked.rows.take(np.empty(0, np.int64)), found=nothing))
    whole = subject.ask(subject.fitted, asked)
    if subject.kind != "recall" and not isinstance(subject.fitted, HardRule):
        owe(len(silent) == 0, f"no rows given, {len(silent)} come back")
        owe(set(silent.columns) == set(whole.columns), "without rows the columns are other ones")


def empty_log(subject: Subject) -> None:
    """A log without events can be learned from and asked about."""
    world = worlds.empty()
    component = subject.fit(subject.fresh(), world)
    asked = case(world, np.arange(world.n_users), world.state(), worlds.START)
    subject.ask(component, asked)
    arrays = {name: _through_npy(array) for name, array in component.state().items()}
    subject.ask(type(component).restore(component.config(), arrays, component.files()), asked)


def learned_is_finite_and_moderate(subject: Subject) -> None:
    """Weights over six orders of magnitude end in a state, and in answers, without NaN, infinity or runaway numbers."""
    component, world = subject.fresh(), worlds.uneven()
    if isinstance(component, Ranker):
        learned, weight = samples(world, seed=1), worlds.six_orders
        component.fit(replace(learned, weight=weight(len(learned))), samples(world, seed=2))
    else:
        subject.fit(component, world)
    try:
        refuse_unsound(subject.cls.__name__, component)
    except InputError as error:
        raise AssertionError(str(error)) from error
    for name, column in subject.ask(component, subject.case).columns.items():
        if subject.kind in ("recall", "rank") and column.dtype.kind == "f":
            owe(np.isfinite(column).all(), f"{name!r} is not finite in {np.sum(~np.isfinite(column))} rows")


def more_identities_change_nothing(subject: Subject) -> None:
    """Users and items of whom nothing has happened yet leave every answer as it is, wherever their codes fall."""
    world, asked = subject.world, subject.case
    crowd, codes = worlds.crowded(world), worlds.among_newcomers
    component = subject.fit(subject.fresh(), crowd)

    def renamed(rows: Candidates) -> Candidates:
        return replace(rows, item=codes(rows.item))

    requests = replace(
        asked.requests,
        user=codes(asked.requests.user),
        history=_renamed(asked.requests.history),
        exclude=_renamed(asked.requests.exclude),
    )
    found = {name: renamed(rows) for name, rows in asked.found.items()}
    answer = subject.ask(component, Case(requests, renamed(asked.rows), found, crowd.state()))
    if isinstance(component, HardRule):
        answer = answer.take(np.isin(answer.item, codes(np.arange(world.n_items))))  # newcomers may be forbidden
    agree(answer, renamed(subject.ask(subject.fitted, asked)), "among identities without events")


def _renamed(items: Ragged) -> Ragged:
    return Ragged(items.offsets, {**items.columns, "item": worlds.among_newcomers(items["item"])})


def strangers(subject: Subject) -> None:
    """An unknown user, no history, new items in history, exclusions and rows: never an error, no one else's loss."""
    n_users, n_items = subject.world.n_users, subject.world.n_items
    base = case(subject.world, np.array([0, -1, n_users + 7, 1, 2, 3]), subject.world.state())
    lengths = base.requests.history.lengths
    owe(lengths[1] == lengths[2] == 0, "the world knows its strangers")
    history = _with_new_items(base.requests.history, n_items)
    history = history.keep(history.rows != 3)  # a known user without a history
    exclude = Ragged.of(
        np.append(base.requests.exclude.rows, 5), 6, item=np.append(base.requests.exclude["item"], n_items + 9)
    )
    requests = replace(base.requests, history=history, exclude=exclude)
    items = np.where(np.arange(len(base.rows)) % 5 == 4, n_items + base.rows.positions(), base.rows.item)
    asked = replace(base, requests=requests, rows=replace(base.rows, item=items.astype(np.int32)))
    live = base.state.events.take(slice(-3, None))
    state = subject.world.state()
    state.append(replace(live, item=live.item + n_items, user=live.user + n_users, time=live.time + 1))
    shown = base.state.shown.exposures.take(slice(-3, None))
    state.shown.append(replace(shown, item=shown.item + n_items, user=shown.user + n_users, time=shown.time + 1))
    for what in (asked, replace(asked, state=state), replace(base, state=state)):
        answer = subject.ask(subject.fitted, what)
        owe(np.isin(answer.request, np.arange(6)).all(), "rows of no request come back")
    alone = subject.ask(subject.fitted, asked.only(np.array([0])))
    whole = subject.ask(subject.fitted, asked)
    agree(alone, whole.take(whole.request == 0), "a known user beside strangers")


def _with_new_items(history: Ragged, n_items: int) -> Ragged:
    """Every third entry is an item the component was not fitted with."""
    item = history["item"].copy()
    item[::3] = n_items + np.arange(len(item[::3])) % 4
    return Ragged(history.offsets, {**{name: history[name] for name in HISTORY}, "item": item.astype(np.int32)})


def later_events_change_nothing(subject: Subject) -> None:
    """An answer is the same whether the state ends at the request, runs on, or has later events appended.

    The same for what is shown later.
    """
    data = subject.world
    cut, now = data.cut(0.7), data.cut(0.8)
    component = subject.fit(subject.fresh(), data.until(cut))
    known = data.until(now + 1)
    users = np.arange(10)
    asked = case(data, users, known.state(), now)
    expected = subject.ask(component, asked)
    live = known.state()
    later = data.events.between(now + 1, None)
    live.append(later)
    live.append(replace(later, item=later.item + data.n_items, time=later.time + HOUR))
    shown = data.state().shown.exposures
    shown = shown.take(shown.time > now)
    live.shown.append(shown)
    live.shown.append(replace(shown, item=shown.item + data.n_items, time=shown.time + HOUR))
    for what, state in (("a state with the future in it", data.state()), ("later events appended", live)):
        for _ in range(2):
            agree(subject.ask(component, replace(asked, state=state)), expected, what, exact=True)
    agree(subject.ask(component, asked), expected, "the first state asked again", exact=True)
