"""What a ranker learns from: rows the channels really produced for replayed requests, with the features of that moment.

No row is injected. A target no channel found is no positive, since its empty channel columns would give the label away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shortlist.data import State
from shortlist.data.protocol import Questions
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import track
from shortlist.questions import BATCH, is_target, refuse_failures
from shortlist.types import Array, Bool, Candidates, Float32, Samples

LABEL = "positive"


def from_funnel(
    pipeline: Pipeline,
    questions: Questions,
    state: State,
    *,
    negatives: int | None = None,
    top_negatives: int = 0,
    seed: int = 0,
    title: str = "samples",
) -> Samples:
    """Replays the questions through recall, merge and features; keeps every positive and some negatives a request.

    Only feature columns are kept. Requests for which no channel found a target teach nothing and are left out when
    negatives are sampled (``negatives`` given); validation keeps them.
    """
    rng = np.random.default_rng(seed)
    parts: list[tuple[Candidates, Float32]] = []
    requests, others, left = questions.requests, 0, 0
    for first in track(range(0, len(requests), BATCH), title):
        batch = np.arange(first, min(first + BATCH, len(requests)))
        trace = Trace()
        rows = pipeline.candidates(requests.take(batch), state, trace)
        asked = trace.requests
        assert asked is not None
        featured = pipeline.featured(asked, rows, state, trace)
        refuse_failures(trace)
        columns = [c for c in featured.columns if c not in rows.columns and not c.endswith(".dense")]
        label = is_target(featured, questions.targets.take(batch))
        others += int(np.sum(~label))
        if negatives is not None:  # only now: a column that compares a request's rows must see all of them
            kept = _sampled(featured, label, negatives, top_negatives, rng)
            featured, label = featured.take(kept), label[kept]
        left += int(np.sum(~label))
        numbered = Candidates((featured.request + first).astype(np.uint32), featured.item, featured.columns)
        parts.append((numbered.select(columns), label.astype(np.float32)))
    labels = np.concatenate([label for _, label in parts]) if parts else np.empty(0, np.float32)
    candidates = Candidates.concat([rows for rows, _ in parts]) if parts else Candidates.empty()
    weight = np.ones(len(labels), np.float32)
    return Samples(requests, candidates, {LABEL: labels}, weight, left / others if left else 1.0)


def thinned(samples: Samples, negatives: int, top_negatives: int = 0, seed: int = 0) -> Samples:
    """The same samples with at most ``negatives`` rows without a target for each request, as ``from_funnel`` keeps."""
    label = samples.labels[LABEL] > 0
    kept = _sampled(samples.candidates, label, negatives, top_negatives, np.random.default_rng(seed))
    labels = {name: column[kept] for name, column in samples.labels.items()}
    left, others = int(np.sum(~label[kept])), int(np.sum(~label))
    rate = samples.rate * (left / others if left else 1.0)
    return Samples(samples.requests, samples.candidates.take(kept), labels, samples.weight[kept], rate)


def weighted(
    samples: Samples, *, half_life: int | None = None, balance: bool = False, positive_weight: float = 1.0
) -> Samples:
    """The same rows with weights of mean 1, before positives are made to count more.

    A row's weight is 0.5^(age / half_life), its age counted back from the latest request; with ``balance`` divided by
    the sum of its user's (a request of nobody known is a user of its own); then times ``positive_weight`` where any
    label is positive, which ``rate`` remembers.
    """
    if (half_life is None and not balance and positive_weight == 1) or not len(samples):
        return samples
    row = samples.candidates.request
    weight = samples.weight.astype(np.float64)
    if half_life is not None:
        time = samples.requests.time[row]
        weight *= 0.5 ** ((time.max() - time) / half_life)
    if balance:
        user = samples.requests.user.astype(np.int64)
        who = np.unique(np.where(user < 0, -1 - np.arange(len(user)), user), return_inverse=True)[1][row]
        weight /= np.maximum(np.bincount(who, weights=weight), 1e-300)[who]
    weight *= len(weight) / weight.sum()
    good = np.any([label > 0 for label in samples.labels.values()], axis=0)
    final = np.where(good, positive_weight * weight, weight).astype(np.float32)
    return replace(samples, weight=final, rate=samples.rate / positive_weight)


def _sampled(rows: Candidates, label: Bool, negatives: int, top: int, rng: np.random.Generator) -> Array:
    """Row numbers: all positives, the first ``top`` negatives in merge order and random ones up to ``negatives``."""
    draw = np.where(label, -2.0, rng.random(len(rows)))
    if top:
        others = rows.take(~label)
        first = np.flatnonzero(~label)[others.positions() < top]
        draw[first] = -1.0
    order = np.lexsort((draw, rows.request))
    place = np.empty(len(rows), np.int64)
    place[order] = rows.positions()
    positives = np.bincount(rows.request[label], minlength=int(rows.request.max(initial=0)) + 1)
    enough = positives[rows.request] > 0
    return np.flatnonzero(enough & (place < positives[rows.request] + negatives))
