"""The clock of work: waiting for a core is told from work, with real processes that take the cores away."""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from autoadapt import work_clock
from autoadapt.work_clock import WorkClock

BURN = "while True: pass"


def compute(seconds: float) -> None:
    """Uses a core for so many seconds of its time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture
def crowded_core() -> Iterator[None]:
    """Binds the calling thread to one core, which two other processes want, too."""
    if not (work_clock.TASKS / str(threading.get_native_id()) / "schedstat").exists():
        pytest.skip("this system does not tell how long a thread waited for a core")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # its children inherit it
    busy = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2)]
    try:
        time.sleep(0.2)
        yield
    finally:
        os.sched_setaffinity(0, before)
        for process in busy:
            process.kill()
            process.wait()


def test_sleep_is_no_waiting_for_a_core() -> None:
    clock = WorkClock()
    time.sleep(0.2)
    worked, waited = clock.read()
    assert worked + waited >= 0.2
    assert waited < 0.1


@pytest.mark.parametrize("idle_threads", [0, 24])
@pytest.mark.usefixtures("crowded_core")
def test_work_on_a_crowded_core_takes_the_time_that_its_thread_had_the_core(idle_threads: int) -> None:
    over = threading.Event()
    idle = [threading.Thread(target=over.wait) for _ in range(idle_threads)]
    for thread in idle:
        thread.start()
    ratios, waiting = [], 0.0
    for _ in range(20):
        clock, begun = WorkClock(), time.thread_time()
        compute(0.008)
        computed = time.thread_time() - begun
        worked, waited = clock.read()
        ratios.append(worked / computed)
        waiting += waited
    over.set()
    for thread in idle:
        thread.join()
    assert waiting > 0.05, "the other processes have taken their share of the core"
    assert min(ratios) >= 0.999, "no work takes less than the time in which its own thread had a core"
    assert statistics.median(ratios) < 1.1
    assert statistics.fmean(ratios) < 1.3


@dataclass
class Machine:
    """A machine in virtual time, in seconds: what each thread has waited and computed. The clock runs in thread 1."""

    now: float = 0.0
    waited: dict[int, float] = field(default_factory=lambda: {1: 0.0, 2: 0.0})
    computed: dict[int, float] = field(default_factory=lambda: {1: 0.0, 2: 0.0})
    reading_waits: float = 0.0
    """For which every thread waits while one is read."""

    def pass_by(self, seconds: float, **threads: tuple[float, float]) -> None:
        """Time goes by, in which threads (`t1`, `t2`) wait and compute for so many seconds."""
        self.now += seconds
        for name, (waited, computed) in threads.items():
            self.waited[int(name[1:])] += waited
            self.computed[int(name[1:])] += computed

    def read(self, thread: int) -> work_clock._Reading:
        before = self.now
        self.now += self.reading_waits
        self.waited = {t: w + self.reading_waits for t, w in self.waited.items()}
        own = self.computed[1]
        return work_clock._Reading(self.waited[thread], self.computed[thread], before, self.now, own, own)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    simulated = Machine()
    monkeypatch.setattr(work_clock, "_read", simulated.read)
    monkeypatch.setattr(work_clock, "_read_others", lambda thread: {2: simulated.read(2)})
    clocks = SimpleNamespace(perf_counter=lambda: simulated.now, thread_time=lambda: simulated.computed[1])
    monkeypatch.setattr(work_clock, "time", clocks)
    monkeypatch.setattr(work_clock, "threading", SimpleNamespace(get_native_id=lambda: 1))
    return simulated


def test_waiting_while_the_clock_is_read_is_no_part_of_the_work(machine: Machine) -> None:
    machine.reading_waits = 0.5
    clock = WorkClock()
    machine.pass_by(1.0, t1=(0.0, 1.0))
    assert clock.read() == pytest.approx((1.0, 0.0))


def test_waiting_of_a_thread_that_has_hardly_computed_does_not_count(machine: Machine) -> None:
    clock = WorkClock()
    machine.pass_by(3.0, t1=(0.0, 1.0), t2=(2.9, 0.01))  # the caller sleeps for two seconds of the three
    assert clock.read() == pytest.approx((3.0, 0.0))


def test_threads_that_compute_together_wait_for_the_one_that_waits_longest(machine: Machine) -> None:
    clock = WorkClock()
    machine.pass_by(5.0, t1=(3.0, 1.0), t2=(4.0, 1.0))  # side by side, one second each on an idle machine
    assert clock.read() == pytest.approx((1.0, 4.0))


def test_work_takes_no_less_than_any_thread_computed(machine: Machine) -> None:
    clock = WorkClock()
    machine.pass_by(5.0, t1=(4.5, 0.5), t2=(0.0, 5.0))  # the other thread took over the share of the one that waited
    assert clock.read() == pytest.approx((5.0, 0.0))
