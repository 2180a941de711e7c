"""``[data.rows]``: a plain table of one's own for rankers, from a file to the rows to learn from and to test on."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.component import InputError
from shortlist.data.files import ColumnSpec
from shortlist.data.raw import REJECTED, PlainTable
from shortlist.data.rows import Cell, PartsSpec, RowsSpec
from shortlist.data.sources._convert import Converted, Wanted
from shortlist.data.sources._derive import Columns
from shortlist.data.sources._kinds import KINDS, is_number, told
from shortlist.data.sources._libsvm import Kinds, libsvm
from shortlist.data.sources._scan import FAILED, Scan, again, explained, listed, located, scan, shortened
from shortlist.data.sources.tables import Plan, column_wanted, read
from shortlist.data.spec import FilterSpec
from shortlist.progress import emit, step
from shortlist.types import Bool

LABEL, GROUP, PART, BY = "rows.label", "rows.group", "rows.split.column", "rows.split.by"
"""What a column of the file is beside, or instead of, a feature."""
SHARE = 0.2
Features = Mapping[str, ColumnSpec]


def load_rows(spec: RowsSpec, root: Path | None = None) -> PlainTable:
    """Reads ``[data.rows]``; relative paths are under ``root``.

    Raises ``InputError`` naming file, row and column for whatever cannot be read, a label that is not 0 and 1, or a
    part without rows.
    """
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch, step(f"reading {spec.path}", table="rows"):
        opened, kinds = _opened(spec, root, Path(scratch))
        features, left_out = _features(spec, _looked(spec, opened, root, Path(scratch)), kinds)
        train, shown, parts = _rows(spec, opened, features, root, Path(scratch))
        digest = opened.digest
        if spec.test is not None:
            other = spec.model_copy(update={"path": spec.test})
            again, _ = _opened(other, root, Path(scratch), kinds)
            test, _, more = _rows(other, again, features, root, Path(scratch))
            parts, digest = [*parts, *more], digest + again.digest
        else:
            held = _held(train, spec.split or PartsSpec(), spec.path)
            train, test = train.filter(~held), train.filter(held)
    found = set(train[spec.label].drop_nulls().unique())
    if found != {0, 1}:
        alone = f"{found.pop()} alone" if found else "no label"
        raise InputError(f"{spec.path}: column {spec.label} (label): expected 0 and 1 to learn from, found {alone}")
    named = {kind: [name for name, k in shown.items() if k == kind] for kind in KINDS}
    emit("columns", **{kind: listed(names) for kind, names in named.items() if names}, left_out=left_out)
    return PlainTable(
        train,
        test,
        spec.label,
        shown,
        hashlib.sha256(digest.encode()).hexdigest(),
        GROUP if spec.group is not None else None,
        left_out,
        pl.concat(parts) if parts else pl.DataFrame(schema=REJECTED),
    )


def _opened(spec: RowsSpec, root: Path | None, scratch: Path, like: Kinds | None = None) -> tuple[Scan, Kinds | None]:
    """The file, and where its format says it, of what kind its columns are."""
    return libsvm(spec, root, scratch, like) if spec.format == "libsvm" else (scan(spec, root, scratch), None)


def _looked(spec: RowsSpec, opened: Scan, root: Path | None, scratch: Path) -> Scan:
    """The file as one may look at all of it: mended, if a row is at fault, of which ``read`` will tell."""
    if opened.layout is None:
        return opened
    try:
        opened.frame.select(pl.all().is_null().any()).collect(engine="streaming")
    except FAILED as error:
        mended = again(opened, spec, scratch)
        if mended is None:
            raise explained(error, spec, located(spec, root)) from None
        return mended
    return opened


def _features(spec: RowsSpec, opened: Scan, kinds: Kinds | None) -> tuple[Features, dict[str, str]]:
    """The columns to learn from, and why the others are not; as the recipe names them, or by looking."""
    split = spec.split or PartsSpec()
    roles = {spec.label: "the label", spec.group: "the group", split.column: "the part", split.by: "the order"}
    for name in (spec.label, spec.group, split.column, split.by, *spec.without):
        if name is not None and name not in opened.names:
            raise InputError(f"{opened.label}: row 1: no column {name!r}; found {shortened(listed(opened.names), 200)}")
    if spec.columns:
        features = {}
        for name, how in spec.columns.items():
            column = ColumnSpec(kind=how) if isinstance(how, str) and how in KINDS else how
            if isinstance(column, str) or column.kind not in KINDS or column.how:
                found = column if isinstance(column, str) else "how" if column.how else column.kind
                raise InputError(f"data.rows.columns.{name}: expected category, list or number, found {found!r}")
            if spec.label in (name, column.column or name):
                raise InputError(f"data.rows.columns.{name}: is the label; expected columns to learn from")
            features[name] = column
        return features, {}
    left_out = {name: why for name, why in roles.items() if name is not None}
    left_out |= dict.fromkeys(spec.without, "as the recipe says")
    rest = [name for name in opened.names if name not in left_out]
    if kinds is not None:
        found_kinds = {name: kinds[name] for name in rest if name in kinds}
    else:
        found_kinds, why = told(opened, rest, spec.null_values)
        left_out |= why
    left_out.pop(spec.label)
    return {name: ColumnSpec(kind=kind) for name, kind in found_kinds.items()}, left_out


def _rows(
    spec: RowsSpec, opened: Scan, features: Features, root: Path | None, scratch: Path
) -> tuple[pl.DataFrame, dict[str, str], list[pl.DataFrame]]:
    """The rows of a file with what they are learned from, the kinds of that, and the rows not taken."""
    read_as = {name: column_wanted(name, how, how.kind, spec, opened, False) for name, how in features.items()}
    wanted = [replace(w, least=None, most=None) for w in read_as.values()]
    roles = {LABEL: (spec.label, "text"), GROUP: (spec.group, "id")}
    if spec.split is not None:
        by = spec.split.by
        kind = "order" if by is not None and is_number(_looked(spec, opened, root, scratch), by) else "time"
        roles |= {PART: (spec.split.column, "text"), BY: (by, kind)}
    for name, (column, kind) in roles.items():
        if column is not None:
            wanted.append(column_wanted(name, ColumnSpec(column=column), kind, spec, opened, name == BY))
    columns = Columns("data.rows", spec, wanted, opened)
    shown = {w.name: "category" if w.kind == "text" else w.kind for w in columns.shown if w.name not in roles}
    if not shown:
        found = f"columns to learn from, found {listed(opened.names)}"
        filled = opened.frame.select(pl.len()).collect().item()
        raise InputError(f"{opened.label}: expected {found if filled else 'rows, found none'}")
    columns.made.append((Wanted(spec.label, spec.label, "number"), _label(spec)))
    columns.hidden.append(LABEL)
    plan = Plan("rows", columns, FilterSpec(bad_rows=spec.bad_rows), [], set())
    frame, parts = read(spec, opened, plan, root, scratch)
    written = set(frame[spec.label].drop_nulls().unique())
    if written >= {-1, 0}:
        expected = "expected 1 and 0, or 1 and -1 (or say which cells mean 1: positive = ...)"
        raise InputError(f"{opened.label}: column {spec.label} (label): {expected}, found -1 and 0")
    return frame.with_columns(pl.col(spec.label).clip(0, 1)), shown, parts


def _label(spec: RowsSpec) -> Converted:
    """1, 0 or, where nothing else is said, -1 of the label's cells; missing where nothing is written."""
    cell = pl.col(LABEL).str.strip_chars()
    number = cell.cast(pl.Float64, strict=False)
    truth = cell.str.to_lowercase().replace_strict({"true": 1.0, "false": 0.0}, default=None)
    if spec.positive is None:
        value = pl.coalesce(number, truth)
        value = pl.when(value.is_in([-1.0, 0.0, 1.0])).then(value)
        expected = "1 or 0 (or say which cells mean 1: positive = ...)"
    else:
        cells: list[Cell] = spec.positive if isinstance(spec.positive, list) else [spec.positive]
        alike = [
            truth == float(one) if isinstance(one, bool) else cell == one if isinstance(one, str) else number == one
            for one in cells
        ]
        value = pl.when(cell.is_not_null()).then(pl.any_horizontal(*(test.fill_null(False) for test in alike)))
        expected = "a label"
    value = value.cast(pl.Int8)
    return Converted(value.alias(spec.label), value.is_null() & cell.is_not_null(), pl.lit(False), expected)


def _held(rows: pl.DataFrame, split: PartsSpec, label: str) -> pl.Series:
    """[m]: the rows to test on; raises ``InputError`` where these are all or none."""
    m = rows.height
    if split.column is not None:
        cells = split.test if isinstance(split.test, list) else [split.test or "test"]
        held: Bool = rows[PART].is_in(cells).fill_null(False).to_numpy()
        found = f"{split.column} has {shortened(listed(rows[PART].drop_nulls().unique().sort()))}"
        expected = f"rows with {listed(cells)} in {split.column} and others"
    elif split.by is not None:
        time, share = rows[BY].to_numpy(), split.share or SHARE
        cut = np.sort(time)[min(int(m * (1 - share)), m - 1)]
        held = time >= cut if (time < cut).any() else time > cut
        found, expected = "one value in all rows", f"several values in {split.by}"
    else:
        share = split.share or SHARE
        held = np.random.default_rng(split.seed).permutation(m) < round(share * m)
        found, expected = f"{m:,} rows", f"rows enough to hold {share:g} of them back"
    if held.all() or not held.any():
        raise InputError(f"{label}: data.rows.split: expected {expected}, found {found}")
    return pl.Series(held)


__all__ = ["load_rows"]
