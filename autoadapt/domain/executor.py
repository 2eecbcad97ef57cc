"""Executor: a launcher of worker groups. The shelf ``executors/`` holds one per file.

An executor starts groups of worker processes, gives them jobs, reports what the workers say and ends them. Time limits,
retries, fencing and replacement are the supervisor's (`autoadapt.supervision.supervisor`), the same for every executor.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from autoadapt.domain.jobs import Devices, Job
from autoadapt.domain.outcome import Failure, FailureClass, Outcome
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.task import Compute


@dataclass(frozen=True)
class JobDone:
    """A rank says that it has done its part of a job."""

    rank: int
    folder: Path
    """The job's folder, so that a late message about an earlier job is recognised."""
    retire: bool = False
    """Whether this worker should be replaced before the next job."""
    outcome: Outcome | None = None
    """The result; None: it is in the job's folder."""


@dataclass(frozen=True)
class WorkerLost:
    """A rank's process ended: while it did a job, while it had none, or after it asked to be replaced."""

    rank: int
    failure_class: FailureClass
    reason: str


Signal = JobDone | WorkerLost


class WorkerGroup(ABC):
    """The ranks of one slot; it lives until `kill`, or until one of its ranks ends."""

    ranks: int
    cold: bool
    """Whether no job was given to it yet."""

    @abstractmethod
    def send(self, job: Job, folder: Path) -> None:
        """Gives all ranks a job, whose ``job.json`` is in `folder`; called only while none is running.

        A rank that is not there any more is reported by `signals`, not here.
        """

    @abstractmethod
    def signals(self) -> list[Signal]:
        """The signals that arrived since the last call; returns at once."""

    @abstractmethod
    def heartbeat(self, folder: Path) -> int:
        """A number that changes whenever the job's leading rank makes progress."""

    def ask_to_stop(self) -> bool:
        """Asks the ranks to end soon, a training after it has saved a checkpoint; returns at once.

        Returns:
            Whether they were asked; False: nothing but `kill` ends them.
        """
        return False

    @abstractmethod
    def kill(self) -> None:
        """Ends every rank with its children and waits until they are gone."""


class Executor(ABC):
    """A launcher of worker groups: `open` once, `start` for every slot that is used, `wait` while jobs run, `close`."""

    kills: ClassVar[bool] = True
    """Whether a running job can be ended at any moment; False: no time limit holds, and `WorkerGroup.kill` is called
    only between the calls of `wait`, in which such an executor works."""
    saves: ClassVar[bool] = True
    """Whether jobs that fit leave their option's files behind."""

    class Settings(StrictModel):
        """Settings of this executor, filled from the task: ``compute: {executor: {NAME: {setting: value}}}``."""

    slots: int
    """Groups that can work side by side; known from `open` on."""
    devices: Devices
    """What each slot has; known from `open` on."""

    def __init__(self, settings: Any = None) -> None:
        self.settings: Any = settings if settings is not None else self.Settings()

    @abstractmethod
    def open(self, run: Path, compute: Compute, preload: Sequence[str] = ()) -> None:
        """Finds the devices; what takes long, such as the imports of `preload`, goes on after it has returned.

        Args:
            run: the run folder.
            compute: the task's `Compute` section.
            preload: modules that the workers' families want imported beforehand.

        Raises:
            UserError: the machine cannot do what the task asks.
        """

    @abstractmethod
    def start(self, slot: int) -> WorkerGroup:
        """Starts the worker group of a slot, which has none; does not wait until it is ready.

        Raises:
            OSError: no process can be started.
        """

    def wait(self, until: float) -> None:
        """Blocks until a group has a signal, at most until a moment of the clock `now`."""
        time.sleep(max(0.0, min(0.05, until - self.now())))

    def now(self) -> float:
        """Seconds of the clock by which jobs take time; differences alone mean anything."""
        return time.monotonic()

    @abstractmethod
    def close(self) -> None:
        """Ends and frees what `open` began; every group was killed before."""


@dataclass(frozen=True)
class Finished:
    """A job that ended, with its outcome."""

    job: Job
    folder: Path
    outcome: Outcome
    retried: bool = False
    """Whether another attempt has been started: this outcome's cost counts, and nothing else follows from it."""

    @property
    def out_of_money(self) -> bool:
        """Whether it ended because the budget does not pay for its next request to a provider."""
        result = self.outcome.result
        return isinstance(result, Failure) and result.failure_class == "budget"
