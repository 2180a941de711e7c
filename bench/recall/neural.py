"""Channels with a net beside the same models of another library: as good, and how many rows a second.

    python bench/recall/neural.py --peers PYTHON [--data DIR] [--only WORD ...] [--epochs N ...] [--rows N] [--page]

PYTHON is that of an environment with torch-rechub. Words are sets and models. A row is kept in
``results/neural.SET.MODEL.json``; NEURAL.md is written from all that are there. Both learn from the same examples (a
user's latest items, then the next), with the same widths, batches and rivals, in one thread each, in turn. Each
user's last ``--last`` events are asked for, each of them among all items but those he had before them all: more
questions make the interval narrower, which more to learn from does not. Of the ``--epochs`` given each side takes what
did best on as many events before those. ``mind`` is measured with one interest as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import logs
import numpy as np
from page import apart, made
from rows import HERE, RESULTS, THREADS, keep, kept, provenance, say, wanted

from shortlist.data import Dataset
from shortlist.metrics.interval import mean_interval, paired_interval
from shortlist.recall._towers import Towers
from shortlist.recall.mind import MIND
from shortlist.recall.two_tower import TwoTower
from shortlist.recall.youtube_dnn import YouTubeDNN
from shortlist.types import Array, Requests

SETS = ["movielens-100k", "movietweetings"]
WIDTH, LENGTH, NEGATIVES, BATCH, RATE = 32, 50, 20, 256, 1e-3
TOGETHER: dict[str, Any] = {
    "factors": WIDTH, "hidden": [64], "length": LENGTH, "batch": BATCH, "rate": RATE, "hold": 0.0, "device": "cpu",
}  # fmt: skip
DRAWN: dict[str, Any] = {"draw": "uniform", "each": "sequence", "negatives": NEGATIVES}
READ = {"user": ["age", "gender", "occupation"], "item": ["genres"]}
"""Attributes that both read, where the set has them."""
LEAST, MARGIN, FASTER = 3, -0.002, 1.5
"""Events of a user who is asked, at least; the least the interval of the difference and the ratio may be."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """Each user's last events are asked for, the rest is learned from."""

    train: Dataset
    requests: Requests
    target: Array  # [n] item codes


def held(data: Dataset, most: int, ends: int = 1) -> Held:
    """Positive events, of the log's last ``most`` where it has more; the last ``ends`` of a user, who keeps two."""
    log = data.events.take(np.flatnonzero((data.events.weight > 0) & (data.events.user >= 0))[-most:])
    counts = np.bincount(log.user, minlength=data.n_users)
    order = np.argsort(log.user, kind="stable")
    place = np.empty(len(log), np.int64)
    place[order] = np.arange(len(log)) - (np.cumsum(counts) - counts)[log.user[order]]  # of the user's own
    last = place >= np.maximum(counts[log.user] - ends, LEAST - 1)
    train = replace(data, events=log.take(np.flatnonzero(~last)), exposures=None)
    users = log.user[last]
    now = np.full(len(users), log.time[-1])
    history = train.state().history(users, now)
    return Held(train, Requests.of(users, now, history).excluding(history), log.item[last])


def ndcg(asked: Held, items: Array, p: Array, q: Array) -> Array:
    """[n]: NDCG@10 of the target among all ``items`` but those of the history; ``p`` [n, heads, f], ``q`` [c, f]."""
    column = np.full(asked.train.n_items, -1)
    column[items] = np.arange(len(items))
    found = np.zeros(len(asked.target))
    for r, target in enumerate(column[asked.target]):
        heads = p[r][p[r].any(1)]
        if target < 0 or not len(heads):
            continue
        score = (heads @ q.T).max(0)
        gone = column[asked.requests.exclude.row(r)["item"]]
        score[gone[(gone >= 0) & (gone != target)]] = -np.inf
        rank = int((score > score[target]).sum()) + 1
        found[r] = 1 / np.log2(1 + rank) if rank <= 10 else 0
    return found


def read(table: Any, wanted_: list[str]) -> list[str]:
    """Those of the attributes that there are."""
    return [name for name in wanted_ if name in table.columns()]


def towers(cls: type[Towers], config: Row) -> Callable[[Dataset, int, int], Towers]:
    """An unfitted channel over what both read."""

    def channel(data: Dataset, epochs: int, seed: int) -> Towers:
        tables = {"user": data.users, "item": data.items}
        told = {name: read(table, READ[name]) for name, table in tables.items() if name in cls.model_fields}
        if cls is MIND:
            told["item"] = []  # the peer's items are their ids
        return cls.from_config({**TOGETHER, **config, **told, "epochs": epochs, "seed": seed})

    return channel


MODELS: dict[str, Callable[[Dataset, int, int], Any]] = {
    "youtube_dnn": towers(YouTubeDNN, {**DRAWN, "tied": True, "age": False}),
    "two_tower": towers(TwoTower, {"draw": "batch"}),
    "mind": towers(MIND, {**DRAWN, "interests": 4}),
}
"""Ours by name; ``neural_peer.py`` has the peer's."""


def examples(channel: Any, data: Dataset, asked: Requests, seed: int) -> dict[str, Array]:
    """What the peer learns from and is asked: the very examples of the channel."""
    log = channel._log(data)
    channel.learn_inputs(data, log)
    made_ = channel.batches(log, None, data.users)
    row, start, end, told = made_.pieces
    learned = channel.entries(log, start, end, log["time"][told], row, data.users, LENGTH)
    mine = channel._counted(asked.history)
    questions = channel.read(mine, mine.offsets[:-1], mine.offsets[1:], asked.time, asked.user, data.users)
    c = len(channel.items_)
    drawn = np.random.default_rng(seed).integers(0, c, (len(told), NEGATIVES))
    arrays = {"target": log["item"][told].astype(np.int64), "negatives": drawn, "items": np.array(c)}
    arrays |= {f"learned_{name}": array for name, array in learned.items()}
    arrays |= {f"asked_{name}": array for name, array in questions.items()}
    arrays["user_rows"] = np.array(channel.askers.schema.rows)
    if isinstance(channel, TwoTower):
        arrays |= {"item_lists": channel.item_lists_, "item_rows": np.array(channel.described.schema.rows)}
    return arrays


def peer(python: Path, model: str, work: Path, epochs: int, seed: int) -> Row:
    """What the peer says of its work; its vectors are in ``work``."""
    job = {
        "model": model,
        "work": str(work),
        "epochs": epochs,
        "seed": seed,
        "width": WIDTH,
        "batch": BATCH,
        "rate": RATE,
    }
    done = subprocess.run(
        [str(python), str(HERE / "neural_peer.py"), json.dumps(job)],
        env=os.environ | dict.fromkeys(THREADS, "1"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{model}: {done.stderr.strip().splitlines()[-1]}")
    said: Row = json.loads(done.stdout.splitlines()[-1])
    return said


def ours(question: Held, channel: Any) -> tuple[Array, float]:
    """What each question found after ``channel`` was fitted, and the seconds of the fit (processor)."""
    began = time.process_time()
    channel.fit(question.train)
    seconds = time.process_time() - began
    return ndcg(
        question, channel.items_, channel.vectors(question.requests, question.train.state()), channel.table_
    ), seconds


def theirs(question: Held, channel: Any, model: str, asked: argparse.Namespace, epochs: int) -> tuple[Array, Row]:
    """What each question found of the peer, and what it says of its work, taught the examples of ``channel``."""
    arrays = examples(channel, question.train, question.requests, channel.seed)
    np.savez(asked.work / "neural" / "given.npz", **arrays)
    said = peer(asked.peers, model, asked.work / "neural", epochs, channel.seed)
    with np.load(asked.work / "neural" / "found.npz", allow_pickle=False) as found:
        gained = ndcg(question, channel.items_, found["p"], found["q"])
    return gained, said | {"examples": len(arrays["target"]), "items": int(arrays["items"])}


def entrants(model: str) -> dict[str, Row]:
    """Who is measured, and what is set of it."""
    return {"shortlist": {}, "peer": {}, **({"one": {"interests": 1}} if model == "mind" else {})}


def measure(name: str, model: str, asked: argparse.Namespace) -> Row:
    """One row: all learned and asked, for each seed, for so many epochs as did best on the questions before."""
    question = held(logs.load(name, asked.data, asked.work).data, asked.rows, asked.last)
    (asked.work / "neural").mkdir(parents=True, exist_ok=True)
    small = question.train.until(question.train.cut(0.02))
    MODELS[model](small, 1, 0).fit(small)  # compiles kernels, loads libraries

    def one(who: str, of: Held, epochs: int, seed: int) -> tuple[Array, Row]:
        plain = MODELS[model](of.train, epochs, seed)
        channel = plain.from_config({**plain.config(), **entrants(model)[who]})
        if who == "peer":
            return theirs(of, channel, model, asked, epochs)
        gained, seconds = ours(of, channel)
        return gained, {"seconds": seconds}

    earlier = held(question.train, asked.rows, asked.last)
    before: dict[str, Row] = {}
    for who in entrants(model):
        before[who] = {
            str(epochs): round(float(one(who, earlier, epochs, 0)[0].mean()), 4)
            for epochs in (asked.epochs if len(asked.epochs) > 1 else [])
        }
        say(f"{name}/{model}, {who} by epochs on the questions before: {before[who]}")
    best = {who: int(max(told, key=told.__getitem__)) if told else asked.epochs[0] for who, told in before.items()}
    figures: dict[str, list[Array]] = {who: [] for who in best}
    pace: dict[str, list[float]] = {who: [] for who in best}
    said: Row = {}
    for seed in range(asked.seeds):
        spent: dict[str, float] = {}
        for who, epochs in best.items():
            gained, told = one(who, question, epochs, seed)
            said |= told if who == "peer" else {}
            figures[who].append(gained)
            spent[who] = told["seconds"] / epochs
        for who, seconds in spent.items():
            pace[who].append(said["examples"] / seconds)
        means = {who: round(float(f[-1].mean()), 4) for who, f in figures.items()}
        say(f"{name}/{model}, seed {seed}: {means}, { ({who: round(f[-1]) for who, f in pace.items()}) } a second")
    users = question.requests.user
    mean = {who: np.mean(each, axis=0) for who, each in figures.items()}
    alone = {"several": asdict(paired_interval(mean["shortlist"], mean["one"], users))} if "one" in mean else {}
    return {
        "requests": len(users), "examples": said["examples"], "items": said["items"],
        "epochs": best, "before": before, "seeds": asked.seeds, "last": asked.last, **alone,
        **{who: asdict(mean_interval(each, users)) for who, each in mean.items()},
        "paired": asdict(paired_interval(mean["shortlist"], mean["peer"], users)),
        "rows_per_second": {who: float(np.median(each)) for who, each in pace.items()},
        "settings": MODELS[model](question.train, best["shortlist"], 0).config(), "peer_versions": said["versions"],
    }  # fmt: skip


def page(rows: list[tuple[str, str, Row]]) -> str:
    """All rows as a page."""
    newest = max((row for *_, row in rows), key=lambda row: row["date"])
    newest = newest | {"load": max(row["load"] for *_, row in rows)}
    libraries = ", ".join(f"{name} {version}" for name, version in newest["peer_versions"].items())
    lines = [
        "# Channels with a net beside their peers",
        "",
        f"`python bench/recall/neural.py --peers PYTHON`; {made([newest])}",
        "",
        f"The peer is torch-rechub ({libraries}): YoutubeDNN, DSSM, MIND. Both learn from the same examples, of width "
        f"{WIDTH}, history {LENGTH}, {NEGATIVES} uniform rivals an example (two_tower: those of the batch), batches of "
        f"{BATCH}, step size {RATE}, with the settings in the rows' files. Each user's last "
        "positive events, so many as *last* says, are asked for, each among all items but those he had. Epochs are "
        "each one's own: of those tried, what did best on as many events before those asked for (seed 0), learned from "
        "what is before them; what was found there is in the rows' files. Differences "
        f"are ours minus the peer's, 95 % interval by resampling users; *holds* from {MARGIN} on. Rows a second are of "
        "processor time, since the machine had other work: ours of the whole fit, the peer's of its training loop "
        f"alone; *holds* from {FASTER} times on.",
        "",
        "| set | model | last | requests | examples | epochs, ours / the peer's | seeds | NDCG@10, ours | peer's "
        "| difference | | rows a second, ours | peer's | ratio | |",
        "|" + "---|" * 15,
    ]
    for name, model, row in rows:
        ours, theirs = (row["rows_per_second"][who] for who in ("shortlist", "peer"))
        cells = [
            name,
            model,
            str(row.get("last", 1)),
            *(f"{row[key]:,}" for key in ("requests", "examples")),
            " / ".join(str(row["epochs"][who]) for who in ("shortlist", "peer")),
            str(row["seeds"]),
        ]
        cells += [f"{row['shortlist']['mean']:.4f}", f"{row['peer']['mean']:.4f}", apart(row["paired"])]
        cells += ["holds" if row["paired"]["low"] > MARGIN else "**below**"]
        cells += [f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.1f}"]
        cells += ["holds" if ours / theirs >= FASTER else "**slower**"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += interests([(name, row) for name, _, row in rows if "several" in row])
    return "\n".join(lines) + "\n"


def interests(rows: list[tuple[str, Row]]) -> list[str]:
    """The table of mind with one interest and with several."""
    lines = [
        "",
        "## One interest or several",
        "",
        "mind as above and with `interests = 1`, same seeds, epochs chosen for itself.",
        "",
    ]
    lines += [
        "The peer compares a target with the nearest interest alone, routes by a softmax over places instead of "
        "interests and without gradient, and scores by cosine without a temperature, which soon teaches it no more. "
        "Ours was behind it with `power = 1`, by which interests move as one while vectors are short, and with larger "
        "noise in the first logits of the routing (`NOISE`), by which the place of an event decided as much as what "
        "it is; both were told by the questions before. One interest finds more here, probably because an interest of "
        "two events is nearly as long as one of forty, and so has as many of the ten places. In the planted world of "
        "the tests, where people have two tastes that no one vector can hold, two interests find more.",
        "",
    ]
    lines += ["| set | interests | epochs | NDCG@10 | of one | its epochs | several - one |", "|" + "---|" * 7]
    for name, row in rows:
        cells = [
            name,
            str(row["settings"]["interests"]),
            str(row["epochs"]["shortlist"]),
            f"{row['shortlist']['mean']:.4f}",
            f"{row['one']['mean']:.4f}",
            str(row["epochs"]["one"]),
        ]
        lines.append(f"| {' | '.join([*cells, apart(row['several'])])} |")
    return lines if rows else []


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="the python of an environment with torch-rechub")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds the data sets' folders")
    parser.add_argument("--work", type=Path, default=Path("runs/recall"), help="where arrays are handed over")
    parser.add_argument("--only", nargs="*", default=[], help=f"some of {', '.join([*SETS, *MODELS])}")
    parser.add_argument("--epochs", type=int, nargs="+", default=[8, 16, 24, 32], help="passes tried")
    parser.add_argument("--rows", type=int, default=10**9, help="only the log's last so many events")
    parser.add_argument("--last", type=int, default=5, help="events of a user that are asked for, at most")
    parser.add_argument("--seeds", type=int, default=3, help="seeds; figures are their means")
    parser.add_argument("--page", action="store_true", help="only write NEURAL.md")
    asked = parser.parse_args()
    asked.work = asked.work.resolve()
    sets, models = wanted(asked.only, SETS, list(MODELS))
    if not asked.page and asked.peers is None:
        parser.error("--peers: expected the python of an environment with torch-rechub")
    for name in [] if asked.page else sets:
        if not logs.here(name, asked.data):
            say(f"{name}: left out, its folder is not below --data")
            continue
        for model in models:
            row = {**measure(name, model, asked), **provenance("neural.py")}
            row["command"] = row["command"].replace(str(asked.peers), "PYTHON")
            keep(f"neural.{name}.{model}", row)
    rows = [(name, model, row) for name in SETS for model in MODELS if (row := kept(f"neural.{name}.{model}"))]
    if rows:
        (HERE / "NEURAL.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    main()
