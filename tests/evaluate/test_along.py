"""The front along a setting of a rule, against the whole funnel asked again with that setting."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from shortlist import train
from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.evaluate import evaluate
from shortlist.evaluate.along import Setting, along
from shortlist.recipe import read
from shortlist.rules.mmr import MMR


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    """(folder, bundle, log, where its data is) of the shop with more genres, mmr and scatter."""
    folder = tmp_path_factory.mktemp("along")
    (folder / "log.csv").write_text((shop / "log.csv").read_text())
    genres = ["|".join(g for n, g in enumerate("abcde") if (i + n) % (2 + n) == 0) for i in range(24)]
    lines = ["item,title,genres", *(f"i{i:02d},Film {i},{genres[i]}" for i in range(24))]
    (folder / "items.csv").write_text("\n".join(lines) + "\n")
    rules = '[[rules]]\ntype = "mmr"\nby = ["genres"]\ntrade_off = 0.5\n\n'
    rules += '[[rules]]\ntype = "scatter"\nmost = { genres = 2 }\n\n'
    text = (shop / "shop.toml").read_text().replace('[[rules]]\ntype = "fill"', f'{rules}[[rules]]\ntype = "fill"')
    (folder / "shop.toml").write_text(text)
    train.fit(read(folder / "shop.toml"), root=folder, out=folder / "run")
    opened = open_bundle(folder / "run/bundle")
    return folder / "run", opened, train.load(opened.recipe, folder)[0]


def test_each_point_is_the_evaluation_of_the_funnel_with_that_value(run):
    _, opened, log = run
    pipeline, spec, cut = opened.pipeline, opened.recipe.evaluate, opened.manifest["cuts"]["test"]
    setting = Setting.parse("rules.mmr.trade_off=0.2,0.5,1", pipeline)
    found = along(pipeline, log, spec, setting, cut, seed=4)
    json.loads(json.dumps(found), parse_constant=pytest.fail)
    assert [point["value"] for point in found["points"]] == [0.2, 0.5, 1]
    assert found["aim"] == "the mean similarity of two rows of a slate"
    assert (found["setting"], found["declared"], found["diversity"]) == (
        "rules.mmr.trade_off",
        0.5,
        "diversity.genres@3",
    )
    for point in found["points"]:
        rule = MMR(by=["genres"], trade_off=point["value"]).fit(log.until(cut))
        other = replace(pipeline, rules={**pipeline.rules, "mmr": rule})
        document = evaluate(other, log, spec, cut, seed=4).document
        assert point["metrics"]["ndcg@3"] == document["slate"]["ndcg@3"]
        for metric in ("diversity.genres@3", "novelty@3"):
            assert point["metrics"][metric]["mean"] == pytest.approx(document["slate"][metric], abs=2e-6)
        assert point["metrics"]["coverage@3"] == document["slate"]["coverage@3"]
        assert point["missed"] == document["prices"]["mmr"]["aim"]["with"]
    declared = found["points"][1]["change"]
    assert all(not value for change in declared.values() for key, value in change.items() if key in ("diff", "low"))
    diff = found["points"][0]["metrics"]["ndcg@3"]["mean"] - found["points"][1]["metrics"]["ndcg@3"]["mean"]
    assert found["points"][0]["change"]["ndcg@3"]["diff"] == pytest.approx(diff, abs=2e-6)


def test_the_front_is_what_nothing_beats_in_both(run):
    _, opened, log = run
    setting = Setting.parse("rules.mmr.trade_off=0..1", opened.pipeline)
    found = along(opened.pipeline, log, opened.recipe.evaluate, setting, opened.manifest["cuts"]["test"])
    at = [(p["metrics"]["ndcg@3"]["mean"], p["metrics"]["diversity.genres@3"]["mean"]) for p in found["points"]]
    for point, mine in zip(found["points"], at, strict=True):
        beaten = any(a >= mine[0] and d >= mine[1] and (a, d) != mine for a, d in at)
        assert point["front"] == (not beaten)
    assert any(point["front"] for point in found["points"])


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("rules.mmr.trade_off=0.1..1", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ("rules.mmr.trade_off=0..1", [n / 10 for n in range(11)]),
        ("rules.mmr.trade_off=.3, .1,.3", [0.3, 0.1]),
        ("rules.mmr.among=1..4", [1, 2, 3, 4]),
        ("rules.mmr.among=10..100", [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        ("rules.mmr.similarity=jaccard,cosine", ["jaccard", "cosine"]),
        ("rules.scatter.most.genres=1..3", [1, 2, 3]),
    ],
)
def test_values_are_read_as_they_are_meant(run, written, values):
    setting = Setting.parse(written, run[1].pipeline)
    assert list(setting.values) == values
    assert setting.name == written.partition("=")[0]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("mmr.trade_off=0..1", "expected rules.NAME.SETTING=LOW..HIGH"),
        ("rules.mmr.trade_off", "expected rules.NAME.SETTING=LOW..HIGH"),
        ("rules.mm.trade_off=0..1", "no such rule, or no setting of one; the recipe has seen, mmr, scatter, fill"),
        ("rules.mmr=0..1", "no such rule, or no setting of one"),
        ("rules.mmr.trade_of=0..1", "rules.mmr.trade_of: unknown; did you mean trade_off?"),
        ("rules.mmr.trade_off=0..2", "less than or equal to 1; found 1.2"),
        ("rules.mmr.trade_off=1..0", "the smaller first, found '1..0'"),
        ("rules.mmr.trade_off=a..b", "expected two numbers"),
        ("rules.mmr.trade_off=0..inf", "expected two numbers"),
        ("rules.mmr.trade_off=", "expected values between the commas"),
        ("rules.mmr.trade_off=0.1,,0.2", "expected values between the commas"),
        ("rules.mmr.among=1.5,2", "integer"),
        ("rules.scatter.mst.genres=1,2", "no such setting; known are most, window, n"),
        ("rules.seen.events=1,2", "speaks before recall"),
    ],
)
def test_what_cannot_be_varied_is_refused(run, written, said):
    with pytest.raises(InputError, match=re.escape(said)):
        Setting.parse(written, run[1].pipeline)


def test_the_command_draws_the_front(run, tmp_path, shortlist_command):
    out, _, _ = run
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    code, said, _ = shortlist_command(
        "compare", out, "--data", out.parent, "--along", "rules.mmr.trade_off=0,0.5,1",
        "--json", tmp_path / "a.json", "--html", tmp_path / "a.html",
    )  # fmt: skip
    assert code == 0
    lines = said.splitlines()
    assert lines[0].startswith("shop: rules.mmr.trade_off, ")
    assert max(map(len, lines)) <= 100
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["name"] == "shop"
    for point in document["points"]:
        (line,) = (line for line in lines if line.startswith(f"{point['value']:g} "))
        assert f"{point['metrics']['ndcg@3']['mean']:.3f}".removeprefix("0") in line
        assert ("front" in line) == point["front"]
    assert (tmp_path / "a.html").read_text().count("<circle") == 3
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before  # nothing was fitted
    told = shortlist_command("compare", out / "bundle", "--data", out.parent, "--along", "rules.mmr.trade_off=0,0.5,1")
    assert told[1] == said
    for wrong in ([out, out], [tmp_path]):
        code, _, err = shortlist_command("compare", *wrong, "--along", "rules.mmr.trade_off=0,1")
        assert code == 2
        assert "error: " in err
        assert "Traceback" not in err


def test_nobody_asked_is_a_document_of_nulls(run):
    _, opened, log = run
    setting = Setting.parse("rules.mmr.trade_off=0,1", opened.pipeline)
    found = along(opened.pipeline, log, opened.recipe.evaluate, setting, int(log.events.time[-1]) + 1)
    assert found["requests"] == 0
    assert [point["front"] for point in found["points"]] == [False, False]
