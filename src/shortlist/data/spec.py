"""The ``[data]`` section of a recipe."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from shortlist.data import iso
from shortlist.data.derived import DerivedSpec, Pattern
from shortlist.data.files import ColumnSpec as ColumnSpec
from shortlist.data.files import FileSpec as FileSpec
from shortlist.data.files import Spec
from shortlist.data.order import refuse_mixed, refuse_moments
from shortlist.data.rows import RowsSpec
from shortlist.durations import Duration

GREATEST = 3.4028e38
"""Numbers are kept as float32: what is beyond is infinite there."""
Strength = Annotated[float, Field(ge=0, le=GREATEST)]
BEFORE_TUNE, BEFORE_RANK = 7 / 9, 8 / 9
"""Where the cuts before a rolling window lie: as 0.7 and 0.8 do before 0.9."""
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _moment(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("expected a fraction between 0 and 1 or a date")
    found = iso.moment(value) if isinstance(value, str) else None
    return value if found is None else datetime(1970, 1, 1) + timedelta(microseconds=found)


Moment = Annotated[datetime, BeforeValidator(_moment)]


class SplitSpec(Spec):
    """Where the log is cut: fractions of the events by time, or moments; ascending."""

    tune: Fraction | Moment | None = None
    """Up to here channels are fitted while merge weights and hyperparameters are chosen."""
    rank: Fraction | Moment | None = None
    """From here to ``test`` the ranker's samples are taken; without it no ranker is trained."""
    test: Fraction | Moment | None = None
    """From here on nothing is learned, only reported."""
    rolling: int | None = Field(None, ge=1)
    """Instead of ``test``: so many windows at the end of the log, one after the other, each a test of its own."""
    window: Duration | None = None
    """How long each of them is. ``tune`` and ``rank`` are then fractions of the events before it, 7/9 and 8/9 where not
    given, as 0.7 and 0.8 are of 0.9."""
    random: Fraction | None = None
    """Instead of all of these: a random share of the events is the test, whenever they happened. Not time-true."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("test", "rolling", "random") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected test, rolling (with window) or random, found {' and '.join(given) or 'none'}")
        if (self.rolling is None) != (self.window is None):
            raise ValueError('rolling and window belong together, as in { rolling = 4, window = "7d" }')
        if self.random is not None and (self.tune is not None or self.rank is not None):
            raise ValueError("random: leaves no moments to cut at; take tune and rank out")
        if self.rolling is not None and any(isinstance(cut, datetime) for cut in (self.tune, self.rank)):
            raise ValueError("with rolling, tune and rank are fractions of the events before each window, not dates")
        return self

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        ends = self.before if self.rolling is not None else (self.tune, self.rank)
        cuts = [cut for cut in (*ends, self.test) if cut is not None]
        moments = [microseconds(cut) for cut in cuts if isinstance(cut, datetime)]
        if moments and len(moments) < len(cuts):
            raise ValueError("give all cuts as fractions or all as dates")
        order: list[float] = [*moments] if moments else [float(cut) for cut in cuts if isinstance(cut, float)]
        if any(later <= earlier for earlier, later in itertools.pairwise(order)):
            raise ValueError("cuts must ascend: tune < rank < test")
        return self

    @property
    def before(self) -> tuple[float, float]:
        """With ``rolling``: where tune and rank lie, as fractions of the events before a window."""
        tune, rank = (cut if isinstance(cut, float) else None for cut in (self.tune, self.rank))
        return tune or BEFORE_TUNE, rank or BEFORE_RANK


class RangeSpec(Spec):
    """Bounds of a number, both included; a missing one passes."""

    min: float | None = None
    """Smaller values are dropped."""
    max: float | None = None
    """Larger values are dropped."""


class ChoiceSpec(Spec):
    """Which names are taken; a missing one passes."""

    keep: list[str] | None = None
    """Only these; all when absent."""
    drop: list[str] = []
    """None of these."""
    match: Pattern | None = None
    """Only those in which this pattern is found; ``^`` and ``$`` bind it to the ends. Rust's regular expressions: no
    look-around."""


class CellSpec(RangeSpec, ChoiceSpec):
    """Which cells of a column are taken: numbers by ``min`` and ``max``, text by ``keep``, ``drop`` and ``match``."""


class PeriodSpec(Spec):
    """Which part of the log is taken."""

    after: Moment | None = None
    """Earlier events are dropped."""
    before: Moment | None = None
    """Events at this moment or later are dropped."""


class RateSpec(Spec):
    """How many events of one user are believed. Counted from the past only, so a later event changes no earlier row."""

    max: Annotated[int, Field(ge=1)]
    """Events beyond this many of one user are dropped: a person does not click ten thousand times a day."""
    per: Literal["1h", "1d"] | None = None
    """Count within each hour or day (UTC); over the whole log when absent."""


class ListSpec(FileSpec):
    """A list of ids: those of a table of the recipe, or a column of a table of its own."""

    table: Literal["items", "users"] | None = None
    """``[data.items]`` or ``[data.users]``; the name alone (``in = "items"``) says the same."""
    path: str = ""
    """A file, as every table's."""
    column: str | None = None
    """Where the ids are in it."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"table": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.table is None) != bool(self.path and self.column) or (self.table and (self.path or self.column)):
            raise ValueError('expected "items", "users" or { path = "...", column = "..." }')
        return self


class IdsSpec(ChoiceSpec):
    """Which ids are taken."""

    among: Annotated[ListSpec | None, Field(alias="in")] = None
    """Only those that ``"items"`` (``[data.items]``) or ``"users"`` lists, or a column of a table of its own,
    ``{ path = "shops.csv", column = "shop" }``. Nobody is on no list."""


class FilterSpec(Spec):
    """Rules that drop rows of the log. What they drop is counted by reason and kept in ``rejected``."""

    bad_rows: Literal["error", "drop"] = "error"
    """A row that cannot be read (time, number, missing item, negative weight) stops the run, or is dropped."""
    value: RangeSpec | None = None
    """Impossible values."""
    event: ChoiceSpec | None = None
    """Behaviours taken."""
    user: IdsSpec | None = None
    """Users taken; ``drop`` lists known bots."""
    item: IdsSpec | None = None
    """Items taken."""
    columns: dict[str, CellSpec] = {}
    """Cells taken by column, of the recipe, derived, or of the file without being named elsewhere:
    ``{ price = { min = 0.01 }, status = { drop = ["C"] } }``."""
    time: PeriodSpec | None = None
    """Impossible or unwanted times."""
    duplicates: Literal["keep", "drop"] = "keep"
    """The same user, item, event and time again: kept, or all but the first in the file dropped."""
    user_events: RateSpec | None = None
    """Bots by their rate."""


class TableSpec(FileSpec):
    """A file with the columns the funnel knows by name, and context columns.

    ``columns`` maps the funnel's names to the file's. A name the funnel does not know is a context column, a category
    unless written as ``{ column = "...", kind = "number" }``. Without ``columns`` the file must use the funnel's names.
    """

    columns: dict[str, str | ColumnSpec] | None = None
    """``{ user = "userId", item = "movieId", time = "timestamp", value = "rating" }``"""


class EventsSpec(TableSpec):
    """The log: ``user``, ``item``, ``time``, and optionally ``event``, ``value`` and ``weight``.

    A log without times is read with ``time = "row"``, with ``columns = { time = { column = "step", kind = "order" } }``
    or with ``layout = "sequences"``: then an event counts as a minute, and every result says "order only".
    """

    layout: Literal["rows", "sequences"] = "rows"
    """``rows``: an event a row. ``sequences``: a user a line, ``user item item ...``, the oldest first, between blanks
    unless ``separator`` says what; without a header unless ``header = true``."""
    time: Literal["row"] | None = None
    """``"row"``: there is no time, the rows stand in the order in which things happened."""
    clock: Literal["common", "each"] | None = None
    """Of a log without times: whether its order is one of all events (``common``), or only each user's own (``each``),
    which is then spread evenly over the whole, so that a cut in time cuts everybody's own history. Absent: ``each`` for
    sequences, for rows where those of every user stand together, and for steps that start anew with each user."""

    strengths: dict[str, Strength] = {}
    """What each behaviour is worth: ``{ click = 1, buy = 5 }``; 1 when not named."""
    derive: dict[str, DerivedSpec] = {}
    """Columns worked out of others: ``{ hour = { part = "hour", of = "time" } }``. They are context, unless the funnel
    knows the name (``item = { join = ["artist", "track"] }``) or the recipe makes something else of them: a filter,
    an attribute of items or users, another column."""
    filters: FilterSpec = FilterSpec()
    """Rules that drop rows."""

    @property
    def order_only(self) -> bool:
        """Whether the log has no times."""
        column = (self.columns or {}).get("time")
        by_column = isinstance(column, ColumnSpec) and column.kind == "order"
        return self.layout == "sequences" or self.time == "row" or by_column

    @model_validator(mode="before")
    @classmethod
    def _blanks(cls, value: Any) -> Any:
        lines = isinstance(value, Mapping) and value.get("layout") == "sequences"
        return {"separator": " ", **value} if lines else value

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        refuse_mixed(self)
        return self


class AttributesSpec(FileSpec):
    """One row per item (or user), or what the log tells of each.

    ``columns`` maps names to kinds: ``{ genres = { kind = "list", separator = "|" }, price = "number" }``. The one
    exception is the id: ``item = "movieId"`` (``user = "userId"``) names its column in the file, which otherwise must
    be called ``item`` or ``item_id`` (``user`` or ``user_id``). Columns not named are not read.

    A column with ``how`` is of the log, and what it says holds from its event on:
    ``{ price = { kind = "number", how = "last" } }``. With ``from = "log"`` there is no file and every column is.
    """

    path: str = ""
    """A file, as every table's; none with ``from = "log"``."""
    source: Annotated[Literal["log"] | None, Field(alias="from")] = None
    """``"log"``: described by columns of ``[data.events]`` alone."""
    columns: dict[str, str | ColumnSpec] = {}
    """Names to kinds, and the id to its column."""
    derive: dict[str, DerivedSpec] = {}
    """Columns worked out of others of the file:
    ``{ year = { match = '\\((\\d{4})\\)', of = "title", kind = "number" } }``."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.path) == (self.source == "log"):
            found = "both" if self.path else "neither"
            raise ValueError(f'expected path = the file or from = "log", found {found}')
        if self.source == "log" and self.derive:
            raise ValueError(
                'derive: with from = "log" write it in [data.events.derive] and name it in columns, found it here'
            )
        return self


class SessionsSpec(Spec):
    """What of a user's log is one sitting."""

    gap: Duration
    """A pause longer than this begins a new session."""


class DataSpec(Spec):
    """Which log, how it is cut, and what counts as right."""

    source: str = "tables"
    """A named data set (``shortlist data list``), or ``tables`` for your own files."""
    split: SplitSpec | None = None
    """Where the log is cut; a plain table has none."""
    positive: dict[str, StrictBool | Annotated[float, Field(ge=-GREATEST, le=GREATEST)]] | None = None
    """From which value on an event counts as right: ``{ rating = 4, buy = true }``; events not named never do. When
    absent, every event is positive."""
    strengths: dict[str, Strength] = {}
    """What each behaviour is worth; overrides ``events.strengths``."""
    events: EventsSpec | None = None
    """The log."""
    sessions: SessionsSpec | None = None
    """What one session is, for channels that cut by pauses, the feature ``session`` and ``min_gap = "session"``; none =
    the log has none."""
    rows: RowsSpec | None = None
    """A plain table instead of a log: labelled rows for rankers, in a recipe without channels."""
    items: AttributesSpec | None = None
    """The catalogue."""
    users: AttributesSpec | None = None
    """What is known about users."""
    triples: TableSpec | None = None
    """A knowledge graph: ``head``, ``relation``, ``tail`` and optionally ``weight``; heads or tails are item ids."""
    ties: TableSpec | None = None
    """Who knows whom: ``user``, ``friend`` and optionally ``weight`` and ``time``."""
    exposures: TableSpec | None = None
    """What was shown: ``user``, ``item``, ``time``, optionally ``position``, ``label``, ``request``, ``propensity``
    (the chance of this item at this place) and ``propensity_given`` (that chance given the rows above it)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        tables = [
            n for n in ("events", "items", "users", "triples", "ties", "exposures") if getattr(self, n) is not None
        ]
        if self.rows:
            tables = ["rows", *tables]
            other = next((name for name in (*tables[1:], "split", "positive", "sessions") if getattr(self, name)), None)
            if other:
                raise ValueError(f"rows and {other}: a plain table for rankers has no log beside it, nor its {other}")
        elif self.source == "tables" and self.events is None:
            raise ValueError('source = "tables" needs [data.events] with the path of the log, or [data.rows]')
        if self.events and self.events.order_only:
            refuse_moments(self)
        if self.source != "tables" and tables:
            raise ValueError(f'[data.{tables[0]}] is read only with source = "tables", not {self.source!r}')
        return self

    def all_strengths(self) -> dict[str, float]:
        """What each named behaviour is worth."""
        return {**(self.events.strengths if self.events else {}), **self.strengths}


def microseconds(moment: Any) -> int:
    """Microseconds since 1970 of a date or a datetime; without a zone it is UTC."""
    if not isinstance(moment, datetime) and isinstance(moment, date):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
