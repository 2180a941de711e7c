"""Profile columns say what the tables say."""

from dataclasses import replace

import numpy as np
import pytest

from shortlist.component import InputError

from .conftest import DAY, ITEMS, USERS, make


def test_codes_numbers_and_flags(world):
    columns = world.columns(make("profile", levels=3).fit(world.data))
    users, items = world.state.users, world.state.items
    levels = items.codes["genres"].levels
    flags = [name for name in columns if name.startswith("profile.item.genres=")]
    assert len(flags) == 3
    for r, (q, i) in enumerate(zip(world.candidates.request, world.candidates.item, strict=True)):
        u = world.requests.user[q]
        known_user, known_item = 0 <= u < USERS, i < ITEMS
        age = columns["profile.user.age"][r]
        assert age == users.numbers["age"][u] if known_user else np.isnan(age)
        gender = users.codes["gender"].values.row(u)["code"] if known_user else []
        assert columns["profile.user.gender"][r] == (gender[0] if len(gender) else -1)
        brand = items.codes["brand"].values.row(i)["code"] if known_item else []
        assert columns["profile.item.brand"][r] == (brand[0] if len(brand) else -1)
        price = items.numbers["price"][i] if known_item else np.nan
        np.testing.assert_array_equal(columns["profile.item.price"][r], price)
        released = columns["profile.item.released"][r]
        assert released == items.times["released"][i] / DAY if known_item else np.isnan(released)
        genres = {levels[c] for c in items.codes["genres"].values.row(i)["code"]} if known_item else set()
        assert columns["profile.item.genres.count"][r] == len(genres)
        for name in flags:
            assert columns[name][r] == (name.partition("=")[2] in genres)


def test_the_commonest_levels_are_kept(world):
    feature = make("profile", levels=1, item=["genres"], user=[]).fit(world.data)
    events, column = world.data.events, world.data.items.codes["genres"]
    seen = np.zeros(len(column.levels))
    for item in events.item:
        seen[column.values.row(item)["code"]] += 1
    assert list(world.columns(feature)) == [
        "profile.item.genres.count",
        f"profile.item.genres={column.levels[int(seen.argmax())]}",
    ]


def test_ids_are_optional(world):
    columns = world.columns(make("profile", ids=True, user=[], item=[]).fit(world.data))
    np.testing.assert_array_equal(columns["profile.item.id"], world.candidates.item)
    assert list(columns) == ["profile.user.id", "profile.item.id"]


def test_an_unknown_column_is_an_error(world):
    with pytest.raises(InputError, match="colour"):
        make("profile", item=["colour"]).fit(world.data)


def test_the_levels_stay_when_it_is_fitted_again(world):
    """A ranker was trained on the columns of the first fit; later events make other levels the commonest."""
    feature = make("profile", levels=1, item=["genres"], user=[])
    column = world.data.items.codes["genres"]
    events = world.data.events
    by_level = [np.isin(events.item, column.values.rows[column.values["code"] == code]) for code in range(2)]
    early, late = (events.take(np.flatnonzero(mine & ~other)) for mine, other in (by_level, by_level[::-1]))
    first = list(world.columns(feature.fit(replace(world.data, events=early))))
    assert list(world.columns(make("profile", **feature.config()).fit(replace(world.data, events=late)))) != first
    assert list(world.columns(feature.fit(replace(world.data, events=late)))) == first


def test_another_catalogue_is_chosen_from_anew(world):
    feature = make("profile", levels=2, item=["genres"], user=[]).fit(world.data)
    codes = world.data.items.codes["genres"]
    other = replace(codes, levels=tuple(f"new {level}" for level in codes.levels))
    items = replace(world.data.items, codes={**world.data.items.codes, "genres": other})
    feature.fit(replace(world.data, items=items))
    assert all(str(level).startswith("new ") for level in feature.levels_)
