"""A frontier without noise: differences inside the error of measurement are ties, and a tie is no trade-off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.objective import COST, LATENCY, Goal
from autoadapt.pareto.frontier import directions

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


def standing(
    values: Mapping[str, float], goals: Sequence[Goal], cost_error: float, latency_error: float, serving_class: str
) -> Standing:
    """An option as it stands among others.

    Args:
        values: every objective by name.
        goals: the objectives of the task.
        cost_error: standard error of its cost as a share of it.
        latency_error: that of its latency.
        serving_class: its group.
    """
    errors = {COST: cost_error, LATENCY: latency_error}
    names = [goal.name for goal in goals]
    return Standing([values[n] for n in names], [errors.get(n, 0.0) for n in names], serving_class)


def on_frontier(standings: Sequence[Standing], goals: Sequence[Goal], least_usd_per_1k: float) -> list[bool]:
    """Which options are on the frontier of a task's objectives, see `beyond_error`.

    Args:
        standings: options, see `standing`.
        goals: the objectives of the task.
        least_usd_per_1k: smallest difference in cost that counts between options of one serving class.
    """
    main = next((k for k, goal in enumerate(goals) if goal.uncertain), 0)
    least = [least_usd_per_1k if goal.name == COST else 0.0 for goal in goals]
    return beyond_error(standings, directions(goals), main, least)


def beyond_error(
    standings: Sequence[Standing], maximize: Sequence[bool], main: int, least: Sequence[float]
) -> list[bool]:
    """Which options are on the frontier when differences inside their error count for nothing.

    Options are taken by the objective `main`, the best first; of equal ones by the other objectives in their order. An
    option is on the frontier unless one that was taken before and is on it is as good in every objective, in all but
    `main` up to the error of the difference. So every option that is left out has a better one on the frontier that no
    measurement shows to be worse in anything.

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
    names = {name: code for code, name in enumerate(dict.fromkeys(s.group for s in standings))}
    groups = np.array([names[s.group] if s.group else -1 - i for i, s in enumerate(standings)], dtype=int)
    others = [k for k in range(len(signs)) if k != main]
    allowed = np.array(least, dtype=float)[others]

    def as_good(better: int, rows: NDArray[Any]) -> NDArray[Any]:
        """Whether an option is as good as each of these rows, shape (rows,)."""
        deviations = np.sqrt(errors[rows][:, others] ** 2 + errors[better, others] ** 2)
        margins = np.abs(losses[rows][:, others]) * np.expm1(SURE * deviations)
        same = (groups[rows] == groups[better])[:, None]
        margins = np.where(same, np.maximum(margins, allowed), margins)
        within = (losses[better, others] - losses[rows][:, others] <= margins).all(axis=1)
        return np.asarray(within & (losses[better, main] <= losses[rows, main]))

    # what is left always begins with an option that none on the frontier is as good as
    left = np.lexsort([*(losses[:, k] for k in reversed(others)), losses[:, main]])
    kept: set[int] = set()
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.add(best)
        left = left[~as_good(best, left)]
    return [i in kept for i in range(len(standings))]
