"""``shortlist tune``: a recipe searched on the windows kept for choosing, and the best written back.

The test window is never read. What is there already is measured first, so that the recipe that comes out is, where it
was measured, at least as good as the one that went in. Parts that are named are searched by themselves; where none is,
the whole recipe is searched, as long as it is said.
"""

from __future__ import annotations

from pathlib import Path

from shortlist.recipe import Recipe
from shortlist.tuning import _rewrite, _study
from shortlist.tuning._named import named
from shortlist.tuning._plan import Asked
from shortlist.tuning._whole import whole
from shortlist.tuning._written import Keep, Tuned, Written


def tune(
    recipe: Recipe,
    text: str,
    asked: Asked,
    *,
    root: Path | None = None,
    name: str | None = None,
    earlier: Tuned | None = None,
    keep: Keep = lambda tuned: None,
) -> Tuned:
    """Searches what is asked for; a part finds those before it as they were tuned.

    ``text`` is the file the recipe was read from, ``name`` what the tuned one is called. Of a whole recipe, ``earlier``
    is gone on from, and ``keep`` is told after every try what there is. Raises ``InputError`` for a section that is not
    there or declares nothing to tune, and where ``earlier`` is of something else.
    """
    _study.library()
    _rewrite.library()
    seed = recipe.seed if asked.seed is None else asked.seed
    written = Written(text, recipe.name if name is None else name, keep)
    if asked.whole:
        return whole(recipe, asked, root, seed, written, earlier)
    document, changes = named(recipe, asked, root, seed)
    return Tuned(document, written.text_of(changes))


__all__ = ["Asked", "Tuned", "tune"]
