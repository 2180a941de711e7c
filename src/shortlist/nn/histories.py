"""A row, the item it is about, and what its request's user did, all by vectors of one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from shortlist.component import InputError
from shortlist.encode.history import CARRIED, Window
from shortlist.encode.inputs import REQUEST
from shortlist.encode.schema import CATEGORY, LIST, Schema
from shortlist.nn.flat import Flat


class Entries(NamedTuple):
    """A window of n requests, padded on the left."""

    vectors: Tensor  # [n, w, k]: k = [s, what else an entry carries]
    shared: int  # width of s, which has what the target has too, in the same order and from the same vectors
    known: Tensor  # [n, w]: what is no padding
    of: Tensor  # [m] which of the n each row belongs to

    def pairs(self, of: Tensor | None = None) -> Pairs:
        """Every row with every entry of its request, without padding; ``of`` in place of the rows'."""
        of = self.of if of is None else of
        order = self.known.sum(1).index_select(0, of).argsort(descending=True, stable=True)
        of = of.index_select(0, order)
        known = self.known.index_select(0, of)
        place, row = known.t().nonzero(as_tuple=True)
        number = self.known.flatten().cumsum(0) - 1
        entry = number.index_select(0, of.index_select(0, row) * known.shape[1] + place)
        return Pairs(self.vectors[self.known], order.index_select(0, row), entry, place, known.shape)

    def parts(self) -> list[tuple[Tensor, Entries]]:
        """Rows by length of history, and their requests' entries cut to the longest: one part for each halving of w."""
        length, w = self.known.sum(1), self.known.shape[1]
        halvings = torch.log2(w / length.clamp(min=1)).long().index_select(0, self.of)
        found = []
        for number in halvings.unique().tolist():
            rows = (halvings == number).nonzero().squeeze(1)
            requests, of = self.of.index_select(0, rows).unique(return_inverse=True)
            cut = slice(w - max(1, int(length.index_select(0, requests).max())), w)
            vectors, known = self.vectors.index_select(0, requests), self.known.index_select(0, requests)
            found.append((rows, Entries(vectors[:, cut], self.shared, known[:, cut], of)))
        return found


class Pairs(NamedTuple):
    """Rows with entries of theirs, p in all: place after place of the window, rows with the longest histories first.

    As padding is on the left, the rows of a place are those of the place before and some more.
    """

    entries: Tensor  # [e, k]: those of all requests, one after the other
    row: Tensor  # [p] of the m
    entry: Tensor  # [p] of the e
    place: Tensor  # [p] of the w
    shape: Sequence[int]  # (m, w)

    def counts(self) -> list[int]:
        """How many rows each place has."""
        counts: list[int] = self.place.bincount(minlength=self.shape[1]).tolist()
        return counts

    def shares(self, a: Tensor) -> Tensor:
        """[p]: softmax of ``a`` [p] over each row's."""
        every = a.new_full(self.shape, -1e9).index_put((self.row, self.place), a)
        return torch.softmax(every, 1)[self.row, self.place]


class Histories(nn.Module):
    """x = flat row [m, ``size``], q = target [m, ``target``], k = entries [n, w, ``entry``] of each window.

    q = [item, attributes], the vectors of the row's columns that the entries' item and attributes share. An attribute
    for which the row has no column, the behaviour, the value and the age are the entries' alone.
    """

    def __init__(self, schema: Schema, width: int, numeric: str, windows: Sequence[Window], **options: Any) -> None:
        super().__init__()
        self.flat = Flat(schema, width, numeric, histories=False, **options)
        twins = {part: _twin(schema, windows[0], part) for part in windows[0].parts().values()}
        shared = {part: twin for part, twin in twins.items() if twin}
        if "" not in shared:
            raise InputError(f"ids: expected the target among the columns, found no codes {windows[0].shares!r}")
        order = [*shared, *(part for part in twins if part not in shared)]
        self.twins = list(shared.values())
        self.fields = {w.name: [f"{w.name}.{part}" if part else w.name for part in order] for w in windows}
        self.spans = dict(zip(schema.names[schema.of_kind(LIST)].tolist(), _spans(schema), strict=True))
        self.places = {name: schema.coded(name) for name in self.twins if name not in self.spans}
        self.size, self.target, self.entry = self.flat.size, width * len(shared), width * len(order)

    def row(self, x: Mapping[str, Tensor]) -> Tensor:
        """[m, size]."""
        flat: Tensor = self.flat(x)
        return flat

    def item(self, x: Mapping[str, Tensor]) -> Tensor:
        """[m, target]."""
        fields, parts = self.flat.fields, []
        for name in self.twins:
            if name in self.places:
                parts.append(fields.vectors(x["codes"][:, self.places[name]]))
            else:
                parts.append(fields.mean(x["lists"][:, self.spans[name]]))
        return torch.cat(parts, 1)

    def entries(self, x: Mapping[str, Tensor], window: str) -> Entries:
        """Those of a window."""
        codes = torch.stack([x[name] for name in self.fields[window]], 2)  # [n, w, parts]
        return Entries(self.flat.fields.vectors(codes).flatten(2), self.target, x[window] > 0, x[REQUEST])


def _twin(schema: Schema, window: Window, part: str) -> str | None:
    """The row's column whose vectors a part of an entry shares; None where it has none."""
    kinds = dict(zip(schema.names.tolist(), schema.kinds.tolist(), strict=True))
    names = [part, f"profile.item.{part}"] if part else [window.shares]
    return next((name for name in names if part not in CARRIED and kinds.get(name) in (CATEGORY, LIST)), None)


def _spans(schema: Schema) -> list[slice]:
    """Where in ``lists`` each list's entries stand."""
    ends = schema.length[schema.of_kind(LIST)].cumsum().tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
