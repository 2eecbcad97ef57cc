"""Which options no other option beats in everything."""

from typing import Any

import numpy as np


def non_dominated(rows: Any) -> Any:
    """Which rows no other row dominates: none is as good in quality, cost and latency and better in one.

    Args:
        rows: shape (n, 3): quality (more is better), cost, latency (less is better).

    Returns:
        Booleans, shape (n,). Of equal rows all are kept.
    """
    losses = np.asarray(rows, dtype=float).reshape(-1, 3) * np.array([-1.0, 1.0, 1.0])
    kept = np.ones(len(losses), dtype=bool)
    # sorted by the first column a row can be dominated by earlier ones alone (and by equals in it)
    order = np.lexsort(losses.T[::-1])
    best = np.empty((0, 3))
    for i in order:
        no_worse = (best <= losses[i]).all(1)
        if (no_worse & (best < losses[i]).any(1)).any():
            kept[i] = False
        else:
            best = np.vstack([best, losses[i]])
    return kept
