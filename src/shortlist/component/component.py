"""What every part of the funnel is: hyperparameters in annotated fields, learned state in attributes ending in ``_``.

Learned state is arrays and native model files, so loading one can never run code from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, ValidationError

from shortlist.configured import Configured
from shortlist.types import Array, InputError, Ragged


@dataclass(frozen=True, slots=True)
class Search:
    """Marks a hyperparameter that ``shortlist tune`` may choose, in the field's annotation.

    ``neighbours: Annotated[int, Field(ge=1), Search(20, 500, log=True)] = 100``. Numbers lie between ``low`` and
    ``high`` (``log``: evenly on a logarithmic scale); anything else is one of ``choices``, as a recipe writes it.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] = ()


class Component(Configured):
    """A validated configuration and what was learned under it.

    Fields are hyperparameters, each written once with a string under it that says what it means. ``fit`` stores only
    attributes that end in ``_``: numpy arrays, scipy CSR matrices, ``Ragged``, numbers and strings. Those are saved and
    restored without any code of the component's own; a native model overrides ``files`` and ``restore``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    personalised: ClassVar[bool] = True
    """Whether two users with different histories should get different answers."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Optional: a configuration for ``shortlist.testing`` where the defaults do not do (which attribute to scatter by).

    The contract's world has item attributes ``colour`` (category), ``tags`` (list), ``price``, ``released``, ``title``,
    user attributes ``team`` (category) and ``age``, the behaviour ``view``, and the channels ``cf`` and ``hot``.
    """

    renamed: ClassVar[Mapping[str, str]] = {}
    """Hyperparameters of earlier versions and what they are called now: the error for the old one names the new one."""

    sizes: ClassVar[Mapping[str, str]] = {}
    """How long learned arrays are: ``{"table_": "c f", "items_": "c <n"}``. A letter is one length wherever it stands
    (``n`` items and ``u`` users of the data), ``n+1`` one more; ``<n``: the values are codes below it, or -1. Compiled
    loops trust this, so it is checked when a bundle is opened. A subclass adds to what it inherits."""

    def __init__(self, **hyperparameters: Any) -> None:
        """Raises ``InputError`` on a hyperparameter that is unknown (the nearest is named) or out of range."""
        try:
            super().__init__(**hyperparameters)
        except ValidationError as error:
            raise InputError(explain(error, type(self).__name__, type(self))) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.endswith("_") and not name.startswith("_"):
            self.__dict__[name] = value  # learned, not configured
        else:
            super().__setattr__(name, value)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A fresh component; raises ``pydantic.ValidationError``, which a recipe words with its own path."""
        component = cls.__new__(cls)
        cls.__pydantic_validator__.validate_python(dict(config), self_instance=component)
        return component

    def config(self) -> dict[str, Any]:
        """The hyperparameters: ``from_config(config())`` is the same component, unfitted."""
        return self.model_dump(mode="json")

    def without_effect(self) -> frozenset[str]:
        """Hyperparameters that mean nothing under the others as they are; ``shortlist tune`` leaves them alone."""
        return frozenset()

    def state(self) -> dict[str, Array]:
        """What was learned, as named arrays."""
        arrays: dict[str, Array] = {}
        for name, value in self.__dict__.items():
            if name.endswith("_") and name not in type(self).model_fields:
                arrays.update(_flatten(name, value))
        return arrays

    def files(self) -> dict[str, bytes]:
        """Native model files, by name."""
        return {}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], arrays: Mapping[str, Array], files: Mapping[str, bytes] | None = None
    ) -> Self:
        """The component that ``config()``, ``state()`` and ``files()`` were taken from."""
        component = cls.from_config(config)
        component.__dict__.update(_unflatten(arrays))
        return component


def explain(error: ValidationError, path: str, model: type[BaseModel]) -> str:
    """The first thing pydantic found wrong, as ``path: what was expected, what was found``."""
    found_wrong = error.errors()
    # a misspelt key often leaves a required one missing as well: the former says what to do
    first = next((one for one in found_wrong if one["type"] == "extra_forbidden"), found_wrong[0])
    where = ".".join([path, *(str(part) for part in first["loc"] if not str(part).startswith("function-"))]).strip(".")
    if first["type"] == "extra_forbidden":
        inner = _model_at(model, first["loc"][:-1])
        if new := getattr(inner, "renamed", {}).get(first["loc"][-1]):
            return f"{where}: is called {new} now"
        known = list(_fields(inner))
        near = difflib.get_close_matches(str(first["loc"][-1]), known, 1, 0.5)
        return f"{where}: unknown; " + (f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}")
    if first["type"] == "missing":
        return f"{where}: missing"
    message = first["msg"].removeprefix("Value error, ")
    told = not first["loc"] or ", found " in message  # a check of the whole, or one that says what it found itself
    found = "" if told else f"; found {first.get('input')!r}"
    return f"{where}: {message[0].lower()}{message[1:]}{found}"[:500]


def _model_at(model: Any, loc: tuple[Any, ...]) -> Any:
    """The model nested at ``loc``, looking through Optional and list."""
    for part in loc:
        if not (isinstance(part, str) and part in _fields(model)):
            continue
        inner = _fields(model)[part].annotation
        model = next((a for a in [inner, *getattr(inner, "__args__", ())] if hasattr(a, "model_fields")), model)
    return model


def _fields(model: Any) -> dict[str, Any]:
    """The fields of a model by the names that are written (``in``, where Python needs another)."""
    return {field.alias or name: field for name, field in getattr(model, "model_fields", {}).items()}


def _flatten(name: str, value: Any) -> dict[str, Array]:
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            raise TypeError(f"{name} is an object array: learned state must be plain arrays")
        return {name: value}
    if isinstance(value, sp.csr_matrix | sp.csr_array):
        shape = np.array(value.shape, np.int64)
        return {f"{name}.csr.{part}": getattr(value, part) for part in ("data", "indices", "indptr")} | {
            f"{name}.csr.shape": shape
        }
    if isinstance(value, Ragged):
        return {f"{name}.ragged.offsets": value.offsets} | {
            f"{name}.ragged.columns.{column}": array for column, array in value.columns.items()
        }
    if isinstance(value, bool | int | float | str | np.generic):
        return {f"{name}.scalar": np.asarray(value)}
    if value is None:
        return {}
    raise TypeError(
        f"{name} is a {type(value).__name__}: learned state must be arrays, CSR, Ragged, numbers or strings"
    )


def _unflatten(arrays: Mapping[str, Array]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, array in arrays.items():
        name, _, rest = key.partition(".")
        if not rest:
            values[name] = array
        elif rest == "scalar":
            values[name] = array[()].item()
        elif rest == "csr.shape":
            parts = tuple(arrays[f"{name}.csr.{part}"] for part in ("data", "indices", "indptr"))
            values[name] = sp.csr_matrix(parts, shape=tuple(array), copy=False)
        elif rest == "ragged.offsets":
            prefix = f"{name}.ragged.columns."
            columns = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            values[name] = Ragged(array, columns)
    return values
