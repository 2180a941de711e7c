"""Configuration, learned state and the folder as registry."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from shortlist import registry
from shortlist.component import Component, InputError, Retriever
from shortlist.registry import KINDS, defined_in, entry, find, names
from shortlist.types import Ragged


class Example(Retriever):
    """A channel for this test.

    Source: this test.
    """

    width: int = Field(default=3, ge=1)
    """How wide."""
    names: list[str] = ["a"]
    """Which."""


# configuration


def test_configuration_round_trips():
    one = Example.from_config({"width": 5})
    assert one.config() == {"width": 5, "names": ["a"]}
    assert Example.from_config(one.config()).config() == one.config()


@pytest.mark.parametrize("config", [{"wide": 5}, {"width": 0}, {"width": "many"}, {"names": "a"}])
def test_wrong_configuration_is_refused(config):
    with pytest.raises(ValidationError):
        Example.from_config(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [({"wide": 5}, r"Example.wide: unknown; did you mean width\?"), ({"width": 0}, "Example.width: .* found 0")],
)
def test_a_constructor_says_what_is_wrong_in_one_line(config, message):
    with pytest.raises(InputError, match=message):
        Example(**config)


def test_only_learned_attributes_may_be_added():
    one = Example()
    one.table_ = np.arange(3)
    with pytest.raises(ValueError, match="table"):
        one.table = np.arange(3)


def test_components_share_no_defaults():
    Example().names.append("b")
    assert Example().names == ["a"]


# learned state


def arrays():
    kinds = st.sampled_from(["f4", "f8", "i4", "i8", "u4", "?", "U5"])
    shapes = st.lists(st.integers(0, 3), min_size=0, max_size=3)
    return st.builds(lambda kind, shape: np.ones(shape).astype(kind), kinds, shapes)


def sparse():
    return st.builds(
        lambda seed, n, m: sp.random(n, m, 0.4, "csr", np.float32, np.random.default_rng(seed)),
        st.integers(0, 99), st.integers(1, 5), st.integers(1, 5),
    )  # fmt: skip


def ragged():
    def build(lengths):
        offsets = np.cumsum([0, *lengths]).astype(np.int64)
        return Ragged(offsets, {"item": np.arange(offsets[-1], dtype=np.int32), "w": np.ones(offsets[-1], np.float32)})

    return st.lists(st.integers(0, 3), max_size=4).map(build)


learned = st.one_of(arrays(), sparse(), ragged(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=4),
                    st.booleans(), st.none())  # fmt: skip


def same(a, b):
    if a is None:
        assert b is None
    elif isinstance(a, Ragged):
        np.testing.assert_array_equal(a.offsets, b.offsets)
        assert a.columns.keys() == b.columns.keys()
        for name in a.columns:
            same(a[name], b[name])
    elif sp.issparse(a):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a.toarray(), b.toarray())
    elif isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
    else:
        assert (type(a), a) == (type(b), b)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.dictionaries(st.sampled_from(["a_", "b_", "long_name_", "a_b_"]), learned))
def test_state_round_trips(values):
    one = Example(width=7)
    for name, value in values.items():
        setattr(one, name, value)
    state = one.state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values())
    again = Example.restore(one.config(), state)
    assert again.width == 7
    for name, value in values.items():
        same(value, getattr(again, name, None))


def test_numbers_of_numpy_come_back_as_numbers():
    one = Example()
    one.mean_ = np.float64(0.5)
    one.count_ = np.int64(3)
    again = Example.restore(one.config(), one.state())
    assert (again.mean_, again.count_) == (0.5, 3)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], np.array([None, "x"], object), object()])
def test_state_that_only_pickle_could_hold_is_refused(value):
    one = Example()
    one.table_ = value
    with pytest.raises(TypeError, match="table_"):
        one.state()


# the folder is the registry


def test_names_imports_nothing():
    for kind in KINDS:
        found = names(kind)
        assert found == sorted(set(found))
        assert not any(name.startswith("_") for name in found)
    assert "item_cf" in names("recall")


def test_every_name_in_a_folder_is_found():
    for kind, base in KINDS.items():
        for name in names(kind):
            if entry(kind, name).available:
                assert issubclass(find(kind, name), base)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"no recall component 'item_fc'; did you mean item_cf\?"):
        find("recall", "item_fc")
    with pytest.raises(InputError, match=r"there are .*item_cf"):
        find("recall", "zzzzzzz")
    with pytest.raises(InputError, match="no such kind"):
        find("recal", "item_cf")
    with pytest.raises(InputError):
        find("recall", "_top")
    with pytest.raises(InputError):
        find("recall", "../types")
    with pytest.raises(InputError, match=r"no recall component '../recall/item_cf'"):
        find("recall", "../recall/item_cf")


def test_a_class_from_an_outside_module(tmp_path, monkeypatch):
    (tmp_path / "outside_channels.py").write_text(
        "from shortlist.component import Retriever\nclass Mine(Retriever):\n    '''Mine.'''\nother = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find("recall", "outside_channels:Mine").__name__ == "Mine"
    with pytest.raises(InputError, match="is not a Ranker"):
        find("rank", "outside_channels:Mine")
    with pytest.raises(InputError, match="is not a Retriever"):
        find("recall", "outside_channels:other")


@pytest.mark.parametrize("name", ["no_such_module:Mine", "shortlist.recall.item_cf:NoSuchClass", "no_such_module:"])
def test_an_outside_class_that_is_not_there_is_the_users_error(name):
    with pytest.raises(InputError):
        find("recall", name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_folder", lambda kind: tmp_path)
    return tmp_path


def test_an_entry_is_read_without_running_the_file(folder):
    (folder / "mine.py").write_text(
        '"""The module."""\nraise SystemExit\nclass Mine:\n'
        '    """Score is one.\n\n    More.\n\n    Source: A (2001), B;\n'
        '    C (2002), D.\n    """\n'
    )
    told = entry("recall", "mine")
    assert (told.name, told.summary, told.reference) == ("mine", "Score is one.", "A (2001), B; C (2002), D.")
    assert told.available


@pytest.mark.parametrize(
    ("code", "available"),
    [
        ("import numpy as np", True),
        ("import no_such_package", False),
        ("from no_such_package.part import thing", False),
        ("def fit():\n    import no_such_package", False),
        ("from __future__ import annotations\nfrom shortlist.types import Array", True),
    ],
)
def test_an_entry_says_whether_its_extra_is_installed(folder, code, available):
    (folder / "mine.py").write_text(code + "\n")
    assert entry("recall", "mine").available is available


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    real = registry._folder
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.setattr(registry, "_folder", lambda kind: tmp_path if kind == "recall" else real(kind))
    monkeypatch.setattr(importlib.import_module("shortlist.recall"), "__path__", [str(tmp_path)])
    with pytest.raises(InputError, match="'needs_more' needs the package 'no_such_package', which is not installed"):
        find("recall", "needs_more")


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("torch", ": pip install 'shortlist[deep]'"),
        ("torch.nn", ": pip install 'shortlist[deep]'"),
        ("xgboost", ": pip install 'shortlist[trees]'"),
        ("numpy", ""),
        ("tor", ""),
        (None, ""),
    ],
)
def test_the_extra_to_install_is_named(package, said, monkeypatch):
    needs = [
        "numpy<3,>=2.0",
        "onnx<2,>=1.17; extra == 'deep'",
        "torch<3,>=2.5; extra == 'deep'",
        'xgboost-cpu<4,>=3.0; (sys_platform == "linux") and extra == "trees"',
    ]
    monkeypatch.setattr(registry.metadata, "requires", lambda name: needs)
    assert registry._extra(package) == said


def test_without_an_installed_package_no_extra_is_named(monkeypatch):
    def requires(name):
        raise registry.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(registry.metadata, "requires", requires)
    assert registry._extra("torch") == ""


def test_one_component_a_file(tmp_path, monkeypatch):
    (tmp_path / "two_in_one.py").write_text(
        "from shortlist.component import Component, Retriever\nclass A(Retriever): pass\nclass B(Retriever): pass\n"
    )
    (tmp_path / "helper_beside.py").write_text(
        "from shortlist.component import Component, Retriever\nclass A(Retriever): pass\nclass _B(Retriever): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    two, beside = __import__("two_in_one"), __import__("helper_beside")
    with pytest.raises(TypeError, match="exactly one Retriever, not 2"):
        defined_in(two, (Retriever,))
    assert defined_in(beside, (Retriever,)) is beside.A
    assert issubclass(beside.A, Component)
