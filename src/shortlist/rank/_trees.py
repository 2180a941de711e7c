"""What rankers made of trees share: codes of categories, the forest as learned state, groups of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from shortlist.encode import _fields as kernel
from shortlist.encode._encoder import known_values, one_a_row
from shortlist.rank._forest import Forest
from shortlist.rank._table import TableRanker
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Int64, Ragged, Samples

Rows = tuple[Sequence[Float32], Float64, Float64, Int64 | None]
"""``(f columns [m], label [m], weight [m], rows per request or None)``"""
Makes = Callable[[], Rows]
"""Makes the rows when the library is about to take them over: two large sets need not stand side by side."""


class TreeRanker(TableRanker):
    """A ranker over trees. A category is renumbered: 0 = out of vocabulary, 1.. = known, NaN = missing.

    The forest is kept as arrays (``nodes_``, ``depth_``, ``sets_``); the library's own model text is kept as a file
    beside them, for other tools.
    """

    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a category must occur in training to be told apart from the other rare ones."""
    threads: Annotated[int, Field(ge=1)] = 1
    """More than one may change the last digits."""

    sizes: ClassVar[Mapping[str, str]] = {"nodes_": "t e", "depth_": "t"}
    native: ClassVar[str] = "model.txt"
    """What the file with the library's own model is called."""

    def learn_tree_columns(self, candidates: Candidates, observed: Bool) -> list[Float32]:
        """Learns columns and categories, and returns ``tree_columns`` of the rows that are ``observed`` [m]."""
        self.learn_columns(candidates)
        codes = self._categories(candidates, observed)
        known = [known_values(cells[cells >= 0], self.min_count) for cells in codes]
        offsets = np.cumsum([0, *map(len, known)]).astype(np.int64)
        self.known_ = Ragged(offsets, {"value": np.concatenate([np.empty(0), *known])})
        return self.tree_columns(candidates, observed, codes)

    def tree_columns(self, candidates: Candidates, observed: Bool, codes: Float64 | None = None) -> list[Float32]:
        """The columns as the trees see them, f x [observed]; one of float32 is no copy where all rows are.

        ``codes``: ``_categories`` of the same rows, if they are there already.
        """
        columns, rows = self.read_columns(candidates), slice(None) if observed.all() else observed
        coded = iter(self._renumbered(self._categories(candidates, observed) if codes is None else codes))
        return [
            next(coded) if code else np.ascontiguousarray(one_a_row(name, column)[rows], np.float32)
            for name, column, code in zip(self.columns_.tolist(), columns, self.categorical_, strict=True)
        ]

    def encode(self, candidates: Candidates) -> Float32:
        """[m, f]: the rows as the trees see them."""
        x = self.table(candidates, np.float32)
        if self.categorical_.any():
            x.T[self.categorical_] = self._renumbered(self._categories(candidates))
        return x

    def _categories(self, candidates: Candidates, observed: Bool | None = None) -> Float64:
        """[c, m]: the columns of categories in double precision, which tells all codes apart; of all rows or some."""
        names = self.columns_[self.categorical_].tolist()
        rows = slice(None) if observed is None or observed.all() else observed
        cells = np.empty((len(names), len(candidates) if observed is None else int(observed.sum())))
        for row, name in zip(cells, names, strict=True):
            row[:] = one_a_row(name, candidates[name])[rows]
        return cells

    def _renumbered(self, codes: Float64) -> Float32:
        """[c, m]: ``codes`` [c, m] by the learned vocabularies."""
        c, m = codes.shape
        if not c:
            return np.empty((0, m), np.float32)
        place, known = np.arange(c, dtype=np.int32), self.known_
        spec = np.full(c, kernel.CATEGORY, np.int8), place, place, known.lengths, np.zeros(c, np.int32)
        found = np.empty((m, c), np.int32)
        kernel.encode(codes, *spec, known.offsets, known["value"], found, np.empty((0, 0), np.float32))
        return np.where(codes < 0, np.nan, found.T).astype(np.float32)

    def keep(self, forest: Forest, native: bytes) -> None:
        """Stores what was learned."""
        forest = forest.masked()
        self.nodes_, self.depth_, self.sets_ = forest.nodes, forest.depth, forest.sets
        self.model_ = np.frombuffer(native, np.uint8)

    @property
    def forest(self) -> Forest:
        """The learned trees."""
        return Forest(self.nodes_, self.depth_, self.sets_)

    def state(self) -> dict[str, Array]:
        """The learned arrays, without the model file."""
        return {name: array for name, array in super().state().items() if name != "model_"}

    def files(self) -> dict[str, bytes]:
        """The model in the library's own format."""
        return {self.native: self.model_.tobytes()} if hasattr(self, "model_") else {}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], arrays: Mapping[str, Array], files: Mapping[str, bytes] | None = None
    ) -> Self:
        """The ranker that was saved."""
        ranker = super().restore(config, arrays, files)
        if files and cls.native in files:
            ranker.model_ = np.frombuffer(files[cls.native], np.uint8)
        return ranker


def group_sizes(samples: Samples, observed: Bool) -> Int64:
    """Rows of each request that has any."""
    sizes = np.unique(samples.candidates.request[observed], return_counts=True)[1]
    return sizes.astype(np.int64)
