"""Several test windows as one: what each said, and how much the figures change from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import t as student

from shortlist.documents import jsonable
from shortlist.evaluate.window import Evaluation

OWN = (
    *("requests", "users", "targets", "found_by_any", "slate", "channels", "stages", "paired"),
    *("validation", "judged", "ranker"),
)
"""What is told of each window; the last one's document has everything."""


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """The last window's evaluation with ``windows``, one entry each, and ``over_windows``; the rows are all windows'.

    ``over_windows`` has for every list (channels, stages, ``slate``) and metric the mean over windows, each counting
    the same, ``low`` and ``high``, the 95 % interval of that mean by Student's t with n - 1 degrees of freedom,
    ``deviation`` of single windows (with n - 1), ``least`` and ``most``. ``paired`` has the same of the slate minus
    each list. A window in which nobody could be asked takes no part. With fewer than two there is no spread.
    """
    if len(parts) == 1:
        return parts[0]
    told = [
        {**{key: part.document["protocol"][key] for key in ("opens", "closes", "fitted_until")}, **_own(part.document)}
        for part in parts
    ]
    over = {
        name: _over([dict(_lists(part.document)).get(name, {}) for part in parts], "mean") for name in _names(parts)
    }
    differences = [part.document["paired"] for part in parts]
    paired = {
        name: _over([found.get(name, {}) for found in differences], "diff")
        for name in dict.fromkeys(name for found in differences for name in found)
    }
    document = {**parts[-1].document, "windows": told, "over_windows": jsonable({**over, "paired": paired})}
    numbered, first = [], 0
    for part in parts:
        numbered.append(part.rows.with_columns(pl.col("request") + pl.lit(first, pl.UInt64)))
        first += part.document["requests"]
    return Evaluation(document, pl.concat(numbered))


def _own(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in OWN if key in document}


def _names(parts: Sequence[Evaluation]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name, _ in _lists(part.document)))


def _lists(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every list that was measured, by its name, and its figures."""
    yield from document["channels"].items()
    yield from ((name, found) for name, found in document["stages"].items() if name != "rules")
    yield from ((f"rules.{name}", found) for name, found in document["stages"].get("rules", {}).items())
    yield "slate", document["slate"]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The mean of one value a window, each counting the same, and how far the windows lie apart; see ``joined``."""
    each, n = np.array(values, float), len(values)
    mean = float(each.mean()) if n else float("nan")
    deviation = float(each.std(ddof=1)) if n > 1 else float("nan")
    half = float(student.ppf(0.975, n - 1)) * deviation / n**0.5 if n > 1 else float("nan")
    found = {"mean": mean, "low": mean - half, "high": mean + half, "deviation": deviation, "windows": n}
    return found | {"least": float(each.min()) if n else mean, "most": float(each.max()) if n else mean}


def _over(found: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """By metric, the mean of its value in each window and how far the windows lie apart."""
    names = dict.fromkeys(name for one in found for name, part in one.items() if _has(part, key))
    return {name: spread([one[name][key] for one in found if _has(one.get(name), key)]) for name in names}


def _has(part: Any, key: str) -> bool:
    return isinstance(part, Mapping) and part.get(key) is not None
