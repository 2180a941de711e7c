"""Everything one deployment needs, in one directory, under one content hash.

    manifest.json            name, format, content hash, recipe, versions, fitted_until, watermark, digests of all files
    components/STAGE.NAME/   a component's arrays (``.npy``) and native model files
    catalogue/               item ids and attributes
    users/                   user ids, attributes, the event snapshot: beside the hash, so that a person can be deleted

Nothing here is code: opening a bundle builds components from the recipe and hands them arrays.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist.component import Component, InputError
from shortlist.data import Behaviours, Dataset, Events, Table, Vocab
from shortlist.pipeline import Pipeline
from shortlist.recipe import Recipe, parse
from shortlist.types import Array

FORMAT = 1
_EVENT_COLUMNS = ("user", "item", "event", "value", "time", "weight")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A fitted funnel with its catalogue and the snapshot of events that live ones are added to."""

    pipeline: Pipeline
    recipe: Recipe
    data: Dataset
    manifest: Mapping[str, Any]
    path: Path

    @property
    def hash(self) -> str:
        """Content hash: what was fitted, from which recipe, on which data."""
        return str(self.manifest["hash"])


def stages(pipeline: Pipeline) -> Iterator[tuple[str, Component]]:
    """Every component of a pipeline under the name of its folder in the bundle."""
    yield from ((f"recall.{name}", part) for name, part in pipeline.recall.items())
    yield "merge", pipeline.merge
    if pipeline.fallback is not None:
        yield "fallback", pipeline.fallback
    if pipeline.prerank is not None:
        yield "prerank", pipeline.prerank
    yield from ((f"features.{number}", part) for number, part in enumerate(pipeline.features))
    if pipeline.ranker is not None:
        yield "rank", pipeline.ranker
    yield from ((f"rules.{name}", part) for name, part in pipeline.rules.items())


def save(
    path: Path, pipeline: Pipeline, recipe: Recipe, data: Dataset, ranker: str | None, notes: Mapping[str, Any]
) -> Path:
    """Writes a bundle beside ``path`` under its hash and points the link ``path`` at it by one rename.

    ``ranker`` names the recipe's ranker that the pipeline has; ``notes`` go into the manifest (timings, versions,
    fingerprint, ...). Returns the versioned directory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".bundle-", dir=path.parent))
    try:
        for stage, part in stages(pipeline):
            _write(scratch / "components" / stage, part.state(), part.files())
        _write_catalogue(scratch / "catalogue", data)
        _write_users(scratch / "users", data)
        digests = _digests(scratch)
        content = {name: digest for name, digest in digests.items() if not name.startswith("users/")}
        watermark = int(data.events.time[-1]) if len(data.events) else 0
        manifest = {
            "format": FORMAT,
            "name": recipe.name,
            "hash": _hash(content, recipe.model_dump(mode="json")),
            "recipe": recipe.model_dump(mode="json"),
            "ranker": ranker,
            "behaviours": {
                "names": data.behaviours.names,
                "strengths": data.behaviours.strengths.tolist(),
                "minimum": [None if np.isinf(m) and m < 0 else float(m) for m in data.behaviours.minimum],
            },
            "fitted_until": pipeline.fitted_until,
            "watermark": watermark,
            **notes,
            "files": content,
            "user_files": {name: digest for name, digest in digests.items() if name.startswith("users/")},
        }
        (scratch / "manifest.json").write_text(json.dumps(manifest, indent=1, default=str), encoding="utf-8")
        versions = path.parent / f"{path.name}s"
        versions.mkdir(exist_ok=True)
        target = versions / f"{manifest['hash'][:12]}"
        if target.exists():
            shutil.rmtree(target)
        os.replace(scratch, target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    point(path, target)
    return target


def point(link: Path, target: Path) -> None:
    """Makes ``link`` lead to ``target`` in one step: a reader sees the old bundle or the new one."""
    if link.is_dir() and not link.is_symlink():
        raise InputError(f"{link}: is a directory of its own, expected a link to a bundle or nothing")
    fresh = link.with_name(f".{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    os.replace(fresh, link)


def forget(path: Path, user: str) -> int | None:
    """Takes a person out of a bundle's ``users/``: id, attributes and events. Returns how many events; None if unknown.

    The code stays taken, so that no array learned by user shifts; what models learned stays until they are fitted anew.
    Files are replaced one by one, the manifest's digests last.
    """
    manifest = read_manifest(path)
    ids = pl.read_parquet(path / "users/ids.parquet")
    mine = (ids["user"] == user).arg_true()
    if not len(mine):
        return None
    events = pl.read_parquet(path / "users/events.parquet")
    kept = events.filter(pl.col("user") != mine[0])
    fresh = {
        "users/ids.parquet": ids.with_columns(pl.col("user").replace(user, "")),
        "users/users.parquet": pl.read_parquet(path / "users/users.parquet").filter(pl.col("user") != user),
        "users/events.parquet": kept,
    }
    scratch = Path(tempfile.mkdtemp(prefix=".forget-", dir=path))
    try:
        (scratch / "users").mkdir()
        for name, frame in fresh.items():
            frame.write_parquet(scratch / name)
        manifest["user_files"].update(_digests(scratch))
        (scratch / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for name in (*fresh, "manifest.json"):
            os.replace(scratch / name, path / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return len(events) - len(kept)


def open_bundle(path: Path) -> Bundle:
    """Opens and verifies a bundle; raises ``InputError`` naming the file that is missing, altered or too new."""
    path = path.resolve()
    manifest = read_manifest(path)
    for name, digest in {**manifest["files"], **manifest["user_files"]}.items():
        file = path / name
        if not file.is_file():
            raise InputError(f"{file}: missing from the bundle")
        if file.stat().st_size != digest["bytes"]:
            raise InputError(f"{file}: {file.stat().st_size} bytes, the manifest says {digest['bytes']}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest["sha256"]:
            raise InputError(f"{file}: its content is not what the manifest's digest says")
    if _hash(manifest["files"], manifest["recipe"]) != manifest["hash"]:
        raise InputError(f"{path / 'manifest.json'}: recipe or digests are not those the content hash was made of")
    try:
        recipe = parse(manifest["recipe"])
    except InputError as error:
        raise InputError(f"{path / 'manifest.json'}: recipe: {error}") from error
    pipeline = recipe.pipeline()
    if manifest["ranker"]:
        pipeline.ranker = recipe.ranker(manifest["ranker"])
    restored = {stage: _restore(path / "components" / stage, part) for stage, part in stages(pipeline)}
    pipeline.recall = {name: restored[f"recall.{name}"] for name in pipeline.recall}
    pipeline.merge = restored["merge"]
    pipeline.fallback = restored.get("fallback")
    pipeline.prerank = restored.get("prerank")
    pipeline.features = [restored[f"features.{number}"] for number in range(len(pipeline.features))]
    pipeline.ranker = restored.get("rank")
    pipeline.rules = {name: restored[f"rules.{name}"] for name in pipeline.rules}
    pipeline.fitted_until = manifest["fitted_until"]
    return Bundle(pipeline, recipe, _read_data(path, manifest), manifest, path)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest alone; raises ``InputError`` if it is absent, unreadable or of a newer format."""
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{file}: not found; {path} is not a bundle") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: truncated or not JSON: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise InputError(f"{file}: has no format number")
    if manifest["format"] > FORMAT:
        raise InputError(f"{file}: format {manifest['format']} is newer than {FORMAT}, the newest this version reads")
    missing = {"hash", "recipe", "files", "user_files", "fitted_until", "behaviours", "ranker"} - manifest.keys()
    if missing:
        raise InputError(f"{file}: lacks {', '.join(sorted(missing))}")
    return manifest


def _hash(content: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """The content hash: what was fitted, and from which recipe."""
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()  # as Recipe.digest
    return hashlib.sha256(json.dumps([content, digest], sort_keys=True).encode()).hexdigest()


def _write(folder: Path, arrays: Mapping[str, Array], files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array), allow_pickle=False)
        (folder / f"{name}.npy").write_bytes(buffer.getvalue())
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _restore(folder: Path, part: Component) -> Any:
    arrays: dict[str, Array] = {}
    files: dict[str, bytes] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix == ".npy":
            arrays[file.stem] = np.load(file, allow_pickle=False)
        else:
            files[file.name] = file.read_bytes()
    return type(part).restore(part.config(), arrays, files)


def _write_catalogue(folder: Path, data: Dataset) -> None:
    folder.mkdir()
    available = pl.Series("available_from", data.available_from)
    pl.DataFrame({"item": pl.Series(data.item_ids.ids, dtype=pl.String), "available_from": available}).write_parquet(
        folder / "ids.parquet"
    )
    data.items.frame("item", data.item_ids.ids).write_parquet(folder / "items.parquet")
    (folder / "kinds.json").write_text(json.dumps(dict(data.items.kinds)), encoding="utf-8")


def _write_users(folder: Path, data: Dataset) -> None:
    folder.mkdir()
    pl.DataFrame({"user": pl.Series(data.user_ids.ids, dtype=pl.String)}).write_parquet(folder / "ids.parquet")
    data.users.frame("user", data.user_ids.ids).write_parquet(folder / "users.parquet")
    (folder / "kinds.json").write_text(json.dumps(dict(data.users.kinds)), encoding="utf-8")
    events = pl.DataFrame({name: getattr(data.events, name) for name in _EVENT_COLUMNS})
    events.write_parquet(folder / "events.parquet")


def _read_data(path: Path, manifest: Mapping[str, Any]) -> Dataset:
    stated = manifest["behaviours"]
    minimum = np.array([-np.inf if m is None else m for m in stated["minimum"]], np.float32)
    behaviours = Behaviours(tuple(stated["names"]), np.array(stated["strengths"], np.float32), minimum)
    ids = pl.read_parquet(path / "catalogue/ids.parquet")
    items, users = Vocab(ids["item"].to_list()), Vocab(pl.read_parquet(path / "users/ids.parquet")["user"].to_list())

    def table(folder: str, key: str, vocab: Vocab) -> Table:
        kinds = json.loads((path / folder / "kinds.json").read_text(encoding="utf-8"))
        return Table.of(pl.read_parquet(path / folder / f"{key}s.parquet"), key, kinds, vocab)

    events = pl.read_parquet(path / "users/events.parquet")
    columns: dict[str, Any] = {name: events[name].to_numpy() for name in _EVENT_COLUMNS}
    return Dataset(
        Events(**columns),
        behaviours,
        users,
        items,
        table("users", "user", users),
        table("catalogue", "item", items),
        ids["available_from"].to_numpy(),
    )


def _digests(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        file.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
