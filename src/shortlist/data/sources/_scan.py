"""A file as a lazy table of its raw cells, whatever it is written in; nothing of it is held in memory here."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.sources._convert import shown
from shortlist.data.sources._packed import foreign, opened, packing
from shortlist.data.sources._rows import Broken, Layout, mended, undecodable
from shortlist.data.sources._sql import answered
from shortlist.data.spec import FileSpec

ROW = "\0row"  # no column of a file is called so
WIDE = "\0wide"
LINE = "\0line"
"""The line a row is written in, where several share one."""
CHUNK = 1 << 20
FAILED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What reading a file may raise."""


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
    """A csv as UTF-8."""
    layout: Layout | None = None
    """How its rows are written."""
    broken: tuple[Broken, ...] = ()
    """Rows that had to be mended."""


def scan(spec: FileSpec, root: Path | None, scratch: Path) -> Scan:
    """Opens the file of ``spec``; a converted copy goes to ``scratch``, which must outlive the scan.

    Raises ``InputError`` when the file is missing, empty or not in the format stated.
    """
    if form(spec) == "sql":
        return _sql(spec, root)
    path = located(spec, root)
    return written(spec, path, scratch, digested(path))


def written(spec: FileSpec, path: Path, scratch: Path, digest: str = "") -> Scan:
    """The table of ``path``, written as ``spec`` says, under the name that ``spec`` has for it; errors as ``scan``."""
    if path.stat().st_size == 0:
        raise InputError(f"{spec.path}: expected a table, found an empty file")
    if form(spec) == "parquet":
        scan = Scan(_parquet(spec, path), (), spec.path, digest)
    else:
        text = utf8(spec, path, scratch)
        frame, layout = _text(spec, text)
        scan = Scan(frame, (), spec.path, digest, text, layout)
    try:
        names = tuple(name for name in scan.frame.collect_schema().names() if name not in (ROW, WIDE))
    except FAILED as error:
        raise explained(error, spec, path) from None
    return replace(scan, names=names)


def again(opened: Scan, spec: FileSpec, scratch: Path) -> Scan | None:
    """A csv that polars gave up on, its rows at fault mended and listed; None if it is not for one of its rows."""
    if opened.text is None or opened.layout is None or opened.broken:
        return None
    copy = _new(scratch)
    try:
        broken = mended(opened.text, opened.layout, copy)
    except (OSError, EOFError) as error:
        raise InputError(f"{spec.path}: cannot be read: {error}") from None
    return replace(opened, frame=_text(spec, copy)[0], broken=tuple(broken)) if broken else None


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


def _parquet(spec: FileSpec, path: Path) -> pl.LazyFrame:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-min(4, path.stat().st_size), 2)
        end = file.read(4)
    if start != b"PAR1":
        raise InputError(
            f'{spec.path}: expected a Parquet file, found one that begins {start!r}; is it format = "csv"?'
        )
    if end != b"PAR1":
        raise InputError(f"{spec.path}: expected a Parquet file, found one that is cut short")
    return pl.scan_parquet(path, glob=False).with_row_index(ROW, offset=1)


def utf8(spec: FileSpec, path: Path, scratch: Path) -> Path:
    """The file, or a copy of it, in UTF-8 and packed at most as polars unpacks it."""
    if (other := foreign(path)) is not None:
        raise InputError(f"{spec.path}: expected a csv, found {other}")
    packed = packing(path)
    if spec.compression == "gzip" and packed != "gzip":
        found = "a file that is not compressed" if packed == "none" else packed
        raise InputError(f"{spec.path}: expected gzip as the recipe says, found {found}")
    if spec.compression == "none" and packed != "none":
        raise InputError(f"{spec.path}: expected no compression as the recipe says, found {packed}")
    if _codec(spec) == "utf-8" and packed in ("none", "gzip"):
        return path
    return _converted(spec, path, scratch)


def _text(spec: FileSpec, path: Path) -> tuple[pl.LazyFrame, Layout]:
    header = spec.names is None if spec.header is None else spec.header
    above = top(spec, path)
    first = above.lines + (2 if header else 1)
    if len(above.separator.encode()) > 1:
        frame, width = _lines(spec, path, header, above)
        return frame, Layout(above.separator, "", width, first, above.eol)
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
            row_index_offset=first,
            glob=False,
        )
        found = frame.collect_schema().names()[1:]
    except pl.exceptions.NoDataError:
        raise InputError(f"{spec.path}: expected a table, found an empty file") from None
    except FAILED as error:
        raise explained(error, spec, path) from None
    names = _names(spec, found, header)
    frame = frame.rename(dict(zip(found, names, strict=True))).with_columns(_unpadded(spec, found, names, header))
    return frame, Layout(above.separator, spec.quote or "", len(names), first, above.eol)


@dataclass(frozen=True, slots=True)
class Top:
    """What stands above the first row of a csv, and what its lines end in."""

    lines: int
    separator: str
    eol: str


def top(spec: FileSpec, path: Path) -> Top:
    """Blank lines, comments and the ``sep=;`` of spreadsheets, which counts where the recipe names no separator."""
    separator = spec.separator
    try:
        with opened(path) as file:
            text = file.read(CHUNK // 16).removeprefix(codecs.BOM_UTF8).decode(errors="replace")
    except (OSError, EOFError) as error:
        raise InputError(f"{spec.path}: cannot be read: {error}") from None
    if "\0" in text.split("\n", 1)[0]:
        raise InputError(f'{spec.path}: row 1: expected text, found bytes of zero; is it encoding = "utf-16"?')
    eol = "\n" if "\n" in text or "\r" not in text else "\r"
    lines = text.split(eol)
    passed = tuple([spec.comment] if spec.comment else [])
    starts = (n for n, line in enumerate(lines) if line.strip("\r") and not line.startswith(passed))
    blank = next(starts, len(lines) - 1)
    if said := re.fullmatch(r'"?sep=(.)"?\r?', lines[blank]):
        return Top(blank + 1, separator if "separator" in spec.model_fields_set else said[1], eol)
    return Top(blank, separator, eol)


def _unpadded(spec: FileSpec, found: list[str], names: list[str], header: bool) -> list[pl.Expr]:
    """Columns whose name has blanks around it in the file: it is written ``user, item``, and so are the cells."""
    padded = [name for cell, name in zip(found, names, strict=True) if header and cell != cell.strip()]
    cells = {name: pl.col(name).str.strip_chars() for name in padded}
    if spec.quote and len(spec.separator) == 1:  # a quote behind a blank is no quote to the parser
        quoted = rf"(?s)^{re.escape(spec.quote)}(.*){re.escape(spec.quote)}$"
        cells = {name: cell.str.replace(quoted, "${1}") for name, cell in cells.items()}
    return [pl.when(cell != "").then(cell).alias(name) for name, cell in cells.items()]


def _bare(name: str, quote: str | None) -> str:
    """The name of a column without blanks around it, and without quotes that a blank hid from the parser."""
    bare = name.strip()
    quoted = name != bare and quote and len(bare) > 1 and bare[0] == bare[-1] == quote
    return bare[1:-1] if quoted else bare


def _lines(spec: FileSpec, path: Path, header: bool, above: Top) -> tuple[pl.LazyFrame, int]:
    """Lines split at a separator of several characters; streams, with no quoting."""
    lines = pl.scan_lines(path, name="line", row_index_name=ROW, row_index_offset=1, glob=False).slice(above.lines)
    with opened(path) as file:  # polars would look further, and at bytes that may be wrong
        first = [file.readline() for _ in range(above.lines + 1)][-1]
    if not first:
        raise InputError(f"{spec.path}: expected a table, found an empty file")
    if (told := undecodable(first)) is not None:
        raise InputError(f"{spec.path}: row {above.lines + 1}: {told}")
    cells = first.decode().removeprefix("\ufeff").rstrip("\r\n").split(spec.separator)
    found = cells if header else [f"column_{n}" for n in range(1, len(cells) + 1)]
    names = _names(spec, found, header)
    if header:
        lines = lines.slice(1)
    parts = pl.col("line").str.split_exact(spec.separator, len(names)).struct.rename_fields([*names, WIDE])
    frame = (
        lines.with_columns(pl.col("line").str.strip_prefix("\ufeff"))
        .select(ROW, parts.alias("parts"))
        .unnest("parts")
        .with_columns(
            *(pl.when(pl.col(name) != "").then(pl.col(name)) for name in names), pl.col(WIDE).is_not_null().alias(WIDE)
        )
        .with_columns(_unpadded(spec, found, names, header))
    )
    return frame, len(names)


def _names(spec: FileSpec, found: list[str], header: bool) -> list[str]:
    if spec.names is None:
        if not header:
            return [f"column_{n}" for n in range(1, len(found) + 1)]
        names: list[str] = []
        for name in (_bare(cell, spec.quote) for cell in found):
            again = sum(name == _bare(other, spec.quote) for other in found[: len(names)])
            names.append(f"{name}_duplicated_{again - 1}" if again else name)  # as polars has it
        return names
    if len(spec.names) != len(found):
        raise InputError(f"{spec.path}: expected the {len(spec.names)} columns of names, found {len(found)} in row 1")
    return spec.names


def _codec(spec: FileSpec) -> str:
    try:
        codec = codecs.lookup(spec.encoding)
        "".encode(spec.encoding)  # hex and the like are codecs, but of no text
    except (LookupError, UnicodeError):
        raise InputError(f"{spec.path}: encoding {spec.encoding!r} is not one Python knows") from None
    return "utf-8" if codec.name == "utf-8-sig" else codec.name


def _new(scratch: Path) -> Path:
    return scratch / f"{len(list(scratch.iterdir()))}.csv"


def _converted(spec: FileSpec, path: Path, scratch: Path) -> Path:
    """A UTF-8 copy, made piece by piece."""
    copy = _new(scratch)
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


def explained(error: BaseException, spec: FileSpec, path: Path | None, label: str | None = None) -> InputError:
    """The place in the file that made polars give up, in one line; ``label`` names it where that is known."""
    message = (str(error).strip() or type(error).__name__).split("\n")[0]
    if path is not None and form(spec) == "csv" and re.search("utf-?8", message.lower()):
        try:
            with opened(path) as file:
                for number, line in enumerate(file, 1):
                    if (told := undecodable(line)) is not None:
                        return InputError(f"{spec.path}: row {number}: {told}")
        except (OSError, EOFError) as broken:
            message = str(broken)
    return InputError(f"{label or spec.path}: cannot be read: {message}")


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


def digested(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
