"""``shortlist init``: a recipe drafted from files that nobody has described."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from shortlist.draft.data import least_positive, section
from shortlist.draft.written import toml

SECTIONS = """
[recall.item_cf]
type = "item_cf"

[recall.hot]
type = "popular"
half_life = "7d"

[fallback]
type = "popular"

[merge]
type = "quota"
k = 300

[[features]]
type = "channel"

[[features]]
type = "counts"

[rank]
type = "gbdt"

[[rules]]
type = "seen"

[evaluate]
requests = "replay"
k = [10, 50]
"""
"""What follows ``[data]`` in a draft: plain components that need nothing but a log."""


def draft(
    events: Path | str,
    items: Path | str | None = None,
    users: Path | str | None = None,
    given: Mapping[str, str] | None = None,
) -> str:
    """A recipe in TOML that reads these files; see ``section`` for what it raises."""
    name = re.sub(r"[^a-z0-9]+", "-", Path(events).name.split(".")[0].lower()).strip("-") or "draft"
    lines = [
        "# Drafted from a look at the first rows of the files: check [data], then run `shortlist fit` on this file.",
        f"name = {toml(name)}",
        "seed = 7",
        "",
        *section(events, items, users, given),
    ]
    return "\n".join(lines) + "\n" + SECTIONS


__all__ = ["draft", "least_positive", "section"]
