"""Jobs one by one in this process: for debuggers and tests. Nothing can be killed, so no time limit holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from autoadapt.domain.executor import Executor, JobDone, Signal, WorkerGroup
from autoadapt.domain.jobs import Job
from autoadapt.domain.task import Compute
from autoadapt.errors import Exit, UserError
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.place import Place


class InlineGroup(WorkerGroup):
    """This process; it runs a job when the executor waits for it.

    Args:
        place: where it stands.
    """

    def __init__(self, place: Place) -> None:
        from autoadapt.worker.workshop import Workshop

        self.ranks, self.cold = 1, True
        self._place, self._workshop = place, Workshop()
        self._first = True
        self._waiting: Path | None = None
        self._signals: list[Signal] = []

    def send(self, job: Job, folder: Path) -> None:
        self.cold, self._waiting = False, folder

    def signals(self) -> list[Signal]:
        signals, self._signals = self._signals, []
        return signals

    def heartbeat(self, folder: Path) -> int:
        return 0

    def kill(self) -> None:
        """Drops a job that has not begun, and the models kept warm."""
        self._waiting = None
        self._workshop.drop()

    def run(self) -> None:
        """Runs the job that waits, if there is one."""
        if self._waiting is None:
            return
        from autoadapt.worker.run import run_job

        folder, self._waiting = self._waiting, None
        outcome = run_job(folder, self._place, self._workshop, cold=self._first)
        self._first = False
        self._signals.append(JobDone(0, folder, outcome=outcome))


class Inline(Executor):
    """One slot: this process."""

    kills: ClassVar[bool] = False

    def open(self, run: Path, compute: Compute, preload: Sequence[str] = ()) -> None:
        if compute.devices_per_trial > 1:
            raise UserError("the inline executor has one device: use executor: local", Exit.ENVIRONMENT)
        self.slots, self.devices = 1, own_devices()
        self._group: InlineGroup | None = None

    def start(self, slot: int) -> InlineGroup:
        self._group = InlineGroup(Place(devices=self.devices))
        return self._group

    def wait(self, until: float) -> None:
        if self._group is not None:
            self._group.run()

    def close(self) -> None:
        self._group = None
