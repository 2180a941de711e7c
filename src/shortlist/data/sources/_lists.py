"""Lists that stand in one cell: cut at a separator, or written as JSON, Python, numpy, PostgreSQL or a print-out do."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

LITERAL = "[,]"
"""The separator that stands for a list with its brackets."""
_OPEN = {"[": "]", "{": "}", "(": ")"}
_NUMPY = re.compile(r"^array\((.*?)(?:,\s*dtype=[^()]*)?\)$", re.DOTALL)
_WORD = re.compile(r"""\s*(?:"((?:[^"\\]|\\.|"")*)"|'((?:[^'\\]|\\.)*)'|([^\s,"'][^,]*?))\s*(?:,|$)""", re.DOTALL)
_NOTHING = ("None", "nan", "NaN", "null")
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_TOKEN = re.compile(r"""\s+|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"',]+)""", re.DOTALL)


def cut(cell: pl.Expr, separator: str) -> pl.Expr:
    """Text cut at a separator, blanks around each entry and empty entries taken away."""
    return cell.str.split(separator).list.eval(pl.element().str.strip_chars())


def looks_literal(cells: list[str]) -> bool:
    """Whether every cell has the brackets of a list."""
    return bool(cells) and all((len(c) > 1 and _OPEN.get(c[0]) == c[-1]) or _NUMPY.match(c) for c in cells)


def literal(cell: pl.Expr, field: str | None) -> pl.Expr:
    """Lists with their brackets to lists of text; null where a cell is none (``entries``)."""

    def read(cells: pl.Series) -> pl.Series:
        distinct = cells.drop_nulls().unique()
        table = pl.DataFrame(
            {"c": distinct, "v": [_read(text, field) for text in distinct]},
            schema={"c": pl.String, "v": pl.List(pl.String)},
        )
        return cells.to_frame("c").join(table, on="c", how="left", maintain_order="left")["v"]

    return cell.map_batches(read, pl.List(pl.String), is_elementwise=True)


def _read(text: str, field: str | None) -> list[str] | None:
    try:
        return list(entries(text, field))
    except ValueError:
        return None


def fields(text: str) -> list[str]:
    """The fields of the objects in a list with brackets; none if it holds no objects."""
    try:
        found = _parsed(text.strip())
    except ValueError:
        return []
    first = next((entry for entry in found if isinstance(entry, dict)), {}) if isinstance(found, list | tuple) else {}
    return [str(name) for name in first]


def naming(fields: list[str]) -> str:
    """The field that looks like the name."""
    return next((name for name in fields if re.search("name|title|label", name.lower())), fields[-1])


def entries(text: str, field: str | None = None) -> Iterator[str]:
    """What a list with its brackets holds; a list within it is laid out flat, what is missing left out.

    Of objects it is what stands in ``field``. Raises ``ValueError`` on anything that is no list, on objects without
    ``field`` and on a list that numpy has shortened with dots.
    """
    return _flat(_parsed(text.strip()), field)


def _parsed(text: str) -> Any:
    """The list by the first of the languages that can read it."""
    numpy = _NUMPY.match(text)
    text = numpy[1].strip() if numpy else text
    if len(text) < 2 or _OPEN.get(text[0]) != text[-1]:
        raise ValueError("no brackets")
    bare = _QUOTED.sub("Q", text)
    python = text[0] != "{" or re.match(r"\{\s*'", text)  # else it is PostgreSQL's, which escapes otherwise
    for read in (json.loads, ast.literal_eval) if python else (json.loads,):
        try:
            found = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(found, set | frozenset):
            return sorted(found, key=text.index if all(isinstance(e, str) for e in found) else str)
        glued = re.search(r"Q\s*Q", bare)  # numpy's ['a' 'b'] is one word to Python
        if isinstance(found, list | tuple | dict) and not glued:
            return found if text[0] != "{" or isinstance(found, dict) else list(found)
    inner = text[1:-1].strip()
    if not inner:
        return []
    if text[0] == "{":  # PostgreSQL
        return _words(inner, null=True)
    if "..." in inner.split():
        raise ValueError("shortened")
    return _words(inner) if "," in bare else _tokens(inner)


def _words(inner: str, *, null: bool = False) -> list[str | None]:
    """Words between commas, in quotes or not."""
    found: list[str | None] = []
    place = 0
    while place < len(inner):
        match = _WORD.match(inner, place)
        if match is None:
            raise ValueError("no words between commas")
        double, single, bare = match.groups()
        if bare is not None:
            if re.search(r"[\[\]{}]", bare):
                raise ValueError("a bracket in a word")
            found.append(None if bare in _NOTHING or (null and bare.upper() == "NULL") else bare)
        else:
            found.append(re.sub(r"\\(.)", r"\1", double if double is not None else single))
        place = match.end()
    return found


def _tokens(inner: str) -> list[str]:
    """Words between blanks, as numpy prints them: those with blanks inside have quotes."""
    found, place = [], 0
    quoted = "'" in inner or '"' in inner
    if not quoted and not re.fullmatch(r"[-+\d.eE\s]+", inner):
        return [inner]  # [Sci Fi], printed without quotes: one entry
    while place < len(inner):
        match = _TOKEN.match(inner, place)
        if match is None:
            raise ValueError("no words between blanks")
        word = next((part for part in match.groups() if part is not None), None)
        if word is not None:
            found.append(str(ast.literal_eval(match[0])) if match[3] is None else word.rstrip("."))
        place = match.end()
    return found


def _flat(found: Any, field: str | None) -> Iterator[str]:
    if isinstance(found, list | tuple):
        for entry in found:
            yield from _flat(entry, field)
    elif isinstance(found, dict) and found:
        if field is None or field not in found:
            raise ValueError("an object")
        yield from _flat(found[field], None)
    elif isinstance(found, bool):
        yield str(found).lower()
    elif isinstance(found, float) and found.is_integer():
        yield str(int(found))
    elif found is not None and found == found and not isinstance(found, dict) and (word := str(found).strip()):
        yield word
