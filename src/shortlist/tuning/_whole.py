"""The whole of a recipe tuned: what is read, what an earlier call left, and what is written."""

from __future__ import annotations

import math
import time
import tomllib
from pathlib import Path
from typing import Any

from shortlist import train
from shortlist.component import InputError
from shortlist.recipe import Recipe, Section
from shortlist.tabular.experiment import CrossValidationSpec
from shortlist.tabular.samples import read_table, samples_of
from shortlist.tuning import measures
from shortlist.tuning._passes import Passes
from shortlist.tuning._plan import Asked, sections
from shortlist.tuning._record import LISTS, Record, Tables, digest
from shortlist.tuning._written import Tuned, Written
from shortlist.tuning.measures import Metric


def whole(recipe: Recipe, asked: Asked, root: Path | None, seed: int, written: Written, earlier: Tuned | None) -> Tuned:
    """Everything that a recipe has to tune; see ``tuning.tune``."""
    end = math.inf if asked.seconds is None else time.monotonic() + asked.seconds
    metric, original = _metric(recipe, asked), written.tables
    paths, plain, log = [], None, None
    if recipe.recall:
        log, raw = train.load(recipe, root)
        fingerprint = raw.fingerprint
    else:
        paths, plain = sections(recipe, asked), read_table(recipe, root)
        fingerprint = plain.fingerprint

    def told(document: dict[str, Any], tables: Tables) -> Tuned:
        return written.tuned(document, tables if log is not None else _searching(recipe, tables, {}))

    record = Record(digest(original), fingerprint, metric, seed, lambda *found: written.keep(told(*found)))
    now = original
    if earlier is not None:
        record.resume(earlier.document)
        now = {**tomllib.loads(earlier.text), "name": original["name"]}
        now = now if log is not None else _searching(recipe, now, original)
    confirmed = now if record.confirmed == digest(now, LISTS) else original
    passes = Passes(now, confirmed, record, seed, end, asked.trials)
    if log is not None:
        passes.funnel(train.Schedule.of(recipe, log), Metric.of(metric))
    elif plain is not None:
        spec, samples = CrossValidationSpec.of(recipe), samples_of(plain)[0]
        passes.table(lambda at, path: measures.table(at, path[-1], samples, spec, seed), paths)
    return told(record.document, passes.tables)


def _metric(recipe: Recipe, asked: Asked) -> str:
    """What is maximised; a typo is told before anything is read."""
    if recipe.recall:
        return str(Metric.of(asked.metric or "ndcg@10"))
    if asked.metric not in (None, "auc"):
        raise InputError(f"--metric {asked.metric}: rankers on a plain table are chosen by auc")
    return "auc"


def _searching(recipe: Recipe, tables: Tables, own: Tables) -> Tables:
    """A plain table's recipe with the search tables of ``own``: what was tuned ``fit`` searches no more."""

    def mended(section: Section, own: Section) -> Section:
        search = {"search": own["search"]} if "search" in own else {}
        return {**{key: value for key, value in section.items() if key != "search"}, **search}

    ranks = own.get("rank", {})
    if recipe.rankers is not recipe.rank:
        return {**tables, "rank": mended(tables["rank"], ranks)}
    return {**tables, "rank": {name: mended(part, ranks.get(name, {})) for name, part in tables["rank"].items()}}
