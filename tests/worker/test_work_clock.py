"""The clock of work: waiting for a core is told from work, with real processes that take the cores away."""

import os
import subprocess
import sys
import time

import pytest

from autoadapt.work_clock import WorkClock, waited_seconds

BURN = "while True: pass"


def compute(seconds: float) -> None:
    """Uses a core for so many seconds of its time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_sleep_is_no_waiting_for_a_core() -> None:
    clock = WorkClock()
    time.sleep(0.2)
    worked, waited = clock.read()
    assert worked + waited >= 0.2
    assert waited < 0.1


def test_waiting_for_a_core_is_no_work() -> None:
    if not waited_seconds():
        pytest.skip("this system does not tell how long a thread waited for a core")
    core = {min(os.sched_getaffinity(0))}
    before = os.sched_getaffinity(0)
    busy = [subprocess.Popen([sys.executable, "-c", BURN], preexec_fn=lambda: os.sched_setaffinity(0, core))]
    os.sched_setaffinity(0, core)
    try:
        time.sleep(0.3)
        clock, begun = WorkClock(), time.perf_counter()
        compute(0.5)
        worked, waited = clock.read()
        wall = time.perf_counter() - begun
    finally:
        os.sched_setaffinity(0, before)
        for process in busy:
            process.kill()
            process.wait()
    assert wall > 0.7, "the other process has taken its share of the core"
    assert worked == pytest.approx(0.5, rel=0.2)
    assert waited == pytest.approx(wall - 0.5, rel=0.3)
