"""Shortlist: from a catalogue of millions to the ten that matter.

    import shortlist as sl

    log = sl.read("ratings.csv")
    sl.ItemCF(neighbours=100).fit(log).recommend(["196"], n=10)

Every component is reached under its class's name. Nothing is loaded before it is asked for; ``face`` says where it is.
"""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    from shortlist.face.names import found

    return found(name)


def __dir__() -> list[str]:
    from shortlist.face.names import public

    return sorted({*globals(), *public()})
