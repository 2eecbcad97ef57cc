"""An objective that fails for options that were trained, in the way that an environment variable names."""

import math
import os
from typing import ClassVar

from autoadapt.domain.objective import Direction, Objective, Reading

VARIABLE = "AUTOADAPT_TEST_FAULTY_OBJECTIVE"


class FaultyObjective(Objective):
    """Peak memory in MB; of trained options an error (``raise``) or no number (``nan``)."""

    direction: ClassVar[Direction] = "minimize"
    unit: ClassVar[str] = "MB"
    title: ClassVar[str] = "faulty memory in MB"

    def read(self, reading: Reading) -> float:
        fault = os.environ.get(VARIABLE) if reading.measurement.parameters_trained else None
        if fault == "raise":
            raise ValueError("no memory\nwas measured")
        return math.nan if fault == "nan" else reading.measurement.peak_memory_bytes / 1e6
