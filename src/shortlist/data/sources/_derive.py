"""What a recipe makes of the columns of one file: columns derived from others, and what filters look at."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from shortlist.component import InputError
from shortlist.data.derived import KINDS, DerivedSpec, groups
from shortlist.data.sources._convert import Converted, Wanted, text
from shortlist.data.sources._scan import Scan, listed, shortened
from shortlist.data.spec import FileSpec
from shortlist.durations import UNITS

TEXT = ("id", "category", "text")
MAY_BE_EMPTY = {"user"}
"""A row without a user is an event of nobody known."""


class Columns:
    """The columns of one table by the names a recipe has for them.

    ``read`` are those to convert from the file: the recipe's own, and others that only something derived, a filter or
    a description needs. ``made`` are worked out of them in this order. What ``hidden`` names goes no further.
    """

    def __init__(
        self, at: str, spec: FileSpec, wanted: Sequence[Wanted], opened: Scan, known: Mapping[str, str] | None = None
    ):
        """``known`` are the kinds of columns that the funnel knows by name; raises ``InputError``."""
        self.read = list(wanted)
        self.made: list[tuple[Wanted, Converted]] = []
        self.hidden: list[str] = []
        self._at, self._spec, self._opened, self._known = at, spec, opened, known or {}
        self._derive: Mapping[str, DerivedSpec] = getattr(spec, "derive", {})
        self._named = {w.name: w for w in wanted}
        self._open: list[str] = []  # derived columns being worked out
        self._taken: set[str] = set()  # derived columns that something else of the recipe comes out of
        for name in self._derive:
            if name in self._named:
                raise InputError(f"{at}.derive.{name}: the recipe has a column of this name; expected another")
        for name in self._derive:
            self._make(name)

    @property
    def names(self) -> set[str]:
        """What is there for filters."""
        return set(self._named)

    def hide_taken(self) -> None:
        """Hides the derived columns that have done their work: context is what nothing else of the recipe takes."""
        self.hidden += sorted(self._taken - set(self._known))

    @property
    def shown(self) -> list[Wanted]:
        """The table's columns without the hidden ones."""
        return [w for w in (*self.read, *(w for w, _ in self.made)) if w.name not in self.hidden]

    def column(self, source: str, kind: str, where: str, cells: Wanted | None = None) -> str:
        """The name under which a column is there as ``kind`` (text, number, time, list); ``where`` asks for it.

        ``cells`` says how they are written where the recipe does not. A column of another kind is read once more.
        Raises ``InputError`` if there is none, or it cannot be that.
        """
        itself = self._open[-1:] == [source]  # a derived column out of the file's column of that name
        if source in self._derive and not itself:
            self._make(source)
            self._taken.add(source)
        own = self._named.get(source)
        if own is not None and (own.kind == kind or (kind == "text" and own.kind in TEXT)):
            return own.name
        if own is not None and source in self._derive:
            if kind == "text":
                return self._written(own, where)
            raise InputError(f"{where}: {source} is derived as a {own.kind}, expected a {kind}")
        if own is None and source not in self._opened.names:
            known = shortened(listed(dict.fromkeys([*self._named, *self._derive, *self._opened.names])), 200)
            raise InputError(f"{where}: no column {source!r}; recipe and file have {known}")
        name = f"{where.removeprefix('data.')}.{source}"
        unit, form = self._spec.time_unit, self._spec.time_format
        cells = own or cells or Wanted(name, source, kind, unit=unit, format=form)
        if f"{cells.column}_duplicated_0" in self._opened.names:
            raise InputError(f"{where}: expected one column {cells.column!r} in {self._opened.label}, found several")
        cells = replace(cells, name=name, kind=kind, required=False, least=None, most=None)
        for w in self.read:
            same = w.kind == kind or (kind == "text" and w.kind in TEXT)
            if same and replace(w, name=name, kind=kind, required=False, least=None, most=None) == cells:
                return w.name
        self.read.append(cells)
        self.hidden.append(name)
        return name

    def _is_time(self, source: str) -> bool:
        return source in self._named and self._named[source].kind == "time"

    def _written(self, own: Wanted, where: str) -> str:
        """A derived number as text."""
        name = f"{where.removeprefix('data.')}.{own.name}"
        value = text(pl.col(own.name), pl.Float32())
        self.made.append((replace(own, name=name, kind="text"), _sound(value.alias(name))))
        self.hidden.append(name)
        return name

    def _make(self, name: str) -> None:
        if name in self._named:
            return
        if name in self._open:
            raise InputError(f"{self._at}.derive.{name}: comes out of itself ({' of '.join([*self._open, name])})")
        self._open.append(name)
        spec, where = self._derive[name], f"{self._at}.derive.{name}"
        kind = _kind(spec, self._known.get(name), where)
        at = f"{where}.{'of' if spec.of is not None else spec.operation}"
        if spec.difference is not None and spec.unit is None and any(self._is_time(source) for source in spec.sources):
            raise InputError(f"{at}: of times needs a unit (s, m, h, d or w)")
        sources = [self.column(source, _source(spec, kind), at) for source in spec.sources]
        value = _value(spec, kind, [pl.col(source) for source in sources])
        fault, expected = pl.lit(False), ""
        if spec.match is not None and kind == "number":
            fault = value.is_null() & _group(spec.match, pl.col(sources[0])).is_not_null()
            expected = f"a number where {spec.match!r} is found"
        required = self._known.get(name) in ("id", "category", "time") and name not in MAY_BE_EMPTY
        if required:
            fault, expected = value.is_null(), _needed(spec)
        columns = {w.name: w.column for w in (*self.read, *(w for w, _ in self.made))}
        made = Wanted(name, columns[sources[0]], self._known.get(name, kind), required)
        self.made.append((made, replace(_sound(value.alias(name)), fault=fault, expected=expected)))
        self._named[name] = made
        self._open.pop()


def _sound(value: pl.Expr) -> Converted:
    return Converted(value, pl.lit(False), pl.lit(False), "")


def _kind(spec: DerivedSpec, known: str | None, where: str) -> str:
    """What a derived column is: as the funnel needs it, as it is said, or as the operation makes it."""
    can = KINDS[spec.operation]
    if known is None:
        return spec.kind or can[0]
    needed = "category" if known in TEXT else known
    if needed not in can or spec.kind not in (None, needed):
        raise InputError(
            f"{where}: the funnel's column of this name is a {needed}, found what is a {spec.kind or can[0]}"
        )
    return needed


def _source(spec: DerivedSpec, kind: str) -> str:
    """The kind that the sources are read as, of what is to be a ``kind``."""
    if spec.first is not None:
        return "text" if kind in TEXT else kind
    if spec.match is not None or spec.join is not None:
        return "text"
    return "time" if spec.part is not None or spec.unit is not None else "number"


def _needed(spec: DerivedSpec) -> str:
    """What is expected of a row whose derived column must not be missing."""
    if spec.match is not None:
        return f"a match of {spec.match!r}"
    word = " or " if spec.first is not None else " and "
    return f"something in {word.join(spec.sources)}"


def _value(spec: DerivedSpec, kind: str, sources: list[pl.Expr]) -> pl.Expr:
    """The column."""
    first, *rest = sources
    if spec.match is not None:
        group = _group(spec.match, first)
        return _number(group) if kind == "number" else _filled(group)
    if spec.first is not None:
        return pl.coalesce(sources)
    if spec.join is not None:
        return _filled(pl.concat_str(sources, separator=" " if spec.separator is None else spec.separator))
    if spec.buckets is not None:
        return _bucket(first, spec.buckets)
    if spec.part is not None:
        moment = first.cast(pl.Datetime("us")).dt
        part = getattr(moment, spec.part)().cast(pl.Int32) - (spec.part == "weekday")
        return part.cast(pl.Float32) if kind == "number" else part.cast(pl.String)
    if spec.difference is not None:
        unit = UNITS[spec.unit] if spec.unit else 1.0
        return _finite((first.cast(pl.Float64) - rest[0].cast(pl.Float64)) / unit)
    divisor = rest[0].cast(pl.Float64)
    return _finite(first.cast(pl.Float64) / pl.when(divisor != 0).then(divisor))


def _group(pattern: str, cell: pl.Expr) -> pl.Expr:
    return cell.str.extract(pattern, 1 if groups(pattern) else 0)


def _filled(value: pl.Expr) -> pl.Expr:
    return pl.when(value != "").then(value)


def _number(cell: pl.Expr) -> pl.Expr:
    return _finite(cell.str.strip_chars().cast(pl.Float64, strict=False))


def _finite(number: pl.Expr) -> pl.Expr:
    number = number.cast(pl.Float32)  # before the test: what is finite there may be beyond the range here
    return pl.when(number.is_finite()).then(number)


def _bucket(number: pl.Expr, edges: list[float]) -> pl.Expr:
    """The stretch that each number lies in."""
    names = [f"below {edges[0]:.15g}", *(f"{a:.15g} to {b:.15g}" for a, b in itertools.pairwise(edges))]
    names.append(f"from {edges[-1]:.15g}")
    found = pl.lit(names[0])
    for edge, name in zip(edges, names[1:], strict=True):
        found = pl.when(number >= edge).then(pl.lit(name)).otherwise(found)
    return pl.when(number.is_not_null()).then(found)
