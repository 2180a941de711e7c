"""The tests that ``make test`` runs, counted and timed, for the readmes.

    python bench/suite.py

Keeps the last line of pytest in ``suite.json``; a run that fails is not kept.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """The exit code of pytest."""
    words = [sys.executable, "-m", "pytest", "-q", "--no-header"]
    ended = subprocess.run(words, cwd=HERE.parent, capture_output=True, text=True, check=False)
    said = re.sub(r"^=+ | =+$", "", ended.stdout.strip().splitlines()[-1])
    print(said)
    if ended.returncode == 0:
        (HERE / "suite.json").write_text(json.dumps({"command": "make test", "said": said}) + "\n", encoding="utf-8")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
