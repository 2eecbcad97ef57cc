"""Executor: a launcher of worker groups. The shelf ``executors/`` holds one per file.

An executor starts groups of worker processes, gives them jobs, hears what they say and ends them. Time limits, retries,
fencing and replacement are the supervisor's (`autoadapt.executors.supervisor`), the same for every executor.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoadapt.domain.jobs import Devices, JobBase
from autoadapt.domain.outcome import FailureClass, Outcome
from autoadapt.domain.strict import StrictModel


@dataclass(frozen=True)
class JobDone:
    """A rank says that it has done its part of a job."""

    rank: int
    folder: Path
    """Of the job, so that a late word about an earlier one is recognised."""
    retire: bool = False
    """Whether this worker should be replaced before the next job."""
    outcome: Outcome | None = None
    """What came of it; None: it stands in the job's folder."""


@dataclass(frozen=True)
class WorkerLost:
    """A rank's process ended although its job was not done."""

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
    def send(self, job: JobBase, folder: Path) -> None:
        """Gives all ranks a job, whose ``job.json`` is in `folder`; called only while none is running."""

    @abstractmethod
    def signals(self) -> list[Signal]:
        """What was heard since the last call; returns at once."""

    @abstractmethod
    def heartbeat(self, folder: Path) -> int:
        """A number that changes whenever the job's leading rank makes progress."""

    @abstractmethod
    def kill(self) -> None:
        """Ends every rank with its children and waits until they are gone."""


class Executor(ABC):
    """A launcher of worker groups: `open` once, `start` for every slot that is used, `wait` between looks, `close`."""

    class Settings(StrictModel):
        """Settings of this executor, filled from the task: ``compute: {executor: {NAME: {setting: value}}}``."""

    slots: int
    """Groups that can work side by side; known from `open` on."""
    devices: Devices
    """What each slot has; known from `open` on."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    @abstractmethod
    def open(self, run: Path, compute: Any, preload: Sequence[str] = ()) -> None:
        """Finds the devices.

        Args:
            run: the run folder.
            compute: the task's `Compute` section.
            preload: modules that the workers' families want imported beforehand.

        Raises:
            UserError: the machine cannot do what the task asks.
        """

    @abstractmethod
    def start(self, slot: int) -> WorkerGroup:
        """Starts the worker group of a slot, which has none."""

    def wait(self, until: float) -> None:
        """Blocks until a group has said something, at most until a moment of the clock `now`."""
        time.sleep(max(0.0, min(0.05, until - self.now())))

    def now(self) -> float:
        """Seconds of the clock by which jobs take time; differences alone mean anything."""
        return time.monotonic()

    @abstractmethod
    def close(self) -> None:
        """Frees what `open` took; every group was killed before."""


@dataclass(frozen=True)
class Finished:
    """A job that ended, with what it gave."""

    job: Any
    """Any of `autoadapt.domain.jobs`."""
    folder: Path
    outcome: Outcome
    retried: bool = False
    """Whether the supervisor tries it once more, so that this outcome is on record and nothing else follows from it."""
