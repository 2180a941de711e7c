"""Drafts a recipe for rankers on a plain table from a look at it: what ``shortlist init TABLE --label`` prints."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl

from shortlist.component import InputError
from shortlist.data.rows import RowsSpec
from shortlist.data.sources._kinds import told
from shortlist.data.sources._libsvm import libsvm
from shortlist.data.sources._packed import beginning
from shortlist.data.sources._scan import ROW, Scan, form, listed
from shortlist.draft.look import ABSENT, Look, is_number, look
from shortlist.draft.table import kind_of
from shortlist.draft.written import MARKS, file, has_marks, inline, key, toml

SPARSE = re.compile(r"^[+-]?[\d.]+(\s+\w+:\S+)+\s*(#.*)?$")
GOOD = "1 yes y true t good click clicked buy bought pos positive won success"
MANY = 10
PARTS = re.compile(r"^(part|split|set|fold|subset|partition)s?$", re.IGNORECASE)
TIMES = re.compile(r"(^|_)(time|timestamp|date|datetime|ts)$|[a-z](Time|Date)$")
PEOPLE = re.compile(r"^(user|customer|visitor|member|session|query|request|impression)_?(id)?$|^qid$", re.IGNORECASE)
SECTIONS = """
[cross_validation]
folds = 3

[rank.logistic]
type = "logistic"

[rank.gbdt]
type = "gbdt"
"""


def draft_rows(path: Path, label: str, test: Path | None = None) -> str:
    """A recipe in TOML that compares rankers on the table of ``path``, whose column ``label`` is learned.

    ``test`` is a file of the rows to test on. Raises ``InputError`` if a file is missing or has no such column.
    """
    sparse = _is_sparse(path)
    seen = None if sparse else look(path)
    named, split = ["[data.rows]"], ""
    if seen is None:
        named += [f"path = {toml(str(path))}  # relative to --data", 'format = "libsvm"', *_sparse(path)]
        if label != "label":
            raise InputError(f"{path}: in libsvm files the first number of a line is the label; expected --label label")
    else:
        if not seen.header and any(cells[0].strip() == label for cells in seen.columns.values()):
            seen = _below(seen)
        if label not in seen.columns:
            raise InputError(f"{path}: no column {label!r} to be the label; found {listed(seen.columns)}")
        split = _split(seen)
        named += [*file(seen), *([MARKS] if has_marks(seen) else []), f"label = {toml(label)}"]
        named += _positive(seen.filled(label))
    if test is not None:
        named.append(f"test = {toml(str(test))}")
        split = ""
    named += [split] if split else ["split = { share = 0.2 }  # drawn at random"] if test is None else []
    name = re.sub(r"[^a-z0-9]+", "-", path.name.split(".")[0].lower()).strip("-") or "draft"
    head = [
        "# Drafted from a look at the first rows: check [data.rows], then run `shortlist fit` on this file.",
        f"name = {toml(name)}",
        "seed = 7",
        "",
    ]
    columns = [] if seen is None else _columns(seen, label, split)
    return "\n".join([*head, *named, *columns]) + "\n" + SECTIONS


def _is_sparse(path: Path) -> bool:
    if not path.is_file() or form(RowsSpec(path=str(path))) != "csv":
        return False
    lines = [line for line in beginning(path)[0].splitlines()[:100] if line.strip()]
    return bool(lines) and all(SPARSE.match(line) for line in lines)


def _sparse(path: Path) -> list[str]:
    """What its features will be; the ids of queries, where there are some, are groups."""
    with tempfile.TemporaryDirectory(prefix="shortlist-") as scratch:
        _, kinds = libsvm(RowsSpec(path=str(path), format="libsvm"), None, Path(scratch))
    counts = {kind: list(kinds.values()).count(kind) for kind in dict.fromkeys(kinds.values())}
    said = ", ".join(f"{n} of kind {kind}" for kind, n in counts.items())
    return [f"# its columns: {said}", *(['group = "qid"'] if "qid" in kinds else [])]


def _positive(cells: list[str]) -> list[str]:
    """Which cells of the label mean 1, where these are not 1 and 0."""
    values = sorted(set(cells))
    numbers = {float(cell) for cell in values} if all(map(is_number, values)) else set()
    if numbers and (numbers <= {0, 1} or numbers <= {-1, 1}):
        return []
    if set(map(str.lower, values)) <= {"true", "false"}:
        return []
    if len(values) == 2:
        good = next((value for value in values if value.lower() in GOOD.split()), min(values, key=cells.count))
        other = values[1 - values.index(good)]
        return [f"positive = {toml(good)}  # question: is this the one that counts as 1, and not {toml(other)}?"]
    if numbers and len(numbers) <= MANY:
        least = min(numbers) + 0.7 * (max(numbers) - min(numbers))
        high = [int(number) if number.is_integer() else number for number in sorted(numbers) if number >= least]
        return [f"positive = {high}  # question: which of {listed(values)} count as 1?"]
    few = listed(values[:MANY]) + (", ..." if len(values) > MANY else "")
    return [f"positive = {toml(values[-1])}  # question: which cells count as 1? There are {few}"]


def _split(seen: Look) -> str:
    """By a column that names the parts, or by one of times."""
    for name in seen.columns:
        cells = set(map(str.lower, seen.filled(name)))
        if PARTS.match(name) and len(cells) > 1 and "test" in cells:
            found = next(cell for cell in set(seen.filled(name)) if cell.lower() == "test")
            return f"split = {{ column = {toml(name)}, test = {toml(found)} }}"
    for name in seen.columns:
        if TIMES.search(name) and len(set(seen.filled(name))) > MANY:
            return f"split = {{ share = 0.2, by = {toml(name)} }}  # the last fifth"
    return ""


def _columns(seen: Look, label: str, split: str) -> list[str]:
    """A line for each column to learn from, and why the others are not."""
    cells = {name: [None if one.strip() in ABSENT else one for one in column] for name, column in seen.columns.items()}
    frame = pl.DataFrame(cells, dict.fromkeys(cells, pl.String)).with_row_index(ROW)
    rest = [name for name in seen.columns if name != label and f"= {toml(name)}" not in split]
    kinds, left_out = told(Scan(frame.lazy(), tuple(cells), str(seen.path), ""), rest, [""])
    lines = ["[data.rows.columns]"]
    for name, kind in kinds.items():
        how, _ = kind_of(name, seen.filled(name)) if kind == "category" else (None, None)
        written = inline(how) if how is not None and how["kind"] == "list" else toml(kind)
        lines.append(f"{key(name)} = {written}")
    lines += [f"# not used: {listed([name])} ({why})" for name, why in left_out.items()]
    groups = {name: len(set(seen.filled(name))) for name in kinds if PEOPLE.match(name)}
    people = [name for name, n in groups.items() if MANY <= n < len(seen.filled(name)) / 2]
    if people:
        why = f"rows of one {people[0]} as one request: adds GAUC and NDCG, and their order can be learned"
        lines.insert(0, f"# group = {toml(people[0])}  # {why}")
    return lines


def _below(seen: Look) -> Look:
    """The same with its first row as the names of its columns."""
    names = [cells[0].strip() for cells in seen.columns.values()]
    cells = {name: cells[1:] for name, cells in zip(names, seen.columns.values(), strict=True)}
    return replace(seen, spec=seen.spec.model_copy(update={"header": None}), columns=cells)
