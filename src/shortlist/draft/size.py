"""What a drafted funnel takes to fit: measured on a few requests of [tune, rank), and so few asked that it fits."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shortlist.component import HardRule
from shortlist.data import Dataset, State
from shortlist.data.protocol import Questions
from shortlist.recipe import Recipe
from shortlist.train import samples

ASKED = 96
"""Requests that are measured, the first third of them to warm up."""
LARGE = 4_000
"""Requests that a ranker learns from at most, and that are asked of a test window: more say little more."""
MEMORY = 1.8 * 2**30
"""Bytes that a fit should not exceed, or half of what the machine has where that is less."""
CELL = 4
"""Bytes of a feature of a row."""
MERGE, COPIES = 500 * 2**20, 10
"""Bytes that learning the merge leaves in use, and how often the histories of requests stand in memory: with
them the peaks of movielens-100k, movietweetings-2013 and complete-journey are told within a fifth."""
GROWN = 1e-6
"""Seconds a cell learned from takes while 250 trees are grown on it, and grown again on the whole window."""
EARLIER = 1 / 3
"""How much more growing takes because rankers of three fifths are judged too: .6 beside .8 and the whole."""
PASS, LOOK = 2e-5, 1 / 3
"""Seconds a row takes a net each epoch, and what part of that where it only says when to stop."""
TORCH = 300 * 2**20
"""Bytes of torch and of a net's rows."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a recipe that was tried on a few requests."""

    requests: int  # of a window like [tune, rank), ``LARGE`` at most
    columns: int  # features of a row
    learned: float  # rows a request that is learned from
    judged: float  # rows a request that says when to stop
    channels: float  # seconds to fit channels and features once
    request: float  # seconds to find, score and judge one request's rows
    hard: int  # hard rules: the test asks once more for each, to see what it costs
    base: float  # bytes in use before there are any rows
    history: float  # bytes of a request's history
    epochs: int = 0  # of nets that learn beside the trees
    checks: int = 0  # how often those look at the rows that say when to stop

    @staticmethod
    def of(recipe: Recipe, known: Dataset, state: State, questions: Questions) -> Size:
        """Channels and features fitted on what is ``known``, and a few of the questions replayed."""
        pipeline, base, labels = recipe.pipeline(), _resident(), recipe.samples.labels
        began = time.process_time()
        pipeline.fit(known)
        fitted = time.process_time() - began
        few = np.linspace(0, len(questions) - 1, min(ASKED, len(questions))).astype(int)
        warm, rest = (questions.take(part) for part in np.split(few, [len(few) // 3]))
        samples.from_funnel(pipeline, warm, state, labels=labels, negatives=recipe.samples.negatives, seed=recipe.seed)
        began = time.process_time()
        judged = samples.from_funnel(pipeline, rest, state, labels=labels)
        spent = time.process_time() - began
        learned = samples.thinned(judged, recipe.samples.negatives)
        n = max(len(rest), 1)
        nets = [section for section in recipe.rankers.values() if "epochs" in section]
        history = questions.requests.history
        return Size(
            requests=min(len(questions) + questions.dropped, LARGE),
            columns=len(judged.candidates.columns),
            learned=len(learned) / n,
            judged=len(judged) / n,
            channels=fitted,
            request=spent / n,
            hard=sum(isinstance(rule, HardRule) for rule in pipeline.rules.values()),
            base=base,
            history=sum(column.nbytes for column in history.columns.values()) / max(len(questions), 1),
            epochs=sum(net["epochs"] for net in nets),
            checks=sum(net["epochs"] * net.get("checks", 1) for net in nets),
        )

    @property
    def at_most(self) -> int:
        """Requests to learn from: ``LARGE``, or as many as ``MEMORY`` has room for, but 500 even so."""
        most = min(MEMORY, _machine() / 2)
        room = (most - self._memory(0)) / max(self._memory(1) - self._memory(0), 1)
        return int(np.clip(room // 100 * 100, 500, LARGE))

    @property
    def memory(self) -> float:
        """Bytes at the peak, with ``at_most`` requests learned from."""
        return self._memory(min(self.requests, self.at_most))

    @property
    def seconds(self) -> float:
        """Of one core of this machine, from channels to figures."""
        learned = min(self.requests, self.at_most)
        asked = self.requests * (1 + self.hard)
        grown = (1 + EARLIER) * 0.8 * learned * self._row(self.learned) * GROWN
        taught = self.epochs * (0.6 + 0.8 + 1) * learned * self.learned
        looked = self.checks * 0.2 * learned * self.judged * LOOK
        return 3 * self.channels + (learned + asked) * self.request + grown + PASS * (taught + looked)

    def _memory(self, requests: int) -> float:
        """The rows as they are kept, four fifths of them learned from; their table while it is handed over to the
        library, where a cell takes a byte; and one batch of rows with its columns. The fourth fifth is judged while
        the four are kept beside three, and let go of before the last is made."""
        early, learned = (share * requests * self._row(self.learned) for share in (0.6, 0.8))
        judged = 0.2 * requests * self._row(self.judged)
        batch = 256 * self._row(self.judged) * CELL
        rows = max(
            learned * CELL + (early + judged) * (CELL + 1) + max(early, judged) * CELL,
            (learned + judged) * (CELL + 1) + max(learned, judged) * CELL,
        )
        return self.base + (TORCH if self.epochs else 0) + MERGE + COPIES * requests * self.history + 2 * batch + rows

    def _row(self, rows: float) -> float:
        return rows * self.columns

    def told(self) -> str:
        """In words."""
        return f"about {max(self.seconds, 1):,.0f} s of one core and {self.memory / 2**30:.1f} GiB to fit"


def _resident() -> float:
    """Bytes this process has in memory; 0 where the system does not say."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0.0


def _machine() -> float:
    """Bytes of the machine's memory."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
