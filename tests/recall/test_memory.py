"""Work that cannot fit is refused with the memory it would need."""

from __future__ import annotations

import pytest

from shortlist.component import InputError
from shortlist.recall import _memory


def test_what_fits_passes():
    _memory.need("ease", "3 items", 100.0, 100.0)
    _memory.need("ease", "3 items", 100.0)


def test_what_does_not_fit_is_refused_with_its_size():
    with pytest.raises(InputError, match=r"ease: 9 items need 3 GiB, 1.5 GiB are allowed; raise min_count"):
        _memory.need("ease", "9 items", 3 * 2**30, 1.5 * 2**30, "raise min_count")


def test_the_machine_is_the_limit_where_none_is_given(monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda: 2**30)
    with pytest.raises(InputError, match="1 GiB are allowed"):
        _memory.need("ease", "9 items", 2**31)


def test_the_machine_has_memory():
    assert _memory.available() > 2**20
