"""Every deep ranker as an ONNX file: the same logits as torch, a contract that another program can follow."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from shortlist.nn import onnx as native  # noqa: E402
from shortlist.nn.rows import predict  # noqa: E402
from shortlist.rank._deep import Layered, NetRanker  # noqa: E402
from shortlist.rank.deepfm import DeepFM  # noqa: E402
from shortlist.registry import entry, find, names  # noqa: E402
from shortlist.types import HISTORY, Ragged, Requests  # noqa: E402

from ._tables import made_up, score  # noqa: E402


def deep_rankers():
    found = [find("rank", name) for name in names("rank") if entry("rank", name).available]
    return [cls for cls in found if issubclass(cls, NetRanker)]


def everything(m=300, seed=0):
    """Numbers with gaps, a category, a list, a history, in 30 requests; half of the rows know a second label."""
    samples = made_up(m, seed)
    rng = np.random.default_rng(seed)
    n = len(samples.requests)
    columns = {name: np.zeros(4 * n, dtype) for name, dtype in HISTORY.items()}
    columns["time"] = np.repeat(np.arange(n), 4) - np.tile([9, 5, 2, 1], n)
    past = rng.integers(0, 20, 4 * n).astype(np.int32)
    history = Ragged(np.arange(n + 1) * 4, {**columns, "item": past})
    tags = rng.integers(-1, 8, (m, 3)).astype(np.int32)
    rows = samples.candidates.with_columns(tags=tags)
    requests = Requests.of(samples.requests.user, samples.requests.time, history)
    bought = np.where(np.arange(m) % 2, samples.labels["click"] * (rows["a"] > 0), np.nan).astype(np.float32)
    return replace(samples, requests=requests, candidates=rows, labels={**samples.labels, "buy": bought})


CONFIG = {"epochs": 1, "batch": 64, "history": 3, "ids": ["item"], "hashed": ["item"], "hash_width": 50, "buckets": 8}


@pytest.mark.parametrize("numeric", ["quantile", "standard", "piecewise", "periodic"])
@pytest.mark.parametrize("cls", deep_rankers(), ids=lambda cls: cls.__name__)
def test_onnxruntime_and_torch_agree(cls, numeric):
    samples, new = everything(), everything(seed=1)
    more = {"batch_norm": True, "dropout": 0.3} if issubclass(cls, Layered) else {}
    ranker = cls(**CONFIG, **more, numeric=numeric).fit(samples)
    for rows in (samples, new, new.take(np.array([3]))):
        inputs = ranker.inputs(rows.requests, rows.candidates)
        for m in (1, len(rows)):
            part = inputs.part(0, m)
            np.testing.assert_allclose(ranker.predict(part), predict(ranker.net(), part), atol=1e-5, rtol=1e-5)
    assert ranker._scorer is not None
    again = cls.restore(ranker.config(), ranker.state(), ranker.files())
    np.testing.assert_array_equal(score(again, new), score(ranker, new))


def test_without_onnxruntime_torch_scores(monkeypatch):
    samples = everything()
    ranker = DeepFM(**CONFIG).fit(samples)
    expected, files = score(ranker, samples), ranker.files()
    monkeypatch.setattr(native, "can_score", lambda: False)
    again = DeepFM.restore(ranker.config(), ranker.state(), files)
    np.testing.assert_allclose(score(again, samples), expected, atol=1e-5)
    assert again._scorer is None
    assert again.files() == files


def test_without_onnx_there_is_no_file_and_it_is_said(monkeypatch):
    monkeypatch.setattr(native, "can_export", lambda: False)
    said = []
    monkeypatch.setattr("shortlist.nn.trained.emit", lambda kind, **facts: said.append((kind, facts["message"])))
    samples = everything()
    ranker = DeepFM(**CONFIG).fit(samples)
    assert score(ranker, samples).shape == (300,)
    assert ranker.files() == {}
    assert said == [("warning", "onnx is not installed: no model.onnx is saved, and torch will score")]


def test_the_file_is_written_without_the_packages_of_the_newer_exporter(monkeypatch):
    expected = DeepFM(**CONFIG).fit(everything()).files()
    for package in ("onnxscript", "onnx_ir"):
        monkeypatch.setitem(sys.modules, package, None)
    assert DeepFM(**CONFIG).fit(everything()).files() == expected


def test_fitting_again_makes_a_new_file():
    samples, other = everything(), everything(seed=5)
    ranker = DeepFM(**CONFIG).fit(samples)
    first = ranker.files()["model.onnx"]
    score(ranker, samples)
    ranker.fit(other)
    assert ranker.files()["model.onnx"] != first
    np.testing.assert_array_equal(score(ranker, other), score(DeepFM(**CONFIG).fit(other), other))


def by_the_contract(said, columns, past):
    """Inputs made of what the file says and nothing else, a row at a time; ``past``: what stands in each request."""
    made = {"request": past.pop("request")}
    for one in said["inputs"]:
        if one["name"] == "request":
            continue
        rows, of_requests = [], one.get("of") == "request"
        given = past if of_requests else columns
        m = len(next(iter(given.values())))
        for r in range(m):
            row = {name: column[r].tolist() for name, column in given.items()}
            of = design if one["name"] == "columns" else cells
            rows.append([cell for column in one["columns"] for cell in of(column, row)])
        made[one["name"]] = np.array(rows, one["dtype"]).reshape(m, one["width"])
    return made


@pytest.mark.parametrize(
    "config", [{"columns": ["kind"]}, {"columns": ["a"], "wide_buckets": 0}, {"columns": ["tags"]}]
)
def test_a_wide_part_without_numbers_or_without_one_hot_columns(config):
    samples = everything()
    ranker = find("rank", "wide_deep")(epochs=1, batch=64, **config).fit(samples)
    inputs = ranker.inputs(samples.requests, samples.candidates)
    assert 0 in (inputs.rows["columns"].shape[1], inputs.rows["values"].shape[1])
    np.testing.assert_allclose(ranker.predict(inputs), predict(ranker.net(), inputs), atol=1e-5, rtol=1e-5)
    assert ranker._scorer is not None


def test_a_file_that_reads_other_columns_is_made_again_of_the_weights():
    samples = everything()
    ranker = find("rank", "wide_deep")(**CONFIG).fit(samples)
    expected = score(ranker, samples)
    other = find("rank", "wide_deep")(**{**CONFIG, "wide_buckets": 0}).fit(samples)
    old = type(ranker).restore(ranker.config(), ranker.state(), other.files())
    np.testing.assert_array_equal(score(old, samples), expected)


def cells(column, row):
    kind = column["kind"]
    value = row[column["column"]]
    if kind == "missing":
        return [np.isnan(value)]
    if kind == "number":
        return [0 if np.isnan(value) else (value - column["mean"]) / column["deviation"]]
    if kind == "bucket":
        return [column["first"] + (0 if np.isnan(value) else 1 + sum(value > edge for edge in column["edges"]))]
    if kind == "history bucket":
        return [cells({**column, "kind": "bucket", "column": 0}, [v])[0] for v in value]
    known = {value: column["first"] + 1 + at for at, value in enumerate(column["known"])}
    if kind == "category":
        return [known.get(value, column["first"])]
    return [0 if v < 0 else known.get(v, column["first"]) for v in value]


def design(column, row):
    """The same for columns of the wide part."""
    if column["kind"] != "cross":
        return cells(column, row)
    a, b = ({**one, "first": 0} for one in column["of"])
    pair = design(a, row)[0] * b["width"] + design(b, row)[0]
    return [column["first"] + (column["known"].index(pair) + 1 if pair in column["known"] else 0)]


@pytest.mark.parametrize("name", ["deepfm", "wide_deep"])
@pytest.mark.parametrize("numeric", ["quantile", "standard"])
def test_another_program_can_follow_the_contract(name, numeric):
    samples = everything()
    config = {"epochs": 1, "history": 3, "numeric": numeric, "history_shares": "kind", "history_carries": ["age"]}
    crosses = {"crosses": [("a", "kind")], "cross_min_count": 3} if name == "wide_deep" else {}
    ranker = find("rank", name)(**config, **crosses).fit(samples)
    session = ort.InferenceSession(ranker.files()["model.onnx"], providers=["CPUExecutionProvider"])
    said = json.loads(session.get_modelmeta().custom_metadata_map["shortlist"])
    assert (said["format"], said["output"], said["score"]) == (2, "logit", "sigmoid(logit)")
    items, times = (samples.requests.history[name].reshape(-1, 4)[:, -3:] for name in ("item", "time"))
    ages = (samples.requests.time[:, None] - times).astype(float)
    past = {"history": items, "history.age": ages, "request": samples.candidates.request.astype(np.int64)}
    given = by_the_contract(said, samples.candidates.columns, past)
    read = {tensor.name for tensor in session.get_inputs()}
    assert {tensor.name: tensor.shape[0] for tensor in session.get_inputs()} == {
        name: "n" if name.startswith("history") else "m" for name in read
    }
    (z,) = session.run(["logit"], {key: value for key, value in given.items() if key in read})
    np.testing.assert_allclose(1 / (1 + np.exp(-z)), score(ranker, samples), atol=1e-5)


def test_without_a_history_a_file_has_no_inputs_of_requests():
    ranker = DeepFM(epochs=1).fit(everything())
    model = onnx.load_from_string(ranker.files()["model.onnx"])
    said = json.loads({entry.key: entry.value for entry in model.metadata_props}["shortlist"])
    assert said["format"] == 1
    assert [one["name"] for one in said["inputs"]] == ["numbers", "codes", "lists"]
    assert {name.name for name in model.graph.input} <= {"numbers", "codes", "lists"}


@pytest.mark.parametrize("calibration", ["closed", "isotonic"])
def test_the_contract_tells_how_the_score_is_calibrated(calibration):
    samples, later = replace(everything(), rate=0.2), everything(seed=1)
    ranker = DeepFM(epochs=2, calibration=calibration).fit(samples, later)
    for rate in (0.2, 0.5):
        model = onnx.load_from_string(ranker.files()["model.onnx"])
        said = json.loads({entry.key: entry.value for entry in model.metadata_props}["shortlist"])
        assert said["rate"] == rate
        p = 1 / (1 + np.exp(-ranker.predict(ranker.inputs(later.requests, later.candidates)).astype(float)))
        p = p / (p + (1 - p) / rate)
        if calibration == "isotonic":
            p = np.interp(p, *said["curve"])
        assert said["score"].startswith("curve(p / " if calibration == "isotonic" else "p / ")
        np.testing.assert_allclose(p, score(ranker, later), atol=1e-5)
        ranker.refit(replace(samples, rate=0.5))


def test_the_file_is_checked_and_its_rows_are_free():
    samples = everything()
    ranker = DeepFM(**CONFIG).fit(samples)
    onnx.checker.check_model(onnx.load_from_string(ranker.files()["model.onnx"]))
    none = samples.candidates.take(slice(0))
    assert ranker.score(samples.requests, none)["score"].shape == (0,)


def test_nets_fitted_side_by_side_export_one_after_the_other():
    samples = everything(60)
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda _: DeepFM(**CONFIG).fit(samples).files()["model.onnx"], range(8)))
    assert len(set(files)) == 1
