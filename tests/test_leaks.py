"""Leaks of each kind, planted: refused, or without effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist import train
from shortlist.component import Feature, InputError, Retriever
from shortlist.data import Events
from shortlist.data.protocol import Questions, replay
from shortlist.evaluate import evaluate
from shortlist.pipeline import Pipeline, Trace
from shortlist.questions import questions_of
from shortlist.recipe import POSITIVE, parse
from shortlist.registry import find
from shortlist.testing import contract
from shortlist.testing.worlds import DAY, MINUTE, START, VIEW, random_log
from shortlist.train import rankers as ranking
from shortlist.train.samples import from_funnel
from shortlist.types import Candidates

HOUR = 60 * MINUTE
TABLES = {
    "name": "leaks",
    "data": {
        "source": "tables",
        "events": {"path": "log.csv"},
        "split": {"tune": 0.6, "rank": 0.7, "test": 0.85},
    },
    "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}},
    "merge": {"type": "weighted"},
    "features": [{"type": "channel"}, {"type": "counts", "windows": ["7d"]}],
    "rank": {"type": "logistic"},
    "samples": {"negatives": 10},
}


@pytest.fixture(scope="module")
def recipe():
    return parse(TABLES)


@pytest.fixture(scope="module")
def data():
    log = random_log(4, users=25, items=40, events=1200, behaviours=VIEW, span=1000, unit=HOUR, unknown=0.0)
    events = replace(log.events, time=log.events.time + START)
    return replace(log, events=events, available_from=np.full(40, START - DAY))


def fitted(recipe, data, cut) -> Pipeline:
    pipeline = recipe.pipeline()
    pipeline.fit(data.until(cut))
    return pipeline


def with_another_future(data, cut):
    """The same log before ``cut``, and from then on other events: every user runs through the first items."""
    before, after = data.events.between(None, cut), data.events.between(cut, None)
    item = (np.arange(len(after)) % 5).astype(np.int32)
    return replace(data, events=Events.concat([before, replace(after, item=item, user=after.user[::-1].copy())]))


def watched(monkeypatch):
    """Every set of samples the training makes, with the questions behind it."""
    seen = []

    def record(pipeline, questions, state, **options):
        made = from_funnel(pipeline, questions, state, **options)
        seen.append((questions, made))
        return made

    monkeypatch.setattr(ranking, "from_funnel", record)
    return seen


# the future mean of an item, as a feature


class FutureMean(Feature):
    """How often the item is chosen, ever after included."""

    def compute(self, requests, candidates, state):
        counts = np.bincount(state.events.item, minlength=1000)
        return {"future.mean": counts[candidates.item].astype(np.float32)}


class LearnedCount(Feature):
    """How often the item was chosen in what it was fitted on: sound, if that ends before the request."""

    def fit(self, data):
        self.counts_ = data.item_counts().astype(np.float32)
        return self

    def compute(self, requests, candidates, state):
        return {"learned.count": self.counts_[candidates.item]}


def test_a_feature_that_counts_the_future_breaks_its_contract():
    with pytest.raises(AssertionError, match="later_events_change_nothing"):
        contract.check("features", FutureMean)


def test_a_feature_fitted_after_the_request_is_refused(recipe, data):
    """Channels end at the cut, the feature has seen the whole log: its column would hold the targets themselves."""
    cut = data.cut(0.7)
    pipeline = replace(fitted(recipe, data, cut), features=[LearnedCount()])
    questions = replay(data, data.state(), cut, None)
    pipeline.fit_features(data.until(cut))
    from_funnel(pipeline, questions, data.state())
    pipeline.fit_features(data)
    with pytest.raises(InputError, match="would know the future"):
        from_funnel(pipeline, questions, data.state())


def test_a_channel_fitted_after_the_request_is_refused(recipe, data):
    cut = data.cut(0.7)
    questions = replay(data, data.state(), cut, None)
    pipeline = fitted(recipe, data, data.cut(0.85))
    for use in (
        lambda: pipeline.recommend(questions.requests, data.state()),
        lambda: from_funnel(pipeline, questions, data.state()),
        lambda: evaluate(pipeline, data, recipe.evaluate, cut),
    ):
        with pytest.raises(InputError, match="would know the future"):
            use()


def test_training_fits_features_before_the_window_it_samples(recipe, data):
    """Whatever is asked of a feature during training is asked later than all it was fitted on."""

    class Spy(LearnedCount):
        def fit(self, data):
            self.until_ = data.fitted_until
            return super().fit(data)

        def compute(self, requests, candidates, state):
            assert not len(requests) or requests.time.min() >= self.until_
            asked.append(len(requests))
            return super().compute(requests, candidates, state)

    asked: list[int] = []
    pipeline = replace(recipe.pipeline(), features=[Spy()])
    ranking.fit_rankers(pipeline, recipe, data, data.state(), data.cut(0.7), data.cut(0.85))
    assert sum(asked) > 100


# the score of a channel that is refitted after the ranker was trained


class Louder(Retriever):
    """A channel refitted: the same order on another scale.

    Source: this test.
    """

    factor: float = 1000.0

    def fit(self, data):
        return self

    def retrieve(self, requests, state, k):
        rows = self.inner_.retrieve(requests, state, k)
        return rows.with_columns(score=rows["score"] * np.float32(self.factor))

    def score(self, requests, candidates, state):
        return self.inner_.score(requests, candidates, state) * np.float32(self.factor)


def test_raw_scores_reach_no_samples(recipe, data):
    cut = data.cut(0.7)
    samples = from_funnel(fitted(recipe, data, cut), replay(data, data.state(), cut, None), data.state())
    assert len(samples) > 0
    raw = {f"{channel}.{part}" for channel in recipe.recall for part in ("score", "rank", "dense")}
    assert not raw & samples.candidates.columns.keys()
    assert "score" not in samples.candidates


@pytest.mark.parametrize("column", ["cf.score", "cf.dense", "hot.rank", "score"])
def test_a_ranker_that_asks_for_a_raw_score_is_refused(recipe, data, column):
    greedy = parse({**TABLES, "rank": {"type": "logistic", "columns": [column]}})
    with pytest.raises(InputError, match=f"'{column}' is missing"):
        ranking.fit_rankers(greedy.pipeline(), greedy, data, data.state(), data.cut(0.7), data.cut(0.85))


def test_a_refit_on_another_scale_changes_no_list(recipe, data):
    """The ranker's order survives a refit that multiplies every score of a channel by 1000."""
    rank, test = data.cut(0.7), data.cut(0.85)
    pipeline = recipe.pipeline()
    rankers, _ = ranking.fit_rankers(pipeline, recipe, data, data.state(), rank, test)
    pipeline.fit(data.until(test))
    pipeline.ranker = rankers["logistic"]
    questions = replay(data, data.state(), test, None)
    trace = Trace()
    _, merged = pipeline.found(questions.requests, data.state(), trace)
    rows = pipeline.scored(questions.requests, merged, data.state(), trace)
    usual = pipeline.rank(questions.requests, rows, data.state(), Trace())
    louder = Louder()
    louder.inner_ = pipeline.recall["cf"]
    loud = replace(pipeline, recall={**pipeline.recall, "cf": louder})
    scaled = merged.with_columns(**{"cf.score": merged["cf.score"] * np.float32(1000)})
    scaled = loud.scored(questions.requests, scaled, data.state(), Trace())
    changed = loud.rank(questions.requests, scaled, data.state(), Trace())
    np.testing.assert_array_equal(changed.item, usual.item)
    np.testing.assert_allclose(changed["score"], usual["score"], rtol=1e-4)


# targets beyond the clamp


def test_targets_of_the_training_part_end_where_validation_begins(recipe, data, monkeypatch):
    seen = watched(monkeypatch)
    rank, test = data.cut(0.7), data.cut(0.85)
    ranking.fit_rankers(recipe.pipeline(), recipe, data, data.state(), rank, test)
    (early, samples), (late, check) = seen
    begins = late.requests.time.min() + 1
    assert early.requests.time.max() < begins
    for questions, made, closes in ((early, samples, begins), (late, check, test)):
        assert made.labels[POSITIVE].sum() > 10
        stamps = {}
        for user, item, time in zip(data.events.user, data.events.item, data.events.time, strict=True):
            stamps.setdefault((int(user), int(item)), []).append(int(time))
        for request, item, label in zip(
            made.candidates.request, made.candidates.item, made.labels[POSITIVE], strict=True
        ):
            user, now = int(made.requests.user[request]), int(made.requests.time[request])
            if label:
                assert any(now < time < closes for time in stamps[user, int(item)])
        assert len(questions) == len(made.requests)


def test_a_positive_planted_behind_the_clamp_is_no_target(recipe, data, monkeypatch):
    """Every user chooses item 39 an hour after validation begins: near enough for a target, and none of training's."""
    seen = watched(monkeypatch)
    rank, test = data.cut(0.7), data.cut(0.85)
    ranking.fit_rankers(recipe.pipeline(), recipe, data, data.state(), rank, test)
    clamp = int(seen[1][0].requests.time.min()) + 1
    users = np.arange(data.n_users, dtype=np.int32)
    n = len(users)
    planted = Events(
        users, np.full(n, 39, np.int32), np.zeros(n, np.int16), np.full(n, np.nan, np.float32),
        np.full(n, clamp + HOUR), np.ones(n, np.float32),
    )  # fmt: skip
    changed = replace(data, events=Events.concat([data.events, planted]))
    plain, clamped = (questions_of(changed, changed.state(), recipe.evaluate, rank, closes) for closes in (test, clamp))
    hit = [np.unique(q.targets.rows[q.targets["item"] == 39]) for q in (plain, clamped)]
    early = [q.requests.time[rows] < clamp - 1 for q, rows in zip((plain, clamped), hit, strict=True)]
    assert early[0].sum() > early[1].sum()
    usual = questions_of(data, data.state(), recipe.evaluate, rank, clamp)
    np.testing.assert_array_equal(usual.targets["item"], clamped.targets["item"])
    np.testing.assert_array_equal(usual.requests.time, clamped.requests.time)


def test_the_test_window_changes_nothing_that_is_learned(recipe, data):
    """Merge weights, samples and ranker are the same whatever happens from the test cut on."""
    learned = []
    tune, rank, test = data.cut(0.6), data.cut(0.7), data.cut(0.85)
    for log in (data, with_another_future(data, test), data.until(test)):
        pipeline = recipe.pipeline()
        pipeline.fit_recall(log.until(tune))
        train.fit_merge(pipeline, recipe, log, log.state(), tune, rank)
        rankers, choice = ranking.fit_rankers(pipeline, recipe, log, log.state(), rank, test)
        pipeline.fit(log.until(test))
        parts = [pipeline.merge, *pipeline.recall.values(), *pipeline.features, rankers["logistic"]]
        learned.append(([part.state() for part in parts], choice.means))
    for states, choice in learned[1:]:
        assert choice == learned[0][1]
        for mine, theirs in zip(states, learned[0][0], strict=True):
            assert mine.keys() == theirs.keys()
            for name in mine:
                np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


def test_what_follows_the_window_changes_no_answer(recipe, data):
    """The same lists whether the log ends with the window or runs on."""
    opens, closes = data.cut(0.7), data.cut(0.85)
    pipeline = fitted(recipe, data, opens)
    whole, ended = (evaluate(pipeline, log, recipe.evaluate, opens, closes) for log in (data, data.until(closes)))
    assert whole.rows.equals(ended.rows)
    assert whole.document["slate"]["ndcg@10"] == ended.document["slate"]["ndcg@10"]


# an empty channel column that gives the label away


class Odd(Retriever):
    """Finds odd items only, the same for everyone.

    Source: this test.
    """

    def fit(self, data):
        self.items_ = np.arange(1, data.n_items, 2, dtype=np.int32)
        return self

    def retrieve(self, requests, state, k):
        n, m = len(requests), len(self.items_)
        rows = Candidates(np.repeat(np.arange(n, dtype=np.uint32), m), np.tile(self.items_, n))
        return rows.with_columns(score=1 / (1 + rows.positions()).astype(np.float32)).head(k)


@pytest.mark.parametrize("negatives", [None, 5])
def test_targets_that_no_channel_found_are_no_rows(recipe, data, negatives):
    """Half of the targets are even, and no channel finds those: injected, an empty column would mean a positive."""
    cut = data.cut(0.7)
    channel = find("features", "channel").from_config({"channels": ["odd"]})
    pipeline = replace(recipe.pipeline(), recall={"odd": Odd()}, features=[channel])
    pipeline.fit(data.until(cut))
    questions: Questions = replay(data, data.state(), cut, None)
    assert (questions.targets["item"] % 2 == 0).any()
    samples = from_funnel(pipeline, questions, data.state(), negatives=negatives)
    rows = samples.candidates
    assert (rows.item % 2 == 1).all()
    assert (rows["channel.odd.found"] == 1).all()
    assert not np.isnan(rows["channel.odd.rank"]).any()
    found = sum((questions.targets["item"] % 2 == 1).tolist())
    assert samples.labels[POSITIVE].sum() == found


@pytest.mark.parametrize("negatives", [None, 8])
def test_features_of_a_sampled_row_are_those_it_would_be_scored_with(recipe, data, negatives):
    """Thinning negatives must not show: a row's place among the candidates is its place among all of them."""
    cut = data.cut(0.7)
    pipeline = fitted(recipe, data, cut)
    questions = replay(data, data.state(), cut, None)
    samples = from_funnel(pipeline, questions, data.state(), negatives=negatives, seed=1)
    trace = Trace()
    asked, merged = pipeline.found(questions.requests, data.state(), trace)
    whole = pipeline.featured(asked, pipeline.scored(asked, merged, data.state(), trace), data.state(), trace)
    at = {pair: row for row, pair in enumerate(zip(whole.request.tolist(), whole.item.tolist(), strict=True))}
    pairs = zip(samples.candidates.request.tolist(), samples.candidates.item.tolist(), strict=True)
    rows = np.array([at[pair] for pair in pairs])
    for name, column in samples.candidates.columns.items():
        np.testing.assert_allclose(column, whole[name][rows], rtol=1e-5, atol=1e-6, err_msg=name)
