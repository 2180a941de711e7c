"""The command line as scripts and first-hour users meet it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace

import polars as pl
import pytest
from typer.main import get_command

import shortlist
from shortlist import bundle as bundles
from shortlist import train
from shortlist.cli import main as cli
from shortlist.cli.main import app
from shortlist.data.sources import tables
from shortlist.registry import KINDS


def commands(group=None, path=()):
    """(words, command) of every command there is."""
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_the_commands_that_are_promised_are_there():
    assert {" ".join(words) for words, _ in commands()} >= {
        "data list", "data get", "data show", "list", "new", "init", "fit", "evaluate", "compare", "off-policy",
        "recommend", "similar", "topics", "serve", "report", "tune",
    }  # fmt: skip


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_every_command_and_every_option_says_what_it_is(words, shortlist_command):
    command = dict(commands())[words]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name
    code, out, _ = shortlist_command(*words, "--help")
    assert code == 0
    assert "Usage:" in out


def test_list_as_json_has_the_shape_scripts_rely_on(shortlist_command):
    code, out, err = shortlist_command("list", "recall", "--json")
    assert (code, err) == (0, "")
    listed = json.loads(out)
    assert [line["name"] for line in listed] == sorted(line["name"] for line in listed)
    assert all(list(line) == ["name", "summary", "reference", "available"] for line in listed)
    assert {"item_cf", "popular", "ease", "als"} <= {line["name"] for line in listed}
    everything = json.loads(shortlist_command("list", "--json")[1])
    assert list(everything) == [*KINDS, "metrics"]
    assert everything["recall"] == listed
    assert "ndcg" in {line["name"] for line in everything["metrics"]}


def test_list_names_everything_in_words(shortlist_command):
    out = shortlist_command("list")[1]
    for name in ("recall", "item_cf", "quota", "gbdt", "mmr", "metrics", "ndcg"):
        assert name in out


def test_data_sets_are_listed_without_the_source_of_own_files(shortlist_command):
    names = [line["name"] for line in json.loads(shortlist_command("data", "list", "--json")[1])]
    assert "movielens-100k" in names
    assert "tables" not in names


def test_version(shortlist_command):
    assert shortlist_command("--version")[:2] == (0, f"shortlist {shortlist.__version__}\n")


def test_python_dash_m_is_the_same_program():
    ended = subprocess.run([sys.executable, "-m", "shortlist", "fit", "no.toml"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (2, "error: no.toml: no such recipe file\n")


def test_fit_prints_leaderboard_slate_and_how_to_serve(shop, tmp_path, shortlist_command):
    code, out, _ = shortlist_command("fit", shop / "shop.toml", "--data", shop, "--out", tmp_path / "run")
    assert code == 0
    lines = out.splitlines()
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 100
    for said in (
        "NDCG@3 (95 %)",
        "slate − it",
        "cf",
        "hot",
        "merge",
        "rank",
        "peak memory",
        "shortlist serve",
        "for user",
    ):
        assert said in out, said
    assert "<script" not in (tmp_path / "run/report.html").read_text()
    assert json.loads((tmp_path / "run/evaluation.json").read_text())["name"] == "shop"


def test_evaluate_again_writes_what_fit_wrote(shop, shop_run, tmp_path, shortlist_command):
    code, out, _ = shortlist_command(
        "evaluate",
        shop_run.out / "bundle",
        "--data",
        shop,
        "--json",
        tmp_path / "e.json",
        "--rows",
        tmp_path / "r.parquet",
    )
    assert code == 0
    assert "slate" in out
    again, first = (
        json.loads((tmp_path / "e.json").read_text()),
        json.loads((shop_run.out / "evaluation.json").read_text()),
    )
    assert again["slate"] == first["slate"]
    assert again["channels"] == first["channels"]
    assert pl.read_parquet(tmp_path / "r.parquet").height > 0


def test_recommend_one_as_json_and_with_reasons(shop_run, shortlist_command):
    bundle = shop_run.out / "bundle"
    answer = json.loads(shortlist_command("recommend", bundle, "--user", "u03", "-n", 4, "--json")[1])
    assert answer["user"] == "u03"
    assert len(answer["items"]) == 4
    assert {"item", "score", "channels", "title"} <= answer["items"][0].keys()
    assert "reason" not in answer["items"][0]
    told = json.loads(shortlist_command("recommend", bundle, "--user", "u03", "--json", "--explain")[1])
    assert all(line["reason"] for line in told["items"])
    assert "Film <" in shortlist_command("recommend", bundle, "--user", "u03")[1]


def test_recommend_to_a_file_of_users_is_what_each_gets_alone(shop_run, tmp_path, shortlist_command):
    bundle = shop_run.out / "bundle"
    (tmp_path / "users.txt").write_text("\ufeffu03\n\nu04\nstranger\n")
    code, out, _ = shortlist_command(
        "recommend", bundle, "--users", tmp_path / "users.txt", "--out", tmp_path / "slates.parquet", "-n", 4
    )
    assert (code, out.split(" rows")[0]) == (0, "3 users, 12")
    slates = pl.read_parquet(tmp_path / "slates.parquet")
    assert slates.columns == ["user", "rank", "item", "score", "channels"]
    assert slates["user"].unique(maintain_order=True).to_list() == ["u03", "u04", "stranger"]
    alone = json.loads(shortlist_command("recommend", bundle, "--user", "u04", "-n", 4, "--json")[1])
    assert slates.filter(user="u04")["item"].to_list() == [line["item"] for line in alone["items"]]


def test_unknown_users_of_a_file_are_counted_and_the_rest_asked_once(shop_run, tmp_path, shortlist_command):
    file, out = tmp_path / "users.txt", tmp_path / "slates.parquet"
    words = ["recommend", shop_run.out / "bundle", "--users", file, "--out", out, "-n", 2]
    file.write_text("u04\nstranger\nu03\nu04\n")
    code, _, err = shortlist_command(*words)
    assert code == 0
    assert "warning: 1 of 3 users are not in the bundle, such as 'stranger'" in " ".join(err.split())
    assert pl.read_parquet(out)["user"].to_list() == ["u04", "u04", "stranger", "stranger", "u03", "u03"]
    for text, said in (
        ("user,age\nu3,4\n", "none of its 1 ids is a user of the bundle"),
        ("me\nyou\n", "none of its 2 ids is a user of the bundle"),
        ("\n", "expected a table, found an empty file"),
    ):
        file.write_text(text)
        out.unlink(missing_ok=True)
        code, _, err = shortlist_command(*words)
        assert code == 2
        assert f"error: {file}: {said}" in err
        assert not out.exists()


def test_the_example_is_of_the_last_event_with_a_user_if_there_is_one(shop_run, monkeypatch):
    opened = bundles.open_bundle(shop_run.out / "bundle")
    events = opened.data.events
    somebody = opened.data.user_ids.ids[events.user[-3]]
    for nobody in (2, len(events)):
        users = events.user.copy()
        users[-nobody:] = -1
        changed = replace(opened, data=replace(opened.data, events=replace(events, user=users)))
        monkeypatch.setattr(cli, "_open", lambda path, trust, changed=changed: changed)
        shown = cli._example(opened.path)
        assert [table.title.plain for table in shown[:1]] == [f"for user {somebody}"] * (nobody == 2)


@pytest.fixture
def grown(shop, tmp_path):
    """The shop after more was added to the log and to the catalogue, all of it sorting before what was there."""
    (tmp_path / "items.csv").write_text((shop / "items.csv").read_text() + "a00,Added,aaa|odd\n")
    log = (shop / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(log + "a01,a00,5,1700000000\n")
    return tmp_path


def test_a_bundle_evaluated_on_a_grown_log_keeps_its_codes(shop, shop_run, grown, tmp_path, shortlist_command):
    found = []
    for data in (shop, grown):
        file = tmp_path / "e.json"
        words = ["evaluate", shop_run.out / "bundle", "--data", data, "--json", file, "--rows", tmp_path / "r.parquet"]
        code, _, err = shortlist_command(*words)
        assert code == 0
        assert ("the data is not what this bundle was fitted on" in err) is (data == grown)
        found.append(pl.read_parquet(tmp_path / "r.parquet").select("user", "time", "stage", "rank", "item", "score"))
    first, again = found
    assert first.height > 500
    assert first.equals(again.join(first, on=["user", "time"], how="semi"))  # the grown log asks more


def test_a_log_with_events_of_a_new_kind_is_refused(shop, shop_run, tmp_path, monkeypatch, shortlist_command):
    load = tables.load
    kind = pl.when(pl.col("item") == "i03").then(pl.lit("a_view")).otherwise("event").alias("event")

    def other(spec, root):
        raw = load(spec, root)
        return replace(raw, events=raw.events.with_columns(kind), fingerprint="other")

    monkeypatch.setattr(tables, "load", other)
    code, _, err = shortlist_command("evaluate", shop_run.out / "bundle", "--data", shop)
    assert code == 2
    assert "error: the log has events a_view, which the bundle was fitted without; fit again" in err


def test_compare_fits_again_what_is_not_of_the_recipe(shop, tmp_path, monkeypatch, shortlist_command):
    monkeypatch.chdir(tmp_path)
    fitted = []

    def fit(recipe, *, root, out):
        fitted.append(recipe.depth)
        return real(recipe, root=root, out=out)

    real = train.fit
    monkeypatch.setattr(train, "fit", fit)
    text = (shop / "shop.toml").read_text().replace("[rank.trees]", "[rank.other]")
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(text)
    two.write_text(text.replace('"shop"', '"shop2"'))
    for depth, expected in ((6, [6, 6]), (6, []), (5, [5])):
        one.write_text(text.replace("depth = 6", f"depth = {depth}"))
        fitted.clear()
        code, _, err = shortlist_command("compare", one, two, "--data", shop)
        assert (code, fitted) == (0, expected)
        assert ("runs/shop is not of this recipe; fitting again" in err) is (depth == 5)
    two.write_text(text)
    code, _, err = shortlist_command("compare", one, two, "--data", shop)
    assert (code, err) == (2, f"error: {two}: another recipe here is named shop too; give each its own name\n")


def test_compare_fits_every_seed_once(shop, tmp_path, monkeypatch, shortlist_command):
    monkeypatch.chdir(tmp_path)
    fitted = []

    def fit(recipe, *, root, out):
        fitted.append((str(out), recipe.seed))
        return real(recipe, root=root, out=out)

    real = train.fit
    monkeypatch.setattr(train, "fit", fit)
    text = re.sub(r"\[rank.*?(?=\[\[rules)", "", (shop / "shop.toml").read_text(), flags=re.S)
    (tmp_path / "one.toml").write_text(text.replace('serve = "rank"', ""))
    (tmp_path / "two.toml").write_text(text.replace('serve = "rank"', "").replace('"shop"', '"shop2"'))
    asked = ("compare", "one.toml", "two.toml", "--data", shop, "--seeds", 2, "--json", "c.json")
    code, out, err = shortlist_command(*asked)
    assert code == 0, err
    assert fitted == [(f"runs/{n}{at}", seed) for n in ("shop", "shop2") for at, seed in (("", 3), ("/seed-4", 4))]
    document = json.loads((tmp_path / "c.json").read_text())
    assert (document["seeds"], [run["path"] for run in document["runs"]]) == (2, ["runs/shop", "runs/shop2"])
    assert "2 seeds each" in out
    assert max(map(len, out.splitlines())) <= 80
    fitted.clear()
    assert shortlist_command("compare", "runs/shop", "two.toml", "--data", shop, "--seeds", 2)[0] == 0
    assert fitted == []


def test_similar(shop_run, shortlist_command):
    found = json.loads(shortlist_command("similar", shop_run.out / "bundle", "--item", "i02", "-n", 3, "--json")[1])
    assert found["item"] == "i02"
    assert len(found["channels"]["cf"]) == 3
    assert "i02" not in [line["item"] for line in found["channels"]["cf"]]
    assert "like item i02" in shortlist_command("similar", shop_run.out / "bundle", "--item", "i02")[1]


def test_topics(shop_run, shop, tmp_path, shortlist_command):
    code, _, err = shortlist_command("topics", shop_run.out / "bundle")
    assert (code, err.count("no channel of it has topics; lfm has")) == (2, 1)
    recipe = shop / "shop.toml"
    extra = ["--set", "recall.soft.type=lfm", "--set", "recall.soft.factors=3"]
    assert shortlist_command("fit", recipe, "--data", shop, "--out", tmp_path / "run", *extra)[0] == 0
    bundle = tmp_path / "run" / "bundle"
    topics = json.loads(shortlist_command("topics", bundle, "-n", 4, "--json")[1])["topics"]["soft"]
    assert [len(items) for items in topics] == [4, 4, 4]
    channel = bundles.open_bundle(bundle).pipeline.recall["soft"]
    first = channel.topics(0, 1)
    assert topics[0][0]["score"] == pytest.approx(float(first["loading"][0]))
    near = json.loads(shortlist_command("topics", bundle, "--user", "u01", "-n", 2, "--json")[1])
    assert len(near["channels"]["soft"]) == 2
    assert "soft 2" in shortlist_command("topics", bundle)[1]


def test_compare_prints_and_writes(shop_run, tmp_path, shortlist_command):
    code, out, _ = shortlist_command(
        "compare", shop_run.out, shop_run.out, "--json", tmp_path / "c.json", "--html", tmp_path / "c.html"
    )
    assert code == 0
    assert "could be chance" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80
    assert json.loads((tmp_path / "c.json").read_text())["pairs"][0]["stages"]["slate"]["ndcg@3"]["diff"] == 0
    assert (tmp_path / "c.html").read_text().startswith("<!doctype html>")


def test_report_again_and_init(shop, shop_run, tmp_path, shortlist_command):
    for named in (shop_run.out / "bundle", (shop_run.out / "bundle").resolve()):
        assert shortlist_command("report", named, "--out", tmp_path / "page.html")[0] == 0
    assert "The funnel" in (tmp_path / "page.html").read_text()
    code, out, _ = shortlist_command("init", shop / "log.csv", "--items", shop / "items.csv")
    assert code == 0
    assert "[data.events]" in out
    assert shortlist_command("init", shop / "log.csv", "--out", tmp_path / "draft.toml")[0] == 0
    code, _, err = shortlist_command("init", shop / "log.csv", "--out", tmp_path / "draft.toml")
    assert (code, err) == (2, f"error: {tmp_path / 'draft.toml'}: exists; choose another --out\n")


NOT_A_BUNDLE = "{tmp}/manifest.json: not found; {tmp} is not a bundle"
A_RUN = "{run}/manifest.json: not found; its bundle is {run}/bundle"
TYPO = "{shop}/shop.toml: recall.cf.neighbors: unknown; did you mean neighbours?"
SET = "--set depth: expected KEY=VALUE, such as recall.cf.neighbours=200"
TIME = "--time soon: expected ISO 8601 such as 1998-04-01T12:00:00"
OWN = "data tables: is for your own files; shortlist init EVENTS drafts a recipe from them"
FAR = "--set rules.7.n=1: expected a number from 0 to 1, found '7'"
FOLDER = "{tmp}: is a folder; name the file to write"
WRONG = [
    (["fit", "{tmp}/no.toml"], "{tmp}/no.toml: no such recipe file"),
    (["recommend", "{run}", "--user", "u1"], A_RUN),
    (["fit", "{tmp}"], "{tmp}: expected a recipe file: Is a directory"),
    (["fit", "{shop}/shop.toml", "--set", "recall.cf.neighbors=3"], TYPO),
    (["fit", "{shop}/shop.toml", "--set", "depth"], SET),
    (["fit", "{shop}/shop.toml", "--set", "rules.7.n=1"], FAR),
    (["fit", "{shop}/shop.toml", "--out", "{shop}/log.csv"], "--out {shop}/log.csv: expected a folder, found a file"),
    (["recommend", "{bundle}"], "give either --user ID or --users FILE"),
    (["recommend", "{bundle}", "--users", "{tmp}/u.txt"], "--users FILE needs --out FILE.parquet"),
    (
        ["recommend", "{bundle}", "--users", "{tmp}/u.txt", "--out", "{tmp}/o.parquet"],
        "{tmp}/u.txt: expected a file in {tmp}, found nothing",
    ),
    (["recommend", "{bundle}", "--users", "{tmp}/u.txt", "--out", "{tmp}"], FOLDER),
    (["evaluate", "{bundle}", "--json", "{tmp}"], FOLDER),
    (["compare", "{tmp}/none.toml", "--html", "{tmp}"], FOLDER),
    (["features", "{tmp}/none.toml", "--html", "{tmp}"], FOLDER),
    (["recommend", "{bundle}", "--user", "me"], "user 'me': not in this bundle, which knows 30 users"),
    (["recommend", "{bundle}", "--user", "u01", "--time", "soon"], TIME),
    (["recommend", "{tmp}", "--user", "u01"], NOT_A_BUNDLE),
    (["similar", "{bundle}", "--item", "it"], "item 'it': not in this bundle, which knows 24 items"),
    (["evaluate", "{tmp}"], NOT_A_BUNDLE),
    (["report", "{tmp}/a/b"], "{tmp}/a/evaluation.json: not found; expected beside the bundle, where fit leaves it"),
    (["report", "{bundle}", "--out", "{tmp}/no/x.html"], "{tmp}/no/x.html: No such file or directory"),
    (["compare", "{tmp}", "{tmp}"], "{tmp}/evaluation.json: not found; expected a folder that fit has filled"),
    (["list", "recal"], "list recal: expected one of recall, merge, features, rank, rules, metrics"),
    (["data", "show", "movielens"], "data.source: no source 'movielens'; did you mean movielens-100k?"),
    (["data", "get", "tables"], OWN),
    (["init", "{tmp}/none.csv"], "{tmp}/none.csv: expected a file, found nothing"),
    (["serve", "{bundle}", "--clock", "sun"], "--clock sun: expected wall or log"),
]


@pytest.mark.parametrize(
    ("arguments", "line"), WRONG, ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else ""
)
def test_wrong_input_is_one_line_and_exit_code_two(arguments, line, shop, shop_run, tmp_path, shortlist_command):
    places = {"shop": shop, "tmp": tmp_path, "bundle": shop_run.out / "bundle", "run": shop_run.out.resolve()}
    code, out, err = shortlist_command(*(argument.format(**places) for argument in arguments))
    told = [each for each in err.splitlines() if not each.startswith("  ")]  # progress is indented
    assert (code, out, told) == (2, "", [f"error: {line.format(**places)}"])


@pytest.mark.parametrize("arguments", [["nonsense"], ["fit"], ["fit", "a", "--nope"], ["recommend", "b", "-n", "0"]])
def test_wrong_usage_is_exit_code_two_without_a_traceback(arguments, shortlist_command):
    code, _, err = shortlist_command(*arguments)
    assert code == 2
    assert "Traceback" not in err


def test_a_truncated_bundle_is_refused_by_every_command(shop_run, tmp_path, shortlist_command):
    copy = shutil.copytree((shop_run.out / "bundle").resolve(), tmp_path / "copy")
    file = copy / "catalogue/ids.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    for words in (["recommend", copy, "--user", "u01"], ["similar", copy, "--item", "i01"], ["evaluate", copy]):
        code, _, err = shortlist_command(*words)
        assert code == 2
        assert str(file) in err


def test_a_bundle_refitted_for_serving_has_nothing_left_to_be_tested_on(shop, tmp_path, shortlist_command):
    run = tmp_path / "run"
    sets = [word for change in ("rank={}", "features=[]") for word in ("--set", change)]
    assert shortlist_command("fit", shop / "shop.toml", "--data", shop, "--out", run, "--final", *sets)[0] == 0
    assert json.loads((run / "bundle/manifest.json").read_text())["overrides"] == ["rank={}", "features=[]"]
    code, _, err = shortlist_command("evaluate", run / "bundle", "--data", shop)
    assert code == 2
    assert "was refitted at the end of the log (--final)" in err


@pytest.fixture
def shop_recipe(shop, tmp_path):
    """A copy of the shop's recipe with something to tune."""
    pytest.importorskip("optuna")
    pytest.importorskip("tomlkit")
    text = (shop / "shop.toml").read_text().replace('type = "item_cf"', 'type = "item_cf"  # likes of likes', 1)
    path = tmp_path / "shop.toml"
    path.write_text(
        text + '\n[recall.hot.search]\nhalf_life = ["1h", "30d"]\n[recall.cf.search]\nneighbours = [1, 5]\n'
    )
    return path


def test_tune_writes_a_recipe_and_tells_what_it_tried(shop, shop_recipe, shortlist_command):
    ended = shop_recipe.with_name("trials.json")
    named = ("--channel", "cf", "--channel", "hot", "--trials", 2, "--json", ended)
    code, out, err = shortlist_command("tune", shop_recipe, "--data", shop, *named)
    assert code == 0, err
    written = shop_recipe.with_name("shop-tuned.toml")
    tables_ = tomllib.loads(written.read_text())
    assert tables_["name"] == "shop-tuned"
    assert "# likes of likes" in written.read_text()
    document = json.loads(ended.read_text())
    for section in document["sections"]:
        assert section["after"] >= section["before"]
        assert f"{section['section']} (" in out
        name = section["section"].removeprefix("recall.")
        assert section["changes"].items() <= tables_["recall"][name].items()
    assert [section["section"] for section in document["sections"]] == ["recall.cf", "recall.hot"]
    assert "as it was" in out
    assert "tune recall.cf" in err or "data: events" in err
    assert f"shortlist compare {shop_recipe} {written}" in out
    for options in (named, ("--budget", "1s")):
        code, _, err = shortlist_command("tune", shop_recipe, "--data", shop, *options)
        assert code == 2
        assert f"{written}: exists; give --out" in err


def test_tune_without_a_name_tunes_everything_and_goes_on_from_there(shop, shop_recipe, shortlist_command):
    words = ("tune", shop_recipe, "--data", shop, "--budget", "2s")
    written, record = shop_recipe.with_name("shop-tuned.toml"), shop_recipe.with_name("shop-tuned.json")
    code, out, err = shortlist_command(*words)
    assert code == 0, err
    assert "channels" in out
    assert f"all that was tried is in {record}" in out
    assert f"shortlist compare {shop_recipe} {written}" in out
    text = written.read_text()
    assert text.startswith("# tune: ")
    assert "# likes of likes" in text
    assert tomllib.loads(text)["name"] == "shop-tuned"
    before = json.loads(record.read_text())["tried"]
    code, out, err = shortlist_command(*words)
    assert code == 0, err
    assert f"goes on from {record}: {len(before):,} tried before" in err
    assert json.loads(record.read_text())["tried"][: len(before)] == before
    written.write_text(written.read_text() + "# mine\n")
    code, _, err = shortlist_command(*words)
    assert (code, f"{written}: exists; give --out" in err) == (2, True)
    assert written.read_text().endswith("# mine\n")


@pytest.mark.parametrize("theirs", ["not JSON", "[1]", '{"name": "mine"}'])
def test_tune_replaces_no_other_file_beside_the_recipe(shop, shop_recipe, shortlist_command, theirs):
    beside = shop_recipe.with_name("other.json")
    beside.write_text(theirs)
    words = ("tune", shop_recipe, "--data", shop, "--budget", "1s", "--out", beside.with_suffix(".toml"))
    code, _, err = shortlist_command(*words)
    assert (code, f"{beside}: is not what tune has tried" in err) == (2, True)
    assert beside.read_text() == theirs
    assert not beside.with_suffix(".toml").exists()


def test_a_whole_recipe_is_tuned_in_place_again_and_again(shop, shop_recipe, shortlist_command):
    words = ("tune", shop_recipe, "--data", shop, "--trials", 1, "--out", shop_recipe)
    assert shortlist_command(*words)[0] == 0
    code, _, err = shortlist_command(*words)
    assert (code, "goes on from" in err) == (0, True), err
    text = shop_recipe.read_text()
    assert tomllib.loads(text)["name"] == "shop"
    assert text.count("# tune: all that was tried") == 1


def test_tune_takes_ten_minutes_unless_it_is_said(shop, shop_recipe, shortlist_command, monkeypatch):
    from shortlist import tuning

    asked = []
    monkeypatch.setattr(tuning, "tune", lambda recipe, text, one, **more: asked.append(one) or exit(7))
    for words in ((), ("--budget", "1.5h"), ("--trials", 3), ("--merge",)):
        assert shortlist_command("tune", shop_recipe, "--data", shop, *words)[0] == 7
    assert [one.seconds for one in asked] == [600, 5400, None, None]
    assert [one.whole for one in asked] == [True, True, True, False]


def test_tune_in_place_keeps_the_name(shop, shop_recipe, shortlist_command):
    options = ("--data", shop, "--trials", 1, "--channel", "hot", "--out", shop_recipe)
    assert shortlist_command("tune", shop_recipe, *options)[0] == 0
    assert tomllib.loads(shop_recipe.read_text())["name"] == "shop"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--channel", "cg"), "--channel cg: not in the recipe; there are cf, hot"),
        (("--metric", "ndcg"), "--metric ndcg: expected NAME@K"),
        (("--minutes", "20"), "--minutes 20: is called --budget now: --budget 20m"),
        (("--budget", "soon"), "--budget soon: expected a length of time such as 10m or 1h"),
        (("--budget", "10"), "--budget 10: expected a length of time such as 10m or 1h"),
        (("--budget", "0m"), "--budget 0m: expected more than no time"),
        (("--out", "no/such/folder.toml"), "no/such: no such folder to write folder.toml into"),
        (("--out", "."), ".: is a folder; name the file to write"),
        (("--out", "new.toml", "--json", ".."), "..: is a folder; name the file to write"),
    ],
)
def test_tune_refuses_in_one_line(shop, shop_recipe, shortlist_command, options, said):
    code, _, err = shortlist_command("tune", shop_recipe, "--data", shop, *options)
    assert code == 2
    assert f"error: {said}" in err


def test_tune_without_its_packages_says_what_to_install(shop, shop_recipe, shortlist_command, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = shortlist_command("tune", shop_recipe, "--data", shop)
    assert (code, err) == (2, "error: tuning needs the package 'optuna': pip install 'shortlist[tune]'\n")
