"""People taken out of bundles: out of all versions or out of none, whenever this is interrupted.

Every version is held, new ``users/`` folders are written beside the old ones, and only when all of them stand may the
caller note the deletion and ``commit`` it, which replaces each manifest in one step. A folder that cannot be written is
found out before anything has changed. Whoever is killed between two commits leaves versions that all open.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from shortlist.bundle.lock import locked
from shortlist.bundle.manifest import dated_file, digests, read_manifest, write_manifest
from shortlist.component import InputError

_LOGS = ("events", "exposures")
_SCRATCH = ".manifest.json"


@dataclass
class Deletion:
    """What is about to go: nothing has until ``commit``."""

    gone: dict[Path, int | None] = field(default_factory=dict)
    """Events and exposures by version; None where the person is unknown."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Versions that cannot be read, and why: they are left as they are."""
    _fresh: dict[Path, tuple[Path, Path]] = field(default_factory=dict)  # by version, its old folder and the new one

    def commit(self) -> None:
        """Puts the new folders in the place of the old ones, version by version."""
        done = []
        for path in list(self._fresh):
            old, _ = self._fresh.pop(path)  # from here on the new folder may be the one in use: it is not dropped
            os.replace(path / _SCRATCH, path / "manifest.json")
            done.append(old)
        for old in done:
            shutil.rmtree(old)

    def _drop(self) -> None:
        for path, (_, fresh) in self._fresh.items():
            shutil.rmtree(fresh, ignore_errors=True)
            (path / _SCRATCH).unlink(missing_ok=True)


@contextmanager
def deletion(versions: Sequence[Path], users: Collection[str]) -> Iterator[Deletion]:
    """Prepares to take people out of every version's ``users/``: id, attributes, events and exposures.

    Their codes stay taken, so that no array learned by user shifts; what models learned stays until they are fitted
    anew. Without a ``commit`` in the block nothing changes. Raises ``OSError`` if a version cannot be written.
    """
    found = Deletion()
    with ExitStack() as held:
        for path in sorted({version.resolve() for version in versions}):  # in one order, so that two never wait
            try:  # for each other
                held.enter_context(locked(path))
            except (FileNotFoundError, NotADirectoryError):
                continue  # another process took the version away
        try:
            for path in versions:
                if path.is_dir():
                    _prepare(path, set(users) - {""}, found)
            yield found
        finally:
            found._drop()


def forget(path: Path, users: str | Collection[str]) -> int | None:
    """Takes a person, or several, out of one bundle, whoever else is at it.

    Returns how many events and exposures there were; None if nobody is known. Raises ``InputError`` if the bundle
    cannot be read, ``OSError`` if it cannot be written. Asking again removes what an interruption left.
    """
    with deletion([path], [users] if isinstance(users, str) else users) as found:
        if path not in found.gone:
            raise InputError(found.unreadable.get(path, f"{path}: not found"))
        found.commit()
    return found.gone[path]


def latest(path: Path) -> list[tuple[str, int]]:
    """Everybody in a bundle's ``users/``, with the time of their last event or exposure there (0 without any)."""
    with locked(path, shared=True):
        people = path / read_manifest(path)["users"]
        ids = pl.read_parquet(people / "ids.parquet").with_row_index("code").cast({"code": pl.Int32})
        times = [pl.read_parquet(people / f"{log}.parquet", columns=["user", "time"]) for log in _LOGS]
    last = pl.concat(times).group_by("user").agg(pl.col("time").max()).rename({"user": "code", "time": "last"})
    known = ids.filter(pl.col("user") != "").join(last, on="code", how="left").with_columns(pl.col("last").fill_null(0))
    return list(known.select("user", "last").iter_rows())


def _prepare(path: Path, users: Collection[str], found: Deletion) -> None:
    """Writes the folder of one version without ``users``, and the manifest that will name it, beside what is there."""
    try:
        manifest = read_manifest(path)
        old = path / manifest["users"]
        ids = pl.read_parquet(old / "ids.parquet")
        named = pl.Series(sorted(users), dtype=pl.String)
        codes = ids["user"].is_in(named.implode()).arg_true().cast(pl.Int32)
        if len(codes):
            people = pl.read_parquet(old / "users.parquet")
            logs = {log: pl.read_parquet(old / f"{log}.parquet") for log in _LOGS}
            said = json.loads((old / "kinds.json").read_text(encoding="utf-8"))
            dated = said.get("dated", {})
            told = {name: pl.read_parquet(old / dated_file(number)) for number, name in enumerate(dated)}
    except (InputError, OSError, pl.exceptions.PolarsError, ValueError) as error:
        found.unreadable[path] = str(error)
        return
    for left in path.glob("users*"):  # an interruption's
        if left != old:
            shutil.rmtree(left)
    found.gone[path] = None
    if not len(codes):
        return
    fresh = path / f"users-{secrets.token_hex(4)}"
    found._fresh[path] = old, fresh
    fresh.mkdir()
    gone = pl.col("user").is_in(named.implode())
    ids = ids.with_columns(user=pl.when(gone).then(pl.lit("")).otherwise("user"))
    ids.write_parquet(fresh / "ids.parquet")
    people = people.filter(~gone)
    people.write_parquet(fresh / "users.parquet")
    for number, name in enumerate(told):
        told[name] = told[name].filter(~pl.col("code").is_in(codes.implode()))
        told[name].write_parquet(fresh / dated_file(number))
    kept = {log: rows.filter(~pl.col("user").is_in(codes.implode())) for log, rows in logs.items()}
    for log, rows in kept.items():
        rows.write_parquet(fresh / f"{log}.parquet")
    found.gone[path] = sum(len(logs[log]) - len(kept[log]) for log in _LOGS)
    for name, levels in said["levels"].items():  # what nobody else has goes too; its code stays taken
        column, kind = (told[name]["value"], dated[name]) if name in told else (people[name], said["kinds"][name])
        holders = set(column.explode() if kind == "list" else column)
        said["levels"][name] = [level if level in holders else "" for level in levels]
    (fresh / "kinds.json").write_text(json.dumps(said), encoding="utf-8")
    manifest["users"] = fresh.name
    manifest["user_files"] = {f"{fresh.name}/{name}": digest for name, digest in digests(fresh).items()}
    write_manifest(path / _SCRATCH, manifest)


__all__ = ["Deletion", "deletion", "forget", "latest"]
