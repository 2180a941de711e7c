"""What a look at a file's first rows takes for a header, a number, a time, a scale, a column's role."""

import pytest

from shortlist.draft import least_positive
from shortlist.draft.columns import SCALE
from shortlist.draft.look import _has_header, is_number, look, time_of
from shortlist.draft.roles import roles as roles_of
from shortlist.draft.table import kind_of


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ([["a", "b"], ["x", "1"], ["y", "2"]], True),  # words above numbers
        ([["a", "b"], ["x", "2024-01-05"]], True),  # above times
        ([["a", "b"], ["x", "y"], ["z", "w"]], False),  # words above words
        ([["a", "1"], ["b", "2"]], False),  # a number above numbers
        ([["a", "2024-01-05"], ["b", "2024-01-06"]], False),
        ([["user_id", "b"], ["x", "y"]], True),  # as headers are called
        ([["b", "Titles"], ["x", "y"]], True),
        ([["paid", "solid"], ["x", "y"]], False),  # a word that only ends like one
        ([["a", "b"], ["", "NA"], ["x", ""]], False),  # nothing below tells
        ([["a", "b"], *[["x", "1"]] * 8, *[["x", "y"]] * 2], False),  # four fifths are not enough
        ([["a", "b"], *[["x", "1"]] * 9, *[["x", "y"]] * 2], True),
    ],
)
def test_a_header_is_words_above_numbers_or_called_like_one(rows, header):
    assert _has_header(rows) is header


@pytest.mark.parametrize("cell", ["1", "-2", "+3.5", ".5", "7.", "1e9", "2.5E-3"])
def test_a_number(cell):
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["", "-", ".", "1,5", "e9", "0x1", "1 2", "one"])
def test_no_number(cell):
    assert not is_number(cell)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([], None),
        (["1704067200", "1704067300"], ("s", None)),
        (["1704067200000"], ("ms", None)),
        (["1704067200000000"], ("us", None)),
        (["1704067200000000000"], ("ns", None)),
        (["20240105", "20240106"], (None, "%Y%m%d")),
        (["2024", "2023"], None),  # numbers like any
        (["5", "1704067200", "1704067201"], ("s", None)),  # by the middle one
        (["2024-01-05T10:00:00Z"], (None, None)),
        (["05.01.2024", "31.01.2024"], (None, "%d.%m.%Y")),
        (["31/01/2024"], (None, "%d/%m/%Y")),
        (["01/31/2024"], (None, "%m/%d/%Y")),
        (["05.01.1800", "05.01.2100"], (None, "%d.%m.%Y")),
        (["05.01.1799"], None),
        (["05.01.2101"], None),
        (["yes", "no"], None),
    ],
)
def test_times_tell_their_unit_or_their_form(cells, told):
    assert time_of(cells) == told


@pytest.mark.parametrize(
    ("values", "least"),
    [([1, 2, 3, 4, 5], 4), ([0.5, 1, 2, 3, 4, 5], 4), ([1, 10], 10), (range(11), 7), ([0, 1], 1), ([3], None),
     ([], None),
     (range(SCALE), 17), (range(SCALE + 1), None)],
)  # fmt: skip
def test_a_rating_is_liked_from_seven_tenths_of_its_scale_on(values, least):
    assert least_positive(values) == least


def roles(folder, header, rows):
    path = folder / "log.csv"
    path.write_text("\n".join(",".join(row) for row in [header, *rows] if row) + "\n")
    return {role: guess.column for role, guess in roles_of(look(path), {}).guesses.items()}


ROWS = [[f"g{n % 3}", f"u{n % 7}", f"i{n % 5}", str(1_704_067_200 + n), str(n % 5 + 1)] for n in range(40)]


def test_a_column_called_exactly_so_comes_before_one_that_is_only_alike(tmp_path):
    found = roles(tmp_path, ["user_group", "user", "item", "time", "stars"], ROWS)
    assert (found["user"], found["item"], found["time"]) == ("user", "item", "time")
    found = roles(tmp_path, ["item_group", "visitor", "movie_id", "ts", "rating"], ROWS)
    assert found == {"user": "visitor", "item": "movie_id", "time": "ts", "value": "rating"}
    found = roles(tmp_path, ["shop", "my_user_code", "my_item_code", "time", "x"], ROWS)  # no such name: one alike
    assert (found["user"], found["item"]) == ("my_user_code", "my_item_code")


def test_numbers_that_are_names_are_a_category_or_an_id_of_nothing():
    assert kind_of("brand", ["17", "18", "17", "19"]) == ({"kind": "category"}, None)
    assert kind_of("brand", [str(n) for n in range(100, 120)]) == (None, None)  # each another: no category
    assert kind_of("price", ["17.5", "18", "17", "19"]) == ({"kind": "number"}, None)
    assert kind_of("stars", ["1", "2", "3", "2"]) == ({"kind": "category"}, None)  # few whole numbers
    assert kind_of("pages", [str(n) for n in range(100, 111)]) == ({"kind": "number"}, None)
    assert kind_of("only", ["1", "1"]) == (None, None)
    assert kind_of("page", ["https://a.b", "www.c", "no"]) == (None, None)
