"""What ``[prerank]`` says beside a ranker's hyperparameters: what it reads, who teaches it, or whose score it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shortlist.component import InputError, Ranker, Retriever, Scores, able
from shortlist.data import State
from shortlist.pipeline.pipeline import DENSE
from shortlist.types import Candidates, Float32, Requests, Samples
from shortlist.types.sorting import falling

OWN = ("reads", "teacher")
"""Keys of ``[prerank]`` that are none of its ranker's."""
TEACHERS = ("labels", "rank")
"""Who may teach a pre-ranker."""


class ByChannel(Ranker):
    """Orders rows as one channel does that scores them all: the light model is the one that recall has already asked.

    score = -place, the place in the order of falling ``<channel>.dense``; rows that the channel cannot score, and all
    of them where it failed, stand behind the others in the order of the merge. Reads no feature and learns nothing.
    Source: Wang et al. (2020), COLD: Towards the Next Generation of Pre-Ranking System, section 2.2: pre-ranking by the
    product of two vectors.
    """

    channel: str
    """The channel whose score it is."""

    def fit(self, samples: Samples, valid: Samples | None = None) -> ByChannel:
        """There is nothing to learn."""
        return self

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """``{"score": [m]}``."""
        told = candidates.columns.get(self.channel + DENSE, np.full(len(candidates), np.nan))
        merged, score = candidates.positions(), np.empty(len(candidates), np.float32)
        score[falling(told, merged, candidates.request)] = -(merged + 1)  # equals stay as they were merged
        return {"score": score}


def by_channel(section: Mapping[str, Any], recall: Mapping[str, Retriever]) -> ByChannel:
    """The pre-ranker of ``[prerank] channel``; raises ``InputError`` where that is none that scores every row."""
    if others := sorted(set(section) - {"channel"}):
        raise InputError(f"prerank.{others[0]}: does nothing beside channel, whose score needs no ranker")
    scoring = [name for name, channel in recall.items() if able(channel, Scores)]
    if section["channel"] not in scoring:
        raise InputError(
            f"prerank.channel: expected a channel that scores rows it did not find ({', '.join(scoring) or 'none'}), "
            f"found {section['channel']!r}"
        )
    return ByChannel(channel=section["channel"])


def read_by(section: Mapping[str, Any], features: Sequence[Mapping[str, Any]]) -> frozenset[int]:
    """Numbers of the features that the pre-ranker reads; raises ``InputError`` where there is no such feature."""
    if "channel" in section:
        return frozenset()
    types = [str(feature.get("type")) for feature in features]
    reads = section.get("reads", ["channel"])
    if not isinstance(reads, list) or not reads:
        raise InputError(f"prerank.reads: expected a list of features, found {reads!r}")
    for name in reads:
        if name not in types:
            known = ", ".join(dict.fromkeys(types)) or "none"
            raise InputError(f"prerank.reads: the recipe has no feature {name!r} for it to read; there are {known}")
    return frozenset(number for number, name in enumerate(types) if name in reads)


def is_taught(section: Mapping[str, Any], ranker: Ranker) -> bool:
    """Whether the recipe's ranker teaches the pre-ranker; raises ``InputError`` where the latter cannot learn of it."""
    teacher = section.get("teacher", "labels")
    if teacher not in TEACHERS:
        raise InputError(f"prerank.teacher: expected {' or '.join(TEACHERS)}, found {teacher!r}")
    if teacher == "labels":
        return False
    if hasattr(ranker, "labels"):
        what = f"{section['type']} learns several labels, and a ranker teaches one order"
        raise InputError(f"prerank.teacher: expected a pre-ranker of one label; {what}")
    if getattr(ranker, "label", None) is not None:
        raise InputError("prerank.label: does nothing where the ranker teaches; leave it out")
    return True
