"""A clock of work: wall-clock time less the time in which this process wanted to run and had no core.

A busy machine makes everything seem slow, and the answer to "what does it cost?" should not depend on what else runs.
Linux tells, per thread, how long it stood in a run queue (``/proc/self/task/ID/schedstat``, the second number, in
nanoseconds; Documentation/scheduler/sched-stats). Where it does not, the clock is that of the wall. Time in which a
neighbour on the same physical core slows this one down is not seen.
"""

import contextlib
import os
import time
from pathlib import Path

TASKS = Path("/proc/self/task")


def waited_seconds() -> dict[int, float]:
    """Seconds that each thread of this process has stood in a run queue since it began; empty: not known."""
    waited: dict[int, float] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for name in os.listdir(TASKS):
            with contextlib.suppress(OSError):  # a thread that has ended in the meantime
                waited[int(name)] = int((TASKS / name / "schedstat").read_text().split()[1]) / 1e9
    return waited


class WorkClock:
    """Measures one piece of work, from its construction on."""

    def __init__(self) -> None:
        self._waited, self._begun = waited_seconds(), time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Seconds of work so far, and wall-clock seconds of waiting for a core that are not among them.

        Threads that compute together wait for the one that waits longest.
        """
        seconds = time.perf_counter() - self._begun
        now = waited_seconds()
        longest = max((now[thread] - self._waited.get(thread, 0.0) for thread in now), default=0.0)
        waited = min(max(0.0, longest), 0.99 * seconds)
        return seconds - waited, waited
