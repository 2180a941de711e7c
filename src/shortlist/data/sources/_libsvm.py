"""The libsvm format and its relatives as a table: ``label index:value ...``, with ``qid:n`` or with fields.

What the columns are follows from all lines together:

- ``field:index:value`` (libffm): a column a field; a category where a line has at most one index of it, each of value
  1, a list where it has several, a number where the field has one index alone;
- ``index:value`` with as many entries on every line, all of value 1 (libFM's one-hot): a category for each place;
- other ``index:value``: a number for each index, 0 where a line lacks it, or one list where all values are 1 and
  there are more than 1,000 of them.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.rows import RowsSpec
from shortlist.data.sources._scan import FAILED, ROW, Scan, digested, explained, located, shortened, utf8

MOST = 1_000
"""Indices that make columns of numbers at most."""
ENTRY = r"^(?:(\w+):)?([^\s:]+):([^\s:]+)$"
Kinds = dict[str, str]


def libsvm(spec: RowsSpec, root: Path | None, scratch: Path, like: Kinds | None = None) -> tuple[Scan, Kinds]:
    """The rows of the file with their columns' kinds: ``label``, where they are there ``qid``, then the features.

    ``like`` are the kinds of another file, whose columns this one is to have: entries of others are passed over.
    Raises ``InputError`` naming file and line.
    """
    path = located(spec, root)
    if path.stat().st_size == 0:
        raise InputError(f"{spec.path}: expected rows, found an empty file")
    lines = pl.scan_lines(utf8(spec, path, scratch), name="line", row_index_name=ROW, row_index_offset=1, glob=False)
    cells = pl.col("line").str.replace(r"#.*$", "").str.strip_chars().str.replace_all(r"\s+", " ").str.split(" ")
    try:
        rows = lines.with_columns(cells=cells).filter(pl.col("cells").list.get(0) != "").collect()
    except FAILED as error:
        raise explained(error, spec, path) from None
    entries = _entries(spec, rows)
    kinds = _kinds(spec, entries, rows.height) if like is None else {k: v for k, v in like.items() if k != "qid"}
    if like is not None:
        _as_many(spec, entries, kinds)
    table = rows.select(ROW, label=pl.col("cells").list.first())
    if entries["qid"].any():
        qid = entries.filter("qid").select(ROW, qid="value")
        table = table.join(qid.unique(ROW), on=ROW, how="left", maintain_order="left")
        kinds = {"qid": "category", **kinds}
    table = _columns(table, entries.filter(~pl.col("qid")), {k: v for k, v in kinds.items() if k != "qid"})
    names = tuple(name for name in table.columns if name != ROW)
    return Scan(table.lazy(), names, spec.path, digested(path)), kinds


def _entries(spec: RowsSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """row, field (null where there are none), index, value as text, its place in the line, and whether it is a qid."""
    parts = pl.col("entry").str.extract_groups(ENTRY)
    entries = (
        rows.select(ROW, entry=pl.col("cells").list.slice(1))
        .with_columns(place=pl.int_ranges(pl.col("entry").list.len()))
        .filter(pl.col("entry").list.len() > 0)
        .explode("entry", "place")
        .with_columns(parts.struct.rename_fields(["field", "index", "value"]).alias("parts"))
        .unnest("parts")
        .with_columns(qid=(pl.col("index") == "qid").fill_null(False))
    )
    wrong = entries.filter(pl.col("index").is_null()).head(1)
    if wrong.height:
        found = shortened(wrong["entry"][0])
        raise InputError(f"{spec.path}: row {wrong[ROW][0]}: expected index:value, found {found!r}")
    number = pl.col("value").cast(pl.Float64, strict=False)
    wrong = entries.filter(~pl.col("qid") & ~number.is_finite().fill_null(False)).head(1)
    if wrong.height:
        found = f"index {wrong['index'][0]}: expected a number, found {wrong['value'][0]!r}"
        raise InputError(f"{spec.path}: row {wrong[ROW][0]}, {found}")
    features = ~pl.col("qid")
    mixed = entries.filter(features)["field"].is_null()
    if mixed.any() and not mixed.all():
        row = entries.filter(features & (pl.col("field").is_null() != mixed[0]))[ROW][0]
        raise InputError(f"{spec.path}: row {row}: expected index:value or field:index:value throughout, found both")
    return entries


def _kinds(spec: RowsSpec, entries: pl.DataFrame, m: int) -> Kinds:
    """The features and what they are, in the order of their numbers."""
    features = entries.filter(~pl.col("qid"))
    if not features.height:
        raise InputError(f"{spec.path}: expected features (index:value), found none on any line")
    ones = bool((features["value"].cast(pl.Float64) == 1).all())
    if features["field"].null_count() == 0:
        several = features.group_by(ROW, "field").len().group_by("field").agg(pl.col("len").max())
        of = dict(several.iter_rows())
        told = features.group_by("field").agg(
            n=pl.col("index").n_unique(), one=(pl.col("value").cast(pl.Float64) == 1).all()
        )
        kinds = {}
        for field, n, one in told.iter_rows():
            if not one and n > 1:
                raise InputError(f"{spec.path}: field {field}: expected indices of value 1, or one index, found others")
            kinds[f"field_{field}"] = "number" if not one else "list" if of[field] > 1 else "category"
        return {name: kinds[name] for name in sorted(kinds, key=_natural)}
    counts = features.group_by(ROW).len()["len"]
    if ones and counts.n_unique() == 1 and counts.len() == m:
        return {f"field_{place}": "category" for place in range(1, counts[0] + 1)}
    indices = features["index"].unique().to_list()
    if len(indices) <= MOST:
        return {f"feature_{index}": "number" for index in sorted(indices, key=_natural)}
    if ones:
        return {"features": "list"}
    raise InputError(
        f"{spec.path}: {len(indices):,} indices of other values than 1 are too many for columns of numbers, of which "
        f"there are {MOST:,} at most; expected fields (field:index:value)"
    )


def _as_many(spec: RowsSpec, entries: pl.DataFrame, kinds: Kinds) -> None:
    """Raises ``InputError`` where places make the columns and a line has another number of them."""
    if not all(name.startswith("field_") for name in kinds) or entries["field"].null_count() < entries.height:
        return
    counts = entries.filter(~pl.col("qid")).group_by(ROW).len().sort(ROW)
    other = counts.filter(pl.col("len") != len(kinds)).head(1)
    if other.height:
        found = f"expected {len(kinds)} entries as in the other file, found {other['len'][0]}"
        raise InputError(f"{spec.path}: row {other[ROW][0]}: {found}")


def _columns(table: pl.DataFrame, entries: pl.DataFrame, kinds: Kinds) -> pl.DataFrame:
    """``table`` with a column for each of ``kinds``."""
    if list(kinds) == ["features"]:
        named = entries.with_columns(name=pl.lit("features"))
    elif entries["field"].null_count() < entries.height:
        named = entries.with_columns(name=pl.concat_str(pl.lit("field_"), "field"))
    elif any(name.startswith("field_") for name in kinds):
        first = pl.col("place").rank("dense").over(ROW)
        named = entries.with_columns(name=pl.concat_str(pl.lit("field_"), first.cast(pl.String)))
    else:
        named = entries.with_columns(name=pl.concat_str(pl.lit("feature_"), "index"))
    named = named.filter(pl.col("name").is_in(list(kinds)))
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    value = pl.col("value").cast(pl.Float64)
    wide = named.filter(pl.col("name").is_in(numbers)).with_columns(value)
    cells = wide.pivot("name", index=ROW, values="value", aggregate_function="last") if numbers else table.select(ROW)
    of = [pl.col("index").filter(pl.col("name") == name).alias(name) for name in kinds if name not in numbers]
    lists = named.group_by(ROW, maintain_order=True).agg(*of)
    table = table.join(cells, on=ROW, how="left", maintain_order="left")
    table = table.join(lists, on=ROW, how="left", maintain_order="left")
    for name, kind in kinds.items():
        if kind == "category":
            table = table.with_columns(pl.col(name).list.first())
        elif name not in table.columns:  # of a file that has none of them
            table = table.with_columns(pl.lit(None, pl.Float64).alias(name))
    zero = [pl.col(name).fill_null(0) for name in numbers if name.startswith("feature_")]  # what is not written is 0
    return table.with_columns(zero).select(*(name for name in table.columns if name not in kinds), *kinds)


def _natural(name: str) -> tuple[int, str]:
    digits = name.rpartition("_")[2]
    return (int(digits) if digits.isdigit() else 1 << 62, name)
