"""Every ranker that reads tables, beside the same model of another library; and rankers in the funnel.

    python bench/rank/run.py --data DIR [--only WORD ...] [--seeds N] [--again] [--tune | --speed | --funnel | --page]

A row is TABLE/MODEL, kept in ``results/`` seed by seed, so that the table grows in pieces: what is there with the same
settings is not measured again (``--again`` does). ``--only`` restricts to the tables and models named. ``--tune``
chooses settings on rows that are not reported (``plan.toml`` says what is tried), ``--speed`` times training,
``--funnel`` measures rankers in the committed recipes; without these the seeds that are missing are added.
``--data`` holds the folders ``frappe-libfm`` and ``movietweetings``; without it these are left out. Several processes
may run side by side with different ``--only``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import entrants  # noqa: E402
import page  # noqa: E402
import quality  # noqa: E402
import torch  # noqa: E402
from results import HERE, RESULTS, kept, say  # noqa: E402
from splits import TABLES, here  # noqa: E402

FUNNELS = ["movielens-100k", "movietweetings"]


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder that holds the data sets' folders")
    parser.add_argument("--only", nargs="*", default=[], help="tables and models; with --funnel recipes and rankers")
    parser.add_argument("--seeds", type=int, default=10, help="at most so many (adult: 5)")
    parser.add_argument("--again", action="store_true", help="measure rows again that are there")
    for what in ("tune", "speed", "funnel", "page"):
        parser.add_argument(f"--{what}", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.funnel:
        import funnel

        funnel.run(asked, FUNNELS)
    elif not asked.page:
        tabular(asked)
    page.write(RESULTS, HERE / "RESULTS.md")


def tabular(asked: argparse.Namespace) -> None:
    """The plain tables."""
    models = entrants.entrants()
    if unknown := sorted(set(asked.only) - {*TABLES, *models}):
        raise SystemExit(f"--only {' '.join(unknown)}: expected some of {', '.join([*TABLES, *models])}")
    for name in TABLES:
        if not here(name, asked.data):
            say(f"{name}: left out, its folder is not below --data")
        elif name in asked.only or not set(asked.only) & set(TABLES):
            table = TABLES[name](asked.data)
            for model in models:
                if model in asked.only or not set(asked.only) & set(models):
                    one(asked, table, model)


def one(asked: argparse.Namespace, table: quality.Table, model: str) -> None:
    """One model on one table."""
    if asked.tune:
        if asked.again or not kept(f"chosen.{table.name}.{model}"):
            quality.choose(table, model)
    elif asked.speed:
        import speed

        compared = entrants.peer_name(table.name, model) and entrants.kind(model) not in entrants.CLASSIC
        if compared and (asked.again or not kept(f"speed.{table.name}.{model}")):
            speed.row(table, model)
    else:
        quality.row(table, model, asked.seeds, again=asked.again)
        page.write(RESULTS, HERE / "RESULTS.md")


if __name__ == "__main__":
    main()
