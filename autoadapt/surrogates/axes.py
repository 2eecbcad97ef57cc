"""Objectives as the models see them: on the goal's scale, in comparable units, each with one direction.

The uncertain objective is encoded so that greater is better, the known ones so that less is better. Values on a
logarithmic scale are encoded as powers of ten and shares as they are; other linear values are divided by the range of
what was measured, so that margins and noise levels mean the same for megabytes as for powers of ten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoadapt.domain.history import History, Reached
from autoadapt.domain.objective import LEAST_POSITIVE, SHARE, Goal, goal_limits, split_goals


@dataclass(frozen=True)
class Axis:
    """One objective.

    Args:
        goal: the objective.
        sign: 1 or -1, of the encoded value.
        span: divisor of the encoded value, in the unit of the goal's scale.
    """

    goal: Goal
    sign: float
    span: float

    def encode(self, value: float) -> float:
        """The encoded value of a measured one."""
        return self.sign * self.goal.scaled(value) / self.span

    def encode_all(self, values: Sequence[float]) -> Any:
        """The encoded values of measured ones, shape (m,) of both."""
        many = np.array(values, float)
        return (
            self.sign * (np.log10(np.maximum(many, LEAST_POSITIVE)) if self.goal.scale == "log" else many) / self.span
        )

    def decode(self, encoded: float) -> float:
        """The inverse of `encode`."""
        return self.goal.unscaled(self.sign * encoded * self.span)

    def encode_error(self, value: float, error: float) -> float:
        """Standard error of the encoded value; on a logarithmic scale to first order (the delta method)."""
        slope = 1 / (max(value, LEAST_POSITIVE) * math.log(10)) if self.goal.scale == "log" else 1.0
        return error * slope / self.span

    def of_all(self, reached: Sequence[Reached]) -> Any:
        """The encoded values of finished rungs, shape (m,)."""
        name = self.goal.name
        return self.encode_all([r.values[name] for r in reached])

    def errors_of(self, reached: Sequence[Reached]) -> Any:
        """Standard errors of the encoded values of finished rungs, shape (m,)."""
        errors = np.array([r.error for r in reached], float)
        if self.goal.scale == "linear":
            return errors / self.span
        return np.array([self.encode_error(r.values[self.goal.name], r.error) for r in reached])


class Axes:
    """The objectives of a study.

    Args:
        history: the study so far; its measured values set the spans.

    Raises:
        UserError: the history's goals do not fit together (`split_goals`).
    """

    def __init__(self, history: History) -> None:
        uncertain, known = split_goals(history.goals)
        spans = {g.name: _span(g, history) for g in history.goals}
        self.uncertain = Axis(uncertain, 1.0 if uncertain.maximized else -1.0, spans[uncertain.name])
        self.known = tuple(Axis(goal, -1.0 if goal.maximized else 1.0, spans[goal.name]) for goal in known)
        self.maximize = [True] + [False] * len(known)
        """Directions of rows of encoded values: the uncertain objective, then the known ones."""
        limits = goal_limits(history.constraints)
        self.limits = [
            axis.encode(limits[axis.goal.name]) if axis.goal.name in limits else None
            for axis in (self.uncertain, *self.known)
        ]
        """Encoded constraints in the same order; None where there is none."""

    def known_of(self, reached: Sequence[Reached]) -> Any:
        """Encoded values of the known objectives, shape (m, k)."""
        return np.stack([axis.of_all(reached) for axis in self.known], axis=1)


def _span(goal: Goal, history: History) -> float:
    if goal.scale == "log" or goal.unit == SHARE:
        return 1.0
    values = [r.values[goal.name] for t in history.trials for r in t.reached]
    low, high = min(values, default=0.0), max(values, default=0.0)
    return (high - low) or abs(high) or 1.0
