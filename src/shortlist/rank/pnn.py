"""A product-based network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from shortlist.component import Search
from shortlist.nn.fields import Fields
from shortlist.nn.mlp import MLP
from shortlist.nn.product import InnerProducts, KernelProducts, OuterProducts
from shortlist.rank._deep import LayeredRanker


class PNN(LayeredRanker):
    """ŷ = σ(b + MLP([v_1 ... v_F, p])), p the products of the fields' vectors v.

    ``inner``: p_fg = ⟨v_f, v_g⟩ of all pairs f < g. ``outer``: p = (Σ_f v_f)(Σ_f v_f)ᵀ, all outer products superposed.
    ``kernel``: p_fg = v_fᵀ W_fg v_g, each pair's outer product weighed by a matrix of its own (Qu et al. 2018).

    Source: Qu, Cai, Ren, Zhang, Yu, Wen, Wang (2016), Product-based Neural Networks for User Response Prediction.
    """

    product: Annotated[Literal["inner", "outer", "kernel"], Search(choices=("inner", "outer", "kernel"))] = "inner"
    """How two vectors are multiplied."""

    def build(self) -> nn.Module:
        """Untrained."""
        fields, d = self.fields(self.factors), self.factors
        products: InnerProducts | OuterProducts | KernelProducts
        if self.product == "inner":
            products = InnerProducts(fields.count)
        elif self.product == "outer":
            products = OuterProducts(d)
        else:
            products = KernelProducts(fields.count, d)
        return _Net(fields, products, self.layers(fields.count * d + products.size))


class _Net(nn.Module):
    def __init__(self, fields: Fields, products: nn.Module, mlp: MLP) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.fields, self.products, self.mlp = fields, products, mlp

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        v = self.fields(x)  # [m, F, d]
        z, p = v.flatten(1), self.products(v)
        return self.bias + self.mlp(torch.cat([z, p], 1)).squeeze(1)
