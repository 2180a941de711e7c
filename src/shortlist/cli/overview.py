"""What ``shortlist --help`` shows: every command in a line, grouped, on one screen of 80 x 24."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from shortlist.cli import terminal

BEGIN = "Begin"
MEASURE = "Fit and measure"
IMPROVE = "Improve"
ANSWER = "Answer"
GROUPS = (BEGIN, MEASURE, IMPROVE, ANSWER)


class Overview(TyperGroup):
    """The groups of ``rich_help_panel`` under plain headings: boxes around them would need a second screen."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints usage, the commands by group, and where to read on."""
        shown = {name: self.commands[name] for name in self.list_commands(ctx)}
        width = max(map(len, shown))
        lines = ["Usage: shortlist COMMAND [--help says more] ... | --version", *(self.help or "").splitlines()]
        for group in dict.fromkeys((*GROUPS, *(_group(command) for command in shown.values()))):
            lines.append(f"[bold]{group}[/bold]")
            lines += [
                f"  [cyan]{name:{width}}[/cyan]  {command.get_short_help_str(limit=76 - width)}"
                for name, command in shown.items()
                if _group(command) == group
            ]
        terminal.out.print("\n".join(lines))


def _group(command: Any) -> str:
    return getattr(command, "rich_help_panel", None) or "More"
