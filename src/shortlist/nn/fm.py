"""The second-order term of a factorisation machine."""

from __future__ import annotations

from torch import Tensor


def pairwise(vectors: Tensor) -> Tensor:
    """[m]: Σ_{i<j} ⟨v_i, v_j⟩ = ½ Σ_d ((Σ_i v_id)² - Σ_i v_id²) of ``vectors`` [m, f, d], in O(f d).

    Source: Rendle (2010), Factorization Machines.
    """
    return bi_interaction(vectors).sum(1)


def bi_interaction(vectors: Tensor) -> Tensor:
    """[m, d]: ½ ((Σ_i v_i)² - Σ_i v_i²), the same before the sum over d.

    Source: He, Chua (2017), Neural Factorization Machines for Sparse Predictive Analytics.
    """
    return 0.5 * (vectors.sum(1).square() - vectors.square().sum(1))
