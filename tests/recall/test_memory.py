"""What the machine has left, as the kernel and the control group say it."""

from __future__ import annotations

import pytest

from shortlist.component import InputError
from shortlist.recall import _memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:   5000 kB\n")
    monkeypatch.setattr(_memory, "_KERNEL", tmp_path / "meminfo")
    monkeypatch.setattr(_memory, "_GROUP", tmp_path)
    return tmp_path


def test_the_smaller_of_machine_and_group(machine):
    assert _memory.free() == 5000 * 1024
    (machine / "memory.max").write_text("max\n")
    (machine / "memory.current").write_text("1000\n")
    assert _memory.free() == 5000 * 1024
    (machine / "memory.max").write_text("4000\n")
    assert _memory.free() == 3000
    (machine / "memory.stat").write_text("anon 7\ninactive_file 200\n")
    assert _memory.free() == 3200


def test_the_processs_own_limit(machine, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda which: (2000, 9000))
    assert _memory.free() == 2000


def test_what_does_not_fit_is_refused(machine):
    (machine / "memory.max").write_text("4000000\n")
    (machine / "memory.current").write_text("0\n")
    _memory.need("x: 3 items", 4_000_000, "take less")
    with pytest.raises(InputError, match=r"^x: 3 items need 0.005 GB, more than the 0.004 GB that .* free; take less$"):
        _memory.need("x: 3 items", 5_000_000, "take less")
    _memory.need("x: 3 items", 5_000_000, "take less", 6_000_000)
