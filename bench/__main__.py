"""Runs every file ``bench/FOLDER/NAME.py`` that can be run by itself, or only of the folders named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Exit code 1 if one of them fails."""
    failed = []
    for path in sorted(HERE.glob("*/*.py")):
        runnable = '__name__ == "__main__"' in path.read_text(encoding="utf-8")
        if runnable and (len(sys.argv) == 1 or path.parent.name in sys.argv[1:]):
            print(f"== {path.relative_to(HERE)}", flush=True)
            if subprocess.run([sys.executable, str(path)], check=False).returncode:
                failed.append(path.relative_to(HERE).as_posix())
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
