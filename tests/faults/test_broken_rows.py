"""Fault R10: a row that the fast reader cannot take is told by file, row and column, and can be dropped."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.component import InputError
from shortlist.data.raw import Raw
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec

HELPS = 'quote = "" takes quotes as they are, and filters.bad_rows = "drop" drops such rows'
DROP = {"filters": {"bad_rows": "drop"}}


def lines(n: int = 1_500) -> list[str]:
    return [f"u{k % 7},i{k % 11},{1_704_067_200 + k},n{k}" for k in range(n)]


def read(root: Path, rows: list[str], eol: str = "\n", header: str = "user,item,time,note", **how) -> Raw:
    content = eol.join([header, *rows, ""]).encode("utf-8", "surrogateescape")
    (root / "log.csv").write_bytes(gzip.compress(content) if how.pop("packed", False) else content)
    return load(DataSpec.model_validate({"events": {"path": "log.csv", **how}}), root)


def refused(root: Path, rows: list[str], **how) -> str:
    with pytest.raises(InputError) as error:
        read(root, rows, **how)
    assert "\n" not in str(error.value)
    return str(error.value)


STRAY = ['27" tv', '"27" tv', '"tv', '5" and 6" and 7"', '"tv" 27', '"a""b', '"']
"""Cells with quotes that neither open nor close them."""


@pytest.mark.parametrize("how", [{}, {"eol": "\r\n"}, {"packed": True}], ids=str)
@pytest.mark.parametrize("cell", STRAY)
def test_a_stray_quote_is_told_where_it_stands(tmp_path, cell, how):
    rows = lines()
    rows[100] = f"u1,{cell},1704067200,x"
    rows[700] = 'u1,30" tv,1704067200,x'
    rows[900] = 'u1,"a quoted, cell\nof two lines",1704067200,"and, more"'
    message = refused(tmp_path, rows, **how)
    assert message == (
        f"log.csv: row 102, column item (item): expected a quote only around a whole cell, found {cell!r}; {HELPS}"
    )
    raw = read(tmp_path, rows, **how, **DROP)
    assert raw.rejected.select("row", "reason", "text").rows() == [
        (102, "item: a quote inside", rows[100]),
        (702, "item: a quote inside", rows[700]),
    ]
    assert raw.events.height == 1_498
    assert raw.events["item"][898].replace("\r", "") == "a quoted, cell\nof two lines"
    assert raw.events["item"][899:].to_list() == [row.split(",")[1] for row in rows[901:]]


@pytest.mark.parametrize("cell", STRAY)
def test_without_quoting_quotes_are_text(tmp_path, cell):
    rows = lines(50)
    rows[30] = f"u1,{cell},1704067200,x"
    assert read(tmp_path, rows, quote="").events["item"][30] == cell


@pytest.mark.parametrize("cell", [*STRAY, "\udce9"])
def test_a_stray_quote_or_byte_in_a_column_nobody_named_changes_nothing(tmp_path, cell):
    rows = lines()
    rows[100] = f"u3,i3,1704067200,{cell}"
    rows[700] = f"u4,i4,1704067200,{cell}"
    expected = read(tmp_path, [row.rsplit(",", 1)[0] for row in rows], header="user,item,time").events
    raw = read(tmp_path, rows)
    assert raw.events.equals(expected)
    assert raw.rejected.is_empty()
    first = [",".join(reversed(row.split(",", 3))) for row in rows]  # the odd column before the others
    assert read(tmp_path, first, header="note,time,item,user").events.equals(expected)
    raw = read(tmp_path, [*first[:500], 'a "b,1704067200,i1,u1', *first[500:]], header="note,time,item,user")
    assert raw.events.height == 1_501


@pytest.mark.parametrize("separator", [",", "::", "\t"])
def test_a_row_with_too_many_cells_is_told_whoever_named_what(tmp_path, separator):
    rows = [row.replace(",", separator) for row in lines()]
    rows[100] = separator.join(["u1", "a", "b", "1704067200", "x"])
    header = separator.join(["user", "item", "time", "note"])
    message = refused(tmp_path, rows, header=header, separator=separator)
    assert message.startswith("log.csv: row 102: expected 4 columns, found ")
    raw = read(tmp_path, rows, header=header, separator=separator, **DROP)
    assert raw.events.height == 1_499
    assert raw.rejected.select("row", "reason").rows() == [(102, "more than 4 columns")]
    if separator == ",":
        assert raw.rejected["text"][0] == "u1,a,b,1704067200,x"


@pytest.mark.parametrize("separator", [",", "::"])
def test_bytes_that_are_no_utf8_are_told_and_dropped(tmp_path, separator):
    rows = [row.replace(",", separator) for row in lines()]
    rows[100] = separator.join(["u1", "caf\udce9", "1704067200", "x"])
    header = separator.join(["user", "item", "time", "note"])
    message = refused(tmp_path, rows, header=header, separator=separator)
    assert message.startswith("log.csv: row 102, column item (item): expected utf-8 text, found the bytes b'\\xe9'; ")
    assert 'is it encoding = "latin-1"?' in message
    raw = read(tmp_path, rows, header=header, separator=separator, **DROP)
    assert raw.rejected.select("row", "reason").rows() == [(102, "item: not utf-8")]
    assert raw.events.height == 1_499


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_rows_between_two_quotes_left_open_are_not_lost(tmp_path, eol):
    """A cell that begins with a quote and a later one that ends with one are a whole cell to any reader of csv."""
    rows = lines()
    rows[100] = 'u1,"tv,1704067200,x'
    rows[700] = 'u1,30",1704067200,x'
    message = refused(tmp_path, rows, eol=eol)
    assert message.startswith("log.csv: row 102, column item (item): expected a quote only around a whole cell")
    raw = read(tmp_path, rows, eol=eol, **DROP)
    assert raw.rejected["row"].to_list() == [102, 702]
    assert raw.events.height == 1_498


def test_a_text_of_several_lines_is_one_cell(tmp_path):
    review = "Good, it works\nBad: it is loud, heavy\n\nWould buy, again, and again\nYes"
    rows = lines(50)
    rows[20] = f'u1,i1,1704067200,"{review}"'
    columns = {name: name for name in ("user", "item", "time", "note")}
    assert read(tmp_path, rows, columns=columns).events["note"][20] == review


def test_a_catalogue_says_the_same(tmp_path):
    (tmp_path / "items.csv").write_text('item,title\ni1,27" tv\ni2,x\n')
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time,note", *lines(20)]) + "\n")
    items = {"path": "items.csv", "columns": {"title": "text"}}
    spec = DataSpec.model_validate({"events": {"path": "log.csv"}, "items": items})
    with pytest.raises(InputError, match=r"^items\.csv: row 2, column title \(title\): .* takes quotes as they are$"):
        load(spec, tmp_path)


CELL = st.text(st.sampled_from('a", \n5é'), min_size=1, max_size=6).filter(str.strip)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12), st.integers(0, 11))
def test_rows_well_written_are_read_as_python_writes_them_beside_one_that_is_not(tmp_path, cells, place):
    """Whatever stands in quotes stays what it is when the file has to be read row by row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for number, (item, note) in enumerate(cells):
        if number == min(place, len(cells) - 1):
            text.write('u0,27" tv,1,x\n')
        writer.writerow(["u1", item, "1704067200", note])
    (tmp_path / "log.csv").write_text("user,item,time,note\n" + text.getvalue())
    columns = {name: name for name in ("user", "item", "time", "note")}
    raw = load(DataSpec.model_validate({"events": {"path": "log.csv", "columns": columns, **DROP}}), tmp_path)
    assert raw.events.select("item", "note").rows() == cells
    assert raw.rejected["text"].to_list() == ['u0,27" tv,1,x']


@pytest.mark.parametrize("cell", ['x "y', "x\udcff"])
def test_a_fault_beyond_the_columns_is_the_rows(tmp_path, cell):
    text = f"user,item,time\na,x,1704067200\nb,y,1704067201,{cell}\nc,z,1704067202\n"
    (tmp_path / "log.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"^log\.csv: row 3: "):
        load(DataSpec.model_validate({"source": "tables", "events": {"path": "log.csv"}}), tmp_path)
