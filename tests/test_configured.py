"""What may be nothing can be written: "none"."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from shortlist.component import InputError
from shortlist.configured import Configured
from shortlist.durations import Duration
from shortlist.recipe import parse
from shortlist.registry import find, names


class Example(Configured):
    age: Duration | None = 7
    most: Annotated[Annotated[int, Field(ge=1)] | None, "noted"] = 5
    label: str | None = "x"
    way: Literal["none", "other"] = "other"
    always: int = 3


def test_none_is_nothing_where_nothing_may_be():
    made = Example(age="none", most="none", label="none", way="none")
    assert (made.age, made.most) == (None, None)
    assert (made.label, made.way) == ("none", "none")  # words of their own
    assert Example().age == 7
    with pytest.raises(ValueError, match="always"):
        Example(always="none")


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        (kind, name, key)
        for kind in ("recall", "features", "rules", "merge")
        for name in names(kind)
        for key, field in find(kind, name).model_fields.items()
        if field.default is None and str(field.annotation).find("str") < 0
    ],
)
def test_every_default_that_is_none_can_be_said(kind, name, key):
    cls = find(kind, name)
    stated = cls.from_config({**cls.example, key: "none"})
    assert stated.config() == cls.from_config(cls.example).config()


def test_a_recipe_may_say_it_and_an_error_says_a_thing_once():
    base = {"name": "x", "data": {"source": "movielens-100k", "split": {"test": 0.8}}}
    recipe = parse({**base, "recall": {"a": {"type": "item_cf", "half_life": "none", "last": "none"}}})
    assert recipe.pipeline().recall["a"].half_life is None
    with pytest.raises(InputError) as error:
        parse({**base, "recall": {"a": {"type": "item_cf", "half_life": "never"}}})
    assert str(error.value).count("found 'never'") == 1
