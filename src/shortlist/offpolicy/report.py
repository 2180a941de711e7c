"""A recipe's policy measured on a log of exposures: the document of ``shortlist off-policy``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.data import FOREVER, Dataset
from shortlist.data.exposures import PROPENSITY, PROPENSITY_GIVEN, SHOWN_AT
from shortlist.documents import jsonable
from shortlist.offpolicy import bound, slates
from shortlist.offpolicy.estimators import (
    Terms,
    clipped,
    direct,
    doubly_robust,
    inverse_propensity,
    self_normalised,
    switch,
)
from shortlist.offpolicy.intervals import bootstrap, delta, lift
from shortlist.offpolicy.overlap import EFFECTIVE, Overlap, effective_size
from shortlist.offpolicy.policy import DRAWS, places, played
from shortlist.offpolicy.reward import Expected, folds
from shortlist.offpolicy.rounds import Rounds
from shortlist.pipeline import Pipeline
from shortlist.progress import step
from shortlist.recipe import POSITIVE, Recipe
from shortlist.train.exposures import exposed
from shortlist.types import Array, Candidates, Float64, Samples

CLIP = 10.0
"""The bound of the estimator that is clipped at a fixed one."""
PLACES = 1000
"""Places that a slate may have."""
GIVEN, ALONE = "given the rows above", "of each place alone: products are right where places are filled independently"
"""What the propensities of slates are."""


def off_policy(
    pipeline: Pipeline, data: Dataset, recipe: Recipe, opens: int, *, label: str = POSITIVE, draws: int = DRAWS
) -> dict[str, Any]:
    """What the funnel would be worth on the slates shown from ``opens`` on, per row shown and per slate.

    The document: ``rounds``, ``slates``, ``users``, ``left_out`` by reason, ``logged`` (the mean reward with its
    interval), ``overlap``, ``refused`` (a line, or null), and unless refused ``estimates`` and, where slates have
    several rows, ``slate_estimates``, each with ``mean``, ``low``, ``high`` (delta method), ``bootstrap`` and ``lift``
    over what was logged. Raises ``InputError`` without exposures with propensities from ``opens`` on, or for an unknown
    label.
    """
    columns = [] if data.exposures is None else data.exposures.columns
    if "propensity" not in columns:
        raise InputError(
            "data.exposures: expected what was shown with the column propensity, the chance with which each row was "
            f"shown; found {', '.join(columns) or 'no exposures'}"
        )
    state = data.state()
    with step("slates"):
        told = label == POSITIVE and "label" in columns
        closes = FOREVER if told else int(data.events.time[-1]) + 1
        shown = exposed(data, state, opens, closes, recipe.samples.window, recipe.samples.labels)
    if label not in shown.labels:
        raise InputError(f"--label {label}: expected one of {', '.join(shown.labels)}")
    shown, left_out = _usable(shown, data, label)
    if not len(shown):
        raise InputError(
            f"data.exposures: expected rows from {data.when(opens)} on with a label and a propensity, found none; "
            f"left out: {left_out}"
        )
    rounds, given, draws = _rounds(pipeline, shown, data, label, recipe.seed, draws)
    overlap = Overlap.of(rounds)
    document: dict[str, Any] = {
        "label": label,
        "opens": data.when(opens),
        "rounds": len(rounds),
        "slates": len(shown.requests),
        "users": len(np.unique(shown.requests.user[shown.requests.user >= 0])),
        "left_out": left_out,
        "draws": draws,
        "logged": asdict(delta(Terms(rounds.reward, np.ones(len(rounds))), rounds.cluster)),
        "overlap": asdict(overlap),
        "refused": overlap.refused,
    }
    if overlap.refused is None:
        found = estimates(rounds)
        document["bounds"] = {name: most for name, (_, most) in found.items() if most is not None}
        terms = {name: each for name, (each, _) in found.items()}
        document["estimates"] = _told(terms, rounds.reward, rounds.cluster, recipe.seed)
        if len(shown.requests) < len(rounds):
            logged = shown.candidates[PROPENSITY_GIVEN].astype(np.float64)
            told = bool(np.all((logged > 0) & (logged <= 1)))
            document["slate_propensities"] = GIVEN if told else ALONE
            logged = logged if told else rounds.logged
            document["slate_estimates"] = _slates(shown.candidates, rounds, logged, given, recipe.seed)
    plain: dict[str, Any] = jsonable(document)
    return plain


def estimates(rounds: Rounds) -> dict[str, tuple[Terms, float | None]]:
    """Every estimator of rounds with a model, and the bound of its weights where it has one."""
    most = bound.least_error(rounds, clipped)
    switched = bound.least_error(rounds, switch)
    return {
        "direct": (direct(rounds), None),
        "ips": (inverse_propensity(rounds), None),
        "self_normalised": (self_normalised(rounds), None),
        "clipped": (clipped(rounds, CLIP), CLIP),
        "clipped_bias_aware": (clipped(rounds, most), most),
        "doubly_robust": (doubly_robust(rounds), None),
        "switch": (switch(rounds, switched), switched),
    }


def _usable(shown: Samples, data: Dataset, label: str) -> tuple[Samples, dict[str, int]]:
    """The slates of which every row has a label and a propensity, and how many rows the others have, by reason."""
    rows, n = shown.candidates, len(shown.requests)
    silent, blind = np.isnan(shown.labels[label]), np.isnan(rows[PROPENSITY])
    chance, at = rows[PROPENSITY], rows[SHOWN_AT]
    whole = (at >= 1) & (at <= PLACES) & (at == np.round(at))
    for name, column, wrong, expected in (
        ("propensity", chance, ~blind & ~((chance > 0) & (chance <= 1)), "a chance above 0 and at most 1"),
        ("position", at, ~np.isnan(at) & ~whole, f"a place from 1 to {PLACES:,}"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            item, when = data.item_ids.ids[rows.item[row]], data.when(int(shown.requests.time[rows.request[row]]) + 1)
            raise InputError(
                f"data.exposures: {name} of item {item}, shown at {when}: expected {expected}, found {column[row]:g}"
            )
    lost = np.bincount(rows.request[silent | blind], minlength=n) > 0
    left_out = {
        "rows_without_label": int(silent.sum()),
        "rows_without_propensity": int(blind.sum()),
        "rows_of_their_slates": int(lost[rows.request].sum()),
    }
    return shown.take(np.flatnonzero(~lost)), left_out


def _rounds(
    pipeline: Pipeline, shown: Samples, data: Dataset, label: str, seed: int, draws: int
) -> tuple[Rounds, Float64, int]:
    """A round for each row, the chance of each given the rows above it, and how often the funnel was asked."""
    rows = shown.candidates
    user = shown.requests.user[rows.request].astype(np.int64)
    cluster = np.where(user >= 0, user, data.n_users + rows.request.astype(np.int64))
    fold, place = folds(cluster, seed), places(rows)
    reward = shown.labels[label].astype(np.float64)
    model = Expected.fit(rows.item, place, reward, fold, data.n_items, int(place.max()))

    def expected(row: Array, item: Array) -> Float64:
        return model.of(item, place[row], fold[row])

    found = played(pipeline, shown, data.state(), expected, draws)
    logged = rows[PROPENSITY].astype(np.float64)
    expected_here = model.of(rows.item, place, fold)
    return Rounds(reward, logged, found.target, cluster, expected_here, found.value), found.given, found.draws


def _told(named: Mapping[str, Terms], reward: Float64, cluster: Array, seed: int) -> dict[str, Any]:
    """Each estimate with its intervals, and what it is above what was logged."""
    drawn = bootstrap(list(named.values()), cluster, seed)
    return {
        name: {
            **asdict(delta(terms, cluster)),
            "bootstrap": {"low": ends.low, "high": ends.high},
            "lift": asdict(lift(terms, reward, cluster)),
        }
        for (name, terms), ends in zip(named.items(), drawn, strict=True)
    }


def _slates(rows: Candidates, rounds: Rounds, logged: Float64, given: Float64, seed: int) -> dict[str, Any]:
    """The estimators of slates; those whose weights are products only where places are known and enough is left.

    ``logged`` and ``given`` [rows] are the chances of both policies given the rows above.
    """
    slate, first = rows.request, np.flatnonzero(rows.positions() == 0)
    reward, cluster = np.add.reduceat(rounds.reward, first), rounds.cluster[first]
    found: dict[str, Any] = {"logged": asdict(delta(Terms(reward, np.ones(len(reward))), cluster))}
    terms = {"independent": slates.independent(slate, rounds.reward, rounds.logged, rounds.target)}
    if (places(rows) == 0).any():
        return found | _told(terms, reward, cluster, seed)
    product = slates.so_far(slate, given) / slates.so_far(slate, logged)
    last = np.append(first[1:], len(rows)) - 1
    refused = {}
    for name, estimator, weight in (
        ("reward_interaction", slates.reward_interaction, product),
        ("whole", slates.whole, product[last]),
    ):
        effective = effective_size(weight)
        if effective < EFFECTIVE:
            refused[name] = {"refused": f"effective sample size {effective:,.0f}, expected at least {EFFECTIVE}"}
        else:
            terms[name] = estimator(slate, rounds.reward, logged, given)
    return found | _told(terms, reward, cluster, seed) | refused
