"""A ranker for each label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from shortlist.component import InputError, Ranker, ReadsItems, Refits
from shortlist.rank._objectives import Objectives
from shortlist.rank._table import TableRanker
from shortlist.registry import find
from shortlist.types import Array, Candidates, Float32, Requests, Samples

if TYPE_CHECKING:
    from shortlist.data import State, Table


class Each(Objectives):
    """ŷ_k = f_k(x), f_k a ranker of one label that learned label k alone; ``blend`` makes the score of them.

    For trees, which have no layers to share: K labels cost K times the work, and none helps another.

    Source: Caruana (1997), Multitask Learning (single task learning, which it is compared with).
    """

    example: ClassVar[Mapping[str, Any]] = {"ranker": {"type": "logistic"}}

    ranker: dict[str, Any] = {"type": "gbdt"}
    """What learns each label: a ranker of one label whose scores are chances, with its keys:
    ``{ type = "gbdt", trees = 200 }``."""
    threads: Annotated[int, Field(ge=1)] = 1
    """More than one may change the last digits."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of each of them."""

    _parts: dict[str, Ranker] = PrivateAttr(default_factory=dict)
    _items: Any = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _learns_one(self) -> Self:
        try:
            made = self.one("")
        except (InputError, ValueError) as error:
            raise ValueError(f"ranker: {error}") from error
        if not isinstance(made, TableRanker) or not made.predicts:
            raise ValueError(f"ranker: expected a ranker of one label whose scores are chances, found {self.ranker!r}")
        return self

    def one(self, label: str) -> Ranker:
        """The unfitted ranker of a label."""
        config = {key: value for key, value in self.ranker.items() if key != "type"}
        cls: Any = find("rank", str(self.ranker.get("type")))
        own = {"columns": self.columns, "without": self.without, "threads": self.threads, "seed": self.seed}
        made: Ranker = cls(**{key: v for key, v in own.items() if key in cls.model_fields} | config | {"label": label})
        return made

    def parts(self) -> Mapping[str, Ranker]:
        """The fitted ranker of each label."""
        return self._parts

    def read_items(self, items: Table) -> None:
        """Keeps the catalogue for those that want it."""
        self._items = items

    def fit(self, samples: Samples, valid: Samples | None = None) -> Self:
        """Fits each of them on the same rows, those where its label is known."""
        self._parts = {label: self.one(label) for label in self.learn_labels(samples)}
        for part in self._parts.values():
            if isinstance(part, ReadsItems) and self._items is not None:
                part.read_items(self._items)
            part.fit(samples, valid)
        return self

    def refit(self, samples: Samples) -> Self:
        """Each that can learns again."""
        for part in self._parts.values():
            if isinstance(part, Refits):
                part.refit(samples)
        return self

    def score(self, requests: Requests, candidates: Candidates, state: State | None = None) -> dict[str, Float32]:
        """The score of each, by label, and ``score``."""
        return self.blended({k: part.score(requests, candidates, state)["score"] for k, part in self._parts.items()})

    def state(self) -> dict[str, Array]:
        """The labels, and what each ranker learned under the number of its label."""
        parts = {f"{k}.{name}": a for k, part in enumerate(self._parts.values()) for name, a in part.state().items()}
        return super().state() | parts

    def files(self) -> dict[str, bytes]:
        """Each ranker's native files, under the number of its label."""
        return {f"{k}.{name}": f for k, part in enumerate(self._parts.values()) for name, f in part.files().items()}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], arrays: Mapping[str, Array], files: Mapping[str, bytes] | None = None
    ) -> Self:
        """The component that was saved."""
        restored = super().restore(config, {name: array for name, array in arrays.items() if not name[0].isdigit()})
        labels = restored.labels_.tolist() if hasattr(restored, "labels_") else []
        if len({name.partition(".")[0] for name in arrays if name[0].isdigit()}) != len(labels):
            raise InputError(f"labels_: expected a ranker for each, found {len(labels)} labels")
        for k, label in enumerate(labels):
            part = restored.one(label)
            own = {name.removeprefix(f"{k}."): a for name, a in arrays.items() if name.startswith(f"{k}.")}
            saved = {name.removeprefix(f"{k}."): f for name, f in (files or {}).items() if name.startswith(f"{k}.")}
            restored._parts[label] = type(part).restore(part.config(), own, saved)
        return restored
