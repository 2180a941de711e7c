"""Constructors as people call them: hyperparameters with the types and defaults one would write by hand."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator

from shortlist import durations


def signature(model: type[BaseModel]) -> inspect.Signature:
    """Keyword-only hyperparameters; bounds and search spaces are left out, durations are text or microseconds."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = []
    for name, field in model.model_fields.items():
        kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        if lasts(kind) and isinstance(default, int):
            default = durations.text(default)
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=bare(kind)))
    return inspect.Signature(parameters)


def lasts(kind: Any) -> bool:
    """Whether a type is a duration, or may be one."""
    marked = getattr(kind, "__metadata__", ())
    if any(isinstance(mark, BeforeValidator) and mark.func is durations.microseconds for mark in marked):
        return True
    return get_origin(kind) in (Annotated, Union, type(int | None)) and any(map(lasts, get_args(kind)))


def bare(kind: Any) -> Any:
    """A type without ``Annotated``; a duration is ``str | int``."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return str | int if lasts(Annotated[int, *kind.__metadata__]) else bare(inside[0])
    if origin in (Union, type(int | None)):
        return Union[tuple(bare(part) for part in inside)]  # noqa: UP007 - made of parts
    if inside and isinstance(origin, type):
        return origin[tuple(bare(part) for part in inside)]  # type: ignore[index]
    return kind
