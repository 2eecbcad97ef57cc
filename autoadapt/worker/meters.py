"""Time and peak memory of what a job does, measured as its family of models asks for."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from autoadapt.process_memory import peak_resident_bytes, reset_peak, resident_bytes
from autoadapt.work_clock import WorkClock

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
        self.worked_seconds = self.waited_seconds = 0.0
        """Of all calls that were timed: work, and waiting for a core."""

    def timed(self, function: Callable[[], T]) -> tuple[T, float]:
        """Result and seconds of work of a call, with the device's queue empty before and after."""
        self._synchronize()
        clock = WorkClock()
        result = function()
        self._synchronize()
        worked, waited = clock.read()
        self.worked_seconds += worked
        self.waited_seconds += waited
        return result, worked

    @property
    def waited_share(self) -> float:
        """Share of the time of all calls in which the process waited for a core."""
        together = self.worked_seconds + self.waited_seconds
        return self.waited_seconds / together if together else 0.0

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
