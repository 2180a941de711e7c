"""How a component is found: the folder is the registry.

``find("recall", "item_cf")`` imports ``shortlist.recall.item_cf`` and returns the one component class defined there.
Outside packages use the entry-point group ``shortlist.recall`` or ``package.module:Class``.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from shortlist.component import Component, Feature, HardRule, InputError, Merge, Ranker, Retriever, Rule

KINDS: dict[str, tuple[type[Component], ...]] = {
    "recall": (Retriever,),
    "merge": (Merge,),
    "features": (Feature,),
    "rank": (Ranker,),
    "rules": (Rule, HardRule),
}
"""What the components of a folder are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``shortlist list``."""

    name: str
    summary: str
    reference: str
    available: bool


def names(kind: str) -> list[str]:
    """The names a recipe may use for ``kind``, without importing any of them."""
    own = [path.stem for path in _folder(kind).glob("*.py") if not path.stem.startswith("_")]
    outside = [entry.name for entry in metadata.entry_points(group=f"shortlist.{kind}")]
    return sorted({*own, *outside})


@cache
def find(kind: str, name: str) -> type[Component]:
    """The component class called ``name``; raises ``InputError`` naming the nearest known one."""
    if kind not in KINDS:
        raise InputError(f"{kind}: no such kind of component; there are {', '.join(KINDS)}")
    if ":" in name:
        return _checked(kind, _outside(kind, name))
    for entry in metadata.entry_points(group=f"shortlist.{kind}"):
        if entry.name == name:
            return _checked(kind, entry.load())
    if not name.isidentifier() or name.startswith("_") or not (_folder(kind) / f"{name}.py").is_file():
        near = difflib.get_close_matches(name, names(kind), 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names(kind))}"
        raise InputError(f"no {kind} component {name!r}; {hint}")
    try:
        module = importlib.import_module(f"shortlist.{kind}.{name}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"{kind} component {name!r} needs the package {error.name!r}, which is not installed{_extra(error.name)}"
        ) from error
    return defined_in(module, KINDS[kind])


def defined_in(module: Any, bases: tuple[type[Component], ...]) -> type[Component]:
    """The one public subclass of any of ``bases`` that ``module`` itself defines."""
    own = [
        value
        for key, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, bases)
        and value.__module__ == module.__name__
        and not key.startswith("_")
    ]
    if len(own) != 1:
        raise TypeError(f"{module.__name__} must define exactly one {_called(bases)}, not {len(own)}")
    return own[0]


def _called(bases: tuple[type[Component], ...]) -> str:
    return " or ".join(base.__name__ for base in bases)


def entry(kind: str, name: str) -> Entry:
    """Summary and reference from the docstring, and whether the imports are installed; the module is not run."""
    path = _folder(kind) / f"{name}.py"
    if not path.is_file():
        return Entry(name, "from an outside package", "", True)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    docs = [ast.get_docstring(node) or "" for node in classes] + [ast.get_docstring(tree) or ""]
    doc = next((text for text in docs if text), "")
    found = re.search(r"^Source:\s*(.+?)(?:\n\s*\n|\Z)", doc, re.M | re.S)
    reference = " ".join(found.group(1).split()) if found else ""
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    available = all(importlib.util.find_spec(package) is not None for package in imported if package)
    return Entry(name, doc.split("\n\n")[0].replace("\n", " ").strip(), reference, available)


def _folder(kind: str) -> Path:
    return Path(__file__).parent / kind


def _extra(package: str | None) -> str:
    """What to install for ``package`` (``xgboost-cpu`` gives ``xgboost``), if an extra of ours names it."""
    try:
        needs = metadata.requires("shortlist") or []
    except metadata.PackageNotFoundError:  # run from its source, not installed
        return ""
    for need in needs:
        found = re.match(r"([\w.-]+).*\bextra\s*==\s*['\"]([\w.-]+)", need)
        if package and found and found[1].removesuffix("-cpu") == package.partition(".")[0]:
            return f": pip install 'shortlist[{found[2]}]'"
    return ""


def _outside(kind: str, name: str) -> Any:
    """What ``package.module:Class`` names."""
    path, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(path)
    except (ImportError, ValueError, TypeError) as error:
        raise InputError(f"{kind} component {name!r}: {error}") from error
    if not hasattr(module, attribute):
        raise InputError(f"{kind} component {name!r}: the module {path} has no {attribute!r}")
    return getattr(module, attribute)


def _checked(kind: str, found: Any) -> type[Component]:
    if not (inspect.isclass(found) and issubclass(found, KINDS[kind])):
        raise InputError(f"{found!r} is not a {_called(KINDS[kind])}")
    return found
