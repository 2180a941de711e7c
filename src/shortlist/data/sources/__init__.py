"""Where data comes from: each file of this folder is a source that a recipe can name."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from shortlist.component import InputError
from shortlist.data.raw import PlainTable, Raw
from shortlist.data.spec import DataSpec

Load = Callable[[DataSpec, Path | None], Raw | PlainTable]


def source_names() -> list[str]:
    """The sources a recipe may name, as they are written there (``movielens-100k``)."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem.replace("_", "-") for file in files if not file.stem.startswith("_"))


def source(name: str) -> Load:
    """``load(spec, root)`` of the source called ``name``; raises ``InputError`` naming the nearest known one."""
    known = source_names()
    written = name.replace("_", "-")
    if written not in known:
        near = difflib.get_close_matches(written, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise InputError(f"data.source: no source {name!r}; {hint}")
    module = importlib.import_module(f"{__name__}.{written.replace('-', '_')}")
    return cast(Load, module.load)


def summary(name: str) -> str:
    """The first line of a source's docstring."""
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return (module.__doc__ or "").strip().split("\n", 1)[0]
