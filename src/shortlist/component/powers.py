"""What some components can do beside what their stage asks of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from shortlist.types import Array, Candidates, Float32, Float64, Int32, Requests, Samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shortlist.component.component import Component
    from shortlist.data import State, Table


@runtime_checkable
class Scores(Protocol):
    """A channel that can score rows it did not find."""

    def score(self, requests: Requests, candidates: Candidates, state: State) -> Float32:
        """[m]: the score ``retrieve`` would give each row."""
        ...


@runtime_checkable
class Compares(Protocol):
    """A channel that knows which items are alike."""

    def similar(self, items: Array, k: int) -> Candidates:
        """At most ``k`` other items for each of ``items`` (codes), best first: request = row number in ``items``."""
        ...


@runtime_checkable
class HasVectors(Protocol):
    """A channel whose items are vectors."""

    def item_vectors(self) -> tuple[Int32, Float32]:
        """(items [c], vectors [c, f]): near each other where items are alike."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A channel that answers nearly, and measured at its fit how nearly: the manifest keeps it, beside the hash."""

    def measured(self) -> dict[str, Any]:
        """Figures by name, as JSON takes them; none where there is nothing to tell."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A channel that can say which part of the history brought a row."""

    def explain(self, requests: Requests, candidates: Candidates) -> Int32:
        """[m]: the item of the request's history behind each row; -1 where there is none."""
        ...


@runtime_checkable
class Reasons(Protocol):
    """A channel that can say in words why a row is there: a topic, an entity, how many friends. It names nobody."""

    def reasons(self, requests: Requests, candidates: Candidates, state: State) -> list[str]:
        """[m]: what speaks most for each row; "" where nothing does. It stands beside the item that ``explain`` names,
        or alone where there is none."""
        ...


@runtime_checkable
class HasTopics(Protocol):
    """A channel whose factors are topics one can read."""

    def n_topics(self) -> int:
        """How many there are."""
        ...

    def topics(self, factor: int, k: int) -> Candidates:
        """The ``k`` items that load most on a factor: column "score" by size, column "loading" with its sign."""
        ...

    def user_top_like(self, users: Array, k: int) -> Candidates:
        """The ``k`` items that users of the log (codes) are closest to, whether they have taken them or not."""
        ...


@runtime_checkable
class Aims(Protocol):
    """A rule that can say how far slates are from what it is for: what ``evaluate`` shows as the rule's own aim."""

    def missed(self, requests: Requests, slate: Candidates, state: State) -> Float64:
        """[n]: 0 where the aim is reached, more where it is missed, NaN where there is none; the unit is the rule's."""
        ...


@runtime_checkable
class Refits(Protocol):
    """A ranker that can learn again from earlier and later samples together."""

    def refit(self, samples: Samples) -> Self:
        """Learns from all of ``samples`` for as long as ``valid`` said in ``fit``."""
        ...


@runtime_checkable
class Updates(Protocol):
    """A ranker that can learn from further rows, and then knows what learning from all at once would have taught it."""

    def update(self, samples: Samples) -> Self:
        """Learns from ``samples`` beside what it learned from before, which it need not be given again."""
        ...

    def pace(self) -> int | None:
        """How often a service should let it learn from what was shown, in microseconds; None = not before a fit."""
        ...


@runtime_checkable
class Blends(Protocol):
    """A ranker with several outputs and a formula of them, whose numbers another fit is not needed to change."""

    def outputs(self) -> list[str]:
        """The outputs by name; before a fit those that are given."""
        ...

    def numbers(self) -> list[float]:
        """The numbers of the formula, from left to right."""
        ...

    def formula(self, numbers: Sequence[float] | None = None) -> str:
        """The formula, ``numbers`` in place of its own."""
        ...

    def blended(self, outputs: Mapping[str, Float32]) -> dict[str, Float32]:
        """``outputs`` [m] by name, and the ``score`` that the formula makes of them."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """A component made of others, which learned something of their own."""

    def parts(self) -> Mapping[str, Component]:
        """Those it is made of, by name."""
        ...


@runtime_checkable
class ReadsItems(Protocol):
    """A ranker that wants to know the catalogue, for what a request's history carries of its items."""

    def read_items(self, items: Table) -> None:
        """Called before ``fit``, with the attributes of all items."""
        ...


def able(part: object, power: type) -> Any:
    """``part`` if it has a power (a Protocol of this file), else None; found out once a class, as each request asks."""
    kind: Any = type(part)
    return part if _able(kind, power) else None


@cache
def _able(kind: type, power: type) -> bool:
    return issubclass(kind, power)
