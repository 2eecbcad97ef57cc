"""Which values of two objectives were attained together by what share of several runs."""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np


def attainment_corners(runs: Sequence[Any], maximize: Sequence[bool], levels: Sequence[float] = ()) -> Any:
    """Corners of the empirical attainment surfaces (da Fonseca, Fonseca and Hall 2001).

    A point is attained by a run that has a row at least as good in both columns.

    Args:
        runs: for each run, its rows, shape (n, 2); a run without rows attains nothing and is left out of the shares.
        maximize: for each of the two columns, whether greater is better.
        levels: shares of runs, from 0 to 1; empty: every possible one.

    Returns:
        Shape (m, 3): the two columns, and the share of runs that attained them.
    """
    signs = np.where(list(maximize), -1.0, 1.0)
    losses = [np.asarray(rows, dtype=float).reshape(-1, 2) * signs for rows in runs]
    sets = np.repeat(np.arange(1, len(losses) + 1), [len(rows) for rows in losses])
    if not len(sets):
        return np.empty((0, 3))
    corners = moocore.eaf(np.concatenate(losses), sets=sets, percentiles=[100 * level for level in levels])
    return corners * np.array([*signs, 0.01])
