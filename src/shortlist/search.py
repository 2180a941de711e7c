"""What may be tuned and within which bounds: the ``Search`` marks of a component, or a recipe's own ``search`` table.

[recall.cf.search]
neighbours = { low = 50, high = 400, log = true }    # bounds; what is left out is as the component declares it
half_life = ["1h", "1d", "7d"]                       # or the values to try
shrinkage = {}                                       # as the component declares it
"""

from __future__ import annotations

import difflib
import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from shortlist.component import Component, InputError, Search, explain
from shortlist.configured import Configured
from shortlist.durations import UNITS, microseconds, text

Kind = Literal["whole", "real", "duration"]


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values one hyperparameter may take: those of ``choices``, or numbers from ``low`` to ``high``."""

    low: float = 0.0
    high: float = 1.0  # microseconds for a duration
    log: bool = False
    kind: Kind = "real"
    choices: tuple[Any, ...] = ()  # as a recipe writes them; None = the key is left out

    def written(self, number: float) -> Any:
        """A number as a recipe should show it: no more digits than a search can tell apart."""
        if self.kind == "whole":
            return round(number)
        if self.kind == "duration":
            unit = next((u for u in ("d", "h", "m", "s", "ms") if number >= UNITS[u]), "us")
            short = f"{float(f'{number / UNITS[unit]:.2g}'):g}{unit}"
            within = min(max(microseconds(short), self.low), self.high)
            return short if microseconds(short) == within else text(int(within))
        return min(max(float(f"{number:.3g}"), self.low), self.high)

    def corners(self) -> tuple[Any, ...]:
        """The values that show whether a component admits all of them."""
        return self.choices or (self.written(self.low), self.written(self.high))


Space = dict[str, Dimension]


def declared(cls: type[Configured]) -> Space:
    """What a component, or the samples of a recipe, says may be tuned, by field."""
    marks = {name: next((m for m in _beside(f) if isinstance(m, Search)), None) for name, f in cls.model_fields.items()}
    return {name: _dimension(cls.model_fields[name], mark) for name, mark in marks.items() if mark is not None}


def space(cls: type[Configured], table: Any, path: str) -> Space:
    """The fields that a recipe's ``search`` table at ``path`` names; from an empty one, all the component declares.

    Raises ``InputError`` at the path of what is wrong.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{path}: expected a table of values or bounds to try, found {table!r}")
    own = declared(cls)
    found: Space = {}
    for name, given in table.items():
        at = f"{path}.{name}"
        if name not in cls.model_fields:
            raise InputError(f"{at}: unknown; {_hint(name, list(cls.model_fields))}")
        if isinstance(given, list) and given:
            found[name] = Dimension(choices=tuple(given))
        elif isinstance(given, Mapping):
            found[name] = _bounds(given, own.get(name), _kind(cls.model_fields[name]), at)
        else:
            raise InputError(f"{at}: expected a list of values or a table with low and high, found {given!r}")
    return found or own


def check(cls: type[Component], config: Mapping[str, Any], table: Any, path: str) -> None:
    """Every value and bound of a ``search`` table must be one its field admits; combinations come out when tried.

    Raises ``InputError`` at the ``path`` of the table.
    """
    for name, dimension in space(cls, table, path).items():
        for value in dimension.corners():
            try:
                cls.from_config({**config, name: value})
            except ValidationError as error:
                if error.errors()[0]["loc"][:1] == (name,):
                    raise InputError(explain(error, path, cls)) from error


def _bounds(given: Mapping[str, Any], own: Dimension | None, kind: Kind | None, at: str) -> Dimension:
    if not given and own is not None:
        return own
    if kind is None:
        raise InputError(f"{at}: not a number, so it has no bounds; expected a list of values to try")
    base = own if own is not None and not own.choices else Dimension(math.nan, math.nan)
    read = {key: _bound(key, value, kind, at) for key, value in given.items()}
    bounds = replace(base, kind=kind, **read)
    if math.isnan(bounds.low) or math.isnan(bounds.high):
        raise InputError(f"{at}: expected low and high, since the component declares none; found {dict(given)!r}")
    if not bounds.low < bounds.high:
        raise InputError(f"{at}: expected low below high, found {bounds.low:g} and {bounds.high:g}")
    if bounds.log and bounds.low <= 0:
        raise InputError(f"{at}.low: expected more than 0 on a logarithmic scale, found {bounds.low:g}")
    return bounds


def _bound(key: str, value: Any, kind: Kind, at: str) -> Any:
    """One entry of a table of bounds, checked."""
    if key not in ("low", "high", "log"):
        raise InputError(f"{at}.{key}: unknown; {_hint(key, ['low', 'high', 'log'])}")
    if key == "log":
        if not isinstance(value, bool):
            raise InputError(f"{at}.log: expected true or false, found {value!r}")
        return value
    if kind == "duration":
        try:
            value = microseconds(value)
        except ValueError as error:
            raise InputError(f"{at}.{key}: {error}") from error
    admitted = int if kind in ("whole", "duration") else int | float
    if isinstance(value, bool) or not isinstance(value, admitted):
        raise InputError(f"{at}.{key}: expected a {'whole ' if kind == 'whole' else ''}number, found {value!r}")
    return value


def _dimension(field: FieldInfo, mark: Search) -> Dimension:
    """The bounds a mark declares; a switch or a name needs none."""
    if mark.choices:
        return Dimension(choices=tuple(c for c in mark.choices if c is not None or field.default is None))
    kind = _kind(field)
    if kind is not None:
        return Dimension(mark.low, mark.high, mark.log, kind)
    named = [value for leaf in _leaves(field.annotation) if get_origin(leaf) is Literal for value in get_args(leaf)]
    return Dimension(choices=tuple(named) or (False, True))


def _kind(field: FieldInfo) -> Kind | None:
    """What kind of number a field takes; None if it takes none."""
    leaves = set(_leaves(field.annotation))
    if any(isinstance(mark, BeforeValidator) and mark.func is microseconds for mark in _beside(field)):
        return "duration"
    return "real" if float in leaves else "whole" if int in leaves else None


def _beside(field: FieldInfo) -> list[Any]:
    """Everything that stands beside the types of a field, however deep in a union."""
    return [*field.metadata, *_metadata(field.annotation)]


def _metadata(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
        yield from _metadata(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _metadata(part)


def _leaves(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _leaves(part)
    else:
        yield annotation


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


__all__ = ["Dimension", "Space", "declared", "space"]
