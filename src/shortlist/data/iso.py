"""Moments as ISO 8601 has them and as databases and languages write them: one reader for files, drafts and options."""

from __future__ import annotations

import polars as pl

_DAY = r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{4})(\d\d)(\d\d)|(\d{4}-?W\d\d-?[1-7])|(\d{4}-\d{3})"
_CLOCK = r"(?:[Tt]| +)(\d{1,2}):?(?:(\d\d)(?::?(\d\d))?)?(?:[.,](\d+))?"
_ZONE = r"(?: ?([Zz]|UTC|GMT)| ?([+\-−])(\d\d):?(\d\d)?(?::?(\d\d))?(?: UTC)?)?(?:\[[\w/+\-]+\])?"
_WRITTEN = rf"^(?:(?:{_DAY})(?:{_CLOCK})?{_ZONE}|(\d{{4}}-\d\d))$".replace(r"\d", "[0-9]")
_DAYS, _WEEK, _ORDINAL, _CLOCKED, _SIGN, _OFFSET, _MONTH = range(1, 7), 7, 8, range(9, 13), 14, range(15, 18), 18
EXPECTED = "an ISO 8601 time (2024-05-31 or 2024-05-31T12:00:00Z)"
DAY = 86_400_000_000


def micro(cells: pl.Series) -> pl.Series:
    """[n] Int64 microseconds since 1970 UTC of texts, null where one is no moment; without a zone it is UTC.

    Read are days (``2024-01-05``, ``2024-W01-5``, ``2024-005``, ``2024-01``), alone or with a time of day behind T, t
    or a blank, down to any component (``10``, ``10:00``, ``10:00:00.5``; the last may have a fraction behind a point or
    a comma), with or without a zone (Z, z, UTC, GMT, ``+01``, ``+0530``, ``+05:30``, also behind a blank), and all of
    it in the basic form (``20240105T100000Z``). Digits beyond the microsecond are cut off.
    """
    cells = cells.cast(pl.String).str.strip_chars()
    value = _commonest(cells)
    rest = (value.is_null() & cells.is_not_null()).arg_true()
    return value.scatter(rest, _parsed(cells.gather(rest))) if len(rest) else value


def _commonest(cells: pl.Series) -> pl.Series:
    """Microseconds where a text is a day and seconds behind a blank or a T, which polars reads far quicker."""
    at = cells.str.slice(10, 1).first() or " "
    form = "%Y-%m-%dT%H:%M:%S" if at == "T" else "%Y-%m-%d %H:%M:%S"
    return cells.str.to_datetime(form, time_unit="us", strict=False).dt.epoch("us")


def _parsed(cells: pl.Series) -> pl.Series:
    parts = cells.str.extract_groups(_WRITTEN).struct
    part = {int(name): parts.field(name) for name in parts.fields}
    frame = pl.DataFrame(
        {
            "day": _days(part),
            **{f"c{n}": part[g] for n, g in enumerate(_CLOCKED)},
            "sign": part[_SIGN],
            **{f"o{n}": part[g] for n, g in enumerate(_OFFSET)},
        }
    )
    number = {name: pl.col(name).cast(pl.Int64) for name in ("c0", "c1", "c2", "o0", "o1", "o2")}
    hour, minute, second = (number[name].fill_null(0) for name in ("c0", "c1", "c2"))
    seconds, minutes = pl.col("c2").is_not_null(), pl.col("c1").is_not_null()
    unit = pl.when(seconds).then(1_000_000).when(minutes).then(60_000_000).otherwise(3_600_000_000)
    fraction = (pl.lit("0.") + pl.col("c3")).cast(pl.Float64).fill_null(0)
    offset = sum((number[f"o{n}"].fill_null(0) * size for n, size in enumerate((3600, 60, 1))), pl.lit(0))
    ahead = pl.when(pl.col("sign") == "+").then(offset).otherwise(-offset)
    clock = hour * 3600 + minute * 60 + second
    # 24:00 is the end of a day and 23:59:60 a leap second: both are the moment after.
    sound = (clock <= 86_400) & (minute < 60) & (second <= 60) & (number["o1"].fill_null(0) < 60)
    # The digits as a whole number: .999999 as a float times a million is a little less than it says.
    exact = pl.when(unit == 1_000_000).then(pl.col("c3").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64))
    part_of_unit = exact.fill_null((fraction * unit).floor().cast(pl.Int64))
    value = pl.col("day") * DAY + (clock - ahead) * 1_000_000 + part_of_unit
    return frame.select(pl.when(sound & (number["o0"].fill_null(0) < 24)).then(value).alias("")).to_series()


def _days(part: dict[int, pl.Series]) -> pl.Series:
    """[n] Int64 days since 1970, null where there is no such day."""
    frame = pl.DataFrame({f"g{g}": part[g] for g in (*_DAYS, _WEEK, _ORDINAL, _MONTH)})
    year, month, day = (pl.coalesce(f"g{g}", f"g{g + 3}") for g in _DAYS[:3])
    written = pl.concat_str([year, month.str.zfill(2), day.str.zfill(2)], separator="-")
    week = pl.col(f"g{_WEEK}").str.replace_all("-", "")
    whole = pl.coalesce(
        written.str.to_date("%Y-%m-%d", strict=False),
        (pl.col(f"g{_MONTH}") + "-01").str.to_date("%Y-%m-%d", strict=False),
        week.str.to_date("%GW%V%u", strict=False),
        pl.col(f"g{_ORDINAL}").str.to_date("%Y-%j", strict=False),
    )
    return frame.select(whole.cast(pl.Int32).cast(pl.Int64)).to_series()


def moment(text: str) -> int | None:
    """One text as ``micro`` reads it."""
    value: int | None = micro(pl.Series([text], dtype=pl.String)).item()
    return value
