"""Fills the generated parts of README.md, README.zh.md and docs/*.md: what components there are, what recipes may say.

    python docs/components.py            rewrites the files
    python docs/components.py --check    exit code 1 if one of them is not what the code says

Tables stand between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``; everything in them comes from docstrings and
field descriptions.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import PydanticJsonSchemaWarning

from shortlist import durations, metrics, registry
from shortlist.cli import scaffold
from shortlist.data import sources, spec
from shortlist.encode._encoder import Encoder
from shortlist.recipe import EvaluateSpec, Recipe, SamplesSpec
from shortlist.tabular.experiment import CrossValidationSpec

ROOT = Path(__file__).resolve().parents[1]
STAGES = {
    "recall": ("Recall channels", "召回通道"),
    "merge": ("Merge", "合并"),
    "features": ("Features", "特征"),
    "rank": ("Rankers", "排序模型"),
    "rules": ("Rules (re-rank)", "重排规则"),
    "metrics": ("Metrics", "评估指标"),
}
SECTIONS: dict[str, type[BaseModel]] = {
    "at the top": Recipe,
    "[data]": spec.DataSpec,
    "[data.split]": spec.SplitSpec,
    "every table read from a file": spec.FileSpec,
    "[data.events]": spec.EventsSpec,
    "[data.events.filters]": spec.FilterSpec,
    "[data.items], [data.users]": spec.AttributesSpec,
    "[data.triples], [data.ties], [data.exposures]": spec.TableSpec,
    "a column written as a table": spec.ColumnSpec,
    "[samples]": SamplesSpec,
    "[evaluate]": EvaluateSpec,
    "[cross_validation]": CrossValidationSpec,
}
FILTERS: dict[str, type[BaseModel]] = {
    "value": spec.RangeSpec,
    "event, user, item": spec.ChoiceSpec,
    "time": spec.PeriodSpec,
    "user_events": spec.RateSpec,
}


def listing(chinese: bool = False, up: str = "") -> str:
    """Every component as a row: name, file, summary."""
    lines = []
    for kind, titles in STAGES.items():
        head = "组件 | 文件 | 说明" if chinese else "Component | File | One line"
        lines += [f"**{titles[chinese]}**", "", f"| {head} |", "|---|---|---|"]
        entries = metrics.entries() if kind == "metrics" else [registry.entry(kind, n) for n in own(kind)]
        for entry in entries:
            path = f"src/shortlist/{kind}/{file_of(kind, entry.name)}"
            name = path.rsplit("/", 1)[1]
            lines.append(f"| `{entry.name}` | [{name}]({up}{path}) | {cell(entry.summary)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def own(kind: str) -> list[str]:
    """Names of the components in the package itself, without those other packages have installed."""
    names = sorted(path.stem for path in (ROOT / "src/shortlist" / kind).glob("[!_]*.py"))
    return [name for name in names if kind != "encode" or has_encoder(name)]


def has_encoder(name: str) -> bool:
    """Whether a file of ``encode/`` has a column transform, rather than what nets read."""
    found = vars(importlib.import_module(f"shortlist.encode.{name}")).values()
    return any(isinstance(one, type) and issubclass(one, Encoder) and one.__module__.endswith(name) for one in found)


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


def sections() -> str:
    """Keys of the sections of a recipe that are not components."""
    heads = {title: f"`{title}`" if "[" in title else title.capitalize() for title in SECTIONS}
    parts = [part for title, model in SECTIONS.items() for part in (f"### {heads[title]}", "", keys(model), "")]
    return "\n".join(parts).rstrip()


def filters() -> str:
    """Keys of the tables inside ``[data.events.filters]``."""
    parts = [part for title, model in FILTERS.items() for part in (f"**{title}**", "", keys(model), "")]
    return "\n".join(parts).rstrip()


def hyperparameters() -> str:
    """Keys of every component."""
    parts: list[str] = []
    for kind in registry.KINDS:
        parts += [f"### {STAGES[kind][0]}", ""]
        for name in own(kind):
            entry = registry.entry(kind, name)
            parts += [f"#### `{name}`", "", cell(entry.summary), ""]
            cls = registry.find(kind, name) if entry.available else None
            if cls is not None and cls.model_fields:
                parts += [keys(cls), ""]
            else:
                parts += ["No keys." if cls is not None else "Needs an extra that is not installed.", ""]
            if entry.reference:
                parts += [f"*{entry.reference.rstrip('.')}.*", ""]
    return "\n".join(parts).rstrip()


def keys(model: type[BaseModel]) -> str:
    """A table of a model's fields: name, what it may be, default, meaning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # of defaults, which are read from the fields
        taken, said = model.model_json_schema(), model.model_json_schema(mode="serialization")
    lines = ["| Key | May be | Default | Meaning |", "|---|---|---|---|"]
    above = spec.FileSpec.model_fields if issubclass(model, spec.FileSpec) and model is not spec.FileSpec else {}
    for name, field in model.model_fields.items():
        if name in above:
            continue  # said once, for every file
        given, shown = taken["properties"][name], said["properties"][name]
        may = shape(given, shown, taken.get("$defs", {}))
        value = field.get_default(call_default_factory=True)
        if may.startswith("duration") and isinstance(value, int):
            value = durations.text(value)
        default = "**required**" if field.is_required() else cell(written(value))
        lines.append(f"| `{name}` | {may} | {default} | {cell(field.description or '')} |")
    return "\n".join(lines)


def shape(given: Mapping[str, Any], shown: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema (as read, and as written: they differ for durations)."""
    if "$ref" in given:
        name = given["$ref"].rsplit("/", 1)[1]
        return shape(models[name], models[name], models) if "enum" in models[name] else "table"
    if "anyOf" in given:
        both = zip(given["anyOf"], shown.get("anyOf", given["anyOf"]), strict=False)
        parts = [shape(read, told, models) for read, told in both]
        return " or ".join(dict.fromkeys(part for part in parts if part != "none")) or "none"
    if "const" in given:
        return written(given["const"])
    if "enum" in given:
        return ", ".join(written(value) for value in given["enum"])
    kind = given.get("type")
    if kind == "array":
        inside = given.get("items") or {}
        if "prefixItems" in given:
            return "list of " + str(len(given["prefixItems"]))
        return "list of " + shape(inside, shown.get("items") or inside, models)
    if kind == "object":
        inside = given.get("additionalProperties")
        if not isinstance(inside, Mapping) or not inside:
            return "table"
        return f"table of {shape(inside, (shown.get('additionalProperties') or inside), models)}"
    if kind == "integer" and shown.get("type") == "string":
        return "duration"
    if kind == "string" and given.get("format") == "date-time":
        return "date"
    if kind == "string" and given.get("pattern", "").startswith("^("):
        return ", ".join(f"`{word}`" for word in given["pattern"].strip("^()$").split("|"))
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    return words.get(str(kind), "none" if kind == "null" else "anything") + bounds(given)


def bounds(given: Mapping[str, Any]) -> str:
    """``, 1 to 10`` and the like."""
    low, above = given.get("minimum"), given.get("exclusiveMinimum")
    high, below = given.get("maximum"), given.get("exclusiveMaximum")
    pairs = (("≥", low), (">", above), ("≤", high), ("<", below))
    parts = [f"{sign} {value:g}" for sign, value in pairs if value is not None]
    return f" {', '.join(parts)}" if parts else ""


def written(value: Any) -> str:
    """A value as TOML writes it; a missing one as a dash, one with a table of its own as such."""
    if value is None:
        return "–"
    return "see its table" if isinstance(value, BaseModel) else f"`{toml(value)}`"


def toml(value: Any) -> str:
    """The TOML text of a plain value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'" if '"' in value else f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml(part)}' for key, part in value.items())} }}" if value else "{}"
    return str(value)


def cell(text: str) -> str:
    """Text that does not break a Markdown table: reStructuredText's double backticks become single ones."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def template() -> str:
    """What ``shortlist new recall my_channel`` writes."""
    text = scaffold.TEMPLATES["recall"].replace("CLASS", "MyChannel").replace("NAME", "my_channel")
    return f"```python\n{text.rstrip()}\n```"


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"components": listing},
    "README.zh.md": {"components": lambda: listing(chinese=True)},
    "docs/data.md": {"sources": data_sets, "filters": filters},
    "docs/recipes.md": {"sections": sections, "hyperparameters": hyperparameters},
    "docs/extending.md": {"template": template},
}
"""File -> marker -> what stands there."""


def filled(text: str, name: str, body: str) -> str:
    """``text`` with ``body`` between the markers of ``name``."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"expected one {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{body}\n{end}", text)


def stale(write: bool) -> list[str]:
    """The files whose generated parts are not what the code says; ``write`` mends them."""
    found = []
    for name, parts in PARTS.items():
        path = ROOT / name
        before = after = path.read_text(encoding="utf-8")
        for marker, make in parts.items():
            after = filled(after, marker, make())
        if after != before:
            found.append(name)
            if write:
                path.write_text(after, encoding="utf-8")
    return found


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    out_of_step = stale(write=not check)
    for file in out_of_step:
        sys.stdout.write(f"{file}: {'not in step with the code; run make docs' if check else 'written'}\n")
    sys.exit(int(check and bool(out_of_step)))
