"""A table of numbers and categories to the sparse matrix of a linear model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from shortlist.component import InputError
from shortlist.encode import _fields as kernel
from shortlist.encode._encoder import Encoder, buckets_of, codes_of, known_values, quantile_edges
from shortlist.encode.standardise import moments
from shortlist.types import Array, Bool, Float32, Float64, Int32, Ragged

NUMBERS = (kernel.STANDARD, kernel.MISSING)
"""Kinds of field with one design column, in which a value stands; of the others 1 stands in one of several."""
KINDS = {
    kernel.STANDARD: "number",
    kernel.BUCKET: "bucket",
    kernel.CATEGORY: "category",
    kernel.MISSING: "missing",
    kernel.CROSS: "cross",
}
"""What the kinds of field are called for other programs."""


class Design(Encoder):
    """Every row becomes one entry per field, so the matrix is CSR with equally long rows.

    Fields of a number: standardised (missing = 0), a missing indicator if any training value is missing, and its
    quantile bucket one-hot. Field of a category: one-hot with a trained out-of-vocabulary column. Field of a cross:
    one-hot over pairs of categories or buckets, rare pairs sharing a column. Everything is learned from training rows.

    Source: He et al. (2014), Practical Lessons from Predicting Clicks on Ads at Facebook (bucketing);
    Cheng et al. (2016), Wide & Deep Learning for Recommender Systems (crosses).
    """

    buckets: Annotated[int, Field(ge=0)] = 20
    """Quantile buckets of each number, besides its standardised value; 0 = none."""
    min_count: Annotated[int, Field(ge=1)] = 5
    """How often a category must occur in the training rows to get a column of its own."""
    crosses: list[tuple[str, str]] | Literal["all"] = []
    """Pairs of column names to cross, or "all" pairs."""
    cross_buckets: Annotated[int, Field(ge=2)] = 10
    """Quantile buckets of a number inside a cross."""
    cross_min_count: Annotated[int, Field(ge=1)] = 10
    """How often a pair must occur in the training rows to get a column of its own."""

    def fit(self, x: Float64, names: Array, categorical: Array) -> Self:
        """Learns the fields from ``x`` [m, f] (NaN = missing number), column ``names`` [f] and which are codes [f]."""
        return self.fit_columns(x.T, names, categorical)

    def fit_columns(self, columns: Iterable[Float64], names: Array, categorical: Array) -> Self:
        """``fit`` on f columns [m], read one after the other: they need not stand side by side."""
        kind: list[int] = []
        left: list[int] = []
        right: list[int] = []
        width: list[int] = []
        shown: list[bool] = []
        tables: list[Array] = []

        def add(of: int, a: int, b: int, codes: int, table: Array, show: bool) -> int:
            kind.append(of)
            left.append(a)
            right.append(b)
            width.append(codes)
            shown.append(show)
            tables.append(table)
            return len(kind) - 1

        one_hot: dict[int, int] = {}  # column -> the field that crosses use
        learned: dict[int, Int32] = {}  # field -> its codes on the training rows
        pairs = self._pairs([str(name) for name in names])
        for column, (cells, is_code) in enumerate(zip(columns, categorical, strict=True)):
            if is_code:
                known = known_values(cells, self.min_count)
                one_hot[column] = add(kernel.CATEGORY, column, -1, len(known) + 1, known, True)
                learned[one_hot[column]] = codes_of(cells, known)
                continue
            add(kernel.STANDARD, column, -1, 1, np.array(moments(cells)), True)
            if np.isnan(cells).any():
                add(kernel.MISSING, column, -1, 1, np.empty(0), True)
            if self.buckets:
                edges = quantile_edges(cells, self.buckets)
                add(kernel.BUCKET, column, -1, len(edges) + 2, edges, True)
            if any(column in pair for pair in pairs):
                edges = quantile_edges(cells, self.cross_buckets)
                one_hot[column] = add(kernel.BUCKET, column, -1, len(edges) + 2, edges, False)
                learned[one_hot[column]] = buckets_of(cells, edges)
        for a, b in pairs:
            a, b = one_hot[a], one_hot[b]
            joint = learned[a].astype(np.int64) * width[b] + learned[b]
            known = known_values(joint.astype(np.float64), self.cross_min_count)
            add(kernel.CROSS, a, b, len(known) + 1, known, True)
        self.kind_ = np.array(kind, np.int8)
        self.left_ = np.array(left, np.int32)
        self.right_ = np.array(right, np.int32)
        self.codes_ = np.array(width, np.int64)
        visible = np.where(shown, self.codes_, 0)
        self.first_ = np.where(shown, np.cumsum(visible) - visible, -1).astype(np.int32)
        self.width_ = int(visible.sum())
        offsets = np.concatenate([[0], np.cumsum([len(table) for table in tables])]).astype(np.int64)
        self.table_ = Ragged(offsets, {"value": np.concatenate([np.empty(0), *tables])})
        return self

    def _pairs(self, names: list[str]) -> list[tuple[int, int]]:
        if self.crosses == "all":
            return list(combinations(range(len(names)), 2))
        for name in (name for pair in self.crosses for name in pair):
            if name not in names:
                raise InputError(f"crosses: no column {name!r}; there are {', '.join(names)}")
        return [(names.index(a), names.index(b)) for a, b in self.crosses]

    def transform(self, x: Float64) -> tuple[Int32, Float32]:
        """``(columns, values)``, each [m, fields]: the design column of each entry and what stands in it."""
        shape = (len(x), int((self.first_ >= 0).sum()))
        columns, values = np.empty(shape, np.int32), np.empty(shape, np.float32)
        kernel.encode(np.ascontiguousarray(x.T, np.float64), *self.spec(), columns, values)
        return columns, values

    def weighted(self, x: Float64, weights: Float64, bias: float) -> Float64:
        """[m]: bias + Σ_j values[:, j] weights[columns[:, j]] of ``transform``."""
        out = np.full(len(x), bias, np.float64)
        kernel.summed(np.ascontiguousarray(x.T, np.float64), *self.spec(), weights, out)
        return out

    def spec(self) -> kernel.Spec:
        """All fields, as ``kernel.encode`` takes them."""
        table = self.table_
        return self.kind_, self.left_, self.right_, self.codes_, self.first_, table.offsets, table["value"]

    def apart(self) -> Apart:
        """The same entries, numbers apart from one-hot columns."""
        of_number = np.isin(self.kind_, NUMBERS)
        place = np.cumsum(~of_number).astype(np.int32) - 1  # of a field that is crossed, among the one-hot ones

        def spec(fields: Array) -> kernel.Spec:
            cross, table = self.kind_[fields] == kernel.CROSS, self.table_.take(fields)
            left, right = (np.where(cross, place[of[fields]], of[fields]) for of in (self.left_, self.right_))
            return (
                self.kind_[fields],
                left,
                right,
                self.codes_[fields],
                self.first_[fields],
                table.offsets,
                table["value"],
            )

        numbers, ones = np.flatnonzero(of_number), np.flatnonzero(~of_number)
        return Apart(self.first_[numbers], int((self.first_[ones] >= 0).sum()), spec(numbers), spec(ones))

    def describe(self, names: Array) -> list[dict[str, Any]]:
        """What ``transform`` puts into each place, so that another program can do it: plain values for JSON.

        ``first`` is the design column of code 0. A bucket's code is 0 where missing, else 1 + the edges below; a
        category's 1 + its place among the known, else 0; a cross's likewise, of ``of[0] × width of of[1] + of[1]``.
        """
        fields: list[dict[str, Any]] = []
        for f, kind in enumerate(self.kind_.tolist()):
            table = self.table_.row(f)["value"].tolist()
            said: dict[str, Any] = {"kind": KINDS[kind], "first": int(self.first_[f]), "width": int(self.codes_[f])}
            if kind == kernel.CROSS:
                said |= {"of": [fields[self.left_[f]], fields[self.right_[f]]], "known": [int(pair) for pair in table]}
            else:
                said["column"] = str(names[self.left_[f]])
            if kind == kernel.STANDARD:
                said["mean"], said["deviation"] = table
            elif kind == kernel.BUCKET:
                said["edges"] = table
            elif kind == kernel.CATEGORY:
                said["known"] = [int(code) for code in table]
            fields.append(said)
        return [said for said in fields if said["first"] >= 0]

    def crossed(self) -> Bool:
        """[width]: which design columns belong to crosses."""
        shown = self.first_ >= 0
        return np.repeat(self.kind_[shown] == kernel.CROSS, self.codes_[shown])

    def matrix(self, x: Float64) -> sp.csr_matrix:
        """CSR [m, width]: the same entries as a matrix."""
        return to_csr(*self.transform(x), width=self.width_)


@dataclass(frozen=True, slots=True)
class Apart:
    """A design as numbers, each with a column of its own, and as one-hot columns, in which 1 stands."""

    own: Int32  # [v] the design column of each number
    ones: int  # how many one-hot columns a row has
    numbers: kernel.Spec
    hot: kernel.Spec

    def transform(self, x: Float64) -> tuple[Int32, Float32]:
        """(the one-hot design columns [m, ones], the numbers [m, v]) of a table given as columns, ``x`` [f, m]."""
        columns = np.empty((x.shape[1], self.ones), np.int32)
        values = np.empty((x.shape[1], len(self.own)), np.float32)
        kernel.encode(x, *self.numbers, np.empty((0, 0), np.int32), values)
        kernel.encode(x, *self.hot, columns, np.empty((0, 0), np.float32))
        return columns, values


def to_csr(columns: Int32, values: Float32, width: int) -> sp.csr_matrix:
    """CSR [m, width] from rows of equally many entries."""
    m, fields = columns.shape
    starts = np.arange(m + 1, dtype=np.int32 if m * fields < 2**31 else np.int64) * fields
    return sp.csr_matrix((values.astype(np.float64).ravel(), columns.ravel(), starts), shape=(m, width))
