"""Hypervolume: how much of the space up to a reference point a frontier dominates (Zitzler and Thiele 1998)."""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np


def hypervolume(rows: Any, reference: Sequence[float], maximize: Sequence[bool]) -> float:
    """Volume that the rows dominate within the reference point, in the product of the columns' units.

    Dominated rows add nothing, nor do rows that are not better than the reference in every column.

    Args:
        rows: shape (n, k).
        reference: the worst value that counts, of each column.
        maximize: for each of the k columns, whether greater is better.

    Raises:
        ValueError: a row that counts is infinitely good in a column, or the reference is not finite.
    """
    signs = np.where(list(maximize), -1.0, 1.0)
    losses = np.asarray(rows, dtype=float).reshape(-1, len(signs)) * signs
    worst = np.asarray(reference, dtype=float) * signs
    # moocore does not return (4 columns) or crashes (3 columns) on values that are not finite
    losses = losses[(losses < worst).all(axis=1)]
    if not len(losses):
        return 0.0
    if not (np.isfinite(losses).all() and np.isfinite(worst).all()):
        raise ValueError("a hypervolume needs finite points and a finite reference")
    return float(moocore.hypervolume(losses, ref=worst))


def hypervolume_gains(candidates: Any, rows: Any, reference: Any) -> Any:
    """Volume that each candidate alone would add to what the rows dominate, shape (m,); all columns are minimized.

    It is the box between candidate and reference, less what the rows, raised to the candidate, dominate of that box.

    Args:
        candidates: shape (m, k), finite.
        rows: shape (n, k), finite.
        reference: shape (k,), finite: the worst values that count.
    """
    boxes = np.maximum(reference - candidates, 0.0).prod(axis=1)
    if not len(rows):
        return boxes
    gains = np.zeros(len(candidates))
    for i in np.flatnonzero(boxes > 0):
        raised = np.maximum(rows, candidates[i])
        # the gain of a dominated candidate is exactly 0, not a difference of rounded volumes
        if not (rows <= candidates[i]).all(axis=1).any():
            gains[i] = max(boxes[i] - float(moocore.hypervolume(raised, ref=reference)), 0.0)
    return gains
