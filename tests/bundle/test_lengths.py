"""Arrays of a wrong length are refused when a bundle is opened, whatever its digests say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shortlist import bundle as bundles
from shortlist.bundle import manifest as manifests
from shortlist.bundle import open_bundle
from shortlist.bundle.lengths import lengths
from shortlist.component import InputError
from shortlist.recipe import parse
from shortlist.registry import names
from shortlist.testing import contract, worlds


def signed(version: Path) -> None:
    """Brings digests and hash up to date: the bundle is whole, only what it holds is wrong."""
    file = version / "manifest.json"
    manifest, found = json.loads(file.read_text()), manifests.digests(version)
    for key in ("files", "user_files"):
        manifest[key] = {name: found[name] for name in manifest[key]}
    file.write_text(json.dumps({**manifest, "hash": manifests.content_hash(manifest)}))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with every channel there is."""
    return bundle_of(names("recall"), tmp_path_factory.mktemp("all") / "bundle")


def bundle_of(channels: Iterable[str], folder: Path) -> Path:
    """A bundle of fitted channels and a hard rule."""
    recall = {name: {"type": name} for name in channels}
    settings = {"name": "all", "data": {"source": "none"}, "recall": recall, "rules": [{"type": "seen"}]}
    data, recipe = worlds.checkerboard(n_users=12, n_items=20, unseen=3), parse(settings)
    pipeline = recipe.pipeline()
    pipeline.fit_recall(data)
    return bundles.save(folder, pipeline, recipe, data, None, {})


def shortened(version: Path) -> Iterator[Path]:
    """The version with one array cut by one along one axis, each in turn; as it was in the end."""
    manifest = (version / "manifest.json").read_text()
    for file in sorted((version / "components").rglob("*.npy")):
        content, array = file.read_bytes(), np.load(file)
        for axis in (axis for axis, length in enumerate(array.shape) if length > 1):
            np.save(file, np.take(array, range(array.shape[axis] - 1), axis=axis))
            signed(version)
            yield file
            file.write_bytes(content)
            (version / "manifest.json").write_text(manifest)


def test_every_array_of_every_channel_must_fit_the_others(tmp_path: Path) -> None:
    """Each in a bundle of its own: one of all takes ten times as long to open."""
    cut = []
    for name in names("recall"):
        version = bundle_of([name], tmp_path / name)
        for file in shortened(version):
            with pytest.raises(InputError, match=f"{file.parent.name}: "):
                open_bundle(version)
            cut.append(file)
        open_bundle(version)
    assert len(cut) > 60


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("recall.ease/items_", 20, "items_: expected codes below 20, or -1; found"),
        ("recall.ease/column_", 99, "column_: expected codes below 20, or -1; found"),
        ("recall.item_cf/table_.csr.indices", 20, "table_: "),
        ("recall.user_cf/users_of_.csr.indices", -1, "users_of_: "),
    ],
)
def test_codes_that_name_nothing_are_refused(board: Path, name: str, code: int, said: str) -> None:
    file, manifest = board / f"components/{name}.npy", (board / "manifest.json").read_text()
    content = file.read_bytes()
    try:
        array = np.load(file)
        array[0] = code
        np.save(file, array)
        signed(board)
        with pytest.raises(InputError) as refused:
            open_bundle(board)
        assert said in str(refused.value)
    finally:
        file.write_bytes(content)
        (board / "manifest.json").write_text(manifest)


@pytest.mark.parametrize(
    ("log", "column", "code"),
    [
        ("events", "user", 12),
        ("events", "user", -2),
        ("events", "item", 20),
        ("events", "event", 1),
        ("exposures", "item", 99),
    ],
)
def test_events_of_nobody_are_refused(board: Path, log: str, column: str, code: int) -> None:
    file, manifest = board / f"users/{log}.parquet", (board / "manifest.json").read_text()
    content = file.read_bytes()
    try:
        rows = pl.read_parquet(file)
        spoilt = pl.Series(column, [code, *rows[column][1:]], dtype=rows[column].dtype)
        rows.with_columns(spoilt).write_parquet(file)
        signed(board)
        with pytest.raises(
            InputError, match=rf"{log}.parquet: column '{column}': expected codes from (0|-1) to \d+, found"
        ):
            open_bundle(board)
    finally:
        file.write_bytes(content)
        (board / "manifest.json").write_text(manifest)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("recall", "merge", "features", "rank", "rules") for name in names(kind)],
)
def test_what_anything_learned_fits(kind: str, name: str) -> None:
    part = contract.subject(kind, name).fitted
    lengths(type(part).restore(part.config(), part.state(), part.files()))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("rank", "tree"), ("rank", "gbdt_lr"), ("rank", "logistic"), ("rank", "fm"), ("merge", "quota")]
    + [("features", name) for name in ("neighbours", "affinity", "profile", "segment")],
)
def test_what_other_stages_learned_must_fit_too(kind: str, name: str) -> None:
    part = contract.subject(kind, name).fitted
    state, files = part.state(), part.files()
    lengths(type(part).restore(part.config(), state, files))
    free = {"levels_", "curve_"}  # read by numpy, which says itself what does not fit
    cut = [
        (key, axis) for key, array in state.items() for axis, n in enumerate(array.shape) if n > 1 and key not in free
    ]
    assert cut
    for key, axis in cut:
        shorter = {**state, key: np.take(state[key], range(state[key].shape[axis] - 1), axis=axis)}
        with pytest.raises((InputError, ValueError)):  # scipy's own, which opening words with the folder's name
            lengths(type(part).restore(part.config(), shorter, files))
