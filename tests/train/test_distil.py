"""A pre-ranker that the ranker teaches, against the one that labels teach, and against its own definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortlist.bundle import open_bundle, save
from shortlist.component import InputError, Ranker
from shortlist.pipeline import Averaged, Trace
from shortlist.rank.gbdt import GBDT
from shortlist.rank.logistic import Logistic
from shortlist.recipe import POSITIVE, parse
from shortlist.testing import worlds
from shortlist.testing.case import Case, case
from shortlist.train import distil
from shortlist.train import rankers as ranking
from shortlist.types import Candidates, Requests, Samples

TABLES = {
    "name": "board",
    "seed": 1,
    "depth": 20,
    "keep": 8,
    "data": {"source": "tables", "events": {"path": "log.csv"}, "split": {"tune": 0.5, "rank": 0.6, "test": 0.8}},
    "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular"}},
    "merge": {"type": "reciprocal_rank", "k": 20},
    "features": [{"type": "channel"}, {"type": "counts", "windows": ["7d"]}],
    "samples": {"moments": 5},
    "prerank": {"type": "logistic", "teacher": "rank"},
    "rank": {"type": "gbdt", "trees": 10, "stopping": 0},
    "serve": "rank",
}


@pytest.fixture(scope="module")
def board():
    return worlds.checkerboard(n_users=30, unseen=6)


def fitted(board, changed):
    """(recipe, pipeline, rankers) as ``fit`` has them before the test."""
    recipe = parse({**TABLES, **changed})
    pipeline = recipe.pipeline()
    rankers, _ = ranking.fit_rankers(pipeline, recipe, board, board.state(), board.cut(0.6), board.cut(0.8))
    return recipe, pipeline, rankers


def asked_of(board) -> Case:
    """Six who ask after the log has ended."""
    return case(board, np.arange(6), board.state(), exclude_history=False)


def lists(n: int, seed: int, m: int = 150) -> tuple[Samples, Candidates]:
    """(rows with a label that mostly chance decides, the same as a teacher who knows what is right scores them)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n * m, 4)).astype(np.float32)
    true = x @ np.float32([1, 0.7, -0.5, 0.0])
    request = np.repeat(np.arange(n, dtype=np.uint32), m)
    noisy = Candidates(request, np.tile(np.arange(m, dtype=np.int32), n)).with_columns(
        score=(true + 4 * rng.normal(size=n * m)).astype(np.float32)
    )
    rows = noisy.with_columns(**{f"x{f}": x[:, f] for f in range(4)}).select([f"x{f}" for f in range(4)])
    label = {POSITIVE: (noisy.rank_of() == 1).astype(np.float32)}
    samples = Samples(Requests.of(np.arange(n), np.arange(n)), rows, label, np.ones(n * m, np.float32))
    return samples, rows.with_columns(score=true)


@pytest.mark.parametrize("pupil", [{}, {"objective": "lambdarank", "trees": 30, "min_leaf": 5}])
def test_who_is_taught_keeps_more_of_the_teachers_best_than_who_learns_labels(pupil):
    """On lists that neither has met, though labels are those of four times as many requests."""
    kept: dict[str, list[float]] = {"labels": [], "rank": []}
    for seed in range(4):

        def make() -> Ranker:
            return GBDT(**pupil) if pupil else Logistic()

        labelled, (later, scored), (new, best) = lists(80, seed)[0], lists(20, 100 + seed), lists(30, 200 + seed)
        one = make()
        told = {
            "labels": make().fit(labelled, later),
            "rank": one.fit(*distil.taught(later, scored, one, negatives=60, seed=0)),
        }
        for name, ranker in told.items():
            place = new.candidates.with_columns(**ranker.score(new.requests, new.candidates)).rank_of()
            kept[name].append(float(np.mean(place[best.rank_of() <= 10] <= 30)))
    assert np.mean(kept["rank"]) > np.mean(kept["labels"]) + 0.05
    assert min(kept["rank"]) > 0.8


def test_a_row_is_worth_its_place():
    found = distil.worth(np.float32([1, 1 + distil.DECAY, distil.DEEPEST, distil.DEEPEST + 1]))
    np.testing.assert_allclose(found[[0, 1, 3]], [1, np.exp(-1), 0], rtol=1e-6)
    assert 0 < found[2] < found[1]


def test_a_soft_label_is_a_right_row_and_a_wrong_one():
    """The weighted log loss of the copies is the cross-entropy with the label."""
    samples, _ = lists(2, 0, m=4)
    y = np.float32([1, 0.25, 0, 0.5, 0.75, 0, 1, 0.1])
    copies = distil.soft(replace(samples, labels={POSITIVE: y}, weight=np.full(8, 2, np.float32)))
    np.testing.assert_array_equal(copies.candidates.item, [0, 1, 1, 2, 3, 3, 0, 0, 1, 2, 3, 3])
    np.testing.assert_array_equal(copies.candidates.request, np.repeat([0, 1], 6))
    p = 1 / (1 + np.exp(-copies.candidates["x0"].astype(np.float64)))
    own = 1 / (1 + np.exp(-samples.candidates["x0"].astype(np.float64)))
    label = copies.labels[POSITIVE]
    loss = -np.sum(copies.weight * np.where(label > 0, np.log(p), np.log(1 - p)))
    np.testing.assert_allclose(loss, -2 * np.sum(y * np.log(own) + (1 - y) * np.log(1 - own)), rtol=1e-6)


def test_who_learns_an_order_is_given_grades():
    samples, scored = lists(10, 0)
    train, valid = distil.taught(samples, scored, GBDT(objective="lambdarank"), negatives=20, seed=0)
    assert (len(train.requests), len(valid.requests)) == (8, 2)
    place = scored.rank_of()
    graded = np.rint(4 * distil.worth(place.astype(np.float32)))
    whole = dict(zip(samples.candidates.keys.tolist(), graded.tolist(), strict=True))
    assert train.labels[POSITIVE].tolist() == [whole[key] for key in train.candidates.keys.tolist()]
    assert set(np.unique(graded)) == {0, 1, 2, 3, 4}
    assert np.bincount(train.candidates.request).tolist() == [distil.DEEPEST + 20] * 8  # the best, and some others


def test_rankers_learn_from_whole_lists_and_the_pupil_reads_what_it_may(board):
    _, pipeline, rankers = fitted(board, {})
    assert all(name.startswith("channel.") for name in pipeline.prerank.columns_.tolist())
    whole = fitted(board, {"prerank": None})[2]["gbdt"]
    assert any(name.startswith("counts.") for name in whole.columns_.tolist())
    for name, learned in whole.state().items():  # the teacher is the ranker of the funnel without a pre-ranker
        np.testing.assert_array_equal(rankers["gbdt"].state()[name], learned)
    pipeline.fit(board.until(board.cut(0.8)))
    pipeline.ranker = rankers["gbdt"]
    asked = asked_of(board)
    _, trace = pipeline.recommend(asked.requests, asked.state, 5)
    assert np.bincount(trace.stages["rank"].request).max() == 8


def test_the_pupil_learns_no_label_of_the_lists_it_is_taught_from(board, monkeypatch):
    """Nor does its teacher, before it learns again from all: with other labels there, the same is taught."""
    make = ranking.samples_for_rankers

    def mixed(*given, **more):
        rows = make(*given, **more)
        valid = {POSITIVE: np.random.default_rng(0).permutation(rows.valid.labels[POSITIVE])}
        return replace(rows, valid=replace(rows.valid, labels=valid), served=replace(rows.served, labels=valid))

    first = fitted(board, {})
    monkeypatch.setattr(ranking, "samples_for_rankers", mixed)
    other = fitted(board, {})
    np.testing.assert_array_equal(other[1].prerank.coefficients_, first[1].prerank.coefficients_)
    values = [one[2]["gbdt"].nodes_["value"] for one in (first, other)]
    assert not np.array_equal(*values)  # they were other labels


def test_the_teacher_is_the_one_that_is_served(board, monkeypatch):
    """One of several, or several as one; and where the merge order may be served, the best of them."""
    teach, teachers = ranking.teach, []
    monkeypatch.setattr(ranking, "teach", lambda *given: teachers.append(given[3]) or teach(*given))
    rank = {"trees": {"type": "gbdt", "trees": 5}, "line": {"type": "logistic"}}
    learned = [
        fitted(board, {"rank": rank, "serve": serve})[1].prerank.coefficients_
        for serve in ("line", "trees+line", "merge")
    ]
    assert [type(one).__name__ for one in teachers[:2]] == ["Logistic", "Averaged"]
    assert list(teachers[1].rankers) == ["trees", "line"]
    assert isinstance(teachers[2], (GBDT, Logistic, Averaged))
    assert not np.array_equal(*learned[:2])


@pytest.mark.parametrize("prerank", [{"type": "logistic", "teacher": "rank"}, {"channel": "cf"}])
def test_it_survives_the_bundle(board, tmp_path, prerank):
    recipe, pipeline, rankers = fitted(board, {"prerank": prerank})
    pipeline.fit(board)
    pipeline.ranker = rankers["gbdt"]
    save(tmp_path / "bundle", pipeline, recipe, board, "gbdt", {"cuts": {}})
    opened = open_bundle(tmp_path / "bundle").pipeline
    asked = asked_of(board)
    before, after = (one.recommend(asked.requests, asked.state, 5)[1] for one in (pipeline, opened))
    for stage in ("prerank", "rank"):
        np.testing.assert_array_equal(before.stages[stage].keys, after.stages[stage].keys)
        np.testing.assert_array_equal(before.stages[stage]["score"], after.stages[stage]["score"])


def test_a_channel_orders_the_rows_as_it_scores_them(board):
    _, pipeline, rankers = fitted(board, {"prerank": {"channel": "cf"}})
    pipeline.fit(board.until(board.cut(0.8)))
    pipeline.ranker = rankers["gbdt"]
    asked = asked_of(board)
    requests, rows = pipeline.found(asked.requests, asked.state, Trace())
    rows = pipeline.scored(requests, rows, asked.state, Trace())
    ordered = rows.with_columns(**pipeline.prerank.score(requests, rows)).ranked()
    dense, merged = ordered["cf.dense"], ordered["score"]
    within = ordered.request[1:] == ordered.request[:-1]
    assert (np.diff(dense)[within] <= 0).all()
    assert np.diff(dense)[within].any()
    silent = rows.with_columns(**{"cf.dense": np.full(len(rows), np.nan, np.float32)})
    for lost in (silent, rows.select([name for name in rows.columns if name != "cf.dense"])):
        place = lost.with_columns(**pipeline.prerank.score(requests, lost)).rank_of()
        np.testing.assert_array_equal(place, lost.positions() + 1)  # as merged
    assert merged.dtype == np.float32
    trace = Trace()
    pipeline.featured(requests, rows, asked.state, trace)
    assert len(trace.stages["prerank"]) < len(rows)


@pytest.mark.parametrize(
    ("prerank", "said"),
    [
        ({"type": "logistic", "teacher": "gbdt"}, r"prerank\.teacher: expected labels or rank, found 'gbdt'"),
        ({"type": "each", "teacher": "rank"}, r"prerank\.teacher: .* one label; each learns"),
        ({"type": "logistic", "label": "positive", "teacher": "rank"}, r"prerank\.label: does nothing"),
        ({"channel": "none"}, r"prerank\.channel: expected a channel that scores .*cf.*, found 'none'"),
        ({"channel": "cf", "teacher": "rank"}, r"prerank\.teacher: does nothing beside channel"),
        ({"channel": "cf", "type": "logistic"}, r"prerank\.type: does nothing beside channel"),
    ],
)
def test_what_cannot_be_is_said(prerank, said):
    with pytest.raises(InputError, match=said):
        parse({**TABLES, "prerank": prerank})
