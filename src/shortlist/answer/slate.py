"""One person's slate in words: requests made from a bundle's state, rows told with raw ids, channels and reasons.

The command line and the HTTP service both answer through this module, on the same ``Pipeline.recommend``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from shortlist.component import Compares, Explains, HasTopics, InputError, Reasons, able
from shortlist.data import Dataset, State
from shortlist.data.protocol import HISTORY_LENGTH
from shortlist.pipeline import Pipeline, Trace
from shortlist.types import Array, Candidates, Int32, Ragged, Requests


@dataclass(frozen=True, slots=True)
class Answer:
    """The slates of a batch of requests, and how they came about."""

    requests: Requests
    rows: Candidates
    trace: Trace
    state: State


def requests_of(
    state: State,
    users: Array,
    time: int,
    *,
    exclude: Sequence[int] = (),
    history: Ragged | None = None,
    context: Mapping[str, Array] | None = None,
    ids: Array | None = None,
) -> Requests:
    """Requests of ``users`` [n] (codes, -1 = nobody) at ``time``, with what the state knows of them.

    ``history`` replaces the state's; ``exclude`` are item codes that nobody of the batch may be shown.
    """
    users = np.asarray(users, np.int32)
    times = np.full(len(users), time, np.int64)
    known = state.history(users, times, HISTORY_LENGTH) if history is None else history
    requests = replace(Requests.of(users, times, known), context=context or {})  # whatever its columns are called
    if ids is not None:
        requests = replace(requests, id=np.asarray(ids, np.uint64))
    if len(exclude):
        items = np.unique(np.asarray(exclude, np.int32))
        rows = np.repeat(np.arange(len(users)), len(items))
        requests = requests.excluding(Ragged.of(rows, len(users), item=np.tile(items, len(users))))
    return requests


def recommend(pipeline: Pipeline, state: State, requests: Requests, n: int = 10) -> Answer:
    """The slates."""
    rows, trace = pipeline.recommend(requests, state, n)
    assert trace.recalled is not None
    return Answer(trace.recalled.requests, rows, trace, state)


def tell(answer: Answer, pipeline: Pipeline, data: Dataset, explain: bool = True) -> list[list[dict[str, Any]]]:
    """For each request its items: raw id, score, the channels that found it (best rank first) and the reason.

    Where rules moved a row ``moved`` says why; where one left something to chance, ``propensity`` says how likely.
    """
    rows = answer.rows
    found = _found(answer, pipeline)
    named, said = _because(answer, pipeline, found) if explain else _nothing(len(rows))
    because = named.tolist()
    fallback = rows.columns.get("fallback", np.zeros(len(rows), bool)).tolist()
    scores = rows.columns.get("score", np.full(len(rows), np.nan)).tolist()
    moved = rows.columns.get("reason", np.zeros(len(rows), "<U1")).tolist()
    propensity = rows["propensity"].tolist() if "propensity" in rows else None
    title_of, ids = _titles(data), data.item_ids.ids
    told: list[list[dict[str, Any]]] = [[] for _ in range(len(answer.requests))]
    for r, (request, item) in enumerate(zip(rows.request.tolist(), rows.item.tolist(), strict=True)):
        line: dict[str, Any] = {
            "item": ids[item],
            "score": scores[r] if math.isfinite(scores[r]) else None,
            "channels": ["fallback"] if fallback[r] else found[r],
        }
        title = title_of(item)
        if title:
            line["title"] = title
        if explain:
            line["reason"] = _sentence(because[r], said[r], line["channels"], data, title_of)
            if because[r] >= 0:
                line["because"] = ids[because[r]]
            if moved[r]:
                line["moved"] = moved[r]
        if propensity is not None:
            line["propensity"] = propensity[r] if math.isfinite(propensity[r]) else None
        told[request].append(line)
    return told


def reasons(answer: Answer, pipeline: Pipeline) -> Int32:
    """[m]: the history item behind each row by the best-ranked channel that can name one; -1 where none can."""
    return _because(answer, pipeline, _found(answer, pipeline))[0]


def _nothing(m: int) -> tuple[Int32, list[str]]:
    return np.full(m, -1, np.int32), [""] * m


def _because(answer: Answer, pipeline: Pipeline, found: list[list[str]]) -> tuple[Int32, list[str]]:
    """[m], [m]: the item and the words of the best-ranked channel that has a reason for the row; -1 and "" for none."""
    bare = answer.rows.select(())
    because, said = _nothing(len(bare))
    explaining = {name: one for name, channel in pipeline.recall.items() if (one := able(channel, Explains))}
    telling = {name: one for name, channel in pipeline.recall.items() if (one := able(channel, Reasons))}
    left = [[name for name in names if name in explaining or name in telling] for names in found]
    asked: dict[str, list[int]] = {"": list(range(len(bare)))}
    while asked:  # each row asks its best channel; only rows without a reason ask their next one
        silent = [r for rows in asked.values() for r in rows if because[r] < 0 and not said[r] and left[r]]
        asked = {}
        for r in sorted(silent):
            asked.setdefault(left[r].pop(0), []).append(r)
        for name, rows in asked.items():
            mine = bare.take(np.array(rows))
            if name in explaining:
                because[rows] = explaining[name].explain(answer.requests, mine)
            if name in telling:
                for r, words in zip(rows, telling[name].reasons(answer.requests, mine, answer.state), strict=True):
                    said[r] = words
    return because, said


def _found(answer: Answer, pipeline: Pipeline) -> list[list[str]]:
    """The channels that found each row, best rank first."""
    names = [name for name in pipeline.recall if f"{name}.rank" in answer.rows]
    ranks = np.full((len(names), len(answer.rows)), np.nan)
    for row, name in zip(ranks, names, strict=True):
        row[:] = answer.rows[f"{name}.rank"]
    order = np.argsort(ranks, axis=0, kind="stable").T.tolist()  # NaN, of a channel that did not find it, is last
    known = (~np.isnan(ranks)).sum(axis=0).tolist()
    return [[names[c] for c in order[r][:count]] for r, count in enumerate(known)]


def user_code(data: Dataset, raw: str) -> int:
    """The code of a user; raises ``InputError`` if the bundle has never met them."""
    code = data.user_ids.code(raw)
    if code < 0:
        raise InputError(f"user {raw!r}: not in this bundle, which knows {len(data.user_ids)} users")
    return code


def item_code(data: Dataset, raw: str) -> int:
    """The code of an item; raises ``InputError`` if the bundle does not know it."""
    code = data.item_ids.code(raw)
    if code < 0:
        raise InputError(f"item {raw!r}: not in this bundle, which knows {len(data.item_ids)} items")
    return code


def similar(pipeline: Pipeline, data: Dataset, item: int, k: int) -> dict[str, list[dict[str, Any]]]:
    """For each channel that has an opinion, the ``k`` items most like ``item``."""
    title_of = _titles(data)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, channel in pipeline.recall.items():
        if compares := able(channel, Compares):
            rows = compares.similar(np.array([item], np.int32), k)
            found[name] = _loaded(rows, rows["score"], data, title_of)
    return found


def topics(pipeline: Pipeline, data: Dataset, k: int) -> dict[str, list[list[dict[str, Any]]]]:
    """For each channel whose factors can be read, for each factor the ``k`` items that load most on it."""
    title_of = _titles(data)
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for name, channel in pipeline.recall.items():
        if readable := able(channel, HasTopics):
            lists = [readable.topics(factor, k) for factor in range(readable.n_topics())]
            found[name] = [_loaded(rows, rows["loading"], data, title_of) for rows in lists]
    return found


def top_like(pipeline: Pipeline, data: Dataset, user: int, k: int) -> dict[str, list[dict[str, Any]]]:
    """For each channel whose factors can be read, the ``k`` items nearest to a user of the log."""
    title_of = _titles(data)
    channels = {name: one for name, channel in pipeline.recall.items() if (one := able(channel, HasTopics))}
    lists = {name: one.user_top_like(np.array([user]), k) for name, one in channels.items()}
    return {name: _loaded(rows, rows["score"], data, title_of) for name, rows in lists.items()}


def _loaded(rows: Candidates, values: Array, data: Dataset, title_of: Any) -> list[dict[str, Any]]:
    return [
        {"item": data.item_ids.ids[i], "score": float(s)} | ({"title": title_of(int(i))} if title_of(int(i)) else {})
        for i, s in zip(rows.item, values, strict=True)
    ]


def _sentence(because: int, about: str, channels: Sequence[str], data: Dataset, title_of: Any) -> str:
    if because >= 0:
        return f"because of {title_of(because) or data.item_ids.ids[because]}{f' ({about})' if about else ''}"
    return about or ("popular now" if channels == ["fallback"] else f"found by {', '.join(channels)}")


def titles(data: Dataset) -> pl.Series | None:
    """[n_items] titles by item code, the first text column of the catalogue where none is called so; None if none."""
    texts = data.items.texts
    return texts.get("title", next(iter(texts.values()), None))


def _titles(data: Dataset) -> Any:
    """Item code -> its title."""
    column = titles(data)
    return lambda code: column[code] if column is not None and code < len(column) else None
