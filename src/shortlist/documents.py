"""Figures as JSON that any reader takes: NaN and infinities are null, files are replaced in one step."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import polars as pl


def jsonable(value: Any) -> Any:
    """The same document in plain Python, numbers rounded to six decimals, every NaN and infinity None."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(part) for part in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def dumps(document: Any) -> str:
    """JSON text of a document, with nothing in it that JSON does not know."""
    return json.dumps(jsonable(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def refuse_unwritable(*files: Path | None) -> None:
    """Before the work: raises ``OSError`` naming the path if a file to write is a folder, or stands in none."""
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"no such folder to write {file.name} into", str(file.parent))
        if file is not None and file.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder; name the file to write", str(file))


def write_text(path: Path, text: str) -> None:
    """Replaces a file in one step: a reader sees the old text or the new one. Raises ``OSError`` naming ``path``."""
    _replace(path, lambda file: file.write(text.encode()))


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces a file in one step. Raises ``OSError`` naming ``path``."""
    _replace(path, lambda file: file.write(data))


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """Replaces a Parquet file in one step. Raises ``OSError`` naming ``path``."""
    _replace(path, frame.write_parquet)


def _replace(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    scratch = path.with_name(f".{path.name}")
    try:
        with scratch.open("wb") as file:
            write(file)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
    os.replace(scratch, path)
