"""lightgcn beside RecBole's: as good, and how many pairs a second.

    python bench/recall/lightgcn.py --peers PYTHON [--data DIR] [--only SET ...] [--epochs N] [--seeds N] [--page]

PYTHON is that of an environment with recbole. A row is kept in ``results/lightgcn.SET.json``; LIGHTGCN.md is written
from all that are there. Both learn from the same pairs, with the same width, layers, batches, rivals and epochs, in one
thread each, in turn. Each user's last event is asked for, among all items but those he had.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import logs
import numpy as np
from neural import FASTER, MARGIN, Row, held, ndcg
from page import apart, made
from rows import HERE, RESULTS, THREADS, keep, kept, provenance, say, wanted

from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recall.lightgcn import LightGCN
from shortlist.types import Array

SETS = ["movielens-100k", "movietweetings"]
TOGETHER: dict[str, Any] = {
    "factors": 64, "depth": 3, "batch": 2048, "rate": 5e-3, "embedding_l2": 1e-4, "hold": 0.0, "device": "cpu",
}  # fmt: skip


def peer(python: Path, work: Path, epochs: int, seed: int) -> Row:
    """What the peer says of its work; its vectors are in ``work``."""
    names = {"factors": "width", "embedding_l2": "l2"}
    job = {names.get(name, name): value for name, value in TOGETHER.items()}
    job |= {"work": str(work), "epochs": epochs, "seed": seed}
    done = subprocess.run(
        [str(python.absolute()), str(HERE.absolute() / "lightgcn_peer.py"), json.dumps(job)],
        env=os.environ | dict.fromkeys(THREADS, "1"), cwd=work, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"RecBole: {done.stderr.strip().splitlines()[-1]}")
    said: Row = json.loads(done.stdout.splitlines()[-1])
    return said


def measure(name: str, asked: argparse.Namespace) -> Row:
    """One row: both learned and asked, for each seed."""
    question = held(logs.load(name, asked.data, asked.work).data, asked.rows)
    log, state, users = question.train.events, question.train.state(), question.requests.user
    pairs = np.unique(np.stack([log.user, log.item], axis=1), axis=0)
    work = asked.work / "lightgcn"
    work.mkdir(parents=True, exist_ok=True)
    figures: dict[str, list[Array]] = {"shortlist": [], "peer": [], "history": []}
    pace: dict[str, list[float]] = {"shortlist": [], "peer": [], "history": []}
    small = question.train.until(question.train.cut(0.02))
    LightGCN(**TOGETHER, epochs=1).fit(small)  # compiles kernels, loads libraries
    versions: Row = {}
    for seed in range(asked.seeds):
        for who, own in (("shortlist", True), ("history", False)):
            channel = LightGCN(**TOGETHER, epochs=asked.epochs, seed=seed, own=own)
            began = time.process_time()
            channel.fit(question.train)
            pace[who].append(len(pairs) * asked.epochs / (time.process_time() - began))
            p = channel.vectors(question.requests, state)
            figures[who].append(ndcg(question, channel.items_, p, channel.table_))
        np.savez(work / "given.npz", user=pairs[:, 0], item=pairs[:, 1], users=users, items=channel.items_)
        said = peer(asked.peers, work, asked.epochs, seed)
        versions = said["versions"]
        pace["peer"].append(len(pairs) * asked.epochs / said["seconds"])
        with np.load(work / "found.npz", allow_pickle=False) as found:
            figures["peer"].append(ndcg(question, channel.items_, found["p"][:, None], found["q"]))
        say(f"{name}, seed {seed}: {[(who, f[-1].mean(), pace[who][-1]) for who, f in figures.items()]}")
    mean = {who: np.mean(each, axis=0) for who, each in figures.items()}
    return {
        "requests": len(users), "pairs": len(pairs), "items": len(channel.items_),
        "epochs": asked.epochs, "seeds": asked.seeds,
        **{who: asdict(mean_interval(each, users)) for who, each in mean.items()},
        "paired": asdict(paired_interval(mean["shortlist"], mean["peer"], users)),
        "paired_history": asdict(paired_interval(mean["history"], mean["shortlist"], users)),
        "rows_per_second": {who: float(np.median(each)) for who, each in pace.items()},
        "settings": LightGCN(**TOGETHER, epochs=asked.epochs).config(), "peer_versions": versions,
    }  # fmt: skip


def page(rows: list[tuple[str, Row]]) -> str:
    """All rows as a page."""
    newest = max((row for _, row in rows), key=lambda row: row["date"])
    newest = newest | {"load": max(row["load"] for _, row in rows)}
    libraries = ", ".join(f"{name} {version}" for name, version in newest["peer_versions"].items())
    lines = [
        "# lightgcn beside its peer",
        "",
        f"`python bench/recall/lightgcn.py --peers PYTHON`; {made([newest])}",
        "",
        f"The peer is RecBole's LightGCN ({libraries}). Both learn from the same pairs: width {TOGETHER['factors']}, "
        f"{TOGETHER['depth']} layers, one uniform rival a pair that its user did not take, batches of "
        f"{TOGETHER['batch']:,}, step size {TOGETHER['rate']}, penalty {TOGETHER['embedding_l2']}, for equally many "
        "epochs. Each user's last positive event is asked for among all items but those he had. Differences are ours "
        f"minus the peer's, 95 % interval by resampling users; *holds* from {MARGIN} on. Pairs a second are of "
        "processor time, since the machine had other work: ours of the whole fit, the peer's of its training loop "
        f"alone; *holds* from {FASTER} times on. Without `own`: users have no vector of their own.",
        "",
        "| set | requests | pairs | epochs | seeds | NDCG@10, ours | peer's | difference | "
        "| pairs a second, ours | peer's | ratio | | without `own` | difference to with | pairs a second |",
        "|" + "---|" * 16,
    ]
    for name, row in rows:
        ours, theirs, alone = (row["rows_per_second"][who] for who in ("shortlist", "peer", "history"))
        cells = [name, *(f"{row[key]:,}" for key in ("requests", "pairs", "epochs", "seeds"))]
        cells += [f"{row['shortlist']['mean']:.4f}", f"{row['peer']['mean']:.4f}", apart(row["paired"])]
        cells += ["holds" if row["paired"]["low"] > MARGIN else "**below**"]
        cells += [f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.1f}"]
        cells += ["holds" if ours / theirs >= FASTER else "**slower**"]
        cells += [f"{row['history']['mean']:.4f}", apart(row["paired_history"]), f"{alone:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="the python of an environment with recbole")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds the data sets' folders")
    parser.add_argument("--work", type=Path, default=Path("runs/recall"), help="where arrays are handed over")
    parser.add_argument("--only", nargs="*", default=[], help=f"some of {', '.join(SETS)}")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the pairs, of both")
    parser.add_argument("--rows", type=int, default=10**9, help="only the log's last so many events")
    parser.add_argument("--seeds", type=int, default=1, help="seeds; figures are their means")
    parser.add_argument("--page", action="store_true", help="only write LIGHTGCN.md")
    asked = parser.parse_args()
    asked.work = asked.work.resolve()
    if not asked.page and asked.peers is None:
        parser.error("--peers: expected the python of an environment with recbole")
    for name in [] if asked.page else wanted(asked.only, SETS)[0]:
        if logs.here(name, asked.data):
            keep(f"lightgcn.{name}", {**measure(name, asked), **provenance("lightgcn.py")})
        else:
            say(f"{name}: left out, its folder is not below --data")
    rows = [(name, row) for name in SETS if (row := kept(f"lightgcn.{name}"))]
    if rows:
        (HERE / "LIGHTGCN.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    main()
