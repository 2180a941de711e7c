"""What a view knows: the snapshot and the tail, each event once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shortlist.bundle import open_bundle
from shortlist.component import InputError
from shortlist.data import Dataset, Events
from shortlist.serve.clock import Clock
from shortlist.serve.live import Live
from shortlist.serve.store import forgotten
from shortlist.serve.view import View
from shortlist.testing import worlds

FOREVER = np.array([np.iinfo(np.int64).max])


def records(data: Dataset, rows: range | list[int]) -> list[dict[str, object]]:
    """Events of a data set as a store would hold them."""
    log = data.events
    return [
        {
            "kind": "event",
            "sequence": number,
            "user": data.user_ids.ids[log.user[row]],
            "item": data.item_ids.ids[log.item[row]],
            "event": data.behaviours.names[log.event[row]],
            "time": int(log.time[row]),
        }
        for number, row in enumerate(rows, 1)
    ]


def view(run: Path) -> View:
    return View(open_bundle(run / "bundle"))


def columns(events: Events) -> list[tuple[int, ...]]:
    return sorted(zip(events.user.tolist(), events.item.tolist(), events.time.tolist(), strict=True))


@pytest.mark.parametrize("cuts", [[], [1], [3, 4, 9]])
def test_the_tail_on_the_snapshot_is_the_whole_log(run: Path, board: Dataset, cuts: list[int]) -> None:
    seen = view(run)
    before = columns(seen.state.events)
    late = [{**record, "time": record["time"] + worlds.DAY * 40} for record in records(board, range(12))]  # type: ignore[operator]
    for start, stop in zip([0, *cuts], [*cuts, 12], strict=True):
        seen.apply(late[start:stop])
    more = [(r[0], r[1], r[2] + worlds.DAY * 40) for r in columns(board.events.take(slice(0, 12)))]
    assert columns(seen.state.events) == sorted(before + more)
    assert seen.applied == 12


def test_events_the_bundle_was_fitted_on_do_not_count_again_but_late_ones_do(run: Path, board: Dataset) -> None:
    seen = view(run)
    m = len(board.events)
    stored = records(board, [0, m // 2, m - 1])
    late = {**stored[1], "sequence": 4, "time": int(board.events.time[m // 2]) + 1}
    seen.apply([*stored, late])
    assert len(seen.state.events) == m + 1


def test_new_ids_get_codes_behind_the_bundles_and_unknown_kinds_are_passed_over(run: Path, board: Dataset) -> None:
    seen = view(run)
    time = int(board.events.time[-1]) + 1
    fresh = {"kind": "event", "user": "new", "item": "thing", "event": "view", "time": time}
    seen.apply([{**fresh, "sequence": 1}, {**fresh, "sequence": 2, "event": "dance"}])
    assert seen.data.user_ids.code("new") == board.n_users
    assert seen.data.item_ids.code("thing") == board.n_items
    assert seen.state.history(np.array([board.n_users], np.int32), FOREVER)["item"].tolist() == [board.n_items]


def test_a_deletion_hides_what_came_before_it_and_not_what_came_after(run: Path, board: Dataset) -> None:
    seen = view(run)
    time = int(board.events.time[-1])
    event = {"kind": "event", "user": "u01", "item": "i02", "event": "view"}
    note = forgotten("u01", time + 5)
    seen.apply([{**event, "time": time + 1, "sequence": 1}, {**note, "sequence": 2}])
    assert not (seen.state.events.user == 1).any()
    assert seen.data.user_ids.code("u01") == -1
    assert len(seen.state.events) == (board.events.user != 1).sum()
    seen.apply([{**event, "time": time + 9, "sequence": 3}])
    code = seen.data.user_ids.code("u01")
    assert code == board.n_users  # a newcomer: no array learned under the old code is theirs
    assert seen.state.history(np.array([code], np.int32), FOREVER)["item"].tolist() == [2]


def test_what_a_bundle_knows_from_after_the_deletion_stays(run: Path, board: Dataset) -> None:
    seen = view(run)
    mine = np.sort(board.events.time[board.events.user == 3])
    seen.apply([{**forgotten("u03", int(mine[2])), "sequence": 1}])
    kept = seen.state.history(np.array([seen.data.user_ids.code("u03")], np.int32), FOREVER)["time"]
    assert kept.tolist() == [t for t in mine if t > mine[2]]


def test_a_store_inside_the_bundle_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match="lies inside the bundle"):
        Live.open(run, run / "bundle" / "store")
    with pytest.raises(InputError, match="is not a bundle"):
        Live.open(run / "bundles", run / "store")


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_bytes(b"x" * file.stat().st_size)])
def test_a_spoilt_bundle_is_refused_by_name(run: Path, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    copy = Path(shutil.copytree((run / "bundle").resolve(), tmp_path / "copy"))
    spoil(copy / "users" / "events.parquet")
    with pytest.raises(InputError, match=r"users/events\.parquet"):
        Live.open(copy, tmp_path / "store")


def test_the_clocks() -> None:
    last = worlds.START
    log, wall = Clock("log", last), Clock("wall", last)
    assert last <= log.now() < last + worlds.MINUTE
    assert log.now(last + worlds.DAY) == last + worlds.DAY
    assert log.warning(last) is None
    assert wall.now() > last + worlds.DAY * 365
    assert "days before the wall clock" in str(wall.warning(last))
    assert wall.warning(wall.now() - worlds.DAY) is None
