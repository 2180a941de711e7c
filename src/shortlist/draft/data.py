"""Drafts a recipe from a look at files nobody has described: what ``shortlist init`` prints."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.draft.look import ABSENT, Look, is_number, list_of, look, time_of
from shortlist.data.doubts import times
from shortlist.data.sources._convert import Wanted, convert
from shortlist.data.sources._lists import entries
from shortlist.data.sources._scan import listed
from shortlist.types import Int64

WORDS = {
    "user": "user userid uid visitor visitorid customer customerid member memberid account person personid "
    "household householdid reviewerid reader readerid listener who sessionid session",
    "item": "item itemid iid movie movieid film filmid product productid sku asin parentasin article articleid song "
    "songid track trackid artist artistid book bookid isbn news newsid doc docid video videoid business what",
    "time": "time timestamp ts date datetime created createdat at unixreviewtime eventdate "
    "eventtime when transactiontimestamp timeframe",
    "event": "event eventtype behavior behaviour behaviortype action actiontype type interaction",
    "value": "value rating ratings score stars overall rate grade plays playcount dwell watchratio",
}
STRENGTHS = {
    1: "view pv click impression show read open visit play",
    2: "fav favorite favourite like wish wishlist save share follow",
    3: "cart addtocart add basket",
    5: "buy purchase order transaction pay checkout sale",
}
SECTIONS = """
[recall.item_cf]
type = "item_cf"

[recall.hot]
type = "popular"
half_life = "7d"

[fallback]
type = "popular"

[merge]
type = "quota"
k = 300

[[features]]
type = "channel"

[[features]]
type = "counts"

[rank]
type = "gbdt"

[[rules]]
type = "seen"

[evaluate]
requests = "replay"
k = [10, 50]
"""
"""What follows ``[data]`` in a draft: plain components that need nothing but a log."""
MARKS = 'null_values = ["", "?"]  # what is not known'
SCALE = 25  # more distinct values than this are no rating


def draft(
    events: Path | str,
    items: Path | str | None = None,
    users: Path | str | None = None,
    given: Mapping[str, str] | None = None,
) -> str:
    """A recipe in TOML that reads these files, with what was guessed said in comments.

    ``given`` names the columns that are known: role (``user``, ``item``, ``time``, ``event``, ``value``) -> column.
    Raises ``InputError`` if a file is missing or empty, or no column looks like the user, the item or the time.
    """
    log = look(Path(events))
    roles = _roles(log, given or {})
    name = re.sub(r"[^a-z0-9]+", "-", Path(events).name.split(".")[0].lower()).strip("-") or "draft"
    lines = [
        "# Drafted from a look at the first rows of the files: check [data], then run `shortlist fit` on this file.",
        f"name = {_toml(name)}",
        "seed = 7",
        "",
        "[data]",
        'source = "tables"',
        "split = { tune = 0.7, rank = 0.8, test = 0.9 }  # fractions of the events by time",
        *_positive(log, roles),
        "",
        "[data.events]",
        *_file(log, roles),
        *_log_columns(log, roles),
        *_strengths(log, roles),
    ]
    for table, path in (("items", items), ("users", users)):
        if path is not None:
            lines += ["", f"[data.{table}]", *_attributes(table[:-1], look(Path(path)), log, roles)]
    return "\n".join(lines) + "\n" + SECTIONS


def _roles(log: Look, given: Mapping[str, str]) -> dict[str, str]:
    """Which column is the user, item, time, event and value: as given, by its name, then by what it holds."""
    if not any(log.filled(name) for name in log.columns):
        raise InputError(f"{log.path}: expected events, found columns without rows: {listed(log.columns)}")
    for role, column in given.items():
        if column not in log.columns:
            raise InputError(f"{log.path}: no column {column!r} to be the {role}; found {listed(log.columns)}")
    roles = dict(given)
    plain = {name: re.sub(r"[^a-z0-9]", "", name.split(":")[0].lower()) for name in log.columns}
    for role, words in WORDS.items():
        for word in words.split() if role not in roles else ():  # the likelier word first
            named = next((n for n, p in plain.items() if p == word and n not in roles.values()), None)
            if named is not None and _fits(role, log, named):
                roles[role] = named
                break

    def rest() -> list[str]:
        return [name for name in log.columns if name not in roles.values() and log.filled(name)]

    for role in ("time", "event", "value"):
        if role not in roles and (role == "time" or not log.header):
            found = [name for name in rest() if _fits(role, log, name)]
            if found:
                roles[role] = found[-1]
    for role in ("user", "item"):
        partly = [name for name in rest() if log.header and role in plain[name]]
        ids = partly or [name for name in rest() if 1 < len(set(log.filled(name))) < len(log.columns[name])]
        if role not in roles and ids:
            roles[role] = ids[0]
    for role in ("user", "item", "time"):
        if role not in roles:
            raise InputError(
                f"{log.path}: no column looks like the {role}; found {listed(log.columns)}: "
                f'say which it is ({role} = "...", in a recipe under [data.events] columns)'
            )
    return roles


def _fits(role: str, log: Look, name: str) -> bool:
    cells = log.filled(name)
    if not cells:
        return False
    if role == "time":
        return time_of(cells) is not None
    if role == "value":
        numbers = all(is_number(cell) for cell in cells)
        if log.header:
            return numbers
        return numbers and len(set(cells)) <= SCALE and all(0 <= float(cell) <= 100 for cell in set(cells))
    if role == "event":
        return (
            len(set(cells)) <= SCALE
            and not any(is_number(cell) for cell in set(cells))
            and len(cells) > len(set(cells))
        )
    return True


def least_positive(values: Iterable[float]) -> float | None:
    """The rating from seven tenths of the scale on; None if the values are no rating scale."""
    scale = sorted(set(values))
    if not 1 < len(scale) <= SCALE:
        return None
    return next(value for value in scale if value >= scale[0] + 0.7 * (scale[-1] - scale[0]) - 1e-9)


def _positive(log: Look, roles: dict[str, str]) -> list[str]:
    if "event" in roles or "value" not in roles:
        return ["# positive = { buy = true }  # which events count as right; as it stands, every event does"]
    scale = {float(cell) for cell in log.filled(roles["value"]) if is_number(cell)}
    least = least_positive(scale)
    if least is None:
        return ["# positive = { rating = 1 }  # the values are no rating scale: say from where on they count as right"]
    span = f"{min(scale):g} to {max(scale):g}"
    return [f"positive = {{ rating = {least:g} }}  # ratings go from {span}; lower ones stay in the history"]


def _file(seen: Look, roles: dict[str, str] | None = None) -> list[str]:
    """How a file is written, in the words of ``FileSpec``."""
    lines, spec = [f"path = {_toml(str(seen.path))}  # relative to --data"], seen.spec
    if spec.separator != ",":
        lines.append(f"separator = {_toml(spec.separator)}")
    if spec.quote == "":
        lines.append('quote = ""  # quotes stand inside its cells, not around them')
    if not seen.header:
        called = {column: role for role, column in (roles or {}).items()}
        lines.append(f"names = {_toml([called.get(name, name) for name in seen.columns])}  # it has no header")
    if spec.encoding != "utf-8":
        unsure = "  # a guess: it is not UTF-8; or cp1252, gb18030, ...?" if spec.encoding == "latin-1" else ""
        lines.append(f"encoding = {_toml(spec.encoding)}{unsure}")
    return lines


def _log_columns(log: Look, roles: dict[str, str]) -> list[str]:
    lines = []
    if log.header:
        mapped = ", ".join(f"{role} = {_toml(roles[role])}" for role in WORDS if role in roles)
        lines.append(f"columns = {{ {mapped} }}")
    absent = sorted({cell for cell in log.columns[roles["user"]] if cell in ABSENT and cell})
    if absent:
        lines.append(f"null_values = {_toml(['', *absent])}  # events of nobody known")
    elif _has_marks(log):
        lines.append(MARKS)
    unit, form = time_of(log.filled(roles["time"])) or (None, None)
    if unit:
        lines.append(f"time_unit = {_toml(unit)}")
    if form:
        lines.append(f"time_format = {_toml(form)}")
    lines += [f"# question: {line}" for line in times(_moments(log, roles["time"], unit, form), time.time_ns() // 1000)]
    unused = [name for name in log.columns if name not in roles.values()]
    if unused:
        lines.append(f"# not used: {', '.join(unused[:20])}{', ...' if len(unused) > 20 else ''}")
    return lines


def _has_marks(seen: Look) -> bool:
    """Whether ``?`` stands for what is not known: numbers and times do not take it for that by themselves."""
    return any("?" in map(str.strip, cells) for cells in seen.columns.values())


def _moments(log: Look, name: str, unit: str | None, form: str | None) -> Int64:
    """The times of the first rows as ``fit`` reads them."""
    cells = pl.Series(name, log.filled(name), pl.String)
    value = convert(Wanted("time", name, "time", unit=unit, format=form), cells.dtype, [], cells).value
    return cells.to_frame().select(value).to_series().drop_nulls().to_numpy()


def _strengths(log: Look, roles: dict[str, str]) -> list[str]:
    if "event" not in roles:
        return []

    def guess(event: str) -> int:
        word = re.sub(r"[^a-z]", "", event.lower())
        return next((n for n, words in STRENGTHS.items() if word in words.split()), 1)

    known = sorted(set(log.filled(roles["event"])), key=lambda event: (guess(event), event))
    inside = ", ".join(f"{_key(event)} = {guess(event)}" for event in known)
    return [f"strengths = {{ {inside} }}  # what each event is worth: a guess"]


def _attributes(key: str, table: Look, log: Look, roles: dict[str, str]) -> list[str]:
    """A catalogue or user table: its id, and the other columns by kind."""
    ids = set(log.filled(roles[key]))
    overlap = {name: len(ids.intersection(table.filled(name))) for name in table.columns}
    column = max(overlap, key=lambda name: overlap[name])  # the first of equals
    if not overlap[column]:
        raise InputError(f"{table.path}: no column holds ids of the log's column {roles[key]}; found {listed(overlap)}")
    names = {column: key} if not table.header else {}
    columns = [f"{key} = {_toml(column if table.header else key)}"]
    skipped = []
    for name in table.columns:
        if name == column:
            continue
        how, question = _nested(table.nested[name]) if name in table.nested else _kind(name, table.filled(name))
        if question:
            columns.append(f"# question: {name}: {question}")
        if how is None:
            skipped += [] if question else [name]
            continue
        clean = re.sub(r"[^A-Za-z0-9_]+", "_", name.split(":")[0]).strip("_") or "attribute"
        if clean != name:
            how = {"column": name, **how}
        columns.append(f"{clean} = {_toml(how['kind'])}" if list(how) == ["kind"] else f"{clean} = {_inline(how)}")
    lines = _file(table, {role: found for found, role in names.items()})
    if _has_marks(table):
        lines.append(MARKS)
    lines.append(f"[data.{key}s.columns]" + ("" if table.header else "  # rename them in names as you like"))
    lines += columns
    if skipped:
        lines.append(f"# not used (empty, constant, links or other ids): {', '.join(skipped)}")
    return lines


Guess = tuple[dict[str, str] | None, str | None]
"""What a column is, None if it says nothing worth having or cannot be told; and the question left to its owner."""


def _nested(dtype: pl.DataType) -> Guess:
    """A column that holds lists or objects in the file itself."""
    inner = dtype
    while isinstance(inner, pl.List | pl.Array):
        inner = inner.inner  # type: ignore[assignment]
    if inner is dtype:
        return None, "holds objects: name one field of it in a column of its own"
    fields = [each.name for each in inner.fields] if isinstance(inner, pl.Struct) else []
    if not fields or "name" in fields or len(fields) == 1:
        return {"kind": "list"}, None
    words = [each.name for each in inner.fields if each.dtype == pl.String] if isinstance(inner, pl.Struct) else []
    if len(words) == 1:
        return {"kind": "list", "field": words[0]}, None
    return None, f'lists of objects: which field is the name, {" or ".join(fields)}? (say field = "...")'


def _kind(name: str, cells: list[str]) -> Guess:
    """Kind of an attribute and how it is written."""
    distinct = set(cells)
    if len(distinct) < 2 or sum(cell.startswith(("http://", "https://", "www.")) for cell in cells) > len(cells) / 2:
        return None, None
    in_brackets, question = list_of(cells)
    if in_brackets or question:
        return in_brackets, question
    when = time_of(cells)
    if when is not None:
        return {"kind": "time"} | {k: v for k, v in zip(("time_unit", "time_format"), when, strict=True) if v}, None
    if all(is_number(cell) for cell in distinct):
        if re.search(r"(^|_)(id|zip|code)s?$|Id$|ID$|categ|type|class|brand|group", name):
            return (None if len(distinct) > 0.9 * len(cells) else {"kind": "category"}), None
        whole = all(re.fullmatch(r"\d+", cell) for cell in distinct)
        return {"kind": "category" if whole and len(distinct) <= 10 else "number"}, None
    for separator in ("|", ";", ","):
        parts = [part for cell in cells for part in entries(cell, separator) or ()]
        several = sum(separator in cell for cell in cells)
        if several > 0.2 * len(cells) and len(set(parts)) < 0.3 * len(parts):
            unsure = "a list cut at commas: may one of its names hold a comma, or is it no list?"
            how = {"kind": "list"} | ({} if separator == "|" else {"separator": separator})
            return how, unsure if separator == "," else None
    mean = sum(map(len, cells)) / len(cells)
    return {"kind": "text" if len(distinct) > 0.5 * len(cells) and mean > 8 else "category"}, None


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _inline(table: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{key} = {_toml(value)}" for key, value in table.items()) + " }"


def _toml(value: str | Iterable[str]) -> str:
    """A string or list of strings; JSON's escapes are TOML's."""
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)
