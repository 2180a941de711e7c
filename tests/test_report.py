"""The page: whole, self-contained, safe, and true to the figures."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from shortlist import report
from shortlist.cli.leaderboards import leaderboard
from shortlist.component import InputError
from shortlist.evaluate import Evaluation
from shortlist.evaluate.compare import compare
from shortlist.metrics.significance import holm
from shortlist.report._draw import Scale, decimal, percent


class Checker(HTMLParser):
    """Every tag closed, nothing loaded from anywhere."""

    VOID = ("meta", "br", "line", "circle", "rect", "polygon")

    def __init__(self):
        super().__init__()
        self.open, self.outside, self.tags, self.words = [], [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.outside += [v for k, v in attrs if k in ("src", "href", "action", "data") or (v and "url(" in v)]
        self.outside += [k for k, _ in attrs if k.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def checked(page: str) -> str:
    """The words of a page that passes."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert checker.outside == []
    assert not checker.tags & {"script", "link", "img", "iframe", "object"}
    assert "http" not in page
    assert "nan" not in re.findall(r"[a-z]+", " ".join(checker.words).lower())
    assert "None" not in page
    return " ".join(" ".join(checker.words).split())


@pytest.fixture
def document(shop_run):
    return json.loads((shop_run.out / "evaluation.json").read_text())


def test_the_page_stands_alone_and_tells_the_figures(document, tmp_path):
    report.write(Evaluation(document, pl.DataFrame()), tmp_path / "deep" / "page.html")
    said = checked((tmp_path / "deep/page.html").read_text())
    assert f"{document['requests']:,} times the funnel was asked" in said
    assert decimal(document["slate"]["ndcg@3"]["mean"]) in said
    assert f"{document['found_by_any']:,}" in said
    assert f"{document['channels']['cf']['unique_hits']:,} only it" in said
    for heading in ("The funnel", "Leaderboard", "Slate against each channel", "What each step changed"):
        assert heading in said
    assert "What each channel adds" in said
    for heading in ("Who is served", "Beyond accuracy", "All figures", "Where the time goes", "How it was asked"):
        assert heading in said
    assert "events: user in drop: 2" in said
    assert f"numpy {document['versions']['numpy']}" in said


def test_a_channel_that_brings_nothing_is_named(document):
    cf, hot = document["channels"]["cf"], document["channels"]["hot"]
    cf["brings_nothing"], hot["brings_nothing"], hot["gain"]["low"] = False, True, -0.1
    assert checked(report.page(document)).count("hot brings nothing ") == 2  # in both pictures
    caption = leaderboard(document).caption.split("\n")
    assert caption[0] == "bring nothing to @all, each with the others there: hot"
    assert caption[1].startswith("hard rules, the slate minus that with the rule off: seen +")
    hot["gain"]["low"] = 0.1
    assert checked(report.page(document)).count("hot brings nothing but order") == 2
    assert leaderboard(document).caption.split("\n")[0].endswith(": hot; but to the order: hot")
    hot["brings_nothing"] = None  # one user is no interval
    assert "hot brings nothing" not in checked(report.page(document))
    document["hard_rules"] = {}
    said = " ".join(leaderboard(document).caption.split())
    assert said == "nothing tells the slate from: cf, merge, rank.trees, rank.line (p, Holm over the rows, 5 %)"
    for name, chance in (("cf", 0.001), ("merge", 0.02), ("rank.trees", 0.03)):
        document["paired"][name]["ndcg@3"] |= {"p": chance, "diff": 0.1, "low": 0.05, "high": 0.15}
    compared = [found["ndcg@3"]["p"] for found in document["paired"].values()]
    raised = [name for name, p in zip(document["paired"], holm(compared), strict=True) if p >= 0.05]
    assert {"merge", "rank.trees"} <= set(raised)  # .02 and .03 are not enough beside the others
    assert "from: merge" in leaderboard(document).caption
    for found in document["paired"].values():
        found["ndcg@3"]["p"] = 0.0
    assert leaderboard(document).caption is None


def test_the_price_of_each_rule_is_told_with_its_aim(document):
    said = checked(report.page(document)).partition("The price of each rule")[2]
    seen = document["prices"]["seen"]
    assert seen["change"]["ndcg@3"]["diff"] > 0
    assert f"seen moves {percent(seen['moved'])} " in said
    assert f" +{seen['change']['ndcg@3']['diff']:.3f} [" in said
    assert f"seen the share of a slate that it forbids {seen['aim']['without']:.3f} 0.000" in said
    assert f"{seen['change']['diversity.genres@3']['diff']:+.3f}".replace("-", "−") in said
    document["prices"] = {}
    assert "The price of each rule" not in checked(report.page(document))
    for price in json.loads(json.dumps(seen)), seen:  # one user: no interval; nothing described: no difference
        for change in price["change"].values():
            change.update(dict.fromkeys(("low", "high", "p") if price is not seen else change))
        price["aim"].update(dict.fromkeys(("with", "without", "diff", "low", "high", "p")))
        document["prices"] = {"seen": price}
        checked(report.page(document))


@pytest.mark.parametrize("diversity", ["diversity.genres@3", None])
def test_a_front_is_drawn_where_there_is_a_diversity(diversity):
    def point(value, ndcg, div, front):
        between = {"mean": ndcg, "low": ndcg - 0.01, "high": ndcg + 0.01}
        metrics = {"ndcg@3": between, "diversity.genres@3": {"mean": div, "low": None, "high": None}, "coverage@3": 0.5}
        change = {"ndcg@3": {"diff": ndcg - 0.2, "low": None, "high": None, "p": None}}
        return {"value": value, "front": front, "metrics": metrics, "missed": 0.25, "change": change}

    points = [point(0.5, 0.2, 0.4, True), point(1.0, 0.3, None, False), point("<i>", 0.1, 0.3, False)]
    document = {"name": "<u>", "setting": "rules.mmr.<s>", "declared": 0.5, "k": 3, "requests": 10, "users": 4}
    document |= {"accuracy": "ndcg@3", "diversity": diversity, "aim": "<b>", "points": points}
    page = report.front(document)
    said = checked(page)
    assert all(name in said for name in ("<u>", "rules.mmr.<s>", "<i>", "<b>", "0.5 (declared)"))
    assert page.count("<circle") == (2 if diversity else 0)  # what has no diversity has no place


def test_names_cannot_become_markup(document):
    evil = '<img src=x onerror="alert(1)">'
    text = json.dumps(document).replace('"cf"', json.dumps(evil)).replace('"shop"', json.dumps("</title><script>"))
    said = checked(report.page(json.loads(text)))
    assert evil in said


def test_a_run_without_questions_says_so():
    empty = {"requests": 0, "dropped_without_target": 4, "users": 0, "targets": 0, "found_by_any": 0, "slate": {}}
    empty |= {"slate_user_mean": {}, "channels": {}, "stages": {"merge": {}, "rules": {}}, "paired": {}, "slices": {}}
    asked = {"requests": "replay", "k": [10], "moments": 1, "ahead": 1, "horizon": "7d", "opens": "2020-01-01T00:00"}
    empty |= {"seconds": {}, "name": "empty", "protocol": asked}
    assert "nothing to report" in checked(report.page(empty))


def test_figures_that_are_missing_leave_their_part_out(document):
    for key in ("slices", "seconds", "versions", "data", "fit_steps", "targets"):
        less = {k: v for k, v in document.items() if k != key}
        checked(report.page(less))
    alone = copy.deepcopy(document)
    for interval in alone["slate"].values():
        if isinstance(interval, dict):
            interval["low"] = interval["high"] = None  # one user: no interval
    checked(report.page(alone))


@pytest.mark.parametrize(("diff", "said"), [(0.1, "more than chance"), (-0.1, "a defect of"), (0.0, "could be chance")])
def test_the_verdict_follows_the_interval(document, diff, said):
    for name in document["channels"]:
        document["paired"][name]["ndcg@3"] = {"diff": diff, "low": diff - 0.05, "high": diff + 0.05, "p": 0.1}
    assert said in checked(report.page(document))


def test_start_requests_are_described_as_such(document):
    document["protocol"] |= {"requests": "start"}
    assert "One request for each person already known" in checked(report.page(document))


def test_two_runs_are_compared_on_a_page_and_in_json(shop_run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    rows = pl.read_parquet(shop_run.out / "rows.parquet")
    worse = rows.with_columns(is_target=pl.col("is_target") & ((pl.col("stage") != "slate") | (pl.col("rank") > 2)))
    worse.write_parquet(other / "rows.parquet")
    (other / "evaluation.json").write_text((shop_run.out / "evaluation.json").read_text())
    found = compare([other, shop_run.out])
    assert [run["name"] for run in found["runs"]] == ["shop", "shop (2)"]
    pair = found["pairs"][0]
    assert (pair["only_run"], pair["only_baseline"], pair["requests"]) == (0, 0, found["runs"][0]["requests"])
    slate = pair["stages"]["slate"]
    assert set(slate) == {f"{m}@{k}" for m in ("ndcg", "recall", "precision", "hit", "mrr", "map") for k in (3, 6)}
    assert slate["ndcg@3"]["low"] > 0  # the run minus the baseline, which lost its first two hits
    assert slate["ndcg@3"]["diff"] == pytest.approx(
        slate["ndcg@3"]["run"]["mean"] - slate["ndcg@3"]["baseline"]["mean"], abs=2e-6
    )
    assert pair["stages"]["merge"]["ndcg@3"]["diff"] == 0
    said = checked(report.comparison(found))
    assert "is better than shop" in said


def test_folders_that_cannot_be_compared_are_named(shop_run, tmp_path):
    with pytest.raises(InputError, match=r"evaluation\.json: not found"):
        compare([shop_run.out, tmp_path])
    with pytest.raises(InputError, match="at least one other run"):
        compare([shop_run.out])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.013, 0.004), (0.1, 0.1), (0, 3217), (-5e-5, 5e-5)])
def test_ticks_are_round_and_inside(low, high):
    scale = Scale.over([low, high])
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    assert 0 <= scale.at(low) <= scale.at(high) <= 100


def test_numbers_as_written():
    assert [decimal(0.1234), decimal(-0.5, sign=True), decimal(0.0001, sign=True), decimal(None)] == [
        "0.123",
        "−0.500",
        "±0.000",
        "–",
    ]
    assert [percent(0.5), percent(1, 30), percent(0), percent(None)] == ["50 %", "3.3 %", "0 %", "–"]


class Picture(HTMLParser):
    """Where every text of an SVG begins and ends, in the picture's own coordinates; ticks are in percent."""

    def __init__(self):
        super().__init__()
        self.at, self.found, self.size, self.inside = None, [], (0.0, 0.0), 0

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "svg":
            self.inside += 1
            if self.inside == 1:
                self.size = (float(given["width"]), float(given["height"]))
        elif tag == "text" and self.inside == 1:
            letter = 6.8 if "soft" in given.get("class", "") else 8.2  # DejaVu Sans, as wide as a system font gets
            self.at = (float(given["x"]), float(given["y"]), given["text-anchor"], letter)

    def handle_endtag(self, tag):
        self.inside -= tag == "svg"
        self.at = None if tag == "text" else self.at

    def handle_data(self, data):
        if self.at:
            x, y, anchor, letter = self.at
            wide = letter * len(data)
            first = x - {"start": 0, "middle": wide / 2, "end": wide}[anchor]
            self.found.append((data, first, first + wide, y))


@pytest.mark.parametrize("name", ["movielens-100k", "movietweetings"])
def test_the_picture_shows_the_figures_and_cuts_no_text(name):
    root = Path(__file__).parents[1]
    document = json.loads((root / "bench/funnel/results.json").read_text(encoding="utf-8"))[name]
    recipe = tomllib.loads((root / f"recipes/{name}.toml").read_text(encoding="utf-8"))
    svg = report.picture(document, recipe)
    ElementTree.fromstring(svg)
    assert "prefers-color-scheme:dark" in svg
    assert "var(" not in svg
    picture = Picture()
    picture.feed(svg)
    words = [data for data, *_ in picture.found]
    for channel, value in document["channels"].items():
        assert channel in words
        assert {decimal(value["ndcg@10"]["mean"]), decimal(value["recall@all"]["mean"])} <= set(words)
    slate = document["slate"]["ndcg@10"]
    assert f"{decimal(slate['mean'])} [{decimal(slate['low'])}, {decimal(slate['high'])}]" in words
    assert f"recall: {len(document['channels'])} channels, {recipe.get('depth', 200)} rows each" in words
    for data, first, last, y in picture.found:
        assert first >= 0, data
        assert last <= picture.size[0], data
        assert 0 < y < picture.size[1], data
        for other, begins, ends, line in picture.found:
            assert other is data or abs(line - y) > 9 or last <= begins or ends <= first, (data, other)


def test_a_picture_escapes_names_and_shortens_long_ones(document):
    text = json.dumps(document).replace('"cf"', '"<b>&a name that is very much too long"')
    svg = report.picture(json.loads(text), {"rules": [{"type": "a_rule_with_a_long_name"}, {"type": "another"}]})
    ElementTree.fromstring(svg)
    assert "&lt;b&gt;&amp;a name that…" in svg
    assert "a_rule_with_a_long_na…" in svg
