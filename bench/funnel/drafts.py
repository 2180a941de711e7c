"""Drafts of ``shortlist init`` as ``bench/first_hour`` keeps them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "first_hour" / "results.json"


def known() -> list[str]:
    """The logs that were drafted."""
    return list(json.loads(FILE.read_text(encoding="utf-8"))["sets"])


def tables_of(name: str, data: Path) -> dict[str, Any]:
    """A draft's tables, its files below ``data``, ranked by its trees alone and with one label."""
    text = json.loads(FILE.read_text(encoding="utf-8"))["sets"][name]["recipe"].replace("DATA", str(data))
    tables = tomllib.loads(text)
    samples = {key: value for key, value in tables["samples"].items() if key != "labels"}
    return {**tables, "samples": samples, "rank": tables["rank"].get("gbdt", tables["rank"])}
