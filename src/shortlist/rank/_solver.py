"""Penalised logistic regression on a sparse matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize

from shortlist.types import Float64


def fit_logistic(
    x: sp.csr_matrix,
    y: Float64,
    weight: Float64,
    l1: float,
    l2: float | Float64,
    tolerance: float = 1e-6,
    iterations: int = 1000,
) -> tuple[Float64, float]:
    """``(coefficients [d], intercept)`` that minimise Σ_r w_r log(1 + exp(-s_r z_r)) + l1 |b|₁ + Σ_j l2_j b_j² / 2.

    z = x b + a, s = ±1 for y = 1 or 0; the intercept a is not penalised. L-BFGS without L1; with it, b = p - n with
    p, n >= 0 makes the penalty smooth, and L-BFGS-B keeps the bounds. ``tolerance`` bounds the largest entry of the
    projected gradient, divided by the total weight.

    Source: Byrd, Lu, Nocedal, Zhu (1995), A Limited Memory Algorithm for Bound Constrained Optimization.
    """
    d = x.shape[1]
    scale = 1.0 / weight.sum() if len(weight) else 1.0
    transposed = x.T.tocsr()

    def smooth(b: Float64, a: float) -> tuple[float, Float64, float]:
        z = x @ b + a
        e = np.exp(-np.abs(z))
        loss = np.maximum(z, 0.0) - y * z + np.log1p(e)
        slope = weight * (np.where(z >= 0, 1.0, e) / (1.0 + e) - y)
        value = float(weight @ loss) + float(b @ (l2 * b)) / 2
        return value * scale, (transposed @ slope + l2 * b) * scale, float(slope.sum()) * scale

    def plain(theta: Float64) -> tuple[float, Float64]:
        value, gradient, bias = smooth(theta[:d], theta[d])
        return value, np.append(gradient, bias)

    def split(theta: Float64) -> tuple[float, Float64]:
        p, n = theta[:d], theta[d : 2 * d]
        value, gradient, bias = smooth(p - n, theta[2 * d])
        penalty = l1 * scale
        parts = (gradient + penalty, penalty - gradient, [bias])
        return value + penalty * float((p + n).sum()), np.concatenate(parts)

    mean = float(np.clip(weight @ y * scale, 1e-9, 1 - 1e-9))
    start = np.log(mean / (1 - mean))
    options = {"maxiter": iterations, "maxfun": 2 * iterations, "gtol": tolerance, "ftol": 1e-14, "maxcor": 20}
    if l1 == 0:
        theta = minimize(plain, np.append(np.zeros(d), start), jac=True, method="L-BFGS-B", options=options).x
        return theta[:d], float(theta[d])
    bounds = [(0.0, None)] * (2 * d) + [(None, None)]
    first = np.append(np.zeros(2 * d), start)
    theta = minimize(split, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return theta[:d] - theta[d : 2 * d], float(theta[2 * d])
