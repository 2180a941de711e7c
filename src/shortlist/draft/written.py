"""Recipes as text: how a file is written in the words of ``FileSpec``, and values as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shortlist.draft.look import Look

MARKS = 'null_values = ["", "?"]  # what is not known'


def file(seen: Look, called: Mapping[str, str] | None = None) -> list[str]:
    """The lines that say where a file is and how it is written; ``called``: names for its columns, if it has none."""
    lines, spec = [f"path = {toml(str(seen.path))}  # relative to --data"], seen.spec
    if spec.separator != ",":
        lines.append(f"separator = {toml(spec.separator)}")
    if spec.quote == "":
        lines.append('quote = ""  # quotes stand inside its cells, not around them')
    if not seen.header:
        names = [(called or {}).get(name, name) for name in seen.columns]
        lines.append(f"names = {toml(names)}  # it has no header")
    if spec.encoding != "utf-8":
        unsure = "  # a guess: it is not UTF-8; or cp1252, gb18030, ...?" if spec.encoding == "latin-1" else ""
        lines.append(f"encoding = {toml(spec.encoding)}{unsure}")
    return lines


def has_marks(seen: Look) -> bool:
    """Whether ``?`` stands for what is not known: numbers and times do not take it for that by themselves."""
    return any("?" in map(str.strip, cells) for cells in seen.columns.values())


def key(name: str) -> str:
    """A key of TOML, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)


def inline(table: Mapping[str, Any]) -> str:
    """A table in one line."""
    return "{ " + ", ".join(f"{key(name)} = {toml(value)}" for name, value in table.items()) + " }"


def toml(value: str | float | Iterable[Any] | Mapping[str, Any]) -> str:
    """A value, finite; JSON's words and escapes are TOML's."""
    if isinstance(value, Mapping):
        return inline(value)
    if isinstance(value, str | int | float):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "[" + ", ".join(map(toml, value)) + "]"
