"""Columns of kind vector: read, checked, kept, and written again."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data import Table, Vocab
from shortlist.data.build import dataset
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

TWO = "column emb (emb): expected 2 finite numbers"


def read(tmp_path, cells, how="vector", form="parquet", dtype=None):
    log = {"user": ["a", "b"], "item": ["x", "y"], "time": [1_600_000_000, 1_600_000_100]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    frame = pl.DataFrame({"item": ["x", "y", "z"], "emb": pl.Series(cells, dtype=dtype)})
    frame.write_parquet(tmp_path / "items.parquet") if form == "parquet" else frame.write_csv(tmp_path / "items.csv")
    items = {"path": f"items.{form}", "columns": {"item": "item", "emb": how}}
    spec = DataSpec.model_validate({"events": {"path": "log.csv"}, "items": items})
    return dataset(load(spec, tmp_path), spec)


@pytest.mark.parametrize(
    ("cells", "form", "how", "dtype"),
    [
        ([[1.0, 2.0], None, [3.0, 4.0]], "parquet", "vector", None),
        ([[1.0, 2.0], None, [3.0, 4.0]], "parquet", "vector", pl.Array(pl.Float64, 2)),
        ([[1, 2], [], [3, 4]], "parquet", "vector", None),
        ([["1", "2"], None, ["3", "4e0"]], "parquet", "vector", None),
        (["1|2", "", "3|4"], "csv", "vector", None),
        (["[1, 2]", None, "[3. 4.]"], "csv", "vector", None),
        (["1 2", None, " 3  4 "], "csv", {"kind": "vector", "separator": " "}, None),
    ],
)
def test_however_it_is_written_it_is_one_matrix_and_who_is_known(tmp_path, cells, form, how, dtype):
    data = read(tmp_path, cells, how, form, dtype)
    kept = data.items.vectors["emb"]
    np.testing.assert_array_equal(kept.values, [[1, 2], [0, 0], [3, 4]])
    assert kept.values.dtype == np.float32
    np.testing.assert_array_equal(kept.known, [True, False, True])
    assert data.items.columns() == {"emb": "vector"}
    np.testing.assert_array_equal(data.items.latest().vectors["emb"].values, kept.values)


@pytest.mark.parametrize(
    ("cells", "form", "told"),
    [
        ([[1.0, 2.0], [3.0], [3.0, 4.0]], "parquet", f"items.parquet: row 2, {TWO}, found 1"),
        ([[1.0, 2.0], [3.0, 4.0], [3.0, float("nan")]], "parquet", f"row 3, {TWO}, found nan among 2"),
        ([[1.0, 2.0], [None, 4.0], [3.0, 4.0]], "parquet", f"row 2, {TWO}, found None among 2"),
        ([["1", "2"], ["a", "4"], ["3", "4"]], "parquet", f"row 2, {TWO}, found a among 2"),
        ([[[1.0]], [[1.0]], [[1.0]]], "parquet", "expected vectors, found the type List(List(Float64))"),
        ([True, False, True], "parquet", "expected vectors, found the type Boolean"),
        (["1|2", "1|x", "3|4"], "csv", f"items.csv: row 3, {TWO}, found '1|x'"),
        (["1|2", "1|2|3", "3|4"], "csv", f"items.csv: row 3, {TWO}, found '1|2|3'"),
        (["1|2", "1|1e99", "3|4"], "csv", f"items.csv: row 3, {TWO}, found '1|1e99'"),
    ],
)  # fmt: skip
def test_what_is_no_vector_is_told_by_file_row_and_column(tmp_path, cells, form, told):
    with pytest.raises(InputError) as error:
        read(tmp_path, cells, form=form)
    assert told in str(error.value)


def test_the_log_tells_no_vectors(tmp_path):
    with pytest.raises(InputError, match=r"data.items.columns.emb.how: last is of kind .*, found vector"):
        read(tmp_path, [[1.0], [1.0], [1.0]], {"kind": "vector", "how": "last"})


def test_the_log_has_no_vectors_as_context(tmp_path):
    pl.DataFrame({"user": ["a"], "item": ["x"], "time": [1_600_000_000], "e": ["1|2"]}).write_csv(tmp_path / "log.csv")
    columns = {"user": "user", "item": "item", "time": "time", "e": {"kind": "vector"}}
    spec = DataSpec.model_validate({"events": {"path": "log.csv", "columns": columns}})
    with pytest.raises(InputError, match=r"data.events.columns.e: vectors are attributes, in \[data.items\]"):
        load(spec, tmp_path)


numbers = st.floats(-1e6, 1e6, width=32)


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda d: st.lists(st.none() | st.lists(numbers, min_size=d, max_size=d), max_size=8)))
def test_a_frame_and_back_keeps_every_number(rows):
    ids = Vocab([f"i{n}" for n in range(len(rows))])
    frame = pl.DataFrame({"item": ids.ids, "emb": rows}, {"item": pl.String, "emb": pl.List(pl.Float32)})
    table = Table.of(frame, "item", {"emb": "vector"}, ids)
    again = Table.of(table.frame("item", ids.ids), "item", {"emb": "vector"}, ids)
    assert table.frame("item", ids.ids)["emb"].to_list() == rows
    np.testing.assert_array_equal(table.vectors["emb"].values, again.vectors["emb"].values)
    np.testing.assert_array_equal(table.vectors["emb"].known, again.vectors["emb"].known)
    values, known = table.vectors["emb"].of(np.array([-1, len(rows), *range(len(rows))]))
    assert not known[:2].any()
    assert not values[:2].any()
    np.testing.assert_array_equal(values[2:], table.vectors["emb"].values)


def test_vectors_of_several_lengths_are_refused_wherever_they_come_from():
    frame = pl.DataFrame({"item": ["a", "b"], "emb": [[1.0], [1.0, 2.0]]})
    with pytest.raises(InputError, match=r"column emb: expected vectors of one length .*, found lengths \[1, 2\]"):
        Table.of(frame, "item", {"emb": "vector"}, Vocab(["a", "b"]))
