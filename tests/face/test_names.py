"""What ``import shortlist`` offers, and that it loads nothing before it is asked."""

from __future__ import annotations

import importlib.util
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import shortlist as sl
from shortlist.component import InputError, Retriever
from shortlist.face import names
from shortlist.registry import find
from shortlist.testing import contract

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "scipy", "polars", "numba", "lightgbm", "pydantic", "torch", "rich", "typer")


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); {code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_importing_loads_nothing_heavy():
    code = "import json, shortlist; dir(shortlist); hasattr(shortlist, 'nothing')"
    said = python(f"{code}; print(json.dumps(sorted(sys.modules)))")
    loaded = json.loads(said.stdout)
    assert not [name for name in HEAVY if name in loaded]
    assert "shortlist.face.names" in loaded


def test_importing_takes_at_most_a_tenth_of_a_second():
    said = python("import shortlist", "-X", "importtime").stderr
    spent = [line.split("|") for line in said.splitlines() if line.rstrip().endswith("| shortlist")]
    assert len(spent) == 1
    assert int(spent[0][1]) < 100_000  # microseconds, with all it imports


def test_a_reader_loads_no_ranker():
    loaded = python("import shortlist as sl; sl.read; sl.ItemCF; print(*sys.modules)").stdout.split()
    assert "polars" in loaded
    assert not {"torch", "xgboost", "optuna", "fastapi", "typer"} & set(loaded)


def test_every_component_is_reached_by_its_class():
    reached = names.components()
    for kind, name, _ in contract.found():
        cls = find(kind, name)
        if (kind, name) in (("features", "repeat"), ("rules", "quota"), ("rank", "fm")):
            continue  # the channel has the name, or the merge
        assert reached[cls.__name__] == (kind, name)
        found = getattr(sl, cls.__name__)
        if kind == "recall":
            assert issubclass(found, sl.Recommender)
            assert found.__name__ == cls.__name__
            assert found.__doc__ == cls.__doc__
            assert list(inspect.signature(found).parameters) == list(cls.model_fields)
        else:
            assert found is cls
    assert set(reached) <= set(dir(sl))
    assert len(reached) >= 50


def test_a_wrong_name_names_the_nearest():
    with pytest.raises(AttributeError, match="did you mean ItemCF"):
        sl.ItemKNN  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean ItemCF"):
        sl.itemcf  # noqa: B018


def test_a_wrong_hyperparameter_names_the_nearest():
    with pytest.raises(InputError, match=r"ItemCF.neighbors: unknown; did you mean neighbours\?"):
        sl.ItemCF(neighbors=10)
    with pytest.raises(InputError, match=r"ItemCF.neighbours: .*greater than or equal to 1; found 0"):
        sl.ItemCF(neighbours=0)
    with pytest.raises(InputError, match=r"GBDT.treees: unknown; did you mean trees\?"):
        sl.GBDT(treees=1)
    with pytest.raises(InputError, match=r"MMR.bi: unknown; did you mean by\?"):
        sl.MMR(bi=["genres"])
    with pytest.raises(TypeError, match=r"ItemCF.__init__\(\) takes 1 positional"):
        sl.ItemCF(100)


def test_a_channel_says_what_was_set():
    cf = sl.ItemCF(neighbours=30, half_life="7d")
    assert repr(cf) == "ItemCF(half_life='7d', neighbours=30)"
    assert isinstance(cf.component, Retriever)
    assert cf.component.neighbours == 30


def test_the_stub_is_in_step():
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "docs/stubs.py")
    stubs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stubs)
    assert stubs.stale(write=False) == [], "run make docs"
    text = stubs.FILE.read_text(encoding="utf-8")
    assert "        half_life: int | str | None = None,\n" in text
    assert "        neighbours: int = 100,\n" in text


USE = """
import polars as pl
import shortlist as sl
log = sl.read("ratings.csv", items=pl.DataFrame(), positive=4)
frame: pl.DataFrame = sl.ItemCF(neighbours=100, half_life="7d").fit(log).recommend(["196", "7"], n=10)
score: float = sl.auc(sl.GBDT(trees=10), sl.table("adult").test)
stage: pl.DataFrame = sl.open(sl.fit({}).bundle).trace("196")["merge"]
sl.Funnel(cf=sl.ItemCF(), merge=sl.ReciprocalRank()).fit(log).similar("242")
wrong = sl.ItemCF(neighbors=100)
worse: int = sl.ItemCF().fit(log).similar("1")
"""


@pytest.mark.slow
def test_a_users_code_is_checked(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    options = ["--follow-imports=silent", "--no-incremental", "--config-file="]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "use.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT / "src"), "PATH": ""},
        check=False,
    )
    wrong = [line for line in run.stdout.splitlines() if ": error:" in line]
    assert len(wrong) == 2, run.stdout
    assert 'Unexpected keyword argument "neighbors" for "ItemCF"' in wrong[0]
    assert "DataFrame" in wrong[1]
