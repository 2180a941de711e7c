"""Training that goes on where it was cut short: where runs stand, as files of arrays in a folder."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shortlist.component import Component
from shortlist.documents import write_bytes
from shortlist.progress import emit
from shortlist.types import Array

SECONDS = 10
"""A run that goes on is written no more often than this."""
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Nets that are trained inside the block are kept in ``folder`` as they go, and go on from what is there."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def of(net: Any, plan: Component, batches: Any, *more: Any) -> Checkpoint | None:
    """The file of this very run: this net as it begins, these settings, this data; None outside ``kept_in``."""
    folder = _folder.get()
    if folder is None:
        return None
    digest = hashlib.sha256()
    digest.update(json.dumps([type(plan).__name__, plan.config(), more], default=str).encode())
    _feed(digest, {name: tensor.cpu().numpy() for name, tensor in net.state_dict().items()})
    _feed(digest, batches)
    return Checkpoint(folder / f"{digest.hexdigest()[:24]}.npz")


def _feed(digest: Any, value: Any) -> None:
    """Every array in a dataclass and what it holds; not what was only worked out of it."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif is_dataclass(value):
        for field in fields(value):
            if field.compare:
                _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, part in value.items():
            digest.update(str(name).encode())
            _feed(digest, part)
    elif isinstance(value, str | int | float | list | tuple):
        digest.update(repr(value).encode())


@dataclass
class Checkpoint:
    """The file of one run, replaced in one step."""

    path: Path
    written: float = 0.0

    def load(self) -> dict[str, Array] | None:
        """What was kept; None where there is nothing, or nothing that can be read, which is told."""
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as file:
                kept = dict(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            emit("warning", message=f"{self.path}: cannot be read ({error}); training begins anew")
            return None
        emit("resumed", path=str(self.path), check=int(kept["told"][0]))
        return kept

    def save(self, state: Callable[[], Mapping[str, Array]], *, last: bool) -> None:
        """Writes it, unless that was done a moment ago and more is to come."""
        if not last and time.monotonic() - self.written < SECONDS:
            return
        room = io.BytesIO()
        np.savez(room, allow_pickle=False, **state())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.path, room.getvalue())
        self.written = time.monotonic()
