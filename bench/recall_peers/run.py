"""item_cf, user_cf, als and ease beside the same models of implicit, irspack and sparse_dot_topn.

    python bench/recall_peers/run.py

On one MovieLens-100K matrix: are the neighbours the same, are the lists as good. On a synthetic log of 1 M events x
4,000 items: is the fit as fast, with one thread and with two. Writes results.json and RESULTS.md beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
PACKAGES = ("shortlist", "implicit", "irspack", "sparse-dot-topn", "numpy", "scipy", "numba")


def measure() -> dict[str, Any]:
    import agreement

    held = agreement.movielens()
    overlaps = {"item_cf": agreement.item_neighbours(held), "user_cf": agreement.user_neighbours(held)}
    lists = {
        "ease": {"irspack": agreement.ease(held)},
        "als": {"implicit": agreement.als(held)},
        "user_cf": {"irspack": agreement.user_cf(held)},
        "item_cf": {"implicit": agreement.item_cf(held)},
    }
    timing: dict[str, Any] = {}
    for model in ("item_cf", "als"):
        for threads in (1, 2):
            # implicit asks BLAS to keep to one thread whatever its own number is
            env = os.environ | dict.fromkeys(THREADS, "1")
            command = [sys.executable, str(HERE / "timing.py"), model, str(threads)]
            done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            timing.setdefault(model, {})[str(threads)] = judged(json.loads(done.stdout))
    return {"neighbours@100": overlaps, "ndcg@10": lists, "seconds": timing}


def judged(medians: dict[str, Any]) -> dict[str, Any]:
    """With the fastest peer's median over ours: above 1 we are faster."""
    peers = [entry for name, entry in medians.items() if name != "shortlist"]
    ratios = {
        f"ratio_{clock}": min(peer[clock] for peer in peers) / medians["shortlist"][clock]
        for clock in ("wall", "processor")
    }
    return {**medians, **ratios}


def page(found: dict[str, Any]) -> str:
    lines = [
        "# Recall channels beside their peers",
        "",
        f"`{found['command']}`, seed {found['seed']}, {found['machine']}; "
        + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
        + ".",
        "",
        "## The same 100 neighbours, MovieLens-100K (ratings from 4, without each user's last fifth)",
        "",
        "Share of our neighbours that are the peer's: by number, and counting equal similarities as equal.",
        "",
        "| channel | peer | rows | by number | ties equal | largest difference of a similarity |",
        "|---|---|---|---|---|---|",
    ]
    for model, peers in found["neighbours@100"].items():
        for peer, o in peers.items():
            lines.append(
                f"| {model} | {peer} | {o['rows']} | {o['strict']:.4f} | {o['tied']:.4f} "
                f"| {o['largest_difference']:.1e} |"
            )
    lines += [
        "",
        "## NDCG@10 of the last fifth, same hyperparameters",
        "",
        "| channel | peer | requests | ours | peer's | difference, 95 % by resampling users |",
        "|---|---|---|---|---|---|",
    ]
    for model, peers in found["ndcg@10"].items():
        for peer, o in peers.items():
            d = o["paired"]
            lines.append(
                f"| {model} | {peer} | {o['requests']} | {o['shortlist']['mean']:.4f} | {o['peer']['mean']:.4f} "
                f"| {d['diff']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}] |"
            )
    lines += [
        "",
        "## Seconds to fit, `generator.power_law` (1,000,000 events, 25,000 users, 4,000 items)",
        "",
        "Medians of 7 alternating warm runs: wall clock (processor time). Ratio: fastest peer over ours.",
        "item_cf: top 100; als: 64 factors, 10 iterations, 3 conjugate gradient steps.",
        "",
        "| channel | threads | ours | peers | ratio wall | ratio processor |",
        "|---|---|---|---|---|---|",
    ]
    for model, runs in found["seconds"].items():
        for threads, entry in runs.items():
            shown = {
                name: f"{t['wall']:.2f} ({t['processor']:.2f})" for name, t in entry.items() if isinstance(t, dict)
            }
            ours = shown.pop("shortlist")
            peers = ", ".join(f"{name} {seconds}" for name, seconds in shown.items())
            lines.append(
                f"| {model} | {threads} | {ours} | {peers} "
                f"| {entry['ratio_wall']:.2f} | {entry['ratio_processor']:.2f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    for name in THREADS:
        os.environ.setdefault(name, "1")
    sys.path.insert(0, str(HERE))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    installed = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
    found = {
        "command": "python bench/recall_peers/run.py",
        "seed": 0,
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}",
        "versions": {name: metadata.version(name) for name in PACKAGES if name in installed},
        **measure(),
    }
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "RESULTS.md").write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
