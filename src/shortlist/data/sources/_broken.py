"""Lines of a text file that are no rows: where they are, what is wrong with them, and the file without them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shortlist.data.spec import FileSpec

LONGEST = 100
"""Lines that a cell in quotes may reach over; a longer one was never meant to be one."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as text, and what is wrong with it ("" = nothing)."""

    number: int  # from 1, a row of several lines once, as the reader counts
    text: str
    fault: str


def rows(lines: Iterable[bytes], spec: FileSpec, names: list[str]) -> Iterator[Row]:
    """Every row of a file of the columns ``names``: bytes that are not UTF-8, quotes out of place, too many columns."""
    ahead: deque[bytes] = deque()
    source = iter(lines)
    quote = spec.quote or ""
    plain = not quote or len(spec.separator) > 1

    def following() -> bytes | None:
        return ahead.popleft() if ahead else next(source, None)

    number = 0
    while (line := following()) is not None:
        number += 1
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            found = line[error.start : error.end]
            fault = f'expected utf-8 text, found the bytes {found!r}; is it encoding = "latin-1"?'
            yield Row(number, _end(line.decode(errors="replace")), fault)
            continue
        if plain or quote not in text:
            width = len(_end(text).split(spec.separator))
            yield Row(number, _end(text), _too_many(width, names))
            continue
        width, astray, closed = _cells(_end(text), spec.separator, quote)
        if not closed:  # the cell may go on in the next lines
            taken: list[bytes] = []
            joined = text
            while not closed and len(taken) < LONGEST and (more := following()) is not None:
                taken.append(more)
                joined += more.decode(errors="replace")
                if quote in joined[-len(more) :]:
                    wide, wrong, closed = _cells(_end(joined), spec.separator, quote)
            if closed and wrong is None:
                text, width, astray = joined, wide, None
            else:  # this line alone is at fault
                ahead.extendleft(reversed(taken))
        if astray is None:
            yield Row(number, _end(text), _too_many(width, names))
            continue
        called = names[astray] if astray < len(names) else str(astray + 1)
        helps = 'quote = "" takes quotes as they are, filters.bad_rows = "drop" takes the row out'
        yield Row(number, _end(text), f"column {called}: a quote {quote} without its other; {helps}")


def mended(lines: Iterable[bytes], spec: FileSpec, names: list[str], copy: Path) -> Path:
    """A copy in which each row at fault is one cell, so that it lacks the others and is told as what it was."""
    quote = spec.quote or ""
    with copy.open("w", encoding="utf-8", newline="") as file:
        for row in rows(lines, spec, names):
            text = row.text
            if row.fault and (len(spec.separator) > 1 or not quote):
                text = text.replace(spec.separator, " ")
            elif row.fault:
                text = quote + text.replace(quote, 2 * quote) + quote
            file.write(text + "\n")
    return copy


def _end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _too_many(width: int, names: list[str]) -> str:
    return f"expected {len(names)} columns, found {width}" if width > len(names) else ""


def _cells(text: str, separator: str, quote: str) -> tuple[int, int | None, bool]:
    """(columns, the first whose quotes are out of place, whether the last one's quote closes)."""
    place = column = 0
    while True:
        if text.startswith(quote, place):
            end = place + 1
            while (end := text.find(quote, end)) >= 0 and text.startswith(quote, end + 1):
                end += 2
            if end < 0:
                return column + 1, column, False
            place = end + 1
            if place < len(text) and not text.startswith(separator, place):
                return column + 1, column, True
        else:
            end = text.find(separator, place)
            end = len(text) if end < 0 else end
            if text.count(quote, place, end) % 2:
                return column + 1, column, True
            place = end
        column += 1
        if place >= len(text):
            return column, None, True
        place += 1
