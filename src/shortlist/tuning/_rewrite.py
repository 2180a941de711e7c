"""A recipe with a few values changed and everything else as it was: order, comments, spacing."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from typing import Any

from shortlist.component import InputError

Path = tuple[str, ...]
Changes = Mapping[Path, Any]
"""Value by the path of its key; None = the key is taken out."""


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
        if part not in tables:
            if value is None:
                return
            tables[part] = {}
        tables = tables[part]
    if value is None:
        tables.pop(last, None)
    else:
        tables[last] = value
