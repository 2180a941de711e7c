"""Pages with generated parts: what stands between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->`` is written anew."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
Parts = Mapping[str, Mapping[str, Callable[[], str]]]
"""File -> marker -> what makes its text; the marker ``""`` is the whole file."""


def filled(text: str, name: str, body: str) -> str:
    """``text`` with ``body`` between the markers of ``name``."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text)


def stale(parts: Parts, write: bool) -> list[str]:
    """The files whose generated parts are not what they should be; ``write`` mends them."""
    found = []
    for name, markers in parts.items():
        path = ROOT / name
        before = after = path.read_text(encoding="utf-8") if path.exists() else ""
        for marker, make in markers.items():
            after = filled(after, marker, make()) if marker else make()
        if after != before:
            found.append(name)
            if write:
                path.write_text(after, encoding="utf-8")
    return found


def main(parts: Parts) -> None:
    """Rewrites the files; with ``--check`` only says which would change, and exits with 1 if there are any."""
    check = "--check" in sys.argv[1:]
    found = stale(parts, write=not check)
    for name in found:
        sys.stdout.write(f"{name}: {'not in step; run make docs' if check else 'written'}\n")
    sys.exit(int(check and bool(found)))
