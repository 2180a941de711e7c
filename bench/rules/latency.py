"""Time of the soft rules on one request of 300 candidates, on one core: ``python bench/rules/latency.py``.

A made-up shop: 5,000 items with category, brand, genres, price and age group, 2,000 users, 200,000 events and as many
exposures, 300 candidates from six channels with the fallback's 40 behind them. All rules stand in one recipe, in the
order that docs/recipes.md gives; each is also timed by itself, on the rows as the rules before it leave them.
Writes latency.json and RESULTS.md beside this file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
from bench.measured import provenance, say  # noqa: E402

from shortlist.component import Rule  # noqa: E402
from shortlist.data import Dataset, State  # noqa: E402
from shortlist.documents import write_text  # noqa: E402
from shortlist.registry import find  # noqa: E402
from shortlist.testing import worlds  # noqa: E402
from shortlist.types import Candidates, Requests  # noqa: E402

HERE = Path(__file__).parent
ITEMS, USERS, EVENTS, ROWS, SPARE = 5_000, 2_000, 200_000, 300, 40
ASKED, ROUNDS = 200, 12
CHANNELS = ("cf", "als", "ease", "swing", "hot", "fresh")
KINDS = {
    "category": "category", "brand": "category", "parent": "category", "made_for": "category", "genres": "list",
    "price": "number", "gender": "category", "age": "number",
}  # fmt: skip
RECIPE = [
    ("channel_order", {"channels": [["cf", "als", "ease", "swing"], ["hot", "fresh"]], "across": "turns"}),
    ("boost", {"user": "age", "groups": {"young": [0, 30]}, "item": "genres", "likes": {"young": ["g03", "g07"]}}),
    ("intent", {"by": ["category", "genres"], "idle": "none"}),
    ("price_gap", {"price": "price", "by": "category", "events": "buy"}),
    ("mismatch", {"user": "gender", "item": "made_for"}),
    ("bought_recently", {"by": "category", "events": "buy"}),
    ("fatigue", {"most": 2}),
    ("dedupe", {"by": "parent"}),
    ("mmr", {"by": ["genres", "category"]}),
    ("dpp", {"by": ["genres", "category"]}),
    ("quota", {"bounds": {"category": {"c03": [0.1, 0.4]}}, "most": {"brand": 0.3, "category": 0.4}}),
    ("scatter", {"most": {"category": 2, "brand": 1}, "window": 4}),
    ("explore", {"slots": [4, 8], "epsilon": 0.2, "draw": "softmax"}),
    ("fill", {}),
]


def shop(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    category = rng.integers(0, 30, ITEMS)
    items = pl.DataFrame(
        {
            "item": [f"i{code:04}" for code in range(ITEMS)],
            "category": [f"c{c:02}" for c in category],
            "brand": [f"b{b:03}" for b in rng.integers(0, 200, ITEMS)],
            "parent": [f"p{p:04}" for p in rng.integers(0, 4 * ITEMS // 5, ITEMS)],
            "made_for": rng.choice(["F", "M", "all"], ITEMS),
            "genres": [[f"g{g:02}" for g in rng.choice(18, rng.integers(1, 4), False)] for _ in range(ITEMS)],
            "price": np.exp(rng.normal(3 + category / 15, 0.5)),
        }
    )
    users = pl.DataFrame(
        {
            "user": [f"u{code:04}" for code in range(USERS)],
            "gender": rng.choice(["F", "M"], USERS),
            "age": rng.integers(15, 80, USERS),
        }
    )
    popular = rng.zipf(1.3, 2 * EVENTS) - 1
    item = popular[popular < ITEMS][:EVENTS]
    m = len(item)
    shown = worlds.slates(rng.integers(0, USERS, m // 5), 400, 30 * 1440, worlds.MINUTE)
    return worlds.dataset(
        rng.integers(0, USERS, m), item, worlds.START + np.sort(rng.integers(0, 30 * worlds.DAY, m)),
        (rng.random(m) < 0.2).astype(int),
        behaviours=worlds.SHOP, n_users=USERS, n_items=ITEMS, users=users, items=items, kinds=KINDS, exposures=shown,
    )  # fmt: skip


def asked(data: Dataset, state: State, seed: int) -> tuple[Requests, Candidates]:
    """A request of one user and 300 rows, half of them among the items shown most."""
    rng = np.random.default_rng([seed, 1])
    user, now = rng.integers(0, USERS, 1).astype(np.int32), np.array([state.last + 1])
    requests = Requests.of(user, now, state.history(user, now, 1000))
    often, rest = np.arange(400), np.arange(400, ITEMS)
    item = np.concatenate([rng.choice(often, ROWS // 2, False), rng.choice(rest, ROWS // 2 + SPARE, False)])
    m = ROWS + SPARE
    spare = np.arange(m) >= ROWS
    columns = {"score": np.where(spare, np.nan, np.sort(rng.normal(-3, 1, m))[::-1]).astype(np.float32)}
    for channel in CHANNELS:
        silent = spare | (rng.random(m) < 0.6)
        columns[f"{channel}.score"] = np.where(silent, np.nan, rng.random(m)).astype(np.float32)
        columns[f"{channel}.rank"] = np.where(silent, np.nan, 1 + rng.permutation(m)).astype(np.float32)
    columns["fallback"] = spare
    return requests, Candidates(np.zeros(m, np.uint32), item[rng.permutation(m)].astype(np.int32), columns)


def run(rules: dict[str, Rule], requests: Requests, rows: Candidates, state: State) -> list[float]:
    """Milliseconds on the clock of each rule; last, what the process computed in all."""
    rows, busy, spent = rows.with_columns(ranked=rows["score"]), time.process_time(), []
    for rule in rules.values():
        began = time.perf_counter()
        rows = rule.apply(requests, rows, state)
        spent.append(1e3 * (time.perf_counter() - began))
    return [*spent, 1e3 * (time.process_time() - busy)]


def main() -> None:
    data = shop()
    state = data.state()
    rules = {name: find("rules", name)(**config).fit(data) for name, config in RECIPE}  # type: ignore[attr-defined]
    questions = [asked(data, state, seed) for seed in range(ASKED)]
    for requests, rows in questions[:20]:
        run(rules, requests, rows, state)  # compiled, and what the state groups once
    rounds = [np.array([run(rules, *question, state) for question in questions]) for _ in range(ROUNDS)]
    spent = min(rounds, key=lambda times: float(np.median(times[:, :-1].sum(1))))
    total = spent[:, :-1].sum(1)
    table = {name: round(float(np.median(column)), 4) for name, column in zip(rules, spent.T, strict=False)}
    result = {
        **provenance("bench/rules/latency.py"),
        "requests": ASKED,
        "candidates": ROWS,
        "rules": table,
        "all": {f"p{p}": round(float(np.percentile(total, p)), 3) for p in (50, 90, 99)},
        "computing": round(float(np.median(spent[:, -1])), 3),
        "rounds": [round(float(np.median(times[:, :-1].sum(1))), 3) for times in rounds],
    }
    for name, value in table.items():
        say(f"{name:16} {value:.4f} ms")
    whole = result["all"]
    say(f"all {len(rules)}: {whole}, computing {result['computing']} ms; rounds {result['rounds']}")
    write_text(HERE / "latency.json", json.dumps(result, indent=1) + "\n")
    versions = " · ".join(f"{library} {version}" for library, version in result["versions"].items())
    lines = [
        "# What the soft rules take",
        "",
        f"`{result['command']}` · {result['machine']} · load {result['load']} · {result['date']} · {versions}",
        "",
        f"{ROWS} candidates of a made-up shop (see the file), the fallback's {SPARE} behind them; p50 of {ASKED} "
        f"requests, one at a time, of the quietest of {ROUNDS} rounds. Each rule works on what those before it leave.",
        "",
        "| rule | p50, ms |",
        "|---|---|",
        *(f"| `{name}` | {value} |" for name, value in table.items()),
        f"| **all {len(rules)} in one recipe** | **{whole['p50']}** |",
        "",
        f"p90 {whole['p90']} ms, p99 {whole['p99']} ms; of the p50 {result['computing']} ms are computing. p50 of each "
        f"round: {', '.join(map(str, result['rounds']))} ms. Load is the whole machine's: above its "
        "number of cores, the upper percentiles are waits for a core.",
        "",
    ]
    write_text(HERE / "RESULTS.md", "\n".join(lines))


if __name__ == "__main__":
    main()
