"""A recipe's mistakes are found when it is read, at their exact path."""

from __future__ import annotations

import copy
import re
import tomllib

import pytest

from shortlist.component import InputError
from shortlist.recipe import Recipe, parse, read

GOOD = tomllib.loads("""
name = "r"
seed = 4
threads = 2
[data]
source = "tables"
events = { path = "log.csv" }
[recall.cf]
type = "item_cf"
[recall.mf]
type = "als"
seed = 9
[fallback]
type = "popular"
[[features]]
type = "channel"
[[rules]]
type = "seen"
[[rules]]
type = "mmr"
by = ["genre"]
[[rules]]
type = "mmr"
by = ["brand"]
[rank]
type = "gbdt"
""")


def changed(path: str, value: object) -> dict:
    """GOOD with one thing changed."""
    tables = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    table = tables
    for part in parents:
        table = table[int(part)] if isinstance(table, list) else table.setdefault(part, {})
    table[last] = value
    return tables


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("recall.cf.neighbors", 3, r"^recall\.cf\.neighbors: unknown; did you mean neighbours\?$"),
        ("recall.cf.neighbours", 0, r"^recall\.cf\.neighbours: input should be greater than or equal to 1; found 0$"),
        ("recall.cf.neighbours", "many", r"^recall\.cf\.neighbours: .*found 'many'$"),
        ("recall.cf.type", "itemcf", r"^recall\.cf\.type: .*did you mean item_cf\?"),
        ("recall.cf", {"neighbours": 3}, r"^recall\.cf: expected a table with a type, one of .*item_cf"),
        ("recal", {}, r"^recal: unknown; did you mean recall\?$"),
        ("evaluate.moment", 3, r"^evaluate\.moment: unknown; did you mean moments\?$"),
        ("evaluate.requests", "reply", r"^evaluate\.requests: .*found 'reply'$"),
        ("evaluate.horizon", "7 parsecs", r"^evaluate\.horizon: expected a duration"),
        ("evaluate.k", [], r"^evaluate\.k: "),
        ("samples.negative", 3, r"^samples\.negative: unknown; did you mean negatives\?$"),
        ("rules.1.bye", ["x"], r"^rules\.1\.bye: unknown; did you mean by\?"),
        ("features.0.type", "chanel", r"^features\.0\.type: .*did you mean channel\?"),
        ("rank.treees", 3, r"^rank\.treees: unknown; did you mean trees\?$"),
        ("name", "a/b", r"^name: "),
        ("seed", -1, r"^seed: .*found -1$"),
        ("data.sourc", "x", r"^data\.sourc: unknown; did you mean source\?"),
    ],
)
def test_a_mistake_is_told_at_its_path_in_one_line(path, value, message):
    with pytest.raises(InputError, match=message) as refused:
        parse(changed(path, value))
    assert "\n" not in str(refused.value)


CUTS = {"tune": 0.7, "rank": 0.8, "test": 0.9}


@pytest.mark.parametrize(
    ("split", "sections", "message"),
    [
        ({}, {}, r"^data\.split: expected test, rolling \(with window\) or random, found none$"),
        ({"test": 0.9, "random": 0.1}, {}, r"^data\.split: .*found test and random$"),
        (
            {"rolling": 4},
            {},
            r'^data\.split: rolling and window belong together, as in \{ rolling = 4, window = "7d" \}',
        ),
        ({"test": 0.9, "window": "7d"}, {}, r"^data\.split: rolling and window belong together"),
        ({"rolling": 0, "window": "7d"}, {}, r"^data\.split\.rolling: .*found 0$"),
        ({"rolling": 4, "window": "a week"}, {}, r"^data\.split\.window: expected a duration"),
        ({"rolling": 4, "window": "7d", "tune": 0.9}, {}, r"^data\.split: cuts must ascend"),
        ({"rolling": 4, "window": "7d", "rank": "1998-02-01"}, {}, r"^data\.split: with rolling, .* not dates"),
        ({"random": 1.0}, {}, r"^data\.split\.random: .*found 1.0$"),
        (
            {"random": 0.1, "tune": 0.7},
            {},
            r"^data\.split: random: leaves no moments to cut at; take tune and rank out",
        ),
        (
            {"random": 0.1},
            {"evaluate": {"requests": "replay"}},
            r'^evaluate\.requests: "replay" does not ask .* at random',
        ),
        (
            CUTS,
            {"evaluate": {"requests": "random"}},
            r"^evaluate\.requests: \"random\" needs data\.split = \{ random = 0\.1",
        ),
        (CUTS, {"evaluate": {"refit": False}}, r'^evaluate\.refit: false only with requests = "last" or "random"'),
        (
            None,
            {"evaluate": {"requests": "last"}, "samples": {"requests": "replay"}},
            r"^samples\.requests: .* leave it out$",
        ),
        (
            CUTS,
            {"samples": {"requests": "start", "source": "exposures"}},
            r"^samples\.requests: does nothing with source",
        ),
        (CUTS, {"samples": {"requests": "last"}}, r"^samples\.requests: .*found 'last'$"),
        (
            {"random": 0.1},
            {"samples": {"source": "exposures"}},
            r'^samples\.source: "exposures" needs a split by time$',
        ),
    ],
)
def test_a_split_and_the_questions_must_fit_together(split, sections, message):
    tables = {**copy.deepcopy(GOOD), **sections}
    if split is not None:
        tables["data"]["split"] = split
    with pytest.raises(InputError, match=message) as refused:
        parse(tables)
    assert "\n" not in str(refused.value)


def test_a_random_split_is_asked_so_without_saying_it_twice():
    recipe = parse(changed("data.split", {"random": 0.1}))
    assert recipe.evaluate.requests == "random"
    assert (recipe.evaluate.once, recipe.evaluate.held_out) == (True, True)
    said = parse({**changed("data.split", {"random": 0.1}), "evaluate": {"requests": "random"}})
    assert parse(recipe.model_dump(mode="json")).digest == said.digest == recipe.digest


def test_samples_are_asked_as_the_test_is_unless_they_say_otherwise():
    for asked, samples, learned in (
        ("start", None, "start"),
        ("start", "replay", "replay"),
        ("replay", "start", "start"),
    ):
        tables = changed("data.split", CUTS)
        recipe = parse(
            {**tables, "evaluate": {"requests": asked, "ahead": 3}, "samples": {"requests": samples or "none"}}
        )
        assert (recipe.learned.requests, recipe.learned.ahead, recipe.evaluate.requests) == (learned, 3, asked)


def test_rolling_windows_cut_what_lies_before_them_as_a_plain_split_does():
    split = parse(changed("data.split", {"rolling": 4, "window": "7d"})).data.split
    assert split.before == pytest.approx((0.7 / 0.9, 0.8 / 0.9))
    assert parse(changed("data.split", {"rolling": 4, "window": "7d", "tune": 0.5})).data.split.before[0] == 0.5


def test_what_is_right_is_assembled():
    pipeline = parse(GOOD).pipeline()
    assert list(pipeline.recall) == ["cf", "mf"]
    assert list(pipeline.rules) == ["seen", "mmr", "mmr.2"]
    assert pipeline.recall["mf"].seed == 9  # its own
    assert pipeline.features[0].channels == ["cf", "mf"]


def test_one_ranker_or_several_side_by_side():
    assert list(parse(GOOD).rankers) == ["gbdt"]
    several = copy.deepcopy(GOOD)
    several["rank"] = {"a": {"type": "gbdt", "trees": 3}, "b": {"type": "logistic"}}
    recipe = parse(several)
    assert list(recipe.rankers) == ["a", "b"]
    assert recipe.ranker("a").trees == 3
    assert recipe.ranker("a").seed == 4  # the recipe's
    several["rank"]["a"]["treees"] = 1
    with pytest.raises(InputError, match=r"^rank\.a\.treees: unknown"):
        parse(several)
    assert parse({**GOOD, "rank": {}}).rankers == {}


def write(tmp_path, text=None):
    path = tmp_path / "r.toml"
    path.write_text(
        text
        or 'name = "r"\n[data]\nsource = "tables"\nevents = { path = "log.csv" }\n'
        '[recall.cf]\ntype = "item_cf"\n[[rules]]\ntype = "fill"\n'
    )
    return path


def test_overrides_are_values_of_toml_or_words(tmp_path):
    recipe = read(
        write(tmp_path),
        [
            "recall.cf.neighbours=7",
            "name=other",
            "evaluate.k=[5]",
            "rules.0.n=9",
            "recall.hot.type=popular",
            "seed = 3",
        ],
    )
    assert (recipe.recall["cf"]["neighbours"], recipe.name, recipe.evaluate.k, recipe.seed) == (7, "other", [5], 3)
    assert recipe.rules[0]["n"] == 9
    assert list(recipe.recall) == ["cf", "hot"]
    assert recipe.digest != read(write(tmp_path)).digest


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recall.cf", "expected KEY=VALUE"),
        ("name.x=1", "name is not a table"),
        ("rules.4.n=1", "expected a number from 0 to 0, found '4'"),
        ("rules.x.n=1", "expected a number from 0 to 0, found 'x'"),
        ("recall.cf.neighbours=-1", r"r\.toml: recall\.cf\.neighbours: .*found -1"),
        ("recall.new.neighbours=1", r"r\.toml: recall\.new: expected a table with a type"),
    ],
)
def test_a_wrong_override_is_told(tmp_path, override, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path), [override])


@pytest.mark.parametrize(("text", "message"), [("name = ", "not a TOML file"), (None, "no such recipe file")])
def test_a_file_that_is_no_recipe_is_named(tmp_path, text, message):
    path = tmp_path / "gone.toml" if text is None else write(tmp_path, text)
    with pytest.raises(InputError, match=message) as refused:
        read(path)
    assert str(path) in str(refused.value)


def test_the_digest_survives_a_round_trip_through_json():
    recipe = parse(GOOD)
    assert parse(recipe.model_dump(mode="json")).digest == recipe.digest
    assert isinstance(recipe, Recipe)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"recall": {"slate": {"type": "popular"}}}, "recall.slate: the name of a stage"),
        ({"recall": {"../evil": {"type": "popular"}}}, "recall.../evil"),
        ({"name": ".."}, "name: "),
        ({"cross_validation": {"folds": 3}}, "cross_validation: tunes rankers on a plain table only"),
        ({"evaluate": {"k": [0]}}, "evaluate.k.0"),
        ({"recall": {}, "rules": [{"type": "seen"}]}, "rules: does nothing without channels"),
    ],
)
def test_what_would_do_nothing_or_be_ambiguous_is_refused(change, line):
    tables = {
        "name": "x",
        "data": {"source": "movielens-100k", "split": {"test": 0.9}},
        "recall": {"hot": {"type": "popular"}},
    }
    assert parse(tables).name == "x"
    with pytest.raises(InputError, match=re.escape(line)):
        parse({**tables, **change})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"evaluate": {"depth": 5}}, r"^evaluate\.depth: is called ahead now$"),
        ({"rules": [{"type": "mmr", "by": ["genres"], "depth": 5}]}, r"^rules\.0\.depth: is called among now$"),
        ({"search": {"folds": 3}}, r"^search: is called cross_validation now$"),
    ],
)
def test_an_old_name_names_the_new_one(more, said):
    data = {"source": "tables", "events": {"path": "e.csv"}}
    tables = {"name": "t", "data": data, "recall": {"hot": {"type": "popular"}}}
    with pytest.raises(InputError, match=said):
        parse({**tables, **more})
