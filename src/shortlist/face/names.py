"""Which name of ``import shortlist as sl`` stands where. Loads nothing but the file a name is in, when it is asked for.

A component's name is its class's; the file is found by it, since a class is called as its file is but for underscores
and capitals (``ItemCF`` in ``recall/item_cf.py``).
"""

from __future__ import annotations

import difflib
import importlib
import re
from pathlib import Path
from typing import Any

OWN = {
    "InputError": "shortlist.component",
    "Recommender": "shortlist.face.recommender",
    "Log": "shortlist.face.log",
    "read": "shortlist.face.log",
    "Funnel": "shortlist.face.funnel",
    "Trace": "shortlist.face.funnel",
    "open": "shortlist.face.funnel",
    "Run": "shortlist.face.run",
    "fit": "shortlist.face.run",
    "compare": "shortlist.face.run",
    "Table": "shortlist.face.table",
    "table": "shortlist.face.table",
    "auc": "shortlist.face.table",
}
"""Names that are no component, and the module of each."""
KINDS = ("recall", "merge", "features", "rank", "rules")
"""Where components are looked for; of two with one name the first of these has it."""
ROOT = Path(__file__).parents[1]


def found(name: str) -> Any:
    """What ``shortlist.NAME`` is; raises ``AttributeError`` naming the nearest name there is.

    A channel comes with the plain verbs around it (``face.recommender``), any other component as the class itself.
    """
    if name in OWN:
        return getattr(importlib.import_module(OWN[name]), name)
    place = None if name.startswith("_") else components().get(name)
    if place is None:
        known = {} if name.startswith("_") else {one.lower(): one for one in public()}
        near = difflib.get_close_matches(name.lower(), known, 1)
        hint = f"; did you mean {known[near[0]]}?" if near else ""
        raise AttributeError(f"module 'shortlist' has no attribute {name!r}{hint}", name=name)
    from shortlist.registry import find

    cls = find(*place)
    if place[0] != "recall":
        return cls
    from shortlist.face.recommender import recommender_of

    return recommender_of(cls)


def public() -> list[str]:
    """Every name ``shortlist`` offers."""
    return sorted({*OWN, *components()})


def components() -> dict[str, tuple[str, str]]:
    """Class name -> (kind, file), read from the files without running them."""
    names: dict[str, tuple[str, str]] = {}
    for kind in KINDS:
        for path in sorted((ROOT / kind).glob("[!_]*.py")):
            for name in re.findall(r"^class (\w+)\(", path.read_text(encoding="utf-8"), re.M):
                if name.lower() == path.stem.replace("_", ""):
                    names.setdefault(name, (kind, path.stem))
    return names
