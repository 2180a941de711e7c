"""Trees grown by LightGBM, and its text model format as a ``Forest``."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa

from shortlist.component import InputError
from shortlist.memory import give_back
from shortlist.rank._forest import Forest, deepest
from shortlist.rank._trees import Makes
from shortlist.types import Array, Bool, Float32, Float64, Ragged

IS_CATEGORY, DEFAULT_LEFT, MISSING_ZERO, MISSING_NAN = 1, 2, 4, 8
"""Bits of ``decision_type``."""


def train_lightgbm(
    train: Makes,
    valid: Makes | None,
    categorical: Bool,
    names: list[str],
    trees: int,
    stopping: int,
    params: dict[str, Any],
) -> tuple[Forest, bytes]:
    """At most ``trees`` trees, fewer where ``valid`` has not improved for ``stopping`` rounds (0 = never stop).

    One thread and fixed seeds by default: the same rows give the same trees.
    """
    columns = [f"c{at}" for at in range(len(names))]  # LightGBM refuses names with JSON characters; order is kept
    codes = [int(at) for at in np.flatnonzero(categorical)]
    fixed = {"verbosity": -1, "deterministic": True, "force_row_wise": True, "feature_pre_filter": False}
    params = fixed | params

    def dataset(rows: Makes, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        x, y, weight, groups = rows()
        table = pa.Table.from_arrays([pa.array(column) for column in x], columns)  # read where they stand
        return lgb.Dataset(
            table, y, weight=weight, group=groups, feature_name=columns, categorical_feature=codes, reference=reference,
            params=params, free_raw_data=True,
        ).construct()  # fmt: skip

    data = dataset(train)
    give_back()  # LightGBM's sample of the rows
    later = dataset(valid, data) if valid is not None and stopping else None
    if later is None:
        booster = lgb.train(params, data, trees)
    else:
        callbacks: list[Any] = [lgb.early_stopping(stopping, first_metric_only=True, verbose=False)]
        booster = lgb.train(params, data, trees, valid_sets=[later], callbacks=callbacks)
    text = booster.model_to_string(num_iteration=booster.best_iteration if booster.best_iteration > 0 else -1)
    return read_lightgbm(text), text.encode()


def read_lightgbm(text: str) -> Forest:
    """The trees of a model saved by LightGBM 3 or later; raises ``InputError`` for what is not such a file."""
    if not text.startswith("tree\n") or "end of trees" not in text:
        raise InputError(
            "model.txt: expected a LightGBM model with all its trees, found something else or a part of it"
        )
    trees = [_fields(block) for block in text.split("\nTree=")[1:]]
    parts: dict[str, list[Array]] = {name: [] for name in ("feature", "threshold", "below", "above", "value", "set")}
    lengths, depths, words, sizes = [0], [], [np.empty(0, np.uint32)], [0]
    for tree in trees:
        if tree.get("is_linear", "0") != "0":
            raise InputError("model.txt: linear trees are not supported")
        nodes, depth = _nodes(tree, len(sizes) - 1)
        for name, column in nodes.items():
            parts[name].append(column)
        lengths.append(len(nodes["value"]))
        depths.append(depth)
        if tree.get("cat_threshold"):
            words.append(_numbers(tree["cat_threshold"], np.int64).astype(np.uint32))
            sizes.extend(np.diff(_numbers(tree["cat_boundaries"], np.int64)).tolist())
    return Forest(
        Ragged(np.cumsum(lengths), {name: np.concatenate(columns) for name, columns in parts.items()}),
        np.array(depths, np.int32),
        Ragged(np.cumsum(sizes), {"word": np.concatenate(words)}),
    )


def _fields(block: str) -> dict[str, str]:
    lines = block.split("\n\n")[0].split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _numbers(text: str, dtype: type) -> Array:
    return np.array(text.split(), dtype)


def _nodes(tree: dict[str, str], sets_before: int) -> tuple[dict[str, Array], int]:
    """Columns of one tree's nodes: the inner nodes in their order, then the leaves in theirs."""
    leaves = int(tree["num_leaves"])
    inner = leaves - 1
    own = np.arange(inner + leaves)  # a leaf points to itself
    below, above = own.copy(), own.copy()
    feature = np.zeros(len(own), np.uint32)
    threshold = np.zeros(len(own), np.float32)
    group = np.full(len(own), -1, np.int32)
    if inner:
        for name, child in (("left_child", below), ("right_child", above)):
            number = _numbers(tree[name], np.int64)
            child[:inner] = np.where(number >= 0, number, inner - 1 - number)
        kind = _numbers(tree["decision_type"], np.int64)
        if (kind & MISSING_ZERO).any():
            raise InputError("model.txt: models that take zero for missing are not supported")
        cut = _numbers(tree["threshold"], np.float64)
        category = (kind & IS_CATEGORY) > 0
        # A column that had no missing value in training reads a missing one as 0.
        missing_below = np.where(kind & MISSING_NAN, kind & DEFAULT_LEFT, cut >= 0) > 0
        feature[:inner] = 2 * _numbers(tree["split_feature"], np.int64) + ~(missing_below & ~category)
        threshold[:inner] = np.where(category, 0, rounded_down(cut))
        group[:inner] = np.where(category, sets_before + cut, -1)
    value = np.concatenate([np.zeros(inner), _numbers(tree["leaf_value"], np.float64)])
    columns = {"feature": feature, "threshold": threshold, "value": value, "set": group}
    return columns | {"below": below.astype(np.uint32), "above": above.astype(np.uint32)}, deepest(below, above)


def rounded_down(cut: Float64) -> Float32:
    """The largest float32 not above ``cut``: the same float32 values are <= both."""
    near = np.clip(cut, -3e38, 3e38).astype(np.float32)
    return np.where(near > cut, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
