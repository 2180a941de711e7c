"""A fit that is killed while a net is in training goes on where it was."""

from __future__ import annotations

import json

import pytest

from shortlist import train
from shortlist.nn import checkpoint
from shortlist.progress import listening
from shortlist.recipe import read


class Killed(BaseException):
    """What ends the process."""


def test_a_killed_fit_goes_on_and_ends_as_another_would(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    net = ["recall.net.type=sasrec", "recall.net.factors=8", "recall.net.epochs=4", "recall.net.hold=0.0"]
    recipe = read(shop / "shop.toml", net)
    whole = train.fit(recipe, root=shop, out=tmp_path / "whole")
    checks = 0

    def kill(name: str, fields: dict) -> None:
        nonlocal checks
        checks += name == "check"
        if checks == 7:  # the second of the nets that stages of the schedule train
            raise Killed

    with listening(kill), pytest.raises(Killed):
        train.fit(recipe, root=shop, out=tmp_path / "again")
    assert list((tmp_path / "again" / "unfinished").iterdir())
    told: list[str] = []
    with listening(lambda name, fields: told.append(name)):
        fitted = train.fit(recipe, root=shop, out=tmp_path / "again")
    assert told.count("resumed") == 2
    assert told.count("check") == 3 * 4 - 6
    assert fitted.manifest["hash"] == whole.manifest["hash"]
    ours, theirs = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("again", "whole"))
    assert ours["slate"] == theirs["slate"]
    assert not (tmp_path / "again" / "unfinished").exists()
