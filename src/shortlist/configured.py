"""What all configured things share: ``"none"`` where nothing is a value, as TOML has no word for it; ``--set``."""

from __future__ import annotations

import tomllib
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator

from shortlist.types import InputError

NONE = "none"


class Configured(BaseModel):
    """A validated configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing(cls, values: Any) -> Any:
        """The fields that may be empty are where ``"none"`` says so; one that takes any text keeps the word."""
        if not isinstance(values, dict) or NONE not in [v for v in values.values() if isinstance(v, str)]:
            return values
        fields = cls.model_fields
        return {
            name: None if value == NONE and name in fields and _may_be_none(fields[name].annotation) else value
            for name, value in values.items()
        }


def _may_be_none(annotation: Any) -> bool:
    kinds = set(_kinds(annotation))
    return type(None) in kinds and str not in kinds and NONE not in kinds


def _kinds(annotation: Any) -> list[Any]:
    """The types of a union, and the words of a ``Literal``, whatever is annotated."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return list(get_args(annotation)) if origin is Literal else [annotation]


def override(tables: dict[str, Any], written: str) -> None:
    """Sets a key of parsed tables as ``--set KEY=VALUE`` writes it; raises ``InputError`` if there is no such place."""
    key, sign, text = written.partition("=")
    if not sign:
        raise InputError(f"--set {written}: expected KEY=VALUE, such as recall.cf.neighbours=200")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *parents, last = key.strip().split(".")
    table: Any = tables
    for part in parents:
        table = table[_number(part, table, written)] if isinstance(table, list) else table.setdefault(part, {})
        if not isinstance(table, dict | list):
            raise InputError(f"--set {written}: {part} is not a table")
    if isinstance(table, list):
        table[_number(last, table, written)] = value
    else:
        table[last] = value


def _number(part: str, entries: list[Any], override: str) -> int:
    """The place in a list that part of a key means."""
    if not part.isdigit() or int(part) >= len(entries):
        raise InputError(f"--set {override}: expected a number from 0 to {len(entries) - 1}, found {part!r}")
    return int(part)
