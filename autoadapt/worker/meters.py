"""Time and peak memory of what a job does, measured as its family of models asks for."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from autoadapt.process_memory import peak_resident_bytes, reset_peak, resident_bytes

T = TypeVar("T")


class Meters:
    """Meters of one job.

    Args:
        given: of `ModelFamily.meters`; what is absent is measured on this process.
        at_start: bytes that this process held before its first job; 0 is taken where `given` measures a GPU.
    """

    def __init__(self, given: Mapping[str, Callable[[], Any]], at_start: int = 0) -> None:
        self._synchronize = given.get("synchronize", lambda: None)
        self.reset_peak_memory: Callable[[], Any] = given.get("reset_peak_memory", reset_peak)
        self._peak_memory = given.get("peak_memory", peak_resident_bytes)
        self._memory = given.get("memory", resident_bytes)
        self._at_start = 0 if "memory" in given else at_start

    def timed(self, function: Callable[[], T]) -> tuple[T, float]:
        """Result and wall-clock seconds of a call, with the device's queue empty before and after."""
        self._synchronize()
        start = time.perf_counter()
        result = function()
        self._synchronize()
        return result, time.perf_counter() - start

    def peak_memory(self) -> int:
        """GPU: peak allocated bytes since the reset; CPU: peak resident set of this process since then."""
        return int(self._peak_memory())

    def peak_of_fresh_process(self, peak: int, kept: int) -> int:
        """The peak of a job, had it been the first one of its process; asked after the job's objects were freed.

        What stays behind a job is not the job's: libraries that it or an earlier one imported, and models of other
        families. Which job imports a library is chance, so that none is charged for it.

        Args:
            peak: of the job, as `peak_memory` gave it.
            kept: bytes of the job's own model that stay loaded for the next job.
        """
        left_behind = max(self._at_start, int(self._memory()) - kept)
        return self._at_start + max(0, peak - left_behind)
