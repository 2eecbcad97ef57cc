"""Time and peak memory of what a job does, measured as its family of models asks for."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from autoadapt.work_clock import WorkClock

T = TypeVar("T")


class Meters:
    """Meters of one job.

    Args:
        given: of `ModelFamily.meters`; what is absent is measured on this process.
    """

    def __init__(self, given: Mapping[str, Callable[[], Any]]) -> None:
        self._synchronize = given.get("synchronize", lambda: None)
        self.reset_peak_memory: Callable[[], Any] = given.get("reset_peak_memory", _reset_peak_resident_set)
        self._peak_memory = given.get("peak_memory", _peak_resident_set)
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


def _reset_peak_resident_set() -> None:
    with contextlib.suppress(OSError):  # not every container lets a process reset its own peak
        Path("/proc/self/clear_refs").write_text("5")


def _peak_resident_set() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
