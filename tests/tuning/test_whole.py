"""A whole recipe tuned: part by part, only where the validation gains, and gone on from."""

from __future__ import annotations

import copy
import json
import time
import tomllib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist import train, tuning
from shortlist.component import InputError
from shortlist.data import Events
from shortlist.progress import listening
from shortlist.recipe import parse
from shortlist.testing.worlds import DAY, MINUTE, START, VIEW, random_log
from shortlist.tuning import Asked, _climb, _passes, channels
from shortlist.tuning._climb import Climb, surely_better
from shortlist.tuning._lists import Lists
from shortlist.tuning._passes import SHARES, Passes
from shortlist.tuning._record import LISTS, SECTIONS, Record, Try, digest
from shortlist.tuning._rewrite import changes, rewritten
from shortlist.tuning._rows import Rows
from shortlist.tuning.measures import Metric

pytest.importorskip("optuna")
pytest.importorskip("tomlkit")

HOUR = 60 * MINUTE
TEXT = """# all of it
name = "whole"
depth = 12
[data]
source = "tables"
events = { path = "log.csv" }
split = { tune = 0.5, rank = 0.7, test = 0.85 }
[recall.cf]
type = "item_cf"  # likes of likes
[recall.hot]
type = "popular"
[merge]
type = "weighted"
k = 20
[[features]]
type = "channel"  # who found it
[[features]]
type = "recency"
[[features]]
type = "counts"
[rank]
type = "gbdt"
trees = 6
[rank.search]
leaves = [3, 5, 7]
learning_rate = {}
[samples]
negatives = 10
moments = 6
[[rules]]
type = "seen"
"""
ONE = Asked(trials=1)


@pytest.fixture(scope="module")
def data():
    log = random_log(4, users=40, items=40, events=2400, behaviours=VIEW, span=1000, unit=HOUR, unknown=0.0)
    events = replace(log.events, time=log.events.time + START)
    return replace(log, events=events, available_from=np.full(40, START - DAY))


@pytest.fixture
def tune(monkeypatch, data):
    """``tune(asked, text, data=...)``: the recipe tuned on a log."""

    def run(asked=ONE, text=TEXT, data=data, log="a log", **more):
        monkeypatch.setattr(channels, "FAMILIES", ("als", "svd"))
        monkeypatch.setattr(train, "load", lambda recipe, root: (data, SimpleNamespace(fingerprint=log)))
        return tuning.tune(parse(tomllib.loads(text)), text, asked, **more)

    return run


def with_another_future(data, cut):
    """The same log before ``cut``, and from then on other events at the same moments."""
    before, after = data.events.between(None, cut), data.events.between(cut, None)
    item = (np.arange(len(after)) % 5).astype(np.int32)
    return replace(data, events=Events.concat([before, replace(after, item=item, user=after.user[::-1].copy())]))


def tried(tuned, *parts):
    """The figures without the clock."""
    return [
        (made["what"], made["value"], made["gain"], made["kept"])
        for made in tuned.document["tried"]
        if not parts or made["part"] in parts
    ]


def test_events_from_a_cut_on_change_nothing_and_events_before_it_do(tune, data):
    cuts = train.Cuts.of(data, parse(tomllib.loads(TEXT)))
    whole = tune()
    assert tried(whole) == tried(tune(data=with_another_future(data, cuts.test)))
    lists = tried(whole, "channels", "merge")
    assert lists == tried(tune(data=with_another_future(data, cuts.rank)), "channels", "merge")
    assert lists != tried(tune(data=with_another_future(data, (cuts.tune + cuts.rank) // 2)), "channels", "merge")
    ranked = tried(whole, "features", "samples", "rank")
    assert ranked != tried(
        tune(data=with_another_future(data, (cuts.rank + cuts.test) // 2)), "features", "samples", "rank"
    )


def test_parts_come_in_order_and_only_what_gains_is_kept(tune):
    tuned = tune(Asked(trials=4))
    document = tuned.document
    parts = [part["part"] for part in document["parts"]]
    assert [part for part in parts if part != "check"] == ["channels", "merge", "features", "samples", "rank"]
    assert (document["left"], document["stopped"]) == ([], False)
    assert all(made["gain"] > made["error"] for made in document["tried"] if made["kept"])
    for part in document["parts"]:
        assert part["after"] - part["before"] == pytest.approx(part["gain"], abs=2e-6)
    whats = [made["what"] for made in document["tried"]]
    assert {"recall.als added", "recall.fresh added", "recall.cf left out", "merge: type = quota"} <= set(whats)
    assert {"features: context added", "features: recency left out", "features: counts left out"} <= set(whats)
    assert {made["section"] for made in document["tried"]} >= {"recall.cf", "merge", "samples", "rank"}
    for section in ("recall.cf", "merge", "samples", "rank"):
        assert sum(made["section"] == section for made in document["tried"]) <= 4
    assert "recall.repeat added" not in whats  # what was seen is not shown


def test_the_recipe_is_written_back_with_its_comments_and_what_was_kept(tune, monkeypatch):
    monkeypatch.setattr(_climb, "surely_better", lambda new, old, *more: np.nanmean(new[0]) > np.nanmean(old[0]))
    tuned = tune(Asked(trials=4), name="whole-tuned")
    assert {made["part"] for made in tuned.document["tried"] if made["kept"]} >= {"channels", "features"}
    tables = tomllib.loads(tuned.text)
    parse(tables)
    assert tables["name"] == "whole-tuned"
    assert "# all of it" in tuned.text
    head = [line for line in tuned.text.splitlines() if line.startswith("# tune: ")]
    said = " ".join(line.removeprefix("# tune: ") for line in head)
    for part in tuned.document["parts"]:
        assert f"{part['part']}: {part['metric']} {part['before']:.4f} -> {part['after']:.4f}" in said
    original = tomllib.loads(TEXT)
    assert {k: v for k, v in tables.items() if k not in (*SECTIONS, "name")} == {
        k: v for k, v in original.items() if k not in (*SECTIONS, "name")
    }
    changed = {key for key in SECTIONS if tables.get(key) != original.get(key)}
    kept = {made["part"].partition(".")[0] for made in tuned.document["tried"] if made["kept"]}
    parts = {"recall": "channels", "merge": "merge", "features": "features", "samples": "samples", "rank": "rank"}
    assert {parts[key] for key in changed} <= kept


def test_a_second_call_goes_on_and_tries_nothing_twice(tune):
    first = tune(Asked(trials=2))
    second = tune(Asked(trials=4), earlier=first)
    before, after = first.document["tried"], second.document["tried"]
    assert after[: len(before)] == before
    assert len(after) > len(before)
    searched = [(made["section"], json.dumps(made["params"], sort_keys=True)) for made in after if made["section"]]
    assert len(searched) == len(set(searched))
    others = [made["key"] for made in after if made["section"] is None]
    assert len(others) == len(set(others))
    assert all(sum(made["section"] == name for made in after) <= 4 for name in ("recall.cf", "samples", "rank"))
    third = tune(Asked(trials=4), earlier=second)
    assert not [made for made in third.document["tried"][len(after) :] if made["section"] is not None]
    through_json = tuning.Tuned(json.loads(json.dumps(first.document)), first.text)
    assert tried(tune(Asked(trials=4), earlier=through_json)) == tried(second)


def test_what_was_tried_on_something_else_is_not_gone_on_from(tune):
    first = tune()
    assert first.goes_on(TEXT)
    assert first.goes_on(first.text)
    assert first.goes_on(TEXT.replace('"whole"', '"another name"'))
    assert not first.goes_on(TEXT.replace("moments = 6", "moments = 7"))
    assert not tuning.Tuned(first.document, first.text + "# mine\n").goes_on(TEXT)
    for asked, log, said in (
        (ONE, "another log", "the log has changed"),
        (replace(ONE, metric="ndcg@3"), "a log", "--metric was another"),
        (replace(ONE, seed=5), "a log", "--seed was"),
    ):
        with pytest.raises(InputError, match=said):
            tune(asked, log=log, earlier=first)
    with pytest.raises(InputError, match="not written by this version"):
        tune(earlier=tuning.Tuned({**first.document, "tried": [{"a": 1}]}, first.text))


def test_control_c_keeps_what_was_found_and_the_next_call_does_the_rest(tune, monkeypatch):
    attempt, calls = Climb.attempt, []

    def interrupted(self, what, tables):
        calls.append(what)
        if what.startswith("features"):
            raise KeyboardInterrupt
        return attempt(self, what, tables)

    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(Climb, "attempt", interrupted)
        stopped = tune(keep=seen.append)
    assert stopped.document["stopped"]
    assert stopped.document["left"] == ["features", "samples", "rank"]
    assert [len(one.document["tried"]) for one in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].document["tried"] == stopped.document["tried"]
    rest = tune(earlier=stopped)
    assert {made["part"] for made in rest.document["tried"][len(seen) :]} >= {"features", "samples", "rank"}
    assert not rest.document["stopped"]


def test_a_short_time_measures_nothing_but_what_there_is(tune):
    tuned = tune(Asked(seconds=1e-9))
    assert [(part["part"], part["tried"]) for part in tuned.document["parts"]] == [("channels", 0), ("merge", 0)]
    assert tuned.document["left"] == ["features", "samples", "rank"]
    assert tomllib.loads(tuned.text) == tomllib.loads(TEXT)


def test_time_ends_a_part_at_its_share(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    record = Record("", "", "ndcg@10", 0, lambda document, tables: None)
    passes = Passes({}, {}, record, 0, end=200.0)
    parts = list(SHARES)
    assert sum(SHARES.values()) == pytest.approx(1)
    climb = passes._climb("channels", None, np.zeros(1), LISTS, passes._share("channels", parts))
    assert climb.until == pytest.approx(135)
    now[0] = 110.0  # it ended early: what it left goes to the others
    climb = passes._climb("merge", None, np.zeros(1), LISTS, passes._share("merge", parts))
    assert climb.until == pytest.approx(110 + 90 * 0.1 / 0.65)
    assert passes._share("rank", parts) == pytest.approx(1)


def test_a_step_must_gain_more_than_its_error_and_lose_nothing_else():
    users = np.repeat(np.arange(20), 2)
    noise = np.random.default_rng(0).normal(0, 0.01, 40)
    old = np.full(40, 0.5)
    assert surely_better((old + 0.02 + noise,), (old,), users)
    assert not surely_better((old + noise - noise.mean(),), (old,), users)
    assert not surely_better((old,), (old,), users)
    assert not surely_better((old + 0.02,), (old,), np.zeros(40))  # one user says nothing
    small = old + 0.003 + noise
    assert surely_better((small,), (old,), users)
    assert not surely_better((small,), (old,), users, 20)  # the best of twenty that are worth nothing looks so
    lost, found = old - 0.02, old + 0.02
    assert surely_better((found, old), (old, old), users)
    assert not surely_better((old, found), (old, old), users)  # any channel finds some
    assert not surely_better((lost, found), (old, old), users)
    assert not surely_better((found, lost), (old, old), users)


def test_tries_in_vain_are_counted_since_the_last_that_was_kept():
    record = Record("", "", "ndcg@10", 0, lambda document, tables: None)
    for part, section, kept in (
        ("channels", None, False),
        ("channels", None, True),
        ("channels", None, False),
        ("channels", "recall.cf", False),
        ("merge", None, False),
    ):
        record.add(Try(part, "", "", 0.1, 0.0, 0.0, kept, 0.0, None, section, {} if section else None), {})
    counts = [record.in_vain(*one) for one in (("channels", None), ("channels", "recall.cf"), ("merge", None))]
    assert counts == [1, 1, 1]
    assert record.in_vain("rank", "rank") == 0


def test_a_channel_that_is_missing_is_added(shop, shortlist_command, tmp_path):
    """In the shop users of one parity take items of that parity: what is popular alone cannot know."""
    text = (shop / "shop.toml").read_text().replace('[recall.cf]\ntype = "item_cf"\n', "")
    (tmp_path / "hot.toml").write_text(text)
    code, out, err = shortlist_command("tune", tmp_path / "hot.toml", "--data", shop, "--trials", 1)
    assert code == 0, err
    tables = tomllib.loads((tmp_path / "hot-tuned.toml").read_text())
    assert set(tables["recall"]) - {"hot"}
    document = json.loads((tmp_path / "hot-tuned.json").read_text())
    assert document["parts"][0]["after"] > document["parts"][0]["before"] + 0.1
    assert "added" in out


def test_channels_and_merge_that_rank_worse_are_taken_back(tune, monkeypatch):
    measure = Rows.measure

    def worse(self, recipe, name=None):
        (values,) = measure(self, recipe, name)
        return (values * (0.5 if "added" in recipe.recall else 1.0),)

    def adds(climb, lists):
        added = {**climb.tables["recall"], "added": {"type": "svd"}}
        climb.tables = {**climb.tables, "recall": added}
        climb.kept.append("recall.added added")

    monkeypatch.setattr(Rows, "measure", worse)
    monkeypatch.setattr(Rows, "served", lambda self, recipe, value: value)
    monkeypatch.setattr(_passes, "tune_channels", adds)
    said = []
    with listening(lambda name, fields: said.append(fields.get("message", ""))):
        tuned = tune()
    (check,) = [part for part in tuned.document["parts"] if part["part"] == "check"]
    assert check["gain"] < 0
    assert check["kept"] == []
    assert "added" not in tomllib.loads(tuned.text)["recall"]
    assert any(line.startswith("channels and merge: 1 changes are taken back, ndcg@10 -0.") for line in said)


def test_only_as_many_changes_are_taken_back_as_it_takes(tune, monkeypatch):
    measure, adds = Rows.measure, ("svd", "als", "ease", "swing")

    def worse(self, recipe, name=None):
        (values,) = measure(self, recipe, name)
        return (values * (0.5 if "als" in recipe.recall else 1.0),)

    def add(climb, lists):
        for kind in adds:
            climb.tables = {**climb.tables, "recall": {**climb.tables["recall"], kind: {"type": kind}}}
            climb.kept.append(f"recall.{kind} added")
            climb.steps.append(climb.tables)

    monkeypatch.setattr(Rows, "measure", worse)
    monkeypatch.setattr(Rows, "served", lambda self, recipe, value: value)
    monkeypatch.setattr(_passes, "tune_channels", add)
    monkeypatch.setattr(_passes, "tune_merge", lambda climb, lists: None)
    tuned = tune()
    checks = [part for part in tuned.document["parts"] if part["part"] == "check"]
    assert [check["kept"] for check in checks[:2]] == [[], []]  # four changes, then two: als is among them
    assert len(checks) == 3
    kept = {"svd"} if checks[2]["kept"] else set()
    assert set(tomllib.loads(tuned.text)["recall"]) == {"cf", "hot"} | kept


def test_what_was_not_checked_is_checked_by_the_next_call(tune, monkeypatch):
    def adds(climb, lists):
        climb.tables = {**climb.tables, "recall": {**climb.tables["recall"], "added": {"type": "svd"}}}
        climb.kept.append("recall.added added")

    monkeypatch.setattr(_passes, "tune_channels", adds)
    first = tune(Asked(seconds=1e-9))
    assert "added" in tomllib.loads(first.text)["recall"]
    monkeypatch.setattr(_passes, "tune_channels", lambda climb, lists: None)
    second = tune(earlier=first)
    assert [part["part"] for part in second.document["parts"]].count("check") == 1


def test_what_takes_too_long_on_a_large_log_is_not_tried():
    assert channels.families(100, 1000) == list(channels.FAMILIES)
    assert set(channels.FAMILIES) - set(channels.families(10_000, 1000)) == {"ease"}
    assert set(channels.FAMILIES) - set(channels.families(100, 1_000_000)) == {"item2vec"}


def test_channels_of_a_large_log_learn_from_its_latest_events(data):
    some = channels.latest(data, 500)
    assert 500 <= len(some.events) < 520
    assert some.events.time.max() == data.events.time.max()
    assert channels.latest(data, 10_000) is data


@pytest.fixture(scope="module")
def schedule(data):
    recipe = parse(tomllib.loads(TEXT))
    schedule = train.Schedule.of(recipe, data)
    return schedule.until(schedule.cuts.test)


def with_sections(**sections):
    return parse({**tomllib.loads(TEXT), **sections})


def test_columns_left_out_are_worth_what_samples_without_them_are(schedule):
    features = tomllib.loads(TEXT)["features"]
    whole = Rows(schedule, with_sections(), Metric("ndcg", 10), [{"type": "context"}])
    for some in (features, features[:1], features[1:], [features[0], features[2]], [*features, {"type": "context"}]):
        recipe = with_sections(features=some)
        alone = Rows(schedule, recipe, Metric("ndcg", 10))
        np.testing.assert_allclose(whole.measure(recipe)[0], alone.measure(recipe)[0], atol=1e-6)
    assert [{name.partition(".")[0] for name in whole.makes(n)} for n in (1, 2)] == [{"recency"}, {"counts"}]
    with pytest.raises(InputError, match="features: affinity has no columns here"):
        whole.measure(with_sections(features=[{"type": "affinity"}]))


def test_the_ranker_is_worth_what_fit_says_of_it(schedule):
    rows, pipeline = Rows(schedule, with_sections(), Metric("ndcg", 10)), schedule.recipe.pipeline()
    schedule.merge(pipeline)
    means = schedule.rankers(pipeline)[1].means
    recipe = with_sections()
    (values,) = rows.measure(recipe)
    assert np.nanmean(values) == pytest.approx(means["gbdt"], abs=1e-6)
    served = rows.served(recipe, values)
    assert np.nanmean(served) == pytest.approx(max(means.values()), abs=1e-6)
    assert rows.served(with_sections(serve="rank"), values) is values


def test_rankers_that_nothing_tells_apart_are_worth_their_average(schedule):
    forest = tomllib.loads(TEXT)["rank"]
    recipe = with_sections(rank={name: {**forest, "seed": seed} for seed, name in enumerate("ab")})
    both, pipeline = replace(schedule, recipe=recipe), recipe.pipeline()
    both.merge(pipeline)
    means = both.rankers(pipeline)[1].means
    rows = Rows(both, recipe, Metric("ndcg", 10))
    assert np.nanmean(rows.measure(recipe)[0]) == pytest.approx(means["a+b"], abs=1e-6)
    assert np.nanmean(rows.measure(recipe, "b")[0]) == pytest.approx(means["b"], abs=1e-6)


def test_other_samples_are_judged_by_the_same_questions(schedule):
    rows = Rows(schedule, with_sections(), Metric("ndcg", 10))
    base = rows._made
    for samples in ({"negatives": 3, "moments": 6}, {"negatives": 10, "moments": 2}):
        other = rows._sampled(with_sections(samples=samples))
        assert other.valid is base.valid
        assert other.questions is base.questions
        assert len(other.train) < len(base.train)
        assert other.train.requests.time.max() < base.questions.requests.time.min()
    faded = rows._sampled(with_sections(samples={"negatives": 10, "moments": 6, "half_life": "1d"}))
    assert faded.train.candidates is base.unweighted.candidates
    assert faded.train.weight.std() > 0
    recipe = with_sections(samples={"negatives": 3, "moments": 6})
    before = rows.measure(recipe)[0]
    rows.keep(recipe)
    np.testing.assert_array_equal(rows.measure(recipe)[0], before)
    assert len(rows._made.train) < len(base.train)


def test_lists_are_judged_both_ways_and_a_channel_is_fitted_once(schedule, monkeypatch):
    lists = Lists(schedule, 0, Metric("ndcg", 10), ranked=True)
    recipe, fits = with_sections(), []
    cls = type(recipe.component("recall", "recall.cf", recipe.recall["cf"]))
    fit = cls.fit
    monkeypatch.setattr(cls, "fit", lambda self, data: fits.append(1) or fit(self, data))
    order, found = lists.measure(recipe)
    assert len(order) == len(found) == len(lists.users) == sum(len(half.questions) for half in lists._halves)
    assert lists.metrics(recipe) == ["ndcg@10", "recall@20"]
    lists.measure(with_sections(merge={"type": "reciprocal_rank", "k": 5}))
    lists.measure(with_sections(recall={"cf": recipe.recall["cf"]}))
    assert len(fits) == 1
    early, late = lists._halves
    pipeline = recipe.pipeline()
    pipeline.fit_recall(early.known)
    rows = [
        {name: channel.retrieve(half.questions.requests, half.state, 12) for name, channel in pipeline.recall.items()}
        for half in (early, late)
    ]
    merge = recipe.component("merge", "merge", recipe.merge).fit(rows[0], early.questions.targets)
    expected = Metric("ndcg", 10)(merge.merge(rows[1], len(late.questions)), late.questions)
    np.testing.assert_allclose(order[len(early.questions) :], expected)


def test_the_rows_of_few_channels_are_held(schedule):
    lists = Lists(schedule, 0, Metric("ndcg", 10), ranked=False)
    for number in range(1, 25):
        lists.measure(with_sections(recall={"cf": {"type": "item_cf", "neighbours": number}}))
    assert len(lists._found) == 16


def test_without_a_ranker_or_a_window_for_it_lists_are_tuned_alone(tune):
    text = TEXT.replace(", rank = 0.7", "")
    assert [part["part"] for part in tune(text=text).document["parts"]] == ["channels", "merge"]
    text = TEXT.replace("tune = 0.5, ", "")
    said = []
    with listening(lambda name, fields: said.append(fields.get("message", ""))):
        parts = [part["part"] for part in tune(text=text).document["parts"]]
    assert parts == ["features", "samples", "rank"]
    assert "data.split has no tune: channels and merge are left as they are" in said
    with pytest.raises(InputError, match=r"data\.split\.tune: missing"):
        tune(text=TEXT.replace("tune = 0.5, rank = 0.7, ", ""))


@pytest.mark.parametrize("teacher", ["labels", "rank"])
def test_what_a_rule_or_the_pre_ranker_needs_stays(tune, teacher):
    text = TEXT + f'[prerank]\ntype = "logistic"\nreads = ["recency"]\nteacher = "{teacher}"\n'
    whats = {made["what"] for made in tune(text=text).document["tried"]}
    assert "features: recency left out" not in whats
    assert "features: counts left out" in whats


TABLES = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), st.sampled_from(["a", "b c"]), st.floats(-2, 2)),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3),
    max_leaves=8,
)
LISTED = st.lists(st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), min_size=1), min_size=1, max_size=4)


@given(
    st.dictionaries(st.sampled_from("pqrs"), TABLES, max_size=4),
    st.dictionaries(st.sampled_from("pqrs"), TABLES, max_size=4),
    LISTED,
    LISTED,
)
def test_changes_turn_one_recipe_into_another(old, new, one, other):
    import tomlkit

    old, new = {**old, "list": one}, {**new, "list": other}
    text = tomlkit.dumps(old)
    found = tomllib.loads(rewritten(text, changes(copy.deepcopy(old), new)))
    listed = found.pop("list")
    assert sorted(sorted(table.items()) for table in listed) == sorted(sorted(table.items()) for table in other)
    assert found == {key: value for key, value in new.items() if key != "list"}
    assert changes(old, old) == {}


def test_a_key_is_the_same_whatever_the_order_and_the_name():
    assert digest({"name": "a", "x": {"b": 1, "c": 2}}) == digest({"x": {"c": 2, "b": 1}, "name": "b"})
    assert digest({"x": 1, "y": 2}, ["x"]) == digest({"x": 1, "y": 3}, ["x"]) != digest({"x": 2}, ["x"])
