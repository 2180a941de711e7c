"""What is said about columns, on rows whose columns were made to be found out."""

from __future__ import annotations

import numpy as np
import pytest

from shortlist.columns.measures import Parts, described, same_as
from shortlist.types import Candidates, Requests, Samples


def samples(requests=300, rows=10, seed=0, **more):
    rng = np.random.default_rng(seed)
    m = requests * rows
    request = np.repeat(np.arange(requests, dtype=np.uint32), rows)
    taste = rng.normal(size=m)
    label = (taste + rng.normal(size=m) > 1.2).astype(np.float32)
    group = rng.integers(0, 5, m).astype(np.int32)
    columns = {
        "taste": np.where(rng.random(m) < 0.2, np.nan, taste).astype(np.float32),
        "group": np.where(rng.random(m) < 0.1, -1, group).astype(np.int32),
        "noise": rng.normal(size=m).astype(np.float32),
        "name": rng.permutation(m).astype(np.int32),
        "still": np.ones(m, np.float32),
        "gone": np.full(m, np.nan, np.float32),
        "of.request": rng.normal(size=requests).astype(np.float32)[request],
        "genres=drama": (rng.random(m) < 0.5).astype(np.float32),
        "_hidden": label,
        **{name: make(label, taste, rng) for name, make in more.items()},
    }
    asked = Requests.of(np.full(requests, -1), np.arange(requests))
    return Samples(
        asked, Candidates(request, np.arange(m, dtype=np.int32), columns), {"y": label}, np.ones(m, np.float32)
    )


def looked_at(judged=True, **more):
    return {c["name"]: c for c in described(Parts(samples(**more), samples(100, seed=1, **more), "y", judged))}


def test_types_missing_rates_and_ranges():
    found = looked_at()
    assert "_hidden" not in found
    assert {name: c["type"] for name, c in found.items()} == {
        "taste": "number", "group": "category", "noise": "number", "name": "category", "still": "number",
        "gone": "number", "of.request": "number", "genres=drama": "list",
    }  # fmt: skip
    assert found["taste"]["missing"] == pytest.approx(0.2, abs=0.03)
    assert found["group"]["missing"] == pytest.approx(0.1, abs=0.03)
    assert found["group"]["distinct"] == 5
    assert found["taste"]["quantiles"]["median"] == pytest.approx(0, abs=0.1)
    assert found["still"]["warnings"] == ["constant"]
    assert found["gone"]["warnings"] == ["always missing"]
    assert found["gone"]["auc"] == 0.5


def test_what_tells_comes_first_and_names_tell_nothing():
    found = looked_at()
    assert next(iter(found)) == "taste"
    assert found["taste"]["auc"] > 0.7
    assert found["taste"]["direction"] == "up"
    assert found["taste"]["gauc"] > 0.7
    assert found["taste"]["auc_later"] > 0.68
    assert found["taste"]["information"] > 0.1
    assert found["name"]["distinct"] == 3000
    for idle in ("name", "noise", "group"):
        assert found[idle]["auc_by_value"] == pytest.approx(0.5, abs=0.04)
        assert found[idle]["information"] < 0.01
    assert found["of.request"]["gauc"] == 0.5
    assert not any(column["suspect"] for column in found.values())


def test_a_number_that_bends_is_seen_by_its_values():
    found = looked_at(
        far=lambda y, taste, rng: (taste - 1.5).astype(np.float32) * np.where(rng.random(len(y)) < 0.5, 1, -1)
    )
    assert found["far"]["auc"] < 0.6
    assert found["far"]["auc_by_value"] > found["far"]["auc"] + 0.05


@pytest.mark.parametrize(
    "leak",
    [
        lambda y, t, rng: y + rng.normal(scale=0.1, size=len(y)).astype(np.float32),
        lambda y, t, rng: np.where(y > 0, np.nan, 1.0).astype(np.float32),  # missing gives it away
        lambda y, t, rng: (y * 3 + rng.integers(0, 3, len(y))).astype(np.int32),
        lambda y, t, rng: -np.abs(y - 1 + rng.normal(scale=0.1, size=len(y))).astype(np.float32),
    ],
)
def test_a_column_that_knows_the_label_is_suspected_and_no_other(leak):
    found = looked_at(leak=leak)
    assert found["leak"]["suspect"]
    assert "may know the label" in found["leak"]["warnings"][0]
    assert not found["taste"]["suspect"]


def test_far_ahead_of_all_others_is_suspected_but_not_with_a_near_copy():
    def half(y, taste, rng):
        return (y + rng.normal(scale=0.6, size=len(y))).astype(np.float32)

    def copy(y, taste, rng):
        return None

    ahead = samples(half=half)
    columns = {**ahead.candidates.columns}
    del columns["taste"]
    columns["copy"] = columns["half"] * 2 + np.random.default_rng(9).normal(scale=0.05, size=len(ahead)).astype(
        np.float32
    )
    rows = Samples(
        ahead.requests, Candidates(ahead.candidates.request, ahead.candidates.item, columns), ahead.labels, ahead.weight
    )
    found = {c["name"]: c for c in described(Parts(rows, rows, "y"))}
    assert 0.85 < found["half"]["auc"] < 0.95
    assert found["half"]["suspect"]
    assert found["copy"]["suspect"]  # a near copy is no other column to be measured by


def test_drift_is_seen_in_numbers_categories_and_missing_rates():
    parts = Parts(samples(), samples(100, seed=1), "y")
    later = {**parts.later.candidates.columns}
    later["noise"] = later["noise"] + 1
    later["group"] = np.where(later["group"] == 0, 99, later["group"]).astype(np.int32)
    later["taste"] = np.where(np.arange(len(later["taste"])) % 2, np.nan, later["taste"])
    moved = Candidates(parts.later.candidates.request, parts.later.candidates.item, later)
    found = {
        c["name"]: c
        for c in described(
            Parts(parts.train, Samples(parts.later.requests, moved, parts.later.labels, parts.later.weight), "y")
        )
    }
    assert found["noise"]["drift"]["psi"] > 0.5
    assert found["noise"]["drift"]["ks"] == pytest.approx(0.38, abs=0.05)
    assert found["group"]["drift"]["psi"] > 0.25
    assert found["taste"]["drift"]["missing"] == pytest.approx(0.4, abs=0.05)
    assert found["genres=drama"]["drift"]["psi"] < 0.02
    assert any("moved" in warning for warning in found["noise"]["warnings"])


def test_lists_of_codes_are_worth_what_their_values_are():
    def tags(y, taste, rng):
        codes = np.full((len(y), 3), -1, np.int32)
        codes[:, 0] = np.where(taste > 1, 7, rng.integers(0, 6, len(y)))
        codes[rng.random(len(y)) < 0.5, 1] = 2
        codes[rng.random(len(y)) < 0.1] = -1
        return codes

    found = looked_at(tags=tags)["tags"]
    assert found["type"] == "list"
    assert found["missing"] == pytest.approx(0.1, abs=0.02)
    assert found["distinct"] == 7
    assert found["auc_by_value"] > 0.7
    assert found["auc_later"] > 0.62
    assert found["information"] > 0.05
    assert found["drift"]["psi"] < 0.02


def test_labels_of_a_plain_tables_test_rows_are_not_looked_at():
    parts = Parts(samples(rows=1, requests=500), samples(200, 1, seed=1), "y", judged=False)
    blind = Samples(
        parts.later.requests, parts.later.candidates, {"y": np.full(200, np.nan, np.float32)}, parts.later.weight
    )
    first, second = described(parts), described(Parts(parts.train, blind, "y", judged=False))
    assert str(first) == str(second)
    assert all(column["gauc"] is None and column["auc_later"] is None for column in first)


def test_columns_that_say_the_same():
    rng = np.random.default_rng(0)
    x = rng.normal(size=100).astype(np.float32)
    x[:5] = np.nan
    code = rng.integers(0, 4, 100).astype(np.int32)
    columns = {
        "x": x,
        "turned": -3 * x + 1,
        "log": np.exp(x),
        "other": rng.normal(size=100).astype(np.float32),
        "code": code,
        "renamed": np.array([30, 10, 0, 20], np.int32)[code],
        "level": np.array([0.3, 0.1, 0.9, 0.2], np.float32)[code],
        "coarser": (code // 2).astype(np.int32),
        "ids": rng.permutation(100).astype(np.int32),
    }
    assert same_as(columns, list(columns)) == {"turned": "x", "log": "x", "renamed": "code", "level": "code"}


def test_no_rows_do_not_raise():
    empty = samples(3, 2).take(np.empty(0, np.int64))
    assert len(described(Parts(empty, empty, "y"))) == 8
