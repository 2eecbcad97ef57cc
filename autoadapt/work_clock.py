"""A clock of work: wall-clock time less the time in which this process wanted to run and had no core.

A busy machine makes everything seem slow, and the answer to "what does it cost?" should not depend on what else runs.
Linux tells, per thread, how long it stood in a run queue (``/proc/self/task/ID/schedstat``, the second number, in
nanoseconds; Documentation/scheduler/sched-stats) and how long it had a core. Where it does not, the clock is that of
the wall.

Waiting is taken off only as far as it must have made the work longer: what may have been spent before or after, what a
thread that did not compute has waited, and what any thread computed meanwhile is not. So the clock shows too much
rather than too little. It cannot tell a thread that computes from one that spins until another one, which waits for a
core, is ready, nor see that a neighbour on the same physical core slows this one down.
"""

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")
TOOK_PART = 0.5
"""Share of the time in which it did not wait that another thread must have computed to have taken part in the work."""


@dataclass(frozen=True)
class _Reading:
    """What Linux tells of one thread of this process, in seconds.

    Args:
        waited: in a run queue, since the thread began.
        computed: on a core, since the thread began.
        before: wall clock just before `waited` was read, by ``time.perf_counter``.
        after: wall clock just after it was read.
        reader_before: time that the thread which reads has computed by `before`, or a little later.
        reader_after: the same by `after`, or a little earlier.
    """

    waited: float
    computed: float
    before: float
    after: float
    reader_before: float = 0.0
    reader_after: float = 0.0


def _read(thread: int) -> _Reading | None:
    """None: the thread has ended, or this system does not tell."""
    with (
        contextlib.suppress(OSError, ValueError, IndexError),
        open(TASKS / str(thread) / "schedstat", "rb", buffering=0) as file,
    ):
        before, reader_before = time.perf_counter(), time.thread_time()
        line = file.read()
        reader_after, after = time.thread_time(), time.perf_counter()
        # the kernel's number of the clock of a thread (MAKE_THREAD_CPUCLOCK, linux/posix-timers_types.h); the first
        # number of schedstat is out of date by up to a tick
        computed = time.clock_gettime((~thread << 3) | 6)
        return _Reading(int(line.split()[1]) / 1e9, computed, before, after, reader_before, reader_after)
    return None


def _read_others(thread: int) -> dict[int, _Reading]:
    """Readings of all threads of this process but one."""
    with contextlib.suppress(OSError):
        others = [int(name) for name in os.listdir(TASKS) if int(name) != thread]
        return {other: reading for other in others if (reading := _read(other)) is not None}
    return {}


class WorkClock:
    """Measures one piece of work of the thread that makes it, from its construction on."""

    def __init__(self) -> None:
        self._thread = threading.get_native_id()
        self._others = _read_others(self._thread)
        self._own = _read(self._thread)  # innermost, beside the wall clock
        self._computed = time.thread_time()
        self._begun = time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Seconds of work so far, and wall-clock seconds of waiting for a core that are not among them.

        Threads that compute together wait for the one that waits longest. The work took no less than any thread
        computed meanwhile.
        """
        ended = time.perf_counter()
        computed = time.thread_time() - self._computed
        own = _read(self._thread)
        seconds = ended - self._begun
        if self._own is None or own is None:
            return seconds, 0.0
        # of what went by between its own readings and the work, this thread has waited for all that it did not compute
        reading = own.reader_after - self._own.reader_before - computed
        longest = self._waited(self._own, own, ended, reading)
        for thread, last in _read_others(self._thread).items():
            # a thread that is new has neither waited nor computed before
            first = self._others.get(thread, _Reading(0.0, 0.0, self._begun, self._begun))
            waited, of_other = self._waited(first, last, ended), last.computed - first.computed
            computed = max(computed, of_other)
            if of_other >= TOOK_PART * (seconds - waited):
                longest = max(longest, waited)
        worked = min(seconds, max(seconds - longest, computed))
        return worked, seconds - worked

    def _waited(self, first: _Reading, last: _Reading, ended: float, computing: float = 0.0) -> float:
        """Seconds that a thread has waited between the beginning and the end, at least.

        Args:
            first: before the beginning.
            last: after the end.
            ended: moment of the end.
            computing: seconds between a reading and the beginning, or the end, in which it is known not to have waited;
                all others may have been waiting.
        """
        outside = self._begun - first.before + last.after - ended - computing
        return max(0.0, last.waited - first.waited - max(0.0, outside))
