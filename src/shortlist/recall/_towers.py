"""What the channels share whose users are a pooled history and attributes: two_tower, youtube_dnn, mind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn
from torch.nn import functional

from shortlist.component import InputError, Search
from shortlist.data import Dataset, Table
from shortlist.encode.options import Options
from shortlist.nn.examples import Examples, latest
from shortlist.nn.fields import Fields
from shortlist.nn.mlp import MLP, Dropout
from shortlist.nn.retrieval import Objective
from shortlist.nn.rivals import Rivals
from shortlist.nn.transformer import Table as Codes
from shortlist.recall._attributes import KINDS, Attributes
from shortlist.recall._learned import Learned
from shortlist.types import Array, Ragged

USER, ITEM = "user_schema_", "item_schema_"
INPUTS = ("numbers", "codes", "lists")
"""What is read of an item."""
CURVE = "piecewise"
"""How numbers are read: a bucket of its own for every few items would tell nothing of the next one."""
DEVIATION = 0.05
"""Of the first vectors of codes."""


class Towers(Learned):
    """A net over what is known of the asker: his history, pooled, and his attributes as of the request."""

    objective: Annotated[Objective, Search(choices=("softmax", "sampled", "gbce", "bpr"))] = "sampled"
    """What is made small, as for ``sasrec``."""
    batch: Annotated[int, Field(ge=2), Search(128, 2048, log=True)] = 512
    """Examples of a step."""
    epochs: Annotated[int, Field(ge=1)] = 40
    """Passes over the examples, at most."""
    length: Annotated[int, Field(ge=1), Search(10, 200, log=True)] = 50
    """How many of the latest events are read."""
    hidden: Annotated[list[Annotated[int, Field(ge=1)]], Search(choices=([], [64], [128], [256, 128]))] = [128]
    """Widths of the layers before the last, whose width is ``factors``."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.0
    """Share of the hidden layers' outputs left out at random in training."""
    user: list[str] | None = None
    """Attributes of users that are read, as of the request; none named means all."""
    rare: Annotated[int, Field(ge=1)] = 2
    """An attribute's values of fewer users (or items) than so many are one value."""
    hash_width: Annotated[int, Field(ge=1)] = 10_000
    """Vectors that the letter trigrams of a text share."""
    sizes: ClassVar[Mapping[str, str]] = Attributes.sizes(USER, "user")
    _user: Any = PrivateAttr(default=None)

    def learn_inputs(self, data: Dataset, log: Ragged) -> None:
        """The attributes of those who are in the log, as of their last events."""
        there = np.flatnonzero(log.lengths > 0)
        last = log["time"][log.offsets[1:][there] - 1]
        self._user = self._learned(USER, data.users, self.user, there, last)

    def _learned(self, prefix: str, table: Table, wanted: list[str] | None, codes: Array, times: Array) -> Attributes:
        path = f"recall.{prefix.partition('_')[0]}"
        names = table.of_kind(path, wanted, *KINDS)
        options = Options(numeric=CURVE, buckets=10, min_count=self.rare, hash_width=self.hash_width)
        attributes = Attributes.learn(table, names, codes, times, options)
        for name in [name for name in vars(self) if name.startswith(prefix)]:
            del self.__dict__[name]
        self.__dict__.update(attributes.state(prefix))
        return attributes

    @property
    def askers(self) -> Attributes:
        """What was learned of users' attributes."""
        if self._user is None:
            self._user = Attributes.of(vars(self), USER)
        return self._user

    def known_of(self, who: Array, now: Array, users: Table) -> dict[str, Array]:
        """``user_numbers``, ``user_codes`` and ``user_lists`` [n, ...], as far as there are such columns."""
        found = self.askers.read(users, np.asarray(who), np.asarray(now, np.int64))
        return {f"user_{name}": array for name, array in found.items()}

    def read(self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table) -> dict[str, Array]:
        """What ``entries`` gives, ``length`` wide."""
        return self.entries(log, start, end, now, who, users, self.length)

    def entries(
        self, log: Ragged, start: Array, end: Array, now: Array, who: Array, users: Table, width: int
    ) -> dict[str, Array]:
        """``item`` [n, width], 0 = padding and column + 1, and ``known_of``."""
        return {"item": latest(log["item"], start, end, width), **self.known_of(who, now, users)}

    def batches(self, log: Ragged, rivals: Rivals | None, users: Table) -> Examples:
        """Each event that counts and what its user had done before, nothing among it."""
        return self.examples(log, rivals, users, empty=True)

    def examples(self, log: Ragged, rivals: Rivals | None, users: Table, *, empty: bool) -> Examples:
        """The same, those without a history left out unless ``empty``."""
        beside = self.beside()
        return Examples(
            log, users, self.length, rivals, self.each, self.entries, self.counts(log), empty=empty, beside=beside
        )

    def beside(self) -> Mapping[str, Array]:
        """Arrays that the net is made of."""
        return {}

    def layers(self, size: int) -> MLP:
        """[..., size] to [..., factors]."""
        return MLP(size, self.hidden, self.factors, dropout=self.dropout)


class Described(Towers):
    """Items are their ids and attributes: also those are known that nobody has met."""

    item: list[str] | None = None
    """Attributes of items that are read, as last known when fitted; none named means all."""
    ids: bool = True
    """Whether an item has a vector of its own beside those of its attributes."""
    id_dropout: Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.5)] = 0.1
    """Share of the items of a step that are seen without theirs, as new ones will be."""
    sizes: ClassVar[Mapping[str, str]] = {
        **Attributes.sizes(ITEM, "item"),
        "ids_": "c",
        **{f"item_{name}_": f"c {name}" for name in INPUTS},
        **{f"item_{name}_width_": name for name in INPUTS},
    }
    _item: Any = PrivateAttr(default=None)
    if TYPE_CHECKING:
        item_numbers_: Array
        item_codes_: Array
        item_lists_: Array

    def _log(self, data: Dataset) -> Ragged:
        """Learns the vocabulary (items of the log, and those that have attributes) and what is known of each."""
        log = super()._log(data)
        met, moment = self.items_, np.int64(data.fitted_until)
        names = data.items.of_kind("recall.item", self.item, *KINDS)
        every = np.arange(data.n_items)
        known = np.union1d(met, every[data.items.listed]) if len(log["item"]) and names else met
        self._item = self._learned(ITEM, data.items, self.item, known, np.full(len(known), moment))
        if len(known) > len(met):
            there = self._item.any(data.items, known, np.full(len(known), moment))
            known = known[there | np.isin(known, met)]
        self._know(known, data.n_items)
        self.ids_ = np.where(np.isin(known, met), 1 + np.searchsorted(met, known), 0)  # [c]: 0 = nobody met it
        found = self._item.read(data.items, known, np.full(len(known), moment))
        none = np.empty((len(known), 0), np.float32)
        for name in INPUTS:
            columns = found.get(name, none)
            self.__dict__.update({f"item_{name}_": columns, f"item_{name}_width_": columns.shape[1]})
        return super()._counted(data.sequences(signal=self.signal))

    @property
    def described(self) -> Attributes:
        """What was learned of items' attributes."""
        if self._item is None:
            self._item = Attributes.of(vars(self), ITEM)
        return self._item

    def beside(self) -> Mapping[str, Array]:
        """What is known of the items."""
        return {"ids": self.ids_, "n": self.item_numbers_, "c": self.item_codes_, "l": self.item_lists_}


class Without(Dropout):
    """0 for a ``rate`` of the rows in training, and no row the larger for it."""

    def forward(self, x: Tensor) -> Tensor:
        """The shape of ``x`` [k, d]."""
        if not self.training or not self.rate:
            return x
        kept = torch.empty(len(x), 1).bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept.to(x.device)


class Asker(nn.Module):
    """[n, size]: the vectors of the asker's attributes, side by side."""

    def __init__(self, attributes: Attributes, width: int) -> None:
        super().__init__()
        self.fields = Fields(attributes.schema, width, CURVE) if attributes.count else None
        self.size = attributes.count * width

    def forward(self, x: Mapping[str, Tensor]) -> list[Tensor]:
        """Nothing, or one tensor [n, size]."""
        if self.fields is None:
            return []
        own = {name: x[f"user_{name}"] for name in ("numbers", "codes", "lists") if f"user_{name}" in x}
        return [self.fields(own).flatten(1)]


class Items(nn.Module):
    """Items as vectors [1 + fields, d]: that of the id, 0 where nobody met it, and one for each attribute.

    What a history reads of an item is their mean. In training it is worked out for the items of a step, to answer with
    for all once.
    """

    codes: Tensor
    known: Tensor | None = None

    def __init__(self, own: Described, width: int, deviation: float = DEVIATION) -> None:
        super().__init__()
        attributes = own.described
        self.ids = Codes(1 + int(own.ids_.max(initial=0)), width, deviation=deviation) if own.ids else None
        self.fields = Fields(attributes.schema, width, CURVE, deviation) if attributes.count else None
        self.count = attributes.count + own.ids
        if not self.count:
            raise InputError("ids: expected true, as the items have no attributes that are read")
        self.without = Without(own.id_dropout if attributes.count else 0.0)
        self.register_buffer("codes", torch.from_numpy(own.ids_), persistent=False)
        self.kinds = [name for name in ("numbers", "codes", "lists") if getattr(own, f"item_{name}_").shape[1]]
        for name in self.kinds:
            array = torch.from_numpy(np.ascontiguousarray(getattr(own, f"item_{name}_")))
            self.register_buffer(f"own_{name}", array, persistent=False)

    def forward(self, columns: Tensor) -> Tensor:
        """[k, 1 + fields, d] of ``columns`` [k]."""
        parts = []
        if self.ids is not None:
            parts.append(self.without(self.ids(self.codes[columns]))[:, None])
        if self.fields is not None:
            parts.append(self.fields({name: getattr(self, f"own_{name}")[columns] for name in self.kinds}))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def train(self, mode: bool = True) -> Items:
        """Before answers are asked for, what a history reads is worked out for all items."""
        super().train(mode)
        self.known = None
        if not mode:
            with torch.no_grad():
                self.known = functional.pad(self(self.all).mean(1), (0, 0, 1, 0))
        return self

    @property
    def all(self) -> Tensor:
        """[c]: every column."""
        return torch.arange(len(self.codes), device=self.codes.device)

    def read(self, item: Tensor) -> tuple[Tensor, Tensor]:
        """(vectors [k, d], which of them each entry of ``item`` [n, w] is); padding's is 0."""
        if self.known is not None:
            return self.known, item
        distinct, place = torch.unique(item, return_inverse=True)
        return self(distinct.clamp(min=1) - 1).mean(1) * (distinct > 0)[:, None], place


def pooled(vectors: Tensor, place: Tensor, known: Tensor) -> Tensor:
    """[n, d]: the mean of ``vectors`` [k, d] at ``place`` [n, w] where ``known`` [n, w]; 0 where nothing is."""
    share = known.float() / known.sum(1, keepdim=True).clamp(min=1)
    if torch.is_grad_enabled():  # no tensor [n, w, d] in between
        return functional.embedding_bag(place, vectors, mode="sum", per_sample_weights=share)
    return (share[:, None] @ functional.embedding(place, vectors))[:, 0]
