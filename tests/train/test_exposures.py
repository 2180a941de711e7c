"""Samples from what was shown: slates, labels, features of the moment, and a funnel trained on them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shortlist import train, tuning
from shortlist.component import InputError, Ranker
from shortlist.data.build import dataset
from shortlist.data.exposures import SHOWN_AT
from shortlist.data.raw import Raw
from shortlist.data.spec import DataSpec
from shortlist.pipeline import Trace
from shortlist.recipe import POSITIVE, parse, read
from shortlist.train import distil, rankers
from shortlist.train.exposures import clicked, drawn, exposed, scored
from shortlist.types import keys

MINUTE = 60_000_000


def small(**columns):
    """Two users' slates: a is shown x, y, z (z twice) at minute 10, b is shown x at minute 20 and 30."""
    events = pl.DataFrame(
        {
            "user": ["a", "a", "b", "b"],
            "item": ["x", "y", "z", "x"],
            "event": ["view"] * 4,
            "time": [minute * MINUTE for minute in (1, 12, 15, 45)],
            "value": pl.Series([None] * 4, dtype=pl.Float32),
        }
    )
    shown = pl.DataFrame(
        {
            "user": ["a", "a", "a", "a", "b", "b", None],
            "item": ["z", "x", "y", "z", "x", "x", "new"],
            "time": [minute * MINUTE for minute in (10, 10, 10, 10, 20, 30, 30)],
            **columns,
        }
    )
    return dataset(Raw(events, exposures=shown), DataSpec(source="movielens-100k"))


def rows(samples, data):
    items = data.item_ids.decode(samples.candidates.item)
    return list(zip(samples.candidates.request.tolist(), items, samples.labels[POSITIVE].tolist(), strict=True))


def test_slates_and_labels_from_later_events():
    data = small(position=pl.Series([3, 1, 2, 4, 1, 1, 1], dtype=pl.Float32))
    samples = exposed(data, data.state(), 0, 100 * MINUTE, 20 * MINUTE)
    assert samples.requests.time.tolist() == [10 * MINUTE - 1, 20 * MINUTE - 1, 30 * MINUTE - 1, 30 * MINUTE - 1]
    assert sorted(samples.requests.user.tolist()[2:]) == [-1, 1]
    assert samples.requests.history.lengths[:2].tolist() == [1, 1]
    b = samples.requests.user.tolist().index(1, 2)
    nobody = 5 - b
    assert rows(samples, data)[:4] == [(0, "x", 0.0), (0, "y", 1.0), (0, "z", 0.0), (1, "x", 0.0)]
    later = {row[:2]: row[2] for row in rows(samples, data)[4:]}
    assert later[(b, "x")] == 1.0  # within twenty minutes of the second time it was shown, not of the first
    assert np.isnan(later[(nobody, "new")])  # whose click could it be
    assert samples.candidates[SHOWN_AT].tolist()[:3] == [1, 2, 3]


def test_two_users_of_one_request_id_have_two_slates():
    """As logs have it whose ids begin anew every day, or name a page and not a visit."""
    data = small(request=["1"] * 7)
    samples = exposed(data, data.state(), 0, 100 * MINUTE, 20 * MINUTE)
    assert sorted(samples.requests.user.tolist()) == [-1, 0, 1]
    user = samples.requests.user[samples.candidates.request]
    items = data.item_ids.decode(samples.candidates.item)
    assert sorted(zip(user.tolist(), items, strict=True)) == [(-1, "new"), (0, "x"), (0, "y"), (0, "z"), (1, "x")]


def test_what_happens_after_the_window_is_not_looked_at():
    data = small()
    early = exposed(data, data.state(), 0, 25 * MINUTE, 20 * MINUTE)
    assert len(early.requests) == 2
    labels = dict(zip([row[:2] for row in rows(early, data)], early.labels[POSITIVE].tolist(), strict=True))
    assert np.isnan(labels[(0, "y")])  # clicked, but its twenty minutes are not over at minute 25
    assert np.isnan(labels[(1, "x")])
    assert np.isnan(early.candidates[SHOWN_AT]).all()


def test_the_exposures_own_label_and_request_win():
    data = small(
        label=pl.Series([1, 0, None, 0, 0, 1, 1], dtype=pl.Float32), request=["r1", "r1", "r1", "r2", "r3", "r3", None]
    )
    samples = exposed(data, data.state(), 0, 31 * MINUTE, 20 * MINUTE)
    assert len(samples.requests) == 4
    found = rows(samples, data)
    assert {row[1:] for row in found if row[0] == 0} == {("x", 0.0), ("z", 1.0)} | {r[1:] for r in found if r[1] == "y"}
    both = [row for row in found if row[1] == "x" and row[0] > 0]
    assert [row[2] for row in both] == [1.0]  # twice on one slate: one row, clicked
    questions = clicked(samples)
    assert questions.targets.lengths.sum() == 3


def test_a_slate_across_the_cut_is_of_the_earlier_part_alone():
    data = small(request=["r1", "r1", "r1", "r2", "r3", "r3", None])  # r3: minutes 20 and 30
    early = exposed(data, data.state(), 0, 25 * MINUTE, 20 * MINUTE)
    later = exposed(data, data.state(), 25 * MINUTE, 100 * MINUTE, 20 * MINUTE)
    assert early.requests.time.max() == 20 * MINUTE - 1
    assert [row[1] for row in rows(later, data)] == ["new"]


def test_negatives_are_drawn_alike_and_the_rate_is_kept():
    data = small()
    samples = exposed(data, data.state(), 0, 100 * MINUTE, 20 * MINUTE)
    many = samples.take(np.tile(np.arange(len(samples.requests)), 400))
    few = drawn(many, 1, seed=3)
    labels = few.labels[POSITIVE]
    assert labels.sum() == np.nansum(many.labels[POSITIVE]) == 800
    assert 700 < (labels == 0).sum() < 900
    assert not np.isnan(labels).any()
    assert few.rate == pytest.approx(800 / 1200)
    assert drawn(many, 0) is many
    assert drawn(many, 5) is many


def test_later_exposures_are_no_part_of_an_earlier_log():
    data = small()
    assert data.until(20 * MINUTE).exposures.height == 4
    assert data.between(20 * MINUTE, None).exposures.height == 3
    assert data.item_ids.ids == ["new", "x", "y", "z"]  # shown and never touched: an item all the same


RECIPE = """
name = "shown"
depth = 12
[data]
source = "tables"
split = { tune = 0.3, rank = 0.4, test = 0.9 }
[data.events]
path = "log.csv"
[data.exposures]
path = "shown.csv"
[recall.cf]
type = "item_cf"
[recall.hot]
type = "popular"
[merge]
type = "reciprocal_rank"
k = 8
[[features]]
type = "channel"
[[features]]
type = "position"
serve_as = 1
[samples]
source = "exposures"
negatives = 0
[rank.line]
type = "logistic"
buckets = 0
[evaluate]
k = [3]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Slates of five of 20 items in a random order; a click needs a look (1/position) and an item of one's own kind."""
    path, rng = tmp_path_factory.mktemp("shown"), np.random.default_rng(4)
    shown, events = [], []
    for number in range(1200):
        user, time = int(rng.integers(40)), 1_600_000_000 + 600 * number
        for place, item in enumerate(rng.choice(20, 5, replace=False), 1):
            hit = rng.random() < (0.9 if item % 2 == user % 2 else 0.05) / place
            shown.append((f"u{user}", f"i{item}", time, place, int(hit), f"r{number}"))
            if hit:
                events.append((f"u{user}", f"i{item}", time + 5))
    frame = pl.DataFrame(shown, ["user", "item", "time", "position", "label", "request"], orient="row")
    frame.write_csv(path / "shown.csv")
    pl.DataFrame(events, ["user", "item", "time"], orient="row").write_csv(path / "log.csv")
    (path / "r.toml").write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def made(folder):
    recipe = read(folder / "r.toml")
    data, _ = train.load(recipe, folder)
    cuts, pipeline, state = train.Cuts.of(data, recipe), recipe.pipeline(), data.state()
    return rankers.samples_for_rankers(pipeline, recipe, data, state, cuts.rank, cuts.test), pipeline, state, data, cuts


def test_shown_rows_have_the_channels_scores_and_the_place_they_were_shown(made):
    samples, pipeline, state, *_ = made
    rows = samples.train.candidates
    assert samples.train.requests.time.max() < samples.valid.requests.time.min()
    assert len(samples.train.requests) == pytest.approx(4 * len(samples.valid.requests), rel=0.05)
    assert np.exp(rows["position.shown"]) == pytest.approx(np.tile([1, 2, 3, 4, 5], len(samples.train.requests)))
    assert SHOWN_AT not in rows
    silent = np.isnan(rows["channel.cf.rank"])
    assert 0.05 < silent.mean() < 0.95  # the merge keeps 8 of 20: some that were shown no channel found
    assert not np.isnan(rows["channel.hot.dense.percentile"]).any()
    labels = samples.train.labels[POSITIVE]
    assert labels[silent].sum() > 0
    for number in range(50):  # rows no channel found follow by item code, which tells nothing of where they were shown
        mine = samples.train.take(np.array([number])).candidates
        last = mine["channel.found"] == 0
        assert (np.argsort(mine.item[last]) == np.argsort(mine["channel.merge.rank"][last])).all()
    first = samples.valid.requests.take([0])
    plain = featured(pipeline, first, state)
    mine = samples.valid.take(np.array([0])).candidates
    for row, item in enumerate(mine.item):
        at = np.flatnonzero(plain.item == item)
        if len(at):  # what compares a request's rows saw all the funnel's candidates, as when serving
            assert mine["channel.cf.rank"][row] == pytest.approx(plain["channel.cf.rank"][at[0]], nan_ok=True)


def featured(pipeline, requests, state):
    """All the funnel's candidates with their features, as when serving."""
    trace = Trace()
    asked, rows = pipeline.found(requests, state, trace)
    return pipeline.featured(asked, pipeline.scored(asked, rows, state, trace), state, trace)


def test_the_place_takes_its_part_of_a_click_and_scoring_is_as_if_first(made, folder):
    samples, pipeline, state, *_ = made
    ranker = read(folder / "r.toml").ranker("line").fit(samples.train)
    valid = samples.valid
    at = {place: valid.candidates.with_columns(**{"position.shown": np.full(len(valid), np.log(place), np.float32)})
          for place in (1, 5)}  # fmt: skip
    p = {place: ranker.score(valid.requests, rows)["score"].mean() for place, rows in at.items()}
    assert p[1] > 2.5 * p[5]
    served = featured(pipeline, valid.requests, state)
    assert (served["position.shown"] == 0).all()


def test_what_was_shown_is_learned_from_wherever_the_pre_ranker_puts_it(folder):
    """The pre-ranker keeps one row of thirteen, and five were shown."""
    recipe = parse(
        {
            **tomllib.loads(RECIPE),
            "features": [{"type": "channel"}, {"type": "position", "serve_as": 1}, {"type": "recency"}],
            "prerank": {"type": "logistic", "reads": ["channel"]},
            "keep": 1,
        }
    )
    data, _ = train.load(recipe, folder)
    cuts, pipeline, state = train.Cuts.of(data, recipe), recipe.pipeline(), data.state()
    narrow = rankers.samples_for_rankers(pipeline, recipe, data, state, cuts.rank, cuts.test).valid.candidates
    pipeline.prerank = None
    shown = exposed(data, state, int(cuts.rank), int(cuts.test), recipe.samples.window)
    shown = shown.take(np.arange(len(shown.requests) - len(np.unique(narrow.request)), len(shown.requests)))
    whole = scored(pipeline, shown, state).candidates
    np.testing.assert_array_equal(narrow.keys, whole.keys)
    assert set(narrow.columns) == set(whole.columns)
    for name in whole.columns:
        np.testing.assert_array_equal(narrow[name], whole[name], err_msg=name)


def test_a_ranker_that_learns_from_slates_teaches_from_whole_lists(folder, monkeypatch):
    """Five were shown; the pre-ranker has to order the eight that the merge hands on."""
    recipe = parse({**tomllib.loads(RECIPE), "prerank": {"type": "logistic", "teacher": "rank"}, "keep": 4})
    data, _ = train.load(recipe, folder)
    cuts, pipeline, state, lists = train.Cuts.of(data, recipe), recipe.pipeline(), data.state(), []
    taught = distil.taught
    monkeypatch.setattr(distil, "taught", lambda *given: lists.append(given[0]) or taught(*given))
    rankers.fit_rankers(pipeline, recipe, data, state, cuts.rank, cuts.test)
    assert np.bincount(lists[0].candidates.request).tolist() == [8] * len(lists[0].requests)
    assert all(name.startswith("channel.") for name in pipeline.prerank.columns_)


class First(Ranker):
    """Thinks that what stood first is best."""

    def score(self, requests, candidates, state=None):
        return {"score": -candidates["position.shown"]}


def test_rankers_are_compared_as_they_serve(made):
    """Clicks follow the place. A ranker is not the better for having been told it, since it will not be told again."""
    samples, _, state, *_ = made
    valid, served = samples.valid.candidates, samples.served.candidates
    assert valid["position.shown"].max() > 1
    assert not served["position.shown"].any()
    for name in valid.columns:
        if name != "position.shown":
            np.testing.assert_array_equal(valid[name], served[name])
    told = samples.ndcg(valid.with_columns(**First().score(samples.valid.requests, valid)))
    assert np.nanmean(samples.ndcg(samples.scored(First(), state))) < np.nanmean(told) - 0.1


def test_a_funnel_is_trained_on_exposures_from_its_recipe_alone(folder, tmp_path):
    for more in ([], ["samples.negatives=1", "samples.balance=true", 'samples.half_life="2d"']):
        train.fit(read(folder / "r.toml", more), root=folder, out=tmp_path / "run")
        document = json.loads((tmp_path / "run/evaluation.json").read_text())
        assert document["ranker"] == "line"
        assert document["validation"]["line"] > 0.6
        assert document["slate"]["ndcg@3"]["mean"] > 0.2


def test_a_recipe_that_learns_from_exposures_is_tuned_whole(folder, tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("tomlkit")
    text = RECIPE + '[prerank]\ntype = "logistic"\n'
    tuned = tuning.tune(read(folder / "r.toml"), text, tuning.Asked(trials=2), root=folder)
    parts = {part["part"]: part for part in tuned.document["parts"]}
    assert set(parts) - {"check"} == {"channels", "merge", "features", "samples", "rank.line"}
    tried = [made for made in tuned.document["tried"] if made["section"] == "samples"]
    assert all(set(made["params"]) == {"negatives", "half_life", "balance"} for made in tried)
    assert not [made for made in tuned.document["tried"] if made["kept"] and "position" in made["what"]]
    (tmp_path / "tuned.toml").write_text(tuned.text)
    train.fit(read(tmp_path / "tuned.toml"), root=folder, out=tmp_path / "run")


def test_labels_of_the_earlier_part_end_where_the_later_begins(folder, made):
    """Labels from events, not from the exposures' own column: no click of the last fifth may be seen before it."""
    _, _, state, data, cuts = made
    opens = int(cuts.rank)
    frame = data.exposures.drop("label")
    blind = replace(data, exposures=frame)
    middle = int(frame["time"].quantile(0.7))
    before = exposed(blind, state, opens, middle, 15 * MINUTE)
    cut = replace(blind, events=data.events.between(None, middle))
    again = exposed(cut, state, opens, middle, 15 * MINUTE)
    np.testing.assert_array_equal(before.labels[POSITIVE], again.labels[POSITIVE])
    assert np.isnan(before.labels[POSITIVE]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('[data.exposures]\npath = "shown.csv"\n', ""), r'samples.source: "exposures" needs \[data.exposures\]'),
        (("negatives = 0", "window = 0"), r"samples\.window: "),
        (('source = "exposures"', 'source = "shown"'), r"samples\.source: "),
        (("negatives = 0", "positive_weight = 0"), r"samples\.positive_weight: "),
    ],
)
def test_what_cannot_be_is_said(folder, tmp_path, change, message):
    (tmp_path / "r.toml").write_text(RECIPE.replace(*change))
    with pytest.raises(InputError, match=message):
        train.fit(read(tmp_path / "r.toml"), root=folder, out=tmp_path / "out")


def test_a_label_without_the_value_to_judge_by_is_not_observed():
    """y was met without a value twelve minutes in; x has none at all, and for z nothing followed."""
    data = small()
    labels = {"liked": {"view": 4.0}, "met": {"view": True}}
    samples = exposed(data, data.state(), 0, 100 * MINUTE, 20 * MINUTE, labels)
    names = data.item_ids.decode(samples.candidates.item)
    first = samples.candidates.request == 0
    found = {
        label: dict(zip(np.array(names)[first].tolist(), samples.labels[label][first].tolist(), strict=True))
        for label in labels
    }
    assert found["met"] == {"x": 0.0, "y": 1.0, "z": 0.0}
    assert np.isnan(found["liked"].pop("y"))
    assert found["liked"] == {"x": 0.0, "z": 0.0}


def test_two_users_whose_slates_share_an_id_have_two_slates():
    data = small(request=["r", "r", "r", "r", "r", "r", None])
    samples = exposed(data, data.state(), 0, 31 * MINUTE, 20 * MINUTE)
    users = samples.requests.user
    assert sorted(users.tolist()) == [-1, 0, 1]
    per_slate = np.bincount(samples.candidates.request, minlength=3)
    assert {int(users[r]): int(per_slate[r]) for r in range(3)} == {-1: 1, 0: 3, 1: 1}


def test_slates_that_cannot_be_ordered_wrongly_are_no_part_of_a_figure(made):
    """A slate of nothing but clicks has an NDCG of 1 whatever the ranker says."""
    made = made[0]
    rows, targets = made.valid.candidates, made.questions.targets
    right = np.isin(rows.keys, keys(targets.rows, targets["item"]))
    only = made.valid.take(np.arange(len(made.questions)))
    hits = replace(only, candidates=rows.take(right), labels={}, weight=np.ones(int(right.sum()), np.float32))
    alone = replace(made, valid=hits)
    assert not alone.orderable[np.unique(rows.request[right])].any()
    assert np.isnan(alone.ndcg(hits.candidates.with_columns(score=np.zeros(int(right.sum()), np.float32)))).all()
    mixed = made.ndcg(rows.with_columns(score=right.astype(np.float32)))
    assert np.nanmean(mixed) == pytest.approx(1)
