"""EGES: walks over the item graph, learned by vectors that items mix of their own and their side information's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.data import Dataset
from shortlist.encode.options import Options
from shortlist.encode.schema import CODED, LIST, Schema
from shortlist.recall._attributes import Attributes
from shortlist.recall._item_graph import Walked
from shortlist.recall._kernels import side
from shortlist.recall._kernels.random import alias_table
from shortlist.recall._word2vec import accompanied, bounded, kept, passes
from shortlist.types import Array, Bool, Float32, Int32, Int64

KINDS = ("category", "list", "number", "time")
BUCKETS = 10
"""Of a number, about as many items in each."""
ABSENT = np.float32(-1e38)
"""The attention of a slot that an item does not have."""


class EGES(Walked):
    """DeepWalk whose item vectors are mixed of the item's own and those of its attributes, by weights it learns.

    v_i = Σ_s exp(a_is) W_is / Σ_s exp(a_is),  s = 0 the item itself, s = 1 ... its attributes
    minimise, over pairs (i, j) of a window of a walk,  -log σ(v_i · o_j) - Σ_n log σ(-v_i · o_n)
    score(u, i) = p_u · o_i,  p_u = Σ_j w(u, j) v_j / its length

    with v_j of length 1 in p_u; a list's W is the mean of its values' vectors, numbers go by their bucket, and an
    attribute that an item lacks takes no part. Items that no walk meets are answered by their attributes alone: v_i
    with the mean a_s of the others and without W_i0, o_i likewise of the mean o of the items with each value. For
    catalogues where much is new, or rare.

    Source: Wang, Huang, Zhao, Zhang, Zhao, Lee (2018), Billion-scale Commodity Embedding for E-commerce Recommendation
    in Alibaba (the contexts of new items are not in it).
    """

    sizes: ClassVar[Mapping[str, str]] = {"columns_": "s", "attention_": "c s"}

    attributes: list[str] | None = None
    """Columns of items that are side information (categories, lists, numbers, times); none named means all."""
    rare: Annotated[int, Field(ge=1)] = 2
    """An attribute's values of fewer items than so many have no vector."""
    architecture: Literal["skip_gram"] = "skip_gram"
    """Each neighbour alone is predicted."""
    loss: Literal["negative"] = "negative"
    """Negative sampling."""

    def fit(self, data: Dataset) -> Self:
        """Keeps the items' vectors and contexts, and what each attends to."""
        tokens, offsets = self._walks(data)
        met, parts, slots = self.items_, *self._sides(data)
        tokens = self.column_[met[tokens]] if len(tokens) else tokens
        c, rng = len(self.items_), np.random.default_rng([self.seed, 1])
        there = np.zeros((c, slots), bool)
        there[np.repeat(np.arange(c), np.diff(parts.offsets)), parts.slot] = True
        walked = accompanied(tokens, offsets, c)
        there[:, 0] = walked
        attention = np.where(there, np.float32(0), ABSENT)
        rows = int(parts.row.max(initial=0)) + 1
        table = ((rng.random((rows, self.factors), np.float32) - 0.5) / self.factors).astype(np.float32)
        outputs = np.zeros((c, self.factors), np.float32)
        self._descend(tokens, offsets, parts, table, attention, outputs, rng)
        outputs[walked] -= outputs[walked].mean(axis=0) if walked.any() else 0
        self._mix(parts, walked, table, attention, outputs)
        return self

    def _sides(self, data: Dataset) -> tuple[side.Parts, int]:
        """Learns the vocabulary anew, with items of which something is known; what each is mixed of, and slots."""
        met, table, moment = self.items_, data.items, np.int64(data.fitted_until)
        names = table.of_kind("recall.attributes", self.attributes, *KINDS)
        options = Options(buckets=BUCKETS, min_count=self.rare)
        attributes = Attributes.learn(table, names, met, np.full(len(met), moment), options)
        every = np.arange(data.n_items if len(met) else 0)
        item, slot, row = _values(attributes.schema, attributes.read(table, every, np.full(len(every), moment)))
        self._know(np.union1d(met, item), data.n_items)
        self.columns_ = np.array(["item", *attributes.schema.names.tolist()], np.str_)  # what slots are
        c, column = len(self.items_), self.column_[item]
        number = np.bincount(column * np.int64(len(self.columns_)) + slot, minlength=1)
        share = 1 / number[column * np.int64(len(self.columns_)) + slot]
        column, slot = np.append(np.arange(c), column), np.append(np.zeros(c, np.int64), slot)
        row = np.append(attributes.schema.rows + np.arange(c), row)
        share = np.append(np.ones(c), share)
        order = np.lexsort((slot, column))
        offsets = np.searchsorted(column[order], np.arange(c + 1)).astype(np.int64)
        parts = slot[order].astype(np.int32), row[order].astype(np.int64), share[order].astype(np.float32)
        return side.Parts(offsets, *parts), len(self.columns_)

    def _descend(
        self,
        tokens: Int32,
        offsets: Int64,
        parts: side.Parts,
        table: Float32,
        attention: Float32,
        outputs: Float32,
        rng: np.random.Generator,
    ) -> None:
        counts = np.bincount(tokens, minlength=len(self.items_)).astype(np.float64)
        drawn = alias_table(np.where(counts > 0, np.maximum(counts, 1e-12) ** self.popularity, 0.0))
        if self.subsample:
            stays = rng.random(len(tokens)) < kept(counts, self.subsample)[tokens]
            tokens, offsets = tokens[stays], np.concatenate([[0], np.cumsum(stays)])[offsets]
        fixed = tokens, offsets, drawn, parts, table, attention, outputs, self.window, self.negatives

        def part(rate: float, last_rate: float, order: Int64, seed: int) -> None:
            side.epoch(order, rate, last_rate, seed, *fixed)

        passes(np.diff(offsets), self, rng, part)
        bounded(self, table, outputs)

    def _mix(self, parts: side.Parts, walked: Bool, table: Float32, attention: Float32, outputs: Float32) -> None:
        """Keeps v and o of all items, those that no walk met by what they share with others."""
        c = len(attention)
        item = np.repeat(np.arange(c), np.diff(parts.offsets))
        there = attention > ABSENT
        counted = there & walked[:, None]
        mean = np.where(counted, attention, 0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
        trained = np.zeros(len(table), bool)
        trained[parts.row[walked[item]]] = True
        entry = np.where(walked[item], True, trained[parts.row] & (parts.slot > 0))  # which count in the mix
        there = np.zeros_like(there)
        there[item[entry], parts.slot[entry]] = True
        weights = np.where(there, np.exp(np.where(walked[:, None], attention, mean) - attention.max(initial=0)), 0)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
        scale = weights[item, parts.slot] * parts.share * entry
        mix = sp.csr_matrix((scale, parts.row, parts.offsets), shape=(c, len(table)))
        has = sp.csr_matrix((parts.share * walked[item], parts.row, parts.offsets), shape=(c, len(table)))
        told = has.T @ outputs / np.maximum(np.asarray(has.sum(axis=0)).reshape(-1, 1), 1e-12)
        self.attention_: Float32 = weights.astype(np.float32)
        self._learned(mix @ table, np.where(walked[:, None], outputs, mix @ told).astype(np.float32))


def _values(schema: Schema, found: Mapping[str, Array]) -> tuple[Int64, Int64, Int64]:
    """(item, slot, row of the schema's table) of every value that has a vector; slots from 1 in the schema's order."""
    parts, first = [np.empty((0, 3), np.int64)], 0
    coded, lists = schema.of_kind(*CODED), schema.of_kind(LIST)
    columns = [(f, found["codes"][:, k : k + 1]) for k, f in enumerate(coded)]
    for f in lists:
        columns.append((f, found["lists"][:, first : first + schema.length[f]]))
        first += schema.length[f]
    for f, rows in columns:
        item, place = np.nonzero((rows > 0) & (rows != schema.first[f]))
        parts.append(np.stack([item, np.full(len(item), 1 + f), rows[item, place]], axis=1))
    item, slot, row = np.concatenate(parts).T
    return item, slot, row
