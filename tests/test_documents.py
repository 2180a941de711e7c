"""Files are replaced whole or not at all."""

from __future__ import annotations

import polars as pl
import pytest

from shortlist.documents import refuse_unwritable, write_parquet, write_text


def test_parquet_is_replaced_in_one_step(tmp_path, monkeypatch):
    file = tmp_path / "rows.parquet"
    write_parquet(pl.DataFrame({"a": [1]}), file)

    def full(self, target):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_parquet(pl.DataFrame({"a": [2]}), file)
    assert raised.value.filename == str(file)
    assert pl.read_parquet(file)["a"].to_list() == [1]


def test_what_cannot_be_written_is_refused_beforehand(tmp_path):
    refuse_unwritable(None, tmp_path / "new.json")
    with pytest.raises(IsADirectoryError, match="is a folder; name the file to write") as raised:
        refuse_unwritable(tmp_path / "new.json", tmp_path)
    assert raised.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder to write") as raised:
        refuse_unwritable(tmp_path / "no/new.json")
    assert raised.value.filename == str(tmp_path / "no")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    for write in (lambda to: write_text(to, "x"), lambda to: write_parquet(pl.DataFrame(), to)):
        with pytest.raises(FileNotFoundError) as raised:
            write(tmp_path / "no/file")
        assert raised.value.filename == str(tmp_path / "no/file")
