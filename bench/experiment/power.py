"""Whether what was planned for is found: a 5 % lift, a skewed split, dependent layers, the better of two rankings."""

from __future__ import annotations

from typing import Any

import numpy as np
from false_alarms import DAYS, compared, draw
from scipy import stats

from shortlist.experiment import plan
from shortlist.experiment.assign import keys, uniform
from shortlist.experiment.checks import MISMATCH, sample_ratio
from shortlist.experiment.effect import coefficient, effect, estimate
from shortlist.experiment.interleave import credited, preference
from shortlist.experiment.moments import moments
from shortlist.testing.population import Population

LIFT, TESTS, PILOT = 0.05, 1000, 50_000
THROWS, AMONG = 24, 16
"""Drafts of each user that are drawn from, and throws that a credit is the mean of."""
WORLDS = ((0.7, 0.5), (0.7, 0.0), (1.5, 0.5), (1.5, 0.0))
"""How much people differ in how easily they click, and how often a click ends a visit; the first is as usual."""


def lift(tests: int = TESTS) -> list[dict[str, Any]]:
    """How often a true lift of 5 % is found with the planned sample, plain and with CUPED."""
    world = draw(np.random.default_rng(1), PILOT, DAYS)
    rows = world["rows"].sum(1)
    past = (world["before clicks"].sum(1), world["before rows"].sum(1))
    whole = moments(world["clicks"].sum(1), rows, *past, group=np.where(rows > 0, 0, -1))[0]
    lines = []
    for cuped in (False, True):
        theta = coefficient(whole) if cuped else 0.0
        pilot = estimate(whole, whole, theta)
        n = plan.users_needed(LIFT * pilot.value, pilot.variance * pilot.n, grown=(1 + LIFT) ** 2)
        visitors = int(np.ceil(n / (rows > 0).mean()))  # who never comes is in no arm
        hits, lifts = 0, []
        for test in range(tests):
            rng = np.random.default_rng([12, test, int(cuped)])
            arm = rng.integers(0, 2, visitors).astype(np.int16)
            told = compared(draw(rng, visitors, DAYS, LIFT * arm), "ctr", arm, DAYS, cuped)
            hits += told.p < 0.05 and told.difference > 0
            lifts.append(told.lift)
        low, high = stats.binomtest(int(hits), tests).proportion_ci()
        found = {"found": hits / tests, "low": float(low), "high": float(high), "mean lift": float(np.mean(lifts))}
        lines.append({"cuped": cuped, "users": n, "tests": tests, **found})
    return lines


def split(tests: int = 4000) -> dict[str, Any]:
    """How often 50.5 / 49.5 is noticed with the stated users, and how often 50 / 50 is taken for a mismatch."""
    n, rng = plan.ratio_users(0.5, 0.505), np.random.default_rng(2)

    def caught(share: float) -> float:
        first = rng.binomial(n, share, tests)
        even = {"a": 0.5, "b": 0.5}
        return float(np.mean([sample_ratio({"a": int(a), "b": int(n - a)}, even) < MISMATCH for a in first]))

    return {"users": n, "tests": tests, "50.5 / 49.5": caught(0.505), "50 / 50": caught(0.5)}


def layers(pairs: int = 5000, users: int = 50_000) -> dict[str, Any]:
    """χ² of the arms of two layers, for many pairs of layers: p values should be even."""
    ids = keys([f"user {u}" for u in range(users)])
    p = []
    for pair in range(pairs):
        a, b = ((uniform(ids, "bench", "layer", f"{side} {pair}") * 3).astype(int) for side in "ab")
        p.append(stats.chi2_contingency(np.bincount(a * 3 + b, minlength=9).reshape(3, 3)).pvalue)
    even = float(stats.kstest(p, "uniform").pvalue)
    return {"pairs": pairs, "users": users, "below .05": float(np.mean(np.array(p) < 0.05)), "p of evenness": even}


class Rankings:
    """Two rankings of a population's items by appeal with noise, the second's a little smaller; ten are shown.

    Each user pays a number of visits by their own rate, and is the same person in both tests.
    """

    def __init__(self, temper: float, satisfied: float, users: int = 4000, n: int = 10, days: int = 28):
        self.population = Population(users=users, items=120, seed=5, fatigue=0.0, temper=temper, satisfied=satisfied)
        rng = np.random.default_rng(6)
        world = self.population
        appeal = np.stack([world.pull * world.affinity(u, range(120)) for u in range(users)])
        self.slates = [
            np.argsort(-(appeal + noise * rng.normal(size=appeal.shape)), axis=1)[:, :n] for noise in (1.0, 0.85)
        ]
        self.tempted = np.stack([[world.tempted(u, slate[u]) for u in range(users)] for slate in self.slates])
        self.n, self.users, self.days = n, users, days
        self.drafts = self._drafts(rng)

    def _drafts(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """[users, throws, n] of each user's drafts: the temptation of each place and the credit of a click there."""
        tempted = np.zeros((self.users, THROWS, self.n))
        credit = np.zeros_like(tempted)
        for u in range(self.users):
            a, b = (slate[u].tolist() for slate in self.slates)
            coins = rng.integers(0, 2, (THROWS, self.n))
            for throw in range(THROWS):  # each in turn is the one that is shown, all of them are what it is weighed by
                picks, credit[u, throw] = credited(a, b, self.n, np.roll(coins, -throw, axis=0)[:AMONG])
                shown = [(a, b)[team][place] for team, place in picks]
                tempted[u, throw] = self.population.tempted(u, shown)
        return tempted, credit

    def people(self, rng: np.random.Generator, users: int) -> tuple[Any, Any]:
        """Somebody for each of ``users``, and their visits: at least one, or they would be in no test."""
        who = rng.integers(0, self.users, users)
        return who, np.maximum(rng.poisson(self.days * self.population.rates[who]), 1)

    def figures(self, rng: np.random.Generator, users: int) -> tuple[Any, Any, Any]:
        """Arm, clicks and rows of the users of an A/B test."""
        who, visits = self.people(rng, users)
        arm = rng.integers(0, 2, users).astype(np.int16)
        row = np.repeat(np.arange(users), visits)
        hit = self.clicked(rng, self.tempted[arm[row], who[row]])
        return arm, np.bincount(row, hit.sum(1), minlength=users), visits * self.n

    def clicked(self, rng: np.random.Generator, tempted: Any) -> Any:
        """[visits, n] what is clicked, until people leave."""
        hit = rng.random(tempted.shape) < tempted
        left = hit & (rng.random(tempted.shape) < self.population.satisfied)
        return hit & (np.cumsum(left, axis=1) - left == 0)

    def ab(self, rng: np.random.Generator, users: int) -> float:
        """p of an A/B test, 1 where the worse one looks better."""
        arm, clicks, rows = self.figures(rng, users)
        told = effect(*moments(clicks, rows, group=arm, groups=2))
        return told.p if told.difference > 0 else 1.0

    def interleaved(self, rng: np.random.Generator, users: int) -> float:
        """p of an interleaved comparison, 1 where the worse one is preferred."""
        who, visits = self.people(rng, users)
        row = np.repeat(np.arange(users), visits)
        throw = rng.integers(0, THROWS, len(row))
        hit = self.clicked(rng, self.drafts[0][who[row], throw])
        credit = np.bincount(row, (hit * self.drafts[1][who[row], throw]).sum(1), minlength=users)
        clicks = np.bincount(row, hit.sum(1), minlength=users)
        told = preference(credit, clicks)
        return told["p"] if told["preference"] > 0 else 1.0


def interleaving(tests: int = 200) -> list[dict[str, Any]]:
    """For each of ``WORLDS`` the users with whom the A/B test and the draft find the better ranking."""
    return [_interleaving(temper, satisfied, tests) for temper, satisfied in WORLDS]


def _interleaving(temper: float, satisfied: float, tests: int) -> dict[str, Any]:
    world, rng = Rankings(temper, satisfied), np.random.default_rng(7)
    arm, clicks, rows = world.figures(rng, 400_000)
    a, b = moments(clicks, rows, group=arm, groups=2)
    pilot, other = estimate(a), estimate(b)
    ab = plan.users_needed(other.value - pilot.value, pilot.variance * pilot.n)
    found = float(np.mean([world.ab(rng, ab) < 0.05 for _ in range(tests)]))
    curve = []
    for part in (50, 20, 10, 5, 3, 2):
        share = float(np.mean([world.interleaved(rng, ab // part) < 0.05 for _ in range(tests)]))
        curve.append({"users": ab // part, "part": 1 / part, "found": share})
        if share >= 0.8:
            break
    return {
        "temper": temper,
        "satisfied": satisfied,
        "lift": other.value / pilot.value - 1,
        "visits": float(rows.mean() / world.n),
        "clicks": float(clicks.mean()),
        "tests": tests,
        "ab": {"users": ab, "found": found},
        "interleaved": curve,
    }
