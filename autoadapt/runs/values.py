"""Objectives of a measurement, read again whenever a study is priced."""

import math
from collections.abc import Sequence

from autoadapt.domain.metric import Metric
from autoadapt.domain.objective import Goal, Reading
from autoadapt.domain.outcome import Failure, FailureClass, Measurement
from autoadapt.domain.task import Economics
from autoadapt.shelves import OBJECTIVES

QUALITY = "quality"
"""Name of the objective that is the mean of the rows' scores, or what the metric makes of them."""
Values = dict[str, float]
"""Objective name -> value, in the order of the task's objectives."""


class ReadingError(Exception):
    """An objective gives no number for a measurement; that is a failure of the trial that was measured.

    Args:
        reason: a line.
        failure_class: of the trial.
    """

    def __init__(self, reason: str, failure_class: FailureClass) -> None:
        super().__init__(reason)
        self.failure = Failure(stage="measure", failure_class=failure_class, reason=reason)


def read_values(
    goals: Sequence[Goal],
    measurement: Measurement,
    metric: Metric,
    economics: Economics,
    share_trained: float = 1.0,
) -> Values:
    """The value of every objective.

    Args:
        goals: what is optimised.
        measurement: of a fitted or loaded option.
        metric: of the task.
        economics: of the task, its price looked up.
        share_trained: share of the training steps done; a cost is that of the full training.

    Raises:
        ReadingError: an objective raises something itself, or its value is not finite.
    """
    reading = Reading(measurement, metric, economics, share_trained)
    return {goal.name: _value(goal.name, reading) for goal in goals}


def _value(name: str, reading: Reading) -> float:
    objective = OBJECTIVES.get(name)
    try:
        value = float(objective.read(reading))
    except Exception as error:  # a plug-in may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ReadingError(f"objective {name}: {text}"[:500], "crash") from error
    if not math.isfinite(value):
        raise ReadingError(f"objective {name} gave {value}, which is no finite number", "nan")
    return value


def uncertain_goal(goals: Sequence[Goal]) -> Goal:
    """The objective that is estimated from rows: the first that says so, else the first of all."""
    return next((goal for goal in goals if goal.uncertain), goals[0])


def known_goals(goals: Sequence[Goal]) -> list[Goal]:
    """The other objectives, which one measurement tells to a few percent."""
    uncertain = uncertain_goal(goals)
    return [goal for goal in goals if goal.name != uncertain.name]


def no_worse(goal: Goal, value: float, other: float, ratio: float = 1.0) -> bool:
    """Whether a value is at least as good as another, or worse by less than a ratio."""
    return value <= other * ratio if goal.direction == "minimize" else value * ratio >= other


def values_line(goals: Sequence[Goal], values: Values) -> str:
    """Values in a line, such as ``quality 0.812, USD per 1,000 queries 0.0001, latency in ms (p95) 40.5``."""
    return ", ".join(
        f"{goal.title} {values[goal.name]:.3f}" if goal.scale == "linear" else f"{goal.title} {values[goal.name]:.4g}"
        for goal in goals
    )
