"""A bundle answers as the funnel it was saved from; one that is not whole is refused by the name of the file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from shortlist import answer
from shortlist import bundle as bundles
from shortlist.bundle import open_bundle, save
from shortlist.component import InputError


@pytest.fixture
def copy(shop_run, tmp_path):
    """A bundle that may be damaged."""
    return shutil.copytree((shop_run.out / "bundle").resolve(), tmp_path / "copy")


def test_opened_it_answers_as_saved(shop, shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    again = save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
    reopened = open_bundle(again)
    assert reopened.hash == opened.hash
    state = opened.data.state()
    requests = answer.ask(state, np.arange(-1, opened.data.n_users), max(state.last, opened.pipeline.fitted_until))
    first = answer.recommend(opened.pipeline, state, requests, 6).rows
    second = answer.recommend(reopened.pipeline, reopened.data.state(), requests, 6).rows
    assert np.array_equal(first.item, second.item)
    assert first.columns.keys() == second.columns.keys()
    for name in first.columns:
        assert np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f"), name


def damage_truncate(folder):
    file = folder / "catalogue/items.parquet"
    file.write_bytes(file.read_bytes()[:-7])
    return "catalogue/items.parquet", "bytes, the manifest says"


def damage_alter(folder):
    file = next((folder / "components/recall.cf").glob("*.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return str(file.relative_to(folder)), "content is not what the manifest's digest says"


def damage_remove(folder):
    (folder / "users/events.parquet").unlink()
    return "users/events.parquet", "missing from the bundle"


def damage_no_manifest(folder):
    (folder / "manifest.json").unlink()
    return "manifest.json", "not found; .* is not a bundle"


def damage_half_a_manifest(folder):
    file = folder / "manifest.json"
    file.write_text(file.read_text()[:300])
    return "manifest.json", "truncated or not JSON"


def edit(folder, **changes):
    file = folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def damage_newer(folder):
    edit(folder, format=bundles.FORMAT + 1)
    return "manifest.json", f"format {bundles.FORMAT + 1} is newer than {bundles.FORMAT}"


def damage_recipe(folder):
    recipe = json.loads((folder / "manifest.json").read_text())["recipe"]
    edit(folder, recipe=recipe | {"depth": 7})
    return "manifest.json", "not those the content hash was made of"


def damage_fields(folder):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["fitted_until"]
    file.write_text(json.dumps(manifest))
    return "manifest.json", "lacks fitted_until"


DAMAGES = [
    damage_truncate,
    damage_alter,
    damage_remove,
    damage_no_manifest,
    damage_half_a_manifest,
    damage_newer,
    damage_recipe,
    damage_fields,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_one_that_is_not_whole_is_refused_naming_the_file(copy, damage):
    open_bundle(copy)
    file, said = damage(copy)
    with pytest.raises(InputError, match=said) as refused:
        open_bundle(copy)
    assert str(copy / file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_publishing_again_swaps_the_link_and_keeps_the_old_version(shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    first = save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
    recipe = opened.recipe.model_copy(update={"depth": 9})
    second = save(tmp_path / "bundle", opened.pipeline, recipe, opened.data, opened.manifest["ranker"], {})
    assert first != second
    assert first.is_dir()
    assert (tmp_path / "bundle").resolve() == second.resolve()
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "bundles"}


def test_the_same_content_published_twice_is_one_version(shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    for _ in range(2):
        save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
    assert len(list((tmp_path / "bundles").iterdir())) == 1
    open_bundle(tmp_path / "bundle")


def test_a_failure_leaves_nothing_behind_and_the_old_bundle_in_place(shop_run, tmp_path, monkeypatch):
    opened = open_bundle(shop_run.out / "bundle")
    first = save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundles, "_write_users", full)
    recipe = opened.recipe.model_copy(update={"depth": 9})
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path / "bundle", opened.pipeline, recipe, opened.data, opened.manifest["ranker"], {})
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "bundles"}
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [first.name]
    assert (tmp_path / "bundle").resolve() == first.resolve()


def test_a_folder_in_the_place_of_the_link_is_not_replaced(shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    (tmp_path / "bundle").mkdir()
    with pytest.raises(InputError, match="is a directory of its own"):
        save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
