"""``shortlist new`` writes components that pass the contract before a line of them is changed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest

import shortlist
from shortlist.cli.scaffold import TEMPLATES, write
from shortlist.component import InputError
from shortlist.registry import KINDS, defined_in, entry, find
from shortlist.testing import contract

PACKAGE = Path(shortlist.__file__).parent


def test_there_is_a_template_for_every_kind():
    assert set(TEMPLATES) == set(KINDS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_written_passes_the_contract_as_it_stands(kind, tmp_path):
    path = write(kind, "my_part", tmp_path)
    spec = importlib.util.spec_from_file_location(f"scaffolded_{kind}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        contract.check(kind, defined_in(module, KINDS[kind]))
    finally:
        del sys.modules[spec.name]


@pytest.fixture
def written():
    """Files put into the package, taken out again."""
    paths: list[Path] = []
    yield paths
    for path in paths:
        path.unlink(missing_ok=True)
        sys.modules.pop(f"shortlist.{path.parent.name}.{path.stem}", None)
    importlib.invalidate_caches()
    find.cache_clear()


def test_written_into_the_package_it_is_found_listed_and_fitted_by_name(written, shortlist_command):
    path = PACKAGE / "recall" / "zz_scaffolded_by_a_test.py"
    assert not path.exists()
    written.append(path)
    code, out, _ = shortlist_command("new", "recall", path.stem)
    assert code == 0
    assert path.is_file()
    assert str(path) in out.replace("\n", "")
    _, out, _ = shortlist_command("list", "recall", "--json")
    mine = next(line for line in json.loads(out) if line["name"] == path.stem)
    assert mine["available"]
    assert mine["summary"] == entry("recall", path.stem).summary != ""
    contract.check("recall", find("recall", path.stem))


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("recalls", "x", "expected one of recall, merge, features, rank, rules"),
        ("recall", "My-Channel", "expected a file name in small letters"),
        ("recall", "_private", "expected a file name in small letters"),
        ("recall", "item_cf", "there is one of that name already"),
    ],
)
def test_names_that_cannot_be_are_refused(kind, name, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write(kind, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    path = write("rules", "mine", tmp_path)
    path.write_text("# my work")
    with pytest.raises(InputError, match="exists already"):
        write("rules", "mine", tmp_path)
    assert path.read_text() == "# my work"
    with pytest.raises(InputError, match="no such folder"):
        write("rules", "mine", tmp_path / "nowhere")
