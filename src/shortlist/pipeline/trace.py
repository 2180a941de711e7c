"""What one half of the funnel hands to the other, and what is kept of an answer on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from shortlist.progress import Timed
from shortlist.types import Array, Candidates, InputError, Ragged, Requests

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recalled:
    """What recall hands to ranking: all that the other half knows of the channels."""

    requests: Requests  # with the hard rules' items excluded
    rows: Candidates  # one per (request, item): ``score`` of the merge, ``<channel>.score``, ``.rank``, ``.dense``
    spare: Candidates  # the fallback's rows for requests that may run short

    def arrays(self) -> dict[str, Array]:
        """Flat, for a wire or a file: ``np.savez(file, **recalled.arrays())``, and ``Recalled.of(np.load(file))``."""
        asked = self.requests
        flat: dict[str, Array] = {"id": asked.id, "user": asked.user, "time": asked.time}
        flat |= {f"context/{name}": column for name, column in asked.context.items()}
        for part, ragged in (("history", asked.history), ("exclude", asked.exclude)):
            flat |= {f"{part}/": ragged.offsets, **{f"{part}/{name}": c for name, c in ragged.columns.items()}}
        for part, rows in (("rows", self.rows), ("spare", self.spare)):
            flat |= {f"{part}/": rows.request, f"{part}//": rows.item}
            flat |= {f"{part}/{name}": column for name, column in rows.columns.items()}
        return flat

    @staticmethod
    def of(arrays: Mapping[str, Array]) -> Recalled:
        """What ``arrays`` were taken from."""
        parts: dict[str, dict[str, Array]] = {part: {} for part in ("context", "history", "exclude", "rows", "spare")}
        for key in arrays:
            part, slash, name = key.partition("/")
            if slash:
                parts[part][name] = arrays[key]
        history, exclude = (Ragged(parts[part].pop(""), parts[part]) for part in ("history", "exclude"))
        rows, spare = (Candidates(p.pop(""), p.pop("/"), p) for p in (parts["rows"], parts["spare"]))
        requests = Requests(arrays["id"], arrays["user"], arrays["time"], history, exclude, parts["context"])
        return Recalled(requests, rows, spare)


@dataclass(slots=True)
class Trace:
    """What each stage handed on, what it took, and which channels failed; for reports, explanations and metrics."""

    recalled: Recalled | None = None
    ordered: Candidates | None = None  # in ranked order, the fallback's rows behind: what the soft rules begin with
    stages: dict[str, Candidates] = field(default_factory=dict)
    # "recall.NAME", "merge", "prerank", "rank", "rules.NAME"
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # channel -> error

    def timed(self, stage: str) -> Timed:
        """``with trace.timed(stage): ...`` adds the time of the block to ``seconds[stage]``."""
        return Timed(self.seconds, stage)


Observer = Callable[[Requests, Candidates, Trace], None]
"""Hears of every answer: what was asked, with ``exclude`` as the hard rules left it, the slates, and how they came."""


def attempt(trace: Trace, stage: str, call: Callable[[], T]) -> T | None:
    """A channel that fails costs its own rows, not the answer; the trace says which failed and why."""
    try:
        with trace.timed(stage):
            return call()
    except InputError:
        raise
    except Exception as error:  # any fault of one channel
        trace.failed[stage.removeprefix("recall.")] = f"{type(error).__name__}: {error}"
        return None
