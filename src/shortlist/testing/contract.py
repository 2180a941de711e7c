"""The contract every component owes, as a test suite that a component from anywhere can be put through.

    import pytest
    from shortlist.testing import contract

    @pytest.mark.parametrize("owed", contract.checks("recall"), ids=lambda check: check.__name__)
    def test_my_channel(owed):
        owed(contract.Subject("recall", MyChannel))

or, without a test framework, ``contract.check("recall", MyChannel)``. What is owed is written in the docstring of each
check. A component whose defaults do not suffice names an ``example`` configuration (see ``Component``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shortlist.component import Component
from shortlist.registry import KINDS, entry, find, names
from shortlist.testing import _shared as shared
from shortlist.testing._stages import OWED
from shortlist.testing.case import Subject

Check = Callable[[Subject], None]

ALL: list[Check] = [
    shared.config_round_trips,
    shared.unknown_key_rejected,
    shared.constructor_does_no_work,
    shared.documented,
    shared.hyperparameters_described,
    shared.fit_stores_learned,
    shared.learned_is_finite_and_moderate,
    shared.saved_and_loaded,
    shared.same_seed_same_result,
    shared.batch_equals_single,
    shared.inputs_unchanged,
    shared.empty_batch,
]
"""Owed by every component."""


def checks(kind: str) -> list[Check]:
    """What a component of ``kind`` owes; each check takes a ``Subject`` and raises ``AssertionError``."""
    owed = [*ALL, *OWED[kind]]
    if kind in ("recall", "features", "rules"):
        owed += [shared.later_events_change_nothing, shared.more_identities_change_nothing]
    if kind != "merge":
        owed += [shared.strangers]
    if kind != "rank":
        owed += [shared.empty_log]
    return owed


def check(kind: str, cls: type[Component], config: Mapping[str, Any] | None = None) -> None:
    """Puts a component class through everything it owes; raises ``AssertionError`` with a line for each failure."""
    subject = Subject(kind, cls, cls.example if config is None else config)
    failures = []
    for owed in checks(kind):
        try:
            owed(subject)
        except Exception as error:  # whatever it raises, the other checks still run
            failures.append(f"{owed.__name__}: {type(error).__name__}: {error}")
    if failures:
        raise AssertionError(f"{cls.__name__} breaks its contract:\n  " + "\n  ".join(failures))


def found() -> list[tuple[str, str, bool]]:
    """(kind, name, whether its extra is installed) of every component in the folders and entry points."""
    return [(kind, name, entry(kind, name).available) for kind in KINDS for name in names(kind)]


def subject(kind: str, name: str) -> Subject:
    """The component called ``name`` with its example configuration."""
    cls = find(kind, name)
    return Subject(kind, cls, cls.example)


__all__ = ["Check", "Subject", "check", "checks", "found", "subject"]
