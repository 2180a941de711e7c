"""What rankers with a linear layer over a design matrix share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from shortlist.component import InputError, Search
from shortlist.encode.design import Design
from shortlist.encode.hashing import Hashing
from shortlist.encode.log import Log
from shortlist.rank._table import TableRanker
from shortlist.types import Array, Candidates, Float64

PREFIX = "design_"


class DesignRanker(TableRanker):
    """Keeps what a design learned under names that begin with ``design_``."""

    sizes: ClassVar[Mapping[str, str]] = {
        **{PREFIX + name: "d" for name in ("kind_", "left_", "right_", "codes_", "first_")},
        PREFIX + "table_": "d b",  # wide_deep has the schema of nets beside it: no letter of theirs
        PREFIX + "width_": "q",
    }

    def blank(self) -> Design:
        """The encoder, nothing learned."""
        return Design(**{name: getattr(self, name) for name in Design.model_fields})

    def fit_design(self, columns: Iterable[Float64], names: Array, categorical: Array) -> Design:
        """Learns the design of f ``columns`` [m] called ``names`` [f], ``categorical`` [f] of them codes."""
        design = self.blank().fit_columns(columns, names, categorical)
        self.__dict__.update({PREFIX + name: value for name, value in vars(design).items() if name.endswith("_")})
        return design

    def design(self) -> Design:
        """The encoder, with what was learned of it."""
        design = self.blank()
        learned = {name.removeprefix(PREFIX): value for name, value in vars(self).items() if name.startswith(PREFIX)}
        design.__dict__.update(learned)
        return design


class EncodedRanker(DesignRanker):
    """Hyperparameters of a design matrix that a linear model reads whole."""

    buckets: Annotated[int, Field(ge=0), Search(5, 100, log=True)] = 20
    """Quantile buckets of each number, besides its standardised value; 0 = none."""
    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a category must occur in training to get a weight of its own."""
    crosses: list[tuple[str, str]] | Literal["all"] = []
    """Pairs of column names to cross, or "all" pairs."""
    cross_buckets: Annotated[int, Field(ge=2)] = 10
    """Quantile buckets of a number inside a cross."""
    cross_min_count: Annotated[int, Field(ge=1)] = 10
    """How often a pair must occur in training to get a weight of its own."""
    log: list[str] = []
    """Numbers with a long tail (counts, prices): sign(x) log(1 + |x|) of them is what is standardised."""
    hashed: list[str] = []
    """Categories with very many values: ``hash_width`` weights shared by a hash instead of one each."""
    hash_width: Annotated[int, Field(ge=1)] = 1024
    """Weights of a hashed category."""

    def table(self, candidates: Candidates, dtype: Any = np.float64) -> Array:
        """[m, f]: the learned columns side by side, logarithms and hashes taken."""
        x, names = super().table(candidates, dtype), self.columns_.tolist()
        for option, given, coded in (("log", self.log, False), ("hashed", self.hashed, True)):
            for name in given:
                if name not in names or self.categorical_[names.index(name)] != coded:
                    kind = "category" if coded else "number"
                    raise InputError(f"{option}: expected a {kind} that is learned from, found {name!r}")
        for name in self.log:
            x[:, names.index(name)] = Log().transform(x[:, names.index(name)])
        for name in self.hashed:
            x[:, names.index(name)] = Hashing(width=self.hash_width).transform(np.asarray(candidates[name]))
        return x


class LinearRanker(EncodedRanker):
    """Hyperparameters of the penalties on the weights, and of the search for them."""

    l2: Annotated[float, Field(ge=0), Search(0.1, 100.0, log=True)] = 1.0
    """Weight of the squared penalty (1 / C of other libraries); summed, not averaged, over rows."""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the absolute penalty, which sets weights to exactly 0."""
    cross_l2: Annotated[float, Field(ge=0)] | None = None
    """Squared penalty on the weights of crosses; none given = ``l2``."""
    tolerance: Annotated[float, Field(gt=0)] = 1e-4
    """Stop when no entry of the gradient of the mean loss is larger."""
    iterations: Annotated[int, Field(ge=1)] = 1000
    """Stop after so many steps."""

    def penalties(self, design: Design) -> Float64:
        """[width]: the squared penalty on each design column."""
        return np.where(design.crossed(), self.l2 if self.cross_l2 is None else self.cross_l2, self.l2)
