"""Fills the figures of the readmes, docs/data.md and docs/funnel.svg from the results that lie beside the benchmarks.

    python bench/figures.py            rewrites the files
    python bench/figures.py --check    exit code 1 if one of them is not what the results say

No figure is typed by hand: a number is changed by running its benchmark again. What has not been run is left out.
"""

from __future__ import annotations

import io
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from shortlist import report
from shortlist.cli.leaderboards import leaderboard

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "docs"))
from marked import Parts, main  # noqa: E402
from marked import stale as stale_parts  # noqa: E402

DEMO = "movielens-100k"
SLOWER = 0.91
"""From this ratio of times on, a peer counts as no faster: the mark of bench/recall."""
SHOWN = ("als", "ease", "item2vec", "item_cf", "node2vec", "deepfm", "xdeepfm")
"""The models of the readme's table; bench/ has them all."""
SCORED = ("gbdt, 200 trees × 31 leaves", "lightgbm Booster.predict on a ready matrix")
"""Two rows of bench/rank/latency.json: our trees and the peer's."""
Words = Mapping[str, str]
ENGLISH: Words = {
    "funnel head": "| NDCG@{k} | requests | best channel alone | all channels merged | slate | slate − best channel |",
    "seeds": "; {n} seeds: {low:.3f} to {high:.3f}",
    "peer head": "| Model | Library | NDCG@10 or AUC | theirs | Timed | Times as fast |",
    "fit": "fit {events:,} events: {ours:.2f} s, theirs {theirs:.2f} s",
    "train": "rows a second in training",
    "score": "score 300 rows × 60 columns: {ours:.2f} ms, theirs {theirs:.2f} ms",
    "slower": "Not always: {rows}.",
    "slower row": "with {threads} threads `{model}` takes {ours:.2f} s and {peer} {theirs:.2f} s",
    "serve": "One request through the whole funnel, {candidates:.0f} candidates, one thread, {n} items with reasons: "
    "half within {p50:.1f} ms, 99 of 100 within {p99:.1f} ms ([bench/serve](bench/serve/latency.md)).",
}
CHINESE: Words = {
    "funnel head": "| NDCG@{k} | 请求数 | 最好的单路召回 | 多路合并 | 最终列表 | 最终列表 − 最好的单路 |",
    "seeds": "；{n} 个种子：{low:.3f} 到 {high:.3f}",
    "peer head": "| 模型 | 对照库 | NDCG@10 或 AUC | 对照库 | 计时内容 | 速度倍数 |",
    "fit": "训练 {events:,} 条事件：{ours:.2f} 秒，对照库 {theirs:.2f} 秒",
    "train": "训练时每秒处理的行数",
    "score": "为 300 行 × 60 列打分：{ours:.2f} 毫秒，对照库 {theirs:.2f} 毫秒",
    "slower": "也有更慢的情况：{rows}。",
    "slower row": "用 {threads} 个线程时，`{model}` 需 {ours:.2f} 秒，{peer} 需 {theirs:.2f} 秒",
    "serve": "整个漏斗处理一次请求（{candidates:.0f} 个候选，单线程，返回 {n} 个物品及理由）：中位数 {p50:.1f} 毫秒，"
    "第 99 百分位 {p99:.1f} 毫秒（[bench/serve](bench/serve/latency.md)）。",
}


def read(path: str) -> dict[str, Any]:
    """A result, or nothing if its benchmark has not been run."""
    file = HERE / path
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def rule(head: str) -> list[str]:
    """The first two lines of a table."""
    return [head, "|---" * (head.count("|") - 1) + "|"]


def interval(figure: Mapping[str, float], sign: str = "") -> str:
    """``0.206 [0.182, 0.232]``, of a mean or a difference."""
    low, high = figure.get("low"), figure.get("high")
    bounds = "" if low is None or high is None else f" [{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{figure.get('mean', figure.get('diff')):{sign}.3f}{bounds}"


def demo() -> str:
    """What the two commands print, shortened: the leaderboard without most channels, and the end of the tests."""
    document = read("funnel/results.json")[DEMO]
    file = io.StringIO()
    Console(file=file, width=80, highlight=False, soft_wrap=True).print(leaderboard(document))
    table = [line.rstrip() for line in file.getvalue().splitlines()]
    left_out = sorted(document["channels"], key=lambda name: document["channels"][name]["ndcg@10"]["mean"])[1:-1]
    kept = [line for line in table if line and line.split(maxsplit=1)[0] not in left_out]
    first = next(number for number, line in enumerate(kept) if line.startswith("merge "))
    last = next(number for number, line in enumerate(kept) if line.startswith("slate "))
    gib = document["peak_memory_bytes"] / 2**30
    lines = ["$ make demo", *kept[:first], "...", *kept[first : last + 1], "..."]
    lines.append(f"fitted and evaluated in {document['fit_seconds']:.0f} s, peak memory {gib:.2f} GiB")
    if tested := read("suite.json"):
        lines += ["$ make test", "...", tested["said"]]
    return "\n".join(["```console", *lines, "```"])


def picture() -> str:
    """The funnel of the demo as SVG."""
    tables = tomllib.loads((ROOT / f"recipes/{DEMO}.toml").read_text(encoding="utf-8"))
    return report.picture(read("funnel/results.json")[DEMO], tables)


def seeds(document: Mapping[str, Any], words: Words) -> str:
    """The slate's figure with other seeds."""
    found = sorted(document.get("slate_by_seed", {}).values())
    return words["seeds"].format(n=len(found), low=found[0], high=found[-1]) if len(found) > 1 else ""


def funnel(words: Words) -> str:
    """Each recipe that has been evaluated: its best channel, its merge, its slate."""
    lines: list[str] = []
    for name, document in sorted(read("funnel/results.json").items()):
        k = min(document["protocol"]["k"])
        metric = f"ndcg@{k}"
        lines = lines or rule(words["funnel head"].format(k=k))
        best = max(document["channels"], key=lambda channel: document["channels"][channel][metric]["mean"])
        cells = [
            f"[{name}](recipes/{name}.toml)",
            f"{document['requests']:,}",
            f"`{best}` {document['channels'][best][metric]['mean']:.3f}",
            interval(document["stages"]["merge"][metric]),
            f"**{interval(document['slate'][metric])}**{seeds(document, words)}",
            interval(document["paired"][best][metric], "+"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def peers(words: Words) -> str:
    """The same models in other libraries: how good, how fast, and where ours is slower."""
    rows, slower = [], []
    for model, peer, threads, ours, theirs, events in fits():
        if theirs / ours < SLOWER:
            told = {"threads": threads, "model": model, "ours": ours, "peer": peer, "theirs": theirs}
            slower.append(words["slower row"].format(**told))
        if model in SHOWN and threads == "1" and (found := quality(model, peer)):
            timed = words["fit"].format(events=events, ours=ours, theirs=theirs)
            rows.append([f"`{model}`", peer, *found, timed, f"{theirs / ours:.1f}"])
    for file in sorted(HERE.glob("rank/results/speed.*.json")):
        table, model = file.name.split(".")[1:3]
        if model not in SHOWN:
            continue
        speed = read(f"rank/results/{file.name}")["threads"]["1"]
        found = ranked(table, model)
        rows.append([f"`{model}`", "deepctr-torch", *found, words["train"], f"{speed['ratio']:.1f}"])
    timed = {row["what"]: row["clock_ms"] for row in read("rank/latency.json").get("rows", [])[::-1]}
    if set(SCORED) <= timed.keys():
        ours, theirs = (timed[what] for what in SCORED)
        said = words["score"].format(ours=ours, theirs=theirs)
        rows.append(["`gbdt`", "lightgbm", *ranked("adult", "gbdt"), said, f"{theirs / ours:.1f}"])
    lines = [*rule(words["peer head"]), *(f"| {' | '.join(row)} |" for row in rows), ""]
    if slower:
        lines += [words["slower"].format(rows="; ".join(slower))]
    return "\n".join([*lines, *latency(words)])


def fits() -> Iterator[tuple[str, str, str, float, float, int]]:
    """(model, fastest peer, threads, our seconds, the peer's, events) of every timed fit."""
    for file in sorted(HERE.glob("recall/results/peers.*.json")):
        for threads, entry in read(f"recall/results/{file.name}").get("speed", {}).items():
            walls = {name: run["wall"] for name, run in entry.get("seconds", {}).items()}
            if len(walls) > 1:
                ours = walls.pop("shortlist")
                peer = min(walls, key=lambda name: walls[name])
                yield file.name.split(".")[1], peer.split(",")[0], threads, ours, walls[peer], entry["events"]


def quality(model: str, peer: str) -> list[str]:
    """NDCG@10 of a channel and of the same model in ``peer``, on the same questions."""
    found = read(f"recall/results/peers.{model}.json").get("quality", {})
    named = [name for name in (peer, f"{peer}, contexts") if "ndcg@10" in found.get(name, {})]
    if not named:
        return []
    figures = found[named[0]]["ndcg@10"]
    return [f"{figures[side]['mean']:.4f}" for side in ("shortlist", "peer")]


def ranked(table: str, model: str) -> list[str]:
    """AUC of a ranker and of its peer, as ``bench/rank/RESULTS.md`` has them."""
    lines = section("rank/RESULTS.md", table).splitlines()
    cells = next(line for line in lines if line.startswith(f"| {model} |")).split("|")
    return [cells[2].strip(), cells[4].strip()]


def latency(words: Words) -> list[str]:
    """One request through the funnel."""
    found = read("serve/latency.json")
    if not found:
        return []
    times = {"p50": found["total"]["p50"], "p99": found["total"]["p99"]}
    return [words["serve"].format(candidates=found["candidates"], n=found["n"], **times)]


def section(page: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    rest = (HERE / page).read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    return rest.split("\n## ")[0].strip()


def memory() -> str:
    """What ``bench/tables`` measured, as it stands there."""
    text = (HERE / "tables/README.md").read_text(encoding="utf-8")
    return text.split("\n", 1)[1].strip()


PARTS: Parts = {
    "README.md": {"demo": demo, "funnel": lambda: funnel(ENGLISH), "peers": lambda: peers(ENGLISH)},
    "README.zh.md": {"demo": demo, "funnel": lambda: funnel(CHINESE), "peers": lambda: peers(CHINESE)},
    "docs/data.md": {"figures": memory},
    "docs/funnel.svg": {"": picture},
}


def stale(write: bool) -> list[str]:
    """The files whose figures are not what the results say; ``write`` mends them."""
    return stale_parts(PARTS, write)


if __name__ == "__main__":
    main(PARTS)
