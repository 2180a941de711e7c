"""docs/python.md and the notebooks of examples/: what they show runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def ran(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The code in a process of its own, on the sources here."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    (folder / "session.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "session.py"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_the_page_is_one_session_that_runs(desk):
    """In a folder with ratings.csv, films.csv, people.csv and a smaller recipe under the name of the page's."""
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) >= 8
    done = ran("\n".join(blocks), desk)
    assert done.returncode == 0, done.stderr
    assert "100,000 events (rating) of 943 users" in done.stdout
    assert (desk / "runs/movielens-100k/report.html").is_file()
    assert (desk / "runs/only-cf/bundle/manifest.json").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, tmp_path):
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), "strip the outputs"
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])
    done = ran("\n\n".join("".join(cell["source"]) for cell in cells), tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_bench_is_what_its_results_say():
    bench = ROOT / "bench/face"
    spec = importlib.util.spec_from_file_location("face_bench", bench / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    results = json.loads((bench / "results.json").read_text(encoding="utf-8"))
    assert (bench / "RESULTS.md").read_text(encoding="utf-8") == run.page(results)
    assert set(results["seconds"]) == {"shortlist, with reasons", "shortlist", "implicit", "RecTools"}
    assert min(results["same_items"].values()) > 0.99


def test_there_are_three_notebooks_and_the_page_names_them():
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    assert len(NOTEBOOKS) == 3
    assert all(f"../examples/{path.name}" in page for path in NOTEBOOKS)
