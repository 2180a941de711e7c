"""Training rows per second, ours beside the peer: alternating in one process, one and two threads, the same batch.

Ours is timed with everything ``fit`` does (vocabulary, encoding, schema); the peer only in its ``fit``, its matrices
made before. Neither looks at validation rows. The ratio is the median of those of the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from entrants import made, settings
from results import keep, provenance, say
from splits import Table

ROUNDS, EPOCHS = 5, 1


def row(table: Table, name: str, rounds: int = ROUNDS) -> None:
    """Keeps the row ``speed.TABLE.NAME``."""
    found = {str(threads): measure(table, name, threads, rounds) for threads in (1, 2)}
    label = f"speed.{table.name}.{name}"
    keep(label, {"rounds": rounds, "epochs": EPOCHS, "threads": found, **provenance()})
    say(f"{label}: " + ", ".join(f"{threads} threads {each['ratio']:.2f} x" for threads, each in found.items()))


def measure(table: Table, name: str, threads: int, rounds: int) -> dict[str, float]:
    """Rows per second of both and their ratio."""
    torch.set_num_threads(threads)
    rows = len(table.train) * EPOCHS
    config = {side: settings(table.name, name, side) for side in ("ours", "peer")}
    config["ours"] |= {"epochs": EPOCHS, "threads": threads}
    config["ours"] |= {"pretrain": 0} if name == "fnn" else {}  # the peer has no such stage

    def ours() -> Callable[[], object]:
        ranker = made(name, "ours", config["ours"], 0)
        return lambda: ranker.fit(table.train)

    def peer() -> Callable[[], object]:
        ranker = made(name, "peer", config["peer"], 0)
        ranker.prepare(table.train)  # type: ignore[attr-defined]
        x, y = ranker.matrices(table.train)  # type: ignore[attr-defined]
        return lambda: ranker.train(x, y, EPOCHS)  # type: ignore[attr-defined]

    spent: dict[str, list[float]] = {"ours": [], "peer": []}
    for number in range(rounds + 1):
        for side, make in (("ours", ours), ("peer", peer)):
            call = make()
            began = time.perf_counter()
            call()
            if number:  # the first round warms up
                spent[side].append(time.perf_counter() - began)
    torch.set_num_threads(1)
    own, other = np.array(spent["ours"]), np.array(spent["peer"])
    return {
        "ours": float(rows / np.median(own)),
        "peer": float(rows / np.median(other)),
        "ratio": float(np.median(other / own)),
        "least": float((other / own).min()),
        "most": float((other / own).max()),
    }
