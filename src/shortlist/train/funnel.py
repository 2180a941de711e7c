"""From a recipe to a published bundle and its evaluation."""

from __future__ import annotations

import platform
import re
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from shortlist import bundle as bundles
from shortlist.component import InputError, Measured, able
from shortlist.data import Dataset
from shortlist.data.build import dataset
from shortlist.data.elsewhere import learned_elsewhere
from shortlist.data.order import WORDS
from shortlist.data.raw import Raw
from shortlist.data.sources import source
from shortlist.documents import dumps, jsonable, write_parquet, write_text
from shortlist.durations import stamp
from shortlist.evaluate import Evaluation, evaluate, joined
from shortlist.nn import checkpoint
from shortlist.pipeline import Pipeline
from shortlist.progress import emit, step
from shortlist.recipe import Recipe
from shortlist.registry import find
from shortlist.train.elsewhere import with_vectors
from shortlist.train.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Fitted:
    """What ``fit`` leaves behind."""

    out: Path
    evaluation: Evaluation
    manifest: dict[str, Any]


def load(recipe: Recipe, root: Path | None = None) -> tuple[Dataset, Raw]:
    """The recipe's log as a coded dataset, and the tables it came from."""
    with step("read data"):
        raw = source(recipe.data.source)(recipe.data, root)
        if not isinstance(raw, Raw):
            raise InputError(
                f"data.source: {recipe.data.source} is a plain table without users and items; leave out [recall] to "
                "compare rankers on it"
            )
        data = dataset(raw, recipe.data)
    if data.order_only:
        _say_order(recipe, data)
    emit("data", events=len(data.events), users=data.n_users, items=data.n_items, dropped=raw.dropped())
    return with_vectors(data, recipe, root), raw


def _say_order(recipe: Recipe, data: Dataset) -> None:
    """What figures without times are, and which parts of the recipe can make nothing of them."""
    if recipe.evaluate.min_gap:
        raise InputError("evaluate.min_gap: expected none, since nobody knows when users were silent: order only")
    emit("note", message=f"{WORDS[data.clock]}; targets have no horizon")
    for number, section in enumerate(recipe.features):
        if getattr(find("features", section["type"]), "calendar", False):
            name = f"features.{number} ({section['type']})"
            emit("warning", message=f"{name}: hours and weekdays of an order say nothing")


def fit(
    recipe: Recipe, *, root: Path | None = None, out: Path, final: bool = False, overrides: Sequence[str] = ()
) -> Fitted:
    """Fits, evaluates on the test window and publishes: ``out`` gets bundle, evaluation.json, rows.parquet.

    ``overrides`` are the ``--set`` options the recipe was read with, for the manifest. While it lasts, nets in training
    are kept in ``out``, and those of a fit that was killed go on from there.
    """
    unfinished = out / "unfinished"
    with checkpoint.kept_in(unfinished):
        fitted = _fit(recipe, root, out, final, overrides)
    shutil.rmtree(unfinished, ignore_errors=True)
    return fitted


def _fit(recipe: Recipe, root: Path | None, out: Path, final: bool, overrides: Sequence[str]) -> Fitted:
    began = time.perf_counter()
    data, raw = load(recipe, root)
    schedules = Schedule.all(recipe, data)
    windows = []
    for number, schedule in enumerate(schedules, 1):
        with _told(number, schedules):
            pipeline = recipe.pipeline()
            windows.append(_measured(schedule, pipeline))
    evaluation = joined(windows)
    chosen, validation, judged = (windows[-1].document[key] for key in ("ranker", "validation", "judged"))
    if final:
        schedule.final(pipeline)
    provenance = jsonable(
        {
            "validation": validation,
            "judged": judged,
            "data": {
                "fingerprint": raw.fingerprint,
                "events": len(data.events),
                "dropped": raw.dropped(),
                "doubts": list(raw.doubts),
                **({"order": WORDS[raw.clock]} if data.order_only else {}),
            },
            "versions": versions(),
            **({"elsewhere": found} if (found := learned_elsewhere(data)) else {}),
        }
    )
    with schedule.timed("publish"):
        notes = {
            **provenance,
            "final": final,
            "overrides": list(overrides),
            "cuts": asdict(schedule.cuts),
            **_cost(schedule, "seconds"),
            **_indexes(pipeline),
        }
        known = data if final else schedule.part("test").known
        target = bundles.save(out / "bundle", pipeline, recipe, known, chosen, notes)
    document = {
        "name": recipe.name,
        "bundle": target.name,
        **provenance,
        "fit_seconds": round(time.perf_counter() - began, 2),
        **_cost(schedule, "fit_steps"),
        **evaluation.document,
    }
    write_text(out / "evaluation.json", dumps(document))
    write_parquet(evaluation.rows, out / "rows.parquet")
    (out / "rejected.parquet").unlink(missing_ok=True)
    if len(raw.rejected):
        write_parquet(raw.rejected, out / "rejected.parquet")
    return Fitted(out, Evaluation(document, evaluation.rows), bundles.read_manifest(target))


def _told(number: int, schedules: Sequence[Schedule]) -> AbstractContextManager[None]:
    """Which of several windows is at work."""
    if len(schedules) == 1:
        return nullcontext()
    opens = schedules[number - 1].cuts.test
    return step(f"window {number} of {len(schedules)}, from {stamp(opens)}")


def _measured(schedule: Schedule, pipeline: Pipeline) -> Evaluation:
    """The pipeline, fitted up to the test window and measured on it."""
    schedule.merge(pipeline)
    rankers, choice, chosen = schedule.rankers(pipeline)
    schedule.refit(pipeline)
    with schedule.timed("evaluate"):
        recipe, test = schedule.recipe, schedule.part("test")
        closes = test.closes if schedule.data.end is not None else None
        found = evaluate(pipeline, test.data, recipe.evaluate, test.opens, closes, rankers=rankers, seed=recipe.seed)
    said = {"ranker": chosen, "validation": choice.means, "judged": choice.document()}
    document = {**jsonable(said), **found.document}
    return Evaluation(document, found.rows)


def _cost(schedule: Schedule, steps: str) -> dict[str, Any]:
    """Seconds by step, called ``steps``, and memory."""
    seconds = {title: round(spent, 3) for title, spent in schedule.seconds.items()}
    return {steps: seconds, "peak_memory_bytes": peak_memory()}


def _indexes(pipeline: Pipeline) -> dict[str, Any]:
    """What the channels' indexes are worth that are not exact; nothing where all are."""
    measures = {name: able(part, Measured) for name, part in pipeline.recall.items()}
    told = {name: part.measured() for name, part in measures.items() if part is not None}
    return {"index": found} if (found := {name: figures for name, figures in told.items() if figures}) else {}


def versions() -> dict[str, str]:
    """What the figures were made with."""
    packages = ("shortlist", "numpy", "scipy", "polars", "numba", "lightgbm", "pydantic")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes.

    On Linux as its own memory says it: what ``getrusage`` tells begins with the size of the process that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        told = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)
        if told:
            return 1024 * int(told[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
