"""``shortlist init``: a recipe drafted from files that nobody has described.

What the columns are is told by a look at the first rows; which channels, features and rules suit the log by trying
channels on [tune, rank), the window that is kept for choosing. The test window is not looked at.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from shortlist import train
from shortlist.component import InputError
from shortlist.draft.data import least_positive, section
from shortlist.draft.funnel import PLAIN, funnel, written
from shortlist.draft.written import toml
from shortlist.progress import emit
from shortlist.recipe import parse

ASKED = ("replay", "start")
HEAD = "# Drafted by shortlist init: answer its questions, if there are any, then run `shortlist fit` on this file."


def draft(
    events: Path | str,
    items: Path | str | None = None,
    users: Path | str | None = None,
    given: Mapping[str, str] | None = None,
    *,
    requests: str = "replay",
    trials: bool = True,
) -> str:
    """A recipe in TOML that reads these files; see ``section`` for ``given`` and for what it raises.

    ``requests``: how the funnel will be asked, "replay" (all along the test window) or "start" (everybody once, when it
    opens). With ``trials`` the log is read and channels are tried on it; without, or where the log cannot be asked
    anything, the funnel is a plain one that suits most logs.
    """
    if requests not in ASKED:
        raise InputError(f"--requests {requests}: expected {' or '.join(ASKED)}")
    name = re.sub(r"[^a-z0-9]+", "-", Path(events).name.split(".")[0].lower()).strip("-") or "draft"
    data = "\n".join(section(events, items, users, given)) + "\n"
    found = PLAIN
    if trials:
        hot = {"hot": {"type": "popular"}}
        asked = {"requests": requests}
        tables = {"name": name, "seed": 7, **tomllib.loads(data), "recall": hot, "evaluate": asked}
        try:
            recipe = parse(tables)
            found = funnel(recipe, train.load(recipe)[0])
        except InputError as error:
            emit("warning", message=f"no channel was tried: {error}")
    said = [HEAD, *(f"# {line}" for line in found.reasons.get("", []))]
    return "\n".join([*said, f"name = {toml(name)}", "seed = 7", "", data]) + "\n" + written(found)


__all__ = ["draft", "least_positive", "section"]
