"""Trials one by one in this process: for debuggers and tests. Nothing can be killed, so no time limit holds."""

import time
from pathlib import Path

from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.plugins import Executor, Finished
from autoadapt.domain.task import Compute
from autoadapt.domain.trial import Step
from autoadapt.errors import Exit, UserError
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.place import Place


class Inline(Executor):
    """Runs a step when its result is asked for."""

    def start(self, run: Path, compute: Compute) -> None:
        if compute.devices_per_trial > 1:
            raise UserError("the inline executor has one device: use executor: local", Exit.ENVIRONMENT)
        self.slots = 1
        self.devices = own_devices()
        self._waiting: tuple[Step, Path] | None = None
        self._dropped: Finished | None = None
        self._started = 0.0
        self._cold = True

    @property
    def free(self) -> int:
        return int(self._waiting is None)

    def submit(self, step: Step, folder: Path) -> None:
        self._waiting, self._started = (step, folder), time.monotonic()

    def next_finished(self, timeout: float) -> Finished | None:
        if self._dropped is not None:
            dropped, self._dropped = self._dropped, None
            return dropped
        if self._waiting is None:
            return None
        from autoadapt.worker.run import run_step

        step, folder = self._waiting
        outcome = run_step(folder, Place(devices=self.devices), cold=self._cold)
        self._waiting, self._cold = None, False
        return Finished(step, folder, outcome)

    def running_seconds(self) -> dict[int, float]:
        return {self._waiting[0].trial: time.monotonic() - self._started} if self._waiting else {}

    def kill_running(self, reason: str) -> None:
        if self._waiting is not None:
            step, folder = self._waiting
            failure = Failure(stage="start", kind="interrupted", reason=reason)
            outcome = Outcome(
                trial=step.trial,
                rung=step.rung,
                attempt=step.attempt,
                failure=failure,
                devices=self.devices,
                seconds=0.0,
            )
            self._dropped, self._waiting = Finished(step, folder, outcome), None

    def close(self) -> None:
        self._waiting = None
