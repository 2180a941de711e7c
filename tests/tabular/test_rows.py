"""A plain table of one's own: how it may be written, what becomes of its columns, how it is split, what is left."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import shortlist as sl
from shortlist.component import InputError
from shortlist.data.raw import PlainTable
from shortlist.data.rows import PartsSpec, RowsSpec
from shortlist.data.sources._plain import load_rows
from shortlist.recipe import read
from shortlist.tabular.folds import ordered
from shortlist.tabular.samples import levels_of, plain_samples, samples_of

SHARED = Path(__file__).parents[3] / "shared" / "data"
TABLE = "age,job,clicked\n30,cook,1\n41,,0\n?,smith,1\n28,cook,0\n"
NULLS = {"null_values": ["", "?"]}
Command = Callable[..., tuple[int, str, str]]


def load(root: Path, text: str | bytes = TABLE, name: str = "rows.csv", **how: Any) -> PlainTable:
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_rows(RowsSpec.model_validate({"path": name, "label": "clicked", **how}), root)


def refused(root: Path, text: str | bytes = TABLE, **how: Any) -> str:
    with pytest.raises((InputError, ValidationError)) as error:
        load(root, text, **how)
    return str(error.value)


def every(table: PlainTable) -> pl.DataFrame:
    return pl.concat([table.train, table.test])


def clicks(m: int = 400, seed: int = 1) -> pl.DataFrame:
    """Age and job decide; the rows are in the order of their time."""
    rng = np.random.default_rng(seed)
    age, job = rng.integers(18, 70, m), rng.choice(["cook", "nurse", "smith"], m)
    clicked = rng.random(m) < 1 / (1 + np.exp(-(age - 45) / 6 - 2.0 * (job == "smith")))
    return pl.DataFrame(
        {
            "user": [f"u{n % 23}" for n in range(m)],
            "age": age,
            "job": job.tolist(),
            "tags": ["|".join(rng.choice(["a", "b", "c", "d"], rng.integers(1, 4), replace=False)) for _ in range(m)],
            "at": [f"2024-01-{1 + n * 28 // m:02}T{n % 24:02}:00:00" for n in range(m)],
            "part": ["test" if n % 5 == 0 else "train" for n in range(m)],
            "clicked": clicked.astype(int),
        }
    )


def test_every_row_is_in_one_part_with_the_kinds_its_cells_have(tmp_path: Path) -> None:
    table = load(tmp_path, TABLE * 1, **NULLS, split={"share": 0.25})
    assert table.kinds == {"age": "number", "job": "category"}
    assert (table.train.height, table.test.height) == (3, 1)
    rows = every(table).sort("age", nulls_last=True)
    assert rows.select("age", "job", "clicked").rows() == [
        *((28.0, "cook", 0), (30.0, "cook", 1), (41.0, None, 0), (None, "smith", 1)),
    ]


def test_a_table_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    frame = pl.read_csv(TABLE.encode(), null_values=["?"])
    frame.write_parquet(tmp_path / "rows.parquet")
    with sqlite3.connect(tmp_path / "rows.db") as base:
        base.execute("create table t (age integer, job text, clicked integer)")
        base.executemany("insert into t values (?, ?, ?)", frame.rows())
    ways = {
        "csv": load(tmp_path, TABLE, **NULLS),
        "gzip": load(tmp_path, gzip.compress(TABLE.encode()), **NULLS),
        "tabs": load(tmp_path, TABLE.replace(",", "\t"), separator="\t", **NULLS),
        "latin": load(tmp_path, TABLE.encode("utf-16"), encoding="utf-16", **NULLS),
        "bare": load(tmp_path, TABLE.split("\n", 1)[1], names=["age", "job", "clicked"], **NULLS),
        "noted": load(tmp_path, "# from the shop\n" + TABLE, comment="#", **NULLS),
        "parquet": load_rows(RowsSpec(path="rows.parquet", label="clicked"), tmp_path),
        "sql": load_rows(RowsSpec(path="rows.db", query="select * from t", label="clicked"), tmp_path),
    }
    for way, table in ways.items():
        assert table.train.equals(ways["csv"].train), way
        assert table.test.equals(ways["csv"].test), way
        assert table.kinds == ways["csv"].kinds, way


def test_what_says_nothing_is_left_out_and_said(tmp_path: Path) -> None:
    m = 200
    frame = pl.DataFrame(
        {
            "": range(m),
            "id": [7 * n % 211 for n in range(m)],
            "hash": [f"x{n:04}" for n in range(m)],
            "empty": [None] * m,
            "same": ["a"] * m,
            "zip": [8000 + n % 4 for n in range(m)],
            "padded": [f"00{n % 3}" for n in range(m)],
            "when": [f"2024-01-{1 + n % 28:02} 10:00:00" for n in range(m)],
            "price": [n * 37 % 101 / 4 for n in range(m)],
            "flag": [n % 2 == 0 for n in range(m)],
            "clicked": [n % 3 == 0 for n in range(m)],
        }
    )
    table = load(tmp_path, frame.write_csv(), without=["flag"])
    assert table.kinds == {"zip": "category", "padded": "category", "price": "number"}
    assert dict(table.left_out) == {
        "": "counts the rows",
        "id": "another in almost every row",
        "hash": "another in almost every row",
        "empty": "empty",
        "same": "always the same",
        "when": "times; derive parts of them",
        "flag": "as the recipe says",
    }


def test_columns_are_what_the_recipe_says(tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text(clicks().write_csv())
    how = {
        "path": "clicks.csv",
        "label": "clicked",
        "columns": {"years": {"column": "age", "kind": "number"}, "tags": "list", "age": "category"},
        "derive": {"hour": {"part": "hour", "of": "at"}},
    }
    table = load_rows(RowsSpec.model_validate(how), tmp_path)
    assert table.kinds == {"years": "number", "tags": "list", "age": "category", "hour": "category"}
    assert every(table)["tags"].list.len().max() == 3
    assert set(every(table)["hour"]) == {str(hour) for hour in range(24)}


@pytest.mark.parametrize(
    ("cells", "positive", "expected"),
    [
        (["1", "0", "1.0", ""], None, [1, 0, 1, None]),
        (["1", "-1", "1", "-1"], None, [1, 0, 1, 0]),
        (["true", "False", "TRUE", "false"], None, [1, 0, 1, 0]),
        ([" >50K", "<=50K", ">50K", "<=50K "], ">50K", [1, 0, 1, 0]),
        (["5", "4", "1", "2.0"], [4, 5], [1, 1, 0, 0]),
        (["a", "b", "c", ""], ["a", "c"], [1, 0, 1, None]),
        (["true", "false", "true", "x"], True, [1, 0, 1, 0]),
    ],
)
def test_labels(tmp_path: Path, cells: list[str], positive: Any, expected: list[int | None]) -> None:
    text = "x,clicked\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate([*cells, *cells]))
    held = {"split": {"share": 0.13}, "columns": {"x": "number"}}
    table = load(tmp_path, text, **held, **({} if positive is None else {"positive": positive}))
    assert every(table).sort("x")["clicked"].to_list() == [*expected, *expected]


def test_a_split_by_a_column_by_a_file_and_by_the_last_of_an_order(tmp_path: Path) -> None:
    frame = clicks()
    text = frame.write_csv()
    by_column = load(tmp_path, text, split={"column": "part"})
    assert by_column.test.height == frame.filter(pl.col("part") == "test").height
    assert "part" not in by_column.kinds
    (tmp_path / "test.csv").write_text(frame.filter(pl.col("part") == "test").write_csv())
    train = frame.filter(pl.col("part") == "train").write_csv()
    by_file = load(tmp_path, train, test="test.csv", without=["part"])
    assert by_file.train.equals(by_column.train.drop("rows.split.column"))
    assert by_file.test.equals(by_column.test.drop("rows.split.column"))
    assert by_file.fingerprint != by_column.fingerprint
    last = load(tmp_path, text, split={"share": 0.25, "by": "at"})
    cut = last.test["rows.split.by"].min()
    assert (last.train["rows.split.by"] < cut).all()
    assert abs(last.test.height - 100) < 20  # a day's rows stay together
    swapped = load(tmp_path, frame.reverse().write_csv(), split={"share": 0.25, "by": "at"})
    assert sorted(swapped.test["age"]) == sorted(last.test["age"])
    numbers = load(tmp_path, frame.with_columns(n=pl.int_range(400)).write_csv(), split={"share": 0.1, "by": "n"})
    assert numbers.test["rows.split.by"].to_list() == list(range(360, 400))


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_draw_loses_no_row_and_follows_its_seed(tmp_path: Path, m: int, share: float, seed: int) -> None:
    text = "x,clicked\n" + "".join(f"{n},{n % 2}\n" for n in range(m))
    how = {"columns": {"x": "number"}, "split": {"share": share, "seed": seed}}
    try:
        one, same = load(tmp_path, text, **how), load(tmp_path, text, **how)
    except InputError:  # so few rows that all or none, or one label alone, would be learned from
        assert round(share * m) in (0, m) or m < 12 or share > 0.8
        return
    assert one.test.height == round(share * m)
    assert sorted(every(one)["x"]) == list(range(m))
    assert one.train.equals(same.train)


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        (TABLE, {"label": "bought"}, "rows.csv: row 1: no column 'bought'; found age, job, clicked"),
        (TABLE, {"columns": {"age": "number"}}, "rows.csv: row 4, column age (age): expected a number, found '?'"),
        (TABLE, {"columns": {"wage": "number"}}, "row 1: expected a column 'wage' for wage, found age, job, clicked"),
        (TABLE, {"columns": {"age": "time"}}, "data.rows.columns.age: expected category, list or number, found 'time'"),
        (TABLE, {"columns": {"age": {"kind": "time"}}}, "columns.age: expected category, list or number, found 'time'"),
        (TABLE, {"columns": {"clicked": "number"}}, "data.rows.columns.clicked: is the label"),
        (TABLE.replace(",0", ",2"), NULLS, "row 3, column clicked (clicked): expected 1 or 0 (or say"),
        (TABLE.replace("28,cook,0", "28,cook,-1"), NULLS, "column clicked (label): expected 1 and 0, or 1 and -1"),
        (TABLE.replace(",0", ",1"), NULLS, "column clicked (label): expected 0 and 1 to learn from, found 1 alone"),
        (TABLE, {**NULLS, "positive": "yes"}, "expected 0 and 1 to learn from, found 0 alone"),
        (TABLE, {**NULLS, "split": {"column": "job"}}, "rows with test in job and others, found job has cook, smith"),
        (TABLE, {**NULLS, "split": {"share": 0.01}}, "data.rows.split: expected rows enough to hold 0.01 of them back"),
        (TABLE, {"split": {"column": "job", "share": 0.2}}, "expected a column that names the parts, or a share"),
        (TABLE, {"split": {"share": 0.2}, "test": "t.csv"}, "expected test = the file of the test rows, or split"),
        (TABLE, {"test": "nowhere.csv", **NULLS}, "nowhere.csv: expected a file in"),
        (TABLE, {"group": "who"}, "no column 'who'"),
        (TABLE, {"columns": {"age": "number"}, "without": ["job"]}, "without: columns names what is taken"),
        (TABLE, {"splitt": {}}, "splitt"),
        ("clicked\n1\n0\n", {}, "expected columns to learn from, found clicked"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, how: dict[str, Any], message: str) -> None:
    assert message in refused(tmp_path, text, **how)


def test_test_rows_at_fault_are_told_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("age,job,clicked\nold,cook,1\n")
    assert "test.csv: row 2, column age (age): expected a number" in refused(tmp_path, test="test.csv", **NULLS)
    (tmp_path / "test.csv").write_text("age,job\n30,cook\n")
    assert "test.csv: row 1: expected a column 'clicked'" in refused(tmp_path, test="test.csv", **NULLS)


def test_rows_at_fault_may_be_dropped_and_are_kept(tmp_path: Path) -> None:
    text = TABLE + "old,cook,1\n30,cook,maybe\n50,nurse,0\n"
    how = {"columns": {"age": "number", "job": "category"}, "bad_rows": "drop"}
    table = load(tmp_path, text, **how, **NULLS)
    assert table.rejected.select("row", "reason").rows() == [
        (6, "age: not a number"),
        (7, "clicked: not 1 or 0 (or say which cells mean 1: positive = ...)"),
    ]
    assert every(table).height == 5


def test_groups_are_requests_and_a_row_without_one_stands_alone(tmp_path: Path) -> None:
    text = "user,x,clicked\nb,1,1\na,2,0\nb,3,0\n,4,1\n,5,0\na,6,1\n"
    (tmp_path / "t.csv").write_text(text)
    train, _ = samples_of(load(tmp_path, text, group="user", columns={"x": "number"}, test="t.csv"))
    assert train.candidates.request.tolist() == [0, 0, 1, 1, 2, 3]
    assert train.candidates["x"].tolist() == [1, 3, 2, 6, 4, 5]
    assert train.labels["clicked"].tolist() == [1, 0, 0, 1, 1, 0]
    assert len(train.requests) == 4


def test_lists_are_codes_padded_and_their_names_are_kept() -> None:
    tags = pl.Series("t", [["b", "a"], [], None, ["c"]], pl.List(pl.String))
    frame = pl.DataFrame([tags, pl.Series("y", [1, 0, 1, 0], pl.Int8)])
    table = PlainTable(frame, frame.head(1), "y", {"t": "list"})
    train, test = samples_of(table)
    assert levels_of(table) == {"t": ["a", "b", "c"]}
    assert train.candidates["t"].tolist() == [[1, 0], [-1, -1], [-1, -1], [2, -1]]
    assert test.candidates["t"].tolist() == [[1, 0]]
    nothing = PlainTable(*[frame.with_columns(t=pl.lit(None, pl.List(pl.String)))] * 2, "y", {"t": "list"})
    assert samples_of(nothing)[0].candidates["t"].tolist() == [[-1]] * 4


def test_without_groups_nothing_is_moved() -> None:
    samples = plain_samples({"x": np.array([3.0, 1.0])}, np.array([0, 1]))
    assert samples.candidates.request.tolist() == [0, 1]
    assert samples.candidates["x"].tolist() == [3, 1]


RECIPE = """
name = "clicks"
seed = 3
[data.rows]
path = "clicks.csv"
label = "clicked"
without = ["user", "part", "at"]
split = { share = 0.25 }
[cross_validation]
folds = 2
[rank.trees]
type = "gbdt"
trees = 20
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "clicks.csv").write_text(clicks(600).write_csv())
    (tmp_path / "clicks.toml").write_text(RECIPE)
    return tmp_path


def test_fit_compares_rankers_and_leaves_what_they_learned(shop: Path, shortlist_command: Command) -> None:
    code, out, err = shortlist_command("fit", shop / "clicks.toml", "--data", shop, "--out", shop / "run")
    assert code == 0, err
    assert "reference" not in out
    assert "columns: category job, tags, number age" in err
    assert "left_out user: as the recipe says" in err
    document = json.loads((shop / "run" / "evaluation.json").read_text())
    assert document["rankers"]["trees"]["test_auc"] > 0.8
    assert document["data"]["kinds"] == {"age": "number", "job": "category", "tags": "category"}
    columns = json.loads((shop / "run" / "rankers" / "columns.json").read_text())
    assert columns["job"] == {"kind": "category", "codes": ["cook", "nurse", "smith"]}
    assert columns["age"] == {"kind": "number"}
    assert [file.name for file in (shop / "run" / "rankers" / "trees").iterdir()]
    assert not (shop / "run" / "rejected.parquet").exists()


def test_groups_are_measured_and_their_order_can_be_learned(shop: Path, shortlist_command: Command) -> None:
    order = 'rank.order={type="gbdt", objective="lambdarank", trees=20}'
    said = ["--set", 'data.rows.group="user"', "--set", 'data.rows.without=["part", "at"]', "--set", order]
    code, out, err = shortlist_command("fit", shop / "clicks.toml", "--data", shop, "--out", shop / "run", *said)
    assert code == 0, err
    assert "GAUC" in out
    found = json.loads((shop / "run" / "evaluation.json").read_text())["rankers"]
    for ranker in ("trees", "order"):
        assert 0.75 < found[ranker]["test_gauc"] < 1
        assert 0.75 < found[ranker]["test_ndcg@10"] <= 1
    assert found["order"]["test_auc"] == found["order"]["test_gauc"]  # its scores mean nothing across users


def test_the_figures_of_groups_are_those_worked_out_by_hand() -> None:
    class Score:
        label, predicts = None, False

        def score(self, requests: Any, rows: Any) -> dict[str, Any]:
            return {"score": rows["x"]}

    samples = plain_samples(
        {"x": np.array([3.0, 2.0, 1.0, 1.0, 2.0])}, np.array([0, 1, 1, 1, 0]), group=np.array([0, 0, 0, 1, 1])
    )
    found = ordered(Score(), samples)  # type: ignore[arg-type]
    assert found["gauc"] == 0.0
    ideal, got = 1 + 1 / np.log2(3), 1 / np.log2(3) + 1 / np.log2(4)
    assert found["ndcg@10"] == pytest.approx((got / ideal + 1 / np.log2(3)) / 2)


def test_features_looks_at_the_columns(shop: Path, shortlist_command: Command) -> None:
    said = ("features", shop / "clicks.toml", "--data", shop, "--importance", "--json", shop / "f.json")
    code, _, err = shortlist_command(*said)
    assert code == 0, err
    document = json.loads((shop / "f.json").read_text())
    assert next(column["name"] for column in document["columns"]) in ("age", "job")
    assert document["importance"]["rankers"]["trees"]["columns"]["age"]["auc"]["drop"] > 0.02


def test_nets_leave_an_onnx_file_and_learn_from_lists(shop: Path, shortlist_command: Command) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    nets = [f'rank.{name}={{type="{name}", epochs=1}}' for name in ("deepfm", "dnn")]
    said = [part for net in nets for part in ("--set", net)]
    said += ["--set", 'data.rows.columns={age="number", job="category", tags="list"}', "--set", "data.rows.without=[]"]
    code, _, err = shortlist_command("fit", shop / "clicks.toml", "--data", shop, "--out", shop / "run", *said)
    assert code == 0, err
    assert "rank.trees: learns from no lists, so not from tags" in err
    for net in ("deepfm", "dnn"):
        model = pytest.importorskip("onnxruntime").InferenceSession(shop / "run" / "rankers" / net / "model.onnx")
        told = json.loads(model.get_modelmeta().custom_metadata_map["shortlist"])
        assert "tags" in json.dumps(told["inputs"])


def test_a_recipe_must_be_of_a_log_or_of_a_table(shop: Path, shortlist_command: Command) -> None:
    def told(*said: str) -> str:
        code, _, err = shortlist_command("fit", shop / "clicks.toml", "--data", shop, *said)
        assert code == 2
        return err

    assert "data: rows and events" in told("--set", 'data.events={path="x.csv"}')
    assert "data: rows and split" in told("--set", "data.split={test=0.9}")
    assert "data.rows" in told("--set", 'recall.cf={type="item_cf"}')
    assert '[data.rows] is read only with source = "tables"' in told("--set", 'data.source="adult"')


def test_few_of_a_label_are_said(tmp_path: Path, shortlist_command: Command) -> None:
    frame = clicks(300).with_columns(clicked=(pl.int_range(300) % 20 == 0).cast(pl.Int8))
    (tmp_path / "clicks.csv").write_text(frame.write_csv())
    (tmp_path / "clicks.toml").write_text(RECIPE)
    code, _, err = shortlist_command("fit", tmp_path / "clicks.toml", "--data", tmp_path, "--out", tmp_path / "run")
    assert code == 0
    assert "of 225 rows have the rarer label: in 2 folds" in err


def test_a_file_in_a_notebook(shop: Path) -> None:
    train, test = sl.table(shop / "clicks.csv", label="clicked", without=["user", "part"], test=0.25, seed=1)
    assert len(train) + len(test) == 600
    assert sorted(train.candidates.columns) == ["age", "job", "tags"]
    assert sl.auc(sl.GBDT(trees=20).fit(train), test) > 0.75
    grouped, _ = sl.table(shop / "clicks.csv", label="clicked", group="user", categories=["age"])
    assert len(grouped.requests) == 23
    assert grouped.candidates["age"].dtype == np.int32
    framed, _ = sl.table(clicks(600).drop("at"), label="clicked", group="user")
    assert len(framed.requests) == 23
    with pytest.raises(sl.InputError, match="no column 'wage'"):
        sl.table(shop / "clicks.csv", label="clicked", without=["wage"])


ADULT = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
]


def test_adult_as_files_is_adult_as_a_source() -> None:
    if not (SHARED / "adult").is_dir():
        pytest.skip(f"no copy of adult in {SHARED}")
    how = {
        "path": "adult/adult.data.gz",
        "test": "adult/adult.test.gz",
        "separator": ", ",
        "names": ADULT,
        "comment": "|",
        "null_values": ["", "?"],
        "label": "income",
        "positive": [">50K", ">50K."],
    }
    table = load_rows(RowsSpec.model_validate(how), SHARED)
    named, _ = sl.table("adult")
    own, _ = samples_of(table)
    assert list(own.candidates.columns) != []
    for name, column in named.candidates.columns.items():
        np.testing.assert_array_equal(own.candidates[name], column, err_msg=name)
    np.testing.assert_array_equal(own.labels["income"], named.labels["income"])


SAMPLES = {
    "ctr-samples/criteo_kaggle2014_tiny_train.csv.gz": ("Label", {}, 1_999, 202),
    "ctr-samples/avazu_sample.txt": ("click", {}, 100, None),
    "ctr-samples/yidian_news_sampled.csv.gz": ("click", {"split": {"share": 0.2, "by": "showTime"}}, 1_000, 110),
    "ctr-samples/ali_ccp_train_sample.csv": ("click", {"test": "ctr-samples/ali_ccp_test_sample.csv"}, 150, None),
    "ctr-samples/census-income.sample.gz": ("column_43", {"header": False, "positive": "50000+."}, 200, None),
    "frappe-libfm/frappe.test.libfm.gz": ("label", {"format": "libsvm"}, 28_860, 9_536),
}


@pytest.mark.parametrize("path", SAMPLES)
def test_real_tables(path: str) -> None:
    if not (SHARED / path).is_file():
        pytest.skip(f"no copy of {path} in {SHARED}")
    label, how, rows, good = SAMPLES[path]
    table = load_rows(RowsSpec.model_validate({"path": path, "label": label, **how}), SHARED)
    assert every(table).height == rows
    assert good is None or every(table)[label].sum() == good
    assert len(table.kinds) >= 5


def test_what_a_recipe_says_of_its_rows_may_be_written_and_read_again(shop: Path) -> None:
    spec = read(shop / "clicks.toml").data.rows
    assert spec is not None
    assert RowsSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"1,2,3,4", "row 62: expected 3 columns, found 4: '1,2,3,4'"),
        (b"\xff,2,1", "row 62, column x (x): expected utf-8 text"),
        (b'"a"b,2,1', "row 62, column x (x): expected a quote only around a whole cell"),
    ],
)
def test_a_row_that_is_no_csv_is_told_or_dropped_and_kept(tmp_path: Path, row: bytes, message: str) -> None:
    text = b"x,z,clicked\n" + b"1,2,0\n2,1,1\n" * 30 + row + b"\n"
    assert message in refused(tmp_path, text)
    assert message in refused(tmp_path, text, columns={"x": "category"}, split={"by": "z"})
    table = load(tmp_path, text, bad_rows="drop")
    assert table.rejected["row"].to_list() == [62]
    assert every(table).height == 60


def test_columns_of_every_type_of_parquet(tmp_path: Path) -> None:
    m = 120
    frame = pl.DataFrame(
        {
            "enum": pl.Series(["x", "y"] * 60, dtype=pl.Enum(["x", "y"])),
            "bytes": pl.Series([b"p", b"q"] * 60),
            "decimal": pl.Series([1.5, 2.25] * 60).cast(pl.Decimal(10, 2)),
            "flag": [True, False, None] * 40,
            "small": pl.Series([1, 2, 3] * 40, dtype=pl.UInt8),
            "gap": [float("nan"), 1.0, 2.0] * 40,
            "list": [["a"], ["a", "b"], None] * 40,
            "pair": pl.Series([[1, 2]] * m, dtype=pl.Array(pl.Int64, 2)),
            "object": [{"a": 1}] * m,
            "day": pl.Series(range(m)).cast(pl.Date),
            "clicked": [0, 1, 1] * 40,
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    table = load_rows(RowsSpec(path="rows.parquet", label="clicked", split=PartsSpec(by="day")), tmp_path)
    numbers, categories, lists = ("decimal", "small", "gap"), ("enum", "bytes", "flag"), ("list", "pair")
    assert table.kinds == {
        **dict.fromkeys(numbers, "number"),
        **dict.fromkeys(categories, "category"),
        **dict.fromkeys(lists, "list"),
    }
    assert dict(table.left_out) == {"object": "holds objects", "day": "the order"}
    train, test = samples_of(table)
    assert (len(train), len(test)) == (96, 24)
    assert np.isnan(train.candidates["gap"]).sum() == 32
    with pytest.raises(InputError, match=r"column object \(rows\.split\.column\): expected text or a number"):
        load_rows(RowsSpec(path="rows.parquet", label="clicked", split=PartsSpec(column="object")), tmp_path)


def test_numbers_beyond_all_bounds_are_told(tmp_path: Path) -> None:
    text = "x,clicked\n" + "".join(f"{'inf' if n == 3 else n * 7 % 11},{n % 2}\n" for n in range(60))
    assert "rows.csv: row 5, column x (x): expected a number, found 'inf'" in refused(tmp_path, text)
    assert "rows.csv: expected rows, found none" in refused(tmp_path, "x,clicked\n")
