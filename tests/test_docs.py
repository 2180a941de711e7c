"""What the readme and docs/ say holds: generated parts, links, recipes, commands, requests, the channel they show."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from shortlist.experiment.design import Arm, Counted, Design, Experiment, Kept
from shortlist.experiment.design import parse as design_of
from shortlist.experiment.outcomes import METRICS
from shortlist.recipe import parse
from shortlist.registry import KINDS, entry, find
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
    """A script of the repository as a module; it finds its neighbours as if it were run."""
    folder = str((ROOT / path).parent)
    if folder not in sys.path:
        sys.path.append(folder)
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
    page = (ROOT / "docs/components.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind, name, _ in contract.found():
        assert f"[`{name}`](../src/shortlist/{kind}/{name}.py)" in page, (kind, name)
        assert f"`{name}`" in readme, (kind, name)


def test_every_key_is_told_at_its_component_or_once_where_it_is_shared():
    keys = script("docs/keys.py")
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    kinds = re.split(r"^### ", page.split("hyperparameters:begin")[1], flags=re.M)[1:]
    for kind, text in zip(KINDS, kinds, strict=True):
        told = {
            head: set(re.findall(r"^\| `(\w+)` \|", part, re.M))
            for head, part in re.findall(r"^#### ([^\n]+)\n(.*?)(?=^####|\Z)", text, re.M | re.S)
        }
        classes = {name: find(kind, name) for name in keys.own(kind) if entry(kind, name).available}
        common = keys.shared(classes)
        for name, cls in classes.items():
            above = [told[keys.heading(kind, base)] for base in common if issubclass(cls, base)]
            assert told[f"`{name}`"].union(*above) >= set(cls.model_fields), name
            inherited = [key for key, base in keys.definers(cls).items() if base in common]
            assert told[f"`{name}`"].isdisjoint(inherited), name


def test_deep_rankers_share_their_keys():
    keys = script("docs/keys.py")
    classes = {name: find("rank", name) for name in keys.own("rank") if entry("rank", name).available}
    if "deepfm" not in classes:
        pytest.skip("torch is not installed")
    shared = {keys.heading("rank", base): names for base, names in keys.shared(classes).items()}
    assert {"afm", "dcn", "deepfm", "xdeepfm"} <= set(shared["What deep rankers share"])
    assert "gbdt" not in shared["What deep rankers share"]


FIGURE = {"mean": 0.1234, "low": 0.1, "high": 0.2}
DOCUMENT = {
    "name": "movielens-100k",
    "data": {"events": 98765},
    "protocol": {"k": [10, 50], "opens": "1998-04-01T00:00:00Z", "requests": "replay"},
    "requests": 1234,
    "users": 56,
    "fit_seconds": 61.4,
    "peak_memory_bytes": 3 * 2**30,
    "fit_steps": {"evaluate": 2.25},
    "slate": {"ndcg@10": {**FIGURE, "mean": 0.1779}, "recall@50": FIGURE, "recall@10": FIGURE},
    "channels": {
        name: {"ndcg@10": {**FIGURE, "mean": mean}, "recall@50": FIGURE, "recall@all": FIGURE, "unique_hits": 7}
        for name, mean in {"hot": 0.11, "warm": 0.12, "cf": 0.13}.items()
    },
    "stages": {"merge": {"ndcg@10": FIGURE, "recall@50": FIGURE, "recall@all": FIGURE}, "rules": {}},
    "paired": {"cf": {"ndcg@10": {"diff": 0.01, "low": -0.001, "high": 0.021}}},
}


def test_figures_show_what_the_results_hold(monkeypatch):
    figures = script("bench/figures.py")
    results = {"funnel/results.json": {"movielens-100k": DOCUMENT}, "suite.json": {"said": "7 passed in 1.00s"}}
    monkeypatch.setattr(figures, "read", lambda path: results.get(path, {}))
    for words in (figures.ENGLISH, figures.CHINESE):
        text = figures.funnel(words)
        assert "| 1,234 | `cf` 0.130 | 0.123 [0.100, 0.200] | **0.178 [0.100, 0.200]** |" in text
        assert "+0.010 [-0.001, +0.021] |" in text
    printed = figures.demo()
    assert "$ make demo" in printed
    assert "fitted and evaluated in 61 s, peak memory 3.00 GiB" in printed
    assert "7 passed in 1.00s" in printed
    assert re.search(r"^cf +\.130 \(\.100, \.200\) \+\.010 \(-\.001, \+\.021\)", printed, re.M)


def test_peers_show_quality_and_time_and_where_ours_is_slower(monkeypatch):
    figures = script("bench/figures.py")
    quality = {"ndcg@10": {"shortlist": {"mean": 0.2}, "peer": {"mean": 0.19}}}
    seconds = {"1": {"shortlist": 2.0, "other": 3.0, "slow": 9.0}, "2": {"shortlist": 2.0, "other": 1.0, "slow": 9.0}}
    speed = {
        threads: {"events": 5000, "seconds": {name: {"wall": wall} for name, wall in walls.items()}}
        for threads, walls in seconds.items()
    }
    rows = {"recall/results/peers.als.json": {"quality": {"other": quality, "slow": quality}, "speed": speed}}
    monkeypatch.setattr(figures, "read", lambda path: rows.get(path, {}))
    monkeypatch.setattr(figures, "SHOWN", ("als",))
    text = figures.peers(figures.ENGLISH)
    assert "| `als` | other | 0.2000 | 0.1900 | fit 5,000 events: 2.00 s, theirs 3.00 s | 1.5 |" in text
    assert "Not always: with 2 threads `als` takes 2.00 s and other 1.00 s." in text


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_a_readme_is_read_to_the_end(name):
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 150


def test_the_two_readmes_say_the_same():
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))

    def skeleton(text):
        commands = re.findall(r"^(?:make|shortlist|curl) .*?(?=\s{2,}#|$)", text, re.M)
        figures = re.findall(r"\d+\.\d+", text)
        return commands, len(re.findall(r"^## ", text, re.M)), re.findall(r"(?:docs|bench)/[\w/-]+\.\w+", text), figures

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
    [
        pytest.param(p, t, id=f"{p.name}-{n}")
        for p in PAGES
        for n, t in enumerate(blocks(p, "toml"))
        if p.name != "experiments.md"
    ],
)
def test_recipes_parse(page, text, shop):
    tables = tomllib.loads(text)
    if "name" not in tables:  # a part of a recipe stands in the smallest whole one
        data = tables.get("data", BASE["data"])
        tables = {**BASE, **tables, "data": data if "source" in data else {**TABLES, **data}}
    recipe = parse(tables)
    assert recipe.name


def test_the_page_of_experiments_has_every_key():
    page = ROOT / "docs/experiments.md"
    (text,) = blocks(page, "toml")
    design = design_of(tomllib.loads(text))
    assert list(design.experiments) == ["diverse"]
    told = page.read_text(encoding="utf-8")
    for model in (Design, Experiment, Arm, Counted, Kept):
        for name in model.model_fields:
            assert re.search(rf"`(\w+(\.NAME)?\.)?{name}\b|\[{name}", told), name
    for name, metric in METRICS.items():
        assert f"| `{name}` |" in told, metric


def test_the_people_of_the_page_ask_a_pipeline(tmp_path, monkeypatch, capsys):
    from shortlist import train
    from shortlist.testing.closed_loop import recipe, write_log
    from shortlist.testing.population import Population

    write_log(Population(users=300, items=200, days=60, seed=0), tmp_path, 30)
    train.fit(parse(recipe("taste", tmp_path)), out=tmp_path / "runs/population", final=True)
    (code,) = blocks(ROOT / "docs/experiments.md", "python")
    (tmp_path / "people.py").write_text(code.replace("days=14", "days=1"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert len(runpy.run_path("people.py")["rows"]) > 500
    assert "position" in capsys.readouterr().out


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
    """What the commands of the readme and then of docs/data.md printed; ``serve`` is left to the next fixture."""
    from typer.testing import CliRunner

    from shortlist.cli import main as cli

    printed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pages = [after(ROOT / name, "own data", "bash") for name in ("README.md", "docs/data.md")]
        for line in "".join(pages).splitlines():
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


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_python_of_the_readme_works(name, ran, folder, monkeypatch):
    (code,) = blocks(ROOT / name, "python")
    monkeypatch.chdir(folder)
    Path("lines.py").write_text(code.replace("recipes/movielens-100k.toml", "ratings.toml"), encoding="utf-8")
    names = runpy.run_path("lines.py")
    assert len(code.splitlines()) == 8
    assert names["run"].bundle.exists()
    assert len(names["funnel"].recommend("196", n=10, explain=True)) == 10


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
