"""A look at the beginning of a file nobody has described: how it is written, and what its cells look like."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources import _broken as broken
from shortlist.data.sources._convert import as_text
from shortlist.data.sources._scan import SEPARATOR_LINE, opened
from shortlist.data.sources._times import dated, is_iso
from shortlist.data.spec import FileSpec

BYTES = 1 << 20
ROWS = 20_000
SEPARATORS = ("::", "\t", ",", ";", "|", "\x01")
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
ABSENT = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N", "?"}
YEAR_1990, YEAR_2100 = 6.3e8, 4.1e9
TIME_FORMATS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%b-%Y",
    "%d-%m-%Y",
    "%b %d, %Y",
    "%m %d, %Y",
)


@dataclass(frozen=True, slots=True)
class Look:
    """The first rows of a file as text, and how it is written."""

    path: Path
    format: str  # csv or parquet
    separator: str
    header: bool
    encoding: str
    columns: dict[str, list[str]]  # cells, "" where there is none; a list as JSON
    quote: str = '"'

    def filled(self, name: str) -> list[str]:
        """The cells of a column that say something."""
        return [cell for cell in self.columns[name] if cell not in ABSENT]


def look(path: Path) -> Look:
    """Reads at most ``BYTES`` of text or ``ROWS`` rows; raises ``InputError`` for a file that is missing or empty."""
    if not path.is_file():
        raise InputError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            frame = pl.read_parquet(path, n_rows=ROWS)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
        columns = {column.name: _shown(column) for column in frame}
        return Look(path, "parquet", ",", True, "utf-8", columns)
    try:
        with opened(path) as file:
            content = file.read(BYTES)
            whole = not file.read(1)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    said = SEPARATOR_LINE.match(content)
    text, encoding = _decoded(content[said.end() :] if said else content)
    lines = text.splitlines() if whole else text.splitlines()[:-1]
    lines = [line for line in lines[: ROWS + 1] if line.strip()]
    if not lines:
        raise InputError(f"{path}: expected a table, found an empty file")
    separator = said[1].decode("latin-1") if said else max(SEPARATORS, key=lambda s: _regularity(lines[:500], s))
    quote = _quote(lines, separator)
    rows = _cells(lines, separator, quote)
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    rows = [row for row in rows if len(row) == width]
    header = _has_header(rows)
    names = [cell.strip() for cell in rows[0]] if header else [f"column_{n}" for n in range(1, width + 1)]
    body = rows[1:] if header else rows
    columns = {name: [row[place].strip() for row in body] for place, name in enumerate(names)}
    return Look(path, "csv", separator, header, encoding, columns, quote)


def _shown(column: pl.Series) -> list[str]:
    if column.dtype.is_nested():
        return ["" if cell is None else json.dumps(cell, default=str, ensure_ascii=False) for cell in column.to_list()]
    return column.to_frame("c").select(as_text(pl.col("c"), column.dtype).fill_null("")).to_series().to_list()


def _quote(lines: list[str], separator: str) -> str:
    """The quote character, or "" where quotes do not pair, so that they are no more than characters."""
    if len(separator) > 1 or not any('"' in line for line in lines):
        return '"'
    spec = FileSpec(path="", separator=separator)
    names = [""] * len(lines[0].split(separator))
    faults = (row.fault for row in broken.rows((f"{line}\n".encode() for line in lines), spec, names))
    return "" if any("a quote" in fault for fault in faults) else '"'


def _decoded(content: bytes) -> tuple[str, str]:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="ignore"), "utf-16"
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode(), "utf-8"
    except UnicodeDecodeError as error:
        if len(content) - error.start < 4 and len(content) == BYTES:  # a character cut in two by the end of the look
            return content[: error.start].removeprefix(b"\xef\xbb\xbf").decode(), "utf-8"
        return content.decode("latin-1"), "latin-1"


def _cells(lines: list[str], separator: str, quote: str = '"') -> list[list[str]]:
    if len(separator) > 1 or not quote:
        return [line.split(separator) for line in lines]
    return [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator) if row]


def _regularity(lines: list[str], separator: str) -> tuple[float, int]:
    """(share of lines with the commonest number of columns, that number); one column is no table."""
    try:
        widths = Counter(len(row) for row in _cells(lines, separator))
    except csv.Error:
        return 0.0, 0
    width, count = widths.most_common(1)[0]
    return (round(count / widths.total(), 2), width) if width > 1 else (0.0, 0)


def _has_header(rows: list[list[str]]) -> bool:
    """A first row of words above numbers or times, or of names a header would have."""
    first, rest = rows[0], rows[1:200]
    if any(is_number(cell) or is_iso(cell) for cell in first if cell):
        return False
    for place, _ in enumerate(first):
        cells = [row[place].strip() for row in rest if row[place].strip() not in ABSENT]
        if cells and sum(is_number(cell) or is_iso(cell) for cell in cells) > 0.8 * len(cells):
            return True
    return any(re.search(r"(^|_)(id|name|title|user|item|time|type)s?$", cell.strip().lower()) for cell in first)


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    return bool(NUMBER.match(cell))


def time_of(cells: list[str]) -> tuple[str | None, str | None] | None:
    """(unit, format) of cells that are times, both None for ISO 8601; None if they are not times."""
    if not cells:
        return None
    if sum(map(is_iso, cells)) > 0.99 * len(cells):
        return None, None
    if all(is_number(cell) for cell in cells):
        numbers = sorted(float(cell) for cell in cells)
        middle = numbers[len(numbers) // 2]
        for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
            if YEAR_1990 * factor <= middle <= YEAR_2100 * factor:
                return unit, None
    if (form := dated(cells)) and len(cells[0]) >= 8:  # years and months alone are rather numbers
        return None, form
    series = pl.Series(cells[:500])
    for form in TIME_FORMATS:
        parsed = series.str.to_datetime(form, strict=False) if "%H" in form else series.str.to_date(form, strict=False)
        if not parsed.null_count() and parsed.dt.year().is_between(1800, 2100).all():
            return None, form
    return None
