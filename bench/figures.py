"""Fills the figures of README.md, README.zh.md and docs/data.md from the results that lie beside the benchmarks.

    python bench/figures.py            rewrites the files
    python bench/figures.py --check    exit code 1 if one of them is not what the results say

No figure is typed by hand: a number is changed by running its benchmark again. What has not been run is left out.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
Words = Mapping[str, str]
ENGLISH: Words = {
    "funnel": "{requests:,} requests of {users:,} users after {opens}, {protocol} protocol; fitted and evaluated in "
    "{seconds:.0f} s, peak memory {gib:.2f} GiB.",
    "brief": "{requests:,} requests of {users:,} users after {opens}, {protocol} protocol.",
    "funnel head": "| | NDCG@{k} | 95 % | slate − row, 95 % | recall@{wide} | only it found |",
    "rankers": "Rankers on plain tables beside the same model of another library (mean AUC over the seeds): Adult's "
    "settings by cross-validation on its training file, the others' on validation rows; intervals, GAUC, calibration, "
    "training speed, and rankers in the funnel: [bench/rank](bench/rank/RESULTS.md).",
    "serve": "One request in process, {candidates:.0f} candidates, one thread, {n} items told with reasons "
    "(`{recipe}`): p50 {p50:.2f} ms, p99 {p99:.2f} ms on the clock; {c50:.2f} and {c99:.2f} ms computing.",
    "rank": "Scoring one request by a ranker, milliseconds:",
    "rank head": "| Columns | Ranker | p50 on the clock | p50 computing |",
    "recall": "Recall@200 of every channel on its own and of all merged to 200 rows, fitted before the test window, "
    "settings chosen before it; intervals, costs, growth, what each adds: [bench/recall](bench/recall/RESULTS.md).",
    "neighbours": "The same neighbours as a peer's model on the same matrix (share of 100, ties counted as equal):",
    "lists": "NDCG@10 of the same model, ours and the peer's:",
    "lists head": "| Channel | Peer | Ours | Peer's | Difference, 95 % |",
    "fits": "Seconds to fit, medians on the wall clock; ratio is the fastest peer's time over ours:",
    "fits head": "| Channel | Threads | Ours | Peers | Ratio |",
    "none": "Nothing has been measured yet: run `make bench`, then `make docs`.",
    "stages": "merge=merged|slate=slate",
}
CHINESE: Words = {
    "funnel": "{opens} 之后 {users:,} 名用户的 {requests:,} 次请求，{protocol} 协议；训练加评估共 {seconds:.0f} 秒，"
    "内存峰值 {gib:.2f} GiB。",
    "brief": "{opens} 之后 {users:,} 名用户的 {requests:,} 次请求，{protocol} 协议。",
    "funnel head": "| | NDCG@{k} | 95% 区间 | 最终列表 − 本行，95% 区间 | recall@{wide} | 独有命中 |",
    "rankers": "普通表格上的排序模型与其他库的同一模型（各随机种子 AUC 的均值）：Adult 只在训练文件上交叉验证选参，"
    "其余用验证集选参；区间、GAUC、校准、训练速度以及漏斗中的排序模型见 [bench/rank](bench/rank/RESULTS.md)。",
    "serve": "进程内单次请求（`{recipe}`，{candidates:.0f} 个候选，单线程，返回 {n} 个物品及推荐理由）："
    "墙钟 p50 {p50:.2f} ms、p99 {p99:.2f} ms；其中计算 {c50:.2f} 与 {c99:.2f} ms。",
    "rank": "单个请求的排序打分耗时（毫秒）：",
    "rank head": "| 列 | 排序模型 | 墙钟 p50 | 计算 p50 |",
    "recall": "每个召回通道单独的 recall@200，以及全部通道合并为 200 行之后的结果；训练与选参都在测试窗口之前完成。"
    "区间、开销、规模增长与各通道的贡献见 [bench/recall](bench/recall/RESULTS.md)。",
    "neighbours": "与同类库在同一矩阵上得到的邻居是否相同（前 100 个的重合比例，相似度相等视为相同）：",
    "lists": "同一模型的 NDCG@10，本项目与同类库：",
    "lists head": "| 通道 | 对照库 | 本项目 | 对照库 | 差，95% 区间 |",
    "fits": "训练耗时（秒，墙钟中位数）；比值为最快的对照库除以本项目：",
    "fits head": "| 通道 | 线程 | 本项目 | 对照库 | 比值 |",
    "none": "尚无测量结果：先运行 `make bench`，再运行 `make docs`。",
    "stages": "merge=合并|slate=最终列表",
}


def read(path: str) -> dict[str, Any]:
    """A result, or nothing if its benchmark has not been run."""
    file = HERE / path
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def rule(head: str) -> list[str]:
    """The first two lines of a table."""
    return [head, "|---" * (head.count("|") - 1) + "|"]


def interval(figure: Mapping[str, float], sign: str = "") -> str:
    """``[low, high]``, or nothing where there is none."""
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"[{low:{sign}.4f}, {high:{sign}.4f}]"


def command(name: str) -> str:
    """What fits and evaluates a recipe; one that reads files must be told where they are."""
    recipe = ROOT / "recipes" / f"{name}.toml"
    tables = recipe.is_file() and tomllib.loads(recipe.read_text(encoding="utf-8"))["data"]["source"] == "tables"
    return f"shortlist fit recipes/{name}.toml{' --data FOLDER' if tables else ''}"


def funnel(words: Words) -> list[str]:
    """The leaderboard of each recipe that has been evaluated."""
    lines: list[str] = []
    called = dict(pair.split("=") for pair in words["stages"].split("|"))
    for name, document in read("funnel/results.json").items():
        if "slate" not in document:
            continue
        protocol, paired = document["protocol"], document.get("paired", {})
        k, wide = min(protocol["k"]), max(protocol["k"])
        told = "funnel" if document.get("fit_seconds") and document.get("peak_memory_bytes") else "brief"
        lines += [f"**{name}**: `{document.get('command') or command(name)}`", ""]
        lines += [
            words[told].format(
                requests=document["requests"],
                users=document["users"],
                opens=protocol["opens"][:10],
                protocol=protocol["requests"],
                seconds=document.get("fit_seconds") or 0,
                gib=(document.get("peak_memory_bytes") or 0) / 2**30,
            ),
            "",
            *rule(words["funnel head"].format(k=k, wide=wide)),
        ]
        stages = {key: value for key, value in document.get("stages", {}).items() if key != "rules" and value}
        for row, values in {**document["channels"], **stages, "slate": document["slate"]}.items():
            ndcg = values.get(f"ndcg@{k}")
            if ndcg is None:
                continue
            difference = paired.get(row, {}).get(f"ndcg@{k}", {})
            apart = f"{difference['diff']:+.4f} {interval(difference, '+')}" if "diff" in difference else ""
            bold = "**" if row == "slate" else ""
            cells = [
                f"{bold}{called.get(row, row)}{bold}",
                f"{ndcg['mean']:.4f}",
                interval(ndcg),
                apart,
                f"{values[f'recall@{wide}']['mean']:.3f}" if f"recall@{wide}" in values else "",
                f"{values['unique_hits']:,}" if "unique_hits" in values else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return lines


def rankers(words: Words) -> list[str]:
    """The first table of ``bench/rank``, as it stands there."""
    table = section("rank/RESULTS.md", "AUC at a glance")
    return ["`python bench/rank/run.py --data FOLDER`", "", words["rankers"], "", table, ""] if table else []


def latency(words: Words) -> list[str]:
    """One request through the funnel, and through the rankers alone."""
    lines: list[str] = []
    for path in sorted(HERE.glob("serve/*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not {"total", "processor", "candidates"} <= found.keys():
            continue
        total, cpu = found["total"], found["processor"]
        said = words["serve"].format(
            **{key: found[key] for key in ("candidates", "n", "recipe")},
            p50=total["p50"],
            p99=total["p99"],
            c50=cpu["p50"],
            c99=cpu["p99"],
        )
        lines += [f"`{found['command']}`", "", said, ""]
    found = read("rank/latency.json")
    if found:
        lines += [f"`{found['command']}`", "", words["rank"], "", *rule(words["rank head"])]
        for row in (row for row in found["rows"] if not row["what"].startswith(" ")):
            lines.append(f"| {row['columns']} | {row['what'].strip()} | {row['clock_ms']:.2f} | {row['cpu_ms']:.2f} |")
        lines.append("")
    return lines


def recall(words: Words) -> list[str]:
    """The first table of ``bench/recall``, as it stands there."""
    table = section("recall/RESULTS.md", "recall@200 at a glance")
    return ["`python bench/recall/run.py --data FOLDER`", "", words["recall"], "", table, ""] if table else []


def section(page: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    file = HERE / page
    rest = file.read_text(encoding="utf-8").partition(f"## {heading}\n")[2] if file.exists() else ""
    return rest.split("\n## ")[0].strip()


def peers(words: Words) -> list[str]:
    """Recall channels beside the same models of other libraries."""
    files = sorted((HERE / "recall/results").glob("peers.*.json"))
    rows = {file.name.split(".")[1]: read(f"recall/results/{file.name}") for file in files}
    quality = [
        (model, peer, values)
        for model, row in rows.items()
        for peer, values in row.get("quality", {}).items()
        if isinstance(values, Mapping)
    ]
    if not quality:
        return []
    lines = ["`python bench/recall/peers.py`", "", words["neighbours"], ""]
    for model, peer, values in quality:
        if "neighbours@100" in values:
            lines.append(f"- `{model}`, {peer}: {values['neighbours@100']['tied']:.4f}")
    lines += ["", words["lists"], "", *rule(words["lists head"])]
    for model, peer, values in quality:
        if "ndcg@10" in values:
            ours, theirs, apart = (values["ndcg@10"][key] for key in ("shortlist", "peer", "paired"))
            lines.append(
                f"| {model} | {peer} | {ours['mean']:.4f} | {theirs['mean']:.4f} "
                f"| {apart['diff']:+.4f} {interval(apart, '+')} |"
            )
    fits = []
    for model, row in rows.items():
        for threads, entry in row.get("speed", {}).items():
            if walls := {name: run["wall"] for name, run in entry.get("seconds", {}).items()}:
                ours = walls.pop("shortlist")
                others = ", ".join(f"{name} {seconds:.2f}" for name, seconds in walls.items())
                ratio = min(walls.values()) / ours
                fits.append(f"| {model} | {threads} | {ours:.2f} | {others} | {ratio:.2f} |")
    if fits:
        lines += ["", words["fits"], "", *rule(words["fits head"]), *fits]
    return [*lines, ""]


def everything(words: Words) -> str:
    """All figures of the readme."""
    lines = [*funnel(words), *rankers(words), *latency(words), *recall(words), *peers(words)]
    return "\n".join(lines or [words["none"]]).strip()


def memory() -> str:
    """What ``bench/tables`` measured, as it stands there."""
    text = (HERE / "tables/README.md").read_text(encoding="utf-8")
    return text.split("\n", 1)[1].strip()


PARTS: dict[str, Callable[[], str]] = {
    "README.md": lambda: everything(ENGLISH),
    "README.zh.md": lambda: everything(CHINESE),
    "docs/data.md": memory,
}


def filled(text: str, body: str) -> str:
    """``text`` with ``body`` between its two markers."""
    begin, end = "<!-- figures:begin -->", "<!-- figures:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text)


def stale(write: bool) -> list[str]:
    """The files whose figures are not what the results say; ``write`` mends them."""
    found = []
    for name, make in PARTS.items():
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = filled(before, make())
        if after != before:
            found.append(name)
            if write:
                path.write_text(after, encoding="utf-8")
    return found


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    out_of_step = stale(write=not check)
    for file in out_of_step:
        print(f"{file}: {'not what the results say; run make docs' if check else 'written'}")
    sys.exit(int(check and bool(out_of_step)))
