"""The run folder: everything a study knows, readable without AutoAdapt, and the one truth a resumed run starts from.

runs/NAME/
  task.lock.yaml            the task fully resolved, with hashes of data and prompts, versions, hardware
  study.db                  the Optuna study (SQLite)
  data/*.jsonl              the frozen splits
  trials/0007/rung0/        one step: trial.json, outcome.json, log.txt
  trials/0007/model/        the adapter or weights, while the trial is on the frontier
  trials/0007/test/         the re-scored option
  trials/0007/load/         the same under load
  trials/0007/again-85-0/   fitted again, on 85 training rows (or `all`) with seed 0
  frontier.json|csv, recommendations.json
"""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from autoadapt.files import read_model, write_json
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.strict import StrictModel
from autoadapt.domain.trial import Devices, Step
from autoadapt.errors import Exit, UserError

STEP_FOLDER = re.compile(r"(rung(\d+)|test|load|again-\w+-\d+)(?:-retry(\d+))?")


class Clock(StrictModel):
    """Wall-clock seconds of all runs of a study."""

    seconds: float = 0.0


@dataclass
class Record:
    """One step that was run: its folder, what was asked, what came of it (None: it was interrupted)."""

    folder: Path
    step: Step
    outcome: Outcome | None


@dataclass
class RunFolder:
    """Paths and records of one study."""

    root: Path
    lasting: bool = True
    """Whether steps and the clock are written to disk; a simulation keeps them in memory."""
    now: Callable[[], float] = time.monotonic
    """The clock of the study, in seconds."""
    records: list[Record] = field(default_factory=list)
    _of: dict[tuple[int, str], list[Record]] = field(default_factory=dict)
    _lock: IO[str] | None = None
    _session_start: float = 0.0
    _clock_before: float = 0.0
    _clock_written: float = 0.0

    def open(self) -> None:
        """Makes the folder and locks it against a second driver; reads what earlier runs left.

        Raises:
            UserError: it cannot be written (exit 4), or another run uses it (exit 8).
        """
        try:
            (self.root / "trials").mkdir(parents=True, exist_ok=True)
            self._lock = (self.root / "driver.lock").open("a")
        except OSError as error:
            raise UserError(f"{self.root}: cannot be written ({error.strerror})", Exit.ENVIRONMENT) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise UserError(f"{self.root}: another `autoadapt search` is running this study", Exit.STORAGE) from None
        self._session_start = self.now()
        clock = read_model(self.root / "clock.json", Clock)
        self._clock_before = clock.seconds if clock else 0.0
        for record in self._read_records():
            self._take(record)

    def close(self) -> None:
        """Writes the clock and lets others in."""
        self.tick(force=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def tick(self, force: bool = False) -> None:
        """Keeps the clock on disk to within five seconds."""
        if self.lasting and (force or self.now() - self._clock_written > 5):
            self._clock_written = self.now()
            with contextlib.suppress(OSError):  # a full disk: the next tick tries again
                write_json(self.root / "clock.json", Clock(seconds=self.wall_seconds))

    @property
    def wall_seconds(self) -> float:
        """Seconds of this and all earlier runs."""
        return self._clock_before + self.now() - self._session_start

    def trial(self, number: int) -> Path:
        """Folder of a trial."""
        return self.root / "trials" / f"{number:04d}"

    def step_folder(self, step: Step) -> Path:
        """Folder of a step."""
        name = f"rung{step.rung}" if step.split == "validation" else step.split
        if step.split == "again":
            name = f"again-{step.train_rows or 'all'}-{step.seed_index}"
        return self.trial(step.trial) / (f"{name}-retry{step.attempt}" if step.attempt else name)

    def prepare(self, step: Step) -> Path:
        """Makes a step's folder with its trial.json."""
        folder = self.step_folder(step).resolve()
        if not self.lasting:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "trial.json", step)
        return folder

    def add(self, folder: Path, step: Step, outcome: Outcome) -> None:
        """Takes note of a finished step."""
        self._take(Record(folder, step, outcome))

    def _take(self, record: Record) -> None:
        self.records.append(record)
        self._of.setdefault((record.step.trial, record.step.split), []).append(record)

    def of(self, trial: int, split: str = "validation") -> list[Record]:
        """The steps of a trial on a split, by rung and attempt."""
        return sorted(self._of.get((trial, split), ()), key=lambda r: (r.step.rung, r.step.attempt))

    def settle_interrupted(self, devices: Devices) -> int:
        """Gives steps that a killed run left without an outcome one, with the time they are known to have taken."""
        count = 0
        for record in self.records:
            if record.outcome is None:
                record.outcome = _interrupted(record, devices)
                write_json(record.folder / "outcome.json", record.outcome)
                count += 1
        return count

    def drop_models(self, keep: set[int]) -> None:
        """Deletes weights and checkpoints of finished trials that are not to be kept."""
        for folder in (self.root / "trials").iterdir():
            if folder.name.isdigit() and int(folder.name) not in keep:
                shutil.rmtree(folder / "model", ignore_errors=True)
                self.drop_checkpoints(int(folder.name))

    def drop_checkpoints(self, trial: int) -> None:
        """Deletes what only an unfinished training needs."""
        for checkpoint in self.trial(trial).glob("checkpoint-*"):
            shutil.rmtree(checkpoint, ignore_errors=True)

    def _read_records(self) -> Iterator[Record]:
        for folder in sorted((self.root / "trials").glob("*/*/")):
            if not STEP_FOLDER.fullmatch(folder.name):
                continue
            step = read_model(folder / "trial.json", Step)
            if step is not None:  # else it was killed before it began
                yield Record(folder.resolve(), step, read_model(folder / "outcome.json", Outcome))


def _interrupted(record: Record, devices: Devices) -> Outcome:
    begun = (record.folder / "trial.json").stat().st_mtime
    beats = [f.stat().st_mtime for f in record.folder.iterdir() if f.name.startswith(("heartbeat", "log"))]
    return Outcome(
        trial=record.step.trial,
        rung=record.step.rung,
        attempt=record.step.attempt,
        failure=Failure(stage="start", kind="interrupted", reason="the run was killed"),
        devices=devices,
        seconds=max(0.0, max(beats, default=begun) - begun),
    )


def free_disk_bytes(folder: Path) -> int:
    """Free bytes on the folder's disk."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
