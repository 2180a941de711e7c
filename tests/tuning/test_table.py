"""Rankers on a plain table: cross-validation as ever, with a search instead of a grid."""

from __future__ import annotations

import tomllib

import numpy as np
import polars as pl
import pytest

from shortlist import tuning
from shortlist.component import InputError
from shortlist.data.raw import PlainTable
from shortlist.recipe import parse
from shortlist.tabular import folds as cross_validation
from shortlist.tabular import samples as tabular
from shortlist.tabular.samples import samples_of
from shortlist.tuning import Asked

pytest.importorskip("optuna")
pytest.importorskip("tomlkit")

TEXT = """
name = "census"
seed = 3
[data]
source = "adult"
[cross_validation]
folds = 3
[rank.line]
type = "logistic"
buckets = 5
[rank.line.search]   # tried
l2 = { low = 0.01, high = 1000.0, log = true }
without = [[], ["age"]]
[rank.tree]
type = "tree"
leaves = 2
[rank.tree.search]
leaves = [4, 8, 16]
"""


def frame(m, seed, sign=1):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 70, m).astype(float)
    rich = rng.random(m) < 1 / (1 + np.exp(-sign * (age - 45) / 8))
    return pl.DataFrame({"age": age, "luck": rng.random(m), "rich": rich.astype(int)}).cast({"rich": pl.Int8})


def tuned(monkeypatch, asked, test_sign=1, **more):
    plain = PlainTable(frame(300, 0), frame(200, 1, test_sign), "rich", {"age": "number", "luck": "number"}, "abc")
    monkeypatch.setattr(tabular, "source", lambda name: lambda spec, root: plain)
    return tuning.tune(parse(tomllib.loads(TEXT)), TEXT, asked, **more), plain


def test_every_ranker_is_cross_validated_on_the_training_rows(monkeypatch):
    found, plain = tuned(monkeypatch, Asked(rankers=("line", "tree"), trials=3))
    line, tree = found.document["sections"]
    assert (line["section"], tree["section"], line["metric"]) == ("rank.line", "rank.tree", "auc")
    recipe, (train, _) = parse(tomllib.loads(TEXT)), samples_of(plain)
    for section, base in ((line, {"type": "logistic", "buckets": 5}), (tree, {"type": "tree", "leaves": 2})):
        points = [{**base, **trial["params"]} for trial in section["trials"]]
        alone = cross_validation.cross_validate(
            lambda point: recipe.component("rank", "rank.x", point), train, points, 3, 3
        )
        assert [t["value"] for t in section["trials"]] == pytest.approx([t.mean for t in alone], abs=1e-6)
    assert line["trials"][line["best"]]["params"].get("without", []) == []  # age says it all
    assert line["after"] >= line["before"]


def test_the_choice_is_written_and_the_search_taken_out_so_that_fit_keeps_it(monkeypatch):
    found, _ = tuned(monkeypatch, Asked(rankers=("tree",), trials=5))
    (section,) = found.document["sections"]
    written = tomllib.loads(found.text)
    assert written["rank"]["tree"] == {"type": "tree", **section["changes"]}
    assert written["rank"]["line"] == tomllib.loads(TEXT)["rank"]["line"]  # not asked for
    assert section["changes"]["leaves"] in (4, 8, 16)


@pytest.mark.parametrize("rankers", [(), ("line", "tree")])
def test_test_rows_change_nothing(monkeypatch, rankers):
    one, _ = tuned(monkeypatch, Asked(rankers=rankers, trials=3))
    other, _ = tuned(monkeypatch, Asked(rankers=rankers, trials=3), test_sign=-1)
    assert tomllib.loads(one.text) == tomllib.loads(other.text)
    parts = [part.document["sections" if rankers else "parts"] for part in (one, other)]
    assert [part["after"] for part in parts[0]] == [part["after"] for part in parts[1]]


def test_without_a_name_every_ranker_is_tuned_and_only_what_gains_over_the_folds_is_kept(monkeypatch):
    found, _ = tuned(monkeypatch, Asked(trials=5))
    parts = {part["part"]: part for part in found.document["parts"]}
    assert list(parts) == ["rank.line", "rank.tree"]
    assert all(part["metric"] == "auc" for part in parts.values())
    kept = [made for made in found.document["tried"] if made["kept"]]
    assert all(made["gain"] > made["error"] for made in kept)
    assert any(made["section"] == "rank.tree" for made in kept)  # two leaves are too few
    written = tomllib.loads(found.text)["rank"]
    assert written["tree"]["leaves"] in (4, 8, 16)
    assert not any("search" in section for section in written.values())  # or fit would search again
    again, _ = tuned(monkeypatch, Asked(trials=8), earlier=found)
    tried = [made for made in again.document["tried"] if made["section"] == "rank.tree"]
    assert len(tried) == len({made["params"]["leaves"] for made in tried}) <= 3  # its own search table, as before


def test_what_a_table_has_none_of_is_refused(monkeypatch):
    with pytest.raises(InputError, match="--merge: the recipe has no channels"):
        tuned(monkeypatch, Asked(merge=True))
    with pytest.raises(InputError, match="--metric ndcg@10: rankers on a plain table are chosen by auc"):
        tuned(monkeypatch, Asked(metric="ndcg@10"))
