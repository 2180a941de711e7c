"""A csv that the fast reader gives up on, row by row: which rows are at fault, and a copy that it can read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shortlist.data.sources._packed import opened

LONGEST = 10_000
"""A cell of more lines than this is taken for one whose quote was never closed."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that cannot be read as it stands."""

    row: int
    place: int | None  # number of the column, from 0; None = the row as such
    reason: str
    told: str
    """What was expected and found, and what helps."""
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a csv are written."""

    separator: str
    quote: str  # empty = none
    width: int  # columns
    first: int  # number of the first row after the header
    eol: str


SWALLOWED = 3
"""A cell of so many whole lines, each with as many cells as a row, is no cell: a quote was left open."""


def swallows(layout: Layout) -> str:
    """A pattern of cells that hold whole rows; "" if no cell can."""
    if not layout.quote or layout.width < 2:
        return ""
    s = re.escape(layout.separator)
    row = rf"(?:[^{s}\n]*{s}){{{layout.width - 1}}}[^{s}\n]*\n"
    return rf"^[^\n]*\n(?:{row}){{{SWALLOWED},}}[^\n]*$"


@dataclass(frozen=True, slots=True)
class Cells:
    """One row, cell by cell, as it is written."""

    cells: list[bytes]
    wrong: int | None  # the first cell with a quote that neither opens nor closes it
    unclosed: bool  # it may go on in the next line


def mended(path: Path, layout: Layout, copy: Path) -> list[Broken]:
    """Writes ``copy`` with every row readable and says which were not: their cells are taken as they stand."""
    broken = []
    with opened(path) as source, copy.open("wb") as target:
        lines = source if layout.eol == "\n" else (line + b"\n" for line in source.read().split(b"\r"))
        for row, record in enumerate(_records(lines, layout), 1):
            fault = _fault(row, record, layout) if row >= layout.first else None
            if fault is not None:
                broken.append(fault)
                record = _rewritten(record, layout)
            target.write(record)
    return broken


def _fault(row: int, record: bytes, layout: Layout) -> Broken | None:
    """What is wrong with a row, first of all with its bytes."""
    separator, quote = layout.separator.encode(), layout.quote.encode()
    if record.isascii() and not (quote and quote in record) and record.count(separator) < layout.width:
        return None
    found = _cells(record, layout)
    text = record.decode(errors="replace").rstrip("\r\n")
    for place, cell in enumerate(found.cells):
        if (told := undecodable(cell)) is not None:
            return Broken(row, _named(place, layout), "not utf-8", told, text)
    if found.wrong is not None:
        told = "expected a quote only around a whole cell, found "
        told += f'{_said(found.cells[found.wrong])!r}; quote = "" takes quotes as they are'
        return Broken(row, _named(found.wrong, layout), "a quote inside", told, text)
    if len(found.cells) > layout.width:
        told = f"expected {layout.width} columns, found {len(found.cells)}: {_said(record)!r}"
        return Broken(row, None, f"more than {layout.width} columns", told, text)
    return None


def _named(place: int, layout: Layout) -> int | None:
    """The place of a cell; None beyond the columns, where the row as a whole is at fault."""
    return place if place < layout.width else None


def undecodable(content: bytes) -> str | None:
    """What is said of bytes that are no UTF-8; None if they are."""
    try:
        content.decode()
    except UnicodeDecodeError as wrong:
        found = content[wrong.start : wrong.end]
        other = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        return f'expected utf-8 text, found the bytes {found!r}; is it encoding = "{other}"?'
    return None


def _rewritten(record: bytes, layout: Layout) -> bytes:
    """A row at fault so that it can be read: cells too many are cut, and quotes that stood alone are quoted."""
    found, quote = _cells(record, layout), layout.quote
    cells = [cell.decode(errors="replace") for cell in found.cells[: layout.width]]
    if quote:
        well = _closed(layout)
        plain = [quote not in cell or bool(well.fullmatch(cell.encode())) for cell in cells]
        quoted = [quote + cell.replace(quote, quote * 2) + quote for cell in cells]
        cells = [cell if fine else other for cell, other, fine in zip(cells, quoted, plain, strict=True)]
    return layout.separator.join(cells).encode() + b"\n"


def _records(lines: Iterable[bytes], layout: Layout) -> Iterator[bytes]:
    """Lines, or several where a cell in quotes goes over more than one."""
    waiting: deque[bytes] = deque()
    source = iter(lines)
    separator, quote = layout.separator.encode(), layout.quote.encode()

    def following() -> bytes:
        return waiting.popleft() if waiting else next(source, b"")

    while line := following():
        if not quote or quote not in line or not _cells(line, layout).unclosed:
            yield line
            continue
        more = [line]
        while len(more) < LONGEST and (line := following()):
            more.append(line)
            if line.count(quote) % 2:  # every quote so far may have its other one
                break
        joined = b"".join(more)
        whole = _cells(joined, layout)
        inside = [part.count(separator) == layout.width - 1 for part in more[1:-1]]
        if len(more) > 1 and whole.wrong is None and not (len(inside) >= SWALLOWED and all(inside)):
            yield joined
        else:
            yield more[0]
            waiting.extendleft(reversed(more[1:]))


def _cells(record: bytes, layout: Layout) -> Cells:
    separator, quote = layout.separator.encode(), layout.quote.encode()
    content = record.rstrip(b"\r\n")
    if not quote or quote not in content:
        return Cells(content.split(separator), None, False)
    closed, odd = _closed(layout), content.count(quote) % 2 == 1
    cells: list[bytes] = []
    wrong: int | None = None
    unclosed, place = False, 0
    while True:
        match = closed.match(content, place)
        if match is not None:
            end = match.end()
        else:
            end = content.find(separator, place)
            end = len(content) if end < 0 else end
            opens = content.startswith(quote, place)
            if opens or (odd and content.count(quote, place, end) % 2):
                wrong = len(cells) if wrong is None else wrong
                unclosed |= opens and content.count(quote, place) % 2 == 1
        cells.append(content[place:end])
        if end == len(content):
            return Cells(cells, wrong, unclosed)
        place = end + len(separator)


def _closed(layout: Layout) -> re.Pattern[bytes]:
    """A cell in quotes, up to the separator or the end."""
    s, q = re.escape(layout.separator.encode()), re.escape(layout.quote.encode())
    return re.compile(q + b"(?:[^" + q + b"]|" + q + q + b")*+" + q + b"(?=" + s + rb"|\Z)", re.DOTALL)


def _said(content: bytes) -> str:
    text = content.decode(errors="replace").rstrip("\r\n")
    return text if len(text) <= 80 else text[:77] + "..."
