"""New components that work as they stand: ``shortlist new recall my_channel``.

Each template is a small complete component: it passes the contract before a line of it is changed.
"""

from __future__ import annotations

import re
from pathlib import Path

from shortlist.component import InputError
from shortlist.registry import KINDS, names

RECALL = '''"""NAME: what this channel finds, in one line."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.data import Dataset
from shortlist.recall._linear import ItemToItem


class CLASS(ItemToItem):
    """Items that the same users took: score(r, i) = sum over j in the history of w_j c_ij / (c_jj + shrinkage).

    c_ij is the number of users who have both i and j. Put your formula here, and say when the channel is of use.

    Source: the paper (year) it comes from.
    """

    shrinkage: Annotated[float, Field(ge=0)] = 10.0
    """How many imaginary users of each item have nothing else: rare items are trusted less."""

    def fit(self, data: Dataset) -> Self:
        """Counts every pair of items in the log; ``table_`` [c, c] is what the shared scoring reads."""
        taken = self._matrix(data)
        pairs = (taken.T @ taken).tocsr()
        counts = pairs.diagonal()
        pairs.setdiag(0)
        pairs.data /= np.repeat(counts + self.shrinkage, np.diff(pairs.indptr))
        pairs.eliminate_zeros()
        self.table_ = pairs.astype(np.float32)
        return self
'''

FEATURES = '''"""NAME: what these columns say, in one line."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.component import Feature
from shortlist.data import Dataset, State
from shortlist.types import Array, Candidates, Requests


class CLASS(Feature):
    """The item's share of all positive events known at the request: (n_i + prior) / (n + prior).

    Put your formula here, and say when the columns are of use.

    Source: the paper (year) it comes from.
    """

    prior: Annotated[float, Field(ge=0)] = 1.0
    """Events every item is taken to have had before the first."""

    def fit(self, data: Dataset) -> Self:
        """Nothing to learn: the counts are asked of the state, as of each request."""
        return self

    def compute(self, requests: Requests, candidates: Candidates, state: State) -> dict[str, Array]:
        """One float32 column [m]."""
        times = requests.time[candidates.request]
        counts = state.counts("item", candidates.item, times, ["positive"], [None])[:, 0, 0]
        most = np.ones(len(requests), np.float32)
        np.maximum.at(most, candidates.request, counts)
        share = (counts + self.prior) / (most[candidates.request] + self.prior)
        return {"NAME.share": share.astype(np.float32)}
'''

RULES = '''"""NAME: what this rule wants, in one line."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shortlist.component import Rule
from shortlist.data import State
from shortlist.types import Candidates, Requests


class CLASS(Rule):
    """Keeps the first ``limit`` rows of each list: place <= limit.

    Put what your rule wants here, and say when it is of use.

    Source: the paper (year) it comes from, or the business that asked for it.
    """

    limit: Annotated[int, Field(ge=1)] = 1000
    """Rows kept."""

    def apply(self, requests: Requests, candidates: Candidates, state: State) -> Candidates:
        """A subset of the rows, in a new order within each request."""
        return candidates.head(self.limit)
'''

MERGE = '''"""NAME: how the channels' lists become one, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from shortlist.component import Merge
from shortlist.merge._join import best, join
from shortlist.types import Candidates


class CLASS(Merge):
    """Orders items by their best place in any list: score = max over channels of 1 / rank.

    Put your formula here, and say when the merge is of use.

    Source: the paper (year) it comes from.
    """

    k: Annotated[int, Field(ge=1)] = 300
    """Rows kept for each request."""

    def merge(self, found: Mapping[str, Candidates], n: int) -> Candidates:
        """One row per (request, item) with every channel's score and rank."""
        joined = join(found, n)
        if not joined.channels:
            return best(joined, np.zeros(0, np.float32), self.k)
        return best(joined, np.fmax.reduce(1 / joined.rank).astype(np.float32), self.k)
'''

RANK = '''"""NAME: what this ranker learns, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field

from shortlist.rank._table import TableRanker, sigmoid
from shortlist.types import Array, Candidates, Float32, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State


class CLASS(TableRanker):
    """Logistic regression on standardised columns: score = sigma(b + w . z), ridge penalty, Newton's method.

    Put your formula here, and say when the ranker is of use.

    Source: the paper (year) it comes from.
    """

    l2: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the squared penalty."""
    steps: Annotated[int, Field(ge=1)] = 10
    """Newton steps."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Learns the columns, how to standardise them, and ``weights_`` [f + 1]."""
        self.learn_columns(samples.candidates)
        observed, y, weight = self.target(samples)
        x = self.table(samples.candidates)[observed]
        known = np.isfinite(x)
        self.mean_ = np.where(known, x, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        self.scale_ = np.sqrt((np.where(known, x - self.mean_, 0) ** 2).mean(axis=0)) + 1e-6
        z = self._standardised(x)
        w = np.zeros(z.shape[1])
        for _ in range(self.steps):
            p = np.asarray(sigmoid(z @ w), np.float64)
            slope = z.T @ (weight * (p - y)) + self.l2 * w
            curve = (z * (weight * p * (1 - p))[:, None]).T @ z + self.l2 * np.eye(len(w))
            w -= np.linalg.solve(curve, slope)
        self.weights_ = w
        return self

    def _standardised(self, x: Array) -> Array:
        """[m, f + 1]: a missing value is the mean; the last column is the constant."""
        z = np.where(np.isfinite(x), (x - self.mean_) / self.scale_, 0.0)
        return np.concatenate([z, np.ones((len(z), 1))], axis=1)

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": [m]}``, a probability."""
        z = self._standardised(self.table(candidates))
        return {"score": sigmoid((z * self.weights_).sum(axis=1))}
'''

TEMPLATES = {"recall": RECALL, "features": FEATURES, "rules": RULES, "merge": MERGE, "rank": RANK}


def write(kind: str, name: str, into: Path | None = None) -> Path:
    """Writes ``name.py`` into ``into`` (default: the package's own folder of that kind) and returns its path.

    Raises ``InputError`` for a kind or a name that cannot be, and for a file that is there already.
    """
    if kind not in TEMPLATES:
        raise InputError(f"new {kind}: expected one of {', '.join(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"new {kind} {name}: expected a file name in small letters, such as my_channel")
    if name in names(kind):
        raise InputError(f"new {kind} {name}: there is one of that name already")
    path = (into or Path(__file__).parents[1] / kind) / f"{name}.py"
    if path.exists():
        raise InputError(f"{path}: exists already")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder")
    words = "".join(part.capitalize() for part in name.split("_"))
    path.write_text(TEMPLATES[kind].replace("CLASS", words).replace("NAME", name), encoding="utf-8")
    return path
