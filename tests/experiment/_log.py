"""A small log of exposures and events, drawn at random, with what the arms truly do."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from shortlist.experiment.assign import told
from shortlist.experiment.design import Design
from shortlist.experiment.outcomes import EVENTS, EXPOSURES

DAY = 86_400_000_000
T0 = 1_767_225_600_000_000  # 2026-01-01


def log(
    design: Design, users: int = 300, days: int = 6, before: int = 3, lift: float = 0.0, seed: int = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Exposures of five items an answer and events on them; arm ``b`` of ``x`` is clicked ``1 + lift`` times as often.

    Half of the events say their ``request_id``. A twentieth of the slates is short, one in forty empty.
    """
    rng = np.random.default_rng(seed)
    shown: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    taste = rng.beta(3, 9, users)
    for u in range(users):
        for _ in range(rng.poisson(days + before)):
            time = int(T0 + rng.integers(-before * DAY, days * DAY))
            arms = told(design, f"u{u}", time)
            size = int(rng.choice([5, 3, 0], p=[0.925, 0.05, 0.025]))
            answer = {"request_id": f"{len(shown)}-{u}", "user": f"u{u}", "time": time, "bundle": "v1", "asked": 5}
            answer |= {"arms": " ".join(f"{n}={a}" for n, a in arms.items()), "latency": float(rng.gamma(4, 0.002))}
            items = rng.permutation(30)[:size]
            shown += [{**answer, "item": f"i{i}", "position": p} for p, i in enumerate(items, 1)]
            shown += [] if size else [answer]
            for p, i in enumerate(items):
                chance = taste[u] / (1 + p) * (1 + lift * (arms.get("x") == "b"))
                if rng.random() < chance:
                    link = answer["request_id"] if rng.random() < 0.5 else None
                    event = {"user": f"u{u}", "item": f"i{i}", "request_id": link}
                    at = time + int(rng.integers(1, DAY // 4))
                    events.append({**event, "event": "view", "time": at, "value": float(rng.integers(1, 100))})
                    if rng.random() < 0.3:
                        events.append({**event, "event": "buy", "time": at + 1, "value": float(rng.integers(1, 20))})
    return pl.DataFrame(shown, schema=EXPOSURES), pl.DataFrame(events, schema=EVENTS)
