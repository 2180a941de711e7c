"""What every rule costs and brings on three logs: ``python bench/rules/prices.py --data DIR``.

DIR holds the folders ``movietweetings`` and ``complete-journey`` (movielens-100k is read from a wheel); ``--only NAME``
measures one log again. Each recipe beside this file is fitted and its test window asked; every rule is switched off in
turn. Writes prices.json and PRICES.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).parents[2]))

import polars as pl  # noqa: E402
from bench.measured import provenance, say  # noqa: E402

from shortlist import train  # noqa: E402
from shortlist.documents import write_text  # noqa: E402
from shortlist.recipe import read  # noqa: E402

HERE = Path(__file__).parent
SETS = ("movielens-100k", "movietweetings", "complete-journey")
KEPT = ("ndcg@10", "recall@50", "coverage@10", "novelty@10", "age_days@10", "gini@10", "empty@10")
SAID = {"movielens-100k": "ratings", "movietweetings": "ratings", "complete-journey": "purchases, **simulated**"}


def mailed(folder: Path) -> pl.DataFrame:
    """What was in a household's coupon mailing: user, item, time (the campaign's beginning), campaigns B and C."""
    campaign = pl.read_parquet(folder / "campaign_descriptions.parquet")
    campaign = campaign.filter(pl.col("campaign_type").is_in(["Type B", "Type C"])).select("campaign_id", "start_date")
    product = pl.read_parquet(folder / "coupons.parquet").select("campaign_id", "product_id").unique()
    rows = (
        pl.read_parquet(folder / "campaigns.parquet").join(campaign, on="campaign_id").join(product, on="campaign_id")
    )
    shown = rows.select(user="household_id", item="product_id", time="start_date")
    return shown.sort("time", "user", "item")


def measured(name: str, data: Path, work: Path) -> dict[str, Any]:
    """The prices of one log's rules and what they were measured on."""
    recipe, root = read(HERE / f"{name}.toml"), data
    if name == "complete-journey":
        root = work / name
        root.mkdir()
        for file in (data / name).glob("*.parquet"):
            (root / file.name).symlink_to(file.resolve())
        mailed(root).write_parquet(root / "exposures.parquet")
    begun = time.perf_counter()
    document = train.fit(recipe, root=root, out=work / "run" / name).evaluation.document
    keep = {m: document["slate"][m] for m in KEPT if m in document["slate"]}
    diversity = [m for m in document["slate"] if m.startswith("diversity.") and m.endswith("@10")]
    prices = {
        rule: {
            **{key: price[key] for key in ("kind", "moved", "forbids", "aim") if key in price},
            "change": {m: price["change"][m] for m in (*KEPT, *diversity) if m in price["change"]},
        }
        for rule, price in document["prices"].items()
    }
    counts = {key: document[key] for key in ("requests", "users", "ranker")}
    return {
        **counts,
        "slate": keep | {m: document["slate"][m] for m in diversity},
        "diversity": diversity[0],
        "prices": prices,
        "seconds": {"whole": round(time.perf_counter() - begun, 1)},
        "measured": provenance("bench/rules/prices.py"),
    }


INTRODUCTION = """`python bench/rules/prices.py --data DIR`. Every rule of a recipe is switched off in turn, the others
as they are, and the same questions are asked: what stands here is the slate with the rule minus the slate without it,
first 10 places. Intervals (95 %, users drawn; coverage and Gini by the jackknife) are in prices.json; **in brackets:
could be chance**. The settings in the recipes beside this page are examples and were not tuned.
What is missed is what a rule is there for: 0 = reached; `off` is the slate without it. A hard rule (blacklist,
available, seen) is off from recall on, on the same right answers, which are never what it forbids."""
COLUMNS = ("rule", "moves", "NDCG@10 (95 %)", "coverage", "diversity", "novelty", "age, days", "Gini")
COLUMNS += ("what is missed", "off", "on")


def number(value: float | None, digits: int = 3, sign: bool = True) -> str:
    if value is None:
        return "–"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def told(change: dict[str, Any] | None, digits: int = 3) -> str:
    """A difference; in brackets where its interval has 0 in it."""
    if not change or change["diff"] is None:
        return "–"
    low, high = change.get("low"), change.get("high")
    said = number(change["diff"], digits)
    return said if low is not None and (low > 0 or high < 0) else f"({said})"


def page(found: dict[str, Any]) -> str:
    """PRICES.md."""
    lines = ["# The price of a rule", "", " ".join(INTRODUCTION.split())]
    for name, one in found.items():
        at = one["measured"]
        slate, diversity = one["slate"], one["diversity"]
        lines += [
            "",
            f"## {name} ({SAID[name]})",
            "",
            f"{one['requests']:,} requests of {one['users']:,} users; slate NDCG@10 {slate['ndcg@10']['mean']:.3f}, "
            f"coverage {slate['coverage@10']:.3f}, {diversity.partition('@')[0]} {slate[diversity]:.3f}. Fitted, asked "
            f"and every rule switched off in {one['seconds']['whole']:.0f} s ({at['machine']}, load {at['load']}, "
            f"{at['date']}, shortlist {at['versions']['shortlist']}).",
            "",
            "| " + " | ".join(COLUMNS) + " |",
            "|---" * len(COLUMNS) + "|",
        ]
        for rule, price in one["prices"].items():
            change, aim = price["change"], price["aim"]
            ndcg = change["ndcg@10"]
            cells = [
                f"`{rule}`",
                f"{100 * price['moved']:.0f} %",
                f"{told(ndcg)} [{number(ndcg['low'])}, {number(ndcg['high'])}]"
                if price["moved"]
                else "changes nothing",
                told(change["coverage@10"]),
                told(change.get(diversity)),
                told(change["novelty@10"]),
                told(change.get("age_days@10"), 1),
                told(change["gini@10"]),
                aim["what"],
                number(aim["without"], sign=False),
                number(aim["with"], sign=False),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--only", choices=SETS)
    options = asked.parse_args()
    file = HERE / "prices.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        for name in (options.only,) if options.only else SETS:
            found[name] = measured(name, options.data, Path(work))
            say(f"{name}: {found[name]['seconds']['whole']} s")
    found = {name: found[name] for name in SETS if name in found}
    write_text(file, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    write_text(HERE / "PRICES.md", page(found))


if __name__ == "__main__":
    main()
