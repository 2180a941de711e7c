"""``shortlist list metrics`` reads docstrings; it must find what is there and agree with it."""

from __future__ import annotations

import inspect

from shortlist import metrics
from shortlist.metrics import accuracy, beyond, columns, dependence, drift, ranking, timeliness, variety

MODULES = (accuracy, beyond, columns, dependence, drift, ranking, timeliness, variety)


def test_lists_every_metric_with_its_source():
    listed = {entry.name: entry for entry in metrics.entries()}
    assert {"ndcg", "recall", "auc", "gauc", "log_loss", "coverage", "gini", "novelty", "age"} <= set(listed)
    assert not {"per_request", "in_tail", "gini_pulls", "reliability", "auc_by_group", "mean_interval"} & set(listed)
    for name, entry in listed.items():
        function = next(getattr(module, name) for module in MODULES if hasattr(module, name))
        doc = inspect.getdoc(function)
        assert entry.summary == doc.split("\n\n")[0].replace("\n", " ")
        assert entry.summary.endswith(".")
        assert entry.reference
        assert entry.available
        assert "\n" not in entry.reference
    assert metrics.names() == sorted(listed)


def test_every_metric_of_the_evaluation_is_listed():
    assert {function.__name__ for _, function in accuracy.AT_K} <= set(metrics.names())
