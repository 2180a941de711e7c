"""A bundle's ``manifest.json``: what it must hold, how it is read, and the content hash over it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shortlist.component import InputError, explain
from shortlist.data import Behaviours
from shortlist.data.order import Clock

FORMAT = 3
"""2: ``users/`` holds what was shown. 3: what a recipe leaves to ``din`` is ``weights`` by share: a bundle holds the
recipe as it was written, so an older one would be scored by another net."""
HASHED = ("format", "recipe", "ranker", "behaviours", "fitted_until", "watermark", "files")
"""What makes a bundle the one it is; people's data (``users``, ``user_files``) and notes lie outside."""
_PLAIN = r"[^/\\\x00.][^/\\\x00]*"


def file_name(name: str) -> str:
    """``name``, if it cannot lead out of the folder it is meant for; raises ``InputError`` if it could."""
    if not re.fullmatch(_PLAIN, name):
        raise InputError(f"{name!r}: expected a plain file name, without separators and not beginning with a dot")
    return name


def dated_file(number: int) -> str:
    """Where what the log told of a column of items or users is; names of columns are no names of files."""
    return f"told-{number}.parquet"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Digest(_Strict):
    sha256: str
    bytes: Annotated[int, Field(ge=0)]


_Files = dict[Annotated[str, Field(pattern=f"^{_PLAIN}(/{_PLAIN})*$")], _Digest]


class _Behaviours(_Strict):
    names: list[str]
    strengths: list[float]
    minimum: list[float | Literal["never"] | None]  # null = always


class _Manifest(_Strict):
    format: int
    name: str
    hash: str
    recipe: dict[str, Any]
    ranker: str | None
    behaviours: _Behaviours
    fitted_until: int | None
    watermark: int
    clock: Clock = "time"
    users: Annotated[str, Field(pattern=r"^users(-[0-9a-f]+)?$")]
    files: _Files
    user_files: _Files


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the bundle at ``path``; raises ``InputError`` if it is absent, malformed or of another format."""
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        inside = path / "bundle"
        hint = f"its bundle is {inside}" if (inside / "manifest.json").is_file() else f"{path} is not a bundle"
        raise InputError(f"{file}: not found; {hint}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: truncated or not JSON: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise InputError(f"{file}: has no format number")
    if manifest["format"] > FORMAT:
        raise InputError(f"{file}: format {manifest['format']} is newer than {FORMAT}, the newest this version reads")
    if manifest["format"] < FORMAT:
        raise InputError(
            f"{file}: format {manifest['format']} is older than {FORMAT}, which this version reads: fit again"
        )
    missing = {name for name, key in _Manifest.model_fields.items() if key.is_required()} - manifest.keys()
    if missing:
        raise InputError(f"{file}: lacks {', '.join(sorted(missing))}")
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        raise InputError(f"{file}: {explain(error, '', _Manifest)}") from error
    return manifest


def write_manifest(file: Path, manifest: Mapping[str, Any]) -> None:
    """Writes it as JSON that every reader of JSON takes; raises ``InputError`` if a number in it is not finite."""
    try:
        text = json.dumps(manifest, indent=1, default=str, allow_nan=False)
    except ValueError as error:
        raise InputError(f"{file.name}: expected finite numbers in recipe and notes: {error}") from error
    file.write_text(text, encoding="utf-8")


def content_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of what was fitted, from which recipe, on which data."""
    content = {name: manifest[name] for name in HASHED}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and size of every file below ``folder``, by path relative to it."""
    return {
        file.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def verify(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raises ``InputError`` naming the file that is missing, altered or in no list, or what was edited."""
    known = {**manifest["files"], **manifest["user_files"]}
    for name, digest in known.items():
        file = path / name
        if not file.is_file():
            raise InputError(f"{file}: missing from the bundle")
        if file.stat().st_size != digest["bytes"]:
            raise InputError(f"{file}: {file.stat().st_size} bytes, the manifest says {digest['bytes']}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest["sha256"]:
            raise InputError(f"{file}: its content is not what the manifest's digest says")
    for folder in ("components", "catalogue", manifest["users"]):
        for file in sorted((path / folder).rglob("*")):
            if not file.is_dir() and file.relative_to(path).as_posix() not in known:
                raise InputError(f"{file}: is not in the manifest")
    if content_hash(manifest) != manifest["hash"]:
        raise InputError(
            f"{path / 'manifest.json'}: {', '.join(HASHED)} are not those the content hash was made of; was it edited?"
        )


def code_from(recipe: Any, path: str = "recipe") -> Iterator[str]:
    """``path = value`` of every ``type`` in a recipe that would import any module: ``package.module:Class``."""
    for key, value in recipe.items() if isinstance(recipe, Mapping) else enumerate(recipe):
        if key == "type" and isinstance(value, str) and ":" in value:
            yield f"{path}.type = {value!r}"
        elif isinstance(value, Mapping | list) and (path, key) != ("recipe", "data"):
            yield from code_from(value, f"{path}.{key}")


def told(behaviours: Behaviours) -> dict[str, Any]:
    """Behaviours as JSON; a minimum of null is always positive, "never" never."""
    minimum = [None if np.isneginf(m) else "never" if np.isposinf(m) else float(m) for m in behaviours.minimum]
    return {"names": list(behaviours.names), "strengths": behaviours.strengths.tolist(), "minimum": minimum}


def behaviours_of(stated: Mapping[str, Any]) -> Behaviours:
    """The inverse of ``told``."""
    bounds: dict[Any, float] = {None: -np.inf, "never": np.inf}
    minimum = np.array([bounds.get(m, m) for m in stated["minimum"]], np.float32)
    return Behaviours(tuple(stated["names"]), np.array(stated["strengths"], np.float32), minimum)


__all__ = [
    "FORMAT",
    "behaviours_of",
    "code_from",
    "content_hash",
    "digests",
    "file_name",
    "read_manifest",
    "told",
    "verify",
    "write_manifest",
]
