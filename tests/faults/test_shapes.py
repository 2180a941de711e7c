"""Faults in how files are looked at: lists and times as programs write them, headers, lists of people."""

from __future__ import annotations

import gzip
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shortlist as sl
from shortlist import train
from shortlist.component import InputError
from shortlist.data import ids, iso
from shortlist.data.doubts import times
from shortlist.data.sources._lists import entries
from shortlist.data.sources.tables import load
from shortlist.data.spec import DataSpec
from shortlist.draft import draft
from shortlist.progress import listening
from shortlist.recipe import parse

START = 1_704_067_200
D = [(f"u{n % 6}", f"i{n * 7 % 5}", START + 3600 * n) for n in range(48)]
EVENTS = [(user, item, time * 1_000_000) for user, item, time in D]


def fitted(root: Path, more: dict | None = None, **events):
    """The tables as ``fit`` reads them."""
    spec = {"events": {"path": "log.csv", **events}, **(more or {})}
    return load(DataSpec.model_validate(spec), root)


def drafted(root: Path, **tables: str):
    """The text that ``init`` writes, and the tables as ``fit`` reads them by it."""
    paths = {name: root / file for name, file in tables.items()}
    text = draft(root / "log.csv", **paths)
    return text, load(DataSpec.model_validate(tomllib.loads(text)["data"]), None)


def rows(raw):
    return raw.events.select("user", "item", "time").rows()


def log(*, header: str = "user,item,time", separator: str = ",", when=str) -> str:
    return header + "\n" + "".join(f"{u}{separator}{i}{separator}{when(t)}\n" for u, i, t in D)


# R6: lists as text

GENRES = [
    ('["Sci-Fi, Fantasy", "Drama"]', ["Sci-Fi, Fantasy", "Drama"]),
    ('["\\u559c\\u5267"]', ["喜剧"]),
    ('["\\ud83d\\ude00", "a\\"b"]', ["😀", 'a"b']),
    ("['it\\'s', \"it's\", u'x', None]", ["it's", "it's", "x"]),
    ("['a' 'b, c'\n 'd']", ["a", "b, c", "d"]),
    ("array(['a', 'b'], dtype=object)", ["a", "b"]),
    ("[1 2 3]", ["1", "2", "3"]),
    ("[1, 2]", ["1", "2"]),
    ('{a,"b c",NULL,"d\\"e"}', ["a", "b c", 'd"e']),
    ("{'a', 'b'}", ["a", "b"]),
    ("('a',)", ["a"]),
    ('[{"id": 1, "name": "Drama"}, {"id": 2, "name": "Sci-Fi, Fantasy"}]', ["Drama", "Sci-Fi, Fantasy"]),
    ("[{'id': 16, 'name': 'Animation', 'more': {'a': [1]}}]", ["Animation"]),
    ('[{"genre": "Drama"}]', ["Drama"]),
    ('[["Books"], ["Books", "Fiction"]]', ["Books", "Books", "Fiction"]),
    ("[Sci-Fi, Drama]", ["Sci-Fi", "Drama"]),
    ("List(a, b)", ["a", "b"]),
    ("[np.str_('a'), np.str_('b (c)'), np.int64(7)]", ["a", "b (c)", "7"]),
    ("[Rock (Alternative), Pop]", ["Rock (Alternative)", "Pop"]),
    ('"[\\"a\\", \\"b\\"]"', ["a", "b"]),
    ('Drama, "Sci-Fi, Fantasy"', ["Drama", "Sci-Fi, Fantasy"]),
    ("[]", []),
    ("nan", []),
]


@pytest.mark.parametrize(("cell", "names"), GENRES)
def test_r6_a_list_as_programs_write_it(tmp_path, cell, names):
    assert entries(cell, "[,]") == names
    (tmp_path / "log.csv").write_text(log())
    pl.DataFrame({"item": ["i0", "i1"], "genres": [cell, '["other"]']}).write_csv(tmp_path / "items.csv")
    items = {"path": "items.csv", "columns": {"genres": {"kind": "list", "separator": "[,]"}}}
    assert fitted(tmp_path, {"items": items}).items["genres"].to_list() == [names or None, ["other"]]


@pytest.mark.parametrize(
    "cell", ["['a', 'b'", '["a"] b', "['a' ... 'z']", "[('Drama', 0.9)]", '{"Drama": 1, "War": 2}']
)
def test_r6_what_cannot_be_told_is_a_fault_with_its_place(tmp_path, cell):
    (tmp_path / "log.csv").write_text(log())
    pl.DataFrame({"item": ["i0", "i1"], "genres": ["['a']", cell]}).write_csv(tmp_path / "items.csv")
    items = {"path": "items.csv", "columns": {"genres": {"kind": "list", "separator": "[,]"}}}
    with pytest.raises(InputError, match=r"items\.csv: row 3, column genres \(genres\): expected a list such as"):
        fitted(tmp_path, {"items": items})


names = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda n: n == n.strip()), max_size=5
)


@given(names)
def test_r6_json_python_and_postgresql_write_one_list(listed):
    import json

    kept = [name for name in listed if name]
    quoted = ",".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in listed)
    assert entries(json.dumps(listed), "[,]") == kept
    assert entries(json.dumps(listed, ensure_ascii=False), "[,]") == kept
    assert entries(json.dumps([{"id": 1, "name": name} for name in listed]), "[,]") == kept
    assert entries(repr(listed), "[,]") == kept
    assert entries("{" + quoted + "}", "[,]") == kept


def test_r6_lists_of_objects_in_the_file_itself(tmp_path):
    (tmp_path / "log.csv").write_text(log())
    genres = [[{"id": 1, "name": "Drama"}, {"id": 2, "name": "Sci-Fi, Fantasy"}], []]
    tags = [[{"id": 1, "word": "a"}], [{"id": 2, "word": "b"}]]
    frame = pl.DataFrame({"item": ["i0", "i1"], "genres": genres, "tags": tags, "deep": [[["a"], ["b"]], [["a"]]]})
    frame.write_parquet(tmp_path / "items.parquet")
    text, raw = drafted(tmp_path, items="items.parquet")
    assert 'tags = { kind = "list", field = "word" }' in text
    assert raw.items.drop("item").rows() == [(["Drama", "Sci-Fi, Fantasy"], ["a"], ["a", "b"]), (None, ["b"], ["a"])]
    items = {"path": str(tmp_path / "items.parquet"), "columns": {"tags": "list"}}
    with pytest.raises(InputError, match=r"items.parquet: column tags: .*found id, word: say which one is the name"):
        fitted(tmp_path, {"items": items})


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (['["Sci-Fi, Fantasy"]', '["Drama"]'], 'genres = { kind = "list", separator = "[,]" }'),
        (['{a,"b c"}', "{d}"], 'genres = { kind = "list", separator = "[,]" }'),
        (['[{"id": 1, "name": "a"}]', "[]"], 'genres = { kind = "list", separator = "[,]" }'),
        (['[{"id": 1, "word": "a"}]', '[{"id": 2, "word": "b"}]'], 'separator = "[,]", field = "word" }'),
        (
            ['[{"x": "q", "word": "a"}]', '[{"x": "r", "word": "b"}]'],
            "# question: genres: lists of objects: which field",
        ),
        (["[Sci-Fi, Drama]", "[War]"], "# question: genres: its names have no quotes: may one hold a comma?"),
        (["[('Drama', 0.9)]", "[('War', 0.1)]"], "# question: genres: looks like lists, but what they list"),
        (["War, Drama", "Drama"] * 10, "# question: genres: a list cut at commas"),
    ],
)
def test_r6_the_draft_asks_what_it_cannot_tell(tmp_path, cells, said):
    (tmp_path / "log.csv").write_text(log())
    item = [f"i{n}" for n in range(len(cells))]
    pl.DataFrame({"item": item, "genres": cells}).write_csv(tmp_path / "items.csv")
    text, raw = drafted(tmp_path, items="items.csv")
    assert said in text
    if "which field" not in said and "cannot be told" not in text:
        assert raw.kinds["items"]["genres"] == "list"


# R7: ISO 8601

TEN = datetime(2024, 1, 5, 10, tzinfo=UTC)
WRITTEN = [
    "2024-01-05 10:00:00+00",
    "2024-01-05T10:00:00Z",
    "2024-01-05t10:00:00z",
    "2024-01-05 15:30:00+0530",
    "2024-01-05 15:30:00.000+05:30",
    "2024-01-05T05:00:00−05:00",
    "2024-01-05 10:00:00.0000000 +00:00",
    "2024-01-05 10:00:00.000000000 +0000 UTC",
    "2024-01-05 10:00:00 GMT",
    "2024-01-05T11:00+01:00[Europe/Paris]",
    "2024-01-05T10:00",
    "2024-01-05 10:00",
    "2024-01-05T10:00Z",
    "2024-01-05T10",
    "2024-01-05T10:00:00,000",
    "20240105T100000Z",
    "20240105T100000+0000",
    "20240105T1000",
    "20240105 100000",
    "2024-W01-5T10:00:00",
    "2024-005T10:00:00",
    "2024-01-04T24:00:00-10:00",
]


@pytest.mark.parametrize("cell", WRITTEN)
def test_r7_init_and_fit_read_iso_8601_alike(tmp_path, cell):
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f'u{n},i{n % 2},"{cell}"\n' for n in range(3)))
    _, raw = drafted(tmp_path)
    assert set(raw.events["time"]) == set(fitted(tmp_path).events["time"]) == {int(TEN.timestamp()) * 1_000_000}


def test_r7_every_row_may_be_written_in_its_own_way(tmp_path):
    many = ["2024-01-05 10:00:00"] * 3000 + WRITTEN
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f'u,i{n % 2},"{c}"\n' for n, c in enumerate(many)))
    assert fitted(tmp_path).events["time"].n_unique() == 1


@pytest.mark.parametrize(
    "cell",
    ["2024-02-30", "2024-01-05T25:00", "2024-01-05T10:61", "2024-13-01", "1704448800", "2024", "soon", "٢٠٢٤-٠١-٠٥"],
)
def test_r7_what_is_no_moment(cell):
    assert iso.moment(cell) is None


@given(
    st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)), st.integers(-1439, 1439), st.sampled_from(["T", " ", "t"])
)
def test_r7_any_moment_in_any_zone(when, minutes, between):
    exact = int((when - datetime(1970, 1, 1)).total_seconds() // 1) * 1_000_000 + when.microsecond
    hours, rest = divmod(abs(minutes), 60)
    zone = f"{'+' if minutes >= 0 else '-'}{hours:02}:{rest:02}"
    extended = when.strftime(f"%Y-%m-%d{between}%H:%M:%S.%f")
    assert iso.moment(extended) == exact
    assert iso.moment(extended + zone) == exact - minutes * 60_000_000
    basic = when.strftime("%Y%m%dT%H%M%S") + f",{when.microsecond:06}" + zone.replace(":", "")
    assert iso.moment(basic) == exact - minutes * 60_000_000


# R8: headers, and what stands above them


@pytest.mark.parametrize(
    "text",
    [
        log(header="user, item, time"),
        log(header=" user , item , time "),
        '"user", "item", "time"\n' + "".join(f'"{u}", "{i}", "{t}"\n' for u, i, t in D),
        log(header="user, item, time", separator=", "),
        log(header="\ufeffuser, item, time"),
        log(header='\ufeff"user","item","time"'),
        "sep=,\n" + log(),
        "\ufeffsep=,\n" + log(),
        '"sep=;"\r\n' + log(header="user;item;time", separator=";").replace("\n", "\r\n"),
        "\n\n" + log(),
        log().replace("\n", "\r"),
        "sep=\t\n" + log(header="user\titem\ttime", separator="\t"),
        log(header="user:: item:: time", separator="::"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_r8_a_header_is_read_alike_by_init_and_fit(tmp_path, text, encoding):
    (tmp_path / "log.csv").write_bytes(text.encode(encoding))
    _, raw = drafted(tmp_path)
    assert rows(raw) == EVENTS
    how = {"separator": "::"} if "::" in text else {"separator": ";"} if ";" in text else {}
    if not how and encoding == "utf-8":
        assert rows(fitted(tmp_path)) == EVENTS
    assert rows(fitted(tmp_path, encoding=encoding, **how)) == EVENTS


def test_r8_a_row_below_the_line_of_spreadsheets_is_counted_right(tmp_path):
    (tmp_path / "log.csv").write_text("\nsep=;\nuser;item;time\na;x;1\nb;y;soon\n")
    with pytest.raises(InputError, match=r"log\.csv: row 5, column time \(time\): .*found 'soon'"):
        fitted(tmp_path)
    (tmp_path / "log.csv").write_text("\nsep=;\nuser;item;time\na;x;1\nb;y;2;3\n")
    with pytest.raises(InputError, match=r"log\.csv: row 5: expected 3 columns, found 4"):
        fitted(tmp_path)


def test_r8_blanks_are_kept_where_the_header_has_none(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,time\n a,x y,1\nb , z,2\n")
    assert fitted(tmp_path).events.select("user", "item").rows() == [(" a", "x y"), ("b ", " z")]


def test_r8_blanks_in_names_are_shown_where_they_matter(tmp_path):
    pl.DataFrame({"user": ["a"], "item ": ["x"], "time": [1]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(InputError, match="which column is item, found user, 'item ', time"):
        fitted(tmp_path, path="log.parquet")


def test_r8_init_refuses_what_fit_refuses(tmp_path):
    (tmp_path / "log.csv").write_text(log() + "u1,i1,5,6\n")
    messages = []
    for read in (lambda: draft(tmp_path / "log.csv"), lambda: fitted(tmp_path)):
        with pytest.raises(InputError) as error:
            read()
        messages.append(str(error.value).split("log.csv: ")[1])
    assert messages[0] == messages[1]
    assert messages[0].startswith("row 50: expected 3 columns, found 4")


def test_r8_quotes_inside_cells_are_drafted_as_such(tmp_path):
    text = "user,item,title,time\n" + "".join(f'u{n % 6},i{n % 5},27" tv,{START + n}\n' for n in range(20))
    (tmp_path / "log.csv").write_text(text + f'u1,"i9,x,{START + 99}\nu2,i3,y,{START + 100}\n')
    text, raw = drafted(tmp_path)
    assert raw.events.height == 22


# R9: the list of people


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.txt", b"u1\nu2\n"),
        ("u.txt", b"\xef\xbb\xbfu1\nu2\n"),
        ("u.txt", b"u1\r\n\r\nu2"),
        ("u.txt", b"u1\ru2\r"),
        ("u.txt", "u1\nu2\n".encode("utf-16")),
        ("u.csv", b'\xef\xbb\xbf"u1"\n"u2"\n'),
        ("u.csv", b"user\nu1\nu2\n"),
        ("u.csv", b"\xef\xbb\xbfuser\nu1\nu2\n"),
        ("u.csv", b"sep=;\r\nage;user_id\r\n3;u1\r\n4;u2\r\n"),
        ("u.csv", b"user, age\nu1, 3\nu2, 4\n"),
        ("u.csv.gz", gzip.compress(b"user,age\nu1,3\nu2,4\n")),
    ],
)
def test_r9_a_list_of_people_is_read_as_tables_are(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert ids.read(tmp_path / name, "user") == ["u1", "u2"]


def test_r9_ids_are_those_the_log_has(tmp_path):
    frame = pl.DataFrame({"user_id": [1.0, None, 3.0], "x": ["a", "b", "c"]})
    frame.write_parquet(tmp_path / "u.parquet")
    assert ids.read(tmp_path / "u.parquet", "user") == ["1", "3"]
    frame.select(pl.col("user_id").cast(pl.Int64).cast(pl.String).cast(pl.Categorical)).write_parquet(tmp_path / "c.pq")
    assert ids.read(tmp_path / "c.pq", "user") == ["1", "3"]
    (tmp_path / "u.txt").write_text('user-7\nother user\n"a,b"\n  c\n😀\n')
    assert ids.read(tmp_path / "u.txt", "user") == ["user-7", "other user", "a,b", "  c", "😀"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "u.txt",
            b"id,age\nu1,3\n",
            "expected one id a line, or a header with a column user, found the columns 'id,age'",
        ),
        ("u.txt", b"", "empty"),
        ("u.txt", b"\n\n", "empty"),
        ("u.txt", b"u1\nu\xe9\n", "row 2: expected utf-8"),
        ("u.db", b"x", "query"),
    ],
)
def test_r9_what_is_no_list_of_people(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        ids.read(tmp_path / name, "user")


def test_r7_recipes_and_options_read_moments_as_files_do():
    from shortlist.answer import batch
    from shortlist.face import log as face

    when = int(TEN.timestamp()) * 1_000_000
    for written in WRITTEN:
        assert batch.moment(written) == face.moment("until", written) == when
        filters = {"time": {"after": written}}
        spec = DataSpec.model_validate({"events": {"path": "log.csv", "filters": filters}})
        assert spec.events.filters.time.after.replace(tzinfo=UTC) == TEN


# R11: tables that share no ids


def warned(root: Path, more: dict | None = None, **events) -> list[str]:
    """What a listener hears while the tables are read; the same lines stay with them."""
    heard: list[str] = []
    with listening(lambda name, said: heard.append(said["message"]) if name == "warning" else None):
        raw = fitted(root, more, **events)
    assert list(raw.doubts) == heard
    return heard


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("{}.0".format, "without .0 5 would"),
        ("00{}".format, "without leading zeros 5 would"),
        (" {}".format, "without blanks around them 5 would"),
        ("x{}".format, None),
    ],
)
def test_r11_a_catalogue_that_shares_no_id(tmp_path, change, hint):
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"{u},{change(i[1:])},{t}\n" for u, i, t in D))
    (tmp_path / "items.csv").write_text("item,price\n" + "".join(f"{n},1\n" for n in range(5)))
    (line,) = warned(tmp_path, {"items": {"path": "items.csv", "columns": {"price": "number"}}})
    assert line.startswith(f"items: 0 of 5 ids (item) occur in the log, such as '0' here and {change('0')!r} there")
    assert line.endswith(hint or "there")


def test_r11_every_table_is_told_of(tmp_path):
    (tmp_path / "log.csv").write_text(log())
    (tmp_path / "users.csv").write_text("user,age\nU0,3\nU1,4\n")
    (tmp_path / "kg.csv").write_text("head,relation,tail\nm1,by,e1\n")
    (tmp_path / "ties.csv").write_text("user,friend\n100,200\n")
    (tmp_path / "shown.csv").write_text(f"user,item,time\nv1,z1,{START}\n")
    tables = {
        name: {"path": f"{file}.csv"} for name, file in (("triples", "kg"), ("ties", "ties"), ("exposures", "shown"))
    }
    more = {**tables, "users": {"path": "users.csv", "columns": {"age": "number"}}}
    told = warned(tmp_path, more)
    assert [line.split(",")[0] for line in told] == [
        "users: 0 of 2 ids (user) occur in the log",
        "exposures: 0 of 1 ids (item) occur in the log",
        "exposures: 0 of 1 ids (user) occur in log and users",
        "triples: 0 of 2 ids (head or tail) occur in the log",
        "ties: 0 of 2 ids (user or friend) occur in log and users",
    ]
    assert "in small letters 2 would" in told[0]


def test_r11_tables_that_meet_are_not_told_of(tmp_path):
    (tmp_path / "log.csv").write_text(log())
    (tmp_path / "items.csv").write_text("item,price\ni1,1\nnew,2\n")
    (tmp_path / "kg.csv").write_text("head,relation,tail\nnew,by,e1\n")
    (tmp_path / "ties.csv").write_text("user,friend\nu1,stranger\n")
    more = {"items": {"path": "items.csv"}, "triples": {"path": "kg.csv"}, "ties": {"path": "ties.csv"}}
    assert warned(tmp_path, more) == []


# R12: times that cannot be meant

NOW = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (
            ["2024-01-01", "9999-12-31"],
            "1 of 2 times lie ahead of the clock (2025-06-01T00:00), the last at 9999-12-31T00:00",
        ),
        (["2024-01-01", "2025-06-01T02:00"], "1 of 2 times lie ahead of the clock"),
        (["2024-01-01", "1970-01-01"], "1 of 2 times lie before 1990, the first at 1970-01-01T00:00"),
        (["2024-01-01", "2025-06-01T00:00:30"], None),
        (["1995-01-01"], None),
    ],
)
def test_r12_times_before_1990_and_ahead_of_the_clock(time, said):
    found = times(iso.micro(pl.Series(time)).to_numpy(), NOW)
    assert [line[: len(said or "")] for line in found] == ([said] if said else [])


@pytest.mark.parametrize(
    ("when", "how", "said"),
    [
        (lambda t: t * 1000, {"time_unit": "s"}, "events: 48 of 48 times lie ahead of the clock"),
        (lambda t: t, {"time_unit": "ms"}, "events: 48 of 48 times lie before 1990, the first at 1970-01-20"),
        (lambda t: 253_402_214_400 if t == START else t, {}, "events: 1 of 48 times lie ahead of the clock"),
    ],
)
def test_r12_a_fit_is_warned_and_its_bundle_says_so(tmp_path, when, how, said):
    (tmp_path / "log.csv").write_text(log(when=when))
    assert [line[: len(said)] for line in warned(tmp_path, **how)] == [said]
    recipe = parse(
        {
            "name": "d",
            "data": {"split": {"test": 0.8}, "events": {"path": "log.csv", **how}},
            "recall": {"hot": {"type": "popular"}},
        }
    )
    done = train.fit(recipe, root=tmp_path, out=tmp_path / "run")
    assert [line[: len(said)] for line in done.manifest["data"]["doubts"]] == [said]
    assert done.evaluation.document["data"]["doubts"] == done.manifest["data"]["doubts"]


def test_r12_the_draft_asks(tmp_path):
    (tmp_path / "log.csv").write_text(log() + "u1,i1,253402214400\n")
    text, _ = drafted(tmp_path)
    assert "# question: 1 of 49 times lie ahead of the clock" in text


def test_r12_dates_of_a_catalogue(tmp_path):
    (tmp_path / "log.csv").write_text(log())
    items = {"path": "items.csv", "columns": {"out": "time"}}
    for written, said in (
        ("1942-05-01", []),
        ("2099-01-01", []),
        (
            "9999-12-31",
            ["items: out: 2 of 2 dates lie past 2200, the last at 9999-12-31T00:00: is it another time_unit?"],
        ),
        ("1970-08-23", ["items: out: 2 of 2 dates lie in 1970: is it another time_unit or time_format?"]),
    ):
        (tmp_path / "items.csv").write_text(f"item,out\ni1,{written}\ni2,{written}\n")
        assert warned(tmp_path, {"items": items}) == said


def test_r8_a_mark_for_nothing_that_init_takes_is_one_to_fit(tmp_path):
    (tmp_path / "log.csv").write_text(
        "user,item,rating,time\n" + "".join(f"{u},{i},{'?' if t // 3600 % 5 else 3},{t}\n" for u, i, t in D)
    )
    (tmp_path / "items.csv").write_text("item,price\ni0,?\ni1,1.5\ni2,2.5\ni3,?\n")
    text, raw = drafted(tmp_path, items="items.csv")
    assert text.count('null_values = ["", "?"]') == 2
    assert raw.items["price"].to_list() == [None, 1.5, 2.5, None]


def test_r12_a_notebook_is_warned():
    frame = pl.DataFrame(D, schema=["user", "item", "time"], orient="row")
    ahead = frame.with_columns(time=pl.when(pl.col("time") == START).then(253_402_214_400).otherwise("time"))
    with pytest.warns(UserWarning, match="events: 1 of 48 times lie ahead of the clock"):
        sl.read(ahead)
