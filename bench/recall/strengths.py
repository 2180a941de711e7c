"""Channels on a log whose strengths span six orders of magnitude: as they are, clipped by hand, and all alike.

    python bench/recall/strengths.py

MovieLens-100K with made-up strengths, so that the best answer is known: they say nothing. *spread*: every event's
strength is drawn from 0.001 to 1,000, evenly by its logarithm. *purchases*: one event in a hundred counts a million.
Fitted before the test cut and asked the questions of the window after it (replay), as in RESULTS.md; NDCG@10, and the
paired difference to the log whose strengths were clipped at five times the median before. Writes STRENGTHS.md.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import logs
import numpy as np
from channel import digest, lists, targets
from rows import provenance

from shortlist.component import InputError
from shortlist.data.protocol import Questions
from shortlist.documents import write_text
from shortlist.metrics import accuracy
from shortlist.metrics._slate import Slates
from shortlist.metrics.interval import paired_interval
from shortlist.registry import find
from shortlist.types import Array, Float32

CHANNELS: dict[str, dict[str, Any]] = {
    "lfm": {},
    "item2vec": {},
    "item2vec weighted": {"weighted": True},
    "deepwalk": {},
    "als": {},
    "svd": {},
    "ease": {},
    "item_cf": {},
    "user_cf": {},
    "rp3beta": {},
}
CLIP = 5


def strengths(kind: str, weight: Array) -> Float32:
    """[m]: made-up strengths for the positive events."""
    rng = np.random.default_rng(0)
    drawn = {
        "alike": np.ones(len(weight)),
        "spread": 10 ** rng.uniform(-3, 3, len(weight)),
        "purchases": np.where(rng.random(len(weight)) < 0.01, 1e6, 1),
    }
    return np.where(weight > 0, drawn[kind], 0).astype(np.float32)


def main() -> None:
    """Measures every channel on every log."""
    with tempfile.TemporaryDirectory() as work:
        log = logs.load("movielens-100k", None, Path(work))
    told, known = log.data.events.weight, len(log.known("test").events)
    asked: dict[str, tuple[logs.Log, list[Questions]]] = {}
    for kind in ("alike", "spread", "purchases"):
        weight = strengths(kind, told)
        most = np.float32(CLIP * np.median(weight[:known][weight[:known] > 0]))
        for name, each in ((kind, weight), (f"{kind}, clipped", np.minimum(weight, most))):
            other = replace(log, data=replace(log.data, events=replace(log.data.events, weight=each)))
            asked[name] = other, other.batches("replay", "test")
    users, right = targets(asked["alike"][1])

    def measured(channel: str, on: str, **more: Any) -> Array:
        other, batches = asked[on]
        assert digest(*targets(batches)) == digest(users, right), "strengths change no question"
        component = find("recall", channel.split()[0]).from_config({**CHANNELS[channel], **more})
        component.fit(other.known("test"))  # type: ignore[attr-defined]
        return accuracy.ndcg(Slates.of(lists(component, batches, other.state), right, 10), 10)  # type: ignore[arg-type]

    made = provenance("strengths.py")
    versions = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    lines = [
        "# Strengths over six orders of magnitude",
        "",
        *(__doc__ or "").strip().split("\n\n")[1:],
        "",
        f"{made['machine']}; seed {made['seed']}; {versions}.",
        "",
        "| channel | all alike | strengths | as it is | clipped by hand | as it is − by hand (95 %) | `clip` none |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in CHANNELS:
        plain = measured(name, "alike").mean()
        for kind in ("spread", "purchases"):
            own, by_hand = measured(name, kind), measured(name, f"{kind}, clipped", clip=None)
            gap = paired_interval(own, by_hand, users)
            try:
                free = f"{measured(name, kind, clip=None).mean():.4f}"
            except InputError:
                free = "refused"
            lines.append(
                f"| {name} | {plain:.4f} | {kind} | {own.mean():.4f} | {by_hand.mean():.4f} "
                f"| {gap.diff:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}] | {free} |"
            )
            print(lines[-1], flush=True)
    write_text(Path(__file__).parent / "STRENGTHS.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
