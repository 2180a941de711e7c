"""Who runs on which table with what: ours and the same model elsewhere, from ``plan.toml`` and what was chosen."""

from __future__ import annotations

import tomllib
from typing import Any

from results import HERE, kept
from splits import Table

from shortlist.component import Ranker
from shortlist.metrics.ranking import auc, calibration_error, calibration_ratio, gauc, log_loss
from shortlist.rank._histories import HistoryRanker
from shortlist.rank._table import TableRanker
from shortlist.registry import find, names
from shortlist.types import Samples

PLAN = tomllib.loads((HERE / "plan.toml").read_text(encoding="utf-8"))
CLASSIC = {
    "logistic": ("SklearnLogistic", "scikit-learn LogisticRegression on the same design"),
    "tree": ("SklearnTree", "scikit-learn DecisionTreeClassifier"),
    "gbdt": ("LightGBM", "lightgbm"),
    "xgboost": ("PlainXGBoost", "xgboost"),
    "gbdt_lr": ("LightGBMLogistic", "lightgbm leaves in scikit-learn LogisticRegression"),
}
SIDES = ("ours", "peer")
Settings = dict[str, Any]


def entrants() -> list[str]:
    """Every ranker that reads tables, and the plan's variants of them."""
    found = {name: find("rank", name) for name in names("rank")}
    read = [n for n, cls in found.items() if issubclass(cls, TableRanker) and not issubclass(cls, HistoryRanker)]
    return read + [name for name, model in PLAN["models"].items() if name not in read and kind(name) in read]


def model(name: str) -> Settings:
    """What the plan says of an entrant."""
    found: Settings = PLAN["models"].get(name, {})
    return found


def kind(name: str) -> str:
    """The ranker an entrant is a variant of."""
    return str(model(name).get("type", name))


def peer_name(table: str, name: str) -> str | None:
    """What it is compared with, if with anything."""
    if kind(name) in CLASSIC:
        return CLASSIC[kind(name)][1] if table == "adult" else None
    import peers

    return None if model(name).get("alone") else peers.NAMES.get(kind(name))


def grid(table: str, name: str) -> dict[str, Any]:
    """What is tried: ``ours`` and ``peer``, and what each keeps ``fixed``."""
    group = model(name).get("grid", "deep")
    groups = {**PLAN["ctr"], **PLAN.get(table, {})}
    return dict(groups.get(name, groups[group]))


def settings(table: str, name: str, side: str, chosen: Settings | None = None) -> Settings:
    """All settings of a side; ``chosen`` = those of a trial instead of those kept."""
    if chosen is None:
        told = kept(f"chosen.{table}.{name}")
        first = {key: values[0] for key, values in grid(table, name).get(side, {}).items()}
        chosen = told[side]["params"] if told else first
    shared = {**PLAN["shared"][table], **model(name).get("shared", {})}
    if model(name).get("grid"):
        shared = {key: shared[key] for key in ("without",) if key in shared}
    own = dict(model(name).get(side, {}))
    if side == "peer" and kind(name) not in CLASSIC:
        own = {"net": kind(name), "options": own}
    fields = cls(name, side).model_fields
    known = {key: value for key, value in shared.items() if key in fields}
    return {**known, **own, **grid(table, name).get("fixed", {}).get(side, {}), **chosen}


def cls(name: str, side: str) -> type[Ranker]:
    """The class of a side."""
    if side == "ours":
        return find("rank", kind(name))  # type: ignore[return-value]
    if kind(name) in CLASSIC:
        import plain

        found: type[Ranker] = getattr(plain, CLASSIC[kind(name)][0])
        return found
    import peers

    return peers.DeepPeer


def made(name: str, side: str, config: Settings, seed: int) -> Ranker:
    """An entrant, not yet fitted."""
    of = cls(name, side)
    return of.from_config({**config, **({"seed": seed} if drawn(name, side) else {})})


def drawn(name: str, side: str) -> bool:
    """Whether a side draws anything at random."""
    return "seed" in cls(name, side).model_fields and kind(name) not in ("logistic", "tree")


def fitted(ranker: Ranker, table: Table, seed: int) -> Ranker:
    """Fitted as the table says: stopped by its validation rows, or by a tenth; then learned again from all of them."""
    if table.valid is None and not stopped_early(ranker):
        return ranker.fit(table.train)
    train, valid = table.parts(seed)
    ranker.fit(train, valid)
    if table.valid is None or table.again:
        whole = table.train if table.valid is None else Samples.concat([train, valid])
        ranker.refit(whole)  # type: ignore[attr-defined]
    return ranker


def stopped_early(ranker: Ranker) -> bool:
    """Whether it learns in epochs, whose number later rows choose."""
    return "epochs" in type(ranker).model_fields


def measured(ranker: Ranker, samples: Samples) -> dict[str, float]:
    """Every figure of a row."""
    y, p = next(iter(samples.labels.values())), ranker.score(samples.requests, samples.candidates)["score"]
    found = {
        "auc": auc(y, p),
        "log_loss": log_loss(y, p),
        "predicted_over_observed": calibration_ratio(y, p),
        "ece": calibration_error(y, p),
    }
    users = samples.candidates.columns.get("user")
    if users is not None:
        found["gauc"] = gauc(y, p, users)
    return found
