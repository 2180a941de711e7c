"""Attributes of items and users that are columns of the log."""

from __future__ import annotations

from shortlist.component import InputError
from shortlist.data.raw import Described
from shortlist.data.sources._convert import Wanted
from shortlist.data.sources._derive import Columns
from shortlist.data.spec import AttributesSpec, ColumnSpec, DataSpec

CAN = {
    "last": ("category", "list", "number", "text", "time"),
    "first": ("category", "list", "number", "text", "time"),
    "mean": ("number",),
    "commonest": ("category", "text"),
}
"""What each way of making one value of many can make."""


def of_the_log(table: str, spec: AttributesSpec) -> dict[str, ColumnSpec]:
    """The columns of ``[data.items]`` (``users``) that are the log's; raises ``InputError`` for what cannot be."""
    found: dict[str, ColumnSpec] = {}
    for name, given in spec.columns.items():
        where = f"data.{table}.columns.{name}"
        if spec.source is None and (isinstance(given, str) or given.how is None):
            continue
        if name == table[:-1]:
            raise InputError(
                f"{where}: the log says which column this is ({name} = ... in [data.events]); leave it out"
            )
        if name == "available_from":
            raise InputError(f"{where}: without this column an item is available from its first event on; leave it out")
        if isinstance(given, str):
            if given not in CAN["last"]:
                kinds = ", ".join(CAN["last"])
                raise InputError(f'{where}: expected {kinds} or {{ column = "...", kind = "..." }}, found {given!r}')
            given = ColumnSpec.model_validate({"kind": given})
        how = given.how or "last"
        if given.kind not in CAN[how]:
            raise InputError(f"{where}.how: {how} is of kind {' or '.join(CAN[how])}, found {given.kind}")
        found[name] = given.model_copy(update={"how": how})
    return found


def described(spec: DataSpec, columns: Columns) -> dict[str, dict[str, Described]]:
    """By table and name what the log tells; ``columns`` of the log are read for it. Raises ``InputError``."""
    found: dict[str, dict[str, Described]] = {}
    for table in ("items", "users"):
        part: AttributesSpec | None = getattr(spec, table)
        for name, given in (of_the_log(table, part) if part is not None else {}).items():
            source = given.column or name
            kind = "text" if given.kind == "category" else given.kind
            assert spec.events is not None
            unit, form = given.time_unit or spec.events.time_unit, given.time_format or spec.events.time_format
            cells = Wanted(name, source, kind, False, None, given.separator, given.field, unit, form)
            column = columns.column(source, kind, f"data.{table}.columns.{name}", cells)
            found.setdefault(table, {})[name] = Described(column, given.kind, str(given.how))
    return found
