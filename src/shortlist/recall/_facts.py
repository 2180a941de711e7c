"""What a knowledge graph says of items: facts, each a relation and an entity.

A triple (h, r, t) gives the item h the fact "r: t" and the item t the fact "r of: h". An entity that is itself an item
has the facts that name it, so that what complements a thing shares a fact with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from shortlist.data import Dataset, Vocab
from shortlist.types import Array, Bool, Int32


@dataclass(frozen=True)
class Facts:
    """t facts of n items."""

    x: sp.csr_matrix  # [n, t]: x_it = weight × log(1 + n_r / df_t), of length 1 within each relation
    names: list[str]  # [t]
    relation: Int32  # [t]: number of each fact's relation
    relations: list[str]
    told: Bool  # [n]: whether any triple names the item, also one that is no fact of two items


def triples(data: Dataset) -> pl.DataFrame:
    """head, relation, tail and weight: ``[data.triples]``, else (item, column, value) of categories and lists."""
    if data.triples is not None:
        weight = pl.col("weight").fill_null(1.0).cast(pl.Float32) if "weight" in data.triples.columns else pl.lit(1.0)
        return data.triples.select("head", "relation", "tail", weight=weight)
    parts, ids = [], pl.Series(data.item_ids.ids, dtype=pl.String)
    for name in data.items.of_kind("recall.knowledge_graph", None, "category", "list"):
        table, rows = data.items.known(name, np.arange(data.n_items))
        codes = table.codes[name]
        found = codes.of(rows)
        levels = pl.Series(codes.levels, dtype=pl.String)
        told = {"head": ids.gather(found.rows), "relation": name, "tail": levels.gather(found["code"]), "weight": 1.0}
        parts.append(pl.DataFrame(told))
    schema = {"head": pl.String, "relation": pl.String, "tail": pl.String, "weight": pl.Float64}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def facts(told: pl.DataFrame, items: Vocab, least: int, own: bool) -> Facts:
    """What is said of items, facts of fewer than ``least`` items left out; ``own``: whether entities may be items."""
    n = len(items)
    head, tail = items.encode(told["head"]), items.encode(told["tail"]) if own else np.full(len(told), -1)
    forth = _said(told, head, "relation", "tail", "{}")
    back = _said(told, tail, "relation", "head", "{} of")
    said = pl.concat([forth, back])
    if own:  # an item is the entity that facts of others name
        code = items.encode(said["entity"])
        itself = (
            said.with_columns(item=pl.Series(code)).filter(pl.col("item") >= 0).unique(["item", "relation", "entity"])
        )
        said = pl.concat([said, itself])
    said = said.group_by("item", "relation", "entity", maintain_order=True).agg(pl.col("weight").max())
    named = np.zeros(n, bool)
    named[said["item"].to_numpy()] = True
    said = said.filter(pl.col("weight") > 0).with_columns(df=pl.len().over("relation", "entity"))
    said = said.filter(pl.col("df") >= least).with_columns(many=pl.col("item").n_unique().over("relation"))
    keys = said.select("relation", "entity").unique().sort("relation", "entity").with_row_index("fact")
    said = said.join(keys, on=["relation", "entity"], how="left", maintain_order="left")
    value = said["weight"].to_numpy() * np.log1p(said["many"].to_numpy() / np.maximum(said["df"].to_numpy(), 1))
    relations = keys["relation"].unique().sort()
    relation = Vocab(relations.to_list()).encode(keys["relation"]).astype(np.int32)
    row, fact = said["item"].to_numpy(), said["fact"].to_numpy().astype(np.int64)
    group = row.astype(np.int64) * max(len(relations), 1) + relation[fact]
    squares = np.bincount(group, value**2, n * max(len(relations), 1))
    value = (value / np.sqrt(np.maximum(squares[group], 1e-12))).astype(np.float32)
    x = sp.csr_matrix((value, (row, fact)), shape=(n, len(keys)), dtype=np.float32)
    x.sort_indices()
    names = [f"{r}: {e}" for r, e in zip(keys["relation"], keys["entity"], strict=True)]
    return Facts(x, names, relation, relations.to_list(), named)


def _said(told: pl.DataFrame, item: Array, relation: str, entity: str, words: str) -> pl.DataFrame:
    return told.select(
        item=pl.Series(item, dtype=pl.Int32),
        relation=pl.format(words, pl.col(relation)),
        entity=pl.col(entity),
        weight=pl.col("weight").cast(pl.Float64),
    ).filter(pl.col("item") >= 0)
