"""What may be nothing can be written: "none"."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from shortlist.configured import Configured
from shortlist.durations import Duration


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
