"""`make mutate`: how many small mistakes in a stage's code its tests notice.

Every mutant is one small change (``<`` for ``<=``, a statement left out, two arguments swapped), made by cosmic-ray.
It is put to the tests that run its line, the nearest and quickest first, until one fails. What no test notices must
stand in survivors.txt with its reason; the run fails on a survivor that is not listed, on a listed one that is caught
or gone, and on a room below its mark.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tomllib
from pathlib import Path

from bench.mutate.room import SURVIVED, TIMED_OUT, Room, copied

HERE = Path(__file__).resolve().parent
Told = list[tuple[str, str]]


def main() -> int:
    """0: every room has its mark and survivors.txt is right; 1 otherwise."""
    rules = tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8"))
    rooms = list(rules["rooms"])
    words = argparse.ArgumentParser(prog="python -m bench.mutate", description=__doc__)
    words.add_argument("--only", nargs="+", choices=rooms, default=rooms, metavar="ROOM", help=", ".join(rooms))
    words.add_argument("--sample", type=int, default=rules["sample"], help="mutants a room, 0 = all")
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at once")
    words.add_argument("--again", action="store_true", help="not those that each room's last run here caught")
    words.add_argument("--write", action="store_true", help="set the rooms' rows of the table in README.md")
    given = words.parse_args()
    listed, faults, rows = _listed(), [], {}
    copied()
    for name in given.only:
        room = Room(name, rules, given.sample, given.jobs, given.again)
        told = room.run()
        rows[name] = _row(name, told)
        print(rows[name], flush=True)
        mine = {survivor for survivor in listed if survivor.partition(" | ")[0] in room.files}
        faults += _against(mine, told)
        share = 1 - sum(outcome == SURVIVED for _, outcome in told) / max(len(told), 1)
        if share < rules["mark"]:
            faults.append(f"{name}: {share:.1%} caught, the mark is {rules['mark']:.0%}")
    if given.write:
        _write(rows)
    print("\n".join(faults) or "every survivor is listed, and every room has its mark")
    return 1 if faults else 0


def _listed() -> dict[str, str]:
    """survivors.txt: {mutant: reason}; a line a mutant, its reason indented below it."""
    found: dict[str, str] = {}
    name = ""
    for line in (HERE / "survivors.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("    ") and name:
            found[name] = f"{found[name]} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            name, found[line] = line, ""
    if bare := [name for name, reason in found.items() if not reason]:
        raise SystemExit("survivors.txt gives no reason for\n" + "\n".join(bare))
    return found


def _against(listed: set[str], told: Told) -> list[str]:
    """What is wrong between a room's part of the list and its run."""
    survivors = {name for name, outcome in told if outcome == SURVIVED}
    others = {name for name, _ in told} - survivors
    return [
        *(f"not listed: {name}" for name in sorted(survivors - listed)),
        *(f"listed, but caught: {name}" for name in sorted(listed & others)),
        *(f"listed, but no mutant of the sample: {name}" for name in sorted(listed - others - survivors)),
    ]


def _row(room: str, told: Told) -> str:
    """A row of the table: the share caught, with its 95 % interval (Wilson)."""
    n, z = max(len(told), 1), 1.96
    survived, late = (sum(outcome == kind for _, outcome in told) for kind in (SURVIVED, TIMED_OUT))
    p = 1 - survived / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    span = f"{middle - half:.1%} to {middle + half:.1%}"
    return f"| {room} | {n} | {n - survived} | {late} | {survived} | {p:.1%} | {span} |"


def _write(rows: dict[str, str]) -> None:
    path = HERE / "README.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    named = {line: line.split("|")[1].strip() for line in lines if line.startswith("|")}
    path.write_text("\n".join(rows.get(named.get(line, ""), line) for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
