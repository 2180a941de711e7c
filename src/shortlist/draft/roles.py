"""Which column of a log is the user, the item, the time, the event and the value: by what it does, then by its name.

What cannot be told is asked: every guess says whether it is sure and which column comes next, so that a draft can be
written all the same, with the question on the line where the answer belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shortlist.component import InputError
from shortlist.data.sources._scan import listed
from shortlist.draft.columns import SCALE, Column, Columns, moments_of
from shortlist.draft.look import Look, formats
from shortlist.draft.names import MEASURE, RECEIPT, says, strength, told
from shortlist.types import Int64

MOST = 0.5
"""A user that is missing in more rows than this gives way to the session, if there is one."""
ALIKE = 0.95
"""Two times whose days agree in so many rows are the same time, written twice."""
ROLES = ("user", "item", "time", "event", "value", "count")
ROLE_NAMES = {"count": "weight"}
"""What the funnel calls a role where it has another name for it."""


@dataclass(frozen=True)
class Guess:
    """A column for a role."""

    column: str
    question: str | None = None  # None: it is sure
    second: str | None = None  # the next best


@dataclass(frozen=True)
class Roles:
    """What was made out of a log's columns."""

    guesses: Mapping[str, Guess]
    columns: Columns
    order: bool = False  # the time is a place in an order, no moment
    also: str | None = None  # a second time, for the rows in which the first is empty
    attributes: Mapping[str, list[str]] = field(default_factory=dict)  # of "item" and "user": columns they decide

    def __getitem__(self, role: str) -> str:
        return self.guesses[role].column

    def __contains__(self, role: object) -> bool:
        return role in self.guesses

    @property
    def called(self) -> dict[str, str]:
        """What a file without a header calls its columns: by the funnel's names. Of two times neither is the time."""
        told = {guess.column: ROLE_NAMES.get(role, role) for role, guess in self.guesses.items()}
        return {column: name for column, name in told.items() if name != "time" or self.also is None}

    @property
    def used(self) -> set[str]:
        """The columns that have a role."""
        return {guess.column for guess in self.guesses.values()} | ({self.also} if self.also else set())


def roles(log: Look, given: Mapping[str, str], items: Look | None = None, users: Look | None = None) -> Roles:
    """The roles of a log's columns; those in ``given`` (role -> column) are as they are said.

    Raises ``InputError`` for a log without rows or with fewer than two columns that could be ids, and for a given
    column that is not there.
    """
    columns = Columns.of(log)
    if not any(column.n for column in columns.by_name.values()):
        raise InputError(f"{log.path}: expected events, found columns without rows: {listed(log.columns)}")
    for role, column in given.items():
        if column not in log.columns:
            raise InputError(f"{log.path}: no column {column!r} to be the {role}; found {listed(log.columns)}")
    search = _Search(log, columns, {role: Guess(column) for role, column in given.items()})
    also = search.time()
    search.event()
    search.value()
    search.ids(items, users)
    order = "time" not in search.found and search.order()
    kept = {role: search.found[role] for role in ROLES if role in search.found}
    return Roles(kept, columns, order, also, search.attributes())


class _Search:
    """The columns, and the roles found so far."""

    def __init__(self, log: Look, columns: Columns, found: dict[str, Guess]):
        self.log, self.columns, self.found = log, columns, found
        self.moments: Int64 = np.full(len(next(iter(log.columns.values()))), -1)

    def left(self) -> list[Column]:
        """Columns that say something and have no role yet."""
        taken = {guess.column for guess in self.found.values()}
        return [c for name, c in self.columns.by_name.items() if name not in taken and c.n]

    # time

    def time(self) -> str | None:
        """The time, and a column that completes it where it has gaps."""
        also = None
        if "time" not in self.found:
            able = [c for c in self.left() if c.when is not None and not self._number_without_a_name(c)]
            ranked = sorted(able, key=self._as_time, reverse=True)
            if not ranked:
                return None
            alike = [c for c in ranked if c.share >= ranked[0].share and self._agree(ranked[0], c)]
            ranked.insert(0, ranked.pop(ranked.index(max(alike, key=lambda c: c.n, default=ranked[0]))))
            best, second = ranked[0], (ranked[1] if len(ranked) > 1 else None)
            question = None
            if len(ways := formats(best.values)) > 1 and best.when == (None, ways[0]):
                question = f"its days may be written {ways[0]} or {ways[1]}: which?"
            if second is not None and best.share < 0.98:
                both = (best.codes >= 0) | (second.codes >= 0)
                if both.mean() > best.share + 0.01:
                    also = second.name
                    question = f"where {best.name} is empty, {second.name} is taken: is that the time of the event?"
            if second is not None and also is None and not self._agree(best, second):
                question = f"{best.name} or {second.name}?"
            if best.numbers is not None and not told(best.name, "time") and best.n < 0.2 * best.filled:
                question = f"{best.name} reads as seconds and repeats as ids do: is it a time?"
            self.found["time"] = Guess(best.name, question, second.name if second else None)
        self.moments = moments_of(self.columns[self.found["time"].column])
        return also

    def _as_time(self, c: Column) -> tuple[float, float]:
        gaps = 2.0 if c.share < 0.9 else 0.0
        return told(c.name, "time") + (c.numbers is None) - gaps, c.n

    def _number_without_a_name(self, c: Column) -> bool:
        """Whether it is a number that reads as seconds by accident: called an id, or written with zeros before it."""
        if c.numbers is None or told(c.name, "time") >= 1:
            return False
        zeros = any(value.startswith("0") and value.strip("0.") for value in c.values)
        return zeros or max(told(c.name, "user"), told(c.name, "item")) > 0 or says(c.name, f"{RECEIPT} {MEASURE} id")

    def _agree(self, one: Column, other: Column) -> bool:
        a, b = moments_of(one) // 86_400_000_000, moments_of(other) // 86_400_000_000
        both = (a >= 0) & (b >= 0)
        return bool(both.any() and np.mean(np.abs(a - b)[both] <= 1) >= ALIKE)

    def order(self) -> bool:
        """A column of whole numbers that orders the events where no column is a time."""
        words = "step seq sequence position place order rank day week"
        able = [c for c in self.left() if c.whole and (told(c.name, "time") or says(c.name, words))]
        if not able:
            return False
        best = max(able, key=lambda c: (told(c.name, "time"), c.n))
        question = f"{best.name} is no date, so it is taken as an order: is a larger number a later event?"
        self.found["time"] = Guess(best.name, question)
        return True

    # event and value

    def event(self) -> None:
        """The behaviour: few words of which some are verbs, or few codes in a column called so."""
        if "event" in self.found:
            return
        for c in sorted(self.left(), key=lambda c: -told(c.name, "event")):
            if not 2 <= c.n <= SCALE or c.n >= c.filled:
                continue
            named = self.log.header and told(c.name, "event") >= 2
            known = sum(strength(value) is not None for value in c.values)
            if c.numbers is None and known >= min(2, c.n) and known >= c.n / 3:
                self.found["event"] = Guess(c.name)
                return
            if named and c.numbers is None:
                self.found["event"] = Guess(c.name, "is it what the user did, and what is each worth?")
                return
            if named and c.whole and c.n <= 10:
                shares = np.bincount(c.codes[c.codes >= 0]) / c.filled
                each = ", ".join(f"{v} is {s:.0%}" for v, s in sorted(zip(c.values, shares, strict=True)))
                self.found["event"] = Guess(c.name, f"what do its codes mean? Of the events {each}")
                return

    def value(self) -> None:
        """A rating: a column called so, or without a header few numbers evenly apart; else a count."""
        if "value" in self.found or "count" in self.found:
            return
        numbers = [c for c in self.left() if c.numbers is not None and c.n > 1]
        if self.log.header:
            named = [c for c in numbers if told(c.name, "value") >= 2 and not says(c.name, MEASURE)]
            named = [c for c in named if c.steps or told(c.name, "value") < 3 or c.name.lower() != "value"]
            if named:
                best = max(named, key=lambda c: told(c.name, "value"))
                question = None if best.scale else f"{best.name} is no rating scale: from which value on is it right?"
                self.found["value"] = Guess(best.name, question)
                return
            counted = [c for c in numbers if c.whole and self._counts(c)]
            if counted:
                best = max(counted, key=lambda c: told(c.name, "count"))
                self.found["count"] = Guess(best.name, f"is {best.name} how often or how long? An event weighs as much")
        else:
            scales = [c for c in numbers if c.steps and c.n >= 4 and c.n < c.filled / 10]
            if scales:
                question = f"{scales[-1].name} has {scales[-1].n} values as a rating scale has: is it one?"
                self.found["value"] = Guess(scales[-1].name, question if len(scales) > 1 else None)

    def _counts(self, c: Column) -> bool:
        return c.numbers is not None and float(c.numbers.min()) >= 0 and told(c.name, "count") >= 2

    # user and item

    def ids(self, items: Look | None, users: Look | None) -> None:
        """The user and the item among the columns that could be ids."""
        able = [c for c in self.left() if self._can_be_id(c)]
        entities = self._entities(able)
        for role, table in (("user", users), ("item", items)):
            if role not in self.found and table is not None:
                self._by_table(role, table, able)
        named: dict[str, list[Column]] = {}
        for role in ("user", "item"):
            if role not in self.found:
                named[role] = sorted((c for c in entities if told(c.name, role) > 0), key=lambda c: -told(c.name, role))
                named[role] = named[role] or self._named_at_all(role, able)
        for role, ranked in named.items():
            other = "item" if role == "user" else "user"
            ranked = [c for c in ranked if c.name not in self._taken() and told(c.name, role) >= told(c.name, other)]
            if ranked:
                self._take(role, ranked, able)
        for role in ("user", "item"):
            if role in self.found:
                continue
            free = [c for c in entities if c.name not in self._taken()]
            free = free or [c for c in able if c.name not in self._taken()]
            if not free:
                raise InputError(
                    f"{self.log.path}: no column looks like the {role}; found {listed(self.log.columns)}: "
                    f'say which it is ({role} = "...", in a recipe under [data.events] columns)'
                )
            missing = [r for r in ("user", "item") if r not in self.found]
            second = free[1].name if len(free) > 1 else None
            if len(missing) == 2:
                both = f"which column is the user and which the item? {free[0].name} and {second} are the likeliest"
                self.found["user"] = Guess(free[0].name, both, second)
            else:
                user = self.found.get("user")
                swapped = user.column if user and user.second == free[0].name else None  # neither is called anything
                rival = swapped or second
                question = f"is it the {role}? Or {rival}?" if rival else None
                self.found[role] = Guess(free[0].name, question, rival)

    def _taken(self) -> set[str]:
        return {guess.column for guess in self.found.values()}

    def _can_be_id(self, c: Column) -> bool:
        named = max(told(c.name, "user"), told(c.name, "item"))
        measures = c.numbers is not None and (not c.whole or says(c.name, MEASURE)) and named < 2.9
        timely = c.when is not None and (c.numbers is None or told(c.name, "time") >= 2)
        return c.n >= 2 and not measures and not timely and (not c.unique or named >= 2.9)

    def _named_at_all(self, role: str, able: list[Column]) -> list[Column]:
        """Columns that a name calls by the role though something else decides them: a user of one session each."""
        named = [c for c in able if told(c.name, role) >= 1.9 and c.name not in self._taken()]
        return sorted(named, key=lambda c: -told(c.name, role))

    def _entities(self, able: list[Column]) -> list[Column]:
        """Those that no other column decides, receipts and sessions left out."""
        receipts = {c.name for c in able if self._is_receipt(c, able)}
        rest = [c for c in able if c.name not in receipts and not says(c.name, RECEIPT)]
        rest = rest if len(rest) > 1 else [c for c in able if c.name not in receipts]
        large = [c for c in rest if c.n > SCALE]
        rest = large if len(large) > 1 else rest
        kept = []
        for c in rest:
            deciding = [o for o in rest if o is not c and self.columns.decides(o.name, c.name)]
            above = [o for o in deciding if not self.columns.decides(c.name, o.name) and o.n > c.n]
            twins = [o for o in deciding if self.columns.decides(c.name, o.name)]
            if not above and all(self._likelier(c, o, rest) for o in twins):
                kept.append(c)
        return kept

    def _likelier(self, c: Column, other: Column, order: list[Column]) -> bool:
        """Of two names for the same things: the one called by a role, then the shorter, then the first."""

        def key(column: Column) -> tuple[float, bool, float, int]:
            named = max(told(column.name, "user"), told(column.name, "item"))
            words = says(column.name, "name title description label")
            return -round(named), words, column.mean_length(), order.index(column)

        return key(c) < key(other)

    def _is_receipt(self, c: Column, able: list[Column]) -> bool:
        """Whether its lines stand together in time and decide a coarser id: an order of one customer."""
        if max(told(c.name, "user"), told(c.name, "item")) >= 2.9 and not says(c.name, RECEIPT):
            return False
        there = self.moments[self.moments >= 0]
        if not len(there):
            return False
        near = int(there.max() - there.min()) // 50
        if not self.columns.holds(c.name, self.moments, near):
            return False
        return any(o is not c and o.n < c.n and self.columns.decides(c.name, o.name) for o in able)

    def _by_table(self, role: str, table: Look, able: list[Column]) -> None:
        """The column whose ids a table describes, by a column in which each stands once."""
        tables = [
            set(column.values) for column in Columns.of(table).by_name.values() if column.n > 0.95 * column.filled
        ]

        def shared(c: Column) -> float:
            return max((len(ids.intersection(c.values)) / c.n for ids in tables), default=0.0)

        free = [c for c in able if c.name not in self._taken()]
        ranked = sorted(free, key=lambda c: (-round(shared(c), 1), -told(c.name, role), -c.n))
        if ranked and shared(ranked[0]) > 0.05:
            close = [c for c in ranked[1:] if shared(c) > shared(ranked[0]) - 0.2 and told(c.name, role) > 0]
            sure = told(ranked[0].name, role) > 0 or not close
            question = None if sure else f"is it the {role}? Or {close[0].name}?"
            self.found[role] = Guess(ranked[0].name, question, close[0].name if close else None)

    def _take(self, role: str, ranked: list[Column], able: list[Column]) -> None:
        best, second = ranked[0], (ranked[1].name if len(ranked) > 1 else None)
        question = None
        if role == "user" and best.share < MOST:
            for c in able:
                if says(c.name, "session visit visitor cookie device sessionid") and c.share > 0.9 and c is not best:
                    question = f"{best.name} is empty in {1 - best.share:.0%} of the rows, so sessions are asked for"
                    best, second = c, best.name
                    break
        rival = len(ranked) > 1 and told(ranked[0].name, role) - told(ranked[1].name, role) < 0.5
        if question is None and rival and not self.columns.same(best.name, ranked[1].name):
            question = f"{best.name} or {second}?"
        self.found[role] = Guess(best.name, question, second)

    # what goes with them

    def attributes(self) -> dict[str, list[str]]:
        """Columns that the item decides, and that the user decides."""
        found: dict[str, list[str]] = {"item": [], "user": []}
        for c in self.left():
            for role in ("item", "user"):
                key = self.found[role].column
                if c.n > 1 and self.columns.decides(key, c.name) and not (role == "user" and c.name in found["item"]):
                    found[role].append(c.name)
        return found
