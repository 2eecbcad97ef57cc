"""A third-party executor: every job gets a process of its own, which ends with it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from autoadapt.domain.executor import Executor, JobDone, Signal, WorkerGroup, WorkerLost
from autoadapt.domain.jobs import Job
from autoadapt.domain.task import Compute
from autoadapt.worker.hardware import own_devices


class OneShotGroup(WorkerGroup):
    """One process for one job."""

    ranks = 1
    cold = True

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    def send(self, job: Job, folder: Path) -> None:
        self._folder = folder
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "autoadapt.worker", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signals(self) -> list[Signal]:
        code = self._process.poll() if self._process is not None else None
        if code is None:
            return []
        self._process = None
        if code in (0, 1):  # measured, or failed with an outcome that says why
            return [JobDone(0, self._folder, retire=True)]
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return [WorkerLost(0, "crash", f"the process ended by {name}")]

    def heartbeat(self, folder: Path) -> int:
        try:
            return (folder / "heartbeat").stat().st_mtime_ns
        except OSError:
            return 0

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class OneShot(Executor):
    """Two slots."""

    def open(self, run: Path, compute: Compute, preload: Sequence[str] = ()) -> None:
        self.slots, self.devices = 2, own_devices()

    def start(self, slot: int) -> OneShotGroup:
        return OneShotGroup()

    def close(self) -> None:
        """Nothing lasts longer than a job."""
