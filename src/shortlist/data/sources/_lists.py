"""Lists that a cell holds as text: between separators, or as JSON, Python, numpy and databases write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import polars as pl

from shortlist.component import InputError

WRITTEN = "[,]"
"""The separator of lists in brackets."""
_CLOSE = {"[": "]", "(": ")", "{": "}"}
_CALL = re.compile(
    r"(?:[A-Za-z_][\w.]*|\[\d+:\d+\]=)(?=[\[({])"
)  # array( of numpy, List( of Scala, [0:2]= of PostgreSQL
_TOKEN = re.compile(
    r"""\s*(?:(?P<open>[\[({])|(?P<close>[\])}])|(?P<comma>,)|(?P<colon>:)"""
    r"""|[ubr]?(?P<quoted>"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*')|"""
    r"""(?P<bare>[^\s"',\[\](){}][^,\[\](){}]*(?:\((?:[^()"']|"[^"]*"|'[^']*')*\)[^,\[\](){}]*)*))""",
    re.S,
)
_NUMBERS = re.compile(r"[-+]?[\d.][\w.+-]*(\s+[-+]?[\d.][\w.+-]*)+")
_ONE = re.compile(r"""[A-Za-z_][\w.]*\(("[^"]*"|'[^']*'|[-+\d.e]+)\)""")
_NOTHING = {"null", "none", "nan", "na", "nil", "<na>"}
_ESCAPE = re.compile(
    r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))",
    re.S,
)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def entries(cell: str, separator: str, field: str | None = None) -> list[str] | None:
    """The names that a cell lists, without blanks around them and empty ones; None if it cannot be told what they are.

    ``[,]``: a list in brackets, braces or parentheses, nested or not; names in quotes of either kind, or without; of
    objects, the ``field`` (absent: ``name``, or the only one). Any other ``separator`` stands between the names; one
    in double quotes may hold it, as in a csv.
    """
    if separator != WRITTEN:
        return list(_split(cell, separator))
    cell = cell.strip()
    while (call := _CALL.match(cell)) is not None:
        cell = cell[call.end() :]
        inner = cell[1:].lstrip()
        if cell[0] == "(" and inner[:1] in ("[", "{"):  # what stands behind it is a type
            cell = inner[: max(inner.rfind(_CLOSE[inner[0]]), 0) + 1]
    if cell[:1] in ('"', "'") and cell[-1:] == cell[0] and len(cell) > 1 and _unescaped(cell)[:1] in _CLOSE:
        cell = _unescaped(cell)
    if cell.lower() in _NOTHING:
        return []
    if cell[:1] not in _CLOSE:
        return list(_split(cell, ","))
    try:
        reader = _Reader(cell, field)
        found = reader.bracketed()
        reader.end()
    except ValueError:
        return None
    return [name for name in map(str.strip, found) if name]


def _split(cell: str, separator: str) -> Iterator[str]:
    """Names between separators; one in double quotes is read as a csv cell is."""
    start, size = 0, len(separator)
    while start <= len(cell):
        blanks = len(cell) - len(cell[start:].lstrip(" "))
        quoted = re.compile(rf'"((?:[^"]|"")*)" *(?={re.escape(separator)}|$)').match(cell, blanks)
        end = quoted.end() if quoted else cell.find(separator, start)
        end = len(cell) if end < 0 else end
        name = quoted[1].replace('""', '"').strip() if quoted else cell[start:end].strip()
        if name:
            yield name
        start = end + size


def _unescaped(quoted: str) -> str:
    """The text of a name in quotes."""
    inner, quote = quoted[1:-1], quoted[0]
    return _ESCAPE.sub(_character, inner.replace(quote * 2, quote))


def _character(escape: re.Match[str]) -> str:
    high, low, *codes, letter = escape.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
    for code in codes:
        if code:
            number = int(code, 16)
            return chr(number) if number < 0xD800 or 0xDFFF < number < 0x110000 else "�"
    return _LETTERS.get(letter, letter)


class _Reader:
    """One cell from left to right."""

    def __init__(self, cell: str, field: str | None):
        self.cell, self.field, self.at = cell, field, 0

    def next(self) -> tuple[str, str]:
        """Kind and text of the next token; raises ``ValueError`` where there is none."""
        token = _TOKEN.match(self.cell, self.at)
        if token is None or token.lastgroup is None:
            raise ValueError("not a list")
        self.at = token.end()
        return token.lastgroup, token[token.lastgroup]

    def peek(self) -> tuple[str, str]:
        """The next token, which stays the next."""
        at = self.at
        token = self.next()
        self.at = at
        return token

    def end(self) -> None:
        """Raises ``ValueError`` if something follows."""
        if self.cell[self.at :].strip():
            raise ValueError("more than a list")

    def bracketed(self) -> list[str]:
        """Names from a bracket to its counterpart."""
        _, bracket = self.next()
        names: list[str] = []
        while True:
            kind, text = self.peek()
            if kind == "close":
                self.next()
                if text != _CLOSE[bracket]:
                    raise ValueError("another bracket closes")
                return names
            if kind == "comma":
                self.next()
            elif kind == "open":
                names += self.inner(bracket, text)
            elif kind == "quoted":
                self.next()
                if bracket == "{" and self.peek()[0] == "colon":
                    return self.object(_unescaped(text), names)
                names.append(_unescaped(text))
            elif kind == "bare":
                self.next()
                names += _bare(text)
            else:
                raise ValueError("no name")

    def inner(self, bracket: str, opened: str) -> list[str]:
        """The names of a list in a list of its kind, or of an object."""
        if opened != bracket and opened != "{":
            raise ValueError("tuples: which part is the name?")
        at = self.at
        self.next()
        kind, _ = self.peek()
        is_object = kind == "quoted" and (self.next(), self.peek())[1][0] == "colon"
        self.at = at
        if opened != bracket and not is_object:
            raise ValueError("braces without fields")
        return self.bracketed()

    def object(self, key: str, before: list[str]) -> list[str]:
        """The name among the fields of an object, of which the first key is read."""
        if before:
            raise ValueError("a field among names")
        fields: dict[str, list[str]] = {}
        while True:
            self.next()  # the colon
            fields[key] = self.value()
            kind, text = self.next()
            if kind == "close" and text == "}":
                break
            kind_of_key, written = self.next()
            if kind != "comma" or kind_of_key != "quoted":
                raise ValueError("no field")
            key = _unescaped(written)
        chosen = _chosen(list(fields), self.field)
        if chosen is None:
            raise ValueError("which field is the name?")
        return fields[chosen]

    def value(self) -> list[str]:
        """What stands behind a colon; objects and lists in it are no names."""
        kind, text = self.peek()
        if kind == "open":
            self.skip()
            return []
        self.next()
        if kind == "quoted":
            return [_unescaped(text)]
        if kind != "bare":
            raise ValueError("no value")
        return _bare(text)

    def skip(self) -> None:
        """Past a bracket and its counterpart."""
        depth = 0
        while True:
            kind, _ = self.next()
            depth += (kind == "open") - (kind == "close")
            if not depth:
                return


def _bare(text: str) -> list[str]:
    """Names without quotes: one, or the numbers between which numpy sets blanks."""
    text = text.strip()
    if text.startswith("..."):
        raise ValueError("numpy left out the middle")
    if (call := _ONE.fullmatch(text)) is not None:  # np.str_('a'), Decimal('1.5'), np.int64(7)
        return [_unescaped(call[1])] if call[1][0] in "\"'" else [call[1]]
    names = text.split() if _NUMBERS.fullmatch(text) else [text]
    return [f"{name}0" if re.fullmatch(r"-?\d+\.", name) else name for name in names if name.lower() not in _NOTHING]


def lists(
    name: str, cell: pl.Expr, dtype: pl.DataType, separator: str, field: str | None
) -> tuple[pl.Expr, pl.Expr, str]:
    """Cells as List(String), null where one lists nothing; where it cannot be told what they list; what was expected.

    Raises ``InputError`` for columns of objects none of whose fields is known as the name.
    """
    if isinstance(dtype, pl.List | pl.Array):
        names, unread = _nested(name, cell, dtype, field), pl.lit(False)
    else:
        cell = cell.cast(pl.String)
        names = cell.map_batches(
            lambda cells: _each(cells, separator, field), return_dtype=pl.List(pl.String), is_elementwise=True
        )
        unread = names.is_null() & cell.is_not_null()
    return pl.when(names.list.len() > 0).then(names), unread, _expected(separator, field)


def _expected(separator: str, field: str | None) -> str:
    if separator != WRITTEN:
        return "a list"
    return f'a list such as ["a", "b, c"] or [{{"{field or "name"}": "a"}}]'


def _each(cells: pl.Series, separator: str, field: str | None) -> pl.Series:
    distinct = cells.drop_nulls().unique()
    read = [entries(cell, separator, field) for cell in distinct.to_list()]
    table = pl.DataFrame({"cell": distinct, "names": pl.Series(read, dtype=pl.List(pl.String))})
    found = pl.DataFrame({"cell": cells}).join(table, on="cell", how="left", maintain_order="left")
    return found["names"].alias(cells.name)


def _nested(name: str, cell: pl.Expr, dtype: pl.List | pl.Array, field: str | None) -> pl.Expr:
    inner, value = dtype.inner, cell.cast(pl.List(dtype.inner)) if isinstance(dtype, pl.Array) else cell
    while isinstance(inner, pl.List | pl.Array):  # lists of lists
        value, inner = value.list.eval(pl.element().explode()), inner.inner
    if isinstance(inner, pl.Struct):
        fields = [each.name for each in inner.fields]
        chosen = _chosen(fields, field)
        if chosen is None:
            raise InputError(
                f"column {name}: expected names, or objects with a field {field or 'name'}; found {', '.join(fields)}: "
                'say which one is the name (field = "...")'
            )
        value = value.list.eval(pl.element().struct.field(chosen))
    names = value.cast(pl.List(pl.String)).list.eval(pl.element().str.strip_chars())
    return names.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != "")))


def _chosen(fields: Sequence[str], field: str | None) -> str | None:
    """The field that is the name: the one said, else ``name``, else the only one."""
    chosen = field or ("name" if "name" in fields else fields[0] if len(fields) == 1 else None)
    return chosen if chosen in fields else None
