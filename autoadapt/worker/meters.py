"""Time and peak memory of what a job does, measured as its family of models asks for."""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

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


def _reset_peak_resident_set() -> None:
    with contextlib.suppress(OSError):  # not every container lets a process reset its own peak
        Path("/proc/self/clear_refs").write_text("5")


def _peak_resident_set() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
