"""Objectives of finished options as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Option
from autoadapt.shelves import OBJECTIVES


def latency_ms(option: Option) -> float:
    """The latency by which options are compared, in milliseconds: p95, or the median of fewer than 59 samples."""
    return option.latency_p95_ms if option.latency_p95_ms is not None else option.latency_p50_ms


def option_values(options: Sequence[Option], goals: Sequence[Goal]) -> NDArray[Any]:
    """The objectives of options, shape (options, goals), each in its own unit."""
    objectives = [(OBJECTIVES.get(goal.name), goal.name) for goal in goals]
    rows = [[objective.of_option(option, name) for objective, name in objectives] for option in options]
    return np.array(rows, dtype=float).reshape(-1, len(goals))
