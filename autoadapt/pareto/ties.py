"""A frontier without noise: differences inside the error of measurement are ties, and a tie is no trade-off."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SURE = 1.96
"""Standard errors of a difference beyond which it counts."""


@dataclass(frozen=True)
class Standing:
    """One option among others.

    Args:
        values: of every objective; the same number for all options.
        errors: standard error of each value as a share of it; 0 where it is exact, or decides by itself.
        group: of the options that differ by no more than what `least` leaves out, such as a serving class.
    """

    values: Sequence[float]
    errors: Sequence[float]
    group: str = ""


def beyond_error(
    standings: Sequence[Standing], maximize: Sequence[bool], main: int, least: Sequence[float]
) -> list[bool]:
    """Which options are on the frontier when differences inside their error count for nothing.

    Options are taken by the objective `main`, the best first, and one is on the frontier unless a better one that is
    on it is as good in every other objective, up to the error of the difference. So every option that is left out has
    a better one on the frontier that no measurement shows to be worse in anything.

    Args:
        standings: options.
        maximize: for each objective, whether greater is better.
        main: index of the objective whose differences all count: the one that is estimated from rows.
        least: for each objective, the smallest difference that counts between options of one group.

    Returns:
        For each option, whether it is on the frontier. One that holds a NaN is, and keeps no other from it.
    """
    signs = np.where(np.array(maximize), -1.0, 1.0)  # less is better
    losses = np.array([standing.values for standing in standings], dtype=float).reshape(-1, len(signs)) * signs
    errors = np.array([standing.errors for standing in standings], dtype=float).reshape(-1, len(signs))
    others = [k for k in range(len(signs)) if k != main]
    order = np.lexsort([*(losses[:, k] for k in reversed(others)), losses[:, main]])
    kept: list[int] = []
    for i in map(int, order):
        better = np.array(kept, dtype=int)
        margins = np.abs(losses[i]) * np.expm1(SURE * np.sqrt(errors[i] ** 2 + errors[better] ** 2))
        group = standings[i].group
        same = np.array([bool(group) and standings[j].group == group for j in kept], dtype=bool)
        margins = np.where(same[:, None], np.maximum(margins, np.array(least)), margins)
        worse_by = losses[better] - losses[i]
        as_good = (worse_by[:, others] <= margins[:, others]).all(axis=1)
        if math.isnan(losses[i].sum()) or not (as_good & (losses[better][:, main] <= losses[i][main])).any():
            kept.append(i)
    on_frontier = [False] * len(standings)
    for i in kept:
        on_frontier[i] = True
    return on_frontier
