"""Everything one deployment needs, in one directory, under one content hash.

    manifest.json            name, format, content hash, recipe, versions, fitted_until, watermark, digests of all files
    components/STAGE.NAME/   a component's arrays (``.npy``) and native model files
    catalogue/               item ids and attributes
    users/                   user ids, attributes, the snapshots of events and exposures: beside the hash, so that a
                             person can be deleted; the manifest names this folder, so that replacing the manifest
                             replaces all of it

Nothing here is code: opening a bundle builds components from the recipe and hands them arrays.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from shortlist.bundle.lengths import lengths
from shortlist.bundle.lock import locked
from shortlist.bundle.manifest import (
    FORMAT,
    behaviours_of,
    code_from,
    content_hash,
    dated_file,
    digests,
    file_name,
    read_manifest,
    told,
    verify,
    write_manifest,
)
from shortlist.component import Component, HardRule, InputError
from shortlist.data import Dataset, Dated, Events, Exposures, Table, Vocab, described
from shortlist.pipeline import Averaged, Pipeline
from shortlist.recipe import Recipe, parse
from shortlist.types import Array

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
    if isinstance(pipeline.ranker, Averaged):
        yield from ((f"rank.{name}", part) for name, part in pipeline.ranker.rankers.items())
    elif pipeline.ranker is not None:
        yield "rank", pipeline.ranker
    yield from ((f"rules.{name}", part) for name, part in pipeline.rules.items())


def _half(stage: str, part: Component) -> str:
    """Which half of the funnel a stage belongs to."""
    recall = stage in ("merge", "fallback") or stage.startswith("recall.") or isinstance(part, HardRule)
    return "recall" if recall else "rank"


def save(
    path: Path, pipeline: Pipeline, recipe: Recipe, data: Dataset, ranker: str | None, notes: Mapping[str, Any]
) -> Path:
    """Writes a bundle beside ``path`` under its hash and points the link ``path`` at it by one rename.

    ``ranker`` names the recipe's ranker that the pipeline has, or those of which it is the average (``a+b``);
    ``notes`` go into the manifest (timings, versions, fingerprint, ...). Returns the versioned directory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.parent / f".bundle-{secrets.token_hex(4)}"
    aside = scratch.with_name(f"{scratch.name}-old")
    scratch.mkdir()
    try:
        for stage, part in stages(pipeline):
            _write(scratch / "components", stage, part.state(), part.files())
        _write_catalogue(scratch / "catalogue", data)
        _write_users(scratch / "users", data)
        found = digests(scratch)
        manifest = {
            "format": FORMAT,
            "name": recipe.name,
            "hash": "",
            "recipe": recipe.model_dump(mode="json"),
            "ranker": ranker,
            "behaviours": told(data.behaviours),
            "fitted_until": pipeline.fitted_until,
            "clock": data.clock,
            "watermark": int(data.events.time[-1]) if len(data.events) else 0,
            **notes,
            "users": "users",
            "files": {name: digest for name, digest in found.items() if not name.startswith("users/")},
            "user_files": {name: digest for name, digest in found.items() if name.startswith("users/")},
        }
        manifest["hash"] = content_hash(manifest)
        write_manifest(scratch / "manifest.json", manifest)
        versions = path.parent / f"{path.name}s"
        versions.mkdir(exist_ok=True)
        target = versions / f"{manifest['hash'][:12]}"
        with locked(versions), locked(target) if target.exists() else nullcontext():
            if target.exists():  # nobody reads it now, and nobody is taken out of it
                os.replace(target, aside)
            try:
                os.replace(scratch, target)
            except OSError:
                if aside.exists():
                    os.replace(aside, target)
                raise
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    with locked(versions):
        point(path, target)
    return target


def point(link: Path, target: Path) -> None:
    """Makes ``link`` lead to ``target`` in one step: a reader sees the old bundle or the new one."""
    with pointing(link, target):
        pass


@contextmanager
def pointing(link: Path, target: Path) -> Iterator[None]:
    """As ``point``, once the block has ended well; that it can be done is known before the block begins.

    Several at once would take each other's: hold ``locked(target.parent)``.
    """
    if link.is_dir() and not link.is_symlink():
        raise InputError(f"{link}: is a directory of its own, expected a link to a bundle or nothing")
    fresh = link.with_name(f".{link.name}-next")
    fresh.unlink(missing_ok=True)  # of a process that was killed at it
    fresh.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    try:
        yield
        os.replace(fresh, link)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def open_bundle(path: Path, *, trust: bool = False, half: Literal["recall", "rank"] | None = None) -> Bundle:
    """Opens and verifies a bundle; raises ``InputError`` naming the file that is missing, altered or too new.

    A recipe may name a component as ``package.module:Class``, and building it imports that module. In a bundle from
    elsewhere that is somebody else's choice of code, so it is refused unless ``trust`` is given. With ``half``, only
    what ``Pipeline.recalled`` or ``Pipeline.ranked`` needs is read: the other half's components stay unfitted.
    """
    path = path.resolve()
    with locked(path, shared=True) if path.is_dir() else nullcontext():  # nobody is taken out of it meanwhile
        return _opened(path, trust, half)


def _opened(path: Path, trust: bool, half: Literal["recall", "rank"] | None) -> Bundle:
    manifest = read_manifest(path)
    verify(path, manifest)
    code = next(code_from(manifest["recipe"]), None)
    if code and not trust:
        raise InputError(
            f"{path / 'manifest.json'}: {code} imports code from outside; expected an entry point instead, or trust: "
            "shortlist.open(PATH, trust=True)"
        )
    try:
        recipe = parse(manifest["recipe"])
    except InputError as error:
        raise InputError(f"{path / 'manifest.json'}: recipe: {error}") from error
    pipeline = recipe.pipeline()
    if manifest["ranker"]:
        pipeline.ranker = recipe.ranker(manifest["ranker"])
    else:
        pipeline.prerank = None  # learned with a ranker or not at all
    data = _read_data(path, manifest)
    restored: dict[str, Any] = {
        stage: _restore(path, f"components/{stage}/", part, manifest["files"], data)
        if half in (None, _half(stage, part)) or stage == "fallback"  # both halves ask it
        else part
        for stage, part in stages(pipeline)
    }
    pipeline.recall = {name: restored[f"recall.{name}"] for name in pipeline.recall}
    pipeline.merge = restored["merge"]
    pipeline.fallback = restored.get("fallback")
    pipeline.prerank = restored.get("prerank")
    pipeline.features = [restored[f"features.{number}"] for number in range(len(pipeline.features))]
    if isinstance(pipeline.ranker, Averaged):
        pipeline.ranker = Averaged(rankers={name: restored[f"rank.{name}"] for name in pipeline.ranker.rankers})
    else:
        pipeline.ranker = restored.get("rank")
    pipeline.rules = {name: restored[f"rules.{name}"] for name in pipeline.rules}
    pipeline.fitted_until = manifest["fitted_until"]
    return Bundle(pipeline, recipe, data, manifest, path)


def _write(folder: Path, stage: str, arrays: Mapping[str, Array], files: Mapping[str, bytes]) -> None:
    folder /= file_name(stage)
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array), allow_pickle=False)
        (folder / file_name(f"{name}.npy")).write_bytes(buffer.getvalue())
    for name, content in files.items():
        (folder / file_name(name)).write_bytes(content)


def _restore(path: Path, folder: str, part: Component, known: Iterable[str], data: Dataset) -> Any:
    """The component of one folder, from the files the manifest knows; what it learned must fit itself and ``data``."""
    arrays: dict[str, Array] = {}
    files: dict[str, bytes] = {}
    for file in (path / name for name in known if name.startswith(folder)):
        if file.suffix == ".npy":
            arrays[file.stem] = np.load(file, allow_pickle=False)
        else:
            files[file.name] = file.read_bytes()
    try:
        restored = type(part).restore(part.config(), arrays, files)
        found = lengths(restored)
    except Exception as error:  # whatever arrays that do not belong together make of it
        raise InputError(f"{path / folder.rstrip('/')}: cannot be restored: {error}") from error
    for letter, (what, n) in {"n": ("items", data.n_items), "u": ("users", data.n_users)}.items():
        if found.get(letter, n) != n:
            raise InputError(f"{path / folder.rstrip('/')}: knows {found[letter]} {what}, the bundle has {n}")
    return restored


def _write_catalogue(folder: Path, data: Dataset) -> None:
    folder.mkdir()
    available = pl.Series("available_from", data.available_from)
    pl.DataFrame({"item": pl.Series(data.item_ids.ids, dtype=pl.String), "available_from": available}).write_parquet(
        folder / "ids.parquet"
    )
    data.items.frame("item", data.item_ids.ids).write_parquet(folder / "items.parquet")
    _write_dated(folder, data.items)
    _write_kinds(folder, data.items)


def _write_users(folder: Path, data: Dataset) -> None:
    folder.mkdir()
    pl.DataFrame({"user": pl.Series(data.user_ids.ids, dtype=pl.String)}).write_parquet(folder / "ids.parquet")
    data.users.frame("user", data.user_ids.ids).write_parquet(folder / "users.parquet")
    _write_dated(folder, data.users)
    _write_kinds(folder, data.users)
    events = pl.DataFrame({name: getattr(data.events, name) for name in _EVENT_COLUMNS})
    events.write_parquet(folder / "events.parquet")
    shown = Exposures.none() if data.exposures is None else Exposures.read(data.exposures)
    shown.frame().write_parquet(folder / "exposures.parquet")


def _write_dated(folder: Path, table: Table) -> None:
    """What the log told: of each column the codes, the moments and the values."""
    for number, (name, dated) in enumerate(table.dated.items()):
        described.rows_of(name, dated).write_parquet(folder / dated_file(number))


def _write_kinds(folder: Path, table: Table) -> None:
    """Kinds and levels: told from the rows alone, a level's code would shift once its last holder is deleted."""
    columns = {**table.codes, **{k: v for dated in table.dated.values() for k, v in dated.values.codes.items()}}
    said = {"kinds": dict(table.kinds), "levels": {name: column.levels for name, column in columns.items()}}
    if table.dated:
        said["dated"] = {name: dated.values.kinds[name] for name, dated in table.dated.items()}
    (folder / "kinds.json").write_text(json.dumps(said), encoding="utf-8")


def _check_codes(file: Path, frame: pl.DataFrame, column: str, lowest: int, bound: int) -> None:
    """Raises ``InputError`` if a code names nobody: whatever looks it up would read past the end."""
    codes = frame[column].to_numpy()
    if len(codes) and not lowest <= codes.min() <= codes.max() < bound:
        found = f"{codes.min()} to {codes.max()}"
        raise InputError(f"{file}: column {column!r}: expected codes from {lowest} to {bound - 1}, found {found}")


def _read_data(path: Path, manifest: Mapping[str, Any]) -> Dataset:
    ids = pl.read_parquet(path / "catalogue/ids.parquet")
    people = path / manifest["users"]
    items = Vocab(ids["item"].to_list())
    users = Vocab(pl.read_parquet(people / "ids.parquet")["user"].to_list())

    def table(folder: Path, key: str, vocab: Vocab) -> Table:
        said = json.loads((folder / "kinds.json").read_text(encoding="utf-8"))
        plain = Table.of(pl.read_parquet(folder / f"{key}s.parquet"), key, said["kinds"], vocab, said["levels"])
        dated: dict[str, Dated] = {}
        for number, (name, kind) in enumerate(said.get("dated", {}).items()):
            file = folder / dated_file(number)
            rows = pl.read_parquet(file)
            _check_codes(file, rows, "code", 0, len(vocab))
            dated[name] = described.of_rows(rows, name, kind, len(vocab), said["levels"].get(name))
        return plain.described(dated)

    shown = pl.read_parquet(people / "exposures.parquet")
    events = pl.read_parquet(people / "events.parquet")
    for file, frame in (("events", events), ("exposures", shown)):
        _check_codes(people / f"{file}.parquet", frame, "user", -1, len(users))  # -1: nobody known
        _check_codes(people / f"{file}.parquet", frame, "item", 0, len(items))
    _check_codes(people / "events.parquet", events, "event", 0, len(manifest["behaviours"]["names"]))
    columns: dict[str, Any] = {name: events[name].to_numpy() for name in _EVENT_COLUMNS}
    return Dataset(
        Events(**columns),
        behaviours_of(manifest["behaviours"]),
        users,
        items,
        table(people, "user", users),
        table(path / "catalogue", "item", items),
        ids["available_from"].to_numpy(),
        exposures=shown if len(shown) else None,
        clock=manifest.get("clock", "time"),
    )


__all__ = ["FORMAT", "Bundle", "open_bundle", "point", "pointing", "read_manifest", "save", "stages"]
