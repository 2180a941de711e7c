"""The shape of the package: imports point one way, extras stay in their files, files stay short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "shortlist"
FILES = sorted(SOURCE.rglob("*.py"))
SIMULATES = SOURCE / "cli" / "simulate.py"
"""The one command whose work is a world of ``testing``."""

# From the bottom up; a part may import parts of lower levels and itself. Parts of one level do not import each other.
LEVELS = [
    ["types", "progress", "durations", "documents", "memory"],
    ["configured"],
    ["component"],
    ["registry"],
    ["data", "encode", "index", "merge", "search"],
    ["nn"],
    ["recall", "features", "rank", "rules", "metrics"],
    ["pipeline"],
    ["recipe"],
    ["questions", "bundle", "tabular", "experiment"],
    ["evaluate", "answer"],
    ["report", "train"],
    ["tuning", "columns", "serve", "spark", "offpolicy"],
    ["draft"],
    ["cli"],
    ["face"],
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
EXTRAS = {
    # any file of these folders may import these at its top: the whole file is the extra
    "rank": {"sklearn", "xgboost", "torch", "onnx", "onnxruntime"},
    "recall": {"torch", "implicit", "faiss"},
    "index": {"faiss"},
    "nn": {"torch", "onnx", "onnxruntime"},
    "serve": {
        "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "orjson", "lmdb", "redis", "prometheus_client",
        "nicegui",
    },
    "spark": {"pyspark"},
}  # fmt: skip
OPTIONAL = set().union(*EXTRAS.values()) | {"sqlalchemy", "optuna", "tomlkit", "gensim", "pandas", "jax", "keras"}
BANNED = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "tqdm", "shelve", "marshal"}


def part_of(path: Path) -> str:
    """The folder or top file a source file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, *, top: bool = False) -> list[tuple[int, str]]:
    """(line, module) of everything imported; ``top``: only what importing the file runs, so not for type checkers."""
    found = []
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            module = node.module or ""
            found += [(node.lineno, f"{module}.{a.name}" if module == "shortlist" else module) for a in node.names]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue  # a name in an annotation is no dependency
        elif top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        else:
            waiting += ast.iter_child_nodes(node)
    return found


def broken_directions(path: Path, code: str) -> list[str]:
    """Every import that points the wrong way."""
    own = part_of(path)
    if own == "testing":
        return []
    faults = []
    for line, module in imports(ast.parse(code)):
        package, _, rest = module.partition(".")
        if package != "shortlist" or not rest:
            continue
        other = rest.split(".")[0]
        if other in (own, "__version__"):
            continue
        if other == "testing":
            if path == SIMULATES:
                continue
            faults.append(f"{path.name}:{line}: imports testing")
        elif other not in LEVEL or own not in (*LEVEL, "__init__", "__main__"):
            faults.append(f"{path.name}:{line}: {own} imports {other}; one of them has no level in this test")
        elif own in LEVEL and LEVEL[other] >= LEVEL[own]:
            faults.append(f"{path.name}:{line}: {own} must not import {other}")
    return faults


def stray_extras(path: Path, code: str) -> list[str]:
    """Optional packages that importing a core file would need."""
    allowed = EXTRAS.get(part_of(path), set())
    used = [(line, module.split(".")[0]) for line, module in imports(ast.parse(code), top=True)]
    return [f"{path.name}:{line}: {name} at the top" for line, name in used if name in OPTIONAL - allowed]


def forbidden_calls(path: Path, code: str) -> list[str]:
    """print outside the command line, pickle and its kin, eval and exec."""
    tree = ast.parse(code)
    faults = [f"{path.name}:{line}: {m}" for line, m in imports(tree) if m.split(".")[0] in BANNED]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in ("eval", "exec", "compile") or (name == "print" and part_of(path) != "cli"):
                faults.append(f"{path.name}:{node.lineno}: {name}(")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            faults.append(f"{path.name}:{node.lineno}: allow_pickle")
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_file(path):
    code = path.read_text(encoding="utf-8")
    assert broken_directions(path, code) == []
    assert stray_extras(path, code) == []
    assert forbidden_calls(path, code) == []
    assert len(code.splitlines()) <= 350


def test_few_files_stand_at_the_top():
    assert len(list(SOURCE.glob("*.py"))) <= 12


def test_median_file_is_short():
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES)
    assert lengths[len(lengths) // 2] <= 100


def test_importing_the_core_needs_no_extra():
    """What ``import shortlist.pipeline`` and its kin reach, followed through the files themselves."""
    core = [
        SOURCE / f"{name}.py"
        for name in ("pipeline", "recipe", "bundle/__init__", "train/__init__", "evaluate/__init__")
    ]
    seen: set[Path] = set()
    waiting = [path for path in core if path.is_file()]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for line, module in imports(ast.parse(path.read_text(encoding="utf-8")), top=True):
            assert module.split(".")[0] not in OPTIONAL, f"{path.name}:{line} imports {module}"
            if module.startswith("shortlist"):
                base = SOURCE.parent.joinpath(*module.split("."))
                waiting += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    assert {p.name for p in seen} >= {"sorting.py", "component.py", "pipeline.py"}


@pytest.mark.parametrize(
    ("file", "code", "fault"),
    [
        ("recall/x.py", "from shortlist.rank import gbdt", "recall must not import rank"),
        ("rank/x.py", "def f():\n    import shortlist.features.counts", "rank must not import features"),
        ("types.py", "from shortlist import component", "types must not import component"),
        ("data/x.py", "from shortlist.encode import one_hot", "data must not import encode"),
        ("serve/x.py", "from shortlist.testing import worlds", "imports testing"),
        ("pipeline.py", "from shortlist.train import fit", "pipeline must not import train"),
        ("novel/x.py", "from shortlist.types import Array", "no level"),
    ],
)
def test_wrong_directions_are_seen(file, code, fault):
    assert fault in broken_directions(SOURCE / file, code)[0]


def test_right_directions_pass():
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shortlist.data import State\n"
    assert broken_directions(SOURCE / "component.py", code) == []
    assert broken_directions(SOURCE / "recall/x.py", "from shortlist.recall._y import z\nimport shortlist.data") == []


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("pipeline.py", "import torch"),
        ("features/x.py", "try:\n    import sklearn.linear_model\nexcept ImportError:\n    pass"),
        ("rank/x.py", "from fastapi import FastAPI"),
        ("data/sources/x.py", "import sqlalchemy"),
    ],
)
def test_stray_extras_are_seen(file, code):
    assert stray_extras(SOURCE / file, code)
    assert not stray_extras(SOURCE / "rank/x.py", "def f():\n    import torch")


@pytest.mark.parametrize(
    "code", ["print(1)", "import pickle", "from joblib import dump", "eval('1')", "np.load(f, allow_pickle=True)"]
)
def test_forbidden_calls_are_seen(code):
    assert forbidden_calls(SOURCE / "pipeline.py", code)
    assert not forbidden_calls(SOURCE / "cli/show.py", "print(1)")
