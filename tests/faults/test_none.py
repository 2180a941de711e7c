"""Fault R13: what a default may be can be written: ``"none"``, as TOML has no word for it."""

from __future__ import annotations

import tomllib
from typing import Any, get_args

import pytest

from shortlist import recipe
from shortlist.component import Component, InputError
from shortlist.data import spec
from shortlist.registry import KINDS, find, names

COMPONENTS: dict[str, type[Any]] = {f"{kind}.{name}": find(kind, name) for kind in KINDS for name in names(kind)}
SECTIONS: dict[str, type[Any]] = {
    cls.__name__: cls
    for room in (recipe, spec)
    for cls in vars(room).values()
    if isinstance(cls, type) and issubclass(cls, recipe.Strict | spec.Spec)
}
TEXT = {
    "by", "comment", "group", "label", "positive", "test", "column", "field", "match", "query", "time_format", "until",
    "warm_start", "warm_by", "second", "vector", "blend",
}  # fmt: skip
"""Fields that may be none and are any text otherwise: "none" may be what something is called."""
REQUIRED: dict[str, dict[str, Any]] = {
    "DataSpec": {"source": "adult"},
    "ListSpec": {"column": "id"},
    "RateSpec": {"max": 3},
    "Recipe": {"name": "x", "data": {"source": "adult"}},
    "SplitSpec": {"test": 0.9},
    "SplitSpec.test": {"random": 0.1},  # one of the two there must be
}
MAY_BE_NONE = [
    (where, cls, name)
    for where, cls in {**COMPONENTS, **SECTIONS}.items()
    for name, field in cls.model_fields.items()
    if type(None) in get_args(field.annotation) and name not in TEXT
]


def test_there_are_such_fields():
    assert {("recall.popular", "half_life"), ("recall.item_cf", "last"), ("SamplesSpec", "at_most")} <= {
        (where, name) for where, _, name in MAY_BE_NONE
    }


@pytest.mark.parametrize(("where", "cls", "name"), MAY_BE_NONE, ids=[f"{w}.{n}" for w, _, n in MAY_BE_NONE])
def test_every_field_that_may_be_none_can_be_set_to_it(where, cls, name):
    if name == "quote":
        assert cls(path="x", quote="", **REQUIRED.get(where, {})).quote == ""  # as its page says
        return
    required = REQUIRED.get(f"{where}.{name}", REQUIRED.get(where, {}))
    given = {**getattr(cls, "example", {}), **required, name: "none"}
    if "path" in cls.model_fields:
        given["path"] = "x"
    without = {**given, name: None}
    made = cls.from_config(given) if issubclass(cls, Component) else cls.model_validate(given)
    assert getattr(made, name) is None
    same = cls.from_config(without) if issubclass(cls, Component) else cls.model_validate(without)
    assert made.model_dump() == same.model_dump()


def test_popularity_without_age_can_be_asked_for():
    tables = tomllib.loads('name = "x"\ndata = { source = "movielens-100k" }\nrecall.hot.type = "popular"')
    tables["data"]["split"] = {"test": 0.9}
    for written in ("recall.hot.half_life=none", 'recall.hot.half_life="none"'):
        recipe.override(tables, written)
        made = recipe.parse(tables).pipeline().recall["hot"]
        assert made.half_life is None
        assert type(made).from_config(made.config()) == made
    hot = find("recall", "popular")
    assert hot(half_life="none") == hot(half_life=None) != hot()


def test_text_stays_what_it_is():
    assert spec.ColumnSpec(column="none").column == "none"


@pytest.mark.parametrize("wrong", ["soon", "None", "7x", ""])
def test_what_is_neither_is_told_once(wrong):
    with pytest.raises(InputError) as error:
        find("recall", "popular")(half_life=wrong)
    assert str(error.value).count("found") == 1
    assert str(error.value).endswith(f"found {wrong!r}")


@pytest.mark.parametrize("quote", ["none", "''", "«"])
def test_a_quote_is_one_plain_character(quote):
    with pytest.raises(ValueError, match="quote"):
        spec.EventsSpec(path="x", quote=quote)
