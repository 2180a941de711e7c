"""Where the command line writes: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDTH = 100
"""Columns where the width cannot be asked for: in a file, a pipe, a log of continuous integration."""


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, highlight=False, soft_wrap=True, width=WIDTH)
    return console


out = _console()
err = _console(stderr=True)


def fail(message: str) -> None:
    """The user's input was wrong: one line on standard error."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
