"""Two mistakes cosmic-ray does not make: a statement that is missing, and two arguments in the wrong order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

Position = tuple[tuple[int, int], tuple[int, int]]


class DropStatement(Operator):
    """``f(x)``, ``a += b`` and ``a[i] = b`` become ``pass``: what is done for its effect, not for its name."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """The whole statement."""
        if node.type == "simple_stmt" and self._acts(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The statement's line with ``pass`` in its place."""
        first = node.children[0]
        node.children[0] = parso.python.tree.Name("pass", first.start_pos, prefix=first.get_first_leaf().prefix)
        return node

    @staticmethod
    def _acts(node: Any) -> bool:
        if node.type == "expr_stmt":
            written, sign = node.children[0], node.children[1]
            return sign.type == "operator" and (sign.value != "=" or written.type in ("power", "atom_expr"))
        return node.type in ("power", "atom_expr")

    @classmethod
    def examples(cls) -> Sequence[Example]:
        """One of each."""
        return (Example("f(x)\n", "pass\n"), Example("a[i] = b\n", "pass\n"), Example("a += b\n", "pass\n"))


class SwapArguments(Operator):
    """``f(a, b)`` becomes ``f(b, a)``: two neighbours among the arguments without a keyword."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Every pair of neighbours."""
        for left, right in self._pairs(node):
            yield left.start_pos, right.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The call with its ``index``-th pair exchanged."""
        left, right = self._pairs(node)[index]
        i, j = node.children.index(left), node.children.index(right)
        first, second = left.get_first_leaf(), right.get_first_leaf()
        first.prefix, second.prefix = second.prefix, first.prefix
        node.children[i], node.children[j] = right, left
        return node

    @staticmethod
    def _pairs(node: Any) -> list[tuple[Any, Any]]:
        if node.type != "arglist":
            return []
        plain = [child for child in node.children if child.type not in ("operator", "argument")]
        return [(a, b) for a, b in pairwise(plain) if a.get_code().strip() != b.get_code().strip()]

    @classmethod
    def examples(cls) -> Sequence[Example]:
        """One call."""
        return (Example("f(a, b)\n", "f(b, a)\n"),)
