"""Whose events a store holds: what of a bundle tells one project from another."""

from __future__ import annotations

from typing import Any

from shortlist.bundle import Bundle
from shortlist.component import InputError
from shortlist.serve.store import Store

SAMPLE = 256
"""Items kept of a bundle, to see whether a later one has any of them."""


def claim(store: Store, bundle: Bundle, name: str, begun: bool) -> None:
    """Notes that the store goes with this bundle; raises ``InputError`` if it goes with another project's.

    One project has the same log (``[data]``) or recipes of the same name, and an item and a kind of event in common.
    With ``begun`` it is the same project for sure: a version of it was turned to.
    """
    owner, mine = store.owner(), _owner(bundle)
    if owner is not None and not begun and (why := _strange(owner, bundle)):
        raise InputError(
            f"store {name}: holds the events of {owner['name']!r}, and this bundle is of {mine['name']!r}: {why}; "
            "give it a store of its own (--store)"
        )
    if owner != mine:
        store.own(mine)


def _owner(bundle: Bundle) -> dict[str, Any]:
    items = bundle.data.item_ids.ids[: bundle.data.items.n]
    return {
        "name": bundle.manifest["name"],
        "data": bundle.manifest["recipe"].get("data"),
        "behaviours": list(bundle.data.behaviours.names),
        "items": list(items[:: max(1, len(items) // SAMPLE)]),
    }


def _strange(owner: dict[str, Any], bundle: Bundle) -> str | None:
    """What shows that the bundle is another project's."""
    manifest, data = bundle.manifest, bundle.data
    if owner["name"] != manifest["name"] and owner["data"] != manifest["recipe"].get("data"):
        return "neither the recipe's name nor its [data] is the same"
    if owner["behaviours"] and not set(owner["behaviours"]) & set(data.behaviours.names):
        return f"there {', '.join(owner['behaviours'])} happen, here {', '.join(data.behaviours.names)}"
    if owner["items"] and all(data.item_ids.code(raw) < 0 for raw in owner["items"]):
        return f"0 of {len(owner['items'])} items occur here"
    return None
