"""What rankers share that look at a request's history with the target beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from shortlist.component import Search
from shortlist.durations import Duration
from shortlist.encode.history import Window
from shortlist.nn.histories import Histories
from shortlist.nn.mlp import Activation
from shortlist.rank._deep import LayeredRanker


class HistoryRanker(LayeredRanker):
    """A layered ranker that reads entries of the request's live history, not their mean alone.

    The target's id is a column (``ids``), and entries share its vectors, as they do those of ``profile.item.NAME``.
    """

    activation: Activation = "dice"
    """What follows each layer."""
    ids: list[Literal["item", "user"]] = ["item"]
    """Which of the codes of item and user to learn from as well; the item is the target."""
    history: Annotated[int, Field(ge=1), Search(10, 100, log=True)] = 50
    """How many of the request's last events are read: the long window."""
    history_carries: list[str] = ["event", "value", "age"]
    """What each of them has beside its item: ``event``, ``value``, ``age``, or an attribute of the item (a category, or
    the first value of a list), which shares its vectors with the target's column ``profile.item.NAME``."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-5, 1e-1, log=True)] = 0.01
    """Squared penalty (coupled: half of it × w² in the loss) on the fields' vectors; it holds rare values' most. So
    much was chosen in seven of nine searches, three rankers on three logs (bench/rank/HISTORIES.md)."""
    recent: Annotated[int, Field(ge=0), Search(choices=(0, 5, 10))] = 0
    """How many of the last events are read once more, as a sequence with weights of its own; 0 = none."""
    recent_within: Duration | None = None
    """How old those may be; none = however old."""

    def windows(self) -> Sequence[Window]:
        """The long window, and the short one if there is one."""
        carries, shares = tuple(self.history_carries), self.history_shares
        long = Window("history", self.history, carries, shares)
        short = Window("recent", self.recent, carries, shares, self.recent_within)
        return [long, short] if self.recent else [long]

    def histories(self) -> Histories:
        """What the net reads, not yet drawn."""
        return Histories(self.schema_, self.factors, self.numeric, self.windows(), deviation=self.deviation)
