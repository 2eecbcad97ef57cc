"""Statistics of answered rows as an array, from which metrics and their intervals are computed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoadapt.domain.outcome import Measurement


def stats_array(measurement: Measurement) -> NDArray[Any]:
    """The metric's statistics of all answered rows, shape (rows, statistics), in the order of the split."""
    return np.array([row.stats for row in measurement.rows], dtype=float)
