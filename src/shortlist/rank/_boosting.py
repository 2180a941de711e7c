"""Training with LightGBM."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np

from shortlist.rank._forest import Forest
from shortlist.rank._lightgbm import read_lightgbm
from shortlist.types import Bool, Float32, Float64, Int64

Rows = tuple[Float32, Float64, Float64, Int64 | None]
"""``(x [m, f], label [m], weight [m], rows per request or None)``"""


def train_lightgbm(
    train: Rows,
    valid: Rows | None,
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

    def dataset(rows: Rows, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        x, y, weight, groups = rows
        return lgb.Dataset(
            x, y, weight=weight, group=groups, feature_name=columns, categorical_feature=codes, reference=reference,
            params=params, free_raw_data=True,
        )  # fmt: skip

    data = dataset(train)
    if valid is None or not stopping or not len(valid[1]):
        booster = lgb.train(params, data, trees)
    else:
        callbacks: list[Any] = [lgb.early_stopping(stopping, first_metric_only=True, verbose=False)]
        booster = lgb.train(params, data, trees, valid_sets=[dataset(valid, data)], callbacks=callbacks)
    text = booster.model_to_string(num_iteration=booster.best_iteration if booster.best_iteration > 0 else -1)
    return read_lightgbm(text), text.encode()
