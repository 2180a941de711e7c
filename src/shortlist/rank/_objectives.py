"""What rankers of several labels share: which labels, and how their outputs become one score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from shortlist.component import InputError
from shortlist.rank import _formula
from shortlist.rank._table import ColumnRanker
from shortlist.types import Float32, Samples


class Objectives(ColumnRanker):
    """A ranker with one output for each of several labels, and a formula that makes one score of them.

    A subclass learns ``labels_`` by ``learn_labels`` and ends its ``score`` with ``blended``.
    """

    unblended: ClassVar[Literal["product", "last"]] = "product"
    """What of the outputs is the score where no ``blend`` is given."""
    sizes: ClassVar[Mapping[str, str]] = {"labels_": "k"}

    labels: list[str] = []
    """The labels to learn, an output each (see ``[samples.labels]``); none given = all the samples have."""
    blend: str | None = None
    """How the outputs become the score: ``like ** 0.7 * watch ** 0.3``; none = their product."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.blend is not None:
            try:
                wanted = _formula.names(self.blend)
            except InputError as error:
                raise ValueError(f"blend: {error}") from error
            for name in wanted if self.labels else ():
                if name not in self.labels:
                    raise ValueError(f"blend: no label {name!r}; labels are {', '.join(self.labels)}")
        return self

    def learn_labels(self, samples: Samples) -> Sequence[str]:
        """Keeps and returns the labels to learn; raises ``InputError`` where the samples lack one."""
        wanted = self.labels or list(samples.labels)
        for name in [*wanted, *(_formula.names(self.blend) if self.blend else ())]:
            if name not in samples.labels:
                raise InputError(f"labels: no label {name!r}; there are {', '.join(samples.labels)}")
        self.labels_ = np.array(wanted, np.str_)
        return wanted

    def outputs(self) -> list[str]:
        """The labels whose outputs the formula reads: those learned, or before a fit those named."""
        return self.labels_.tolist() if hasattr(self, "labels_") else self.labels

    def formula(self, numbers: Sequence[float] | None = None) -> str:
        """What makes the score of the outputs, with powers where nothing is given; with other ``numbers`` in it."""
        powers = [float(self.unblended == "product" or name == self.outputs()[-1]) for name in self.outputs()]
        parts = [f"{name} ** {power:g}" for name, power in zip(self.outputs(), powers, strict=True)]
        text = " * ".join(parts) if self.blend is None else self.blend
        return text if numbers is None else _formula.with_numbers(text, numbers)

    def numbers(self) -> list[float]:
        """The numbers of the formula, from left to right."""
        return _formula.numbers(self.formula()) if self.blend or self.outputs() else []

    def blended(self, outputs: Mapping[str, Float32]) -> dict[str, Float32]:
        """The outputs and the score that the formula makes of them."""
        if self.blend is None:
            columns = [np.asarray(column, np.float64) for column in outputs.values()]
            score = np.prod(columns, axis=0) if self.unblended == "product" else columns[-1]
        else:
            score = _formula.value(self.blend, outputs)
        score = np.nan_to_num(score, nan=-np.inf)
        limit = np.finfo(np.float32).max
        return {**outputs, "score": np.clip(score, -limit, limit).astype(np.float32)}
