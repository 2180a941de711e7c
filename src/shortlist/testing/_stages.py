"""What each kind of component owes beyond what all do."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from shortlist.component import Compares, Explains, Feature, HardRule, Merge, Ranker, Reasons, Retriever, Rule, Scores
from shortlist.testing import worlds
from shortlist.testing._shared import agree, close, owe
from shortlist.testing.case import HOUR, Case, Subject, case, pick, samples
from shortlist.types import Array, Candidates, Ragged, Requests


def keys(rows: Candidates) -> Array:
    """[m]: one number for each (request, item)."""
    return rows.request.astype(np.int64) << 32 | rows.item.astype(np.int64)


# features


def columns_stay(subject: Subject) -> None:
    """Fitted again on a longer log, a feature has the columns, and codes the meaning, that a ranker has learned."""
    world = subject.world
    component = subject.fit(subject.fresh(), world.until(world.cut(0.5)))
    before = subject.ask(component, subject.case)
    after = subject.ask(subject.fit(component, world), subject.case)
    owe(list(before.columns) == list(after.columns), "fitted again it has other columns, or in another order")
    for name, column in before.columns.items():
        same = column.dtype == after[name].dtype and (column.dtype.kind == "f" or np.array_equal(column, after[name]))
        owe(same, f"fitted again the codes of {name!r} mean something else")


# recall


def rows_are_well_formed(subject: Subject) -> None:
    """Rows ascend by request, best first, at most k, unique, finite, none excluded; a longer list begins alike."""
    channel = cast(Retriever, subject.fitted)
    asked = subject.case
    answers = {k: channel.retrieve(asked.requests, asked.state, k) for k in (1, 5, 10 * subject.world.n_items)}
    for k, rows in answers.items():
        owe("score" in rows, f"k = {k}: there is no column 'score'")
        owe(rows.request.dtype == np.uint32 and rows.item.dtype == np.int32, "request must be uint32 and item int32")
        owe(bool((np.diff(rows.request.astype(np.int64)) >= 0).all()), f"k = {k}: requests do not ascend")
        owe(len(np.unique(keys(rows))) == len(rows), f"k = {k}: an item comes twice")
        owe(not len(rows) or rows.positions().max() < k, f"k = {k}: more rows than that")
        owe(np.isfinite(rows["score"]).all(), f"k = {k}: a score is not finite")
        falls = (np.diff(rows["score"]) <= 0) | (np.diff(rows.request) > 0)
        owe(bool(falls.all()), f"k = {k}: rows are not ordered by falling score")
        owe(bool((rows.item >= 0).all()), f"k = {k}: an item code below 0")
        excluded = asked.requests.exclude.rows << 32 | asked.requests.exclude["item"]
        owe(not np.isin(keys(rows), excluded).any(), f"k = {k}: an excluded item comes back")
    longest = answers[10 * subject.world.n_items]
    for k in (1, 5):
        agree(answers[k], longest.head(k), f"the best {k} against the first {k} of all")


def exclusions_use_up_no_rows(subject: Subject) -> None:
    """What is excluded makes room: asking k with the best excluded gives the next k. All excluded: no rows."""
    channel = cast(Retriever, subject.fitted)
    requests, state = subject.case.requests, subject.case.state
    best = channel.retrieve(requests, state, 6)
    gone = best.head(3)
    fewer = requests.excluding(Ragged.of(gone.request, len(requests), item=gone.item))
    rest = best.take(best.positions() >= 3)
    agree(channel.retrieve(fewer, state, 3), rest.head(3), "with the best three excluded")
    n = len(requests)
    everything = np.tile(np.arange(subject.world.n_items, dtype=np.int32), n)
    shut = requests.excluding(Ragged.of(np.repeat(np.arange(n), subject.world.n_items), n, item=everything))
    owe(len(channel.retrieve(shut, state, 5)) == 0, "everything is excluded and rows come back")


def solves_the_checkerboard(subject: Subject) -> None:
    """Users get items of their own colour: nine of ten rows, and as the first of what they have not seen."""
    if not subject.cls.personalised:
        return
    channel = cast(Retriever, subject.fitted)
    users = np.arange(subject.world.n_users)
    for seen_excluded, k, wanted in ((False, 10, 0.9), (True, 1, 0.8)):
        asked = case(subject.world, users, subject.world.state(), exclude_history=seen_excluded)
        rows = channel.retrieve(asked.requests, asked.state, k)
        answered = len(np.unique(rows.request)) / len(users)
        if seen_excluded and not len(rows):
            continue  # a channel that only repeats what was seen
        owe(answered >= 0.9, f"only {answered:.0%} of the checkerboard's users get rows")
        own = worlds.colour_of(rows.item) == worlds.colour_of(users[rows.request])
        what = "first unseen rows" if seen_excluded else "top 10"
        owe(own.mean() >= wanted, f"only {own.mean():.0%} of the {what} have the user's colour, {wanted:.0%} are owed")


def score_agrees(subject: Subject) -> None:
    """``score`` gives retrieved rows the score they came with, any row a float32, in a batch or alone."""
    channel = subject.fitted
    if not isinstance(channel, Scores):
        return
    score = channel.score
    asked = subject.case
    rows = subject.ask(channel, asked)
    owe(bool(close(score(asked.requests, rows, asked.state), rows["score"]).all()), "score() contradicts retrieve()")
    given = asked.rows.with_columns()
    strange = np.where(np.arange(len(given)) % 7 == 6, subject.world.n_items + 3, given.item).astype(np.int32)
    given = replace(given, item=strange)
    dense = score(asked.requests, given, asked.state)
    owe(dense.shape == (len(given),) and dense.dtype == np.float32, f"score() gives {dense.dtype} {dense.shape}")
    owe(not np.isinf(dense).any(), "score() gives an infinity")
    for r in range(len(asked.requests)):
        chosen = np.array([r])
        alone = score(asked.requests.take(chosen), pick(given, chosen), asked.state)
        owe(bool(close(dense[given.request == r], alone).all()), f"score() of request {r} depends on the batch")
    nobody = Requests.of(np.array([-1, subject.world.n_users + 1]), asked.requests.time[:2])
    some = given.take(given.request < 2)
    owe(len(score(nobody, some, asked.state)) == len(some), "score() of unknown users lacks rows")


def similar_and_explain(subject: Subject) -> None:
    """``similar``: at most k other items each, best first. ``explain``: an item of the request's history or -1."""
    channel = subject.fitted
    n = subject.world.n_items
    if isinstance(channel, Compares):
        items = np.array([3, 0, n + 5, 7], np.int32)
        rows = channel.similar(items, 5)
        owe(len(rows) > 0 and rows.positions().max() < 5, "similar() gives no rows, or more than k")
        owe(bool((np.diff(rows.request.astype(np.int64)) >= 0).all()), "similar(): requests do not ascend")
        owe(not (rows.item == items[rows.request]).any(), "similar() gives an item itself")
        owe(len(np.unique(keys(rows))) == len(rows), "similar() gives an item twice")
        owe(np.isfinite(rows["score"]).all(), "similar(): a score is not finite")
        agree(rows, rows.ranked(), "similar() and its own order")
    if isinstance(channel, Explains):
        asked = subject.case
        rows = subject.ask(channel, asked)
        why = channel.explain(asked.requests, rows)
        owe(why.shape == (len(rows),) and why.dtype == np.int32, f"explain() gives {why.dtype} {why.shape}")
        mine = asked.requests.history.rows << 32 | asked.requests.history["item"]
        named = np.isin(rows.request.astype(np.int64) << 32 | why.astype(np.int64), mine)
        owe(bool((named | (why == -1)).all()), "explain() names an item that is not in the history")
    if isinstance(channel, Reasons):
        asked = subject.case
        rows = subject.ask(channel, asked)
        words = channel.reasons(asked.requests, rows, asked.state)
        owe(len(words) == len(rows) and all(isinstance(word, str) for word in words), "reasons() are not words")
        people = subject.world.user_ids.ids
        owe(not any(name in word.split() for word in set(words) for name in people), "reasons() names a user")


# merge


def keeps_who_found_what(subject: Subject) -> None:
    """One row per (request, item) that a channel found, with every channel's score and rank; ordered by score."""
    merge = cast(Merge, subject.fitted)
    asked = subject.case
    rows = merge.merge(asked.found, len(asked.requests))
    owe(len(np.unique(keys(rows))) == len(rows), "a row comes twice")
    union = np.unique(np.concatenate([keys(part) for part in asked.found.values()]))
    owe(np.isin(keys(rows), union).all(), "a row comes that no channel found")
    owe(getattr(merge, "k", len(union)) < len(union) or len(rows) == len(union), "a row is lost though there is room")
    owe(np.isfinite(rows["score"]).all(), "a score is not finite")
    agree(rows, rows.ranked(), "the merge and its own order")
    for name, part in asked.found.items():
        score, rank = rows[f"{name}.score"], rows[f"{name}.rank"]
        at = {key: row for row, key in enumerate(keys(part).tolist())}
        place = part.positions() + 1
        for row, key in enumerate(keys(rows).tolist()):
            if key in at:
                owe(
                    score[row] == part["score"][at[key]] and rank[row] == place[at[key]],
                    f"{name}: score or rank changed",
                )
            else:
                owe(
                    np.isnan(score[row]) and np.isnan(rank[row]),
                    f"{name}: was silent about row {row}, and it has values",
                )


def keeps_to_k(subject: Subject) -> None:
    """At most ``k`` rows a request, where the component has a ``k``."""
    if "k" not in subject.cls.model_fields:
        return
    small = Subject(subject.kind, subject.cls, {**subject.config, "k": 3})
    rows = small.ask(small.fitted, small.case)
    owe(len(rows) > 0 and rows.positions().max() < 3, "more rows than k, or none")


def channels_may_fail(subject: Subject) -> None:
    """A channel that brought nothing at all, or is missing, never raises; neither do no channels."""
    merge = cast(Merge, subject.fitted)
    n = len(subject.case.requests)
    for names in (["cf"], ["hot", "silent"], []):
        rows = merge.merge({name: subject.case.found[name] for name in names}, n)
        owe(np.isfinite(rows["score"]).all() if len(rows) else True, f"with channels {names}: a score is not finite")
    subject.fresh().fit({}, Ragged.empty(0, item=np.int32, known=bool))  # type: ignore[attr-defined]


# features


def columns_are_plain(subject: Subject) -> None:
    """New columns of whole or real numbers, finite or NaN, one value a row, the same names for every batch."""
    feature = cast(Feature, subject.fitted)
    asked = subject.case
    columns = feature.compute(asked.requests, asked.rows, asked.state)
    owe(bool(columns), "compute() gives no columns")
    for name, column in columns.items():
        owe(column.shape == (len(asked.rows),), f"{name}: shape {column.shape} for {len(asked.rows)} rows")
        owe(column.dtype.kind in "fiub", f"{name}: dtype {column.dtype}; expected numbers")
        owe(not np.isinf(np.asarray(column, np.float64)).any(), f"{name}: an infinity")
        owe(name not in asked.rows, f"{name}: replaces a column that was there")
    bare = replace(asked.rows, columns={name: c for name, c in asked.rows.columns.items() if "." in name})
    for what, some in (("one request", asked.only(np.array([4]))), ("other rows", replace(asked, rows=bare))):
        again = feature.compute(some.requests, some.rows, some.state)
        owe(list(again) == list(columns), f"{what}: columns {sorted(set(again) ^ set(columns))} come or go")
        owe(all(again[n].dtype == columns[n].dtype for n in columns), f"{what}: a column changes its dtype")


# rank


def learns_a_planted_signal(subject: Subject) -> None:
    """AUC above .9 on rows it has not seen, where one column tells the label."""
    ranker = cast(Ranker, subject.fitted)
    test = samples(subject.world, seed=3)
    score = ranker.score(test.requests, test.candidates, subject.world.state())
    label = test.labels["click"] > 0
    auc = _auc(label, score["score"])
    owe(auc > 0.9, f"AUC {auc:.3f} on a planted signal, .9 is owed")


def scores_are_plain(subject: Subject) -> None:
    """``score`` and any other column: float32, finite, one a row, whatever is missing."""
    ranker = cast(Ranker, subject.fitted)
    asked = subject.case
    missing = np.full(len(asked.rows), np.nan, np.float32)
    blind = asked.rows.with_columns(affinity=missing, gap=missing, shade=np.full(len(asked.rows), 99, np.int32))
    for what, rows in (("rows", asked.rows), ("rows without values", blind)):
        columns = ranker.score(asked.requests, rows, asked.state)
        owe("score" in columns, f"{what}: there is no column 'score'")
        for name, column in columns.items():
            owe(column.shape == (len(rows),), f"{what}: {name} has shape {column.shape}")
            owe(column.dtype == np.float32, f"{what}: {name} is {column.dtype}, expected float32")
            owe(np.isfinite(column).all(), f"{what}: {name} is not finite")


def needs_no_later_rows(subject: Subject) -> None:
    """``valid`` may be left out; labels may be missing; weights of nothing count for nothing."""
    given = samples(subject.world, seed=1)
    label = given.labels["click"].copy()
    label[::7] = np.nan
    ranker = cast(Ranker, subject.fresh()).fit(replace(given, labels={"click": label, "buy": given.labels["buy"]}))
    score = ranker.score(subject.case.requests, subject.case.rows, subject.case.state)["score"]
    owe(np.isfinite(score).all(), "fitted with missing labels: a score is not finite")


def _auc(label: Array, score: Array) -> float:
    order = np.argsort(score, kind="stable")
    values, back = np.unique(score[order], return_inverse=True)
    ranks = np.arange(1, len(score) + 1)
    mean = np.bincount(back, ranks, len(values)) / np.bincount(back, minlength=len(values))
    positive = label[order]
    p = positive.sum()
    return float((mean[back][positive].sum() - p * (p + 1) / 2) / (p * (len(label) - p)))


# rules


def drops_and_orders(subject: Subject) -> None:
    """A subset of the rows; only ``score``, ``propensity`` and ``reason`` may change or be new."""
    rule = subject.fitted
    if not isinstance(rule, Rule):
        return
    for what, asked in _situations(subject):
        rows = rule.apply(asked.requests, asked.rows, asked.state)
        owe(bool((np.diff(rows.request.astype(np.int64)) >= 0).all()), f"{what}: requests do not ascend")
        owe(len(np.unique(keys(rows))) == len(rows), f"{what}: a row comes twice")
        at = {key: row for row, key in enumerate(keys(asked.rows).tolist())}
        owe(all(key in at for key in keys(rows).tolist()), f"{what}: a row comes that was not there")
        origin = np.array([at[key] for key in keys(rows).tolist()], np.int64)
        free = {"score", "propensity", "reason"}
        owe(set(asked.rows.columns) <= set(rows.columns), f"{what}: a column is lost")
        new = set(rows.columns) - set(asked.rows.columns) - free
        owe(not new, f"{what}: new columns {sorted(new)}")
        before, after = (
            replace(r, columns={n: c for n, c in r.columns.items() if n not in free and n in asked.rows})
            for r in (asked.rows.take(origin), rows)
        )
        agree(after, before, f"{what}: what a rule may not change", exact=True)


def _situations(subject: Subject) -> list[tuple[str, Case]]:
    asked = subject.case
    state = subject.world.state()
    short = asked.rows.take(asked.rows.positions() < 1)
    fallback = asked.rows.with_columns(fallback=np.ones(len(asked.rows), bool))
    wide = case(subject.world, np.arange(5), state, exclude_history=False)
    return [
        ("a dozen users", asked),
        ("one row each", replace(asked, rows=short)),
        ("fallback rows only", replace(asked, rows=fallback)),
        ("rows that were seen", wide),
        ("a year later", case(subject.world, np.arange(5), state, state.last + 9000 * HOUR)),
    ]


def forbids_each_once(subject: Subject) -> None:
    """A hard rule's ``forbids``: items for each request, each once."""
    rule = subject.fitted
    if not isinstance(rule, HardRule):
        return
    for what, asked in _situations(subject):
        forbidden = rule.forbids(asked.requests, asked.state)
        owe(isinstance(forbidden, Ragged) and "item" in forbidden.columns, "forbids() gives no Ragged with 'item'")
        owe(len(forbidden) == len(asked.requests), f"{what}: forbids() gives {len(forbidden)} rows")
        pairs = forbidden.rows << 32 | forbidden["item"]
        owe(len(np.unique(pairs)) == len(pairs), f"{what}: forbids() names an item twice")


OWED = {
    "recall": [
        rows_are_well_formed, exclusions_use_up_no_rows, solves_the_checkerboard, score_agrees, similar_and_explain,
    ],
    "merge": [keeps_who_found_what, keeps_to_k, channels_may_fail],
    "features": [columns_are_plain, columns_stay],
    "rank": [learns_a_planted_signal, scores_are_plain, needs_no_later_rows],
    "rules": [drops_and_orders, forbids_each_once],
}  # fmt: skip
