"""With which chance a funnel shows what was shown, and the command that reports on it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from shortlist.component import Retriever, Rule
from shortlist.data.exposures import SHOWN_AT
from shortlist.merge.quota import Quota
from shortlist.offpolicy.policy import played
from shortlist.pipeline import Pipeline
from shortlist.testing import worlds
from shortlist.types import Candidates, Requests, Samples

ITEMS = 5


class Falling(Retriever):
    """Items 0, 1, 2, ..., the same for everybody."""

    def retrieve(self, requests, state, k):
        k, n = min(k, ITEMS), len(requests)
        score = np.tile(1 / (1 + np.arange(k)), n).astype(np.float32)
        return Candidates(
            np.repeat(np.arange(n, dtype=np.uint32), k), np.tile(np.arange(k, dtype=np.int32), n), {"score": score}
        )


class Swap(Rule):
    """With a chance of 1/4, by the request's id, the first two change places; says so in ``propensity``."""

    def apply(self, requests, candidates, state):
        swapped = np.array([np.random.default_rng(int(i)).random() < 0.25 for i in requests.id])
        place = candidates.positions()
        order = np.where(swapped[candidates.request] & (place < 2), 1 - place, place)
        chance = np.where(place < 2, np.where(swapped[candidates.request], 0.25, 0.75), 1.0)
        candidates = candidates.with_columns(propensity=chance)
        return candidates.take(np.lexsort((order, candidates.request)))


def funnel(**rules):
    return Pipeline({"only": Falling()}, Quota(k=ITEMS), rules=rules)


def shown_as(*slates, places=None):
    """Slates of items, shown at places 1, 2, ... or as given."""
    rows = [(r, item, place) for r, slate in enumerate(slates) for place, item in enumerate(slate, 1)]
    request, item, place = (np.array(column) for column in zip(*rows, strict=True))
    place = place.astype(np.float32) if places is None else np.array(places, np.float32)
    requests = Requests.of(np.zeros(len(slates)), np.full(len(slates), worlds.START + 100))
    candidates = Candidates(request.astype(np.uint32), item.astype(np.int32), {SHOWN_AT: place})
    return Samples(requests, candidates, {}, np.ones(len(rows), np.float32))


@pytest.fixture(scope="module")
def state():
    return worlds.dataset(np.zeros(ITEMS), np.arange(ITEMS), worlds.START + np.arange(ITEMS)).state()


def item_itself(rows, items):
    """A model that expects of an item its own number, and nothing of none."""
    return np.maximum(items, 0).astype(float)


def test_a_funnel_without_chance_shows_an_item_or_not(state):
    found = played(funnel(), shown_as([0, 1, 4], [1, 0], [0, 4, 2]), state, item_itself)
    assert found.target.tolist() == [1, 1, 0, 0, 0, 1, 0, 1]
    assert found.given.tolist() == [1, 1, 0, 0, 0, 1, 0, 0]  # given that it showed what stands above
    assert found.value.tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert found.draws == 1


def test_without_places_what_counts_is_being_on_as_long_a_slate(state):
    found = played(funnel(), shown_as([4, 1], [2, 0, 1], places=[np.nan] * 5), state, item_itself)
    assert found.target.tolist() == [0, 1, 1, 1, 1]
    assert found.value.tolist() == [0.5, 0.5, 1, 1, 1]


def test_places_beyond_what_was_logged_count(state):
    found = played(funnel(), shown_as([3], places=[4]), state, item_itself)
    assert (found.target.tolist(), found.value.tolist()) == ([1], [3])
    assert played(funnel(), shown_as([3], places=[9]), state, item_itself).value.tolist() == [0]  # a slate of five


def test_a_funnel_that_explores_is_asked_again(state):
    """Chances are 3/4 and 1/4 at the first two places and 1 behind; four standard errors of 300 · 32 draws."""
    found = played(funnel(swap=Swap()), shown_as(*[[0, 1, 2], [1, 0, 2], [0, 2, 1]] * 100), state, item_itself)
    assert found.draws == 32
    target, given = (column.reshape(100, 9).mean(0) for column in (found.target, found.given))
    wanted = [0.75, 0.75, 1, 0.25, 0.25, 1, 0.75, 0, 0]
    assert target == pytest.approx(wanted, abs=4 * np.sqrt(0.25 * 0.75 / 3200))
    assert given == pytest.approx([0.75, 1, 1, 0.25, 1, 1, 0.75, 0, 0], abs=4 * np.sqrt(0.25 * 0.75 / 3200))
    assert found.value.reshape(100, 9).mean(0)[:3] == pytest.approx([0.25, 0.75, 2], abs=0.04)
    again = played(funnel(swap=Swap()), shown_as(*[[0, 1, 2], [1, 0, 2], [0, 2, 1]] * 100), state, item_itself)
    assert np.array_equal(found.target, again.target)


RECIPE = """
name = "shelf"
seed = 1
[data]
source = "tables"
split = { test = "2020-03-01" }
[data.events]
path = "events.csv"
[data.exposures]
path = "shown.csv"
[recall.hot]
type = "popular"
[merge]
type = "quota"
[evaluate]
k = [3]
"""
CLICKS = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
SEEN = np.array([1.0, 0.8, 0.5])


def write(
    folder, *, slates=3000, propensity=None, header="user,item,time,request,position,propensity,propensity_given,label"
):
    """Items fall in popularity from a to e; slates of three were drawn evenly from the five, without putting back."""
    rng = np.random.default_rng(4)
    names = "abcde"
    events = [
        f"u{u:03d},{names[i]},2020-0{month}-{1 + day:02d}"
        for month in (1, 2, 3)
        for i in range(ITEMS)
        for day, u in enumerate(rng.choice(100, 24 - 5 * i, replace=False))
    ]
    (folder / "events.csv").write_text("\n".join(["user,item,time", *events]) + "\n")
    lists = np.array(list(permutations(range(ITEMS), 3)))[rng.integers(0, 60, slates)]
    clicked = rng.random((slates, 3)) < CLICKS[lists] * SEEN
    user = rng.integers(0, 400, slates)
    rows = [
        f"u{user[s]:03d},{names[lists[s, k]]},2020-03-{2 + s % 25:02d}T{s // 125:02d}:00:00,r{s},{k + 1},"
        f"{propensity or 0.2},{1 / (5 - k)},{int(clicked[s, k])}"
        for s in range(slates)
        for k in range(3)
    ]
    (folder / "shown.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "shelf.toml").write_text(RECIPE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_finds_the_truth(folder, shortlist_command):
    code, said, _ = shortlist_command("off-policy", "shelf.toml", "--json", "told.json")
    assert code == 0
    told = json.loads((folder / "told.json").read_text())
    truth = float((CLICKS[:3] * SEEN).sum())  # its slates are a, b, c
    assert (told["rounds"], told["slates"], told["refused"]) == (9000, 3000, None)
    assert told["overlap"]["mean"]["mean"] == pytest.approx(1, abs=0.1)
    assert told["overlap"]["shown"] == pytest.approx(1800, abs=150)
    for name in ("ips", "self_normalised", "clipped", "doubly_robust"):
        assert told["estimates"][name]["low"] < truth / 3 < told["estimates"][name]["high"], name
        lifted = told["estimates"][name]["lift"]
        assert lifted["low"] < truth / 3 - told["logged"]["mean"] < lifted["high"], name
    assert told["slate_propensities"] == "given the rows above"
    for name in ("independent", "reward_interaction"):
        assert told["slate_estimates"][name]["low"] < truth < told["slate_estimates"][name]["high"], name
    assert "effective sample size" in told["slate_estimates"]["whole"]["refused"]  # one list in sixty
    for word in ("doubly robust", "reward interaction", "effective sample size 1,"):
        assert word in said
    again, _, _ = shortlist_command("off-policy", "runs/shelf/bundle", "--json", "again.json")
    assert again == 0
    assert json.loads((folder / "again.json").read_text()) == told
    assert shortlist_command("off-policy", "runs/shelf")[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"slates": 100}, "overlap too poor: what was shown is worth"),
        ({"propensity": 0.5}, "propensities do not fit: the mean weight is 0.4"),
        (
            {"propensity": 1.5},
            "row 2, column propensity (propensity): expected a number of at least 0 and at most 1, found '1.5'",
        ),
        ({"propensity": "0.0"}, "expected a chance above 0 and at most 1, found 0"),
        (
            {"header": "user,item,time,request,position,chance,given,label"},
            "expected what was shown with the column propensity",
        ),
    ],
)
def test_one_clear_line(folder, shortlist_command, change, said):
    write(folder, **change)
    code, _, err = shortlist_command("off-policy", "shelf.toml", "--json", "told.json")
    assert code == 2
    assert said in " ".join(err.split()), err


def test_a_refusal_is_written_too(folder, shortlist_command):
    write(folder, slates=100)
    assert shortlist_command("off-policy", "shelf.toml", "--json", "told.json")[0] == 2
    told = json.loads((folder / "told.json").read_text())
    assert told["refused"].startswith("overlap too poor")
    assert "estimates" not in told


def test_labels_and_recipes_that_cannot_be(folder, shortlist_command):
    assert "expected one of positive" in shortlist_command("off-policy", "shelf.toml", "--label", "bought")[2]
    code, _, err = shortlist_command("off-policy", "nowhere.toml")
    assert (code, "nowhere.toml" in err) == (2, True)
    (folder / "shelf.toml").write_text(RECIPE.replace('[data.exposures]\npath = "shown.csv"\n', ""))
    assert "found no exposures" in " ".join(shortlist_command("off-policy", "shelf.toml")[2].split())


@pytest.mark.parametrize("place", ["0", "1.5", "5000"])
def test_places_that_cannot_be_are_named(folder, shortlist_command, place):
    text = (folder / "shown.csv").read_text().replace(",r7,2,", f",r7,{place},")
    (folder / "shown.csv").write_text(text)
    code, _, err = shortlist_command("off-policy", "shelf.toml")
    assert (code, "data.exposures: position of item" in err) == (2, True)
    assert f"expected a place from 1 to 1,000, found {place}" in " ".join(err.split())


def test_nobody_without_places_or_requests(folder, shortlist_command):
    """Each row is a slate of its own, of one item: is it the funnel's first?"""
    lines = [line.split(",") for line in (folder / "shown.csv").read_text().splitlines()]
    kept = [["user", "item", "time", "propensity", "label"]]
    moment = datetime(2020, 3, 2)
    kept += [["", line[1], str(moment + timedelta(minutes=n)), "0.2", line[7]] for n, line in enumerate(lines[1:])]
    (folder / "shown.csv").write_text("\n".join(",".join(line) for line in kept) + "\n")
    code, _, err = shortlist_command("off-policy", "shelf.toml", "--json", "told.json")
    assert code == 0, err
    told = json.loads((folder / "told.json").read_text())
    assert (told["users"], told["slates"], told["rounds"]) == (0, 9000, 9000)
    truth = float(CLICKS[0] * SEEN.mean())  # item a is as often at each place
    assert told["estimates"]["ips"]["low"] < truth < told["estimates"]["ips"]["high"]
    assert "slate_estimates" not in told


def test_an_own_label_is_the_reward(folder, shortlist_command):
    """Nobody buys anything after what was shown, so nothing can be told; what follows is looked for, not the label."""
    labels = "[samples.labels]\nbought = { view = true }\n"
    (folder / "shelf.toml").write_text(RECIPE + labels)
    code, _, err = shortlist_command("off-policy", "shelf.toml", "--label", "bought", "--json", "told.json")
    assert (code, "0 rewarded of the" in err) == (2, True), err
    assert json.loads((folder / "told.json").read_text())["label"] == "bought"


def test_a_plain_table_has_no_policy(folder, shortlist_command):
    recipe = Path(__file__).parents[2] / "recipes" / "adult.toml"
    code, _, err = shortlist_command("off-policy", recipe)
    assert (code, "adult.toml: has no channels; expected a recipe with [recall]" in " ".join(err.split())) == (2, True)


def test_rows_without_label_or_propensity_take_their_slates_with_them(folder, shortlist_command):
    lines = (folder / "shown.csv").read_text().splitlines()
    lines[1] = lines[1].rsplit(",", 1)[0] + ","
    cells = lines[6].split(",")
    cells[5] = ""
    lines[6] = ",".join(cells)
    (folder / "shown.csv").write_text("\n".join(lines) + "\n")
    assert shortlist_command("off-policy", "shelf.toml", "--json", "told.json")[0] == 0
    told = json.loads((folder / "told.json").read_text())
    assert told["left_out"] == {"rows_without_label": 1, "rows_without_propensity": 1, "rows_of_their_slates": 6}
    assert told["rounds"] == 8994
