"""libsvm and its relatives: what their lines become."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.raw import PlainTable
from shortlist.data.rows import RowsSpec
from shortlist.data.sources import _libsvm
from shortlist.data.sources._plain import load_rows


def load(root: Path, text: str, test: str | None = None, **how: object) -> PlainTable:
    (root / "rows.txt").write_text(text)
    if test is not None:
        (root / "test.txt").write_text(test)
        how["test"] = "test.txt"
    spec = {"path": "rows.txt", "format": "libsvm", **({} if test else {"split": {"share": 0.25}}), **how}
    return load_rows(RowsSpec.model_validate(spec), root)


def rows(table: PlainTable, by: str) -> list[tuple[object, ...]]:
    return pl.concat([table.train, table.test]).select("label", *table.kinds).sort(by).rows()


def test_indices_with_values_are_numbers_and_what_is_not_written_is_0(tmp_path: Path) -> None:
    table = load(tmp_path, "1 1:0.5 10:2  # said\n-1 2:1e-3\n\n1 1:3 2:4\n-1\n")
    assert table.kinds == {"feature_1": "number", "feature_2": "number", "feature_10": "number"}
    found = pl.concat([table.train, table.test]).sort("feature_1", "feature_2")
    assert found.select("label", *table.kinds).rows() == [
        (0, 0.0, 0.0, 0.0),
        (0, 0.0, pytest.approx(1e-3), 0.0),
        (1, 0.5, 0.0, 2.0),
        (1, 3.0, 4.0, 0.0),
    ]


def test_one_hot_lines_of_one_length_are_a_category_a_place(tmp_path: Path) -> None:
    table = load(tmp_path, "1 7:1 20:1\n0 8:1 21:1\n1 7:1 22:1\n0 9:1 20:1\n")
    assert table.kinds == {"field_1": "category", "field_2": "category"}
    assert rows(table, "field_2") == [(1, "7", "20"), (0, "9", "20"), (0, "8", "21"), (1, "7", "22")]


def test_fields_are_categories_lists_or_numbers(tmp_path: Path) -> None:
    table = load(tmp_path, "1 0:5:1 2:8:1 2:9:1 1:3:0.25\n0 0:6:1 2:8:1\n1 1:3:4\n0 0:5:1 2:7:1 1:3:1\n")
    assert table.kinds == {"field_0": "category", "field_1": "number", "field_2": "list"}
    found = pl.concat([table.train, table.test]).sort("field_1", nulls_last=True)
    assert found.select("label", *table.kinds).rows() == [
        (1, "5", 0.25, ["8", "9"]),
        (0, "5", 1.0, ["7"]),
        (1, None, 4.0, None),
        (0, "6", None, ["8"]),
    ]


def test_too_many_ones_for_columns_are_one_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_libsvm, "MOST", 2)
    table = load(tmp_path, "1 1:1 2:1\n0 3:1\n1 1:1 3:1\n0 4:1\n")
    assert table.kinds == {"features": "list"}
    assert rows(table, "features") == [(1, ["1", "2"]), (1, ["1", "3"]), (0, ["3"]), (0, ["4"])]
    with pytest.raises(InputError, match="4 indices of other values than 1 are too many"):
        load(tmp_path, "1 1:1 2:1\n0 3:5\n1 1:1 3:1\n0 4:1\n")


def test_queries_are_groups(tmp_path: Path) -> None:
    table = load(tmp_path, "1 qid:3 1:0.5\n0 qid:3 1:0.1\n1 qid:4 1:0.2\n0 qid:4 1:2\n", group="qid")
    assert table.kinds == {"feature_1": "number"}
    assert table.group is not None
    assert sorted(pl.concat([table.train, table.test])[table.group]) == ["3", "3", "4", "4"]


def test_test_rows_have_the_columns_of_those_learned_from(tmp_path: Path) -> None:
    table = load(tmp_path, "1 1:0.5 3:2\n0 2:1\n", "1 3:7 9:1\n0 1:1\n")
    assert table.test.select("label", *table.kinds).rows() == [(1, 0.0, 0.0, 7.0), (0, 1.0, 0.0, 0.0)]
    with pytest.raises(InputError, match=r"test\.txt: row 2: expected 2 entries as in the other file, found 1"):
        load(tmp_path, "1 1:1 3:1\n0 2:1 3:1\n", "1 1:1 3:1\n0 2:1\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1:2\n0 x\n", "rows.txt: row 2: expected index:value, found 'x'"),
        ("1 1:2\n0 1:two\n", "rows.txt: row 2, index 1: expected a number, found 'two'"),
        ("1 1:2\n0 1:inf\n", "rows.txt: row 2, index 1: expected a number, found 'inf'"),
        ("1 1:2\n0 1:2:1\n", "rows.txt: row 2: expected index:value or field:index:value throughout, found both"),
        ("1 1:1:2 1:2:2\n0 1:2:1\n", "field 1: expected indices of value 1, or one index, found others"),
        ("1\n0\n", "expected features"),
        ("", "expected rows, found an empty file"),
        ("good 1:2\n0 1:1\n", "rows.txt: row 1, column label (label): expected 1 or 0"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load(tmp_path, text)
    assert message in str(error.value)
