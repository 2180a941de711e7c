"""A file as a lazy table of its raw cells, whatever it is written in; nothing of it is held in memory here."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources import _broken as lines
from shortlist.data.sources._query import answered
from shortlist.data.spec import FileSpec

ROW = "_row"
WIDE = "_wide"
CHUNK = 1 << 20
PACKED = {b"\x28\xb5\x2f\xfd": "zstandard", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "a zip or Excel file"}
"""First bytes of what is no text; gzip is unpacked."""
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""First bytes of text that is not UTF-8."""
SEPARATOR_LINE = re.compile(rb"^(?:\xef\xbb\xbf)?sep=(.)\r?\n", re.IGNORECASE)
"""What Excel writes above a table."""


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
    text: Path | None = None
    """A text file, or its copy in UTF-8."""


def scan(spec: FileSpec, root: Path | None, scratch: Path) -> Scan:
    """Opens the file of ``spec``; a converted copy goes to ``scratch``, which must outlive the scan.

    Raises ``InputError`` when the file is missing, empty or not in the format stated.
    """
    path = None if "://" in spec.path else located(spec, root)
    if path is not None and path.stat().st_size == 0:
        raise InputError(f"{spec.path}: expected a table, found an empty file")
    if form(spec) == "sql":
        table, digest = answered(spec, path)
        return Scan(table.lazy().with_row_index(ROW, offset=1), tuple(table.columns), spec.path, digest)
    assert path is not None
    digest = _digest(path)
    if form(spec) == "parquet":
        frame, text = pl.scan_parquet(path, glob=False).with_row_index(ROW, offset=1), None
    else:
        text = _utf8(spec, path, scratch)
        frame = _csv(spec, text)
    try:
        names = tuple(name for name in frame.collect_schema().names() if name not in (ROW, WIDE))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, text) from None
    return Scan(frame, names, spec.path, digest, text)


def mended(found: Scan, spec: FileSpec, scratch: Path) -> Scan:
    """The scan of a copy in which no line stops the reader: each that is no row lacks what a row must have."""
    assert found.text is not None
    with opened(found.text) as file:
        copy = lines.mended(file, spec, list(found.names), scratch / f"{len(list(scratch.iterdir()))}.csv")
    return replace(found, frame=_csv(spec, copy), text=copy)


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


def _utf8(spec: FileSpec, path: Path, scratch: Path) -> Path:
    """The file, or a copy of it in UTF-8; raises ``InputError`` if it is packed otherwise than the recipe says."""
    with path.open("rb") as file:
        first = file.read(8)
    packed = first.startswith(b"\x1f\x8b")
    if spec.compression == "gzip" and not packed:
        raise InputError(f"{spec.path}: expected gzip as the recipe says, found a file that is not compressed")
    if spec.compression == "none" and packed:
        raise InputError(f"{spec.path}: expected no compression as the recipe says, found gzip")
    for mark, name in PACKED.items():
        if first.startswith(mark):
            raise InputError(
                f"{spec.path}: expected text or gzip, found {name}; unpack it, or write it as csv or Parquet"
            )
    if first.startswith(b"PAR1"):
        raise InputError(f'{spec.path}: expected text, found Parquet; say format = "parquet"')
    codec = _codec(spec)
    with opened(path) as text:
        mark = text.read(2)
    if codec == "utf-8" and mark in MARKS:
        raise InputError(
            f'{spec.path}: row 1: expected utf-8 text, found {MARKS[mark]}; say encoding = "{MARKS[mark]}"'
        )
    return path if codec == "utf-8" else _recoded(spec, path, scratch)


def _csv(spec: FileSpec, path: Path) -> pl.LazyFrame:
    header = spec.names is None if spec.header is None else spec.header
    above = _separator_line(spec, path)
    if len(spec.separator.encode()) > 1:
        return _lines(spec, path, header)
    try:
        frame = pl.scan_csv(
            path,
            separator=spec.separator,
            quote_char=spec.quote or None,
            has_header=header,
            infer_schema=False,
            empty_string_is_null=True,
            row_index_name=ROW,
            row_index_offset=above + (2 if header else 1),
            skip_lines=above,
            glob=False,
        )
        found = frame.collect_schema().names()[1:]
    except pl.exceptions.NoDataError:
        raise InputError(f"{spec.path}: expected a table, found an empty file") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explained(error, spec, path) from None
    if header and any(name != name.strip() for name in found):  # "user, item": so it will be below
        cells = [pl.col(name).str.strip_chars() for name in found]
        frame = frame.with_columns(pl.when(cell != "").then(cell) for cell in cells)
    return frame.rename(dict(zip(found, _names(spec, [name.strip() for name in found], header), strict=True)))


def _separator_line(spec: FileSpec, path: Path) -> int:
    """1 if the file begins with Excel's ``sep=;``, which is no row, else 0."""
    with opened(path) as file:
        match = SEPARATOR_LINE.match(file.read(16))
    if match is None:
        return 0
    said = match[1].decode("latin-1")
    if said != spec.separator:
        raise InputError(f"{spec.path}: row 1 says that the separator is {said!r}, the recipe {spec.separator!r}")
    return 1


def _lines(spec: FileSpec, path: Path, header: bool) -> pl.LazyFrame:
    """Lines split at a separator of several characters; streams, with no quoting."""
    lines = pl.scan_lines(path, name="line", row_index_name=ROW, row_index_offset=1, glob=False)
    try:
        with opened(path) as file:
            first = file.readline().decode(errors="replace").rstrip("\r\n")
    except (OSError, EOFError) as error:
        raise explained(error, spec, path) from None
    if not first:
        raise InputError(f"{spec.path}: expected a table, found an empty file")
    cells = first.removeprefix("\ufeff").split(spec.separator)
    found = [cell.strip() for cell in cells] if header else [f"column_{n}" for n in range(1, len(cells) + 1)]
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
    )


def _names(spec: FileSpec, found: list[str], header: bool) -> list[str]:
    if spec.names is None:
        return found if header else [f"column_{n}" for n in range(1, len(found) + 1)]
    if len(spec.names) != len(found):
        raise InputError(f"{spec.path}: expected the {len(spec.names)} columns of names, found {len(found)} in row 1")
    return spec.names


def _codec(spec: FileSpec) -> str:
    try:
        name = codecs.lookup(spec.encoding).name
    except LookupError:
        raise InputError(f"{spec.path}: encoding {spec.encoding!r} is not one Python knows") from None
    return "utf-8" if name == "utf-8-sig" else name


def _recoded(spec: FileSpec, path: Path, scratch: Path) -> Path:
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


def explained(error: Exception, spec: FileSpec, text: Path | None) -> InputError:
    """The place in the text file ``text`` that made polars give up, in one line."""
    message = str(error).strip().split("\n")[0]
    if text is not None:
        try:
            with opened(text) as file:
                header = next(iter(file), b"").decode(errors="replace").rstrip("\r\n")
                names = spec.names or [
                    name.strip(" \ufeff" + (spec.quote or "")) for name in header.split(spec.separator)
                ]
            with opened(text) as file:
                fault = next((row for row in lines.rows(file, spec, names) if row.fault), None)
        except (OSError, EOFError) as broken:
            fault, message = None, str(broken)
        if fault is not None:
            told = fault.fault if "is it encoding" in fault.fault else f"{fault.fault}: {shortened(fault.text)!r}"
            return InputError(f"{spec.path}: row {fault.number}: {told}")
    return InputError(f"{spec.path}: cannot be read: {message}")


def shortened(text: str, width: int = 80) -> str:
    """At most ``width`` characters of a text."""
    return text if len(text) <= width else text[: width - 3] + "..."


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
