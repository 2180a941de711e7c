"""What was tried on a whole recipe, kept beside the one that is written, so that a later call goes on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shortlist.component import InputError
from shortlist.documents import jsonable
from shortlist.tuning._study import Trial

Tables = dict[str, Any]
LISTS = ("recall", "merge")
"""Sections that channels' merged lists depend on; ranked lists depend on all of ``SECTIONS``."""
SECTIONS = (*LISTS, "features", "samples", "rank")
"""What may be changed."""


@dataclass(frozen=True, slots=True)
class Try:
    """One change and what it came to."""

    part: str
    what: str  # in words
    key: str  # of the sections as they would be
    value: float | None  # None = refused
    gain: float | None  # over the recipe as it was
    error: float | None  # standard error of that
    kept: bool
    seconds: float
    refusal: str | None = None
    section: str | None = None  # of a search
    params: dict[str, Any] | None = None


@dataclass(slots=True)
class Record:
    """All tries, and what each part came to; ``keep`` is told the document and the recipe after each."""

    recipe: str  # digest of the recipe it began with
    data: str  # fingerprint of the log
    metric: str
    seed: int
    keep: Callable[[dict[str, Any], Tables], None]
    tries: list[Try] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    stopped: bool = False
    confirmed: str = ""  # digest of the channels and the merge that were last seen to rank no worse

    def resume(self, earlier: Mapping[str, Any]) -> None:
        """Takes over what an earlier call tried; raises ``InputError`` where that was something else."""
        for name, said in (("data", "the log has changed"), ("metric", "--metric was another"), ("seed", "--seed was")):
            if earlier.get(name) != getattr(self, name):
                raise InputError(f"what was tried before cannot be gone on from: {said}; give --out another name")
        try:
            self.tries = [Try(**one) for one in earlier["tried"]]
            self.parts = [dict(one) for one in earlier["parts"]]
            self.confirmed = str(earlier["confirmed"])
        except (KeyError, TypeError) as error:
            raise InputError(
                "what was tried before cannot be read: not written by this version; give --out another name"
            ) from error

    def add(self, made: Try, tables: Tables) -> None:
        """One more, and the recipe as it is after it."""
        self.tries.append(made)
        self.keep(self.document, tables)

    def has(self, key: str) -> bool:
        """Whether these very sections were tried."""
        return any(made.key == key for made in self.tries)

    def in_vain(self, part: str, section: str | None) -> int:
        """How many settings of a section, or other changes of a part, were tried since one was last kept."""
        mine = [made.kept for made in self.tries if made.part == part and made.section == section]
        return mine[::-1].index(True) if True in mine else len(mine)

    def settings(self, section: str) -> list[Trial]:
        """What was searched of a section so far."""
        return [
            Trial(made.params, made.value, made.seconds, made.refusal)
            for made in self.tries
            if made.section == section and made.params is not None
        ]

    @property
    def document(self) -> dict[str, Any]:
        """As JSON; hyperparameters are not rounded as figures are: a penalty of 1e-7 is no 0."""
        tried = [{**jsonable(asdict(made)), "params": made.params} for made in self.tries]
        told = {"recipe": self.recipe, "data": self.data, "metric": self.metric, "seed": self.seed}
        ended = {"left": self.left, "stopped": self.stopped, "confirmed": self.confirmed}
        return {**told, "parts": jsonable(self.parts), **ended, "tried": tried}


def digest(tables: Mapping[str, Any], sections: Sequence[str] | None = None) -> str:
    """SHA-256 of some sections of a recipe's tables; without names, of all but what it is called."""
    some = {key: value for key, value in tables.items() if (key != "name" if sections is None else key in sections)}
    return hashlib.sha256(json.dumps(some, sort_keys=True, default=str).encode()).hexdigest()[:16]
