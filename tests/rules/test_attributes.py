"""The values that rules look at: of items in the table and beyond it, of attributes that are there and that are not."""

import numpy as np

from shortlist.rules._attributes import members, values_of

from ._shop import catalogue

ITEMS = np.array([1, 0, 7, 2, 1], np.int32)
TIMES = np.zeros(5, np.int64)


def test_values_of_several_attributes_lie_side_by_side():
    data = catalogue(
        {"brand": "category", "tags": "list"}, brand=["a", "b", None], tags=[["x"], ["y", "x"], ["y"]]
    )  # item 7 is not in the table
    values = values_of(ITEMS, TIMES, data.items, ["tags", "gone", "brand"])
    tags, brand = data.items.codes["tags"].levels, data.items.codes["brand"].levels
    names = [*((0, level) for level in tags), *((2, level) for level in brand)]
    assert values.n == len(names) == 4
    found = [
        {names[code] for code in values.code[a:b]} for a, b in zip(values.offsets[:-1], values.offsets[1:], strict=True)
    ]
    second = {(0, "x"), (0, "y"), (2, "b")}
    assert found == [second, {(0, "x"), (2, "a")}, set(), {(0, "y")}, second]
    assert [names[code][0] for code in values.code] == values.attribute.tolist()
    alone = values_of(ITEMS, TIMES, data.items, ["brand"])
    assert alone.offsets.tolist() == [0, 1, 2, 2, 2, 3]
    assert ([brand[code] for code in alone.code], alone.attribute.tolist(), alone.n) == (["b", "a", "b"], [0, 0, 0], 2)


def test_without_such_an_attribute_no_item_has_a_value():
    values = values_of(ITEMS, TIMES, catalogue({}, n_items=3).items, ["brand"])
    assert values.offsets.tolist() == [0] * (len(ITEMS) + 1)
    assert (values.code.tolist(), values.attribute.tolist(), values.n) == ([], [], 0)
    assert values.code.dtype == values.attribute.dtype == values.offsets.dtype == np.int64


def test_members_are_named_by_their_values():
    data = catalogue({"tags": "list"}, tags=[["x"], ["y", "x"], ["y"], []])
    rows, unknown = members(data.items, "tags", ["x", "z", "y"])
    assert (rows.tolist(), unknown) == ([0, 1, 2], ["z"])
    assert members(data.items, "tags", ["x"])[0].tolist() == [0, 1]
