"""XGBoost's JSON model format to a ``Forest``."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from shortlist.component import InputError
from shortlist.rank._forest import Forest, deepest
from shortlist.types import Array, Ragged


def read_xgboost(native: bytes) -> Forest:
    """The trees of a model with one output, and a last tree of a single leaf that holds the base score."""
    try:
        learner = json.loads(native)["learner"]
        trees = learner["gradient_booster"]["model"]["trees"]
        base = float(learner["learner_model_param"]["base_score"].strip("[]"))
        objective = learner["objective"]["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("model.json: expected a model of XGBoost 3 with one output, found something else") from error
    if objective == "binary:logistic":
        base = min(max(base, 1e-15), 1 - 1e-15)  # kept as a probability there, 0 or 1 where all labels are
        base = float(np.log(base / (1 - base)))
    words: list[Array] = [np.empty(0, np.uint32)]
    nodes, depths = [], []
    for tree in trees:
        columns, depth = _nodes(tree, words)
        nodes.append(columns)
        depths.append(depth)
    nodes.append(_leaf(base))
    depths.append(0)
    offsets = np.cumsum([0, *(len(columns["value"]) for columns in nodes)])
    return Forest(
        Ragged(offsets, {name: np.concatenate([columns[name] for columns in nodes]) for name in nodes[0]}),
        np.array(depths, np.int32),
        Ragged(np.cumsum([0, *map(len, words[1:])]), {"word": np.concatenate(words)}),
    )


def _nodes(tree: dict[str, Any], words: list[Array]) -> tuple[dict[str, Array], int]:
    """Columns of one tree's nodes; sets of categories are appended to ``words``."""
    left = np.array(tree["left_children"], np.int64)
    right = np.array(tree["right_children"], np.int64)
    cut = np.array(tree["split_conditions"], np.float32)
    own = np.arange(len(left))
    leaf = left < 0
    group = np.full(len(left), -1, np.int32)
    for node, begin, size in zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    ):
        group[node] = len(words) - 1
        members = np.array(tree["categories"][begin : begin + size], np.int64)
        bits = np.zeros(members.max() // 32 + 1, np.uint32)
        np.bitwise_or.at(bits, members >> 5, np.uint32(1) << (members & 31).astype(np.uint32))
        words.append(bits)
    category = group >= 0  # members go right there: below here is right there
    missing_left = np.array(tree["default_left"], bool)
    below = np.where(leaf, own, np.where(category, right, left))
    above = np.where(leaf, own, np.where(category, left, right))
    feature = 2 * np.array(tree["split_indices"], np.int64) + ~(missing_left ^ category)
    columns: dict[str, Array] = {
        "feature": np.where(leaf, 0, feature).astype(np.uint32),
        # x < cut goes left there, x <= threshold goes below here
        "threshold": np.where(leaf | category, 0, np.nextafter(cut, np.float32(-np.inf))).astype(np.float32),
        "below": below.astype(np.uint32),
        "above": above.astype(np.uint32),
        "value": np.where(leaf, cut, 0).astype(np.float64),
        "set": group,
    }
    return columns, deepest(below, above)


def _leaf(value: float) -> dict[str, Array]:
    zero = np.zeros(1, np.uint32)
    columns = {"feature": zero, "threshold": np.zeros(1, np.float32), "below": zero, "above": zero}
    return columns | {"value": np.array([value]), "set": np.full(1, -1, np.int32)}
