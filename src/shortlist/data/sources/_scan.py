"""A file as a lazy table of its raw cells, whatever it is written in; nothing of it is held in memory here."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._convert import shown
from shortlist.data.sources._sql import answered
from shortlist.data.spec import FileSpec

ROW = "\0row"  # no column of a file is called so
WIDE = "\0wide"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """Cells of one file."""

    frame: pl.LazyFrame
    """The file's columns (String for text formats) after ``ROW``, the 1-based line; ``WIDE`` marks too many fields."""
    names: tuple[str, ...]
    label: str
    """The file as messages name it."""
    digest: str
    """sha256 of its content."""


def scan(spec: FileSpec, root: Path | None, scratch: Path) -> Scan:
    """Opens the file of ``spec``; a converted copy goes to ``scratch``, which must outlive the scan.

    Raises ``InputError`` when the file is missing, empty or not in the format stated.
    """
    if form(spec) == "sql":
        return _sql(spec, root)
    path = located(spec, root)
    return written(spec, path, scratch, _digest(path))


def written(spec: FileSpec, path: Path, scratch: Path, digest: str = "") -> Scan:
    """The table of ``path``, written as ``spec`` says, under the name that ``spec`` has for it; errors as ``scan``."""
    if path.stat().st_size == 0:
        raise InputError(f"{spec.path}: expected a table, found an empty file")
    if form(spec) == "parquet":
        frame = pl.scan_parquet(path, glob=False).with_row_index(ROW, offset=1)
    else:
        frame = _csv(spec, path, scratch)
    try:
        names = tuple(name for name in frame.collect_schema().names() if name not in (ROW, WIDE))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, path) from None
    return Scan(frame, names, spec.path, digest)


def form(spec: FileSpec) -> str:
    """csv, parquet or sql."""
    if spec.format is not None:
        return spec.format
    if "://" in spec.path:
        return "sql"
    endings = {".parquet": "parquet", ".pq": "parquet", ".db": "sql", ".sqlite": "sql", ".sqlite3": "sql"}
    return endings.get(Path(spec.path).suffix.lower(), "csv")


def located(spec: FileSpec, root: Path | None) -> Path:
    """The path of the file; raises ``InputError`` if there is none."""
    path = Path(spec.path).expanduser()
    path = path if root is None or path.is_absolute() else Path(root) / path
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"{spec.path}: expected a file in {path.parent}, found {found}")
    return path


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it is gzip by its first two."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        yield stream  # type: ignore[misc]


def _csv(spec: FileSpec, path: Path, scratch: Path) -> pl.LazyFrame:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if spec.compression == "gzip" and not packed:
        raise InputError(f"{spec.path}: expected gzip as the recipe says, found a file that is not compressed")
    if spec.compression == "none" and packed:
        raise InputError(f"{spec.path}: expected no compression as the recipe says, found gzip")
    if _codec(spec) != "utf-8":
        path = _converted(spec, path, scratch)
    header = spec.names is None if spec.header is None else spec.header
    above = top(spec, path)
    if len(above.separator.encode()) > 1:
        return _lines(spec, path, header, above)
    try:
        frame = pl.scan_csv(
            path,
            separator=above.separator,
            quote_char=spec.quote or None,
            eol_char=above.eol,
            has_header=header,
            infer_schema=False,
            empty_string_is_null=True,
            skip_lines=above.lines,
            row_index_name=ROW,
            row_index_offset=above.lines + (2 if header else 1),
            glob=False,
        )
        found = frame.collect_schema().names()[1:]
    except pl.exceptions.NoDataError:
        raise InputError(f"{spec.path}: expected a table, found an empty file") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, path) from None
    names = _names(spec, found, header)
    return frame.rename(dict(zip(found, names, strict=True))).with_columns(_unpadded(found, names, header))


@dataclass(frozen=True, slots=True)
class Top:
    """What stands above the first row of a csv, and what its lines end in."""

    lines: int
    separator: str
    eol: str


def top(spec: FileSpec, path: Path) -> Top:
    """Blank lines and the line ``sep=;`` of spreadsheets, which counts where the recipe names no separator."""
    separator = spec.separator
    try:
        with opened(path) as file:
            text = file.read(CHUNK // 16).removeprefix(codecs.BOM_UTF8).decode(errors="replace")
    except (OSError, EOFError) as error:
        raise InputError(f"{spec.path}: cannot be read: {error}") from None
    eol = "\n" if "\n" in text or "\r" not in text else "\r"
    lines = text.split(eol)
    blank = next((n for n, line in enumerate(lines) if line.strip("\r")), len(lines) - 1)
    if said := re.fullmatch(r'"?sep=(.)"?\r?', lines[blank]):
        return Top(blank + 1, separator if "separator" in spec.model_fields_set else said[1], eol)
    return Top(blank, separator, eol)


def _unpadded(found: list[str], names: list[str], header: bool) -> list[pl.Expr]:
    """Columns whose name has blanks around it in the file: it is written ``user, item``, and so are the cells."""
    padded = [name for cell, name in zip(found, names, strict=True) if header and cell != cell.strip()]
    cells = [(name, pl.col(name).str.strip_chars()) for name in padded]
    return [pl.when(cell != "").then(cell).alias(name) for name, cell in cells]


def _lines(spec: FileSpec, path: Path, header: bool, above: Top) -> pl.LazyFrame:
    """Lines split at a separator of several characters; streams, with no quoting."""
    lines = pl.scan_lines(path, name="line", row_index_name=ROW, row_index_offset=1, glob=False).slice(above.lines)
    try:
        first = lines.head(1).collect()["line"].to_list()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, path) from None
    if not first:
        raise InputError(f"{spec.path}: expected a table, found an empty file")
    cells = first[0].removeprefix("\ufeff").split(spec.separator)
    found = cells if header else [f"column_{n}" for n in range(1, len(cells) + 1)]
    names = _names(spec, found, header)
    if header:
        lines = lines.slice(1)
    parts = pl.col("line").str.split_exact(spec.separator, len(names)).struct.rename_fields([*names, WIDE])
    return (
        lines.with_columns(pl.col("line").str.strip_prefix("\ufeff"))
        .select(ROW, parts.alias("parts"))
        .unnest("parts")
        .with_columns(
            *(pl.when(pl.col(name) != "").then(pl.col(name)) for name in names), pl.col(WIDE).is_not_null().alias(WIDE)
        )
        .with_columns(_unpadded(found, names, header))
    )


def _names(spec: FileSpec, found: list[str], header: bool) -> list[str]:
    if spec.names is None:
        if not header:
            return [f"column_{n}" for n in range(1, len(found) + 1)]
        names: list[str] = []
        for name in map(str.strip, found):
            again = sum(name == other.strip() for other in found[: len(names)])
            names.append(f"{name}_duplicated_{again - 1}" if again else name)  # as polars has it
        return names
    if len(spec.names) != len(found):
        raise InputError(f"{spec.path}: expected the {len(spec.names)} columns of names, found {len(found)} in row 1")
    return spec.names


def _codec(spec: FileSpec) -> str:
    try:
        name = codecs.lookup(spec.encoding).name
    except LookupError:
        raise InputError(f"{spec.path}: encoding {spec.encoding!r} is not one Python knows") from None
    return "utf-8" if name == "utf-8-sig" else name


def _converted(spec: FileSpec, path: Path, scratch: Path) -> Path:
    """A UTF-8 copy, made piece by piece."""
    copy = scratch / f"{len(list(scratch.iterdir()))}.csv"
    decoder = codecs.getincrementaldecoder(spec.encoding)()
    line = 1
    try:
        with opened(path) as source, copy.open("wb") as target:
            while chunk := source.read(CHUNK):
                text = decoder.decode(chunk)
                line += text.count("\n")
                target.write(text.encode())
            target.write(decoder.decode(b"", final=True).encode())
    except UnicodeDecodeError as error:
        line += bytes(error.object[: error.start]).count(b"\n")
        found = error.object[error.start : error.end]
        raise InputError(f"{spec.path}: row {line}: expected {spec.encoding} text, found the bytes {found!r}") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{spec.path}: cannot be read: {error}") from None
    return copy


def explained(error: Exception, spec: FileSpec, path: Path | None) -> InputError:
    """The place in the file that made polars give up, in one line."""
    message = str(error).strip().split("\n")[0]
    if path is not None and form(spec) == "csv":
        try:
            if "utf-8" in message.lower() or "utf8" in message.lower():
                with opened(path) as file:
                    for number, line in enumerate(file, 1):
                        try:
                            line.decode()
                        except UnicodeDecodeError as wrong:
                            found = line[wrong.start : wrong.end]
                            return InputError(
                                f"{spec.path}: row {number}: expected utf-8 text, found the bytes {found!r}; "
                                f'is it encoding = "latin-1"?'
                            )
            if "more fields" in message:
                return _too_wide(spec, path) or InputError(f"{spec.path}: {message}")
        except (OSError, EOFError) as broken:
            message = str(broken)
    return InputError(f"{spec.path}: cannot be read: {message}")


def _too_wide(spec: FileSpec, path: Path) -> InputError | None:
    with opened(path) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
        above = top(spec, path)
        for _ in range(above.lines):
            text.readline()
        if spec.quote:
            rows = csv.reader(text, delimiter=above.separator, quotechar=spec.quote)
        else:
            rows = csv.reader(text, delimiter=above.separator, quoting=csv.QUOTE_NONE)
        width = len(next(rows))
        for row in rows:
            if len(row) > width:
                return InputError(
                    f"{spec.path}: row {above.lines + rows.line_num}: expected {width} columns, found {len(row)}: "
                    f"{shortened(above.separator.join(row))!r}"
                )
    return None


def listed(names: Iterable[str]) -> str:
    """Names of columns in a line, in quotes where blanks would not be seen."""
    return ", ".join(name if name == name.strip() != "" else repr(name) for name in names)


def shortened(text: str, width: int = 80) -> str:
    """At most ``width`` characters of a text."""
    return text if len(text) <= width else text[: width - 3] + "..."


def _sql(spec: FileSpec, root: Path | None) -> Scan:
    table = answered(spec, None if "://" in spec.path else located(spec, root))
    digest = hashlib.sha256((spec.query or "").encode())
    for part in table.select(shown(name, dtype) for name, dtype in table.schema.items()).iter_slices(100_000):
        digest.update(part.write_csv().encode())
    return Scan(table.lazy().with_row_index(ROW, offset=1), tuple(table.columns), spec.path, digest.hexdigest())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
