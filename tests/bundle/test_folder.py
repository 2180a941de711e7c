"""A bundle answers as the funnel it was saved from; one that is not whole is refused by the name of the file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shortlist import answer
from shortlist import bundle as bundles
from shortlist.bundle import folder as written
from shortlist.bundle import manifest as manifests
from shortlist.bundle import open_bundle, save
from shortlist.component import InputError
from shortlist.data import Behaviours, Dataset, Dense, Events, Table, Vocab
from shortlist.recipe import parse
from shortlist.rules.fill import Fill
from shortlist.rules.seen import Seen


@pytest.fixture
def copy(shop_run, tmp_path):
    """A bundle that may be damaged."""
    return shutil.copytree((shop_run.out / "bundle").resolve(), tmp_path / "copy")


def test_opened_it_answers_as_saved(shop, shop_run, tmp_path):
    """Its ranker is the average of two, each in a folder of its own."""
    opened = open_bundle(shop_run.out / "bundle")
    assert opened.manifest["ranker"] == "trees+line"
    assert {"rank.trees", "rank.line"} < {folder.name for folder in (opened.path / "components").iterdir()}
    again = save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
    reopened = open_bundle(again)
    assert reopened.hash == opened.hash
    state = opened.data.state()
    requests = answer.requests_of(
        state, np.arange(-1, opened.data.n_users), max(state.last, opened.pipeline.fitted_until)
    )
    first = answer.recommend(opened.pipeline, state, requests, 6).rows
    second = answer.recommend(reopened.pipeline, reopened.data.state(), requests, 6).rows
    assert np.array_equal(first.item, second.item)
    assert first.columns.keys() == second.columns.keys()
    for name in first.columns:
        assert np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f"), name


def test_a_half_has_what_its_stages_learned_and_nothing_else(shop_run, tmp_path):
    """Hard rules speak before retrieval: what one has learned is recall's, what another rule has is ranking's."""
    opened = open_bundle(shop_run.out / "bundle")
    rules = {"seen": Seen(), "fill": Fill()}
    for rule in rules.values():
        rule.learned_ = np.arange(3)
    recipe = parse({**opened.recipe.model_dump(mode="json"), "rules": [{"type": name} for name in rules]})
    pipeline = replace(opened.pipeline, rules=rules)
    path = save(tmp_path / "bundle", pipeline, recipe, opened.data, opened.manifest["ranker"], {})
    for half, own in (("recall", "seen"), ("rank", "fill"), (None, None)):
        found = open_bundle(path, half=half).pipeline
        assert [name for name, rule in found.rules.items() if rule.state()] == ([own] if own else list(rules))
        learned = [found.recall["cf"], *found.ranker.rankers.values()]
        assert [bool(part.state()) for part in learned] == [half != "rank", half != "recall", half != "recall"]


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


def damage_older(folder):
    edit(folder, format=bundles.FORMAT - 1)
    return "manifest.json", f"format {bundles.FORMAT - 1} is older than {bundles.FORMAT}.*fit again"


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
    damage_older,
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

    monkeypatch.setattr(written, "_write_users", full)
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


# What the content hash is made of, and files nobody listed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fitted_until", 0),
        ("watermark", 0),
        ("ranker", None),
        ("behaviours", {"names": ["event"], "strengths": [9.0], "minimum": [None]}),
    ],
)
def test_an_edited_field_is_refused(copy, field, value):
    edit(copy, **{field: value})
    with pytest.raises(InputError, match="not those the content hash was made of"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["components/merge/extra_.npy", "catalogue/more.parquet", "users/more.parquet"])
def test_a_file_that_is_not_in_the_manifest_is_refused(copy, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=f"{name}: is not in the manifest"):
        open_bundle(copy)


def test_components_get_only_the_files_of_the_manifest(copy, monkeypatch):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "components/merge/extra_.npy").write_bytes(b"not an array")
    monkeypatch.setattr(written, "verify", lambda *_: None)
    assert open_bundle(copy).manifest == manifest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("files", 3),
        ("files", {"catalogue/ids.parquet": 3}),
        ("files", {"../outside": {"sha256": "", "bytes": 0}}),
        ("user_files", []),
        ("users", "../users"),
        ("users", "components"),
        ("behaviours", None),
        ("behaviours", {"names": ["event"], "strengths": [1.0], "minimum": ["sometimes"]}),
        ("recipe", "shop"),
        ("hash", 7),
        ("fitted_until", "now"),
        ("ranker", ["trees"]),
        ("format", "1"),
    ],
)
def test_a_malformed_manifest_is_one_line(copy, field, value):
    edit(copy, **{field: value})
    for read in (open_bundle, bundles.read_manifest):
        with pytest.raises(InputError, match=f"manifest.json: .*{field}") as refused:
            read(copy)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "a\\b", "/etc/x", ".hidden", "a\0b"])
def test_names_that_lead_elsewhere_are_not_written(tmp_path, name):
    for stage, arrays, files in ((name, {}, {}), ("merge", {f"{name}/x": np.zeros(1)}, {}), ("rank", {}, {name: b""})):
        with pytest.raises(InputError, match="expected a plain file name"):
            written._write(tmp_path / "in", stage, arrays, files)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_minimum_of_always_or_never_is_kept_without_infinity(shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    names = ("always", "never", "three")
    behaviours = Behaviours(names, np.ones(3, np.float32), np.array([-np.inf, np.inf, 3], np.float32))
    data = replace(opened.data, behaviours=behaviours)
    saved = save(tmp_path / "bundle", opened.pipeline, opened.recipe, data, opened.manifest["ranker"], {})
    text = (saved / "manifest.json").read_text()
    assert json.loads(text)["behaviours"]["minimum"] == [None, "never", 3.0]
    assert "Infinity" not in text
    assert "NaN" not in text
    assert open_bundle(saved).data.behaviours.minimum.tolist() == [-np.inf, np.inf, 3]
    as_written_before = {"names": names, "strengths": [1, 1, 1], "minimum": [None, float("inf"), 3.0]}
    assert manifests.behaviours_of(as_written_before).minimum.tolist() == [-np.inf, np.inf, 3]
    with pytest.raises(InputError, match="expected finite numbers"):
        save(tmp_path / "nan", opened.pipeline, opened.recipe, data, opened.manifest["ranker"], {"x": float("nan")})


# Code


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module outside the package, not imported yet, with the channel ``Mine``."""
    name = f"parts_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "from shortlist.recall.popular import Popular\n\n\n"
        'class Mine(Popular):\n    """As popular.\n\n    Source: the tests.\n    """\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_recipe_that_names_a_module_is_opened_only_with_trust(shop_run, tmp_path, module):
    opened = open_bundle(shop_run.out / "bundle")
    section = {**opened.recipe.fallback, "type": f"{module}:Mine"}
    recipe = opened.recipe.model_copy(update={"fallback": section})
    saved = save(tmp_path / "bundle", opened.pipeline, recipe, opened.data, opened.manifest["ranker"], {})
    with pytest.raises(InputError, match=rf"manifest.json: recipe.fallback.type = '{module}:Mine' imports code"):
        open_bundle(saved)
    assert module not in sys.modules
    assert type(open_bundle(saved, trust=True).pipeline.fallback).__name__ == "Mine"


def test_fit_shows_the_slate_of_a_bundle_that_names_a_module(shop, tmp_path, module, shortlist_command):
    override = f'fallback.type="{module}:Mine"'
    arguments = ("fit", shop / "shop.toml", "--data", shop, "--out", tmp_path / "run", "--set", override)
    code, _, said = shortlist_command(*arguments)
    assert code == 0, said


@pytest.mark.parametrize(
    "recipe",
    [
        {"recall": {"cf": {"type": "a:B"}}},
        {"features": [{"type": "channel"}, {"type": "a:B"}]},
        {"rank": {"type": "a:B"}},
        {"rank": {"trees": {"type": "a:B"}}},
        {"rules": [{"type": "a:B"}]},
        {"merge": {"type": "a:B"}},
        {"prerank": {"type": "a:B"}},
    ],
)
def test_every_section_is_searched_for_code(recipe):
    assert len(list(manifests.code_from(recipe))) == 1


# Publishing and deleting


def test_a_published_bundle_has_the_usual_modes(shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    before = os.umask(0o027)
    try:
        saved = save(tmp_path / "bundle", opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
    finally:
        os.umask(before)
    assert saved.stat().st_mode & 0o777 == 0o750


def test_publishing_the_same_again_never_deletes_before_it_has_replaced(shop_run, tmp_path, monkeypatch):
    opened = open_bundle(shop_run.out / "bundle")
    arguments = (opened.pipeline, opened.recipe, opened.data, opened.manifest["ranker"], {})
    saved = save(tmp_path / "bundle", *arguments)
    real = os.replace

    def failing(source, target):
        if Path(target) == saved and not str(source).endswith("-old"):
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="Input/output"):
        save(tmp_path / "bundle", *arguments)
    open_bundle(tmp_path / "bundle")
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "bundles"}


@pytest.fixture
def people(tmp_path):
    """A published bundle whose users have attributes, some held by one person only."""
    users = Vocab(["a", "b", "c"])
    items = Vocab(["x", "y"])
    frame = pl.DataFrame(
        {"user": ["a", "b", "c"], "town": ["Aalsmeer", "Bb", "Cc"], "likes": [["l", "m"], ["n"], ["m"]]}
    )
    kinds = {"town": "category", "likes": "list"}
    behaviours = Behaviours(("view",), np.ones(1, np.float32), np.array([-np.inf], np.float32))
    log = Events.of(
        np.array([0, 1, 2, 0], np.int32),
        np.array([0, 1, 0, 1], np.int32),
        np.zeros(4, np.int16),
        np.full(4, np.nan, np.float32),
        np.arange(4, dtype=np.int64),
        behaviours,
    )
    table = Table.of(frame, "user", kinds, users)
    shown = pl.DataFrame(
        {"user": [1, 0, -1, 0], "item": [0, 1, 1, 1], "time": [2, 3, 5, 7], "position": [1.0, None, 2.0, 1.0]},
        schema={"user": pl.Int32, "item": pl.Int32, "time": pl.Int64, "position": pl.Float32},
    )
    table_of_items = Table.of(None, "item", {}, items)
    data = Dataset(log, behaviours, users, items, table, table_of_items, np.zeros(2, np.int64), exposures=shown)
    recipe = parse({"name": "people", "data": {"source": "none"}, "recall": {"hot": {"type": "popular"}}})
    pipeline = recipe.pipeline()
    pipeline.fit_recall(data)
    return save(tmp_path / "bundle", pipeline, recipe, data, None, {})


def test_forgetting_a_person_shifts_no_code(people):
    before = open_bundle(people).data.users
    assert bundles.forget(people, "a") == 4  # two events, twice shown something
    opened = open_bundle(people)
    after, rest = opened.data.users, np.arange(1, 3)
    assert opened.hash == bundles.read_manifest(people)["hash"]
    for name in ("town", "likes"):
        assert after.codes[name].first(rest).tolist() == before.codes[name].first(rest).tolist()
        assert after.codes[name].values.lengths[0] == 0
    assert after.codes["town"].levels == ("", "Bb", "Cc")  # the town that only they had is gone with them
    assert after.codes["likes"].levels == ("", "m", "n")
    assert opened.data.user_ids.code("") == -1
    assert bundles.forget(people, "") is None
    assert bundles.forget(people, "a") is None
    assert not any(b"Aalsmeer" in file.read_bytes() for file in people.rglob("*") if file.is_file())
    assert bundles.forget(people, "b") == 2
    assert open_bundle(people).data.users.codes["town"].first(np.arange(3)).tolist() == [-1, -1, 2]


def test_what_was_shown_is_kept_and_goes_with_the_person(people):
    def rows():
        shown = open_bundle(people).data.state().shown.exposures
        return list(zip(shown.user.tolist(), shown.time.tolist(), shown.position.tolist(), strict=True))

    assert str(rows()) == "[(1, 2, 1.0), (0, 3, nan), (-1, 5, 2.0), (0, 7, 1.0)]"
    bundles.forget(people, "a")
    assert rows() == [(1, 2, 1.0), (-1, 5, 2.0)]


@pytest.mark.parametrize("last", range(14))
def test_forgetting_may_be_interrupted_at_any_step(people, monkeypatch, last):
    """The ``last``-th change on disk and all later ones do not happen: the bundle opens all the same."""
    steps = [0]

    def counted(real):
        def call(*arguments, **named):
            steps[0] += 1
            if steps[0] > last:
                raise KeyboardInterrupt
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for owner, name in (
            (pl.DataFrame, "write_parquet"),
            (Path, "mkdir"),
            (Path, "write_text"),
            (os, "replace"),
            (shutil, "rmtree"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        with contextlib.suppress(KeyboardInterrupt):
            bundles.forget(people, "a")
    opened = open_bundle(people)
    assert len(opened.data.events) in (2, 4)
    assert (opened.data.user_ids.code("a") == -1) == (len(opened.data.events) == 2)
    bundles.forget(people, "a")
    assert open_bundle(people).data.user_ids.code("a") == -1
    assert len(list(people.glob("users*"))) == 1


FORGET = """
import sys
import threading
from pathlib import Path
from shortlist import bundle
sys.stdin.readline()
for user in sys.argv[2:]:
    bundle.forget(Path(sys.argv[1]), user)
"""


def test_processes_that_take_people_out_of_one_bundle_do_not_undo_each_other(shop_run, tmp_path):
    path = shutil.copytree((shop_run.out / "bundle").resolve(), tmp_path / "copy")
    users = open_bundle(path).data.user_ids.ids
    shares = [users[n:24:4] for n in range(4)]
    command = [sys.executable, "-c", FORGET, str(path)]
    running = [subprocess.Popen([*command, *share], stdin=subprocess.PIPE) for share in shares]
    for process in running:
        process.stdin.close()
    assert [process.wait(60) for process in running] == [0] * 4
    left = open_bundle(path).data.user_ids.ids
    assert list(left) == [""] * 24 + list(users[24:])
    assert len(list(path.glob("users*"))) == 1


def test_a_reader_waits_for_the_writer_and_gets_a_whole_bundle(people):
    opened = threading.Thread(target=open_bundle, args=(people,))
    with bundles.deletion([people], ["a"]) as found:
        opened.start()
        opened.join(0.3)
        assert opened.is_alive()
        found.commit()
    opened.join(30)
    assert not opened.is_alive()


def test_people_leave_every_version_or_none(people, tmp_path, monkeypatch):
    """The second version cannot be written: the first must not lose anybody."""
    other = shutil.copytree(people, tmp_path / "bundles" / "other")
    real = Path.mkdir

    def refusing(path, *arguments, **named):
        if path.parent == other:
            raise OSError(30, "Read-only file system", str(path))
        real(path, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", refusing)
    with pytest.raises(OSError, match="Read-only"), bundles.deletion([people, other], ["a", "b"]) as found:
        found.commit()
    monkeypatch.undo()
    for path in (people, other):
        assert list(open_bundle(path).data.user_ids.ids) == ["a", "b", "c"]
        assert {file.name for file in path.iterdir()} == {"manifest.json", "components", "catalogue", "users"}
    with bundles.deletion([people, other], ["a", "b"]):
        pass  # not committed
    assert list(open_bundle(other).data.user_ids.ids) == ["a", "b", "c"]
    (other / "users/events.parquet").write_bytes(b"PAR1 cut off")
    with bundles.deletion([people, other], ["a", "b"]) as found:
        found.commit()
    assert found.gone == {people: 6}
    assert list(found.unreadable) == [other]
    assert list(open_bundle(people).data.user_ids.ids) == ["", "", "c"]


def test_vectors_of_the_catalogue_come_back(shop_run, tmp_path):
    opened = open_bundle(shop_run.out / "bundle")
    known = np.arange(opened.data.n_items) % 3 > 0
    vectors = np.where(known[:, None], np.arange(2 * opened.data.n_items).reshape(-1, 2), 0).astype(np.float32)
    table = opened.data.items
    listed = np.ones(table.n, bool)
    table = replace(
        table, listed=listed, kinds={**table.kinds, "emb": "vector"}, vectors={"emb": Dense(vectors, known)}
    )
    data = replace(opened.data, items=table)
    path = save(tmp_path / "bundle", opened.pipeline, opened.recipe, data, opened.manifest["ranker"], {})
    found = open_bundle(path).data.items
    assert found.columns() == table.columns()
    np.testing.assert_array_equal(found.vectors["emb"].values, vectors)
    np.testing.assert_array_equal(found.vectors["emb"].known, known)
