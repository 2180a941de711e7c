"""Chooses a channel's settings on the tune window, within the bounds its fields declare (``Search``).

Fitted before the ``tune`` cut, asked the questions of [tune, rank), judged by recall@50: nothing after the ``rank`` cut
is read. The defaults and a few plain variants come first; each later trial draws about a third of the fields anew and
keeps the others as they are in the best so far.
Source: Rechenberg (1973), Evolutionsstrategie; Bergstra, Bengio (2012), Random Search for Hyper-Parameter Optimization.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import channel as rows_of
import logs
import numpy as np
from rows import HERE, called, say, wanted

from shortlist.component import InputError
from shortlist.documents import write_text
from shortlist.registry import find, names
from shortlist.search import Space, declared

OBJECTIVE = "recall@50"
STARTS: tuple[dict[str, Any], ...] = (
    {"signal": "all"},
    {"signal": "all", "half_life": "10m"},
    {"half_life": "1d", "log_half_life": "180d"},
    {"own": False},
)
"""Tried first, by channels that have these fields and other defaults: what a log's events mean is no number to search,
and whether the people who ask are those it knows."""
SHARE = 1 / 3
"""Of the fields that a trial draws anew."""


def draw(bounds: Space, best: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The best point with some fields, one at least, drawn anew; a field that is left out has its default."""
    point = dict(best)
    fields = sorted(bounds)
    chosen = rng.random(len(fields)) < SHARE
    chosen[rng.integers(len(fields))] = True
    for name in (name for name, taken in zip(fields, chosen, strict=True) if taken):
        within = bounds[name]
        if within.choices:
            value = within.choices[int(rng.integers(len(within.choices)))]
        elif within.log:
            value = within.written(float(np.exp(rng.uniform(np.log(within.low), np.log(within.high)))))
        else:
            value = within.written(float(rng.uniform(within.low, within.high)))
        point[name] = value
        if value is None:
            del point[name]
    return point


def search(asked: dict[str, Any]) -> dict[str, Any]:
    """The best settings of a row, what they reach and what the defaults reach."""

    log = logs.load(asked["set"], Path(asked["data"]) if asked["data"] else None, Path(asked["work"]))
    data, batches = log.known("tune"), log.batches(asked["protocol"], "tune")
    _, right = rows_of.targets(batches)
    cls, rng = find("recall", asked["channel"]), np.random.default_rng(0)
    bounds = declared(cls)
    usual = {name: field.default for name, field in cls.model_fields.items()}
    starts = [{}, *(p for p in STARTS if p.keys() <= usual.keys() and any(usual[name] != p[name] for name in p))]
    began, best, default, trials, refused = time.perf_counter(), ({}, -1.0), 0.0, 0, 0
    while trials < asked["trials"] and (not trials or time.perf_counter() - began < asked["budget"]):
        if trials >= len(starts) and not bounds:
            break  # nothing to choose
        point = starts[trials] if trials < len(starts) else draw(bounds, best[0], rng)
        trials += 1
        try:
            channel = cls.from_config(point).fit(data)  # type: ignore[attr-defined]
        except (InputError, ValueError):
            refused += 1
            continue
        rows = rows_of.lists(channel, batches, log.state)
        value = float(np.nanmean(rows_of.values(rows, right)[OBJECTIVE]))
        default = value if trials == 1 else default
        best = (point, value) if value > best[1] else best
    return {"set": best[0], "reached": best[1], "defaults_reach": default, "trials": trials, "refused": refused}


def run(asked: argparse.Namespace) -> None:
    """Searches every row asked for and writes ``settings.toml`` after each."""
    file = HERE / "settings.toml"
    sets, protocols, channels = wanted(asked.only, logs.known(), ["replay", "start"], names("recall"))
    for log in (name for name in sets if logs.here(name, asked.data)):
        for protocol in (p for p in logs.table(log)["protocols"] if p in protocols):
            for name in channels:
                told = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
                if name in told.get(log, {}).get(protocol, {}) and not asked.again:
                    continue
                job = {"set": log, "protocol": protocol, "channel": name, "data": str(asked.data or "")}
                job |= {"work": str(asked.work), "trials": asked.trials, "budget": asked.budget}
                found = called("choose", job, asked.budget + asked.limit)
                say(f"{log}/{protocol}/{name}: {found}")
                if "set" in found:
                    told.setdefault(log, {}).setdefault(protocol, {})[name] = found
                    write_text(file, toml(told))


def toml(told: dict[str, Any]) -> str:
    """The settings as TOML, in the order of their names."""
    lines = [
        "# Written by run.py --tune: the settings with the best recall@50 on the tune window, and what the defaults",
        "# reach there. A row that is not named runs with the defaults.",
    ]
    for log, protocols in sorted(told.items()):
        for protocol, channels in sorted(protocols.items()):
            for name, found in sorted(channels.items()):
                set_ = ", ".join(f"{key} = {json.dumps(value)}" for key, value in sorted(found["set"].items()))
                lines += ["", f"[{log}.{protocol}.{name}]", f"set = {{ {set_} }}" if set_ else "set = {}"]
                lines += [f"{key} = {round(found[key], 5)}" for key in ("reached", "defaults_reach", "trials")]
    return "\n".join(lines) + "\n"
