"""The second-order term of a field-aware factorisation machine."""

from __future__ import annotations

from torch import Tensor


def field_aware(vectors: Tensor) -> Tensor:
    """[m]: Σ_{i<j} ⟨v_ij, v_ji⟩ of ``vectors`` [m, f, f, d]: v_ij is what field i's value shows to field j.

    Every pair is met twice in the full product; v_ii is in no pair.

    Source: Juan, Zhuang, Chin, Lin (2016), Field-aware Factorization Machines for CTR Prediction.
    """
    twice = (vectors * vectors.transpose(1, 2)).sum((1, 2, 3))
    return 0.5 * (twice - vectors.diagonal(dim1=1, dim2=2).square().sum((1, 2)))
