"""The ``[data]`` section of a recipe."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from shortlist.configured import Configured
from shortlist.data import iso
from shortlist.durations import Duration

Kind = Literal["category", "list", "number", "text", "time"]
Unit = Literal["s", "ms", "us", "ns"]
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


class Spec(Configured):
    """A part of the section: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


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
    """Bounds of a value, both included; a missing value passes."""

    min: float | None = None
    """Smaller values are dropped."""
    max: float | None = None
    """Larger values are dropped."""


class ChoiceSpec(Spec):
    """Which names are taken."""

    keep: list[str] | None = None
    """Only these; all when absent."""
    drop: list[str] = []
    """None of these."""


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


class FilterSpec(Spec):
    """Rules that drop rows of the log. What they drop is counted by reason and kept in ``rejected``."""

    bad_rows: Literal["error", "drop"] = "error"
    """A row that cannot be read (time, number, missing item, negative weight) stops the run, or is dropped."""
    value: RangeSpec | None = None
    """Impossible values."""
    event: ChoiceSpec | None = None
    """Behaviours taken."""
    user: ChoiceSpec | None = None
    """Users taken; ``drop`` lists known bots."""
    item: ChoiceSpec | None = None
    """Items taken."""
    time: PeriodSpec | None = None
    """Impossible or unwanted times."""
    duplicates: Literal["keep", "drop"] = "keep"
    """The same user, item, event and time again: kept, or all but the first in the file dropped."""
    user_events: RateSpec | None = None
    """Bots by their rate."""


class ColumnSpec(Spec):
    """One column of a file, where its kind alone does not say enough."""

    column: str | None = None
    """Its name in the file; the same as in the recipe when absent."""
    kind: Kind = "category"
    """category, list, number, text or time."""
    separator: str = "|"
    """Between the entries of a list; ``[,]`` for lists in brackets, as JSON, Python, numpy or databases write them."""
    field: str | None = None
    """Of a list of objects (``[{"id": 1, "name": "Drama"}]``): the one that is taken; ``name`` when absent."""
    time_unit: Unit | None = None
    """Of a time given as a number; the table's when absent."""
    time_format: str | None = None
    """Of a time given as text; the table's when absent."""


class FileSpec(Spec):
    """Where a table is and how it is written."""

    path: str
    """A file, relative to ``--data``; for SQL a SQLite file or a URL, in which $NAME is taken from the environment."""
    format: Literal["csv", "parquet", "sql"] | None = None
    """Told by the ending of ``path`` when absent: .parquet, .db/.sqlite or a URL, anything else is csv."""
    query: str | None = None
    """For SQL: the statement whose rows are the table."""
    separator: Annotated[str, Field(min_length=1)] = ","
    """Between the columns of a csv: one character, or several (``::``), then without quoting."""
    header: bool | None = None
    """Whether the first line names the columns; when absent, yes unless ``names`` is given."""
    names: list[str] | None = None
    """Names of the columns in order, for a file without a header; without both they are column_1, column_2, ..."""
    quote: Annotated[str, Field(pattern=r"^[\x01-\x7f]?$")] | None = '"'
    """Quote character of a csv; ``""`` = none."""
    encoding: str = "utf-8"
    """Of a csv. Any other than UTF-8 is converted through a temporary file."""
    compression: Literal["auto", "gzip", "none"] = "auto"
    """Of a csv; auto looks at the first bytes, and reads bz2, xz and zstd too."""
    null_values: list[str] = [""]
    """Cells that mean missing; numbers and times also take NA, NaN, null, None and \\N for it."""
    time_unit: Unit | None = None
    """Of times given as numbers; judged from their size when absent."""
    time_format: str | None = None
    """Of times given as text, as strftime writes it (``%d-%b-%Y``); ISO 8601 when absent."""


class TableSpec(FileSpec):
    """A file with the columns the funnel knows by name, and context columns.

    ``columns`` maps the funnel's names to the file's. A name the funnel does not know is a context column, a category
    unless written as ``{ column = "...", kind = "number" }``. Without ``columns`` the file must use the funnel's names.
    """

    columns: dict[str, str | ColumnSpec] | None = None
    """``{ user = "userId", item = "movieId", time = "timestamp", value = "rating" }``"""


class EventsSpec(TableSpec):
    """The log: ``user``, ``item``, ``time``, and optionally ``event``, ``value`` and ``weight``."""

    strengths: dict[str, Strength] = {}
    """What each behaviour is worth: ``{ click = 1, buy = 5 }``; 1 when not named."""
    filters: FilterSpec = FilterSpec()
    """Rules that drop rows."""


class AttributesSpec(FileSpec):
    """One row per item (or user).

    ``columns`` maps names to kinds: ``{ genres = { kind = "list", separator = "|" }, price = "number" }``. The one
    exception is the id: ``item = "movieId"`` (``user = "userId"``) names its column in the file, which otherwise must
    be called ``item`` or ``item_id`` (``user`` or ``user_id``). Columns not named are not read.
    """

    columns: dict[str, str | ColumnSpec] = {}
    """Names to kinds, and the id to its column."""


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
    items: AttributesSpec | None = None
    """The catalogue."""
    users: AttributesSpec | None = None
    """What is known about users."""
    triples: TableSpec | None = None
    """A knowledge graph: ``head``, ``relation``, ``tail`` and optionally ``weight``; heads or tails are item ids."""
    ties: TableSpec | None = None
    """Who knows whom: ``user``, ``friend`` and optionally ``weight`` and ``time``."""
    exposures: TableSpec | None = None
    """What was shown: ``user``, ``item``, ``time``, optionally ``position``, ``propensity``, ``label``, ``request``."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        tables = [
            n for n in ("events", "items", "users", "triples", "ties", "exposures") if getattr(self, n) is not None
        ]
        if self.source == "tables" and self.events is None:
            raise ValueError('source = "tables" needs [data.events] with the path of the log')
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
