"""The file of experiments: what it takes, and what it refuses with the key at fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from shortlist.component import InputError
from shortlist.experiment.design import parse, read

DAY = 86_400_000_000
TWO: dict[str, Any] = {"a": {}, "b": {"rules": {"mmr": {"trade_off": 0.3}}}}


def one(**more: Any) -> dict[str, Any]:
    return {"arms": TWO, **more}


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "experiments.toml"
    file.write_text("""
salt = "shop"
hold_out = 0.05
[testers]
"qa 1" = { diverse = "b" }
[counted]
click = ["view"]
conversion = ["buy"]
window = "2h"
[experiments.diverse]
layer = "ranking"
span = [0.0, 0.5]
start = 2026-11-01
stop = "2026-11-15T12:00:00Z"
ramp = [{ at = 2026-11-01T00:00:00Z, share = 0.1 }, { at = "2026-11-02", share = 1.0 }]
main = "gmv"
[experiments.diverse.arms.a]
[experiments.diverse.arms.b]
weight = 2
rules.mmr.trade_off = 0.3
ranker = "merge"
""")
    design = read(file)
    diverse = design.experiments["diverse"]
    assert diverse.control == "a"
    assert diverse.stop - diverse.start == 14.5 * DAY  # type: ignore[operator]
    assert [diverse.share_at(diverse.start + d * DAY) for d in (-1, 0, 1, 15)] == [0.0, 0.1, 1.0, 0.0]  # type: ignore[operator]
    assert diverse.arms["b"].touched == {"rules.mmr", "ranker"}
    assert design.counted.window == 7_200_000_000


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"experiments": {"x": {"arms": {"a": {}}}}}, r"experiments\.x\.arms: .*at least 2"),
        ({"experiments": {"x": one(span=[0.5, 0.5])}}, r"experiments\.x\.span: .*from < to"),
        ({"experiments": {"x": one(span=[0, 1.5])}}, r"experiments\.x\.span"),
        ({"experiments": {"x": one(start="soon")}}, r"experiments\.x\.start: .*ISO 8601.*'soon'"),
        ({"experiments": {"x": one(start=1700000000)}}, r"experiments\.x\.start: .*the number 1700000000"),
        ({"experiments": {"x": one(start="2026-01-02", stop="2026-01-02")}}, r"experiments\.x\.stop: is not after"),
        ({"experiments": {"x": one(layr="y")}}, r"experiments\.x\.layr: unknown; did you mean layer"),
        ({"experiments": {"x": one(main="clicks")}}, r"experiments\.x\.main: expected one of ctr"),
        ({"experiments": {"hold_out": one()}}, r"experiments\.hold_out: the name"),
        ({"experiments": {"x y": one()}}, r"experiments\.x y"),
        ({"experiments": {"x": {"arms": {"a": {"weight": 0}, "b": {}}}}}, r"arms\.a\.weight: .*greater than 0"),
        ({"experiments": {"x": {"arms": {"a": {"ranker": "gbdt"}, "b": {}}}}}, r"arms\.a\.ranker"),
        ({"experiments": {"x": {"interleave": True, "arms": {"a": {}, "b": {}, "c": {}}}}}, r"two arms to interleave"),
        (
            {"experiments": {"x": one(ramp=[{"at": "2026-01-02", "share": 0.5}, {"at": "2026-01-03", "share": 0.2}])}},
            r"ramp: .*shares that grow",
        ),
        ({"hold_out": 0.9}, r"hold_out: .*0\.5"),
        (
            {"testers": {"t": {"y": "a"}}, "experiments": {"x": one()}},
            r"testers\.t\.y: no such experiment; there are x",
        ),
        ({"testers": {"t": {"x": "c"}}, "experiments": {"x": one()}}, r"testers\.t\.x: expected one of a, b"),
        (
            {
                "testers": {"t": {"x": "a", "y": "a"}},
                "experiments": {"x": one(span=[0, 0.5]), "y": one(span=[0.5, 1])},
            },
            r"testers\.t\.y: is in x already",
        ),
        ({"experiments": {"x": one(), "y": one()}}, r"experiments\.y\.span: \[0, 1\) meets that of x"),
        ({"experiments": {"x": one(), "y": one(layer="z")}}, r"experiments\.y: changes rules\.mmr, as x does"),
    ],
)
def test_what_cannot_stand_is_refused_at_its_key(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        parse(tables)
    assert re.search(said, str(error.value)), str(error.value)


def test_spans_may_meet_at_different_times_and_layers_may_change_different_things() -> None:
    other = {"a": {}, "b": {"bundle": "123"}}
    parse({"experiments": {"x": one(stop="2026-01-01"), "y": one(start="2026-01-01")}})
    parse({"experiments": {"x": one(), "y": {"layer": "z", "arms": other}}})


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("= 1")
    for file, said in (("bad.toml", "not a TOML file"), ("none.toml", "no such file"), ("", "expected a file")):
        with pytest.raises(InputError, match=said):
            read(tmp_path / file)
