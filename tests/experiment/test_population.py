"""Simulated people: what they do is what the truth says; a funnel and a service are asked alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.recipe import parse
from shortlist.testing import worlds
from shortlist.testing.closed_loop import closed_loop, recipe, write_log
from shortlist.testing.play import Funnel, Service, Slate, play, truth
from shortlist.testing.population import BUY, VIEW, Population
from shortlist.testing.worlds import DAY, START


class Fixed:
    """Shows everybody the same, and keeps what is posted."""

    def __init__(self, items: list[str]):
        self.items, self.posted = items, list[Any]()

    def ask(self, user: str, n: int, time: int) -> Slate:
        return Slate(f"{user} {time}", {"x": "a"}, self.items[:n])

    def post(self, events: Any) -> None:
        self.posted += events


def test_a_seed_is_a_world() -> None:
    a, b, c = (Population(users=40, items=50, seed=seed).log(5) for seed in (1, 1, 2))
    assert a.equals(b)
    assert not a.equals(c)
    assert a["time"].is_sorted()
    assert set(a["event"]) <= {VIEW, BUY}


def test_clicks_fall_where_the_truth_says() -> None:
    population = Population(users=200, items=60, seed=3, fatigue=0.0, drift=0.0, found=0.0)
    rows = play(population, Fixed(population.item_ids), days=40)
    for _, part in rows.group_by("position"):
        n, p = len(part), part["chance"]
        error = np.sqrt((p * (1 - p)).sum()) / n
        assert abs(part["clicked"].mean() - p.mean()) < 4 * error  # type: ignore[operator]
    (line,) = truth(rows).to_dicts()
    assert line["arms"] == "x=a"
    assert line["ctr"] == pytest.approx(rows["chance"].mean())
    clicked = rows.filter("clicked")["position"]
    assert line["position"] == pytest.approx(clicked.mean(), abs=4 * clicked.std() / np.sqrt(len(clicked)))  # type: ignore[operator]


def test_people_tire_places_fade_and_tastes_wander() -> None:
    population = Population(users=5, items=20, seed=4, fatigue=0.5, satisfied=0.0)
    first = population.chances(0, [7])
    population.look(0, [7, 7, 7])
    tired = population.chances(0, [7])
    np.testing.assert_allclose(np.log(tired / (1 - tired)), np.log(first / (1 - first)) - 1.5)
    twice = population.chances(1, [3, 3])
    np.testing.assert_allclose(twice[1] / twice[0], 2**-0.7)
    before = population.affinity(2, range(20))
    for _ in range(30):
        population.day()
    assert np.abs(population.affinity(2, range(20)) - before).max() > 0.02
    assert (np.abs(population.affinity(2, range(20))) <= 1).all()


def test_who_is_satisfied_leaves() -> None:
    population = Population(users=2, items=9, seed=9, satisfied=1.0, reserve=-2.0, bias=0.0, fatigue=0.0)
    tempted, chance = population.tempted(0, range(9)), population.chances(0, range(9))
    np.testing.assert_allclose(chance.sum(), 1 - np.prod(1 - tempted))
    counts = [len({event["place"] for event in population.look(0, range(9))[1]}) for _ in range(300)]
    assert max(counts) == 1
    assert abs(np.mean(counts) - chance.sum()) < 0.1


def test_dear_things_are_bought_less_and_purchases_are_worth_their_price() -> None:
    population = Population(users=50, items=100, seed=5, thrift=2.0)
    price = population.catalogue()["price"].to_numpy()
    chance = np.mean([population.purchase(u, range(100)) for u in range(50)], axis=0)
    assert np.corrcoef(np.log(price), chance)[0, 1] < -0.7
    log = population.log(20).filter(pl.col("event") == BUY)
    by_id = dict(zip(population.item_ids, price, strict=True))
    assert len(log) > 20
    assert [by_id[item] for item in log["item"]] == log["value"].to_list()


def test_nothing_is_shown_or_found_before_it_is_born() -> None:
    population = Population(users=100, items=80, days=20, new=0.5, seed=6)
    born = dict(population.catalogue().select("item", "born").iter_rows())
    log = population.log(20)
    assert all(born[item] <= time for item, time in log.select("item", "time").iter_rows())
    late = [item for item, time in born.items() if time > START + 10 * DAY]
    assert len(set(log["item"]) & set(late)) > 5


def test_an_item_nobody_knows_is_never_clicked() -> None:
    population = Population(users=3, items=5, seed=7)
    rows = play(population, Fixed(["strange", *population.item_ids]), days=30)
    strange = rows.filter(pl.col("item") == "strange")
    assert strange["chance"].sum() == 0
    assert not strange["clicked"].any()


def test_a_funnel_is_asked_and_told(tmp_path: Path) -> None:
    population = Population(users=30, items=40, seed=8)
    log = write_log(population, tmp_path, 10)
    assert len(pl.read_csv(tmp_path / "events.csv")) == len(log)
    parse(recipe("taste", tmp_path))
    codes = {raw: n for n, raw in enumerate(population.item_ids)}, {raw: n for n, raw in enumerate(population.user_ids)}
    data = worlds.dataset(
        np.array([codes[1][u] for u in log["user"]]), np.array([codes[0][i] for i in log["item"]]),
        log["time"].to_numpy(), n_users=30, n_items=40,
    )  # fmt: skip
    made = parse({**recipe("taste", tmp_path), "rules": [{"type": "seen"}]}).pipeline()
    made.fit(data)
    funnel = Funnel(made, data)
    rows = play(population, funnel, days=3)
    assert len(rows) > 100
    posted = len(funnel.state.history(np.arange(30, dtype=np.int32), np.full(30, population.now))["item"]) - len(log)
    assert posted >= rows["clicked"].sum()


def test_no_service_is_said() -> None:
    with pytest.raises(InputError, match="no service answers"):
        Service("http://127.0.0.1:9").ask("u", 5, 0)
    with pytest.raises(InputError, match="expected the address"):
        Service("http://")


@pytest.mark.slow
def test_the_better_bundle_wins_the_closed_loop(tmp_path: Path) -> None:
    found = closed_loop(Population(users=400, items=150, days=40, seed=1), tmp_path, days=10, before=30)
    assert all(found["agrees"].values()), found
    assert found["analysis"]["ended"]
    assert not found["analysis"]["sample_ratio"]["mismatch"]
    exposures = pl.read_parquet(tmp_path / "played.parquet")
    assert exposures["arms"].n_unique() == 2
