"""Personal rank's α swept, and its three ways beside each other: the picture and the tables of docs/personal-rank.md.

    python bench/recall/personal_rank_alpha.py [--data DIR]

Everything is learned before the tune window and measured on its questions (replay); the test window is not touched.
With ``--data`` (a folder with ``movietweetings/``) a second log is swept. Writes personal_rank_alpha.json beside this
file, docs/personal-rank.svg and the part of docs/personal-rank.md between its markers.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import logs
import numpy as np

from shortlist.data import Dataset
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recall._kernels.random_walk import Graph, Solver, iterate, push
from shortlist.recall.personal_rank import PersonalRank
from shortlist.registry import find
from shortlist.types import Array

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"
ALPHAS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
METRICS = ("ndcg@10", "recall@50")
SETS = {"movielens-100k": ["push", "solve"], "movietweetings": ["push"]}
PEERS = ("item_cf", "ease", "rp3beta")
RECENT = {"half_life": "1d", "log_half_life": "30d"}
WAYS = {"iteration": [1e-3, 1e-6], "push": [1e-2, 1e-3, 1e-4, 1e-6]}
"""The tolerances at which the ways are compared with solve."""
SERIES = {"push": "#1f6fb4", "solve": "#d1603d", "item_cf": "#5b8c3a", "ease": "#8a5ba6", "rp3beta": "#777777"}


class Window:
    """The questions of one log's tune window."""

    def __init__(self, name: str, root: Path | None, work: Path) -> None:
        log = logs.load(name, root, work)
        self.known, self.state = log.known("tune"), log.state
        self.batches = log.batches("replay", "tune")
        self.users = np.concatenate([batch.requests.user for batch in self.batches])

    def measure(self, channel: str, **settings: Any) -> tuple[dict[str, Array], float]:
        """Each of METRICS, one value a question, and the seconds of the fit."""
        component = find("recall", channel).from_config(settings)
        began = time.perf_counter()
        component.fit(self.known)  # type: ignore[attr-defined]
        seconds = time.perf_counter() - began
        parts: dict[str, list[Array]] = {metric: [] for metric in METRICS}
        for batch in self.batches:
            rows = component.retrieve(batch.requests, self.state, 50)  # type: ignore[attr-defined]
            slates = Slates.of(rows, batch.targets, 50)
            parts["ndcg@10"].append(accuracy.ndcg(slates, 10))
            parts["recall@50"].append(accuracy.recall(slates, 50))
        return {metric: np.concatenate(values) for metric, values in parts.items()}, seconds


def sweep(window: Window, methods: list[str]) -> dict[str, Any]:
    """Means of every α and method, of the peers, and the paired differences to them; without recency and with."""
    swept: dict[str, Any] = {}
    for method in methods:
        for alpha in ALPHAS:
            values, seconds = window.measure("personal_rank", alpha=alpha, method=method)
            means = {metric: float(np.mean(of)) for metric, of in values.items()}
            swept.setdefault(method, []).append({"alpha": alpha, **means, "fit_seconds": seconds})
    beside: dict[str, Any] = {}
    for recent in (False, True):
        own: dict[str, Array] = {}
        for name in ("personal_rank", *PEERS):
            values, _ = window.measure(name, **(RECENT if recent else {}))
            own = own or values
            row = beside[f"{name}, recent" if recent else name] = {}
            for metric in METRICS:
                mean = mean_interval(values[metric], window.users)
                apart = paired_interval(own[metric], values[metric], window.users)
                bounds = {"mean": mean.mean, "low": mean.low, "high": mean.high}
                row[metric] = bounds | {"minus": [apart.diff, apart.low, apart.high]}
    return {"questions": len(window.users), "swept": swept, "beside": beside}


def agreement(known: Dataset, alpha: float) -> list[dict[str, Any]]:
    """Every way's ranks restarted at every item, beside solve's: the largest differences, and the seconds."""
    x = PersonalRank()._matrix(known)
    x = x[np.diff(x.indptr) > 0]
    graph = Graph.of(x)
    items = np.arange(x.shape[0], sum(x.shape))
    exact, seconds = timed(lambda: Solver(graph, alpha).ranks(graph.restarts(items)))
    rows: list[dict[str, Any]] = [{"way": "solve", "alpha": alpha, "seconds": seconds}]
    runs: list[tuple[str, float, Callable[[], Array]]] = []
    for tolerance in WAYS["iteration"]:
        runs.append(("iteration", tolerance, lambda t=tolerance: iterate(graph, graph.restarts(items), alpha, t)))
    for tolerance in WAYS["push"]:
        runs.append(("push", tolerance, lambda t=tolerance: push(graph, items, alpha, t)))
    push(graph, items[:1], alpha, 0.1)  # compiled
    for way, tolerance, run in runs:
        found, seconds = timed(run)
        rows.append({"way": way, "alpha": alpha, "tolerance": tolerance, "seconds": seconds, **apart(found, exact)})
    try:
        import networkx
    except ImportError:
        return rows
    peer = networkx.from_scipy_sparse_array(graph.weight)
    few = np.linspace(0, len(items) - 1, 20).astype(int)
    walked, seconds = timed(
        lambda: [
            networkx.pagerank(peer, alpha=alpha, personalization={int(items[j]): 1}, tol=1e-12, max_iter=2000)
            for j in few
        ]
    )
    found = np.array([[rank[v] for v in range(len(exact))] for rank in walked]).T
    versus = {"way": "networkx", "alpha": alpha, "tolerance": 1e-12, "seconds": seconds * len(items) / len(few)}
    return [*rows, {**versus, **apart(found, exact[:, few])}]


def apart(found: Array, exact: Array) -> dict[str, float]:
    """The largest difference of an entry, and of a rank as a whole (summed over its entries)."""
    difference = np.abs(found - exact)
    return {"largest": float(difference.max()), "summed": float(difference.sum(axis=0).max())}


def timed(run: Callable[[], Array]) -> tuple[Array, float]:
    """What it returns, and the seconds it took."""
    began = time.perf_counter()
    return run(), time.perf_counter() - began


def picture(found: dict[str, Any]) -> str:
    """One row of panels a log, one panel a metric: lines over α, dashes for the other channels."""
    wide, high, left, top = 330, 200, 52, 34
    names = list(found["sets"])
    width, height = 2 * (wide + left) + 130, len(names) * (high + top + 34) + 6
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for row, name in enumerate(names):
        entry = found["sets"][name]
        for column, metric in enumerate(METRICS):
            lines = {m: [(p["alpha"], p[metric]) for p in points] for m, points in entry["swept"].items()}
            marks = {n: b[metric]["mean"] for n, b in entry["beside"].items() if n in PEERS}
            values = [*marks.values(), *(y for line in lines.values() for _, y in line)]
            low, span = min(values), (max(values) - min(values)) or 1.0
            x0, y0 = left + column * (wide + left), top + row * (high + top + 34)

            def x(alpha: float, x0: int = x0) -> float:
                return round(x0 + alpha * wide, 1)

            def y(value: float, y0: int = y0, low: float = low, span: float = span) -> float:
                return round(y0 + high - 12 - (value - low) / span * (high - 24), 1)

            out.append(f'<text x="{x0}" y="{y0 - 10}" font-weight="bold">{name}: {metric}</text>')
            out.append(f'<rect x="{x0}" y="{y0}" width="{wide}" height="{high}" fill="none" stroke="#cccccc"/>')
            for value in np.linspace(low, low + span, 4):
                out.append(f'<text x="{x0 - 5}" y="{y(value) + 4}" text-anchor="end">{value:.3f}</text>')
            for alpha in (0.1, 0.3, 0.5, 0.7, 0.9):
                out.append(f'<text x="{x(alpha)}" y="{y0 + high + 14}" text-anchor="middle">{alpha}</text>')
            out.append(f'<text x="{x0 + wide}" y="{y0 + high + 14}" text-anchor="middle">α</text>')
            for other, value in marks.items():
                ends = f'x1="{x0}" x2="{x0 + wide}" y1="{y(value)}" y2="{y(value)}"'
                out.append(f'<line {ends} stroke="{SERIES[other]}" stroke-dasharray="5 4"/>')
            for method, line in lines.items():
                points = " ".join(f"{x(a)},{y(v)}" for a, v in line)
                out.append(f'<polyline points="{points}" fill="none" stroke="{SERIES[method]}" stroke-width="2"/>')
                out += [f'<circle cx="{x(a)}" cy="{y(v)}" r="2.5" fill="{SERIES[method]}"/>' for a, v in line]
    for place, (name, colour) in enumerate(SERIES.items()):
        x0, y0 = 2 * (wide + left) + 14, top + 10 + 18 * place
        dash = "" if name in ("push", "solve") else ' stroke-dasharray="5 4"'
        out.append(f'<line x1="{x0}" x2="{x0 + 22}" y1="{y0}" y2="{y0}" stroke="{colour}" stroke-width="2"{dash}/>')
        out.append(f'<text x="{x0 + 28}" y="{y0 + 4}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])


def tables(found: dict[str, Any]) -> str:
    """The generated part of the page."""
    out = ["![NDCG@10 and recall@50 over α](personal-rank.svg)", ""]
    for name, entry in found["sets"].items():
        methods = entry["swept"]
        out += [
            f"{name}, {entry['questions']:,} questions:",
            "",
            "| α | " + " | ".join(f"{k}, {m}" for m in methods for k in METRICS) + " |",
        ]
        out.append("|---|" + "---|" * (len(methods) * len(METRICS)))
        for at, alpha in enumerate(ALPHAS):
            cells = [f"{methods[m][at][k]:.4f}" for m in methods for k in METRICS]
            out.append(f"| {alpha} | {' | '.join(cells)} |")
        out += [
            "",
            "| channel | NDCG@10 | personal_rank − it | recall@50 | personal_rank − it |",
            "|---|---|---|---|---|",
        ]
        for channel, values in entry["beside"].items():
            cells = []
            for metric in METRICS:
                diff, low, high = values[metric]["minus"]
                cells.append(f"{values[metric]['mean']:.4f}")
                cells.append("" if channel.startswith("personal_rank") else f"{diff:+.4f} [{low:+.4f}, {high:+.4f}]")
            out.append(f"| {channel} | {' | '.join(cells)} |")
        out.append("")
    out += [
        "| way | α | tolerance | seconds | largest difference of an entry | of a whole rank, summed |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["agreement"]:
        tolerance = f"{row['tolerance']:.0e}" if "tolerance" in row else ""
        differences = f"{row['largest']:.1e} | {row['summed']:.1e}" if "largest" in row else "0 | 0"
        out.append(f"| {row['way']} | {row['alpha']} | {tolerance} | {row['seconds']:.2f} | {differences} |")
    return "\n".join(out)


def written(page: str, part: str) -> str:
    """The page with its generated part replaced."""
    begin, end = "<!-- swept:begin -->", "<!-- swept:end -->"
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{part}\n{end}", page, flags=re.S)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path)
    root = options.parse_args().data
    kept = HERE / "personal_rank_alpha.json"
    with tempfile.TemporaryDirectory() as work:
        windows = {name: Window(name, root, Path(work)) for name in SETS if logs.here(name, root)}
        found = {
            "command": "python bench/recall/personal_rank_alpha.py --data DIR",
            "sets": {name: sweep(window, SETS[name]) for name, window in windows.items()},
            "agreement": [row for a in (0.5, 0.85) for row in agreement(windows["movielens-100k"].known, a)],
        }
    kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (DOCS / "personal-rank.svg").write_text(picture(found), encoding="utf-8")
    page = DOCS / "personal-rank.md"
    page.write_text(written(page.read_text(encoding="utf-8"), tables(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
