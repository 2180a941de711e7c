"""Several channels as one: put together here, or opened from a bundle. The same verbs, and a look into every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

import polars as pl

from shortlist import answer
from shortlist.bundle import Bundle, open_bundle
from shortlist.component import Compares, Component, HardRule, InputError, Merge, Retriever, Rule, able
from shortlist.data import Dataset
from shortlist.face._asked import Asked, Ids, Moment, at_most, concat, ids_of
from shortlist.face.log import Log, Tabular, log_of
from shortlist.face.recommender import LIKE, ROWS, Recommender, neighbours
from shortlist.merge.reciprocal_rank import ReciprocalRank
from shortlist.pipeline import Pipeline
from shortlist.recipe import STAGES
from shortlist.registry import names
from shortlist.types import Candidates

WORDS = {Retriever: "recall channel such as ItemCF()", Merge: "merge such as Quota()", Rule: "rule such as Fill()"}
"""What goes where, in an error."""
SHOWN = 5
"""Rows of a stage that a trace shows."""


@dataclass(frozen=True)
class Trace:
    """What each stage handed on for one person.

    ``stages`` are frames by name: ``recall.NAME`` for every channel, ``merge``, ``rank``, ``rules.NAME`` and the final
    ``slate``; best first, with the columns the rows had there. ``seconds`` is what each took, ``failed`` the channels
    that did not answer and why.
    """

    user: str
    stages: Mapping[str, pl.DataFrame]
    seconds: Mapping[str, float]
    failed: Mapping[str, str]

    def __getitem__(self, stage: str) -> pl.DataFrame:
        if stage not in self.stages:
            raise InputError(f"trace: no stage {stage!r}; there are {', '.join(self.stages)}")
        return self.stages[stage]

    def __repr__(self) -> str:
        return "\n".join(f"{head}\n{frame.head(SHOWN)}" for head, frame in self._heads())

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{escape(head)}</h4>{frame.head(SHOWN)._repr_html_()}" for head, frame in self._heads())

    def _heads(self) -> list[tuple[str, pl.DataFrame]]:
        return [(f"{name}: {len(frame)} rows" + self._spent(name), frame) for name, frame in self.stages.items()]

    def _spent(self, stage: str) -> str:
        return f", {1000 * self.seconds[stage]:.2f} ms" if stage in self.seconds else ""


class Funnel:
    """Channels joined by a merge: ``sl.Funnel(cf=sl.ItemCF(), hot=sl.Popular()).fit(log)``; or what ``open`` opened.

    ``fallback`` is a channel whose rows stand behind where a list is short, ``rules`` order and drop rows, ``depth``
    rows are asked of each channel. A merge that learns weights learns none here, where no later events are held back:
    that takes a recipe and ``fit``.
    """

    def __init__(
        self,
        *,
        merge: Merge | None = None,
        fallback: Recommender | Retriever | None = None,
        rules: Sequence[Rule | HardRule] = (),
        depth: int = 200,
        **channels: Recommender | Retriever,
    ) -> None:
        if not channels:
            raise InputError(
                f"Funnel: expected channels by name, such as cf=ItemCF(); there are {', '.join(names('recall'))}"
            )
        if taken := sorted({"ranker", *STAGES}.intersection(channels)):
            raise InputError(f"Funnel: {taken[0]}: no name for a channel; to have a ranker, fit a recipe (sl.fit)")
        if depth < 1:
            raise InputError(f"Funnel: depth: expected at least 1, found {depth}")
        self.pipeline = Pipeline(
            recall={name: _fresh(name, channel) for name, channel in channels.items()},
            merge=ReciprocalRank() if merge is None else _checked("merge", merge, Merge),
            fallback=None if fallback is None else _fresh("fallback", fallback),
            rules=_named(rules),
            depth=depth,
        )
        self.bundle: Bundle | None = None
        self._log: Log | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """The funnel of an opened bundle."""
        funnel = cls.__new__(cls)
        funnel.pipeline, funnel.bundle, funnel._log = bundle.pipeline, bundle, Log(bundle.data)
        return funnel

    def fit(self, log: Log | Dataset | Tabular) -> Self:
        """Fits channels and rules on a log, or on anything ``read`` reads. A bundle's funnel is fitted already."""
        if self.bundle is not None:
            raise InputError("fit: this funnel came from a bundle; fit its recipe again with sl.fit")
        self._log = log_of(log)
        self.pipeline.fitted_until = None
        self.pipeline.fit(self._log.data)
        return self

    def recommend(
        self,
        users: Ids,
        n: int = 10,
        *,
        exclude_seen: bool | None = None,
        explain: bool = True,
        now: Moment | None = None,
    ) -> pl.DataFrame:
        """At most ``n`` items for each user: columns user, item, score, rank (from 1), channels and, if asked, reason.

        A user the log does not know gets what a stranger gets. ``exclude_seen`` leaves out what the user has met;
        unless said, a bundle does as its rules say and a funnel put together here leaves it out. ``channels`` are those
        that found the row, best first; a row of the fallback has no score. ``now`` is the end of the log unless given.
        """
        log, n, parts = self._fitted(), at_most(n), []
        asked = Asked.of(log, users, now, self.pipeline.fitted_until)
        schema = {**ROWS, "channels": pl.List(pl.String())} | ({"reason": pl.String()} if explain else {})
        for first, requests in asked.batches(self._leaves_out(exclude_seen)):
            found = answer.recommend(self.pipeline, log.state, requests, n)
            told = answer.tell(found, self.pipeline, log.data, explain)
            lines = [
                {"user": asked.users[first + number], "rank": place, **line}
                for number, slate in enumerate(told)
                for place, line in enumerate(slate, 1)
            ]
            parts.append(pl.DataFrame(lines, schema=schema, strict=False))
        return concat(parts, schema)

    def similar(self, items: Ids, n: int = 10) -> pl.DataFrame:
        """The ``n`` items most like each, by every channel that compares items: item, channel, similar, score, rank.

        An unknown item has none.
        """
        log, asked = self._fitted(), ids_of(items)
        frames = [
            neighbours(channel, log, asked, n).insert_column(1, pl.lit(name).alias("channel"))
            for name, channel in self.pipeline.recall.items()
            if able(channel, Compares)
        ]
        return concat(frames, {"item": pl.String(), "channel": pl.String(), **LIKE})

    def trace(
        self, user: str | int, n: int = 10, *, exclude_seen: bool | None = None, now: Moment | None = None
    ) -> Trace:
        """What every channel found for one person, how it was merged, ranked and ruled on, and what that took."""
        log, n = self._fitted(), at_most(n)
        asked = Asked.of(log, user, now, self.pipeline.fitted_until)
        if len(asked.users) != 1:
            raise InputError(f"trace: expected one user, found {len(asked.users)}")
        (_, requests) = next(asked.batches(self._leaves_out(exclude_seen)))
        found = answer.recommend(self.pipeline, log.state, requests, n)
        stages = {stage: _frame(log, rows) for stage, rows in found.trace.stages.items()}
        stages["slate"] = _frame(log, found.rows)
        return Trace(asked.users[0], stages, found.trace.seconds, found.trace.failed)

    def _leaves_out(self, exclude_seen: bool | None) -> bool:
        return self.bundle is None if exclude_seen is None else exclude_seen

    def _fitted(self) -> Log:
        if self._log is None:
            raise InputError("Funnel: not fitted yet; call fit(log) first")
        return self._log

    def __repr__(self) -> str:
        pipeline = self.pipeline
        parts = [f"{name}={type(channel).__name__}" for name, channel in pipeline.recall.items()]
        parts += [f"merge={type(pipeline.merge).__name__}"]
        parts += [f"ranker={type(pipeline.ranker).__name__}"] if pipeline.ranker is not None else []
        parts += [f"rules=[{', '.join(pipeline.rules)}]"] if pipeline.rules else []
        return f"Funnel({', '.join(parts)})" + (f" from {self.bundle.path}" if self.bundle is not None else "")


def open(bundle: str | Path, *, trust: bool = False) -> Funnel:
    """The funnel of a bundle, such as ``run.bundle``; ``trust`` admits one whose recipe names code of its own."""
    if not isinstance(bundle, str | Path):
        raise InputError(f"open: expected the folder of a bundle, such as run.bundle, found a {type(bundle).__name__}")
    return Funnel.of(open_bundle(Path(bundle), trust=trust))


def _fresh(name: str, channel: Recommender | Retriever) -> Retriever:
    """An unfitted copy, so that fitting the funnel leaves what it was made of as it is."""
    part = channel.component if isinstance(channel, Recommender) else _checked(name, channel, Retriever)
    return type(part).from_config(part.config())


def _named(rules: Sequence[Rule | HardRule]) -> dict[str, Rule | HardRule]:
    """Unfitted copies by the names a recipe would give them; a rule of one's own goes by that of its class."""
    named: dict[str, Rule | HardRule] = {}
    for number, rule in enumerate([rules] if isinstance(rules, Rule | HardRule) else rules):
        room, _, name = type(_checked("rules", rule, Rule, HardRule)).__module__.rpartition(".")
        name = name if room == "shortlist.rules" else type(rule).__name__
        named[name if name not in named else f"{name}.{number}"] = type(rule).from_config(rule.config())
    return named


def _checked(place: str, part: Any, *kinds: type[Component]) -> Any:
    """``part`` if it is of one of ``kinds``; raises ``InputError`` otherwise."""
    if isinstance(part, kinds):
        return part
    found = f"the class {part.__name__}; make one: {part.__name__}()" if isinstance(part, type) else repr(part)
    raise InputError(f"Funnel: {place}: expected a {WORDS[kinds[0]]}, found {found}")


def _frame(log: Log, rows: Candidates) -> pl.DataFrame:
    """Rank, item and title of the rows of a stage, and every column they have there."""
    named = {"item": log.item_ids.gather(rows.item), "title": log.item_names.gather(rows.item)}
    shown = {name: column for name, column in rows.columns.items() if column.ndim == 1}
    return pl.DataFrame({"rank": rows.positions() + 1, **named, **shown}).fill_nan(None)
