"""The bytes of a text file that may be compressed, and files that are no text at all: told by how they begin."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from shortlist.component import InputError

BYTES = 1 << 20
"""How much of a text is looked at to tell how it is written."""

FOREIGN = {
    b"PAR1": 'a Parquet file; say format = "parquet"',
    b"SQLite format 3\0": 'an SQLite file; say format = "sql" and a query',
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save it as csv",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save it as csv",
    b"ARROW1": "an Arrow file; write it as Parquet",
    b"\x89HDF": "an HDF5 file; write it as Parquet",
    b"ORC": "an ORC file; write it as Parquet",
    b"Obj\x01": "an Avro file; write it as Parquet",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"Rar!": "a rar archive; unpack it",
    b"\x04\x22\x4d\x18": "a file packed with lz4; unpack it, or pack it with gzip",
    b"\xff\x06\x00\x00sNaPpY": "a file packed with snappy; unpack it, or pack it with gzip",
    b"\x1f\x9d": "a file packed with compress; unpack it, or pack it with gzip",
    b"\x80\x04\x95": "a pickle, which is never opened; write it as Parquet",
    b"\x80\x05\x95": "a pickle, which is never opened; write it as Parquet",
}
"""How files of other kinds begin, and what helps."""


def packing(path: Path) -> str:
    """gzip, bz2, xz, zstd, or none."""
    with path.open("rb") as file:
        start = file.read(10)
    if start[:3] == b"BZh" and start[4:] == b"1AY&SY":
        return "bz2"
    known = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    return next((name for magic, name in known.items() if start.startswith(magic)), "none")


def foreign(path: Path) -> str | None:
    """What a file is that is no text, and what helps; None if nothing says so."""
    with path.open("rb") as file:
        start = file.read(16)
    return next((what for magic, what in FOREIGN.items() if start.startswith(magic)), None)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked as its first bytes say; what is cut short raises ``OSError`` or ``EOFError``."""
    how = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open, "zstd": _zstd, "none": open}
    try:
        with how[packing(path)](path, "rb") as stream:  # type: ignore[operator]
            yield stream
    except (lzma.LZMAError, zlib.error, pa.ArrowException) as error:
        raise OSError(str(error)) from None


@contextmanager
def _zstd(path: Path, mode: str) -> Iterator[IO[bytes]]:
    with pa.OSFile(str(path), mode) as packed, pa.CompressedInputStream(packed, "zstd") as plain:
        yield cast(IO[bytes], io.BufferedReader(plain))


def beginning(path: Path) -> tuple[str, str]:
    """The first whole lines of a text file, and its encoding; raises ``InputError`` if it holds nothing."""
    if (other := foreign(path)) is not None:
        raise InputError(f"{path}: expected a csv, found {other}")
    try:
        with opened(path) as file:
            content = file.read(BYTES)
            whole = not file.read(1)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    text, encoding = _decoded(content)
    if not text.strip():
        raise InputError(f"{path}: expected a table, found an empty file")
    if not whole:
        end = max(text.rfind("\n"), text.rfind("\r"))
        text = text[: end + 1]
        while text.count('"') % 2 and text:  # the last line is in the middle of a quoted cell
            text = text[: text.rfind("\n", 0, -1) + 1]
    return text or "\n", encoding


def _decoded(content: bytes) -> tuple[str, str]:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="ignore"), "utf-16"
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode(), "utf-8"
    except UnicodeDecodeError as error:
        if len(content) - error.start < 4 and len(content) == BYTES:  # a character cut in two by the end of the look
            return content[: error.start].removeprefix(b"\xef\xbb\xbf").decode(), "utf-8"
        return content.decode("latin-1"), "latin-1"
