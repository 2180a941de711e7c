"""What the readme and docs/ say holds: generated parts, links, recipes, commands, requests, the channel they show."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from shortlist.recipe import parse
from shortlist.testing import contract

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md"))]
BASE = {
    "name": "page",
    "data": {"source": "movielens-100k", "split": {"test": 0.9}},
    "recall": {"hot": {"type": "popular"}},
}
TABLES = {"source": "tables", "split": {"test": 0.9}, "events": {"path": "log.csv"}}


def script(path: str):
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def after(page: Path, marker: str, language: str) -> str:
    """The code block behind ``<!-- marker -->``."""
    text = page.read_text(encoding="utf-8").split(f"<!-- {marker} -->")[1]
    return re.search(rf"```{language}\n(.*?)```", text, re.S)[1]


# Generated parts


@pytest.mark.parametrize("path", ["docs/components.py", "bench/figures.py"])
def test_generated_parts_are_in_step(path):
    assert script(path).stale(write=False) == [], "run make docs"


def test_generated_parts_name_every_component():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for kind, name, _ in contract.found() if f"(src/shortlist/{kind}/{name}.py)" not in text]
    assert missing == []


def test_figures_show_what_the_results_hold(monkeypatch):
    figures = script("bench/figures.py")
    ndcg = {"ndcg@10": {"mean": 0.12341, "low": 0.1, "high": 0.2}, "recall@50": {"mean": 0.5}}
    document = {
        "protocol": {"k": [10, 50], "opens": "1998-04-01T00:00:00Z", "requests": "replay"},
        "requests": 1234,
        "users": 56,
        "slate": ndcg,
        "channels": {"hot": {**ndcg, "unique_hits": 7}},
        "stages": {"merge": ndcg, "rules": {"seen": ndcg}},
        "paired": {"hot": {"ndcg@10": {"diff": 0.01, "low": -0.001, "high": 0.021}}},
    }
    monkeypatch.setattr(figures, "read", lambda path: {"log": document} if path.startswith("funnel") else {})
    for words in (figures.ENGLISH, figures.CHINESE):
        text = figures.everything(words)
        assert "| hot | 0.1234 | [0.1000, 0.2000] | +0.0100 [-0.0010, +0.0210] | 0.500 | 7 |" in text
        assert "1,234" in text
        assert "shortlist fit recipes/log.toml" in text


def test_the_two_readmes_say_the_same():
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))

    def skeleton(text):
        commands = re.findall(r"^(?:make|shortlist|curl) .*?(?=\s{2,}#|$)", text, re.M)
        return commands, len(re.findall(r"^## ", text, re.M)), re.findall(r"docs/\w+\.md", text)

    assert skeleton(english) == skeleton(chinese)


# Links


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text)
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# Recipes


@pytest.mark.parametrize(
    ("page", "text"),
    [pytest.param(p, t, id=f"{p.name}-{n}") for p in PAGES for n, t in enumerate(blocks(p, "toml"))],
)
def test_recipes_parse(page, text, shop):
    tables = tomllib.loads(text)
    if "name" not in tables:  # a part of a recipe stands in the smallest whole one
        data = tables.get("data", BASE["data"])
        tables = {**BASE, **tables, "data": data if "source" in data else {**TABLES, **data}}
    recipe = parse(tables)
    assert recipe.name


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_of_the_repository_parse(path):
    assert parse(tomllib.loads(path.read_text(encoding="utf-8"))).name == path.stem


# The channel and the ranker of docs/extending.md


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """``my_shop.channels`` with the channel of the page, importable."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "my_shop").mkdir()
    (folder / "my_shop" / "__init__.py").touch()
    code = after(ROOT / "docs/extending.md", "channel", "python")
    (folder / "my_shop" / "channels.py").write_text(code, encoding="utf-8")
    code = after(ROOT / "docs/extending.md", "ranker", "python")
    (folder / "my_shop" / "rankers.py").write_text(code, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield importlib.import_module("my_shop.channels")
    sys.path.remove(str(folder))
    for name in ("my_shop.channels", "my_shop.rankers", "my_shop"):
        sys.modules.pop(name, None)


def test_the_channel_of_the_page_keeps_the_contract(shop):
    contract.check("recall", shop.Rising)


def test_the_ranker_of_the_page_keeps_the_contract(shop):
    pytest.importorskip("torch")
    contract.check("rank", importlib.import_module("my_shop.rankers").Product)


# Commands and requests, on a small log


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """ratings.csv and films.csv with the ids that the pages use."""
    folder = tmp_path_factory.mktemp("own")
    draw = np.random.default_rng(0)
    users, items = ["196", "7", *map(str, range(500, 540))], ["242", *map(str, range(302, 350))]
    time = 1_700_000_000 + np.cumsum(draw.integers(60, 3000, 3000))
    lines = []
    for moment in time:
        user = draw.integers(len(users))
        item = (user % 4 + 4 * draw.integers(12)) if draw.random() < 0.8 else draw.integers(len(items))
        lines.append(f"{users[user]},{items[item]},{draw.choice([1, 2, 3, 4, 4, 5, 5])},{moment}")
    (folder / "ratings.csv").write_text("\n".join(["user,item,rating,time", *lines, ""]))
    genres = ["Comedy", "Drama", "Romance", "Action"]
    films = [f"{item},Film number {item},{genres[n % 4]}|{genres[n // 4 % 4]}" for n, item in enumerate(items)]
    (folder / "films.csv").write_text("\n".join(["item,title,genres", *films, ""]))
    return folder


@pytest.fixture(scope="module")
def ran(folder):
    """What the commands under "Your own data" printed, by command; ``serve`` is left to the next fixture."""
    from typer.testing import CliRunner

    from shortlist.cli import main as cli

    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in after(ROOT / "README.md", "own data", "bash").splitlines():
            if line.startswith("shortlist serve"):
                continue
            if line.startswith("shortlist "):
                run = CliRunner().invoke(cli.app, shlex.split(line, comments=True)[1:])
                assert run.exit_code == 0, (line, run.output, run.exception)
                printed[line.split("#")[0].strip()] = run.output
            else:
                subprocess.run(line, shell=True, check=True)
    return printed


def test_the_commands_of_the_readme_work(ran, folder):
    assert len(ran) == 10
    assert (folder / "features.html").is_file()
    assert (folder / "ratings-tuned.toml").is_file()
    assert (folder / "runs/ratings/bundle/manifest.json").is_file()
    assert json.loads((folder / "runs/ratings/bundle/manifest.json").read_text())["final"] is True
    assert {path.name for path in (folder / "runs/tuned").iterdir()} >= {
        "bundle",
        "evaluation.json",
        "rows.parquet",
        "report.html",
    }
    assert (folder / "slates.parquet").is_file()


@pytest.fixture(scope="module")
def client(ran, folder):
    """The service that ``shortlist serve`` runs, on the bundle the commands left."""
    testing = pytest.importorskip("fastapi.testclient")
    from shortlist.serve.app import create
    from shortlist.serve.live import Live

    live = Live.open(folder / "runs/ratings/bundle", folder / "store", "log")
    with testing.TestClient(create(live)) as client:
        yield client


def requests_of(page: Path) -> list[list[str]]:
    """Every curl command in the code blocks of a page, as words."""
    text = "\n".join(blocks(page, "bash")).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("curl")]


def test_the_requests_of_the_pages_work(client):
    asked = [words for page in (ROOT / "README.md", ROOT / "docs/serving.md") for words in requests_of(page)]
    assert len(asked) >= 12
    asked.sort(key=lambda words: "DELETE" in words)  # last: the others ask about the same user
    version = client.get("/v1/bundles").json()["bundles"][0]["bundle"]
    slates = 0
    for words in asked:
        url = next(word for word in words if word.startswith("http://127.0.0.1:8000"))
        body = words[words.index("-d") + 1].replace("BUNDLE", version) if "-d" in words else None
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
        headers = {"content-type": "application/json"} if body else {}
        answer = client.request(method, url.removeprefix("http://127.0.0.1:8000"), content=body, headers=headers)
        assert answer.status_code in (200, 202), (words, answer.text)
        if "/recommendations" in url:
            slates += len(answer.json()["items"]) > 0
            assert set(answer.json()) >= {"request_id", "bundle", "arms", "items"}
        if "/events" in url:
            assert answer.json() == {"accepted": 1, "rejected": []}
    assert slates >= 4


def test_the_errors_of_the_data_page_are_those_one_gets(folder, ran, monkeypatch):
    """The four lines under Errors, produced."""
    shown = re.findall(r"^error: (.+)$", (ROOT / "docs/data.md").read_text(encoding="utf-8"), re.M)
    from shortlist import train
    from shortlist.component import InputError
    from shortlist.recipe import read

    lines = (folder / "ratings.csv").read_text().splitlines()
    cells = lines[4].split(",")
    cells[2] = "four"
    (folder / "bad.csv").write_text("\n".join([*lines[:4], ",".join(cells), *lines[5:], ""]))
    draft = (folder / "ratings.toml").read_text()
    wrong = [("ratings.csv", "bad.csv"), ('"rating"', '"stars"'), ("ratings.csv", "nowhere.csv")]
    wrong.append(("rating =", "ratings ="))
    monkeypatch.chdir(folder)
    got = []
    for number, (old, new) in enumerate(wrong):
        path = folder / f"wrong{number}.toml"
        path.write_text(draft.replace(old, new))
        recipe = read(path)
        with pytest.raises(InputError) as error:
            train.load(recipe)
        got.append(str(error.value))
    assert got == shown
