"""Experiments from a notebook: fit a recipe, look at its figures, compare it with another."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from copy import deepcopy
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from shortlist import report as pages
from shortlist import train
from shortlist.component import InputError
from shortlist.documents import write_text
from shortlist.evaluate import compare as comparison
from shortlist.face.log import Log
from shortlist.recipe import Recipe, override, parse, read
from shortlist.tabular import experiment


class Run:
    """What ``fit`` left in a folder; ``Run("runs/NAME")`` is one made earlier, by the command line as well."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The figures as ``evaluation.json`` has them."""
        file = self.path / "evaluation.json"
        try:
            document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{file}: not found; expected a folder that fit has filled") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: truncated or not JSON: {error}") from None
        return document

    @property
    def name(self) -> str:
        """Of the recipe."""
        return str(self.evaluation["name"])

    @property
    def bundle(self) -> Path:
        """What ``open`` opens and ``shortlist serve`` serves; raises ``InputError`` after a plain table's recipe."""
        if "slate" not in self.evaluation:
            raise InputError(f"{self.path}: rankers on a plain table leave no bundle")
        return self.path / "bundle"

    def leaderboard(self) -> pl.DataFrame:
        """A row for each channel, each stage and the slate; for a plain table, one for each ranker.

        Columns: row, kind (channel, stage, rule, slate), the mean of every metric over the requests, the 95 % interval
        of the first one (``_low``, ``_high``), by how much the slate is better, request by request (``slate_minus``
        with its interval), and how many right answers no other channel found (``only_it``).
        """
        document = self.evaluation
        if "rankers" in document:
            return pl.DataFrame(
                [
                    {"row": name, "type": found["type"], "cv_auc": found["cv_auc"], "test_auc": found["test_auc"]}
                    | {"deviation": found["test_auc_deviation"], "chosen": json.dumps(found["chosen"])}
                    for name, found in document["rankers"].items()
                ]
            )
        stages = document["stages"]
        rows = {(name, "channel"): values for name, values in document["channels"].items()}
        rows |= {(name, "stage"): values for name, values in stages.items() if name != "rules"}
        rows |= {(name, "rule"): values for name, values in stages.get("rules", {}).items()}
        rows[("slate", "slate")] = document["slate"]
        first = f"ndcg@{min(document['protocol']['k'])}"
        lines = [
            _line(name, kind, values, first, document["paired"].get(name, {}).get(first))
            for (name, kind), values in rows.items()
            if values
        ]
        columns = dict.fromkeys(column for line in lines for column in line)
        return pl.DataFrame(
            [{column: line.get(column) for column in columns} for line in lines], infer_schema_length=None
        )

    def windows(self) -> pl.DataFrame:
        """Every list over several test windows (``split = { rolling = 4, window = "7d" }``), a row for each metric.

        Columns: row, metric, mean (every window counts the same) with its 95 % interval (low, high), deviation of
        single windows, windows, least, most. Raises ``InputError`` where there was one window.
        """
        if "over_windows" not in self.evaluation:
            raise InputError(f'{self.path}: one test window; expected a split such as {{ rolling = 4, window = "7d" }}')
        lists = {name: found for name, found in self.evaluation["over_windows"].items() if name != "paired"}
        return pl.DataFrame(
            [
                {"row": name, "metric": metric, **part}
                for name, found in lists.items()
                for metric, part in found.items()
            ],
            infer_schema_length=None,
        )

    def rows(self) -> pl.DataFrame:
        """Every list of the test window: request, user, time, stage, rank, item, score, is_target, targets."""
        file = self.path / "rows.parquet"
        if not file.is_file():
            raise InputError(f"{file}: not found; expected a folder that fit has filled")
        return pl.read_parquet(file)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the page of the run, to ``report.html`` beside its figures unless told where; returns the file."""
        if "slate" not in self.evaluation:
            raise InputError(f"{self.path}: not the evaluation of a funnel, so there is no page to draw")
        file = self.path / "report.html" if path is None else Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, pages.page(self.evaluation))
        return file

    def __repr__(self) -> str:
        if "slate" not in self.evaluation:
            return f"Run {self.name} in {self.path}\n{self.leaderboard()}"
        metric, value = next(iter(self.evaluation["slate"].items()))
        said = f"{metric} {value['mean']:.4f} ({value['low']:.4f} to {value['high']:.4f})"
        return f"Run {self.name} in {self.path}: {said} over {self.evaluation['requests']:,} requests"

    def _repr_html_(self) -> str:
        shown = self.leaderboard()
        return f"<p>{escape(repr(self).splitlines()[0])}</p>{shown[:, :6]._repr_html_()}"


def fit(
    recipe: str | Path | Mapping[str, Any],
    *,
    data: str | Path | Log | None = None,
    out: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    final: bool = False,
    progress: bool = True,
) -> Run:
    """Fits and evaluates a recipe (a file, or its tables as a dict) and leaves its bundle, as ``shortlist fit`` does.

    ``data`` is the folder that relative paths start in, or a log that ``read`` has read, which stands in for the
    recipe's files. ``out`` is ``runs/NAME`` unless given; ``set`` overrides keys: ``{"recall.cf.neighbours": 200}``;
    ``final`` refits at the end of the log, for serving. Raises ``InputError`` at the path of the wrong key.
    """
    if not (data is None or isinstance(data, str | Path | Log)):
        raise InputError(f"data: expected a folder, or a log that sl.read has read; found a {type(data).__name__}")
    overrides = [f"{key}={_toml(value)}" for key, value in (set or {}).items()]
    checked = _recipe(recipe, data, overrides, out)
    folder = Path("runs") / checked.name if out is None else Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out: {folder}: expected a folder, found a file")
    root = Path(data) if isinstance(data, str | Path) else None
    with _shown() if progress else nullcontext():
        if not checked.recall:
            experiment.run(checked, root=root, out=folder)
        else:
            fitted = train.fit(checked, root=root, out=folder, final=final, overrides=overrides)
            pages.write(fitted.evaluation, folder / "report.html")
    return Run(folder)


def compare(baseline: Run | str | Path, *others: Run | str | Path) -> pl.DataFrame:
    """Each of ``others`` against ``baseline``, on the requests both were asked.

    Columns: run, stage, metric, baseline, value, diff (value - baseline, request by request), low, high (95 %), p,
    p_holm (of the t test over users, beside the other runs), users_needed (to find such a difference), requests. What
    the runs were asked differently is a warning. Raises ``InputError`` if they share no request.
    """
    for run in (baseline, *others):
        if not isinstance(run, Run | str | Path):
            raise InputError(f"compare: expected runs or their folders, one by one; found a {type(run).__name__}")
    folders = [run.path if isinstance(run, Run) else Path(run) for run in (baseline, *others)]
    document = comparison.compare(folders)
    for note in document["notes"]:
        warnings.warn(note, stacklevel=2)
    return pl.DataFrame(
        [
            {
                "run": pair["name"],
                "stage": stage,
                "metric": metric,
                "baseline": found["baseline"]["mean"],
                "value": found["run"]["mean"],
                **{part: found[part] for part in ("diff", "low", "high", "p", "p_holm", "users_needed")},
                "requests": pair["requests"],
            }
            for pair in document["pairs"]
            for stage, metrics in pair["stages"].items()
            for metric, found in metrics.items()
        ],
        infer_schema_length=None,
    )


def _line(name: str, kind: str, values: Mapping[str, Any], first: str, behind: Any) -> dict[str, Any]:
    """One line of the leaderboard."""
    head = values.get(first) or {}
    line: dict[str, Any] = {"row": name, "kind": kind, first: head.get("mean")}
    line |= {f"{first}_{bound}": head.get(bound) for bound in ("low", "high")}
    line |= {
        f"slate_minus{tail}": (behind or {}).get(part)
        for part, tail in (("diff", ""), ("low", "_low"), ("high", "_high"))
    }
    line |= {metric: part["mean"] for metric, part in values.items() if isinstance(part, Mapping) and "mean" in part}
    line |= {metric: part for metric, part in values.items() if isinstance(part, float)}
    return line | {"only_it": values.get("unique_hits")}


def _recipe(recipe: Any, data: Any, overrides: list[str], out: str | Path | None) -> Recipe:
    """The checked recipe, with the log's own ``[data]`` where a log is given."""
    if not isinstance(recipe, Mapping):
        checked = read(Path(recipe), overrides)
        if not isinstance(data, Log):
            return checked
        tables: dict[str, Any] = checked.model_dump(mode="json", exclude_unset=True)
    else:
        tables = deepcopy(dict(recipe))
        for one in overrides:
            override(tables, one)
    if isinstance(data, Log):
        folder = Path("runs") / str(tables.get("name", "")) if out is None else Path(out)
        kept = {
            key: value for key, value in tables.get("data", {}).items() if key in ("split", "positive", "strengths")
        }
        tables["data"] = {**data.written(folder / "data"), **kept}
        if tables.get("evaluate", {}).get("requests") == "last" and "split" not in kept:
            del tables["data"]["split"]  # the one that a log brings with it
    return parse(tables)


def _shown() -> Any:
    """Progress as the command line draws it; in a notebook, lines."""
    from shortlist.cli.progress import progress

    return progress()


def _toml(value: Any) -> str:
    """A value as an override writes it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, default=str)
