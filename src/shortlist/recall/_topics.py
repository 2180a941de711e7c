"""What the catalogue says of items as topics: a block of columns for each attribute.

A level of a category or list is a topic, a word of a text, a bucket of a number or time. Topics that fewer than
``least`` items have connect nothing and are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from shortlist.data import Table
from shortlist.encode.edges import even_edges
from shortlist.types import Array, Float32

WORD = re.compile(r"\w\w+")


def block(name: str, kind: str, items: Table, buckets: int, least: int) -> tuple[list[str], sp.csr_matrix]:
    """(names of topics, CSR float32 [n, topics]) of one attribute, rows of length 1.

    x_it = tf_it log(1 + n / df_t) with n the items of which the attribute is known, df_t those that have the topic and
    tf_it = 1 + log(times the word stands in the text), else 1.
    Source: Salton, Buckley (1988), Term-weighting approaches in automatic text retrieval.
    """
    table, rows = items.known(name, np.arange(items.n))
    if kind in ("category", "list"):
        codes = table.codes[name]
        found, levels = codes.of(rows), [f"{name}: {level}" for level in codes.levels]
        ones = np.ones(len(found["code"]), np.float32)
        x = sp.csr_matrix((ones, found["code"], found.offsets), shape=(items.n, len(levels)))
    elif kind == "text":
        levels, x = _words(name, items.texts[name].to_list(), items.n)
    else:
        numbers = table.number(name, rows)
        edges = even_edges(numbers, buckets)
        known = np.flatnonzero(~np.isnan(numbers))
        place = np.searchsorted(edges, numbers[known], side="right")
        ends = [None, *edges.tolist(), None]
        levels = [_between(name, ends[b], ends[b + 1]) for b in range(len(edges) + 1)]
        x = sp.csr_matrix((np.ones(len(known), np.float32), (known, place)), shape=(items.n, len(levels)))
    df = np.bincount(x.indices, minlength=x.shape[1])
    kept = np.flatnonzero(df >= least)
    n = np.count_nonzero(np.diff(x.indptr))
    x = (x[:, kept] @ sp.diags(np.log1p(n / df[kept]))).tocsr()
    length = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    return [levels[t] for t in kept], sp.diags(1 / np.maximum(length, 1e-12)).dot(x).astype(np.float32).tocsr()


def _words(name: str, texts: list[str | None], n: int) -> tuple[list[str], sp.csr_matrix]:
    counts = [Counter(WORD.findall(text.lower())) if text else Counter() for text in texts]
    words = sorted({word for count in counts for word in count})
    number = {word: t for t, word in enumerate(words)}
    rows = np.repeat(np.arange(n), [len(count) for count in counts])
    columns = np.array([number[word] for count in counts for word in count], np.int64)
    times = np.array([times for count in counts for times in count.values()], np.float32)
    x = sp.csr_matrix((1 + np.log(np.maximum(times, 1)), (rows, columns)), shape=(n, len(words)))
    return [f"{name}: {word}" for word in words], x


def _between(name: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{name} from {low:g}" if low is not None else f"{name} below {high:g}" if high is not None else name
    return f"{name} from {low:g} to {high:g}"


def dense(items: Table, names: list[str]) -> Iterator[Float32]:
    """[n, d] of each vector attribute, rows of length 1, zeros where there is none."""
    every: Array = np.arange(items.n)
    for name in names:
        values, _ = items.vectors[name].of(every)
        yield (values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)).astype(np.float32)
