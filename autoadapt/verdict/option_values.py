"""Objectives of finished options as numbers."""

import math
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


def option_value(option: Option, name: str) -> float:
    """An objective of a finished option; of its measurement alone where a plug-in gives no number for the option."""
    try:
        value = float(OBJECTIVES.get(name).of_option(option, name))
    except Exception:  # noqa: BLE001 - a plug-in may raise anything
        return option.values[name]
    return value if math.isfinite(value) else option.values[name]


def option_values(options: Sequence[Option], goals: Sequence[Goal]) -> NDArray[Any]:
    """The objectives of options, shape (options, goals), each in its own unit."""
    rows = [[option_value(option, goal.name) for goal in goals] for option in options]
    return np.array(rows, dtype=float).reshape(-1, len(goals))
