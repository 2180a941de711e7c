"""The data sets of the table: what is in ``sets/NAME.toml``, read, cut, and asked.

A set is a recipe's ``[data]`` table with the protocols and hard rules it is measured under. ``folder`` is the set's
folder below ``--data``; a set whose folder is not there is left out. ``[shuffled]`` is for logs without times.
``[side]`` is what is known beside the log, for the channels that read it (``items``, ``triples``): of the items in the
log, which can be had from their first event on as if there were no catalogue, so that the questions stay what they are.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist.data import Dataset, State, Table
from shortlist.data.build import available_from, dataset
from shortlist.data.protocol import Questions
from shortlist.data.sources import source
from shortlist.data.spec import DataSpec
from shortlist.pipeline import Pipeline
from shortlist.questions import BATCH, questions_of
from shortlist.recipe import EvaluateSpec
from shortlist.registry import find
from shortlist.types import Requests

SETS = Path(__file__).parent / "sets"
TUNE_QUESTIONS = 2000
"""Questions of the tune window that settings and merges learn from, at most."""


@dataclass(frozen=True)
class Log:
    """One data set."""

    name: str
    table: dict[str, Any]
    data: Dataset

    @cached_property
    def state(self) -> State:
        """What was known at a time."""
        return self.data.state()

    def cut(self, which: str) -> int:
        """The moment of a cut: "tune", "rank" or "test"."""
        return self.data.cut(self.table["data"]["split"][which])

    def known(self, window: str) -> Dataset:
        """What channels are fitted on for a window, "tune" or "test"."""
        return self.data.until(self.cut(window))

    def rules(self, window: str) -> Pipeline:
        """A funnel of nothing but the hard rules."""
        rules = {name: find("rules", name)().fit(self.known(window)) for name in self.table["rules"]}
        return Pipeline(recall={}, merge=find("merge", "quota")(), rules=rules)  # type: ignore[arg-type]

    def batches(self, protocol: str, window: str) -> list[Questions]:
        """The questions of a window, hard rules in their ``exclude``; of the tune window a seeded draw."""
        opens, closes = self.cut(window), None if window == "test" else self.cut("rank")
        asked = questions_of(self.data, self.state, EvaluateSpec(requests=protocol), opens, closes)
        if window == "tune" and len(asked) > TUNE_QUESTIONS:
            drawn = np.random.default_rng(0).choice(len(asked), TUNE_QUESTIONS, replace=False)
            asked = asked.take(np.sort(drawn))
        rules, ready = self.rules(window), []
        for batch in asked.batches(BATCH):
            requests: Requests = rules.forbid(batch.requests, self.state)
            ready.append(replace(batch, requests=requests).answerable(requests.exclude))
        return ready


def known() -> list[str]:
    """The sets there are, by name."""
    return sorted(path.stem for path in SETS.glob("*.toml"))


def table(name: str) -> dict[str, Any]:
    """What a set's file says."""
    return tomllib.loads((SETS / f"{name}.toml").read_text(encoding="utf-8"))


def here(name: str, root: Path | None) -> bool:
    """Whether a set can be read on this machine."""
    folder = table(name).get("folder")
    return folder is None or (root is not None and (root / folder).is_dir())


def load(name: str, root: Path | None, work: Path) -> Log:
    """The coded log of a set."""
    told = table(name)
    folder = root / told["folder"] if root is not None and "folder" in told else None
    if "shuffled" in told and folder is not None:
        folder = shuffled(folder, work / name, **told["shuffled"])
    if "linked" in told and root is not None and folder is not None:
        linked(root / told["folder"], folder, **told["linked"])
    spec = DataSpec.model_validate({**told["data"], **told.get("side", {})})
    raw = source(spec.source)(spec, folder)
    if "side" not in told:
        return Log(name, told, dataset(raw, spec))
    met = raw.events["item"].unique().implode()
    raw = replace(raw, items=None if raw.items is None else raw.items.filter(pl.col("item").is_in(met)))
    data = dataset(raw, spec)
    return Log(
        name, told, replace(data, available_from=available_from(data.events, Table.of(None, "item", {}, data.item_ids)))
    )


def linked(folder: Path, to: Path, graph: str, index: str, tags: str) -> None:
    """``to``/triples.csv of a graph of numbers, items by their ids; ``to``/items.csv: tags of two people or more."""
    rows = pl.read_csv(folder / graph, separator="\t", has_header=False, new_columns=["head", "relation", "tail"])
    ids = pl.read_csv(folder / index, separator="\t", has_header=False, new_columns=["item", "entity"])
    named = [
        pl.coalesce(
            pl.col(column).replace_strict(ids["entity"], ids["item"].cast(pl.String), default=None),
            pl.format("entity {}", pl.col(column)),
        )
        for column in ("head", "tail")
    ]
    rows.with_columns(named).write_csv(to / "triples.csv")
    given = pl.read_csv(folder / tags, separator="\t").group_by("artistID", "tagID").len().filter(pl.col("len") > 1)
    lists = (
        given.sort("artistID", "tagID").group_by("artistID", maintain_order=True).agg(pl.col("tagID").cast(pl.String))
    )
    lists.with_columns(pl.col("tagID").list.join("|")).write_csv(to / "items.csv")


def shuffled(folder: Path, to: Path, path: str, separator: str, seed: int) -> Path:
    """The rows in a random order with a column ``time``, 0, 1, 2, ... seconds, as ``to``/shuffled.csv.

    What lies beside them is found as ``to``/beside/FILE.
    """
    rows = pl.read_csv(folder / path, separator=separator)
    drawn = rows[np.random.default_rng(seed).permutation(len(rows))]
    to.mkdir(parents=True, exist_ok=True)
    whole = drawn.with_columns(time=pl.int_range(len(rows)) + 1_000_000_000)
    part = to / f"shuffled.{hashlib.sha256(str(to).encode()).hexdigest()[:8]}.part"
    whole.write_csv(part)
    (to / "beside").unlink(missing_ok=True)
    (to / "beside").symlink_to(folder.resolve(), target_is_directory=True)
    return part.rename(to / "shuffled.csv").parent
