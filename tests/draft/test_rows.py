"""Recipes drafted from plain tables: each runs as it stands."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from shortlist.component import InputError
from shortlist.data.rows import RowsSpec
from shortlist.data.sources._plain import load_rows
from shortlist.draft.rows import draft_rows

SHARED = Path(__file__).parents[3] / "shared" / "data"
Command = Callable[..., tuple[int, str, str]]


def frame(label: list[Any], **more: Any) -> pl.DataFrame:
    m = 120
    draw = np.random.default_rng(2)
    made = {"age": draw.integers(18, 70, m), "job": draw.choice(["cook", "smith"], m)}
    return pl.DataFrame({**made, **more, "won": [label[n % len(label)] for n in range(m)]})


def drafted(root: Path, table: pl.DataFrame, text: str | None = None) -> tuple[str, dict[str, Any]]:
    (root / "rows.csv").write_text(table.write_csv() if text is None else text)
    said = draft_rows(root / "rows.csv", "won")
    section = tomllib.loads(said)["data"]["rows"]
    load_rows(RowsSpec.model_validate(section))
    return said, section


@pytest.mark.parametrize(
    ("label", "positive"),
    [
        ([0, 0, 1], None),
        ([-1, 1], None),
        (["true", "false"], None),
        (["yes", "no", "no"], "yes"),
        (["<=50K", "<=50K", ">50K"], ">50K"),  # the rarer
        ([1, 2, 3, 4, 5], [4, 5]),
        (["a", "b", "c"], "c"),
    ],
)
def test_which_cells_mean_1(tmp_path: Path, label: list[Any], positive: Any) -> None:
    said, section = drafted(tmp_path, frame(label))
    assert section.get("positive") == positive
    assert ("# question:" in said) == (positive is not None)
    assert section["columns"] == {"age": "number", "job": "category"}


def test_the_split_is_by_parts_by_time_or_drawn(tmp_path: Path) -> None:
    label = [0, 0, 1]
    assert drafted(tmp_path, frame(label))[1]["split"] == {"share": 0.2}
    days = [f"2024-01-{1 + n % 28:02}" for n in range(120)]
    assert drafted(tmp_path, frame(label, seen_date=days))[1]["split"] == {"share": 0.2, "by": "seen_date"}
    parts = ["Test" if n % 4 == 0 else "Train" for n in range(120)]
    both = frame(label, seen_date=days, split=parts)
    assert drafted(tmp_path, both)[1]["split"] == {"column": "split", "test": "Test"}


def test_groups_lists_and_what_is_left_out_are_said(tmp_path: Path) -> None:
    users = [f"u{n % 12}" for n in range(120)]
    lists = ["|".join(sorted({"a", "bc"[n % 2], "de"[n % 2]})) for n in range(120)]
    said, section = drafted(tmp_path, frame([0, 1, 1], user_id=users, tags=lists, key=[f"k{n}" for n in range(120)]))
    assert '# group = "user_id"' in said
    assert section["columns"]["tags"] == {"kind": "list"}
    assert "# not used: key (another in almost every row)" in said
    assert "key" not in section["columns"]


def test_a_header_of_numbers_is_known_by_the_label(tmp_path: Path) -> None:
    text = "won,101,102\n" + "".join(f"{n % 2},{n % 7},{n % 5}\n" for n in range(90))
    _, section = drafted(tmp_path, frame([0]), text)
    assert section["columns"] == {"101": "number", "102": "number"}


def test_the_command_drafts_and_the_draft_fits(tmp_path: Path, shortlist_command: Command) -> None:
    (tmp_path / "rows.csv").write_text(frame([0, 1, 1]).write_csv())
    (tmp_path / "held.csv").write_text(frame([1, 0]).write_csv())
    recipe = tmp_path / "rows.toml"
    ways = ("init", tmp_path / "rows.csv", "--label", "won", "--test", tmp_path / "held.csv", "--out", recipe)
    assert shortlist_command(*ways)[0] == 0
    assert tomllib.loads(recipe.read_text())["data"]["rows"]["test"].endswith("held.csv")
    code, out, err = shortlist_command("fit", recipe, "--out", tmp_path / "run")
    assert code == 0, err
    assert "120 training and 120 test rows" in out


def test_sparse_lines_are_libsvm(tmp_path: Path) -> None:
    lines = "".join(f"{n % 2} qid:{n // 4} 1:{n % 5} 3:{n % 3 / 2}\n" for n in range(80))
    (tmp_path / "rows.txt").write_text(lines)
    said = draft_rows(tmp_path / "rows.txt", "label")
    section = tomllib.loads(said)["data"]["rows"]
    assert section == {
        "path": str(tmp_path / "rows.txt"),
        "format": "libsvm",
        "group": "qid",
        "split": {"share": 0.2},
    }
    load_rows(RowsSpec.model_validate(section))
    with pytest.raises(InputError, match="expected --label label"):
        draft_rows(tmp_path / "rows.txt", "won")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rows.csv", "--label", "lost"), "no column 'lost' to be the label; found age, job, won"),
        (("nothing.csv", "--label", "won"), "nothing.csv: expected a file, found nothing"),
        (("rows.csv", "--label", "won", "--items", "rows.csv"), "leave out --items, --users"),
        (("rows.csv", "--test", "rows.csv"), "--test: the rows to test on of a plain table"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortlist_command: Command, arguments: tuple[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(frame([0, 1]).write_csv())
    code, _, err = shortlist_command("init", *arguments)
    assert code == 2
    assert message in err


REAL = {
    "ctr-samples/criteo_kaggle2014_tiny_train.csv.gz": ("Label", 39),
    "ctr-samples/avazu_sample.txt": ("click", None),
    "ctr-samples/yidian_news_sampled.csv.gz": ("click", None),
    "ctr-samples/ali_ccp_train_sample.csv": ("click", None),
    "ctr-samples/census-income.sample.gz": ("column_43", None),
    "frappe-libfm/frappe.test.libfm.gz": ("label", 10),
    "adult/adult.data.gz": ("column_15", 14),
}


@pytest.mark.parametrize("path", REAL)
def test_real_tables(path: str) -> None:
    if not (SHARED / path).is_file():
        pytest.skip(f"no copy of {path} in {SHARED}")
    label, columns = REAL[path]
    section = tomllib.loads(draft_rows(SHARED / path, label))["data"]["rows"]
    table = load_rows(RowsSpec.model_validate(section))
    assert columns is None or len(table.kinds) == columns
    assert len(table.kinds) >= 8
