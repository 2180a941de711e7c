"""From a recipe to the document, the page and the tables of ``shortlist features``."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from shortlist.columns import report
from shortlist.columns.importance import permutation_importance
from shortlist.component import InputError, Ranker
from shortlist.data.raw import PlainTable
from shortlist.metrics.ranking import auc
from shortlist.recipe import parse, read
from shortlist.report import _features
from shortlist.tabular import samples as tabular
from shortlist.tabular.samples import plain_samples


class Sum(Ranker):
    """Adds two columns; a test needs no more."""

    def score(self, requests, candidates, state=None):
        return {"score": candidates["a"] + 0.1 * candidates["b"]}


def numbers(m=2000):
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=m).astype(np.float32) for name in "abc"}
    label = (columns["a"] + 0.1 * columns["b"] + 0.3 * rng.normal(size=m) > 0).astype(float)
    return plain_samples(columns, label)


def test_permutation_importance_is_the_drop_averaged_over_seeded_shuffles():
    samples = numbers()
    labels = samples.labels["label"]

    def measures(rows):
        return {"auc": auc(labels, rows["score"])}

    groups = {"a": ["a"], "b": ["b"], "c": ["c"], "both": ["a", "b"], "absent": ["z"]}
    figures, drops = permutation_importance(Sum(), samples, groups, measures, repeats=4, seed=5)
    again = permutation_importance(Sum(), samples, groups, measures, repeats=4, seed=5)
    assert (figures, drops) == again
    assert drops["c"]["auc"] == {"drop": 0.0, "deviation": 0.0}
    assert drops["absent"]["auc"]["drop"] == 0.0
    assert drops["a"]["auc"]["drop"] > 0.3
    assert 0 < drops["b"]["auc"]["drop"] < 0.02
    assert drops["both"]["auc"]["drop"] == pytest.approx(figures["auc"] - 0.5, abs=0.05)
    rows, plain = samples.candidates, []
    for repeat in range(4):
        order = np.random.default_rng((5, 0, repeat)).permutation(len(rows))
        plain.append(figures["auc"] - auc(labels, rows["a"][order] + 0.1 * rows["b"]))
    assert drops["a"]["auc"]["drop"] == pytest.approx(np.mean(plain))
    assert drops["a"]["auc"]["deviation"] == pytest.approx(np.std(plain, ddof=1))


class Words(HTMLParser):
    """Text of a page whose tags all close and which loads nothing."""

    VOID = ("meta", "wbr", "br", "line", "circle", "rect", "polygon")

    def __init__(self):
        super().__init__()
        self.open, self.words = [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe")
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)  # a name that may break is told in pieces


def words(page):
    parser = Words()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    said = " ".join("".join(f"{word}" if word.endswith(".") else f"{word} " for word in parser.words).split())
    assert "None" not in said
    assert "nan" not in re.findall(r"[a-z]+", said.lower())
    return said


@pytest.fixture(scope="module")
def funnel(shop):
    return report.run(read(shop / "shop.toml"), root=shop, importance=True, repeats=2)


def test_a_funnels_columns_are_those_of_its_rankers_samples(funnel, shop):
    columns = {column["name"]: column for column in funnel["columns"]}
    assert "channel.cf.rank" in columns
    assert all(name.startswith("channel.") for name in columns)  # no score of a channel, only features
    assert funnel["funnel"]
    assert funnel["rows"]["positives"] > 10
    assert all(0.5 <= column["gauc"] <= 1 for column in columns.values())
    assert funnel["window"]["opens"] < funnel["window"]["later"] < funnel["window"]["closes"]
    assert json.loads(json.dumps(funnel, allow_nan=False)) == funnel


def test_every_ranker_says_what_it_would_lose(funnel):
    rankers = funnel["importance"]["rankers"]
    assert set(rankers) == {"trees", "line"}
    for found in rankers.values():
        assert set(found["figures"]) == {"ndcg@10", "auc"}
        assert set(found["columns"]) == {column["name"] for column in funnel["columns"]}
        assert found["families"]["channel"]["auc"]["drop"] > 0.05  # all that these rankers know
        assert max(drop["auc"]["drop"] for drop in found["columns"].values()) > 0


def test_the_document_does_not_depend_on_the_test_window(shop, funnel, tmp_path):
    for name in ("items.csv", "shop.toml"):
        (tmp_path / name).write_text((shop / name).read_text())
    lines = (shop / "log.csv").read_text().splitlines()
    cut = int(0.85 * len(lines))  # the test window begins at .8
    turned = [",".join([*line.split(",")[:2], "1", line.split(",")[3]]) for line in lines[cut:]]
    (tmp_path / "log.csv").write_text("\n".join(lines[:cut] + turned) + "\n")
    again = report.run(read(tmp_path / "shop.toml"), root=tmp_path, importance=True, repeats=2)
    assert again == funnel


def test_the_page_tells_the_figures(funnel):
    said = words(_features.page(funnel))
    for heading in ("What a column tells alone", "What ranker trees loses", "What moves with time", "Every column"):
        assert heading in said
    assert f"{len(funnel['columns'])} columns were looked at" in said
    assert "channel.cf.rank" in said
    assert "Rows are the funnel’s candidates for questions from" in said
    shown = {**funnel, "window": {**funnel["window"], "source": "exposures"}}
    assert "Rows are the items shown on slates from" in words(_features.page(shown))
    leaking = {**funnel, "columns": [{**funnel["columns"][0], "suspect": True, "warnings": ["may know <it>"]}]}
    leaking["columns"][0]["name"] = "<b>x"
    said = words(_features.page(leaking))
    assert "1 may know the label : <b>x" in said
    assert "may know <it>" in said
    words(_features.page({**funnel, "columns": []}))


def test_the_command_writes_what_it_prints(shop, shortlist_command, tmp_path):
    code, out, _ = shortlist_command(
        "features", shop / "shop.toml", "--data", shop, "--json", tmp_path / "f.json", "--html", tmp_path / "f.html",
        "--top", 3,
    )  # fmt: skip
    assert code == 0
    document = json.loads((tmp_path / "f.json").read_text())
    first, last = document["columns"][0]["name"], document["columns"][-1]["name"]
    assert first in out
    assert first in words((tmp_path / "f.html").read_text())
    assert last in (tmp_path / "f.html").read_text()
    assert "more: --top 0" in " ".join(out.split())
    assert "importance" not in document


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["features=[]"], "features: the recipe has none"),
        (["data.split={ tune = 0.5, test = 0.8 }"], r"data\.split\.rank: missing"),
        (["rank={}"], "rank: missing; importance"),
    ],
)
def test_what_cannot_be_looked_at_is_said(shop, sets, message):
    with pytest.raises(InputError, match=message):
        report.run(read(shop / "shop.toml", sets), root=shop, importance=True)


def test_a_plain_tables_rankers_are_checked_before_anything_is_fitted(monkeypatch):
    monkeypatch.setattr(tabular, "source", lambda name: pytest.fail("data was read"))
    rank = {"line": {"type": "logistic"}, "tree": {"type": "tree", "deth": 3}}
    with pytest.raises(InputError, match=r"rank\.tree\.deth: unknown"):
        report.run(parse({"name": "t", "data": {"source": "adult"}, "rank": rank}), importance=True)


def test_figures_that_do_not_exist_are_dashes(monkeypatch):
    """The rows kept for importance are all of one class: there is no AUC, nor is there one to lose."""
    m = 60
    kept = np.random.default_rng(0).permutation(m)[m * 4 // 5 :]
    rare = np.where(np.isin(np.arange(m), kept), 0, np.arange(m) % 2)
    frame = pl.DataFrame({"age": np.arange(m) * 1.0, "job": ["cook", "nurse"] * (m // 2), "rich": rare})
    table = PlainTable(frame, frame, "rich", {"age": "number", "job": "category"})
    monkeypatch.setattr(tabular, "source", lambda name: lambda spec, root: table)
    recipe = parse({"name": "t", "data": {"source": "adult"}, "rank": {"line": {"type": "logistic"}}})
    document = report.run(recipe, importance=True, repeats=2)
    assert document["importance"]["rankers"]["line"]["figures"] == {"auc": None}
    assert "auc –" in words(_features.page(document))


def test_a_plain_table_is_profiled_without_its_test_labels(monkeypatch):
    def frame(m, seed):
        rng = np.random.default_rng(seed)
        age, job = rng.integers(18, 70, m), rng.choice(["nurse", "smith", "cook"], m)
        rich = (rng.random(m) < 1 / (1 + np.exp(-(age - 45) / 8 - 1.5 * (job == "smith")))).astype(int)
        return pl.DataFrame({"age": age.astype(float), "job": job, "rich": rich}).cast({"rich": pl.Int8})

    train, test = frame(1500, 0), frame(300, 1)
    document = []
    for label in (pl.col("rich"), 1 - pl.col("rich")):
        table = PlainTable(train, test.with_columns(label.alias("rich")), "rich", {"age": "number", "job": "category"})
        monkeypatch.setattr(tabular, "source", lambda name, table=table: lambda spec, root: table)
        rank = {"line": {"type": "logistic", "buckets": 5, "search": {"l2": [1.0]}}}
        recipe = parse({"name": "t", "data": {"source": "adult"}, "rank": rank})
        document.append(report.run(recipe, importance=True, repeats=2))
    assert document[0] == document[1]
    columns = {column["name"]: column for column in document[0]["columns"]}
    assert (columns["age"]["type"], columns["job"]["type"]) == ("number", "category")
    assert columns["age"]["auc"] > 0.8
    assert columns["job"]["gauc"] is None
    found = document[0]["importance"]["rankers"]["line"]
    words(_features.page(document[0]))
    assert found["columns"]["age"]["auc"]["drop"] > found["columns"]["job"]["auc"]["drop"] > 0
