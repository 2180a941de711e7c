"""A bundle and the log its test window is in, opened once more: what evaluates again begins with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shortlist.cli import terminal
from shortlist.component import InputError
from shortlist.progress import step

if TYPE_CHECKING:
    from shortlist.bundle import Bundle
    from shortlist.data import Dataset


def log_of(opened: Bundle, path: Path, data: Path | None) -> Dataset:
    """The log in which the bundle at ``path`` is asked again; ``data`` is where relative paths start.

    Raises ``InputError`` where no later events are left, or where nobody can say which were held out.
    """
    from shortlist import train
    from shortlist.data.build import dataset
    from shortlist.data.elsewhere import knowing
    from shortlist.data.raw import Raw
    from shortlist.data.sources import source

    if opened.manifest.get("final"):
        raise InputError(f"{path}: was refitted at the end of the log (--final); no later events are left to test on")
    with step("read data"):
        raw = source(opened.recipe.data.source)(opened.recipe.data, data)
        assert isinstance(raw, Raw)  # a bundle's recipe has channels
        same = raw.fingerprint == opened.manifest["data"]["fingerprint"]
        log = dataset(raw, opened.recipe.data, None if same else opened.data)
    if not same and log.clock == "each":
        raise InputError("data: an order of each user alone is spread anew as the log grows; fit again")
    if not same:
        terminal.err.print("  note: the data is not what this bundle was fitted on")
    log = knowing(log, opened.manifest.get("elsewhere", {}))
    return train.as_asked(opened.recipe, log, same, str(path))
