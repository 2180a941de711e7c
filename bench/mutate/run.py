"""Whether the tests would notice: faults planted in the code, one at a time, by cosmic-ray's operators.

    make mutate                                       (or: python bench/mutate/run.py [--only ROOM ...])
    python bench/mutate/run.py --sample 40 --workers 1 --only metrics --seconds 600

Of each room a sample of all mutants is tried, the same one every time (a mutant is drawn by the digest of what it
changes, so that an edit elsewhere does not draw others). Each runs the tests of its file, then those of its room, then
the contract, the whole funnel and what is built on it, and stops at the first that fails; one that runs too long is
caught too. Left out are mutants of what no behaviour hangs on: annotations, decorators, hyperparameters' defaults and
bounds, messages of errors, ``strict`` of zip. Writes RESULTS.md; a mutant that nobody catches must be in
survivors.toml with its reason, else the exit code is 1, and one that is caught now must go from there.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Queue

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROOMS = ("metrics", "merge", "rules", "features", "pipeline", "data", "recall")
AFTER = {  # what is built on a room and would notice
    "metrics": ["tests/evaluate"],
    "merge": ["tests/test_whole_pipeline.py", "tests/train"],
    "rules": ["tests/test_whole_pipeline.py"],
    "features": ["tests/test_whole_pipeline.py", "tests/train"],
    "pipeline": ["tests/test_whole_pipeline.py", "tests/test_halves.py", "tests/evaluate", "tests/train"],
    "data": ["tests/test_leaks.py", "tests/evaluate", "tests/train"],
    "recall": ["tests/test_whole_pipeline.py"],
}
CONTRACT = {"merge", "rules", "features", "recall"}
LIMIT = 240
"""Seconds that the tests of one mutant may take: several times what they take unharmed."""
OPERATORS = [
    name for name in sorted(cosmic_ray.plugins.operator_names()) if not re.search("no-op|Decorator|Variable", name)
]


@dataclass(frozen=True)
class Spot:
    """A place where an operator of cosmic-ray would change something."""

    file: str  # relative to the root
    operator: str
    occurrence: int
    number: int  # of the line
    line: str
    column: int

    @property
    def draw(self) -> str:
        """Orders the spots of a room at random, once and for all, wherever their lines stand."""
        return hashlib.sha256(f"{self.file}: {self.line} {self.operator} {self.column}".encode()).hexdigest()


@dataclass(frozen=True)
class Mutant:
    """One change of one line."""

    room: str
    file: str
    number: int
    line: str
    becomes: str
    code: str  # the whole file, mutated

    @property
    def name(self) -> str:
        """What it changes."""
        return f"{self.file}: {self.line} -> {self.becomes}"


def spots(room: str) -> list[Spot]:
    """All of a room where a behaviour would change."""
    found = []
    for path in sorted((ROOT / "src/shortlist" / room).rglob("*.py")):
        code = path.read_text(encoding="utf-8")
        lines, idle, nodes = code.splitlines(), _idle(code), list(ast_nodes(get_ast(code)))
        file = path.relative_to(ROOT).as_posix()
        for operator in OPERATORS:
            kind = cosmic_ray.plugins.get_operator(operator)()
            places = [place for node in nodes for place, _ in kind.mutation_positions(node)]
            for occurrence, (row, column) in enumerate(places):
                if not any(start <= (row, column) < end for start, end in idle):
                    line = lines[row - 1]
                    at = column - len(line) + len(line.lstrip())
                    found.append(Spot(file, operator, occurrence, row, line.strip(), at))
    return sorted(found, key=lambda spot: spot.draw)


def mutants(room: str, spots_: Iterable[Spot]) -> Iterator[Mutant]:
    """What becomes of the code at these spots, each changed line once."""
    seen = set()
    for spot in spots_:
        code = (ROOT / spot.file).read_text(encoding="utf-8")
        try:
            changed = mutate_code(code, cosmic_ray.plugins.get_operator(spot.operator)(), spot.occurrence)
        except AttributeError:  # an operator that cannot do what it offers
            continue
        pairs = zip(code.splitlines(), (changed or code).splitlines(), strict=False)
        old, new = next(((a.strip(), b.strip()) for a, b in pairs if a != b), ("", ""))
        one = Mutant(room, spot.file, spot.number, old, new, changed or code)
        if old and one.name not in seen:
            seen.add(one.name)
            yield one


def _idle(code: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where no behaviour hangs on what is written."""
    nodes: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ClassDef():
                nodes += [each for each in node.body if isinstance(each, ast.AnnAssign)]
                nodes += node.decorator_list
            case ast.FunctionDef():
                nodes += [*node.decorator_list, node.returns]
            case ast.arg() | ast.AnnAssign():
                nodes.append(node.annotation)
            case ast.Raise():
                nodes.append(node)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                nodes.append(node)
            case ast.keyword(arg="strict"):
                nodes.append(node.value)
            case ast.JoinedStr():
                nodes.append(node)
    where = [node for node in nodes if node is not None]
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in where]  # type: ignore[attr-defined]


def tests(mutant: Mutant) -> list[str]:
    """What to run, what is nearest first."""
    stem = Path(mutant.file).stem.strip("_")
    room = ROOT / "tests" / mutant.room
    near = sorted(str(p.relative_to(ROOT)) for p in room.rglob(f"test_*{stem}*.py")) if room.is_dir() and stem else []
    words = [*near, *([f"tests/{mutant.room}"] if room.is_dir() else []), *AFTER[mutant.room]]
    return words + (["tests/test_contract.py"] if mutant.room in CONTRACT else [])


@cache
def compiled() -> dict[str, set[str]]:
    """File with compiled functions -> the files with such that build on it, whose machine code holds its own."""
    files = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py")}
    files = {name: text for name, text in files.items() if "njit" in text}
    module = {name.removeprefix("src/").removesuffix(".py").replace("/", "."): name for name in files}
    uses = {
        name: {module[m] for m in re.findall(r"from (shortlist[\w.]*) import", text) if m in module}
        for name, text in files.items()
    }
    found = {name: {name} for name in files}
    for _ in files:
        for name, others in uses.items():
            for reached in found.values():
                if others & reached:
                    reached.add(name)
    return found


class Copy:
    """A copy of the project in which a worker plants its mutants."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for part in ("src", "tests", "docs", "recipes", "examples"):
            shutil.copytree(ROOT / part, folder / part, symlinks=True)
        for part in ("pyproject.toml", "README.md", "README.zh.md", "Makefile"):
            shutil.copy2(ROOT / part, folder / part)
        shared = ROOT.parent / "shared"
        if shared.is_dir():
            (folder.parent / "shared").symlink_to(shared)
        self.machine_code = folder / "compiled"

    def run(self, words: list[str], numba: Path, limit: float) -> bool:
        """Whether the tests pass in time."""
        env = {**os.environ, "PYTHONPATH": str(self.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        env |= {"NUMBA_CACHE_DIR": str(numba), "HYPOTHESIS_STORAGE_DIRECTORY": str(self.root / "examples_found")}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *words]
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout=limit) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False

    def caught(self, mutant: Mutant) -> bool:
        """Plants the mutant, runs its tests and takes it out again."""
        file = self.root / mutant.file
        before = file.read_text(encoding="utf-8")
        built = compiled().get(mutant.file, set())
        numba = self.machine_code
        if built:  # machine code of others holds this file's: those must be compiled anew, and nobody keeps it
            numba = self.root / "compiled_once"
            shutil.rmtree(numba, ignore_errors=True)
            shutil.copytree(self.machine_code, numba)
            for name in built:
                os.utime(self.root / name)
        try:
            file.write_text(mutant.code, encoding="utf-8")
            return not self.run(tests(mutant), numba, LIMIT)
        finally:
            file.write_text(before, encoding="utf-8")
            for name in {*built, mutant.file}:
                stat = (ROOT / name).stat()
                os.utime(self.root / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def wilson(caught: int, tried: int) -> tuple[float, float]:
    """The 95 % interval of a share. Source: Wilson (1927), Probable Inference."""
    z, p = 1.96, caught / tried
    middle, half = p + z * z / (2 * tried), z * (p * (1 - p) / tried + z * z / (4 * tried * tried)) ** 0.5
    return (middle - half) / (1 + z * z / tried), (middle + half) / (1 + z * z / tried)


def listed() -> dict[str, str]:
    """The survivors that are known, with the reason of each."""
    file = HERE / "survivors.toml"
    told = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {f"{one['file']}: {one['line']} -> {one['becomes']}": one["reason"] for one in told.get("survivor", [])}


def tried(sample: list[Mutant], copies: Queue[Copy], until: float) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant of a sample, and whether it was caught; what time does not allow is left out."""

    def one(mutant: Mutant) -> bool | None:
        if time.monotonic() > until:
            return None
        copy = copies.get()
        try:
            return copy.caught(mutant)
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(copies.qsize()) as pool:
        for mutant, caught in zip(sample, pool.map(one, sample), strict=True):
            if caught is not None:
                yield mutant, caught


def main() -> int:
    """Tries a sample of every room; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(ROOMS), choices=ROOMS, help="rooms to try")
    parser.add_argument("--sample", type=int, default=100, help="mutants of each room")
    parser.add_argument("--workers", type=int, default=2, help="copies of the project that run side by side")
    parser.add_argument("--seconds", type=float, default=3600, help="for all rooms together")
    parser.add_argument("--again", action="store_true", help="only those that survivors.toml lists")
    asked = parser.parse_args()
    began, known = time.monotonic(), listed()
    lines = {name.partition(": ")[2].partition(" -> ")[0] for name in known}
    unknown: list[Mutant] = []
    gone, rows = [], []
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copies: Queue[Copy] = Queue()
        for number in range(asked.workers):
            (Path(folder) / str(number)).mkdir()
            copies.put(Copy(Path(folder) / str(number) / "project"))
        words = {w for room in asked.only for w in (f"tests/{room}", *AFTER[room], "tests/test_contract.py")}
        whole = sorted(word for word in words if (ROOT / word).exists())
        with ThreadPoolExecutor(asked.workers) as pool:  # each copy compiles its own
            unharmed = list(pool.map(lambda copy: copy.run(whole, copy.machine_code, 1800), list(copies.queue)))
        if not all(unharmed):
            print("the tests fail without any mutant; nothing to learn here", file=sys.stderr)
            return 2
        print(f"the tests pass unharmed, {time.monotonic() - began:.0f} s", flush=True)
        for room in asked.only:
            every = spots(room)
            if asked.again:
                sample = [m for m in mutants(room, (s for s in every if s.line in lines)) if m.name in known]
            else:
                sample = list(itertools.islice(mutants(room, every), asked.sample))
            results = list(tried(sample, copies, began + asked.seconds))
            for mutant, caught in results:
                if caught and mutant.name in known:
                    gone.append(mutant)
                elif not caught:
                    unknown += [mutant] if mutant.name not in known else []
                    print(f"survives ({'known' if mutant.name in known else 'NEW'}): {mutant.file}:{mutant.number}")
                    print(f"    {mutant.line}\n    {mutant.becomes}", flush=True)
            n, held = len(results), sum(caught for _, caught in results)
            if n:
                low, high = wilson(held, n)
                rows.append(f"| {room} | {len(every):,} | {n} | {held} | {held / n:.1%} | {low:.1%} to {high:.1%} |")
                print(rows[-1], f"{time.monotonic() - began:.0f} s", flush=True)
    if not asked.again and list(asked.only) == list(ROOMS):
        write(rows, asked.sample, time.monotonic() - began, len(known))
    for mutant in unknown:
        print(f'\n[[survivor]]\nfile = "{mutant.file}"\nline = {_toml(mutant.line)}')
        print(f'becomes = {_toml(mutant.becomes)}\nreason = ""')
    for mutant in gone:
        print(f"caught now, take it from survivors.toml: {mutant.name}")
    return int(bool(unknown))


def write(rows: list[str], sample: int, seconds: float, known: int) -> None:
    """RESULTS.md."""
    lines = [
        "# Would the tests notice?",
        "",
        "`make mutate`: " + " ".join((__doc__ or "").split("\n\n")[2].split()),
        "",
    ]
    lines += [
        f"{sample} mutants of each room, {os.cpu_count()} cores, {seconds / 60:.0f} minutes; cosmic-ray's operators."
    ]
    lines += ["", "| room | mutants | tried | caught | share | 95 % |", "|---|---|---|---|---|---|", *rows, ""]
    lines += [f"[survivors.toml](survivors.toml) lists {known} that nobody catches, each with its reason.", ""]
    (HERE / "RESULTS.md").write_text("\n".join(lines), encoding="utf-8")


def _toml(text: str) -> str:
    return "'" + text + "'" if "'" not in text else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    sys.exit(main())
