"""What a ranker learns from: rows the channels really produced for replayed requests, with the features of that moment.

No row is injected. A target no channel found is no positive, since its empty channel columns would give the label away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from shortlist.component import InputError
from shortlist.data import Behaviours, State
from shortlist.data.protocol import Questions
from shortlist.memory import give_back
from shortlist.pipeline import Pipeline, Trace
from shortlist.progress import track
from shortlist.questions import BATCH, is_target, refuse_failures
from shortlist.recipe import POSITIVE
from shortlist.types import Array, Bool, Candidates, Float32, Float64, Int16, Ragged, Requests, Samples, keys

Labels = Mapping[str, Mapping[str, bool | float]]
"""Further labels: name -> kind of event -> from which value on it makes the label 1 (true: always)."""


def from_funnel(
    pipeline: Pipeline,
    questions: Questions,
    state: State,
    *,
    labels: Labels | None = None,
    negatives: int | None = None,
    top_negatives: int = 0,
    unseen: int = 0,
    coarse: bool = False,
    seed: int = 0,
    title: str = "samples",
    hear: Callable[[Candidates], None] | None = None,
) -> Samples:
    """Replays the questions through recall, merge and features; keeps every positive and some negatives a request.

    ``unseen`` rows a request beside them are popular items that nobody found; every channel scores them as it does what
    another found, and they are kept whatever ``negatives`` says. Only feature columns are kept; ``coarse``: those that
    the pre-ranker reads, of all the rows it will be given. ``labels`` are those beside ``positive``; a row that any
    label calls good is no negative. Requests for which no channel found a target teach nothing and are left out when
    negatives are sampled (``negatives`` given); validation keeps them. ``hear`` is given the columns of all rows that
    were found for a batch, numbered as the samples number them, before any is left out.
    """
    rng = np.random.default_rng(seed)
    popular = _popularity(state, pipeline.fitted_until) if unseen else np.empty(0)
    parts: list[Candidates] = []
    each: dict[str, list[Float32]] = {}
    others, left = 0, 0
    first = 0
    for batch in track(questions.batches(BATCH), title):
        trace = Trace()
        asked, rows = pipeline.found(batch.requests, state, trace)
        others_ = _unseen(batch, asked, rows, popular, unseen, rng) if unseen else Candidates.empty()
        rows = pipeline.scored(asked, Candidates.concat([rows, others_]) if len(others_) else rows, state, trace)
        added = np.isin(rows.keys, others_.keys)
        if coarse:
            featured = pipeline.coarse(asked, rows, state, trace)
        else:
            featured = pipeline.featured(asked, rows, state, trace, surely=added if unseen else None)
        added = np.isin(featured.keys, others_.keys)
        refuse_failures(trace)
        columns = [name for name in featured.columns if name not in rows.columns]
        if hear is not None:
            heard = _numbered(featured.select(columns), first)
            hear(heard.take(~added) if added.any() else heard)
        found = labelled(featured, batch, labels or {}, state.behaviours)
        good = good_rows(found)
        others += int(np.sum(~good & ~added))
        if negatives is not None:  # only now: a column that compares a request's rows must see all of them
            own = np.flatnonzero(~added)
            kept = own[_sampled(featured.take(own), good[own], negatives, top_negatives, rng)]
            teaches = np.isin(featured.request, featured.request[kept])
            kept = np.sort(np.concatenate([kept, np.flatnonzero(added & teaches)]))
            featured, good = featured.take(kept), good[kept]
            found = {name: label[kept] for name, label in found.items()}
        left += int(np.sum(~good))
        parts.append(_numbered(featured, first).select(columns))
        for name, label in found.items():
            each.setdefault(name, []).append(label)
        first += len(batch)
    names = [POSITIVE, *(labels or {})]
    truth = {name: np.concatenate([np.empty(0, np.float32), *each.get(name, [])]) for name in names}
    candidates = joined(parts)
    weight = np.ones(len(candidates), np.float32)
    return Samples(questions.requests, candidates, truth, weight, left / others if left else 1.0)


def _numbered(rows: Candidates, first: int) -> Candidates:
    """The rows of a batch whose requests are numbered from ``first``."""
    return replace(rows, request=(rows.request + np.uint32(first)).astype(np.uint32))


def joined(parts: list[Candidates]) -> Candidates:
    """The rows of all parts, which are used up: each column is let go of once it is joined."""
    if not parts:
        return Candidates.empty()
    bare = Candidates.concat([part.select([]) for part in parts])
    columns = [dict(part.columns) for part in parts]
    parts.clear()
    whole = bare.with_columns(**{name: np.concatenate([p.pop(name) for p in columns]) for name in list(columns[0])})
    give_back()
    return whole


def _popularity(state: State, until: int | None) -> Float64:
    """[items]: the chance of each item to be drawn, by its events that the pipeline was fitted on."""
    events = state.events
    known = events.item if until is None else events.item[events.time <= until]
    weight = np.bincount(known, minlength=1).astype(np.float64) ** 0.75
    return weight / max(weight.sum(), 1e-300)


def _unseen(
    batch: Questions, asked: Requests, rows: Candidates, popular: Float64, n: int, rng: np.random.Generator
) -> Candidates:
    """At most ``n`` items a request by chance ``popular``: none it may not show, has met, was found or comes later."""
    if not popular.any():
        return Candidates.empty()
    drawn = np.searchsorted(np.cumsum(popular), rng.random((len(asked), 4 * n)), side="right")
    drawn = np.minimum(drawn, np.flatnonzero(popular)[-1])
    row = np.repeat(np.arange(len(asked)), 4 * n)
    pair = keys(row, drawn.ravel())
    first = np.sort(np.unique(pair, return_index=True)[1])  # as they were drawn
    taken = [keys(part.rows, part["item"]) for part in (asked.history, asked.exclude, batch.targets, batch.after)]
    first = first[~np.isin(pair[first], np.concatenate([rows.keys, *taken]))]
    made = Candidates(row[first].astype(np.uint32), drawn.ravel()[first].astype(np.int32))
    return made.take(made.positions() < n)


def labelled(rows: Candidates, questions: Questions, labels: Labels, behaviours: Behaviours) -> dict[str, Float32]:
    """By name [m]: ``positive``, 1 where the row's item is a target of its question, and what ``labels_of`` says."""
    positive = is_target(rows, questions.targets).astype(np.float32)
    return {POSITIVE: positive, **labels_of(rows, questions.after, labels, behaviours)}


def labels_of(rows: Candidates, after: Ragged, labels: Labels, behaviours: Behaviours) -> dict[str, Float32]:
    """By name [m]: 1 where one of the row's events in ``after`` [n] is what the label asks for, else 0.

    NaN where the only events of a kind it asks for have no value to judge by. Raises ``InputError`` for a kind of event
    that the log does not have.
    """
    found: dict[str, Float32] = {}
    pairs = keys(after.rows, after["item"])
    for name, kinds in labels.items():
        good, unknown = judged(after["event"], after["value"], kinds, behaviours, f"samples.labels.{name}")
        label = np.isin(rows.keys, pairs[good]).astype(np.float32)
        label[(label == 0) & np.isin(rows.keys, pairs[unknown])] = np.nan
        found[name] = label
    return found


def judged(
    event: Int16, value: Float32, kinds: Mapping[str, bool | float], behaviours: Behaviours, path: str
) -> tuple[Bool, Bool]:
    """([m], [m]): which events are what a label asks for, and which would have to be judged by a value they lack."""
    good, unknown = np.zeros(len(event), bool), np.zeros(len(event), bool)
    for kind, least in kinds.items():
        code = behaviours.code(kind)
        if code < 0:
            known = ", ".join(behaviours.names)
            raise InputError(f"{path}.{kind}: the log has no such event; there are {known}")
        mine = event == code
        if isinstance(least, bool):
            good |= mine & least
        else:
            good |= mine & (value >= least)
            unknown |= mine & np.isnan(value)
    return good, unknown


def good_rows(labels: Mapping[str, Float32]) -> Bool:
    """[m]: whether any label calls a row good."""
    return np.any([label > 0 for label in labels.values()], axis=0)


def thinned(samples: Samples, negatives: int, top_negatives: int = 0, seed: int = 0) -> Samples:
    """The same samples with at most ``negatives`` rows without a target for each request, as ``from_funnel`` keeps."""
    label = good_rows(samples.labels)
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
    final = np.where(good_rows(samples.labels), positive_weight * weight, weight).astype(np.float32)
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
