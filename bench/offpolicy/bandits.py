"""What linucb and thompson would earn on Open Bandit, told from its uniform log; they learn from the other log.

    python bench/offpolicy/bandits.py --data DIR [--campaigns men women all]

DIR has ``open-bandit-small``. Every ranker has its defaults: nothing was chosen here. Writes ``bandits.json`` and
``BANDITS.md``. A round is one place with the campaign's items to choose from; the new policy shows its first row.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
from bench.measured import provenance  # noqa: E402

from shortlist.documents import dumps, write_text  # noqa: E402
from shortlist.offpolicy import Rounds, inverse_propensity, self_normalised  # noqa: E402
from shortlist.offpolicy.intervals import delta  # noqa: E402
from shortlist.offpolicy.overlap import effective_size  # noqa: E402
from shortlist.rank.linucb import LinUCB  # noqa: E402
from shortlist.rank.logistic import Logistic  # noqa: E402
from shortlist.rank.thompson import Thompson  # noqa: E402
from shortlist.types import Array, Candidates, Requests, Samples  # noqa: E402

RANKERS: dict[str, Any] = {
    "logistic": Logistic,
    "linucb": LinUCB,
    "linucb hybrid, a constant each": lambda: LinUCB(parameters="hybrid", own=[]),
    "thompson": Thompson,
    "thompson hybrid, a constant each": lambda: Thompson(parameters="hybrid", own=[]),
}


def main() -> None:
    """Fits on one log, values on the other, writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--campaigns", nargs="+", default=["men", "women", "all"])
    given = parser.parse_args()
    kept = HERE / "bandits.json"
    tables = json.loads(kept.read_text(encoding="utf-8"))["campaigns"] if kept.is_file() else {}
    for campaign in given.campaigns:
        tables[campaign] = campaign_of(given.data / "open-bandit-small", campaign)
        document = {**provenance("bench/offpolicy/bandits.py"), "campaigns": tables}
        write_text(kept, dumps(document))
        write_text(HERE / "BANDITS.md", page(tables))


def campaign_of(folder: Path, campaign: str) -> dict[str, Any]:
    """Every ranker's estimate and interval."""
    learned, log = (pl.read_csv(folder / part / campaign / f"{campaign}.csv.gz") for part in ("bts", "random"))
    items = pl.read_csv(folder / "random" / campaign / "item_context.csv").sort("item_id")
    shown = learned["item_id"].to_numpy()
    rows = columns(learned, items, np.arange(len(learned)), shown)
    click = learned["click"].to_numpy().astype(np.float32)
    samples = Samples(requests(len(learned)), rows, {"click": click}, np.ones(len(click), np.float32))
    reward, taken = log["click"].to_numpy().astype(float), log["item_id"].to_numpy()
    asked = (log, items, np.repeat(np.arange(len(log)), len(items)), np.tile(np.arange(len(items)), len(log)))
    every, whole = columns(*asked), requests(len(log))
    told: dict[str, Any] = {"rounds": len(log), "clicks": int(reward.sum()), "logged": reward.mean(), "rankers": {}}
    for name, make in RANKERS.items():
        began = time.process_time()
        ranker = make().fit(samples)
        fitted = time.process_time() - began
        target = first(ranker, whole, every).reshape(len(log), len(items))
        rounds = Rounds(
            reward, log["propensity_score"].to_numpy(), target[np.arange(len(log)), taken], np.arange(len(log))
        )
        told["rankers"][name] = {
            "fit_seconds": fitted,
            "score_seconds": time.process_time() - began - fitted,
            "effective": effective_size(rounds.weight),
            **{
                key: [terms.estimate, *interval(terms, rounds.cluster)]
                for key, terms in (("ips", inverse_propensity(rounds)), ("snips", self_normalised(rounds)))
            },
        }
    return told


def interval(terms: Any, cluster: Array) -> tuple[float, float]:
    """Low and high."""
    found = delta(terms, cluster)
    return found.low, found.high


def first(ranker: Any, asked: Requests, rows: Candidates) -> Array:
    """[m]: how likely each row is to be shown."""
    if isinstance(ranker, Thompson):
        return ranker.chances(asked, rows)
    ranked = rows.with_columns(score=ranker.score(asked, rows)["score"])
    return (ranked.rank_of() == 1).astype(float)


def requests(n: int) -> Requests:
    """One a round."""
    return Requests.of(np.full(n, -1), np.zeros(n))


def columns(log: pl.DataFrame, items: pl.DataFrame, row: Array, item: Array) -> Candidates:
    """Rows (round, item) with what is known of the person, of the item and of both."""
    found: dict[str, Array] = {"position": log["position"].to_numpy()[row].astype(np.int32)}
    for name in (f"user_feature_{j}" for j in range(4)):
        found[name] = log[name].rank("dense").to_numpy().astype(np.int32)[row]
    for name in (f"item_feature_{j}" for j in range(1, 4)):
        found[name] = items[name].rank("dense").to_numpy().astype(np.int32)[item]
    found["item_feature_0"] = items["item_feature_0"].to_numpy()[item].astype(np.float32)
    affinity = log.select(f"user-item_affinity_{j}" for j in range(len(items))).to_numpy()
    found["affinity"] = affinity[row, item].astype(np.float32)
    return Candidates(row.astype(np.uint32), item.astype(np.int32), found)


def page(tables: dict[str, Any]) -> str:
    """The table."""
    lines = [
        "# linucb and thompson on Open Bandit",
        "",
        "Learned from the log of Bernoulli Thompson sampling, valued on the uniform log of the same campaign and days:",
        "10,000 rounds each, about 45 clicks. Defaults throughout. Clicks per 1,000 rounds with 95 % intervals;",
        "written by `python bench/offpolicy/bandits.py`. Seconds are of the processor, for all rounds with all items.",
        "",
        "| campaign | ranker | IPS | self-normalised | effective rounds | fit s | score s |",
        "|---|---|---|---|---|---|---|",
    ]
    for campaign, told in tables.items():
        lines.append(f"| {campaign} | uniform, as logged | {1000 * told['logged']:.1f} | | {told['rounds']:,} | | |")
        for name, row in told["rankers"].items():
            ips, snips = (
                f"{1000 * v:.1f} ({1000 * low:.1f} to {1000 * high:.1f})" for v, low, high in (row["ips"], row["snips"])
            )
            lines.append(
                f"| {campaign} | {name} | {ips} | {snips} | {row['effective']:,.0f} | {row['fit_seconds']:.2f} | "
                f"{row['score_seconds']:.1f} |"
            )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
