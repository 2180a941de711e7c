"""Formulas in recipes: ``like ** 0.7 * watch ** 0.3``, over columns of numbers.

    formula = number | name | ( formula ) | - formula | formula (+ - * / **) formula
            | log(formula) | exp(formula) | sqrt(formula) | min(formula, formula) | max(formula, formula)

Python's own parser reads them; nothing of what it reads is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.types import Array, Float64

_OPERATORS: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "log": (np.log, 1),
    "exp": (np.exp, 1),
    "sqrt": (np.sqrt, 1),
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
}
_EXPECTED = "expected numbers, outputs, + - * / ** and " + ", ".join(_FUNCTIONS)


def names(text: str) -> list[str]:
    """The columns a formula reads, in its order; raises ``InputError`` that shows where it is no formula."""
    found: dict[str, None] = {}
    try:
        with np.errstate(all="ignore"):
            _walk(_parsed(text), text, lambda name, node: found.setdefault(name) or 1.0)
    except (RecursionError, OverflowError) as error:
        raise InputError(f"formula {text[:60]!r}: too deep, or a number too large") from error
    return list(found)


def value(text: str, columns: Mapping[str, Array]) -> Float64:
    """[m]: the formula of ``columns``, each [m]. Raises ``InputError`` for a name that is no column."""

    def column(name: str, node: ast.AST) -> Any:
        if name not in columns:
            raise _wrong(text, node, f"no output {name!r}; there are {', '.join(columns)}")
        return np.asarray(columns[name], np.float64)

    with np.errstate(all="ignore"):  # what is no number sinks, as scores do
        found = _walk(_parsed(text), text, column)
    return np.broadcast_to(np.asarray(found, np.float64), np.shape(next(iter(columns.values()))))


def numbers(text: str) -> list[float]:
    """The numbers a formula has, from left to right, without their signs."""
    return [value for _, _, value in _numbers(text)]


def with_numbers(text: str, values: Sequence[float]) -> str:
    """The formula with ``values`` in place of its numbers, from left to right."""
    whole = text.strip().encode()
    for (begins, ends, _), number in reversed(list(zip(_numbers(text), values, strict=True))):
        whole = whole[:begins] + f"{number:.12g}".encode() + whole[ends:]
    return whole.decode()


def _numbers(text: str) -> list[tuple[int, int, float]]:
    """(first byte, byte behind the last, value) of each number."""
    lines = text.strip().encode().split(b"\n")
    before = [sum(len(line) + 1 for line in lines[:at]) for at in range(len(lines))]
    return sorted(
        (
            before[node.lineno - 1] + node.col_offset,
            before[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0),
            node.value,
        )
        for node in ast.walk(_parsed(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    )


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = _place(text.strip(), error) if isinstance(error, SyntaxError) else 1
        raise InputError(f"formula {text!r}: not a formula at character {place}: {_EXPECTED}") from error


def _place(text: str, error: SyntaxError) -> int:
    """The character, counted from 1, at which the parser gave up; behind the last where something more should come."""
    before = sum(len(line) + 1 for line in text.split("\n")[: (error.lineno or 1) - 1])
    return before + error.offset if error.offset else len(text) + 1


def _walk(node: ast.AST, text: str, column: Callable[[str, ast.AST], Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name):
        return column(node.id, node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_walk(node.operand, text, column)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = (_walk(side, text, column) for side in (node.left, node.right))
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function, wanted = _FUNCTIONS.get(node.func.id, (None, 0))
        if function is None:
            raise _wrong(text, node, f"no function {node.func.id!r}; there are {', '.join(_FUNCTIONS)}")
        if len(node.args) != wanted:
            raise _wrong(text, node, f"{node.func.id} takes {wanted}, found {len(node.args)}")
        return function(*(_walk(part, text, column) for part in node.args))
    raise _wrong(text, node, _EXPECTED)


def _wrong(text: str, node: ast.AST, what: str) -> InputError:
    place = getattr(node, "col_offset", 0)
    part = ast.get_source_segment(text.strip(), node) or ""
    return InputError(f"formula {text!r}: at character {place + 1}, {part!r}: {what}")
