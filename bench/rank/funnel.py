"""Rankers in the committed recipes: what each makes of the same candidates, beside the merge order and the default.

Every run fits the recipe's own ranker beside those asked for, so that all differences are of one run.
"""

from __future__ import annotations

import argparse
import tempfile
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from results import HERE, keep, kept, provenance, say

from shortlist import train
from shortlist.cli.progress import progress
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recipe import Recipe, read
from shortlist.types import Float64

RECIPES = HERE.parent.parent / "recipes"
DEFAULT = "gbdt-default"
K = 10


def rankers(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """The rankers of ``funnel.toml``, for this recipe; but one that would be the recipe's own again."""
    own = next(iter(recipe.rankers.values()))
    found = {}
    for name, table in tomllib.loads((HERE / "funnel.toml").read_text(encoding="utf-8")).items():
        base = own if table.pop("as_default", False) or name == DEFAULT else {}
        section = {**base, **table}
        if name == DEFAULT or section != own:
            found[name] = section
    return found


def run(asked: argparse.Namespace, recipes: list[str]) -> None:
    """The recipes and rankers asked for that are not kept yet."""
    known = tomllib.loads((HERE / "funnel.toml").read_text(encoding="utf-8"))
    if unknown := sorted(set(asked.only) - {*recipes, *known}):
        raise SystemExit(f"--only {' '.join(unknown)}: expected some of {', '.join([*recipes, *known])}")
    for name in recipes:
        if set(asked.only) & set(recipes) and name not in asked.only:
            continue
        if name == "movietweetings" and (asked.data is None or not (asked.data / name).is_dir()):
            say(f"{name}: left out, its folder is not below --data")
            continue
        recipe = read(RECIPES / f"{name}.toml")
        row = kept(f"funnel.{name}")
        if asked.again or row.get("digest") != recipe.digest:
            row = {"digest": recipe.digest, "rankers": {}}
        every = rankers(recipe)
        wanted = [n for n in every if n in asked.only or not set(asked.only) & set(known)]
        missing = [n for n in wanted if row["rankers"].get(n, {}).get("settings") != every[n]]
        if missing:
            sections = {n: every[n] for n in dict.fromkeys([DEFAULT, *missing])}
            measured = measure(recipe, sections, asked.data and asked.data / name)
            row = {**row, **measured, "rankers": {**row["rankers"], **measured["rankers"]}, **provenance()}
            keep(f"funnel.{name}", row)
            for n, each in measured["rankers"].items():
                say(f"{name}/{n}: validation {each['validation']:.4f}, test {each['ndcg']['mean']:.4f}")


def measure(recipe: Recipe, sections: dict[str, dict[str, Any]], root: Path | None) -> dict[str, Any]:
    """Every ranker's NDCG@10 on the last fifth of its window and on the test window."""
    changed = recipe.model_copy(update={"rank": sections})
    with tempfile.TemporaryDirectory() as folder, progress():
        fitted = train.fit(changed, root=root, out=Path(folder))
    document = fitted.evaluation.document
    users, values = by_request(fitted.evaluation.rows)
    merge = values["merge"]
    best = document["ranker"]
    stage = {name: "rank" if name == best else f"rank.{name}" for name in sections}
    found = {}
    for name, section in sections.items():
        mine = values[stage[name]]
        found[name] = {
            "settings": section,
            "validation": document["validation"][name],
            "ndcg": asdict(mean_interval(mine, users)),
            "minus_merge": asdict(paired_interval(mine, merge, users)),
        }
        if name != DEFAULT:
            found[name]["minus_default"] = asdict(paired_interval(mine, values[stage[DEFAULT]], users))
    channels = {
        name: asdict(paired_interval(values[stage[DEFAULT]], values[name], users))
        for name in recipe.recall
        if name in values
    }
    return {
        "requests": len(users),
        "users": len(np.unique(users)),
        "merge": asdict(mean_interval(merge, users)),
        "default_minus_channel": channels,
        "slate": {"ranker": best, **asdict(mean_interval(values["slate"], users))},
        "seconds": document["fit_seconds"],
        "rankers": found,
    }


def by_request(rows: pl.DataFrame) -> tuple[Float64, dict[str, Float64]]:
    """(user's number [n], NDCG@10 [n] by stage) of an evaluation's lists; a request without rows has 0."""
    asked = rows.select("request", "user", "targets").unique("request").sort("request")
    users = asked["user"].fill_null("").rank("dense").to_numpy()
    gain = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.cumsum(gain)[np.minimum(asked["targets"].to_numpy(), K) - 1]
    hits = rows.filter(pl.col("is_target") & (pl.col("rank") <= K))
    hits = hits.with_columns(gain=1 / (pl.col("rank") + 1).log(2))
    values = {}
    for stage in rows["stage"].unique().to_list():
        mine = hits.filter(pl.col("stage") == stage).group_by("request").agg(pl.col("gain").sum())
        found = asked.join(mine, on="request", how="left", maintain_order="left")["gain"].fill_null(0.0)
        values[stage] = found.to_numpy() / ideal
    return users, values
