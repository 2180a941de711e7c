"""The synthetic log that is timed."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def power_law(events: int = 1_000_000, users: int = 25_000, items: int = 4_000, seed: int = 0) -> sp.csr_matrix:
    """CSR float32 [users, items] of ones with exactly ``events`` distinct pairs.

    An item's share is proportional to rank^-0.8, a user's activity is Pareto with exponent 1.5, both shuffled; pairs
    are drawn independently until enough distinct ones are found.
    """
    rng = np.random.default_rng(seed)
    popular = rng.permutation(np.arange(1, items + 1) ** -0.8)
    active = rng.pareto(1.5, users) + 1
    keys = np.empty(0, np.int64)
    while len(keys) < events:
        user = rng.choice(users, events, p=active / active.sum())
        item = rng.choice(items, events, p=popular / popular.sum())
        keys = np.unique(np.concatenate([keys, user * items + item]))
    keys = np.sort(rng.choice(keys, events, replace=False))
    user, item = np.divmod(keys, items)
    return sp.csr_matrix((np.ones(events, np.float32), (user, item)), shape=(users, items))
