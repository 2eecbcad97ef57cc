"""The frontier of a study's trials."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autoadapt.domain.objective import Goal
from autoadapt.domain.trial_row import TrialRow
from autoadapt.domain.trial_state import TrialState
from autoadapt.pareto.attainment import attainment_corners
from autoadapt.pareto.dominance import non_dominated


def value_of(row: TrialRow, goal: Goal) -> float | None:
    """The trial's value of an objective; None where it was not measured."""
    return row.values.get(goal.name)


def measured_trials(rows: Sequence[TrialRow], goals: Sequence[Goal]) -> list[TrialRow]:
    """The trials that count for a frontier: all of the work was done, and every objective has a value.

    A value of a logarithmic objective must be positive.
    """
    return [r for r in rows if r.state == TrialState.COMPLETE and all(_counts(value_of(r, g), g) for g in goals)]


def points(rows: Sequence[TrialRow], goals: Sequence[Goal]) -> Any:
    """Values of the trials measured in full on the goals' scales (log10 where logarithmic), shape (n, k)."""
    values = [[g.scaled(value_of(r, g) or 0.0) for g in goals] for r in measured_trials(rows, goals)]
    return np.array(values, dtype=float).reshape(-1, len(goals))


def directions(goals: Sequence[Goal]) -> list[bool]:
    """For each goal, whether greater is better."""
    return [goal.maximized for goal in goals]


def frontier(rows: Sequence[TrialRow], goals: Sequence[Goal]) -> list[TrialRow]:
    """The trials that no other dominates by what was measured, the best in the first goal first."""
    measured = measured_trials(rows, goals)
    values = [[value_of(r, g) or 0.0 for g in goals] for r in measured]
    flags = non_dominated(values, directions(goals))
    sign = -1.0 if goals[0].maximized else 1.0
    front = [r for r, flag in zip(measured, flags, strict=True) if flag]
    return sorted(front, key=lambda r: sign * (value_of(r, goals[0]) or 0.0))


def frontiers_by_method(rows: Sequence[TrialRow], goals: Sequence[Goal]) -> Mapping[str, list[TrialRow]]:
    """The frontier of each method alone."""
    methods = sorted({r.method for r in measured_trials(rows, goals)})
    return {m: frontier([r for r in rows if r.method == m], goals) for m in methods}


def attainment(
    runs: Sequence[Sequence[TrialRow]], goals: Sequence[Goal], pair: tuple[Goal, Goal], levels: Sequence[float] = ()
) -> list[dict[str, float]]:
    """Which values of two goals were attained together by what share of the runs.

    Args:
        runs: the trials of each run of one task.
        goals: all goals of the task: only trials with a value of each of them count.
        pair: the two goals that are compared.
        levels: shares of runs, from 0 to 1; empty: every possible one.

    Returns:
        Corners of the attainment surfaces: the values of the two goals by their names, and `share`.
    """
    values = [[[value_of(r, g) or 0.0 for g in pair] for r in measured_trials(run, goals)] for run in runs]
    corners = attainment_corners(values, directions(pair), levels)
    return [{pair[0].name: float(a), pair[1].name: float(b), "share": float(share)} for a, b, share in corners]


def _counts(value: float | None, goal: Goal) -> bool:
    return value is not None and (goal.scale == "linear" or value > 0)
