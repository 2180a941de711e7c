"""Experiments that may not stand beside each other in one file."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from shortlist.component import InputError
from shortlist.experiment.outcomes import METRICS

if TYPE_CHECKING:
    from shortlist.experiment.design import Design, Experiment


def refuse_conflicts(design: Design) -> None:
    """Raises ``InputError`` naming the key where two experiments would have the same users or change the same thing."""
    if "hold_out" in design.experiments:
        raise InputError("experiments.hold_out: the name that stands for the hold-out; choose another")
    for name, one in design.experiments.items():
        if one.start is not None and one.stop is not None and one.stop <= one.start:
            raise InputError(f"experiments.{name}.stop: is not after its start")
        if one.main not in METRICS:
            raise InputError(f"experiments.{name}.main: expected one of {', '.join(METRICS)}, found {one.main!r}")
    for (name, one), (other_name, other) in combinations(design.experiments.items(), 2):
        if not _meet(one, other):
            continue
        if one.layer == other.layer:
            if one.span[0] < other.span[1] and other.span[0] < one.span[1]:
                raise InputError(
                    f"experiments.{other_name}.span: {_said(other)} meets that of {name}, {_said(one)}, in the layer "
                    f"{one.layer!r} at the same time"
                )
            continue
        both = _touched(one) & _touched(other)
        if both or (one.interleave and other.interleave):
            what = " and ".join(sorted(both)) or "the slate (interleave)"
            raise InputError(
                f"experiments.{other_name}: changes {what}, as {name} does in another layer at the same time; put both "
                "into one layer, with spans that do not meet"
            )
    _check_testers(design)


def _check_testers(design: Design) -> None:
    for user, wanted in design.testers.items():
        layers: dict[str, str] = {}
        for name, arm in wanted.items():
            one = design.experiments.get(name)
            if one is None:
                known = ", ".join(design.experiments) or "none"
                raise InputError(f"testers.{user}.{name}: no such experiment; there are {known}")
            if arm not in one.arms:
                raise InputError(f"testers.{user}.{name}: expected one of {', '.join(one.arms)}, found {arm!r}")
            if (other := layers.setdefault(one.layer, name)) != name:
                raise InputError(f"testers.{user}.{name}: is in {other} already, of the same layer {one.layer!r}")


def _meet(one: Experiment, other: Experiment) -> bool:
    """Whether there is a moment at which both run."""
    before = one.stop is not None and other.start is not None and one.stop <= other.start
    return not before and not (other.stop is not None and one.start is not None and other.stop <= one.start)


def _touched(one: Experiment) -> frozenset[str]:
    return frozenset().union(*(arm.touched for arm in one.arms.values()))


def _said(one: Experiment) -> str:
    return f"[{one.span[0]:g}, {one.span[1]:g})"
