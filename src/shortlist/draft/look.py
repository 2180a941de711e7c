"""A look at the beginning of a file nobody has described: how it is written, and what its cells look like."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data import iso
from shortlist.data.sources._convert import NO_NUMBER, calendar, shown
from shortlist.data.sources._faults import readable
from shortlist.data.sources._lists import WRITTEN, entries
from shortlist.data.sources._packed import beginning
from shortlist.data.sources._scan import FAILED, ROW, WIDE, Scan, again, explained, form, scan, top, written
from shortlist.data.spec import FileSpec

ROWS = 20_000
SEPARATORS = ("::", "\t", ",", ";", "|", "\x01")
BLANK = " "
"""It separates cells only where nothing else does: texts are full of it."""
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
ABSENT = {"", *NO_NUMBER, "?"}
YEAR_1990, YEAR_2100 = 6.3e8, 4.1e9
_BRACKETS = re.compile(r'"?(?:[A-Za-z_][\w.]*|\[\d+:\d+\]=)?(?:\[.*\]|\{.*\}|\(.*\)|[\[{(]+.*[\]})]+)"?', re.S)
_QUOTED = re.compile(r"""["']""")
YEAR_1800 = -5_364_662_400_000_000
DAYS = (
    *("%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y%m%d"),
    *(
        "%b %d, %Y",
        "%m %d, %Y",
        "%d %b %Y",
        "%d %B %Y",
        "%B %d, %Y",
        "%d/%m/%y",
        "%m/%d/%y",
        "%d.%m.%y",
        "%Y年%m月%d日",
    ),
)
"""Days as people write them, the likelier first."""
CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M", "%H%M%S")
"""What may stand behind them."""
WHOLE = ("%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y")
"""Moments as programs write them."""


@dataclass(frozen=True, slots=True)
class Look:
    """The first rows of a file as text, and how it is written."""

    path: Path
    spec: FileSpec
    """How ``fit`` will read it; the encoding is that of the file."""
    columns: dict[str, list[str]]  # cells, "" where there is none
    nested: Mapping[str, pl.DataType] = field(default_factory=dict)
    """Columns whose cells are lists or objects in the file itself; here as text to be read by a person."""

    @property
    def header(self) -> bool:
        """Whether the file names its columns."""
        return self.spec.header is not False

    def filled(self, name: str) -> list[str]:
        """The cells of a column that say something, without blanks around them."""
        return [cell for cell in map(str.strip, self.columns[name]) if cell not in ABSENT]


def look(path: Path) -> Look:
    """Reads at most ``BYTES`` of text or ``ROWS`` rows, with the reader that ``fit`` has.

    Raises ``InputError`` for a file that is missing, empty or cannot be read.
    """
    spec = FileSpec(path=str(path))
    if form(spec) != "sql" and not path.is_file():
        raise InputError(f"{path}: expected a file, found {'a folder' if path.is_dir() else 'nothing'}")
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        if form(spec) == "sql":
            return _table(path, spec, scan(spec, None, Path(scratch)), Path(scratch))
        if form(spec) == "parquet":
            return _table(path, spec, written(spec, path, Path(scratch)), Path(scratch))
        text, encoding = beginning(path)
        part = Path(scratch) / "beginning.csv"
        part.write_text(text, encoding="utf-8", newline="")
        spec = _described(spec, part, text, Path(scratch))
        seen = _table(path, spec, written(spec, part, Path(scratch)), Path(scratch))
    return replace(seen, spec=spec.model_copy(update={"encoding": encoding}))


def sequences(path: Path) -> str | None:
    """What separates the cells of a file with a user a line, ``user item item ...``; None for any other file.

    Such lines differ in length, no first cell comes twice, and the others come again in other lines.
    """
    if form(FileSpec(path=str(path))) != "csv" or not path.is_file():
        return None
    lines = [line for line in beginning(path)[0].splitlines() if line.strip()][:2000]
    for separator in (" ", "\t", ","):
        cells = [line.split(separator) for line in lines]
        widths = {len(row) for row in cells}
        if len(cells) < 20 or len(widths) < 4 or min(widths) < 2:
            continue
        items = [item for row in cells for item in row[1:]]
        plain = all(cell and not re.search(r"[\s\"',;|]", cell) for row in cells for cell in row)
        alone = len({row[0] for row in cells}) == len(cells)
        if plain and alone and len(set(items)) < 0.9 * len(items):
            return separator
    return None


def _table(path: Path, spec: FileSpec, opened: Scan, scratch: Path) -> Look:
    """The first cells of an opened file."""
    schema, names = opened.frame.collect_schema(), opened.names
    try:
        frame = _head(opened, names)
    except FAILED as error:
        names = tuple(name for name in names if opened.text is None and readable(opened, name))
        if not names or len(names) == len(opened.names):
            raise _told(error, opened, spec, scratch) from None
        frame = _head(opened, names)  # without what cannot be read at all
    columns = {name: frame[name].fill_null("").to_list() for name in frame.columns}
    return Look(path, spec, columns, {name: schema[name] for name in frame.columns if schema[name].is_nested()})


def _head(opened: Scan, names: tuple[str, ...]) -> pl.DataFrame:
    schema = opened.frame.collect_schema()
    return opened.frame.head(ROWS).select(shown(name, schema[name]) for name in names).collect()


def _told(error: BaseException, opened: Scan, spec: FileSpec, scratch: Path) -> InputError:
    """The first row at fault in the words of ``fit``."""
    mended = again(opened, spec, scratch)
    if mended is None:
        return explained(error, spec, opened.text)
    row = mended.broken[0]
    column = "" if row.place is None else f", column {opened.names[row.place]}"
    return InputError(f"{spec.path}: row {row.row}{column}: {row.told}")


def _described(spec: FileSpec, part: Path, text: str, scratch: Path) -> FileSpec:
    """``spec`` with separator, quote and header as the beginning of the file has them."""
    above = top(spec, part)
    lines = [line.removesuffix("\r") for line in text.split(above.eol)]
    if above.lines and lines[above.lines - 1].strip('"').startswith("sep="):
        separator = above.separator
    else:
        body = [line for line in lines[above.lines : above.lines + 500] if line.strip()]
        separator = max(SEPARATORS, key=lambda s: _regularity(body, s))
        if _regularity(body, separator)[0] < 0.9 and _regularity(body, BLANK)[0] >= 0.9:
            separator = BLANK
    first: InputError | None = None
    for quote in ('"', ""):
        bare = spec.model_copy(update={"separator": separator, "quote": quote, "header": False})
        bare.model_fields_set.update({"separator", "header"} | ({"quote"} if not quote else set()))
        try:
            opened = written(bare, part, scratch)
            rows = opened.frame.head(ROWS).collect()
        except InputError as error:
            first = first or error
            continue
        except FAILED as error:
            first = first or _told(error, opened, bare, scratch)
            continue
        cells = [[(cell or "").strip() for cell in row] for row in rows.drop(ROW, WIDE, strict=False).rows()]
        rows_with_words = [row for row in cells if any(row)]
        return bare if not _has_header(rows_with_words) else bare.model_copy(update={"header": None})
    assert first is not None
    raise first


def _cells(lines: list[str], separator: str) -> list[list[str]]:
    if len(separator) > 1:
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
    if any(is_number(cell) or _is_time(cell) for cell in first if cell):
        return False
    for place, _ in enumerate(first):
        cells = [row[place].strip() for row in rest if row[place].strip() not in ABSENT]
        if cells and sum(is_number(cell) or _is_time(cell) for cell in cells) > 0.8 * len(cells):
            return True
    return any(re.search(r"(^|_)(id|name|title|user|item|time|type)s?$", cell.strip().lower()) for cell in first)


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    return bool(NUMBER.match(cell))


def time_of(cells: list[str]) -> tuple[str | None, str | None] | None:
    """(unit, format) of cells that are times, both None for ISO 8601; None if they are not times."""
    if not cells:
        return None
    numeric = all(is_number(cell) for cell in cells)
    if numeric:
        numbers = sorted(float(cell) for cell in cells)
        middle = numbers[len(numbers) // 2]
        dates = calendar(pl.Series(numbers)) if middle >= 1e7 else None  # 2024 and 202401 may be numbers
        if dates is not None:
            return None, dates
        for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
            if YEAR_1990 * factor <= middle <= YEAR_2100 * factor:
                return unit, None
        return None
    moments = iso.micro(pl.Series(cells)).drop_nulls()
    meant = moments.is_between(YEAR_1800, 1_000_000 * YEAR_2100).mean() if len(moments) else 0
    if len(moments) > 0.99 * len(cells) and meant and meant > 0.5:  # type: ignore[operator]
        return None, None
    forms = formats(cells)
    return (None, forms[0]) if forms else None


def formats(cells: list[str]) -> list[str]:
    """Every way in which all the cells can be read as times: two, where nothing tells the day from the month."""
    some = cells[:20]
    if not all(5 < len(cell) < 40 and re.search(r"\d", cell) for cell in some):
        return []
    likely = [day + clock for day in DAYS for clock in CLOCKS] + list(WHOLE)
    likely = [how for how in likely if _reads(how, some)]
    return [how for how in likely if _reads(how, cells)] if likely else []


def _reads(how: str, cells: list[str]) -> bool:
    """Whether all cells are moments written so, of years that can be meant."""
    series = pl.Series(cells, dtype=pl.String)
    clock = any(code in how for code in ("%H", "%I"))
    parsed = series.str.to_datetime(how, strict=False) if clock else series.str.to_date(how, strict=False)
    return not parsed.null_count() and bool(parsed.dt.year().is_between(1800, 2100).all())


def _is_time(cell: str) -> bool:
    return not is_number(cell) and iso.moment(cell) is not None


def list_of(cells: list[str]) -> tuple[dict[str, str] | None, str | None]:
    """How cells are written as lists in brackets, and what only their owner knows; twice None if they are no lists."""
    distinct = sorted(set(cells))
    if not distinct or not all(_BRACKETS.fullmatch(cell) for cell in distinct):
        return None, None
    how = {"kind": "list", "separator": WRITTEN}
    if all(entries(cell, WRITTEN) is not None for cell in distinct):
        bare = any("," in cell and not _QUOTED.search(cell) and re.search(r"[^\W\d]", cell) for cell in distinct)
        return how, "its names have no quotes: may one hold a comma?" if bare else None
    keys = sorted({key for cell in distinct for key in re.findall(r"""["'](\w+)["']\s*:""", cell)})
    names = [key for key in keys if all(entries(cell, WRITTEN, key) is not None for cell in distinct)]
    words = [
        key for key in names if not all(is_number(e) for cell in distinct for e in entries(cell, WRITTEN, key) or ())
    ]
    if len(words) == 1:
        return {**how, "field": words[0]}, None
    if names:
        return None, f'lists of objects: which field is the name, {" or ".join(names)}? (say field = "...")'
    return None, "looks like lists, but what they list cannot be told"
