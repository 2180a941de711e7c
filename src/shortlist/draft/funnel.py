"""What follows ``[data]`` in a draft: channels, merge, features, samples, ranker and rules, each with its reason."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shortlist import train
from shortlist.component import InputError
from shortlist.data import Dataset
from shortlist.draft.nature import Nature
from shortlist.draft.size import LARGE, Size
from shortlist.draft.trials import Trial, Trials
from shortlist.draft.written import toml
from shortlist.progress import step
from shortlist.questions import questions_of
from shortlist.recipe import Recipe, parse
from shortlist.registry import entry
from shortlist.tuning import channels, measures
from shortlist.types import Float64

AGAIN = 0.02
"""Where users take more than this share of what they take again, what was seen may be shown."""
SECONDS = 60.0
"""Of the processor at most, for trying channels on a small log, and as much for every 100,000 events up to ``LONGEST``.
Four times what is needed: on a machine that is busy with other things a draft should not come out another."""
LONGEST = 150.0
FEWEST = 30
"""Requests without which nothing is tried: fewer cannot tell one channel from another."""
WINDOWS = ("3h", "12h", "1d", "3d", "7d", "30d", "90d")
DENSE = 100
"""A window of counts is of use where the log has so many events in it."""
TREES: dict[str, Any] = {
    "type": "gbdt",
    "objective": "lambdarank",
    "trees": 250,
    "learning_rate": 0.1,
    "leaves": 15,
    "min_leaf": 50,
    "features": 0.5,
    "rows": 0.7,
    "stopping": 30,
}
"""The trees of a draft: best on the last fifth of four logs, beside xendcg, pointwise trees, a logistic regression and
averages of them by rank."""
NET: dict[str, Any] = {
    "type": "mmoe",
    "numeric": "standard",
    "hidden": [64, 32],
    "dropout": 0.3,
    "l2": 0.1,
    "batch": 1024,
    "rate": 3e-4,
    "epochs": 6,
    "checks": 3,
    "stopping": 3,
}
"""The net beside them where ratings tell two labels, what is rated at all and what is liked, and torch is there."""
RATED = "rated"
"""The label of what is rated at all."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """The sections of a funnel and why they are there."""

    sections: dict[str, Any]
    reasons: dict[str, list[str]]  # by section, lines


def funnel(recipe: Recipe, data: Dataset) -> Funnel:
    """The funnel for a log that ``recipe`` reads, by what its channels find in [tune, rank).

    Nothing after ``rank`` is looked at. Raises ``InputError`` where nobody can be asked anything there.
    """
    schedule = train.Schedule.of(recipe, data)
    opens = schedule.cuts.needed("tune", "channels are tried on [tune, rank)")
    closes = schedule.cuts.merge_closes
    past = schedule.until(closes)
    asked = questions_of(past.data, past.state, recipe.evaluate, opens, closes, at_most=LARGE, seed=recipe.seed)
    nature = Nature.of(data, past.data.until(opens), asked)
    again = nature.repeats > AGAIN
    rules = [{"type": "available"}, *([] if again else [{"type": "seen"}]), {"type": "fill"}]
    ruled = recipe.model_copy(update={"rules": rules})
    with step("channels tried on [tune, rank)"):
        (window,) = measures.windows(train.Schedule.of(ruled, data), recipe.seed)
        if len(window.questions) < FEWEST:
            raise InputError(f"{len(window.questions)} requests in [tune, rank), too few to tell channels apart")
        window = replace(window, known=channels.latest(window.known))
        seconds = min(LONGEST, SECONDS * max(1.0, nature.events / 100_000))
        trials = Trials(ruled, window, nature, time.process_time() + seconds)
        popular = trials.popular()
        every = [*popular, *trials.families()]
        chosen = _named(trials.chosen(every) or popular[:1])
        merge, value = trials.merge(chosen)
    more, rank = rankers(recipe)
    sections: dict[str, Any] = {
        "recall": {name: trial.section for name, trial in chosen.items()},
        "fallback": popular[0].section,
        "merge": {**merge, "k": 300},
        "features": _features(nature, data),
        "samples": {**_learned(recipe), "moments": 20, "negatives": 60, **more},
        "rank": rank,
        "rules": rules,
        "evaluate": {"requests": recipe.evaluate.requests, "k": [10, 50]},
    }
    with step("the funnel tried on a few requests"):
        whole = parse({**recipe.model_dump(exclude_unset=True), **sections})
        often = whole.learned.model_copy(update={"moments": whole.samples.moments})
        asked = questions_of(past.data, past.state, often, opens, closes, at_most=LARGE, seed=recipe.seed)
        size = Size.of(whole, past.data.until(opens), past.state, asked)
    if size.requests >= size.at_most:
        sections["samples"]["at_most"] = size.at_most
    if size.requests >= LARGE:
        sections["evaluate"]["at_most"] = LARGE
    return Funnel(sections, _reasons(nature, trials, chosen, value, size, rank is not TREES))


def _learned(recipe: Recipe) -> dict[str, str]:
    """A ranker learns from a replay even if everybody will be asked once: one moment has too few requests."""
    return {} if recipe.evaluate.requests == "replay" else {"requests": "replay"}


def rankers(recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """(More keys of [samples], [rank]): trees; and where the one behaviour that counts as right does so from some value
    on, and what nets need is installed, a net beside them that also learns what is rated at all.
    """
    least = list((recipe.data.positive or {}).items())
    if len(least) != 1 or isinstance(least[0][1], bool) or not entry("rank", NET["type"]).available:
        return {}, TREES
    return {"labels": {RATED: {least[0][0]: True}}}, {"gbdt": TREES, NET["type"]: NET}


def _named(trials: Sequence[Trial]) -> dict[str, Trial]:
    """Names of channels: what they are, and of two popular ones what each is for."""
    named: dict[str, Trial] = {}
    for trial in trials:
        name = trial.type if trial.type not in named else "lasting"
        named[name] = trial
    return named


def _features(nature: Nature, data: Dataset) -> list[dict[str, Any]]:
    """Columns of what the log has: channels and counts always; of attributes, repeats and people where there are."""
    rate = nature.events / max(nature.days, 1e-9)
    days = {name: float(name[:-1]) * {"h": 1 / 24, "d": 1.0}[name[-1]] for name in WINDOWS}
    windows = [name for name in WINDOWS if days[name] * rate >= DENSE and days[name] <= nature.days / 2] or ["1d"]
    found: list[dict[str, Any]] = [
        {"type": "channel"},
        {"type": "counts", "windows": windows[-6:]},
        {"type": "recency"},
        *([] if data.order_only else [{"type": "context"}]),
        {"type": "neighbours"},
    ]
    if data.items.codes or any(one.values.codes for one in data.items.dated.values()):
        found.append({"type": "affinity"})
    if nature.attributes or nature.people:
        found.append({"type": "profile"})
    if nature.repeats > AGAIN:
        found.append({"type": "repeat"})
    return found


def _reasons(
    nature: Nature, trials: Trials, chosen: Mapping[str, Trial], value: Float64, size: Size, ranked: bool
) -> dict[str, list[str]]:
    window = trials.window.questions
    lines = {
        "": [*nature.told(), size.told()],
        "recall": [
            f"tried on {len(window):,} requests before the test window; NDCG@10 of each list, and recall@200",
            f"not taken: {_left(trials, chosen)}",
        ],
        "merge": [f"NDCG@10 {value.mean():.4f} on the later half of those requests"],
    }
    for name, trial in chosen.items():
        lines[f"recall.{name}"] = [f"{trial.order.mean():.4f}, {trial.wide.mean():.3f}"]
    if ranked:
        lines["rank"] = ["fit serves the better of the two, or their average; the net needs shortlist[deep]"]
    if nature.repeats > AGAIN:
        lines["rules"] = [f"no `seen`: {nature.repeats:.0%} of what users take they took before"]
    return lines


def _left(trials: Trials, chosen: Mapping[str, Trial]) -> str:
    best: dict[str, float] = {}
    for trial in trials.made:
        if trial.type not in {t.type for t in chosen.values()}:
            best[trial.type] = max(best.get(trial.type, 0.0), float(trial.order.mean()))
    return ", ".join(f"{kind} {value:.4f}" for kind, value in sorted(best.items(), key=lambda one: -one[1])) or "none"


def written(found: Funnel) -> str:
    """The sections as TOML, each under its reasons."""
    lines: list[str] = []

    def comment(key: str) -> list[str]:
        return [f"# {line}" for line in found.reasons.get(key, ())]

    lines += comment("recall")
    for name, section in found.sections["recall"].items():
        lines += [f"[recall.{name}]", *comment(f"recall.{name}"), *_keys(section), ""]
    for key in ("fallback", "merge"):
        lines += [f"[{key}]", *comment(key), *_keys(found.sections[key]), ""]
    for section in found.sections["features"]:
        lines += ["[[features]]", *_keys(section), ""]
    lines += ["[samples]", *comment("samples"), *_keys(found.sections["samples"]), ""]
    rank = found.sections["rank"]
    lines += comment("rank")
    for head, section in {"rank": rank}.items() if "type" in rank else ((f"rank.{name}", rank[name]) for name in rank):
        lines += [f"[{head}]", *_keys(section), ""]
    lines += comment("rules")
    for section in found.sections["rules"]:
        lines += ["[[rules]]", *_keys(section), ""]
    lines += ["[evaluate]", *_keys(found.sections["evaluate"])]
    return "\n".join(lines) + "\n"


def _keys(section: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {toml(value)}" for key, value in section.items()]


PLAIN = Funnel(
    {
        "recall": {"item_cf": {"type": "item_cf"}, "popular": {"type": "popular", "half_life": "7d"}},
        "fallback": {"type": "popular"},
        "merge": {"type": "reciprocal_rank", "k": 300},
        "features": [{"type": "channel"}, {"type": "counts"}, {"type": "recency"}],
        "samples": {"moments": 20, "negatives": 60},
        "rank": TREES,
        "rules": [{"type": "available"}, {"type": "seen"}, {"type": "fill"}],
        "evaluate": {"requests": "replay", "k": [10, 50]},
    },
    {},
)
"""What suits most logs, where nothing was tried."""
