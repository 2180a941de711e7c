"""Whether what a component learned fits itself: compiled loops trust their arrays, and read foreign memory otherwise.

``Component.sizes`` says how long arrays are: ``{"table_": "c f", "items_": "c <n", "starts_": "n+1"}``. A
``Ragged`` has two lengths, its rows and its entries; a whole number is the length it states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from shortlist.component import Component, HasParts, InputError
from shortlist.types import Array, Ragged


def lengths(part: Component) -> dict[str, int]:
    """The length each letter of ``sizes`` stands for; raises ``InputError`` naming the array that does not fit."""
    learned, found = vars(part), dict[str, int]()
    for name, value in learned.items():
        _check_parts(name, value)
    stated = {name: text.split() for cls in reversed(type(part).__mro__) for name, text in _sizes(cls).items()}
    held = {name: words for name, words in stated.items() if learned.get(name) is not None}
    for name, words in held.items():
        shape, dimensions = _shape(learned[name]), [word for word in words if word[0] != "<"]
        if len(shape) != len(dimensions):
            raise InputError(f"{name}: expected {len(dimensions)} dimensions, found a shape of {list(shape)}")
        for word, length in zip(dimensions, shape, strict=True):
            letters = word.split("+")
            free = [letter for letter in letters if not letter.isdigit() and letter not in found]
            if free:
                found[free[0]] = length - _sum(letters, found)
            elif length != _sum(letters, found):
                expected = f"{_sum(letters, found)} ({word})"
                raise InputError(f"{name}: expected a length of {expected}, found a shape of {list(shape)}")
    for name, words in held.items():
        for word in (word[1:] for word in words if word[0] == "<"):
            _check_codes(name, learned[name], _sum(word.split("+"), found))
    for name, inner in part.parts().items() if isinstance(part, HasParts) else ():
        try:
            lengths(inner)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    return found


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,)
    return (len(value), int(value.offsets[-1])) if isinstance(value, Ragged) else value.shape


def _sum(letters: Sequence[str], found: Mapping[str, int]) -> int:
    return sum(int(letter) if letter.isdigit() else found.get(letter, 0) for letter in letters)


def _sizes(cls: type) -> dict[str, str]:
    return dict(vars(cls).get("sizes", {}))


def _check_codes(name: str, values: Array, bound: int) -> None:
    if values.size and not -1 <= values.min() <= values.max() < bound:
        raise InputError(f"{name}: expected codes below {bound}, or -1; found {values.min()} to {values.max()}")


def _check_parts(name: str, value: Any) -> None:
    """Raises ``InputError`` if the arrays of a CSR matrix or of a ``Ragged`` do not fit each other."""
    if sp.issparse(value):
        try:
            value.check_format(full_check=True)
        except ValueError as error:
            raise InputError(f"{name}: {error}") from error
    elif isinstance(value, Ragged):
        offsets, ends = value.offsets, {len(column) for column in value.columns.values()}
        if not len(offsets) or offsets[0] or (np.diff(offsets) < 0).any() or ends - {int(offsets[-1])}:
            raise InputError(f"{name}: its offsets do not fit its columns of {sorted(ends)} entries")


__all__ = ["lengths"]
