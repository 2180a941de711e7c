"""What recipes may say: the keys of every section and component, from field descriptions (see components.py)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import PydanticJsonSchemaWarning

from shortlist import durations, registry
from shortlist.component import Component
from shortlist.data import rows, spec
from shortlist.recipe import EvaluateSpec, Recipe, SamplesSpec
from shortlist.tabular.experiment import CrossValidationSpec

ROOT = Path(__file__).resolve().parents[1]
SECTIONS: dict[str, type[BaseModel]] = {
    "at the top": Recipe,
    "[data]": spec.DataSpec,
    "[data.split]": spec.SplitSpec,
    "every table read from a file": spec.FileSpec,
    "[data.events]": spec.EventsSpec,
    "[data.events.filters]": spec.FilterSpec,
    "[data.items], [data.users]": spec.AttributesSpec,
    "[data.sessions]": spec.SessionsSpec,
    "[data.rows]": rows.RowsSpec,
    "[data.rows.split]": rows.PartsSpec,
    "[data.triples], [data.ties], [data.exposures]": spec.TableSpec,
    "a column written as a table": spec.ColumnSpec,
    "a column of derive": spec.DerivedSpec,
    "[samples]": SamplesSpec,
    "[evaluate]": EvaluateSpec,
    "[cross_validation]": CrossValidationSpec,
}
FILTERS: dict[str, type[BaseModel]] = {
    "value": spec.RangeSpec,
    "event": spec.ChoiceSpec,
    "user, item": spec.IdsSpec,
    "a column of columns": spec.CellSpec,
    "time": spec.PeriodSpec,
    "user_events": spec.RateSpec,
}
NOUNS = {"recall": "channels", "merge": "merges", "features": "features", "rank": "rankers", "rules": "rules"}


def sections() -> str:
    """Keys of the sections of a recipe that are not components."""
    heads = {title: f"`{title}`" if "[" in title else title.capitalize() for title in SECTIONS}
    parts = [part for title, model in SECTIONS.items() for part in (f"### {heads[title]}", "", keys(model), "")]
    return "\n".join(parts).rstrip()


def filters() -> str:
    """Keys of the tables inside ``[data.events.filters]``."""
    parts = [part for title, model in FILTERS.items() for part in (f"**{title}**", "", keys(model), "")]
    return "\n".join(parts).rstrip()


def hyperparameters(titles: Mapping[str, str]) -> str:
    """Keys of every component, kind by kind; what several inherit from a shared part is said once."""
    parts: list[str] = []
    for kind in registry.KINDS:
        entries = [registry.entry(kind, name) for name in own(kind)]
        classes = {entry.name: registry.find(kind, entry.name) for entry in entries if entry.available}
        common = shared(classes)
        parts += [f"### {titles[kind]}", ""]
        for base, names in common.items():
            parts += [f"#### {heading(kind, base)}", "", cell(summary(base)), ""]
            parts += [f"Keys of {', '.join(f'`{name}`' for name in names)}.{also(kind, base, common)}", ""]
            fields = [name for name in said_by(base, base, common) if name in taken(base, classes.values())]
            parts += [keys(base, fields), ""]
        for entry in entries:
            cls = classes.get(entry.name)
            parts += [f"#### `{entry.name}`", "", cell(entry.summary) + (also(kind, cls, common) if cls else ""), ""]
            said = said_by(cls, cls, common) if cls else []
            if said:
                parts += [keys(cls, said), ""]
            elif cls is None:
                parts += ["Needs an extra that is not installed.", ""]
            elif not cls.model_fields:
                parts += ["No keys.", ""]
    return "\n".join(parts).rstrip()


def shared(classes: Mapping[str, type[Component]]) -> dict[type[Component], list[str]]:
    """Parts in files that begin with ``_`` which give fields to several components -> those components' names."""
    found: dict[type[Component], list[str]] = {}
    for name, cls in classes.items():
        for base in set(definers(cls).values()) - {cls}:
            if base.__module__.rpartition(".")[2].startswith("_"):
                found.setdefault(base, []).append(name)
    several = {base: names for base, names in found.items() if len(names) > 1}
    return dict(sorted(several.items(), key=lambda pair: (-len(pair[1]), pair[0].__name__)))


def definers(cls: type[Component]) -> dict[str, type[Component]]:
    """Field -> the class nearest to ``cls`` that says what it is."""
    return {
        name: next(base for base in cls.__mro__ if name in vars(base).get("__annotations__", ()))
        for name in cls.model_fields
    }


def said_by(cls: type[Component], at: type[Component], common: Iterable[type]) -> list[str]:
    """The fields that are told at ``at``: its own, and those of parts that nobody shares."""
    return [name for name, base in definers(cls).items() if base is at or base not in common]


def taken(base: type[Component], classes: Iterable[type[Component]]) -> set[str]:
    """The fields that at least one component has just as ``base`` says them."""
    return {name for cls in classes for name, at in definers(cls).items() if at is base}


def also(kind: str, cls: type[Component], common: Iterable[type]) -> str:
    """Where the other fields of ``cls`` are told: the nearest shared parts, which name those behind them."""
    bases = [base for base in common if base is not cls and issubclass(cls, base)]
    nearest = [base for base in bases if not any(other is not base and issubclass(other, base) for other in bases)]
    titles = [heading(kind, base) for base in nearest]
    links = [f"[{t.split(' ', 1)[1].rsplit(' ', 1)[0]}](#{t.lower().replace(' ', '-')})" for t in titles]
    return f" Also the keys of {' and '.join(links)}." if links else ""


def heading(kind: str, base: type) -> str:
    """What deep rankers share, of DeepRanker."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", base.__name__).lower().split()
    noun = NOUNS[kind]
    words = [*words[:-1], noun] if words[-1] == noun.removesuffix("s") else [*words, noun]
    return f"What {' '.join(words)} share"


def summary(base: type) -> str:
    """The first sentence of a shared part's docstring."""
    return " ".join((base.__doc__ or "").split("\n\n")[0].split())


def own(kind: str) -> list[str]:
    """Names of the components in the package itself, without those other packages have installed."""
    return sorted(path.stem for path in (ROOT / "src/shortlist" / kind).glob("[!_]*.py"))


def keys(model: type[BaseModel], only: Iterable[str] | None = None) -> str:
    """A table of a model's fields, or of ``only`` some: name, what it may be, default, meaning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # of defaults, which are read from the fields
        taken, said = model.model_json_schema(), model.model_json_schema(mode="serialization")
    lines = ["| Key | May be | Default | Meaning |", "|---|---|---|---|"]
    above = spec.FileSpec.model_fields if issubclass(model, spec.FileSpec) and model is not spec.FileSpec else {}
    for name, field in model.model_fields.items():
        if name in above or (only is not None and name not in only):
            continue  # said elsewhere, once
        name = field.alias or name  # as it is written
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
