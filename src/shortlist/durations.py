"""Lengths of time as people write them (``"30m"``, ``"7d"``) and as the program counts them (microseconds); moments."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
"""Microseconds in each unit; ``m`` is minutes."""

_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def microseconds(value: Any) -> Any:
    """``"30m"``, ``"1h"``, ``"7d"``, ``"2w"``, ``"1.5h"`` in microseconds; a number is microseconds already.

    Raises ``ValueError`` on a string it cannot read; other types pass through for the validator behind it to refuse.
    """
    if not isinstance(value, str):
        return value
    match = _PATTERN.fullmatch(value)
    if match is None or match[2] not in UNITS:
        raise ValueError(f"expected a duration such as '30m', '1h', '7d' or '2w', found {value!r}")
    return int(Decimal(match[1]) * UNITS[match[2]])


def text(value: int) -> str:
    """The shortest exact form without weeks: ``microseconds(text(x)) == x``."""
    unit = next(unit for unit in ("d", "h", "m", "s", "ms", "us") if value % UNITS[unit] == 0)
    return f"{value // UNITS[unit]}{unit}"


Duration = Annotated[int, BeforeValidator(microseconds), Field(gt=0), PlainSerializer(text, return_type=str)]
"""A positive length of time: a string with a unit or microseconds; held in microseconds, dumped as a string."""


def stamp(time: int) -> str:
    """A moment as ISO 8601 UTC."""
    return str(np.datetime64(int(time), "us")) + "Z"
