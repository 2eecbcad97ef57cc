"""Which options no other option dominates."""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np


def non_dominated(rows: Any, maximize: Sequence[bool]) -> Any:
    """Which rows no other row dominates: none is at least as good in every column and better in one.

    Args:
        rows: shape (n, k).
        maximize: for each of the k columns, whether greater is better.

    Returns:
        Booleans, shape (n,). Equal rows do not dominate each other. A row that holds a NaN is comparable with no other:
        it is kept and dominates none.
    """
    values = np.asarray(rows, dtype=float).reshape(-1, len(maximize))
    flags = np.ones(len(values), dtype=bool)
    comparable = ~np.isnan(values).any(axis=1)
    if comparable.any():
        finite = _finite(values[comparable])
        flags[comparable] = moocore.is_nondominated(finite, maximise=list(maximize), keep_weakly=True)
    return flags


def _finite(values: Any) -> Any:
    """Values, or their ranks in each column where one is infinite: moocore crashes on infinite values."""
    if np.isfinite(values).all():
        return values
    return np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], axis=1).astype(float)
