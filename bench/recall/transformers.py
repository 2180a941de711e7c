"""sasrec and bert4rec beside RecTools': same sequences, width, length, objective, negatives, epochs and questions.

    python bench/recall/transformers.py --data DIR --peers PYTHON [--users N] [--epochs N ...] [--seeds N]
        [--only NAME ...]

``DIR`` is the folder of amazon-5core. Each user's last item is asked for, the one before it is known when that happens
and in nobody's training; items met before are left out. Of several numbers of epochs, they are compared at each, and
once more with the number that found most of the items before the last. ``PYTHON`` is an interpreter that has RecTools
(``pip install "rectools[torch]"``). One thread each. Every fit is a process of its own; seconds are those of its
processor, so that what else the machine does counts little. Writes transformers.json and TRANSFORMERS.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
COMMON = {"width": 64, "length": 50, "negatives": 256, "rate": 1e-3, "batch": 128, "dropout": 0.5}
MODELS = {
    "sasrec, sampled softmax": ("sasrec", "sampled"),
    "sasrec, softmax": ("sasrec", "softmax"),
    "bert4rec, softmax": ("bert4rec", "softmax"),
}
MINUTE = 60_000_000


def sequences(data: Path, users: int | None) -> list[np.ndarray]:
    """Items of each user in order; of so many users, drawn."""
    with gzip.open(data / "beauty.txt.gz", "rt") as file:
        found = [np.array(line.split()[1:], np.int64) - 1 for line in file]
    if users is not None and users < len(found):
        found = [found[i] for i in np.sort(np.random.default_rng(0).choice(len(found), users, replace=False))]
    _, flat = np.unique(np.concatenate(found), return_inverse=True)
    return np.split(flat, np.cumsum([len(items) for items in found])[:-1])


def ours(log: list[np.ndarray], model: str, objective: str, epochs: list[int], seed: int) -> tuple[np.ndarray, float]:
    """The ten items for each user [epochs, 2, n, 10] (for the item before the last, for the last), -1 = none, and the
    seconds of an epoch.
    """
    from dataclasses import replace

    from shortlist.registry import find
    from shortlist.testing import worlds

    place = np.concatenate([np.arange(len(items) - 2) for items in log])
    user = np.repeat(np.arange(len(log)), [len(items) - 2 for items in log])
    item = np.concatenate([items[:-2] for items in log])
    order = np.lexsort((user, place))
    n_items = 1 + max(int(items.max()) for items in log)
    data = worlds.dataset(user[order], item[order], place[order] * MINUTE, n_users=len(log), n_items=n_items)
    found, spent = [], 0.0
    for passes in epochs:
        channel = find("recall", model)(
            factors=COMMON["width"], length=COMMON["length"], objective=objective, negatives=COMMON["negatives"],
            each="position", rate=COMMON["rate"], batch=COMMON["batch"], dropout=COMMON["dropout"], epochs=passes,
            hold=0, seed=seed,
        )  # fmt: skip
        began = time.process_time()
        channel.fit(replace(data, clock="each"))
        spent += time.process_time() - began
        found.append([answers(channel, log, data.state(), back) for back in (2, 1)])
    return np.array(found), spent / sum(epochs)


def answers(channel: Any, log: list[np.ndarray], state: Any, back: int) -> np.ndarray:
    """[n, 10]: what is answered to those of whom all but the last ``back`` items are known."""
    from shortlist.types import HISTORY, Ragged, Requests

    offsets = np.cumsum([0, *(len(items) - back for items in log)])
    columns = {name: np.zeros(offsets[-1], dtype) for name, dtype in HISTORY.items()}
    known = np.concatenate([items[:-back] for items in log]).astype(np.int32)
    time_ = np.concatenate([np.arange(len(items) - back) for items in log]) * MINUTE
    history = Ragged(offsets, columns | {"item": known, "time": time_, "weight": np.ones(len(known), np.float32)})
    requests = Requests.of(np.arange(len(log)), np.full(len(log), 10**12), history)
    requests = requests.excluding(Ragged.of(np.repeat(np.arange(len(log)), np.diff(offsets)), len(log), item=known))
    top = np.full((len(log), 10), -1)
    for first in range(0, len(log), 1000):
        found = channel.retrieve(requests.take(np.arange(first, min(first + 1000, len(log)))), state, 10)
        top[first + found.request, found.positions()] = found.item
    return top


def theirs(log: list[np.ndarray], model: str, objective: str, epochs: list[int], seed: int) -> tuple[np.ndarray, float]:
    """The same by RecTools: one fit, looked at after so many epochs (its step size is the same throughout)."""
    import pandas as pd
    import pytorch_lightning as pl
    import torch
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import BERT4RecModel, SASRecModel

    torch.set_num_threads(1)
    pl.seed_everything(seed, verbose=False)

    def table(back: int) -> Dataset:
        kept = [items[: len(items) - back] for items in log]
        place = np.concatenate([np.arange(len(items)) for items in kept])
        return Dataset.construct(
            pd.DataFrame(
                {
                    Columns.User: np.repeat(np.arange(len(log)), [len(items) for items in kept]),
                    Columns.Item: np.concatenate(kept),
                    Columns.Weight: 1.0,
                    Columns.Datetime: pd.Timestamp("2020-01-01") + pd.to_timedelta(place, "D"),
                }
            )
        )

    class Kept(pl.Callback):
        """The weights after some of the epochs."""

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            if trainer.current_epoch + 1 in epochs:
                torch.save(module.torch_model.state_dict(), f"{trainer.current_epoch + 1}.pt")

    def trainer() -> Any:
        most = max(epochs)
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        return pl.Trainer(
            max_epochs=most, min_epochs=most, deterministic=True, logger=False, devices=1, callbacks=[Kept()], **quiet
        )

    cls = {"sasrec": SASRecModel, "bert4rec": BERT4RecModel}[model]
    more = {"mask_prob": 0.3} if model == "bert4rec" else {}
    fitted = cls(
        n_blocks=1, n_heads=1, n_factors=COMMON["width"], dropout_rate=COMMON["dropout"],
        session_max_len=COMMON["length"], loss={"sampled": "sampled_softmax"}.get(objective, objective),
        n_negatives=COMMON["negatives"], lr=COMMON["rate"], batch_size=COMMON["batch"], epochs=max(epochs),
        get_trainer_func=trainer, recommend_torch_device="cpu", recommend_n_threads=1, **more,
    )  # fmt: skip
    began = time.process_time()
    fitted.fit(table(2))
    spent = time.process_time() - began
    met = set(np.concatenate([items[:-2] for items in log]).tolist())

    def found(back: int) -> np.ndarray:
        raw = table(back).get_raw_interactions()
        known = Dataset.construct(raw[raw[Columns.Item].isin(met)])
        rows = fitted.recommend(np.arange(len(log)), known, k=10, filter_viewed=True, on_unsupported_targets="ignore")
        top = np.full((len(log), 10), -1)
        top[rows[Columns.User].to_numpy(), rows[Columns.Rank].to_numpy() - 1] = rows[Columns.Item].to_numpy()
        return top

    tops = []
    for passes in epochs:
        fitted.lightning_model.torch_model.load_state_dict(torch.load(f"{passes}.pt", weights_only=True))
        tops.append([found(back) for back in (2, 1)])
    return np.array(tops), spent / max(epochs)


def worker(told: dict[str, Any]) -> None:
    """The fits of one seed; their lists go to a file."""
    log = sequences(Path(told["data"]), told["users"])
    who = ours if told["whose"] == "ours" else theirs
    top, seconds = who(log, told["model"], told["objective"], told["epochs"], told["seed"])
    np.savez(told["out"], top=top, seconds=seconds)


def main() -> None:
    from measured import provenance
    from shortlist.documents import dumps, write_text

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--users", type=int, default=None)
    parser.add_argument("--epochs", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(MODELS))
    given = parser.parse_args()
    kept = HERE / "transformers.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    log = sequences(Path(given.data), given.users)
    targets = np.array([[items[-back] for items in log] for back in (2, 1)])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    for name in given.only:
        model, objective = MODELS[name]
        gains: dict[str, list[np.ndarray]] = {"ours": [], "theirs": []}
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for seed in range(given.seeds):
            for whose, python in (("ours", sys.executable), ("theirs", given.peers)):
                with tempfile.TemporaryDirectory() as folder:
                    out = str(Path(folder) / "top.npz")
                    told = {
                        "data": given.data, "users": given.users, "whose": whose, "model": model, "out": out,
                        "objective": objective, "epochs": given.epochs, "seed": seed,
                    }  # fmt: skip
                    command = [python, __file__, "--worker", json.dumps(told)]
                    subprocess.run(command, check=True, env={**os.environ, **threads}, cwd=folder)
                    with np.load(out) as file:
                        hit = file["top"] == targets[..., None]
                        seconds[whose].append(float(file["seconds"]))
                gains[whose].append((hit / np.log2(2 + np.arange(10))).sum(-1))
        before, last = ({whose: np.mean(each, axis=0)[:, i] for whose, each in gains.items()} for i in (0, 1))
        best = {whose: int(each.mean(1).argmax()) for whose, each in before.items()}
        pairs = [(i, i) for i in range(len(given.epochs))]
        pairs += [(best["ours"], best["theirs"])] if len(given.epochs) > 1 else []
        rows[name] = {
            "users": len(log), "epochs": given.epochs, "seeds": given.seeds,
            "before": {whose: each.mean(1).tolist() for whose, each in before.items()},
            "pairs": [
                [given.epochs[i], given.epochs[j], *paired(last["ours"][i], last["theirs"][j])] for i, j in pairs
            ],
            "seconds": float(np.mean(seconds["ours"])), "rectools_seconds": float(np.mean(seconds["theirs"])),
            **provenance("bench/recall/transformers.py"),
        }  # fmt: skip
        print(name, rows[name], flush=True)
        write_text(kept, dumps(rows))
    write_text(HERE / "TRANSFORMERS.md", page(rows))


def paired(mine: np.ndarray, other: np.ndarray) -> list[float]:
    """Means of both, and the interval of the difference (95 %, users drawn)."""
    drawn = np.random.default_rng(0).integers(0, len(mine), (2000, len(mine)))
    low, high = np.quantile((mine - other)[drawn].mean(1), [0.025, 0.975])
    return [float(mine.mean()), float(other.mean()), float(low), float(high)]


def page(rows: dict[str, Any]) -> str:
    """The table."""
    lines = [
        "# sasrec and bert4rec beside RecTools'",
        "",
        "`python bench/recall/transformers.py --data DIR --peers PYTHON`. amazon-5core beauty: each user's last item "
        "is asked for, the one before it is known but trained on by nobody, items met before are left out. Width 64, "
        "one block, one head, length 50, dropout .5, rate .001, 128 sequences a step, 256 uniform negatives a position "
        "for sampled softmax; nothing stopped. In bold, the numbers of epochs that found most of the items before the "
        "last, of those of the model's rows. Differences are paired by user over the mean of the seeds "
        "(95 %); seconds an epoch are of the processor, one thread.",
        "",
        "| model | users | seeds | epochs, ours / RecTools' | NDCG@10 | RecTools | ours - theirs | seconds an epoch "
        "| RecTools | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        several = len(row["epochs"]) > 1
        for n, (mine, other, ours_, theirs_, low, high) in enumerate(row["pairs"]):
            told = f"**{mine} / {other}**" if several and n == len(row["pairs"]) - 1 else f"{mine} / {other}"
            lines.append(
                f"| {name} | {row['users']:,} | {row['seeds']} | {told} | {ours_:.4f} | {theirs_:.4f} "
                f"| {ours_ - theirs_:+.4f} [{low:+.4f}, {high:+.4f}] | {row['seconds']:.2f} "
                f"| {row['rectools_seconds']:.1f} | {row['rectools_seconds'] / row['seconds']:.1f} x |"
            )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(json.loads(sys.argv[2]))
    else:
        sys.path.insert(0, str(HERE.parent))
        main()
