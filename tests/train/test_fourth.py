"""The fourth fifth of the rankers' window, judged by rankers of three."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist import train
from shortlist.data import Events
from shortlist.data.protocol import replay
from shortlist.progress import listening
from shortlist.recipe import POSITIVE, parse, read
from shortlist.testing.worlds import DAY, MINUTE, START, VIEW, random_log
from shortlist.train import fourth as module
from shortlist.train import rankers as ranking
from shortlist.train.fourth import Fourth, lent
from shortlist.train.samples import from_funnel, labelled
from shortlist.types import Candidates

HOUR = 60 * MINUTE
TABLES = {
    "name": "fourth",
    "data": {
        "source": "tables",
        "events": {"path": "log.csv"},
        "split": {"tune": 0.4, "rank": 0.5, "test": 0.9},
    },
    "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}},
    "merge": {"type": "weighted", "k": 30},
    "features": [{"type": "channel"}, {"type": "counts", "windows": ["7d"]}],
    "rank": {"line": {"type": "logistic"}, "trees": {"type": "gbdt", "trees": 20, "min_leaf": 5}},
    "samples": {"negatives": 10, "labels": {"seen": {"view": True}}},
}


def recipe_of(**changed):
    return parse({**TABLES, **changed})


def log(seed=4, users=25):
    made = random_log(seed, users=users, items=40, events=1200, behaviours=VIEW, span=1000, unit=HOUR, unknown=0.0)
    events = replace(made.events, time=made.events.time + START)
    return replace(made, events=events, available_from=np.full(40, START - DAY))


@pytest.fixture(scope="module")
def data():
    return log()


def learned(recipe, data):
    """The rankers, the choice, which is served, notes, and every set of samples with its questions."""
    schedule, pipeline, said = train.Schedule.of(recipe, data), recipe.pipeline(), []
    with listening(lambda kind, fields: said.append((kind, fields.get("message", "")))):
        schedule.merge(pipeline)
        rankers, choice, chosen = schedule.rankers(pipeline)
    return rankers, choice, chosen, [message for kind, message in said if kind == "note"]


def windows_of(recipe, data):
    """(what the fourth is judged on, what the last fifth is, the pipeline)."""
    schedule, pipeline, heard = train.Schedule.of(recipe, data), recipe.pipeline(), []
    schedule.merge(pipeline)
    part = schedule.part("rank")
    last = ranking.samples_for_rankers(
        pipeline, recipe, part.data, part.state, part.opens, part.closes, judge=heard.append
    )
    return heard[0], last, pipeline


def assert_same(one, other):
    """Two sets of samples that are the same to the bit."""
    np.testing.assert_array_equal(one.candidates.keys, other.candidates.keys)
    for name in ("candidates", "labels"):
        mine, theirs = (getattr(part, name) for part in (one, other))
        mine, theirs = (getattr(part, "columns", part) for part in (mine, theirs))
        assert mine.keys() == theirs.keys()
        for column in mine:
            np.testing.assert_array_equal(mine[column], theirs[column], err_msg=column)
    np.testing.assert_array_equal(one.weight, other.weight)
    assert one.rate == other.rate


def test_both_windows_judge_what_the_recipe_ranks(data):
    _, choice, _, notes = learned(recipe_of(), data)
    assert notes == []
    assert [window.window for window in choice.windows] == ["the last fifth", "the fourth fifth"]
    for window in choice.windows:
        assert set(window.values) == {"merge", "line", "trees"}
        assert window.counts[0] >= 30


@pytest.mark.parametrize(
    "samples", [{"negatives": 10}, {"negatives": 5, "top_negatives": 2, "unseen": 3}, {"negatives": 0}]
)
def test_rows_learned_from_are_those_of_one_window(data, samples):
    coarse = {"prerank": {"type": "logistic"}, "keep": 15} if samples["negatives"] == 5 else {}
    recipe = recipe_of(samples=samples, **coarse)
    _, two, _ = windows_of(recipe, data)
    one = train.Schedule.of(recipe, data)
    pipeline = recipe.pipeline()
    one.merge(pipeline)
    alone = one.samples(pipeline)
    assert_same(two.unweighted, alone.unweighted)
    assert_same(two.train, alone.train)
    assert_same(two.valid, alone.valid)


def test_rankers_are_those_of_one_window(data):
    """Its rankers only judge: what is served, refitted, is what one window would have fitted."""
    both, choice, *_ = learned(recipe_of(), data)
    one, alone, *_ = learned(recipe_of(serve="line"), data)
    assert (len(choice.windows), len(alone.windows)) == (2, 1)
    assert choice.means == alone.means
    for name, ranker in both.items():
        for key, value in ranker.state().items():
            np.testing.assert_array_equal(value, one[name].state()[key], err_msg=key)


def test_rows_judged_are_all_rows_of_the_fourth_fifth(data):
    """Kept on the way, before any was left out, they are what the fourth's questions find when asked alone."""
    recipe = recipe_of()
    fourth, last, pipeline = windows_of(recipe, data)
    alone = from_funnel(pipeline, fourth.questions, data.state(), labels=recipe.samples.labels)
    assert_same(fourth.valid, alone)
    n, m = len(fourth.train.requests), len(fourth.questions)
    assert n + m == len(last.train.requests)
    assert n / (n + m) == pytest.approx(0.75, abs=0.02)
    np.testing.assert_array_equal(
        np.concatenate([fourth.train.requests.time, fourth.questions.requests.time]), last.train.requests.time
    )
    assert fourth.train.requests.time.max() < fourth.questions.requests.time.min()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 30))
def test_questions_clamped_are_those_of_a_window_that_closed_there(seed, users):
    made = log(seed, users)
    state, opens, closes = made.state(), made.cut(0.5), made.cut(0.9)
    found = Fourth.of(replay(made, state, opens, closes, moments=None))
    moment = int(found.judged.requests.time.min()) + 1
    alone = replay(made, state, opens, moment, moments=None)
    kept = np.flatnonzero(found.learned.targets.lengths > 0)
    clamped = found.learned.take(kept)
    np.testing.assert_array_equal(clamped.requests.user, alone.requests.user)
    np.testing.assert_array_equal(clamped.requests.time, alone.requests.time)
    for one, other in ((clamped.targets, alone.targets), (clamped.after, alone.after)):
        np.testing.assert_array_equal(one.offsets, other.offsets)
        for name in ("item", "time"):
            np.testing.assert_array_equal(one[name], other[name])


def test_unthinned_rows_of_three_fifths_are_what_a_window_that_closed_there_makes(data):
    recipe = recipe_of(samples={"negatives": 0, "labels": {"seen": {"view": True}}})
    fourth, last, pipeline = windows_of(recipe, data)
    whole = Fourth.of(
        replay(data, data.state(), data.cut(0.5), int(last.questions.requests.time.min()) + 1, moments=40)
    )
    np.testing.assert_array_equal(whole.learned.requests.time, fourth.train.requests.time)
    assert_same(fourth.train, from_funnel(pipeline, whole.learned, data.state(), labels=recipe.samples.labels))


def test_a_target_planted_behind_the_clamp_is_right_for_four_fifths_and_not_for_three(data):
    """Everybody chooses item 0 an hour into the fourth fifth: near enough for a target of the third's last requests."""
    begins = int(windows_of(recipe_of(), data)[0].questions.requests.time.min()) + 1
    n = data.n_users
    planted = Events(
        np.arange(n, dtype=np.int32), np.zeros(n, np.int32), np.zeros(n, np.int16), np.full(n, np.nan, np.float32),
        np.full(n, begins + HOUR), np.ones(n, np.float32),
    )  # fmt: skip
    events = Events.concat([data.events, planted])
    changed = replace(data, events=events.take(np.argsort(events.time, kind="stable")))
    recipe = recipe_of(data={**TABLES["data"], "split": {"tune": 0.4, "rank": 0.5, "test": 0.88}})
    fourth, last, _ = windows_of(recipe, changed)
    clamp = int(fourth.questions.requests.time.min()) + 1
    times = {}
    for user, item, time in zip(changed.events.user, changed.events.item, changed.events.time, strict=True):
        times.setdefault((int(user), int(item)), []).append(int(time))
    held = dict.fromkeys(("right", "wrong", "gone"), 0)
    early = last.unweighted.take(np.arange(len(fourth.train.requests)))
    kept = set(fourth.train.candidates.keys.tolist())
    rows = early.candidates
    label = dict(zip(fourth.train.candidates.keys.tolist(), fourth.train.labels[POSITIVE].tolist(), strict=True))
    for key, request, item, was in zip(
        rows.keys.tolist(), rows.request, rows.item, early.labels[POSITIVE], strict=True
    ):
        now = int(early.requests.time[request])
        user = int(early.requests.user[request])
        before = any(now < time < clamp for time in times[user, int(item)]) if was else False
        if was and before:
            assert label[key] == 1
            held["right"] += 1
        elif was:
            assert label.get(key, 0) == 0
            held["wrong" if key in kept else "gone"] += 1
        else:
            assert label.get(key, 0) == 0
    assert held["right"] > 50
    assert held["gone"] > 3  # some as rows that are not sampled, some with a request that teaches nothing
    taught = np.unique(fourth.train.candidates.request)
    right = fourth.train.labels[POSITIVE] > 0
    np.testing.assert_array_equal(taught, np.unique(fourth.train.candidates.request[right]))


def test_other_labels_end_at_the_clamp_too(data):
    fourth, _, _ = windows_of(recipe_of(), data)
    np.testing.assert_array_equal(fourth.train.labels["seen"], fourth.train.labels[POSITIVE])


def test_what_happens_from_the_test_cut_on_changes_nothing(data):
    test = data.cut(0.9)
    before, after = data.events.between(None, test), data.events.between(test, None)
    other = replace(after, item=(np.arange(len(after)) % 5).astype(np.int32))
    changed = replace(data, events=Events.concat([before, other]))
    assert learned(recipe_of(), data)[1].document() == learned(recipe_of(), changed)[1].document()


def test_what_happens_in_the_fourth_fifth_changes_nothing_that_is_learned_before_it(data):
    fourth, _, _ = windows_of(recipe_of(), data)
    begins = int(fourth.questions.requests.time.min()) + 1
    before, after = data.events.between(None, begins), data.events.between(begins, None)
    other = replace(after, item=(39 - after.item).astype(np.int32))
    changed, _, _ = windows_of(recipe_of(), replace(data, events=Events.concat([before, other])))
    np.testing.assert_array_equal(changed.train.requests.time, fourth.train.requests.time)
    rows = [
        dict(zip(s.candidates.keys.tolist(), s.labels[POSITIVE], strict=True)) for s in (fourth.train, changed.train)
    ]
    right = [{key for key, label in made.items() if label} for made in rows]
    assert right[0] == right[1]


@pytest.mark.parametrize(
    ("few", "why"),
    [
        ((80, 29, 30), "the fourth has 29 requests, expected 30"),
        ((80, 30, 29), "it has 29 requests, expected 30"),
        ((29, 30, 30), "the first three have 29 requests to learn from, expected 30"),
        ((30, 30, 30), ""),
    ],
)
def test_a_window_too_small_says_nothing(data, few, why):
    learned_, judged, last = few
    questions = replay(data, data.state(), data.cut(0.5), data.cut(0.9))
    parts = Fourth(questions.take(np.arange(learned_)), questions.take(np.arange(judged)))
    assert parts.lacks(last) == why


@pytest.mark.parametrize(("users", "test"), [(25, 0.56), (25, 0.9)])
def test_where_one_is_too_small_the_last_fifth_decides_and_that_is_said(data, monkeypatch, users, test):
    if test == 0.9:
        monkeypatch.setattr(module, "FEWEST", 10_000)
    recipe = recipe_of(data={**TABLES["data"], "split": {"tune": 0.4, "rank": 0.5, "test": test}})
    _, choice, _, (told,) = learned(recipe, data)
    assert [window.window for window in choice.windows] == ["the last fifth"]
    assert told.startswith("rankers are judged by the last fifth alone: the fourth has ")


@pytest.mark.parametrize(
    "changed",
    [
        {"serve": "merge"},
        {"serve": "trees"},
        {"serve": "rank", "rank": {"type": "logistic"}},
        {"evaluate": {"requests": "start"}},
        {"evaluate": {"requests": "start"}, "samples": {"requests": "replay"}},
        {"evaluate": {"requests": "last"}},
    ],
)
def test_the_last_fifth_decides_alone_where_nothing_is_chosen_or_all_are_asked_at_once(data, changed):
    _, choice, _, notes = learned(recipe_of(**changed), data)
    assert len(choice.windows) == 1
    assert not any("alone" in note for note in notes)


def test_its_rows_are_let_go_of_before_the_last_fifth_is_made(data, monkeypatch):
    """Whole rows of two fifths never stand side by side."""
    kept, alive = [], []
    original = ranking.from_funnel
    samples = Fourth.samples

    def watch(*arguments, **options):
        gc.collect()
        alive.append(sum(one() is not None for one in kept))
        return original(*arguments, **options)

    @contextmanager
    def made(*arguments):
        with samples(*arguments) as (early, late):
            assert not arguments[1].candidates.columns  # nor do those learned from, twice
            kept.extend(weakref.ref(next(iter(part.candidates.columns.values()))) for part in (early, late))
            yield early, late

    monkeypatch.setattr(ranking, "from_funnel", watch)
    monkeypatch.setattr(Fourth, "samples", made)
    learned(recipe_of(), data)
    assert len(kept) == 2
    assert alive == [0, 0]


@pytest.mark.parametrize("fails", [False, True])
def test_rows_that_were_lent_come_back_as_they_were(fails):
    rng = np.random.default_rng(0)
    number = np.where(rng.random(50) < 0.2, np.nan, rng.random(50)).astype(np.float32)
    columns = {"number": number, "code": np.arange(50), "list": rng.integers(0, 9, (50, 3))}
    rows = Candidates(np.repeat(np.arange(5, dtype=np.uint32), 10), np.arange(50, dtype=np.int32), dict(columns))
    chosen = rng.random(50) < 0.7
    with suppress(KeyError), lent(rows, chosen) as some:
        assert not rows.columns
        for name, column in columns.items():
            np.testing.assert_array_equal(some[name], column[chosen])
        np.testing.assert_array_equal(some.item, np.flatnonzero(chosen))
        if fails:
            raise KeyError
    assert list(rows.columns) == list(columns)
    for name, column in columns.items():
        assert rows[name].dtype == column.dtype
        np.testing.assert_array_equal(rows[name], column)


def test_labels_are_those_the_rows_were_made_with(data):
    recipe = recipe_of()
    fourth, _, _ = windows_of(recipe, data)
    again = labelled(fourth.valid.candidates, fourth.questions, recipe.samples.labels, data.state().behaviours)
    assert again.keys() == fourth.valid.labels.keys() == {POSITIVE, "seen"}
    for name, label in again.items():
        np.testing.assert_array_equal(label, fourth.valid.labels[name])


def test_the_evaluation_tells_both_windows(shop, tmp_path):
    recipe = read(shop / "shop.toml", ["data.split={ tune = 0.3, rank = 0.4, test = 0.95 }"])
    document = train.fit(recipe, root=shop, out=tmp_path).evaluation.document
    last, fourth = document["judged"]
    assert (last["window"], fourth["window"]) == ("the last fifth", "the fourth fifth")
    assert last["ndcg@10"] == document["validation"]
    assert min(fourth["requests"], last["requests"]) >= 30
    assert fourth["gain"].keys() == {"trees", "line", "trees+line"}  # nothing tells these two apart
    for name, told in fourth["gain"].items():
        assert told["mean"] == pytest.approx(fourth["ndcg@10"][name] - fourth["ndcg@10"]["merge"], abs=1e-5)
        assert told["error"] > 0
