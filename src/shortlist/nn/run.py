"""Where a training run stands: everything that its next step depends on, as arrays to be kept and put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from shortlist.nn.plan import Plan
from shortlist.nn.weights import Average, Best
from shortlist.types import Array


class Run:
    """A net, its optimisers, its luck, the best weights and the average; ``check`` counts the checks done."""

    def __init__(
        self, net: nn.Module, optimisers: Sequence[torch.optim.Optimizer], generator: torch.Generator, plan: Plan
    ) -> None:
        self.net, self.optimisers, self.generator = net, optimisers, generator
        self.average, self.best, self.check = Average(net, plan.average), Best(plan.stopping), 0

    def step(self) -> None:
        """Moves the weights, and their average with them."""
        for optimiser in self.optimisers:
            optimiser.step()
        self.average.update(self.net)

    def set_rate(self, rate: float) -> None:
        """The step size from now on."""
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate

    def state(self) -> dict[str, Array]:
        """All of it."""
        best = self.best
        told = [self.check, best.value, best.last, best.check, best.since, self.average.steps]
        arrays = {"told": np.array(told, np.float64), "generator": self.generator.get_state().numpy()}
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in (best.weights or {}).items()}
        tensors |= {f"average.{i}": tensor for i, tensor in enumerate(self.average.weights)}
        for o, optimiser in enumerate(self.optimisers):
            for i, state in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{o}.{i}.{name}": tensor for name, tensor in state.items()}
        return arrays | {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}

    def put(self, kept: Mapping[str, Array] | None) -> None:
        """Goes on from there; from the beginning where nothing was kept."""
        if kept is None:
            return
        tensors = {name: torch.from_numpy(array) for name, array in kept.items() if name not in ("told", "generator")}
        parts = {name: _under(f"{name}.", tensors) for name in ("net", "best", "average")}
        check, value, last, found, since, averaged = kept["told"].tolist()
        self.check = int(check)
        self.generator.set_state(torch.from_numpy(kept["generator"]))
        self.net.load_state_dict(parts["net"])
        self.best.value, self.best.last = value, last
        self.best.check, self.best.since = int(found), int(since)
        device = next(self.net.parameters()).device
        self.best.weights = {name: tensor.to(device) for name, tensor in parts["best"].items()} or None
        self.average.steps = int(averaged)
        for i, weight in enumerate(self.average.weights):
            weight.copy_(parts["average"][str(i)])
        for o, optimiser in enumerate(self.optimisers):
            states: dict[int, dict[str, torch.Tensor]] = {}
            for name, tensor in _under(f"optimiser.{o}.", tensors).items():
                number, _, which = name.partition(".")
                states.setdefault(int(number), {})[which] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": states})


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
