"""``experiments.toml``: which experiments a deployment runs, on whom, from when to when, and what their arms change.

It belongs to a deployment and not to a recipe: a recipe says what is fitted, this file who is answered by which of it.
Experiments of one layer share its users out among them, those of different layers know nothing of each other. Every
error names the file and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, field_validator

from shortlist.component import InputError, explain
from shortlist.configured import Configured
from shortlist.data import iso
from shortlist.durations import Duration, stamp
from shortlist.experiment._conflicts import refuse_conflicts

NAME = r"^[A-Za-z][\w-]*$"
Name = Annotated[str, Field(pattern=NAME)]
HOLD_OUT = "hold_out"
"""Stands in ``arms`` where users are held out of all experiments: ``held`` or ``open``."""
HELD, OPEN = "held", "open"
INTERLEAVED = "interleaved"
"""Stands in ``arms`` where a user gets both arms in one slate."""


def _moment(value: Any) -> Any:
    """Microseconds of a date or time as TOML has them, or of ISO 8601 text; without a zone it is UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        found = iso.moment(value)
        if found is None:
            raise ValueError(f"expected {iso.EXPECTED}, found {value!r}")
        return found
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"expected {iso.EXPECTED}, found the number {value}")
    return value


Moment = Annotated[int, BeforeValidator(_moment), PlainSerializer(stamp, return_type=str)]
"""A moment, held in microseconds since 1970 UTC."""


class Step(Configured):
    """One step of a ramp."""

    at: Moment
    """From this moment on."""
    share: float = Field(gt=0, le=1)
    """So large a share of the experiment's span is in it."""


class Arm(Configured):
    """What the users of one arm get: another bundle, or the same with something in it changed; empty = as everybody."""

    weight: float = Field(1.0, gt=0)
    """How many users the arm gets beside the other arms' weights."""
    bundle: str | None = None
    """A version beside the one that serves; none = the one that serves everybody."""
    rules: dict[str, dict[str, Any]] = {}
    """Hyperparameters of soft rules, by the rule's name: ``rules.mmr.trade_off = 0.3``."""
    merge: dict[str, Any] = {}
    """Hyperparameters of the merge: ``merge.weights = { cf = 2, hot = 1 }``."""
    ranker: Literal["bundle", "merge"] = "bundle"
    """``bundle``: the ranker the bundle has; ``merge``: none, the order of the merge."""

    @property
    def touched(self) -> frozenset[str]:
        """What it changes, by name: two experiments that may meet in one user must not change the same thing."""
        names = {f"rules.{name}" for name in self.rules}
        names |= {"bundle"} if self.bundle else set()
        names |= {"merge"} if self.merge else set()
        return frozenset(names | ({"ranker"} if self.ranker != "bundle" else set()))


class Experiment(Configured):
    """One question: is another arm better than the first one?"""

    layer: Name = "default"
    """A user is in at most one experiment of a layer; layers are independent of each other."""
    span: tuple[float, float] = (0.0, 1.0)
    """Which part of the layer's users it may take, as ``[from, to)`` between 0 and 1. Experiments of one layer that run
    at the same time have spans that do not meet."""
    start: Moment | None = None
    """Nobody is in it before; none = it has begun."""
    stop: Moment | None = None
    """Nobody is in it from then on; none = it goes on."""
    ramp: list[Step] = []
    """Begins with a part of the span and grows; nobody who is in leaves, nobody changes the arm. None = all at once."""
    salt: str | None = None
    """Another word deals the arms anew; none = the experiment's name."""
    interleave: bool = False
    """Instead of one arm, everybody in it gets both arms' items in one slate (team draft)."""
    arms: dict[Name, Arm] = Field(min_length=2)
    """By name; the first is the one the others are compared with."""
    main: str = "ctr"
    """The metric that decides; the others are looked at beside it."""
    effect: float = Field(0.05, gt=0, lt=10)
    """The relative effect it is planned to find; also the scale at which intervals for daily peeking are narrowest."""
    before: Duration = Field("28d", validate_default=True)
    """What users did so long before the start is taken off the differences (CUPED)."""
    slices: list[str] = []
    """Columns of users by which effects are told apart, said before anybody looks."""

    @field_validator("span")
    @classmethod
    def _ordered(cls, span: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= span[0] < span[1] <= 1:
            raise ValueError(f"expected [from, to] with 0 <= from < to <= 1, found {list(span)}")
        return span

    @field_validator("ramp")
    @classmethod
    def _growing(cls, ramp: list[Step]) -> list[Step]:
        for earlier, later in pairwise(ramp):
            if later.at <= earlier.at or later.share < earlier.share:
                raise ValueError(f"expected later moments and shares that grow, found {stamp(later.at)} behind it")
        return ramp

    @field_validator("arms")
    @classmethod
    def _two_if_interleaved(cls, arms: dict[str, Arm], info: Any) -> dict[str, Arm]:
        if info.data.get("interleave") and len(arms) != 2:
            raise ValueError(f"expected two arms to interleave, found {len(arms)}")
        return arms

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return next(iter(self.arms))

    def share_at(self, time: int) -> float:
        """The share of the span that is in it at a moment."""
        if (self.start is not None and time < self.start) or (self.stop is not None and time >= self.stop):
            return 0.0
        if not self.ramp:
            return 1.0
        return next((step.share for step in reversed(self.ramp) if step.at <= time), 0.0)


class Counted(Configured):
    """Which events of the log the metrics are made of."""

    click: list[str] = []
    """Behaviours that are a click on what was shown; none = all of them."""
    conversion: list[str] = []
    """Behaviours that are a purchase; none = nobody buys here."""
    dwell: str | None = None
    """A behaviour whose value is the seconds spent with an item."""
    value: float | None = Field(None, gt=0)
    """What every purchase is worth; none = the event's value."""
    window: Duration = Field("1d", validate_default=True)
    """An event without a ``request_id`` belongs to what its user was shown of the item at most so long before."""


class Kept(Configured):
    """How much of what was answered the service keeps; the older goes first."""

    age: Duration = Field("90d", validate_default=True)
    """At most so old, by the time of the latest answer."""
    answers: int = Field(1_000_000, ge=1)
    """At most so many answers: some 500 bytes each with ten items."""


class Design(Configured):
    """Everything in the file."""

    salt: str = ""
    """Another word deals everybody anew in every layer."""
    hold_out: float = Field(0.0, ge=0, le=0.5)
    """So large a share of all users is in no experiment at all: what all of them together are worth is seen there."""
    testers: dict[str, dict[Name, str]] = {}
    """User id -> experiment -> arm: gets that arm whatever spans and the hold-out say, also before the start."""
    counted: Counted = Counted()
    """What the metrics are made of."""
    kept: Kept = Kept()
    """How long exposures are kept."""
    experiments: dict[Name, Experiment] = {}
    """By name."""


def read(path: Path) -> Design:
    """Reads and checks the file; raises ``InputError`` naming it and the key that is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: expected a file of experiments: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    try:
        return parse(tables)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse(tables: Mapping[str, Any]) -> Design:
    """A checked design of parsed tables; raises ``InputError``."""
    try:
        design = Design.model_validate(tables)
    except ValidationError as error:
        raise InputError(explain(error, "", Design)) from error
    refuse_conflicts(design)
    return design


__all__ = [
    "HELD",
    "HOLD_OUT",
    "INTERLEAVED",
    "OPEN",
    "Arm",
    "Counted",
    "Design",
    "Experiment",
    "Kept",
    "Step",
    "parse",
    "read",
]
