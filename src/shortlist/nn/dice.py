"""An activation that bends where the data are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-8
MOMENTUM = 0.1


class Dice(nn.Module):
    """f(s) = p s + (1 - p) α s, p = σ((s - E[s]) / √(V[s] + ε)), a slope α for each of ``width`` outputs.

    A PReLU whose corner is smooth and lies at the mean of what comes in. Mean and variance are those of the step in
    training, running ones afterwards, as of ``BatchNorm1d``.

    Source: Zhou et al. (2018), Deep Interest Network for Click-Through Rate Prediction.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.empty(width))
        self.register_buffer("mean", torch.empty(width))
        self.register_buffer("variance", torch.empty(width))

    def reset(self, generator: torch.Generator) -> None:
        """Slope 0, as the authors begin; mean 0, variance 1."""
        nn.init.zeros_(self.slope)
        nn.init.zeros_(self.mean)
        nn.init.ones_(self.variance)

    def forward(self, x: Tensor) -> Tensor:
        """The shape of ``x`` [..., width]."""
        if self.training and x.numel() > x.shape[-1]:  # of one row nothing varies
            rows = x.flatten(0, -2)
            z = torch.batch_norm(rows, None, None, self.mean, self.variance, True, MOMENTUM, EPSILON, False).view_as(x)
        else:
            z = (x - self.mean) * torch.rsqrt(self.variance + EPSILON)
        return x * torch.addcmul(self.slope, torch.sigmoid(z), 1 - self.slope)

    def standardised(self, layer: nn.Linear) -> tuple[Tensor, Tensor]:
        """Of a layer s = W i + b before it, the W and b of z = (s - E[s]) / √(V[s] + ε), by the running moments."""
        scale = torch.rsqrt(self.variance + EPSILON)
        return layer.weight * scale.unsqueeze(1), (layer.bias - self.mean) * scale

    def weighed(self, z: Tensor, out: nn.Linear) -> Tensor:
        """[m, out]: what ``out`` makes of f(s), given z [m, width]; s = E[s] + z √(V[s] + ε) is not written down.

        f(s) = α s + (1 - α) s p, so it is three products, of z, z ∘ p and p: of 15,000 pairs they and p take a third
        of the time that f takes and one product.
        """
        scale = torch.sqrt(self.variance + EPSILON)
        p, bent = torch.sigmoid(z), 1 - self.slope
        by_z, by_one = out.weight * scale, out.weight * self.mean
        # the weights stand first: of one output and those pairs onnxruntime takes a third of the time so
        straight = functional.linear(by_z * self.slope, z)
        bowed = functional.linear(by_z * bent, z * p) + functional.linear(by_one * bent, p)
        return (straight + bowed + ((by_one * self.slope).sum(1) + out.bias).unsqueeze(1)).t()
