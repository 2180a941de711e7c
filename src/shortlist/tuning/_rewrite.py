"""A recipe with a few values changed and everything else as it was: order, comments, spacing."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, MutableMapping
from typing import Any

from shortlist.component import InputError

Path = tuple[str | int, ...]
Changes = Mapping[Path, Any]
"""Value by the path of its key; None = the key is taken out. A number is a place in a list, or behind its end."""


def rewritten(text: str, changes: Changes) -> str:
    """The TOML text with ``changes`` made; raises ``InputError`` where tomlkit is missing."""
    tomlkit = library()
    document = tomlkit.parse(text)
    expected = copy.deepcopy(tomllib.loads(text))
    for path, value in changes.items():
        _set(document, path, value)
        _set(expected, path, value)
    changed: str = tomlkit.dumps(document)
    if tomllib.loads(changed) != expected:
        raise RuntimeError("the recipe written back is not the one that was tuned")
    return changed


def changes(old: Mapping[str, Any], new: Mapping[str, Any], at: Path = ()) -> dict[Path, Any]:
    """What turns the tables of one recipe into those of another.

    Of a list of tables some are left out, and others follow.
    """
    found: dict[Path, Any] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        one, other, path = old.get(key), new.get(key), (*at, key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= changes(one, other, path)
        elif isinstance(one, list) and isinstance(other, list) and _tables(one) and _tables(other):
            left, gone = list(other), []
            for place, table in enumerate(one):
                if table in left:
                    left.remove(table)
                else:
                    gone.append(place)
            found |= {
                (*path, len(one) + number): table for number, table in enumerate(left)
            }  # first: none is left empty
            found |= {(*path, place): None for place in reversed(gone)}
        elif one != other or type(one) is not type(other):
            found[path] = other
    return found


def _tables(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(one, Mapping) for one in values)


def library() -> Any:
    """tomlkit; raises ``InputError`` where it is not installed."""
    try:
        import tomlkit
    except ModuleNotFoundError as error:
        raise InputError(f"tuning needs the package {error.name!r}: pip install 'shortlist[tune]'") from error
    return tomlkit


def _set(tables: Any, path: Path, value: Any) -> None:
    *parents, last = path
    for part in parents:
        if isinstance(tables, MutableMapping) and part not in tables:
            if value is None:
                return
            tables[part] = {}
        tables = tables[part]
    if isinstance(tables, MutableMapping):
        if value is None:
            tables.pop(last, None)
        else:
            tables[last] = copy.deepcopy(value)
    elif value is None:
        del tables[last]
    else:
        tables.append(copy.deepcopy(value))
