"""Fills the generated parts of the readmes and of docs/: what components there are, what recipes may say.

    python docs/components.py            rewrites the files
    python docs/components.py --check    exit code 1 if one of them is not what the code says

Everything comes from docstrings and field descriptions.
"""

from __future__ import annotations

from keys import cell, filters, hyperparameters, own, sections
from marked import ROOT, Parts, main
from marked import stale as stale_parts

from shortlist import metrics, registry
from shortlist.cli import scaffold
from shortlist.data import sources

STAGES = {
    "recall": ("Recall channels", "召回通道"),
    "merge": ("Merge", "合并"),
    "features": ("Features", "特征"),
    "rank": ("Rankers", "排序模型"),
    "rules": ("Rules (re-rank)", "重排规则"),
    "metrics": ("Metrics", "评估指标"),
}


def entries(kind: str) -> list[registry.Entry]:
    """Every component of a kind, or every metric."""
    return metrics.entries() if kind == "metrics" else [registry.entry(kind, name) for name in own(kind)]


def tables() -> str:
    """Every component as a row: name with a link to its file, summary, source."""
    lines: list[str] = []
    for kind, (title, _) in STAGES.items():
        listed = entries(kind)
        source = any(entry.reference for entry in listed)
        lines += [f"## {title}", "", f"| Name | What it does |{' Source |' if source else ''}"]
        lines.append(f"|---|---|{'---|' if source else ''}")
        for entry in listed:
            name = f"[`{entry.name}`](../src/shortlist/{kind}/{file_of(kind, entry.name)})"
            lines.append(f"| {name} | {cell(entry.summary)} |{f' {cell(entry.reference)} |' if source else ''}")
        lines.append("")
    return "\n".join(lines).rstrip()


def names(chinese: bool = False) -> str:
    """What there is, by names only."""
    lines = ["| | |", "|---|---|"]
    for kind, titles in STAGES.items():
        listed = " ".join(f"`{entry.name}`" for entry in entries(kind))
        lines.append(f"| {titles[chinese]} | {listed} |")
    return "\n".join(lines)


def file_of(kind: str, name: str) -> str:
    """The file that defines a component or a metric."""
    if kind != "metrics":
        return f"{name}.py"
    files = (ROOT / "src/shortlist/metrics").glob("[!_]*.py")
    return next(file.name for file in files if f"def {name}(" in file.read_text(encoding="utf-8"))


def data_sets() -> str:
    """Every source a recipe may name."""
    lines = ["| Source | What it is |", "|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {cell(sources.summary(name))} |" for name in sources.source_names()])


def template() -> str:
    """What ``shortlist new recall my_channel`` writes."""
    text = scaffold.TEMPLATES["recall"].replace("CLASS", "MyChannel").replace("NAME", "my_channel")
    return f"```python\n{text.rstrip()}\n```"


PARTS: Parts = {
    "README.md": {"components": names},
    "README.zh.md": {"components": lambda: names(chinese=True)},
    "docs/components.md": {"components": tables},
    "docs/data.md": {"sources": data_sets, "filters": filters},
    "docs/recipes.md": {
        "sections": sections,
        "hyperparameters": lambda: hyperparameters({kind: titles[0] for kind, titles in STAGES.items()}),
    },
    "docs/extending.md": {"template": template},
}


def stale(write: bool) -> list[str]:
    """The files whose generated parts are not what the code says; ``write`` mends them."""
    return stale_parts(PARTS, write)


if __name__ == "__main__":
    main(PARTS)
