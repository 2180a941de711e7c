"""Tuning a funnel: what is measured is what the recipe would do, on the windows that may be looked at."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import pytest

from shortlist import train, tuning
from shortlist.component import InputError, Merge
from shortlist.data import Events, State
from shortlist.data.protocol import replay
from shortlist.recipe import parse
from shortlist.testing.worlds import DAY, MINUTE, START, VIEW, random_log
from shortlist.train import rankers
from shortlist.tuning import Asked, measures
from shortlist.tuning._plan import space
from shortlist.tuning.measures import Metric

pytest.importorskip("optuna")
pytest.importorskip("tomlkit")

HOUR = 60 * MINUTE
TEXT = """
name = "leaks"  # a name
depth = 12
[data]
source = "tables"
events = { path = "log.csv" }
split = { tune = 0.5, rank = 0.7, test = 0.85 }
[recall.cf]
type = "item_cf"
[recall.cf.search]
neighbours = { low = 1, high = 40 }
half_life = ["1h", "10h", "40d"]
[recall.hot]
type = "popular"
[recall.hot.search]
half_life = ["1h", "10h", "100h"]
[merge]
type = "weighted"
[merge.search]
scale = ["minmax", "z", "percentile"]
at = [3, 10]
[[features]]
type = "channel"
[rank]
type = "logistic"
[rank.search]
l2 = { low = 0.01, high = 100.0, log = true }
[samples]
negatives = 10
[[rules]]
type = "seen"
"""
EVERYTHING = Asked(channels=("cf", "hot"), rankers=("logistic",), merge=True, trials=4)


@pytest.fixture(scope="module")
def recipe():
    return parse(tomllib.loads(TEXT))


@pytest.fixture(scope="module")
def data():
    log = random_log(4, users=25, items=40, events=1500, behaviours=VIEW, span=1000, unit=HOUR, unknown=0.0)
    events = replace(log.events, time=log.events.time + START)
    return replace(log, events=events, available_from=np.full(40, START - DAY))


@pytest.fixture
def tune(monkeypatch, recipe, data):
    """``tune(asked, data=...)``: the recipe tuned on a log."""

    def run(asked, data=data, recipe=recipe):
        monkeypatch.setattr(train, "load", lambda recipe, root: (data, None))
        return tuning.tune(recipe, TEXT, asked)

    return run


def with_another_future(data, cut):
    """The same log before ``cut``, and from then on other events at the same moments."""
    before, after = data.events.between(None, cut), data.events.between(cut, None)
    item = (np.arange(len(after)) % 5).astype(np.int32)
    return replace(data, events=Events.concat([before, replace(after, item=item, user=after.user[::-1].copy())]))


def test_what_has_no_effect_under_a_setting_is_not_tried(recipe):
    def tried(**more):
        section = {"type": "item2vec", "loss": "hierarchical", **more}
        return set(space(recipe.model_copy(update={"recall": {"i2v": section}}), ("recall", "i2v")))

    idle = {"negatives", "popularity", "answer"}
    assert tried(loss="negative") - tried() == idle
    assert tried(search={"negatives": [5, 10]}) == {"negatives"}


def told(tuned):
    """The figures without the clock."""
    sections = [
        {**s, "trials": [{k: v for k, v in trial.items() if k != "seconds"} for trial in s["trials"]]}
        for s in tuned.document["sections"]
    ]
    return {**tuned.document, "sections": sections}


def test_events_from_the_cut_on_change_nothing_and_events_before_it_do(tune, data, recipe):
    cuts = train.Cuts.of(data, recipe)
    everything = replace(EVERYTHING, trials=2)
    some = replace(everything, rankers=())
    assert told(tune(some)) == told(tune(some, with_another_future(data, cuts.rank)))
    whole = told(tune(everything))
    assert whole == told(tune(everything, with_another_future(data, cuts.test)))
    within = (cuts.tune + cuts.rank) // 2
    assert told(tune(some)) != told(tune(some, with_another_future(data, within)))
    assert whole != told(tune(everything, with_another_future(data, (cuts.rank + cuts.test) // 2)))


def test_a_channel_is_measured_as_it_would_be_used_from_the_tune_cut_on(tune, data, recipe):
    (section,) = tune(Asked(channels=("cf",), trials=3)).document["sections"]
    cuts = train.Cuts.of(data, recipe)
    past, state = data.until(cuts.rank), data.until(cuts.rank).state()
    questions = replay(past, state, cuts.tune, cuts.rank)
    seen = recipe.component("rules", "rules.0", recipe.rules[0]).fit(past)
    questions = questions.answerable(seen.forbids(questions.requests, state))
    requests = questions.requests.excluding(seen.forbids(questions.requests, state))
    for trial in section["trials"]:
        channel = recipe.component("recall", "recall.cf", {"type": "item_cf", **trial["params"]})
        rows = channel.fit(data.until(cuts.tune)).retrieve(requests, state, 12)
        found = [
            np.isin(questions.targets.row(r)["item"], rows.item[rows.request == r]).mean() for r in range(len(requests))
        ]
        assert trial["value"] == pytest.approx(np.mean(found), abs=1e-6)
    assert section["metric"] == "recall@12"  # a ranker follows, so what counts is what it is handed
    assert section["after"] == max(trial["value"] for trial in section["trials"]) >= section["before"]
    gain = section["gain"]
    assert gain["diff"] == pytest.approx(section["after"] - section["before"], abs=2e-6)
    assert gain["low"] <= gain["diff"] <= gain["high"]


def test_rules_learn_from_the_same_past(recipe, data):
    (window,) = measures.windows(train.Schedule.of(recipe, data), 0)
    assert window.known.events.time.max() < train.Cuts.of(data, recipe).tune
    assert window.state.last < train.Cuts.of(data, recipe).rank


def test_the_merge_is_judged_on_later_questions_than_it_learned_from(tune, data, recipe, monkeypatch):
    early, late = measures.windows(train.Schedule.of(recipe, data), 0, 2)
    assert early.questions.requests.time.max() < late.questions.requests.time.min()
    opens = late.questions.requests.time.min() + 1
    later = data.events.between(int(opens), None)
    pairs = {(int(u), int(i)) for u, i in zip(later.user, later.item, strict=True)}
    first = data.events.between(train.Cuts.of(data, recipe).tune, int(opens))
    before = {(int(u), int(i)) for u, i in zip(first.user, first.item, strict=True)}
    wanted = early.questions.targets
    users = early.questions.requests.user[wanted.rows]
    assert all((int(u), int(i)) in before for u, i in zip(users, wanted["item"], strict=True))  # none reaches across
    assert pairs - before
    learned = []
    cls = type(recipe.component("merge", "merge", recipe.merge))
    fit = cls.fit
    monkeypatch.setattr(
        cls, "fit", lambda self, found, targets: learned.append(len(targets)) or fit(self, found, targets)
    )
    (section,) = tune(Asked(merge=True, trials=3)).document["sections"]
    assert set(learned) == {len(early.questions)}
    assert section["asked"].startswith(f"{len(late.questions):,} requests")
    assert issubclass(cls, Merge)


def test_the_halves_are_different_people_where_all_ask_at_once(recipe, data):
    start = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"requests": "start"})})
    early, late = measures.windows(train.Schedule.of(start, data), 0, 2)
    assert not set(early.questions.requests.user) & set(late.questions.requests.user)


@pytest.mark.parametrize("requests", ["replay", "start"])
@pytest.mark.parametrize("parts", [1, 2])
def test_histories_are_looked_up_for_no_more_questions_than_it_takes(recipe, data, monkeypatch, requests, parts):
    monkeypatch.setattr(measures, "QUESTIONS", 2)
    looked_up, history = [], State.history

    def spied(state, users, *args, **kwargs):
        looked_up.append(len(users))
        return history(state, users, *args, **kwargs)

    monkeypatch.setattr(State, "history", spied)
    asking = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"requests": requests})})
    found = measures.windows(train.Schedule.of(asking, data), 0, parts)
    assert [len(window.questions) for window in found] == [2] * parts
    assert max(looked_up) <= 8 * parts
    assert len(looked_up) <= (3 if parts == 1 else 7)  # drawn, answerable, forbidden; in parts also of the whole


def test_a_ranker_is_measured_as_fit_chooses_between_rankers(tune, data, recipe):
    (section,) = tune(Asked(rankers=("logistic",), trials=3)).document["sections"]
    cuts, state, pipeline = train.Cuts.of(data, recipe), data.state(), recipe.pipeline()
    pipeline.fit_recall(data.until(cuts.tune))
    train.fit_merge(pipeline, recipe, data, state, cuts.tune, cuts.rank)
    _, choice = rankers.fit_rankers(pipeline, recipe, data, state, cuts.rank, cuts.test)
    assert section["section"] == "rank"
    assert section["before"] == pytest.approx(choice.means["logistic"], abs=1e-6)


def test_sections_are_tuned_in_turn_and_written_back(tune, recipe):
    tuned = tune(EVERYTHING)
    sections = {section["section"]: section for section in tuned.document["sections"]}
    assert list(sections) == ["recall.cf", "recall.hot", "merge", "rank"]
    assert tuned.document["left"] == []
    expected = tomllib.loads(TEXT)
    for at, section in sections.items():
        table = expected
        for key in at.split("."):
            table = table[key]
        assert all(table.get(key) != value for key, value in section["changes"].items())
        table.update(section["changes"])
    assert any(section["changes"] for section in sections.values())
    assert tomllib.loads(tuned.text) == expected
    parse(expected)
    assert "# a name" in tuned.text


def test_with_a_short_time_at_least_its_own_setting_is_measured(tune):
    sections = tune(Asked(channels=("cf", "hot"), seconds=1e-9)).document["sections"]
    assert [(s["section"], len(s["trials"])) for s in sections] == [("recall.cf", 1), ("recall.hot", 1)]
    assert all(s["changes"] == {} for s in sections)


@pytest.mark.parametrize("name", ["logistic", "rank"])
def test_a_ranker_without_a_name_is_found_by_its_type_or_its_section(tune, name):
    (section,) = tune(Asked(rankers=(name,), trials=1)).document["sections"]
    assert (section["section"], section["type"]) == ("rank", "logistic")
    (section,) = tune(Asked(rankers=("logistic", "rank"), trials=1)).document["sections"]  # once
    assert section["section"] == "rank"


def test_the_metric_may_be_chosen(tune):
    (section,) = tune(Asked(channels=("hot",), trials=1, metric="ndcg@3")).document["sections"]
    assert section["metric"] == "ndcg@3"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(channels=("cg",)), r"--channel cg: not in the recipe; there are cf, hot"),
        (
            Asked(rankers=("gbdt",)),
            r"--ranker gbdt: not in the recipe; there are logistic \(or rank, as its section is called\)",
        ),
        (Asked(metric="auk@3"), r"--metric auk@3: expected NAME@K such as ndcg@10, NAME one of ndcg, recall"),
        (Asked(metric="ndcg"), r"--metric ndcg: expected NAME@K"),
        (Asked(channels=("cf",), metric="recall@50"), r"--metric recall@50: channels are asked for 12 rows \(depth\)"),
    ],
)
def test_what_cannot_be_tuned_is_said(tune, asked, said):
    with pytest.raises(InputError, match=said):
        tune(asked)


def test_a_metric_that_does_not_exist_is_told_before_the_log_is_read(recipe, monkeypatch):
    monkeypatch.setattr(train, "load", lambda recipe, root: pytest.fail("the log was read"))
    with pytest.raises(InputError, match="--metric ndgc@10"):
        tuning.tune(recipe, TEXT, Asked(metric="ndgc@10"))


def test_without_the_window_there_is_nothing_to_tune_on(tune, data, recipe):
    def split(**cuts):
        return (
            recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": None})})
            if not cuts
            else (
                recipe.model_copy(
                    update={"data": recipe.data.model_copy(update={"split": recipe.data.split.model_copy(update=cuts)})}
                )
            )
        )

    with pytest.raises(InputError, match=r"data\.split\.tune: missing"):
        tune(Asked(channels=("cf",)), recipe=split(tune=None))
    with pytest.raises(InputError, match=r"data\.split\.rank: missing; rankers"):
        tune(Asked(rankers=("logistic",)), recipe=split(rank=None))
    (section,) = tune(Asked(channels=("cf",), trials=1), recipe=split(rank=None)).document["sections"]
    assert section["metric"] == "ndcg@10"  # nobody ranks, so the order counts


def test_control_c_keeps_what_was_tuned(tune, monkeypatch):
    metric, calls = Metric.__call__, []

    def interrupted(self, rows, questions):
        calls.append(1)
        if len(calls) > 12:
            raise KeyboardInterrupt
        return metric(self, rows, questions)

    monkeypatch.setattr(Metric, "__call__", interrupted)
    tuned = tune(replace(EVERYTHING, trials=5))
    assert tuned.document["sections"][-1]["stopped"]
    assert tuned.document["left"]
