"""What a slate or a prediction is worth: one family of metrics per file, each metric a plain function.

A metric is a public function whose docstring has a paragraph ``Source: ...``; that is all ``names`` and ``entries``
look for, and no module is run to find them. Metrics of lists take ``Slates`` and return one number per request [n]
(NaN where the metric is undefined for that request) or one number for the whole; ``interval`` turns the former into a
mean with its uncertainty.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from shortlist.registry import Entry


def entries() -> list[Entry]:
    """One line of ``shortlist list metrics`` for each metric, by name, from the docstrings alone."""
    files = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    found = [entry for path in files for entry in _in_source(path.read_text(encoding="utf-8"))]
    return sorted(found, key=lambda entry: entry.name)


def names() -> list[str]:
    """The names of all metrics."""
    return [entry.name for entry in entries()]


def _in_source(code: str) -> list[Entry]:
    found = []
    for node in ast.parse(code).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        doc = ast.get_docstring(node) or ""
        source = re.search(r"^Source:\s*(.+?)(?:\n\s*\n|\Z)", doc, re.M | re.S)
        if source:
            summary = " ".join(doc.split("\n\n")[0].split())
            found.append(Entry(node.name, summary, " ".join(source.group(1).split()), True))
    return found
