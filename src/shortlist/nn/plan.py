"""How a net is trained: hyperparameters that every component with a net inherits, written once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shortlist.component import Component, Search


class Plan(Component):
    """What ``loop.train`` reads."""

    rate: Annotated[float, Field(gt=0), Search(3e-4, 1e-2, log=True)] = 2e-3
    """Step size of the optimiser."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Whether the step size falls to 0 over ``epochs``."""
    batch: Annotated[int, Field(ge=2), Search(128, 4096, log=True)] = 512
    """Rows of a step."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the rows; with ``valid``, at most."""
    stopping: Annotated[int, Field(ge=0)] = 2
    """Stop when ``valid`` has not improved for so many checks; 0 = never."""
    checks: Annotated[int, Field(ge=1)] = 1
    """How often in an epoch ``valid`` is looked at."""
    l2: Annotated[float, Field(ge=0), Search(1e-4, 1.0, log=True)] = 0.01
    """Decay of the layers' weights (decoupled, AdamW): each step takes ``rate`` × this share of them away."""
    embedding_l2: Annotated[float, Field(ge=0), Search(1e-7, 1e-2, log=True)] = 1e-4
    """Squared penalty (coupled: half of it × w² in the loss) on the fields' vectors; it holds rare values' most."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the old in a running average of the weights, which then scores; 0 = the last weights score."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the net is trained: ``auto`` = on the graphics card if torch sees one. Scoring is the processor's."""
    compile: bool = False
    """Whether torch compiles the net first: a minute of work, and a compiler of C++ must be there."""
    threads: Annotated[int, Field(ge=1)] = 1
    """More than one may change the last digits."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the first weights, the order of rows and dropout."""
