"""A tuned recipe as it is written back: the old text, the changed keys, and lines on top that say what changed."""

from __future__ import annotations

import hashlib
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shortlist.tuning._record import SECTIONS, Tables, digest
from shortlist.tuning._rewrite import Changes, changes, rewritten

MARK = "# tune: "
WIDE = 118


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning came to."""

    document: Mapping[str, Any]
    text: str  # the recipe, written back

    def goes_on(self, source: str) -> bool:
        """Whether a recipe's text is what this was begun with, or is this, and nobody has changed it since."""
        same = source == self.text or self.document.get("recipe") == digest(tomllib.loads(source))
        return same and self.document.get("written") == checksum(self.text)


Keep = Callable[[Tuned], None]


@dataclass(frozen=True, slots=True)
class Written:
    """The text that tuning began with, and what the tuned recipe is called."""

    text: str
    name: str
    keep: Keep

    @property
    def tables(self) -> Tables:
        """The recipe's own."""
        return tomllib.loads(self.text)

    def text_of(self, changed: Changes) -> str:
        """The recipe with keys changed."""
        renamed: Changes = {} if self.tables["name"] == self.name else {("name",): self.name}
        return rewritten(self.text, {**changed, **renamed})

    def tuned(self, document: dict[str, Any], tables: Tables) -> Tuned:
        """The recipe that ``tables`` came to, and what was tried, with a checksum of what is written."""
        old, new = ({key: one[key] for key in SECTIONS if key in one} for one in (self.tables, tables))
        changed = changes(old, new)
        body = "".join(line for line in self.text_of(changed).splitlines(keepends=True) if not line.startswith(MARK))
        text = "".join(_lines(document)) + body
        return Tuned({"name": self.name, **document, "written": checksum(text)}, text)


def checksum(text: str) -> str:
    """SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


def _lines(document: Mapping[str, Any]) -> list[str]:
    """What was kept of each part, in comments."""
    said = ["all that was tried stands beside this file, in JSON; figures flatter where they were chosen"]
    for part in document["parts"]:
        figures = f"{part['part']}: {part['metric']} {part['before']:.4f} -> {part['after']:.4f}, {part['asked']}"
        nothing = "taken back" if part["part"] == "check" else "nothing was better"
        said += textwrap.wrap("; ".join([figures, *(part["kept"] or [nothing])]), WIDE - len(MARK))
    return [f"{MARK}{line}\n" for line in said]
