"""All mutants of a file, less those that are left out by rule, and a sample of them that does not depend on luck."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.mutate.operators import DropStatement, SwapArguments
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

OURS = {"DropStatement": DropStatement, "SwapArguments": SwapArguments}
Place = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change of one file: ``operator`` at its ``occurrence``-th place. ``lines`` are those a test must run to be
    asked about it, none where the line is run on import; ``key`` names it without line numbers, since those move."""

    file: str
    where: str
    operator: str
    occurrence: int
    key: str
    line: int
    lines: tuple[int, ...]
    kernel: bool

    def applied(self, source: str) -> tuple[str, str] | None:
        """The changed source and ``line before => line after``; None where nothing changes that Python can read."""
        try:
            changed = mutate_code(source, _known()[self.operator](), self.occurrence)
        except AttributeError:  # cosmic-ray's ExceptionReplacer knows plain names only
            return None
        if changed is None or not _differs(source, changed):
            return None
        return changed, _told(source, changed)


def of_file(root: Path, path: Path, rules: Mapping[str, Any]) -> list[Mutant]:
    """Every mutant of ``path`` (below ``root``) by the operators and rules of rooms.toml."""
    source = path.read_text(encoding="utf-8")
    known, nodes = _Source(source, rules["leave_out"]), list(ast_nodes(get_ast(source)))
    pattern = re.compile("|".join(rules["operators"]))
    file, found, seen = path.relative_to(root).as_posix(), [], Counter[str]()
    for name, operator in _known().items():
        if not pattern.fullmatch(name):
            continue
        made = operator()
        places = [place for node in nodes for place in made.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(places):
            if known.left_out(name, start, end):
                continue
            where, lines, kernel = known.about(start[0])
            key = f"{file} {where} {name} {known.text[start[0] - 1].strip()}"
            seen[key] += 1
            found.append(Mutant(file, where, name, occurrence, f"{key} {seen[key]}", start[0], lines, kernel))
    return found


def by_digest(mutants: list[Mutant], seed: int) -> list[Mutant]:
    """In an order that depends on what each mutant is and on nothing else: its first n are the sample."""
    return sorted(mutants, key=lambda m: hashlib.blake2b(f"{seed} {m.key}".encode()).digest())


@cache
def _known() -> dict[str, type[Operator]]:
    provider = OperatorProvider()
    return {name: provider[name] for name in provider} | OURS


def _differs(source: str, changed: str) -> bool:
    """Whether the change is valid Python and means something else."""
    try:
        return ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def _told(source: str, changed: str) -> str:
    """The lines that differ, before and after, without indentation."""
    old, new = source.splitlines(), changed.splitlines()
    start = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    tail = next(i for i, (a, b) in enumerate(zip(reversed(old), reversed(new), strict=False)) if a != b)
    differ = (" ".join(lines[start : len(lines) - tail]) for lines in (old, new))
    return " => ".join(" ".join(text.split()) for text in differ)


class _Source:
    """What Python's own syntax tree knows of a file: the spans left out, statements, functions, kernels."""

    def __init__(self, source: str, rules: Mapping[str, list[str]]) -> None:
        self.tree = ast.parse(source)
        self.text = source.splitlines()
        self.rules = rules
        self.spans = [self._span(node) for node in self._unheld()]
        self.swaps = [
            self._span(node)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and _last(node.func) in rules["commutative"]
        ]
        self.statements = [node for node in ast.walk(self.tree) if isinstance(node, ast.stmt)]

    def left_out(self, operator: str, start: Place, end: Place) -> bool:
        if operator == "SwapArguments" and any(a <= start and end <= b for a, b in self.swaps):
            return True
        return any(a <= start and end <= b for a, b in self.spans)

    def about(self, line: int) -> tuple[str, tuple[int, ...], bool]:
        """Of a line: its function, the lines that show whether it ran, whether it is compiled."""
        inside = [s for s in self.statements if s.lineno <= line <= (s.end_lineno or s.lineno)]
        functions = [s for s in inside if isinstance(s, ast.FunctionDef)]
        named = [s.name for s in inside if isinstance(s, ast.FunctionDef | ast.ClassDef)]
        compiled = any("njit" in ast.unparse(d) for f in functions for d in f.decorator_list)
        body = [s for s in functions if s.body[0].lineno <= line]
        if not body:  # a kernel that was compiled before holds the module's constants as they were
            return ".".join(named) or "module", (), "njit" in "".join(self.text)
        inner = max(inside, key=lambda s: (s.lineno, -(s.end_lineno or 0)))
        parts = [part for name in ("body", "orelse") for part in getattr(inner, name, [])]
        last = min((p.lineno - 1 for p in parts), default=inner.end_lineno or inner.lineno)
        return ".".join(named), tuple(range(inner.lineno, max(last, inner.lineno) + 1)), compiled

    def _unheld(self) -> Iterator[ast.AST]:
        rule = {name: set(words) for name, words in self.rules.items()}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Raise | ast.Assert):
                yield node
            if isinstance(node, ast.Call) and _last(node.func) in rule["calls"]:
                yield node
            if isinstance(node, ast.keyword) and node.arg in rule["keywords"]:
                yield node.value
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield from (d for d in node.decorator_list if _last(d) in rule["decorators"])
            if isinstance(node, ast.FunctionDef):
                yield from (part for part in (node.returns, *node.args.defaults, *node.args.kw_defaults) if part)
            if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
                yield node.annotation
            if isinstance(node, ast.ClassDef):  # hyperparameters
                yield from (s for s in node.body if isinstance(s, ast.AnnAssign))
            if isinstance(node, ast.Assign) and (_last(node.targets[0]) in rule["constants"] or _is_type(node)):
                yield node

    def _span(self, node: Any) -> tuple[Place, Place]:
        first = 1 if not isinstance(node, ast.expr) else 0
        start = (node.lineno, self._column(node.lineno, node.col_offset))
        if first == 0 and self.text[node.lineno - 1][: start[1]].strip() == "@":
            start = (node.lineno, start[1] - 1)  # a decorator's span begins at its sign
            return start, (node.end_lineno + 1, 0)
        return start, (node.end_lineno, self._column(node.end_lineno, node.end_col_offset))

    def _column(self, line: int, offset: int) -> int:
        """Python counts bytes, cosmic-ray characters."""
        return len(self.text[line - 1].encode()[:offset].decode())


def _last(node: ast.AST) -> str:
    """The last word of a dotted name or of a call's."""
    if isinstance(node, ast.Call):
        return _last(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_type(node: Any) -> bool:
    """``Name = A | B`` with capitals: another name for a type."""
    value = node.value
    return isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr) and _last(value.right)[:1].isupper()
