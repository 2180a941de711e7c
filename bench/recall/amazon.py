"""Leave-one-out on the sequences of amazon-5core: one row of ``amazon_5core.py``, in a process of its own.

The last item of each user is the test, the one before it validation, the rest is learned from; every item is a
candidate and what the user took before is removed, as ``requests = "last"`` with the rule ``seen`` has it. A channel
answers three times, 200 rows each: validation, test as published (``refit = false``: fitted without the validation
items, which stand in the histories alone), and test refitted with them. The lists go to WORK/SET/NAME.ANSWER.parquet.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import channel as rows_of
import choose
import numpy as np
import polars as pl
from together import read

from shortlist.component import InputError, Merge
from shortlist.data import Dataset, State, held
from shortlist.data.build import dataset
from shortlist.data.protocol import Questions
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_intervals, paired_interval
from shortlist.questions import BATCH, questions_of
from shortlist.recipe import EvaluateSpec
from shortlist.registry import find
from shortlist.types import Array, Candidates, Ragged

ANSWERS: dict[str, held.Part] = {"validation": "tune", "test": "test", "refitted": "test"}
METRICS = ("ndcg@10", "recall@10")
Job = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """One of the two times that everybody is asked once."""

    known: Dataset  # what may be learned
    state: State
    batches: list[Questions]  # what the users took in their ``exclude``
    users: Array
    right: Ragged


@dataclass(frozen=True)
class Log:
    """The sequences of one set."""

    data: Dataset

    @staticmethod
    def read(name: str, root: Path, attributes: Path | None = None) -> Log:
        """The log of ``root``/amazon-5core/``name``.txt.gz; the items' attributes beside it, kept in a folder."""
        tables: dict[str, Any] = {"events": {"path": f"{name}.txt.gz", "layout": "sequences"}}
        if attributes is not None:
            file = (root / "amazon-5core" / f"{name}.attributes.json.gz").read_bytes()
            told = json.loads(gzip.decompress(file)).items()
            attributes.mkdir(parents=True, exist_ok=True)
            path = attributes / "items.parquet"
            rows = {"item": [item for item, _ in told], "attributes": [[str(one) for one in many] for _, many in told]}
            pl.DataFrame(rows).write_parquet(path)
            tables["items"] = {"path": str(path.resolve()), "columns": {"item": "item", "attributes": "list"}}
        spec = DataSpec.model_validate(tables)
        return Log(dataset(source("tables")(spec, root / "amazon-5core"), spec))

    @cached_property
    def validation(self) -> Part:
        """Asked for the last item but one, of which nothing is known."""
        return self._part("tune")

    @cached_property
    def test(self) -> Part:
        """Asked for the last one; ``known`` holds the one before it."""
        return self._part("test")

    def _part(self, name: held.Part) -> Part:
        log = held.seen_from(self.data, held.last(self.data.events), name, ranked=False, seed=0)
        state, at = log.state(), held.moment(self.data)
        asked = questions_of(log, state, EvaluateSpec(requests="last"), at, at + 1)
        ready = []
        for batch in asked.batches(BATCH):
            history = batch.requests.history
            taken = Ragged(history.offsets, {"item": history["item"]})
            ready.append(replace(batch, requests=replace(batch.requests, exclude=taken)))
        return Part(log.until(at), state, ready, *rows_of.targets(ready))


def values(rows: Candidates, right: Ragged) -> dict[str, Array]:
    """Each of METRICS, one value a request."""
    slates = Slates.of(rows, right, 10)
    return {"ndcg@10": accuracy.ndcg(slates, 10), "recall@10": accuracy.recall(slates, 10)}


def told(rows: Candidates, part: Part) -> dict[str, Any]:
    """The metrics with their intervals."""
    measured = values(rows, part.right)
    intervals = mean_intervals(np.stack([measured[metric] for metric in METRICS], axis=1), part.users)
    return {metric: asdict(interval) for metric, interval in zip(METRICS, intervals, strict=True)}


def row(asked: Job) -> dict[str, Any]:
    """A channel or, with ``of``, a merge of channels measured before."""
    work = Path(asked["work"]) / asked["set"]
    log = Log.read(asked["set"], Path(asked["data"]), work if asked.get("attributes") else None)
    return merged(log, work, asked) if "of" in asked else single(log, work, asked)


def single(log: Log, work: Path, asked: Job) -> dict[str, Any]:
    """What a channel costs and answers."""
    kind, settings, found = asked["type"], asked["settings"], dict[str, Any]()
    try:
        plain, cost = rows_of.fitted(kind, settings, log.validation.known)
        found |= cost | rows_of.latency(plain, log.test.batches, log.test.state)
        for answer in ANSWERS:
            if answer == "refitted":
                plain, cost = rows_of.fitted(kind, settings, log.test.known)
                found["refit_seconds"] = cost["fit_seconds"]
            part = log.validation if answer == "validation" else log.test
            rows = rows_of.lists(plain, part.batches, part.state)
            found[answer] = told(rows, part)
            digest = rows_of.digest(part.users, part.right)
            rows_of.keep(rows, work / f"{asked['name']}.{answer}.parquet", digest)
    except (InputError, MemoryError) as error:
        return {"refuses": str(error) or "out of memory"}
    return found


def merged(log: Log, work: Path, asked: Job) -> dict[str, Any]:
    """What a merge makes of its channels' lists; it learns from those of the validation items."""
    merge: Merge = find("merge", asked["type"]).from_config(asked["settings"])  # type: ignore[assignment]
    found, lists = dict[str, Any](), dict[str, Mapping[str, Candidates]]()
    for answer in ANSWERS:
        part = log.validation if answer == "validation" else log.test
        there = read(work, answer, rows_of.digest(part.users, part.right))
        absent = [name for name in asked["of"] if name not in there]
        if absent:
            return {"refuses": f"no lists of {', '.join(absent)} in this --work; measure those rows first"}
        lists[answer] = {name: there[name] for name in asked["of"]}
    began = time.perf_counter()
    merge.fit(lists["validation"], log.validation.right)
    found["fit_seconds"] = time.perf_counter() - began
    found["weights"] = dict(zip(sorted(asked["of"]), getattr(merge, "weights_", np.empty(0)).tolist(), strict=False))
    for answer in ANSWERS:
        part = log.validation if answer == "validation" else log.test
        rows = merge.merge(lists[answer], len(part.users))
        alone = {name: values(one, part.right)["ndcg@10"] for name, one in lists[answer].items()}
        best = max(alone, key=lambda name: float(alone[name].mean()))
        gain = paired_interval(values(rows, part.right)["ndcg@10"], alone[best], part.users)
        found[answer] = told(rows, part) | {"best_single": best, "minus_best": asdict(gain)}
    return found


def search(asked: Job) -> dict[str, Any]:
    """The settings with the best NDCG@10 on the validation items; durations stay as they are, the log has no times."""
    log, cls = Log.read(asked["set"], Path(asked["data"])).validation, find("recall", asked["type"])
    bounds = {name: own for name, own in choose.declared(cls).items() if "half_life" not in name}
    rng = np.random.default_rng(0)
    starts = [asked["settings"]] + [{"fade": fade} for fade in (1.0, 2.0) if "fade" in cls.model_fields]
    began, best, trials = time.perf_counter(), (dict[str, Any](), -1.0), 0
    while trials < asked["trials"] and (not trials or time.perf_counter() - began < asked["budget"]):
        point = starts[trials] if trials < len(starts) else choose.draw(bounds, best[0], rng)
        trials += 1
        try:
            fitted = cls.from_config(point).fit(log.known)  # type: ignore[attr-defined]
        except (InputError, ValueError):
            continue
        value = float(values(rows_of.lists(fitted, log.batches, log.state), log.right)["ndcg@10"].mean())
        best = (point, value) if value > best[1] else best
    return {"set": best[0], "validation": best[1], "trials": trials}
