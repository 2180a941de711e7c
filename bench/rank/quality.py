"""Settings chosen on rows that are not reported, and the rows of the tables: ours and the peer, seed by seed."""

from __future__ import annotations

import time
from typing import Any

from entrants import PLAN, SIDES, drawn, fitted, grid, made, measured, peer_name, settings, stopped_early
from results import keep, kept, provenance, say
from splits import Table, apart

from shortlist.tabular import folds

FOLDS, FOLD_SEED = 3, 0


def sides(table: str, name: str) -> list[str]:
    """``ours``, and ``peer`` if there is one."""
    return [side for side in SIDES if side == "ours" or peer_name(table, name)]


def choose(table: Table, name: str) -> None:
    """Tries every point of the grid and keeps the one of the best AUC; beside a peer with a ``rate``, both have its.

    But where models learn ``again`` for as many epochs: there a rate also says how finely these can be told apart, and
    the log loss, by which training stops, decides.
    """
    row: dict[str, Any] = {}
    began = time.perf_counter()
    for side in reversed(sides(table.name, name)):
        points = folds.grid(grid(table.name, name).get(side, {}))
        if "peer" in row and not table.again:
            rate = row["peer"]["params"].get("rate")
            points = [point for point in points if point.get("rate") == rate]
        trials = [{"params": point, **trial(table, name, side, point)} for point in points]
        best = min(trials, key=lambda each: each["log_loss"] if table.again else -each["auc"])
        row[side] = {**best, "trials": trials}
        say(f"{table.name}/{name} {side}: {best}")
    keep(f"chosen.{table.name}.{name}", {**row, "seconds": time.perf_counter() - began, **provenance()})


def trial(table: Table, name: str, side: str, point: dict[str, Any]) -> dict[str, float]:
    """AUC on the validation rows, or its mean over the folds of the training rows; the test rows are never read."""
    config = settings(table.name, name, side, point)
    if table.valid is not None:
        found = measured(made(name, side, config, 0).fit(table.train, table.valid), table.valid)
        return {metric: found[metric] for metric in ("auc", "log_loss")}
    values = []
    for train, rest in folds.folds(len(table.train), FOLDS, FOLD_SEED):
        ranker, fold = made(name, side, config, 0), table.train.take(train)
        ranker.fit(*apart(fold, 0)) if stopped_early(ranker) else ranker.fit(fold)
        values.append(folds.measured(ranker, table.train.take(rest)))
    return {"auc": sum(values) / FOLDS}


def row(table: Table, name: str, seeds: int, *, again: bool = False) -> None:
    """Adds the seeds that are missing, ours and the peer's each time, and keeps the row after each."""
    config = {side: settings(table.name, name, side) for side in sides(table.name, name)}
    label = f"{table.name}.{name}"
    found = kept(label)
    if again or found.get("settings") != config:
        found = {"settings": config, "peer_name": peer_name(table.name, name)} | {side: {} for side in config}
    found["tuned"] = bool(kept(f"chosen.{label}"))
    for seed in range(min(seeds, PLAN["seeds"][table.name])):
        fresh = False
        for side in config:
            if str(seed) in found[side] or (seed and not drawn(name, side)):
                continue
            began, busy = time.perf_counter(), time.process_time()
            ranker = fitted(made(name, side, config[side], seed), table, seed)
            cost = {"seconds": time.perf_counter() - began, "processor": time.process_time() - busy}
            length = getattr(ranker, "checks_", None) or getattr(ranker, "epochs_", None)
            found[side][str(seed)] = measured(ranker, table.test) | cost | ({"epochs": length} if length else {})
            fresh = True
        if fresh:
            keep(label, {**found, **provenance()})
            say(f"{label} seed {seed}: " + ", ".join(f"{side} {last(found[side], seed):.4f}" for side in config))


def last(seeds: dict[str, Any], seed: int) -> float:
    """The AUC of a seed, or of the only one."""
    return float(seeds.get(str(seed), seeds["0"])["auc"])
