"""How good a whole frontier is: its hypervolume in a stated box, and how that grew with what was spent."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.objective import SHARE, Goal
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.trial_row import TrialRow
from autoadapt.errors import Exit, UserError
from autoadapt.pareto.dominance import non_dominated
from autoadapt.pareto.frontier import directions, measured_trials, points, value_of
from autoadapt.pareto.hypervolume import hypervolume

BEYOND_FACTOR = 2.0
"""A logarithmic objective's reference is worse than the worst value by this factor, so that extremes count."""
BEYOND_RANGE = 0.1
"""A linear objective's reference is worse than its worst value by this part of the range of its values."""


class Reference(StrictModel):
    """The box in which a hypervolume is stated; its two opposite corners."""

    goals: tuple[Goal, ...]
    worst: dict[str, float]
    """The reference point: of each goal, by name, the worst value that counts."""
    best: dict[str, float]
    """By the same names: a frontier that reached these values together would have a hypervolume of 1."""

    @property
    def description(self) -> str:
        """Both corners and the scales, in a line."""
        logarithmic = [goal.label for goal in self.goals if goal.scale == "log"]
        scales = f"; {' and '.join(logarithmic)} on a logarithmic scale" if logarithmic else ""
        return (
            f"reference point {self._corner(self.worst)}; a hypervolume of 1 would be {self._corner(self.best)}{scales}"
        )

    def scaled(self, corner: Mapping[str, float]) -> Any:
        """A corner on the goals' scales, shape (k,)."""
        return np.array([goal.scaled(corner[goal.name]) for goal in self.goals])

    def _corner(self, corner: Mapping[str, float]) -> str:
        return ", ".join(f"{goal.label} {corner[goal.name]:.3g}" for goal in self.goals)


def reference_of(rows: Sequence[TrialRow], goals: Sequence[Goal]) -> Reference:
    """The box that holds all of these trials; it must be the same for all runs that are compared.

    Objectives measured as a share reach from 0 to 1, others from beyond the worst value to the best one.

    Raises:
        UserError: no trial was measured in full.
    """
    measured = measured_trials(rows, goals)
    if not measured:
        raise UserError("no trial was measured in full, so there is no frontier", Exit.PARTIAL)
    corners = {goal.name: _corners(goal, [value_of(r, goal) or 0.0 for r in measured]) for goal in goals}
    worst, best = ({name: pair[i] for name, pair in corners.items()} for i in range(2))
    return Reference(goals=tuple(goals), worst=worst, best=best)


def _corners(goal: Goal, values: Sequence[float]) -> tuple[float, float]:
    """The worst and the best value of the box."""
    low, high = float(min(values)), float(max(values))
    if goal.unit == SHARE and goal.scale == "linear":
        return (0.0, 1.0) if goal.maximized else (1.0, 0.0)
    if goal.scale == "log":
        return (low / BEYOND_FACTOR, high) if goal.maximized else (BEYOND_FACTOR * high, low)
    margin = BEYOND_RANGE * (high - low or abs(high) or 1.0)
    return (low - margin, high) if goal.maximized else (high + margin, low)


def hypervolume_share(rows: Any, reference: Reference) -> float:
    """Hypervolume of rows as `points` gives them, shape (n, k), over that of the box; from 0 to 1."""
    worst, best = reference.scaled(reference.worst), reference.scaled(reference.best)
    box = float(np.abs(best - worst).prod())
    # rounding may go beyond 1
    return min(1.0, hypervolume(rows, worst, directions(reference.goals)) / box)


def hypervolume_over_spend(rows: Sequence[TrialRow], reference: Reference) -> list[tuple[float, float]]:
    """(USD spent, share of the box) after each trial that improved the frontier, in the order in which trials ended.

    The last entry is at the whole spend; trials of every state count as spend, also those that have not ended.
    """
    maximize = directions(reference.goals)
    signs = np.where(maximize, -1.0, 1.0)
    spent, front, curve = 0.0, np.empty((0, len(signs))), [(0.0, 0.0)]
    for row in sorted((r for r in rows if r.ended), key=lambda r: (r.ended, r.trial)):
        spent += row.usd
        point = points([row], reference.goals)
        # a point that another is at least as good as in everything does not change the volume
        if not len(point) or (front * signs <= point * signs).all(axis=1).any():
            continue
        front = np.vstack([front, point])
        front = front[non_dominated(front, maximize)]
        curve.append((spent, hypervolume_share(front, reference)))
    spent += sum(row.usd for row in rows if not row.ended)
    if curve[-1][0] < spent:
        curve.append((spent, curve[-1][1]))
    return curve
