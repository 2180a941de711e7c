"""The funnel that a draft proposes: by what its channels find before the ranker's window, and nothing later."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shortlist import train
from shortlist.component import InputError
from shortlist.draft import draft, trials
from shortlist.draft.funnel import PLAIN, TREES, funnel, rankers, written
from shortlist.draft.nature import Nature
from shortlist.progress import listening
from shortlist.questions import questions_of
from shortlist.recipe import parse
from shortlist.registry import entry

sys.path.insert(0, str(Path(__file__).parent))
from layouts import shop

HEAD = {"name": "shop", "seed": 7, "recall": {"hot": {"type": "popular"}}}
SPLIT = {"tune": 0.7, "rank": 0.8, "test": 0.9}


def log(folder, rows):
    lines = [f"u{row.user},i{row.item},{row.seconds},c{row.category}" for row in rows]
    (folder / "log.csv").write_text("\n".join(["user,item,time,category", *lines, ""]))
    return folder / "log.csv"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A shop in which people buy the same things again and again."""
    path = log(tmp_path_factory.mktemp("shop"), shop(3000))
    return parse({**HEAD, "data": {"split": SPLIT, "events": {"path": str(path)}}})


@pytest.fixture(scope="module")
def data(recipe):
    return train.load(recipe)[0]


@pytest.fixture(scope="module")
def found(recipe, data):
    return funnel(recipe, data)


def test_what_is_proposed_is_a_recipe(recipe, found):
    whole = parse({**HEAD, "data": recipe.data.model_dump(exclude_unset=True), **found.sections})
    assert 1 <= len(whole.recall) <= trials.MOST
    tables = tomllib.loads(written(found))
    assert {key: tables[key] for key in found.sections} == found.sections


def test_where_people_take_things_again_they_may_be_shown_again(found):
    assert "seen" not in [rule["type"] for rule in found.sections["rules"]]
    assert "repeat" in [feature["type"] for feature in found.sections["features"]]
    assert found.reasons["rules"][0].startswith("no `seen`: ")


def test_what_the_log_tells_of_its_items_becomes_features(tmp_path):
    path = log(tmp_path, shop(3000))
    items = {"from": "log", "columns": {"category": "category"}}
    own = parse({**HEAD, "data": {"split": SPLIT, "events": {"path": str(path)}, "items": items}})
    types = [feature["type"] for feature in funnel(own, train.load(own)[0]).sections["features"]]
    assert {"affinity", "profile", "context"} <= set(types)


def test_a_log_without_times_has_no_hour_of_the_day(tmp_path):
    path = log(tmp_path, shop(3000))
    events = {"path": str(path), "columns": {"user": "user", "item": "item"}, "time": "row"}
    own = parse({**HEAD, "data": {"split": SPLIT, "events": events}})
    assert "context" not in [f["type"] for f in funnel(own, train.load(own)[0]).sections["features"]]


def test_where_they_do_not_what_was_seen_is_left_out(tmp_path):
    once = {(row.user, row.item): row for row in reversed(shop(6000))}
    path = log(tmp_path, sorted(once.values(), key=lambda row: row.at))
    own = parse({**HEAD, "data": {"split": SPLIT, "events": {"path": str(path)}}})
    sections = funnel(own, train.load(own)[0]).sections
    assert [rule["type"] for rule in sections["rules"]] == ["available", "seen", "fill"]
    assert "repeat" not in sections["recall"]


def test_nothing_from_the_rank_cut_on_is_looked_at(recipe, data, found):
    """Who took what from then on may be anything: the same draft comes out."""
    events, cut = data.events, data.cut(0.8)
    later = np.flatnonzero(events.time >= cut)
    item = events.item.copy()
    item[later] = item[later][np.random.default_rng(0).permutation(len(later))]
    user = events.user.copy()
    user[later] = user[later][np.random.default_rng(1).permutation(len(later))]
    other = replace(data, events=replace(events, item=item, user=user))
    assert funnel(recipe, other).sections == found.sections


def test_the_nature_of_a_log_is_counted(recipe, data):
    schedule = train.Schedule.of(recipe, data)
    opens, closes = schedule.cuts.tune, schedule.cuts.merge_closes
    past = schedule.until(closes)
    asked = questions_of(past.data, past.state, recipe.evaluate, opens, closes)
    known = past.data.until(opens)
    nature = Nature.of(data, known, asked)
    events = data.events
    assert (nature.events, nature.users, nature.items) == (
        len(events),
        len(np.unique(events.user)),
        len(np.unique(events.item)),
    )
    again = new = total = 0
    for r in range(len(asked)):
        mine = asked.targets["item"][asked.targets.rows == r]
        before = set(asked.requests.history["item"][asked.requests.history.rows == r])
        again += sum(item in before for item in mine)
        new += sum(item not in known.events.item for item in mine)
        total += len(mine)
    assert nature.repeats == pytest.approx(again / total)
    assert nature.new == pytest.approx(new / total)
    assert nature.strangers == pytest.approx(np.mean(asked.requests.history.lengths == 0))


def test_a_setting_no_better_for_certain_than_the_default_is_not_taken(recipe, data, monkeypatch):
    monkeypatch.setattr(trials, "gain", lambda one, other, users: (0.01, 0.02))
    made = funnel(recipe, data).sections["recall"]
    assert all(set(section) <= {"type", "half_life"} for section in made.values())
    assert all(section == {"type": section["type"]} for section in made.values() if section["type"] != "popular")


def test_a_log_that_cannot_be_asked_gets_what_suits_most(tmp_path):
    lines = [f"u{n % 4},i{n % 3},{1700000000 + n}" for n in range(40)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *lines, ""]))
    said = []
    with listening(lambda name, fields: said.append(fields.get("message"))):
        text = draft(tmp_path / "log.csv")
    assert "no channel was tried: 4 requests in [tune, rank), too few to tell channels apart" in said
    tables = tomllib.loads(text)
    assert {key: tables[key] for key in PLAIN.sections} == PLAIN.sections
    assert draft(tmp_path / "log.csv", trials=False) == text
    assert parse(tables).recall.keys() == {"item_cf", "popular"}


def test_a_funnel_that_is_asked_once_is_drafted_for_that(tmp_path):
    path = log(tmp_path, shop(3000))
    once = tomllib.loads(draft(path, requests="start"))
    assert once["evaluate"]["requests"] == "start"
    assert once["samples"]["requests"] == "replay"  # one moment has too few requests to learn from
    often = tomllib.loads(draft(path))
    assert often["evaluate"]["requests"] == "replay"
    assert "requests" not in often["samples"]
    with pytest.raises(InputError, match="--requests last: expected replay or start"):
        draft(path, requests="last")


def rated(folder):
    """A recipe for a shop whose customers say from 1 to 5 what they think of a thing."""
    lines = [f"u{row.user},i{row.item},{row.rating},{row.seconds}" for row in shop(3000)]
    (folder / "log.csv").write_text("\n".join(["user,item,value,time", *lines, ""]))
    events = {"path": str(folder / "log.csv")}
    return parse({**HEAD, "data": {"split": SPLIT, "events": events, "positive": {"rating": 4}}})


def test_ratings_are_learned_as_two_labels_by_a_net_beside_trees(tmp_path):
    pytest.importorskip("torch")
    own = rated(tmp_path)
    labels, rank = rankers(own)
    assert rank.keys() == {"gbdt", "mmoe"}
    assert labels == {"labels": {"rated": {"rating": True}}}
    sections = {**PLAIN.sections, "samples": {**PLAIN.sections["samples"], **labels}, "rank": rank}
    tables = tomllib.loads(written(replace(PLAIN, sections=sections)))
    assert tables == sections
    whole = parse({**HEAD, "data": own.data.model_dump(exclude_unset=True), **tables})
    assert list(whole.rankers) == ["gbdt", "mmoe"]


def test_where_nothing_is_rated_trees_rank_alone(recipe, tmp_path):
    assert rankers(recipe) == ({}, TREES)
    bought = rated(tmp_path).data.model_copy(update={"positive": {"rating": 4.0, "buy": True}})
    assert rankers(recipe.model_copy(update={"data": bought})) == ({}, TREES)


def test_where_no_net_can_be_fitted_trees_rank_alone(tmp_path, monkeypatch):
    absent = lambda kind, name: replace(entry(kind, name), available=False)  # noqa: E731
    monkeypatch.setattr(sys.modules["shortlist.draft.funnel"], "entry", absent)
    assert rankers(rated(tmp_path)) == ({}, TREES)
