"""The funnel under every way it can be asked: the last event, a random share, rolling windows, samples of their own."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from shortlist import report, train, tuning
from shortlist.cli import leaderboards, terminal
from shortlist.component import InputError
from shortlist.data import held
from shortlist.data.held import TEST, VALIDATION
from shortlist.evaluate import evaluate
from shortlist.face.log import read as read_log
from shortlist.face.run import Run, fit
from shortlist.progress import listening
from shortlist.recipe import parse
from shortlist.testing.worlds import MINUTE, START, VIEW, random_log
from shortlist.train import rankers as ranking
from shortlist.types import keys

HOUR = 60 * MINUTE
TABLES = {
    "name": "asked",
    "data": {"source": "tables", "events": {"path": "log.csv"}},
    "recall": {"cf": {"type": "item_cf"}, "hot": {"type": "popular", "half_life": "7d"}},
    "merge": {"type": "weighted"},
    "features": [{"type": "channel"}, {"type": "counts", "windows": ["7d"]}, {"type": "recency"}],
    "rank": {"type": "logistic"},
    "samples": {"negatives": 10},
    "evaluate": {"requests": "last", "k": [3, 10]},
}
RANDOM = {"data": {**TABLES["data"], "split": {"random": 0.2}}, "evaluate": {"k": [3, 10]}}
ROLLING = {"data": {**TABLES["data"], "split": {"rolling": 3, "window": "2d"}}, "evaluate": {"k": [3, 10]}}


@pytest.fixture(scope="module")
def data():
    log = random_log(4, users=60, items=40, events=2400, behaviours=VIEW, span=1000, unit=HOUR, unknown=0.0)
    log = replace(log, events=replace(log.events, time=log.events.time + START))
    return replace(log, available_from=train.schedule.held.available_from(log.events, log.items))


def recipe_of(**changed):
    return parse({**TABLES, **changed})


def learned(recipe, data):
    """Everything that is learned from the log and what is said of it while it is learned."""
    (schedule,), pipeline = train.Schedule.all(recipe, data), recipe.pipeline()
    schedule.merge(pipeline)
    rankers, said, _ = schedule.rankers(pipeline)
    schedule.refit(pipeline)
    parts = [pipeline.merge, *pipeline.recall.values(), *pipeline.features, *rankers.values()]
    return [part.state() for part in parts], said.means, pipeline, schedule


def assert_same(one, other):
    assert one[1] == other[1]
    for mine, theirs in zip(one[0], other[0], strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


def differ(one, other):
    return any(
        mine.keys() != theirs.keys() or any(not np.array_equal(mine[name], theirs[name]) for name in mine)
        for mine, theirs in zip(one[0], other[0], strict=True)
    )


def with_other_items(data, rows):
    """The same log, other items in some rows."""
    item = data.events.item.copy()
    item[rows] = (item[rows] + 7) % data.n_items
    return replace(data, events=replace(data.events, item=item))


# nobody sees what is held out


@pytest.mark.parametrize("changed", [{}, RANDOM], ids=["last", "random"])
def test_the_events_asked_for_change_nothing_that_is_learned(data, changed):
    recipe = recipe_of(**changed)
    roles = train.Schedule.of(recipe, data).roles
    assert_same(learned(recipe, data), learned(recipe, with_other_items(data, roles == TEST)))


@pytest.mark.parametrize("changed", [{}, RANDOM], ids=["last", "random"])
def test_the_events_asked_for_are_in_no_list_and_no_column(data, changed):
    """Lists and scores of the test's requests are the same whatever the held-out events are."""
    recipe = recipe_of(**changed)
    _, _, pipeline, schedule = learned(recipe, data)
    other = train.Schedule.of(recipe, with_other_items(data, schedule.roles == TEST)).part("test")
    found = [evaluate(pipeline, part.data, recipe.evaluate, part.opens).rows for part in (schedule.part("test"), other)]
    kept = ["user", "stage", "rank", "item", "score"]
    for rows in found:
        assert len(rows)
    both = [rows.filter(pl.col("rank") > 0).select(kept) for rows in found]
    assert both[0].equals(both[1])


def test_channels_learn_from_validation_events_only_where_they_are_refitted(data):
    roles = held.last(data.events)
    other = with_other_items(data, roles == VALIDATION)
    for refit in (True, False):
        recipe = recipe_of(evaluate={**TABLES["evaluate"], "refit": refit})
        channels = [learned(recipe, log)[2].recall["cf"].state() for log in (data, other)]
        same = all(np.array_equal(channels[0][name], channels[1][name]) for name in channels[0])
        assert same is not refit


def test_without_a_refit_channels_are_those_that_rankers_learned_beside(data):
    recipe = recipe_of(evaluate={**TABLES["evaluate"], "refit": False})
    _, _, pipeline, schedule = learned(recipe, data)
    alone = recipe.pipeline()
    alone.fit_recall(replace(data, events=data.events.take(np.flatnonzero(schedule.roles == 0))))
    for name, channel in pipeline.recall.items():
        for key, array in channel.state().items():
            np.testing.assert_array_equal(array, alone.recall[name].state()[key], err_msg=f"{name}.{key}")


def test_the_history_of_the_test_has_the_validation_event(data):
    """Papers too show a model all of a user's events but the one it is asked for."""
    recipe = recipe_of(evaluate={**TABLES["evaluate"], "refit": False})
    part = train.Schedule.of(recipe, data).part("test")
    roles = held.last(data.events)
    valid = keys(data.events.user[roles == VALIDATION], data.events.item[roles == VALIDATION])
    assert np.isin(valid, keys(part.known.events.user, part.known.events.item)).all()


def test_merge_and_rankers_are_asked_by_different_people(data, monkeypatch):
    asked = []
    found = train.schedule.fit_merge

    def spied(pipeline, recipe, log, state, opens, closes):
        asked.append(set(log.events.between(opens, None).user.tolist()))
        return found(pipeline, recipe, log, state, opens, closes)

    monkeypatch.setattr(train.schedule, "fit_merge", spied)
    made = learned(recipe_of(), data)[3].samples(recipe_of().pipeline())
    people = set(made.train.requests.user.tolist()) | set(made.valid.requests.user.tolist())
    assert (len(asked[0]), len(people)) == (20, 40)
    assert asked[0].isdisjoint(people)


# what is right, by its plain definition


def test_leave_one_out_of_a_popular_channel_is_what_counting_by_hand_says(data):
    recipe = recipe_of(
        recall={"hot": {"type": "popular", "half_life": "none"}},
        merge={"type": "reciprocal_rank"},
        features=[],
        rank={},
    )
    recipe = parse({**recipe.model_dump(mode="json", exclude_unset=True), "rules": [{"type": "seen"}]})
    data = replace(data, events=replace(data.events, time=data.events.time + 30 * MINUTE))  # lists are made on the hour
    _, _, pipeline, schedule = learned(recipe, data)
    part = schedule.part("test")
    document = evaluate(pipeline, part.data, recipe.evaluate, part.opens).document
    log = list(zip(data.events.user.tolist(), data.events.item.tolist(), strict=True))
    last = {user: row for row, (user, _) in enumerate(log)}
    known = [pair for row, pair in enumerate(log) if row != last[pair[0]]]
    counts = np.bincount([item for _, item in known], minlength=data.n_items)
    order = sorted(range(data.n_items), key=lambda item: (-counts[item], item))
    hits, asked = [], 0
    for user, row in last.items():
        seen = {item for who, item in known if who == user}
        if log[row][1] not in seen:  # what is forbidden cannot be right
            asked += 1
            hits.append(log[row][1] in [item for item in order if item not in seen][:10])
    assert document["requests"] == asked
    assert document["targets"] == asked
    assert document["channels"]["hot"]["hit@10"]["mean"] == pytest.approx(np.mean(hits), abs=1e-6)
    assert document["protocol"]["label"] == "not time-true"


def test_a_log_without_times_is_asked_all_the_same(data):
    """Every event at one moment: the order of the log says which is the last."""
    timeless = replace(data, events=replace(data.events, time=np.zeros_like(data.events.time)))
    recipe = recipe_of()
    _, choice, pipeline, schedule = learned(recipe, timeless)
    part = schedule.part("test")
    document = evaluate(pipeline, part.data, recipe.evaluate, part.opens).document
    assert document["requests"] == 60
    assert 0 < choice["logistic"] < 1
    roles, events = held.last(timeless.events), timeless.events
    wanted = set(zip(events.user[roles == TEST].tolist(), events.item[roles == TEST].tolist(), strict=True))
    last = dict(zip(events.user.tolist(), events.item.tolist(), strict=True))
    assert wanted == set(last.items())


@pytest.mark.parametrize("split", [{"tune": 0.6, "rank": 0.7, "test": 0.85}, {"rolling": 2, "window": "2d"}])
def test_a_split_beside_it_is_not_used_and_that_is_told(data, split):
    recipe = recipe_of(data={**TABLES["data"], "split": split})
    assert warnings_of(recipe, data) == ['data.split is not used: evaluate.requests = "last" needs none']
    part, same = (train.Schedule.of(one, data).part("test") for one in (recipe, recipe_of()))
    assert part.opens == same.opens
    np.testing.assert_array_equal(part.data.events.item, same.data.events.item)


def test_people_with_fewer_than_three_events_are_learned_from_and_not_asked(data):
    few = np.flatnonzero(data.events.user != 5)
    mine = np.flatnonzero(data.events.user == 5)[:2]
    log = replace(data, events=data.events.take(np.sort(np.concatenate([few, mine]))))
    part = train.Schedule.of(recipe_of(), log).part("test")
    assert int(np.sum(part.known.events.user == 5)) == 2
    _, _, pipeline, _ = learned(recipe_of(), log)
    document = evaluate(pipeline, part.data, recipe_of().evaluate, part.opens).document
    assert (document["users"], document["dropped_without_target"]) == (59, 1)


# whole runs, on files


@pytest.fixture(scope="module")
def files(shop, tmp_path_factory):
    """The shop's recipe under another protocol, fitted: (folder, fitted, what was said)."""
    made = {}

    def run(name, **changed):
        if name not in made:
            text = (shop / "shop.toml").read_text()
            heard = []
            folder = tmp_path_factory.mktemp(name)
            recipe = parse({**tomllib.loads(text), **changed, "name": name})
            with listening(lambda kind, said: heard.append((kind, said))):
                fitted = train.fit(recipe, root=shop, out=folder)
            report.write(fitted.evaluation, folder / "report.html")
            (folder / "recipe.toml").write_text(_written(text, name, changed))
            made[name] = folder, fitted, heard
        return made[name]

    return run


def _written(text, name, changed):
    lines = text.replace('name = "shop"', f'name = "{name}"')
    if "data" in changed:
        split = changed["data"].get("split")
        written = "" if split is None else "split = " + json.dumps(split).replace(":", " =").replace('"', "", 0)
        for key in split or ():
            written = written.replace(f'"{key}"', key)
        lines = lines.replace("split = { tune = 0.5, rank = 0.6, test = 0.8 }", written)
    if requests := changed.get("evaluate", {}).get("requests"):
        lines = lines.replace("[evaluate]", f'[evaluate]\nrequests = "{requests}"')
    return lines


def under(shop, split, **evaluate):
    data = {
        key: part for key, part in tomllib.loads((shop / "shop.toml").read_text())["data"].items() if key != "split"
    }
    return {
        "data": {**data, **({} if split is None else {"split": split})},
        "evaluate": {"k": [3, 6], "horizon": "30d", **evaluate},
    }


KINDS = {
    "last": (None, {"requests": "last"}),
    "random": ({"random": 0.2}, {}),
    "rolling": ({"rolling": 2, "window": "4d"}, {}),
}


@pytest.fixture(params=KINDS)
def kind(request, files, shop):
    split, evaluate = KINDS[request.param]
    return request.param, *files(request.param, **under(shop, split, **evaluate))


def test_evaluating_the_bundle_again_says_the_same(kind, shop, shortlist_command, tmp_path):
    name, folder, _, _ = kind
    code, _, said = shortlist_command(
        "evaluate",
        folder / "bundle",
        "--data",
        shop,
        "--json",
        tmp_path / "again.json",
        "--rows",
        tmp_path / "r.parquet",
    )
    assert code == 0, said
    first, again = (json.loads(path.read_text()) for path in (folder / "evaluation.json", tmp_path / "again.json"))
    for key in ("slate", "channels", "requests", "users", "targets"):
        assert first[key] == again[key], (name, key)


def test_every_command_works_on_it(kind, shop, shortlist_command, tmp_path):
    _, folder, fitted, _ = kind
    recipe = folder / "recipe.toml"
    for words in (
        ("fit", recipe, "--data", shop, "--out", tmp_path / "run", "--final"),
        ("features", recipe, "--data", shop),
        ("recommend", folder / "bundle", "--user", "u01", "-n", "3"),
        ("report", folder / "bundle", "--out", tmp_path / "page.html"),
        ("compare", folder, tmp_path / "run", "--json", tmp_path / "compared.json", "--html", tmp_path / "both.html"),
    ):
        code, out, said = shortlist_command(*words)
        assert code == 0, (words, out, said)
    compared = json.loads((tmp_path / "compared.json").read_text())
    assert compared["notes"] == []  # the same questions
    (pair,) = compared["pairs"]
    assert pair["stages"]["slate"]["ndcg@3"]["diff"] == pair["only_run"] == pair["only_baseline"] == 0
    document = fitted.evaluation.document
    asked = sum(window["requests"] for window in document.get("windows", [document]))
    assert pair["requests"] == asked
    code, _, said = shortlist_command("evaluate", tmp_path / "run" / "bundle", "--data", shop)
    assert code == 2
    assert "--final" in said


def test_tuning_works_on_it(kind, shop, shortlist_command, tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("tomlkit")
    _, folder, _, _ = kind
    words = ("--channel", "cf", "--merge", "--ranker", "line", "--trials", 2, "--out", tmp_path / "tuned.toml")
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('type = "reciprocal_rank"', 'type = "weighted"'))
    code, out, said = shortlist_command("tune", recipe, "--data", shop, *words)
    assert code == 0, (out, said)
    assert (tmp_path / "tuned.toml").read_text().count("[recall.cf]") == 1
    code, out, said = shortlist_command("tune", recipe, "--data", shop, "--trials", 1, "--out", tmp_path / "whole.toml")
    assert code == 0, (out, said)
    parts = [part["part"] for part in json.loads((tmp_path / "whole.json").read_text())["parts"]]
    assert [part for part in parts if part != "check"] == [
        "channels", "merge", "features", "samples", "rank.trees", "rank.line"
    ]  # fmt: skip
    assert shortlist_command("fit", tmp_path / "whole.toml", "--data", shop, "--out", tmp_path / "run")[0] == 0


def test_it_is_said_to_be_not_time_true_wherever_figures_are_shown(files, shop, shortlist_command, tmp_path):
    for name, requests in (("last", "last"), ("random", "random")):
        folder, fitted, _ = files(name, **under(shop, KINDS[name][0], **KINDS[name][1]))
        assert fitted.evaluation.document["protocol"]["label"] == "not time-true"
        assert fitted.evaluation.document["protocol"]["requests"] == requests
        assert (folder / "report.html").read_text().count("not time-true") >= 2
        assert "not time-true" in shortlist_command("evaluate", folder / "bundle", "--data", shop)[1]
    folder, fitted, _ = files("rolling", **under(shop, *KINDS["rolling"][:1]))
    assert "label" not in fitted.evaluation.document["protocol"]
    assert "not time-true" not in (folder / "report.html").read_text()


def test_other_data_cannot_be_asked_for_its_last_events(files, shop, shortlist_command, tmp_path):
    """Of another log nobody knows which events the bundle has learned."""
    folder, _, _ = files("last", **under(shop, None, requests="last"))
    log = (shop / "log.csv").read_text().splitlines()
    (tmp_path / "log.csv").write_text("\n".join(log[:-5]) + "\n")
    (tmp_path / "items.csv").write_text((shop / "items.csv").read_text())
    code, _, said = shortlist_command("evaluate", folder / "bundle", "--data", tmp_path)
    assert code == 2
    assert "the data is not what this bundle was fitted on" in said


# rolling windows


def test_every_window_is_a_test_of_its_own(files, shop):
    """Each window's figures are those of a recipe that cuts there and whose log ends with it."""
    _, fitted, heard = files("rolling", **under(shop, KINDS["rolling"][0]))
    document = fitted.evaluation.document
    text = (shop / "shop.toml").read_text()
    whole = parse({**tomllib.loads(text), **under(shop, {"rolling": 2, "window": "4d"})})
    data, _ = train.load(whole, shop)
    end, day = int(data.events.time[-1]) + 1, 24 * HOUR
    assert [window["requests"] for window in document["windows"]] == [
        len(
            fitted.evaluation.rows.filter(
                (pl.col("stage") == "asked") & (pl.col("time") + 1 >= opens) & (pl.col("time") + 1 < opens + 4 * day)
            )
        )
        for opens in (end - 8 * day, end - 4 * day)
    ]
    for schedule, window, opens in zip(
        train.Schedule.all(whole, data), document["windows"], (end - 8 * day, end - 4 * day), strict=True
    ):
        log = data.until(opens + 4 * day)
        before = data.until(opens)
        cuts = train.Cuts(before.cut(7 / 9), before.cut(8 / 9), opens)
        assert schedule.cuts == cuts
        pipeline = whole.pipeline()
        alone = train.Schedule(whole, log, log.state(), cuts)
        alone.merge(pipeline)
        rankers, choice, chosen = alone.rankers(pipeline)
        alone.refit(pipeline)
        found = evaluate(
            pipeline, log, whole.evaluate, opens, opens + 4 * day, rankers=rankers, seed=whole.seed
        ).document
        assert found["slate"] == window["slate"]
        assert found["channels"] == window["channels"]
        assert (window["ranker"], window["validation"]) == (chosen, pytest.approx(choice.means, abs=1e-6))
    assert fitted.manifest["fitted_until"] == end - 4 * day - 1  # the bundle is the last window's
    assert [said["title"] for kind, said in heard if kind == "start" and said["title"].startswith("window")] == [
        f"window {n} of 2, from {window['opens']}" for n, window in enumerate(document["windows"], 1)
    ]


def test_the_spread_over_windows_is_that_of_their_means(files, shop):
    document = files("rolling", **under(shop, KINDS["rolling"][0]))[1].evaluation.document
    means = [window["slate"]["ndcg@3"]["mean"] for window in document["windows"]]
    over = document["over_windows"]["slate"]["ndcg@3"]
    assert over["mean"] == pytest.approx(np.mean(means), abs=1e-6)
    assert over["deviation"] == pytest.approx(np.std(means, ddof=1), abs=1e-6)
    half = 12.706204736 * np.std(means, ddof=1) / 2**0.5  # Student's t of one degree of freedom
    assert (over["low"], over["high"]) == pytest.approx((np.mean(means) - half, np.mean(means) + half), abs=1e-5)
    assert (over["least"], over["most"], over["windows"]) == (min(means), max(means), 2)
    differences = [window["paired"]["cf"]["ndcg@3"]["diff"] for window in document["windows"]]
    assert document["over_windows"]["paired"]["cf"]["ndcg@3"]["mean"] == pytest.approx(np.mean(differences), abs=1e-6)


def test_the_spread_is_in_the_terminal_and_on_the_page(files, shop):
    folder, fitted, _ = files("rolling", **under(shop, KINDS["rolling"][0]))
    document = fitted.evaluation.document
    over, paired = (document["over_windows"][name] for name in ("slate", "paired"))
    with terminal.out.capture() as told:
        terminal.out.print(leaderboards.windows(document))
    lines = {line.split()[0]: line for line in told.get().splitlines() if line.strip()}
    for key in ("mean", "deviation", "least", "most"):
        assert f"{over['ndcg@3'][key]:.3f}".removeprefix("0") in lines["slate"]
    assert f"{paired['cf']['ndcg@3']['mean']:+.3f}".replace("0.", ".") in lines["cf"]
    page = (folder / "report.html").read_text()
    section = page[page.index("Over several windows") :]
    assert f"{over['ndcg@3']['mean']:.3f}" in section
    assert all(window["opens"][:10] in section for window in document["windows"])
    alone, _, _ = files("last", **under(shop, None, requests="last"))
    assert "Over several windows" not in (alone / "report.html").read_text()


def test_the_spread_is_a_frame_in_a_notebook(files, shop):
    folder, fitted, _ = files("rolling", **under(shop, KINDS["rolling"][0]))
    frame = Run(folder).windows()
    (slate,) = frame.filter((pl.col("row") == "slate") & (pl.col("metric") == "ndcg@3")).to_dicts()
    assert slate["mean"] == fitted.evaluation.document["over_windows"]["slate"]["ndcg@3"]["mean"]
    assert {"cf", "hot", "merge", "rank", "slate"} <= set(frame["row"])
    last, _, _ = files("last", **under(shop, None, requests="last"))
    with pytest.raises(InputError, match="one test window"):
        Run(last).windows()


def test_a_log_from_a_notebook_is_asked_for_its_last_events(shop, tmp_path):
    """The cut that a log brings with it makes room for a question without one."""
    log = read_log(shop / "log.csv")
    recipe = {"name": "n", "recall": {"hot": {"type": "popular"}}, "evaluate": {"requests": "last"}}
    run = fit(recipe, data=log, out=tmp_path / "n", progress=False)
    assert run.evaluation["protocol"]["label"] == "not time-true"


def test_later_windows_change_nothing_in_earlier_ones(data):
    recipe = recipe_of(**ROLLING)
    first, *_ = train.Schedule.all(recipe, data)
    changed = with_other_items(data, np.flatnonzero(data.events.time >= first.cuts.test + 2 * 24 * HOUR))
    again, *_ = train.Schedule.all(recipe, changed)
    for name in ("user", "item", "time"):
        np.testing.assert_array_equal(getattr(first.data.events, name), getattr(again.data.events, name))
    assert first.cuts == again.cuts


def test_what_is_tuned_before_rolling_windows_has_seen_none_of_them(data):
    recipe = recipe_of(**ROLLING)
    schedule = train.Schedule.of(recipe, data)
    part = schedule.until(schedule.cuts.merge_closes).part("tune")
    assert schedule.cuts == train.Schedule.all(recipe, data)[0].cuts
    assert part.data.events.time[-1] < schedule.cuts.test
    assert schedule.cuts.test == int(data.events.time[-1]) + 1 - 6 * 24 * HOUR


def test_windows_longer_than_the_log_are_refused(data):
    recipe = recipe_of(**{**ROLLING, "data": {**TABLES["data"], "split": {"rolling": 30, "window": "2d"}}})
    with pytest.raises(InputError, match=r"data\.split\.rolling: 30 windows of 2d begin at .* the log runs from"):
        train.Schedule.all(recipe, data)


# samples asked otherwise than the test


@pytest.mark.parametrize(("samples", "asked", "once"), [("replay", "start", False), ("start", "replay", True)])
def test_a_ranker_may_learn_from_other_requests_than_it_is_asked(data, samples, asked, once):
    recipe = recipe_of(
        data={**TABLES["data"], "split": {"tune": 0.6, "rank": 0.7, "test": 0.85}},
        samples={**TABLES["samples"], "requests": samples},
        evaluate={"k": [3, 10], "requests": asked},
    )
    plain = parse(
        {**recipe.model_dump(mode="json", exclude_unset=True), "samples": TABLES["samples"],
         "evaluate": {"k": [3, 10], "requests": samples}}
    )  # fmt: skip
    schedule = train.Schedule.of(recipe, data)
    made, same = (train.Schedule.of(one, data).samples(one.pipeline()) for one in (recipe, plain))
    np.testing.assert_array_equal(made.train.requests.time, same.train.requests.time)
    np.testing.assert_array_equal(made.train.candidates.item, same.train.candidates.item)
    assert (len(np.unique(made.train.requests.time)) == 1) is once
    assert len(np.unique(made.questions.requests.time)) == 1  # who is asked at the start is judged there
    pipeline = recipe.pipeline()
    _, _, _ = schedule.merge(pipeline), schedule.rankers(pipeline), schedule.refit(pipeline)
    document = evaluate(pipeline, data, recipe.evaluate, schedule.cuts.test).document
    assert document["protocol"]["requests"] == asked
    assert (document["requests"] == document["users"]) is not once


# warnings


def warnings_of(recipe, data):
    heard = []
    with listening(lambda kind, said: heard.append(said["message"]) if kind == "warning" else None):
        train.Schedule.all(recipe, data)
    return heard


def test_a_cut_on_a_pile_of_equal_times_is_told(data):
    split = {"tune": 0.6, "rank": 0.7, "test": 0.85}
    recipe = recipe_of(data={**TABLES["data"], "split": split}, evaluate={"k": [3, 10]})
    apart = replace(data, events=replace(data.events, time=START + np.arange(len(data.events))))
    assert warnings_of(recipe, apart) == []
    time = apart.events.time.copy()
    time[2000:2100] = time[2000]
    piled = replace(apart, events=replace(apart.events, time=time))
    (said,) = warnings_of(recipe, piled)
    who = len(set(data.events.user[2000:2100].tolist()))
    shares = f"100 events (4 %) of {who} users ({100 * who / 60:.0f} %)"
    assert said == f"data.split.test falls on a pile of equal times: {shares}"
    assert warnings_of(recipe_of(), piled) == []


def test_a_pile_of_few_events_but_many_users_is_told(data):
    """Two events of 400 are no pile by themselves; of two of the 60 users they are."""
    split = {"test": 0.85}
    recipe = recipe_of(data={**TABLES["data"], "split": split}, evaluate={"k": [3, 10]}, rank={})
    time = START + np.arange(len(data.events))
    at = int(0.85 * len(time))
    time[at + 1] = time[at]
    user = data.events.user.copy()
    user[at : at + 2] = [1, 2]
    piled = replace(data, events=replace(data.events, time=time, user=user))
    (said,) = warnings_of(recipe, piled)
    assert said == "data.split.test falls on a pile of equal times: 2 events (0 %) of 2 users (3 %)"


def test_few_people_are_told_in_test_and_validation(data):
    recipe = recipe_of()
    heard = []
    with listening(lambda kind, said: heard.append(said["message"]) if kind == "warning" else None):
        _, _, pipeline, schedule = learned(recipe, data)
        part = schedule.part("test")
        evaluate(pipeline, part.data, recipe.evaluate, part.opens)
    assert heard == [
        "the merge learns from 20 users (20 questions): NDCG@10 is known to ± .02 at best",
        "rankers are chosen by 8 users (8 questions): NDCG@10 is known to ± .02 at best",
        "the test asks 60 users (60 questions): NDCG@10 is known to ± .02 at best",
    ]


def test_many_people_are_not_warned_of():
    log = random_log(4, users=1800, items=40, events=13000, behaviours=VIEW, span=1000, unit=HOUR, unknown=0.0)
    log = replace(log, available_from=np.full(40, -1))
    heard = []
    with listening(lambda kind, said: heard.append(said["message"]) if kind == "warning" else None):
        learned(recipe_of(), log)
    assert not [line for line in heard if "users" in line and not line.startswith("rank: NDCG@10")]


def test_the_samples_of_held_out_events_say_what_is_missing(data):
    few = replace(data, events=data.events.take(np.flatnonzero(data.events.user < 4)))
    recipe = recipe_of()
    pipeline = recipe.pipeline()
    schedule = train.Schedule.of(recipe, few)
    schedule.merge(pipeline)
    with pytest.raises(InputError, match="requests with targets held out for rankers, expected at least 5"):
        ranking.samples_for_rankers(pipeline, recipe, *vars_of(schedule.part("rank")))


def vars_of(part):
    return part.data, part.state, part.opens, part.closes


def test_tuning_sees_no_event_that_is_asked_for(shop, tmp_path):
    """The values of all trials are the same whatever everybody's last events are."""
    pytest.importorskip("optuna")
    pytest.importorskip("tomlkit")
    text = (shop / "shop.toml").read_text().replace('type = "reciprocal_rank"', 'type = "weighted"')
    text = text.replace("split = { tune = 0.5, rank = 0.6, test = 0.8 }\n", "")
    text = text.replace("[evaluate]", '[evaluate]\nrequests = "last"')
    recipe = parse(tomllib.loads(text))
    data, _ = train.load(recipe, shop)
    held_out = held.last(data.events) == TEST
    users, items = (np.array(ids.ids) for ids in (data.user_ids, data.item_ids))
    told, whole = [], []
    for name, item in (
        ("same", data.events.item),
        ("other", np.where(held_out, (data.events.item + 5) % 24, data.events.item)),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "items.csv").write_text((shop / "items.csv").read_text())
        frame = {"user": users[data.events.user], "item": items[item], "value": data.events.value}
        pl.DataFrame({**frame, "time": data.events.time // 1_000_000}).write_csv(folder / "log.csv")
        asked = tuning.Asked(channels=("cf",), merge=True, rankers=("line",), trials=3)
        told.append(tuning.tune(recipe, text, asked, root=folder).document["sections"])
        whole.append(tuning.tune(recipe, text, tuning.Asked(trials=1), root=folder).document["tried"])
    assert [(made["what"], made["value"]) for made in whole[0]] == [(made["what"], made["value"]) for made in whole[1]]
    assert {made["part"] for made in whole[0]} >= {"channels", "merge", "features", "samples", "rank.line"}
    for one, other in zip(*told, strict=True):
        assert [trial["value"] for trial in one["trials"]] == [trial["value"] for trial in other["trials"]]
        assert one["trials"][0]["value"] > 0
