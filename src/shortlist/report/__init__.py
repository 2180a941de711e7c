"""One self-contained page: what a run came to, for somebody who was not there.

No script, no font, no address outside: the page can be mailed, printed and read on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shortlist.documents import jsonable, write_text
from shortlist.report import _details, _draw, _experiment, _front, _picture, _prices, _sections, _words
from shortlist.report._comparison import body

if TYPE_CHECKING:
    from shortlist.evaluate import Evaluation


def write(evaluation: Evaluation, path: Path) -> None:
    """Writes the page of one run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page(evaluation.document))


def page(document: Mapping[str, Any]) -> str:
    """The page of one ``evaluation.json``."""
    document = jsonable(document)
    name = str(document.get("name", "evaluation"))
    asked = document["protocol"]
    kicker = f"Shortlist · evaluated on {_words.asked_of(asked)}"
    parts = (
        f'<header><p class="kicker">{kicker}</p><h1>{_draw.text(name)}</h1>',
        f'<p class="verdict">{_words.verdict(document)}</p>{_sections.cards(document)}</header>',
        _sections.funnel(document),
        _sections.leaderboard(document),
        _sections.differences(document),
        _prices.prices(document),
        _prices.prerank(document),
        _details.windows(document),
        _sections.additions(document),
        _sections.slices(document),
        _details.beyond(document),
        _details.scores(document),
        _details.figures(document),
        _details.seconds(document),
        _details.how(document),
        _details.provenance(document),
        "<footer>Every figure here is in evaluation.json; the lists themselves are in rows.parquet.</footer>",
    )
    return _draw.page(f"{name}: evaluation", _style(), "".join(parts))


def comparison(document: Mapping[str, Any]) -> str:
    """The page of what ``compare`` found."""
    document = jsonable(document)
    names = [run["name"] for run in document["runs"]]
    return _draw.page(f"{' against '.join(reversed(names))}", _style(), body(document))


def front(document: Mapping[str, Any]) -> str:
    """The page of what ``compare --along`` found."""
    document = jsonable(document)
    return _draw.page(str(document["setting"]), _style(), _front.body(document))


def experiment(document: Mapping[str, Any]) -> str:
    """The page of what an experiment came to."""
    document = jsonable(document)
    return _draw.page(f"{document['experiment']}: experiment", _style(), _experiment.body(document))


def picture(document: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """The funnel with its figures as one SVG file, from ``evaluation.json`` and the tables of the recipe behind it."""
    return _picture.svg(jsonable(document), recipe, _file("colours.css"))


def _style() -> str:
    return _file("colours.css") + _file("page.css")


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
