"""The run folder: everything a study knows, readable without AutoAdapt, and the one truth a resumed run starts from.

runs/NAME/
  task.lock.yaml               the task with every default, hashes of data and prompts, the prompts of the library that
                               are searched, versions, hardware
  study.db                     a plain Optuna study (SQLite, WAL): optuna-dashboard sqlite:///runs/NAME/study.db
  study-copy.db                with `storage`, in its place: a copy of the study in the database, made as a search ends
  storage.json                 with `storage`: what identifies this run folder to the database
  data/                        the frozen splits, and the documents
  trials/0007/rung0/           one job: job.json, outcome.json (raw numbers, or a failure with its class), log.txt
  trials/0007/artifact/        the option as a self-contained folder with option.json; deleted once a trained one is
                               dominated, unless it is the best default or may be a part of a cascade
  trials/0007/score/           the option scored on test rows
  trials/0007/load_test/       the option under load: times of batches, latencies at every rate simulated from them
  trials/0007/in_turn/         the option and others, timed in turn
  trials/0007/onnx/            the option in ONNX, in turn with itself in PyTorch and under load
  trials/0007/robustness/      the option under other wordings of its prompt and other spellings of rows
  trials/0007/refit-85-0/      fitted again for the verdict: on 85 training rows (or `all`), with seed 0 (or another)
  trials/0007/refit-final-0/   fitted again on training and validation rows; with its artifact, the one to deploy
  trials/0007/propose-1/       an instruction written for slot 1 from the failures of this trial's prompt
  trials/0007/label/           rows without an answer, labelled by this trial's prompt
  trials/0007/predictions-*    answers to validation and test rows, and to perturbed ones
  slots/slot-1.json            the instruction of slot 1, who wrote it, what was tried and what it took; never changed
  teacher/labels.jsonl         the rows that the teacher has labelled, and labels.json: which trial it is, how sure it
                               was, what labelling took; never changed
  answers.db                   answers of models behind servers, and the money booked for them
  judge.json                   of `metric: judge`: its agreement with people, its bias, and what its server can do
  features/                    features of training rows, shared by all trials
  results.json                 options, raw numbers, advice, verdict, plan and spend of one moment; what readers read
  frontier.json, .csv          a part of it: the options with intervals
  recommendations.json         a part of it: the recommended trial and the reason
  verdict.json                 a part of it: ties, paired comparisons, optimism, learning curve, reasons
  report.html                  the report
  plan.json, probe.json        of `autoadapt plan`
  status.json, stop.json       where the running search stands and how it was begun; a request to stop it
  clock.json, driver.lock      seconds of all runs so far; what keeps a second search out
  workers/                     output of worker processes outside of jobs
"""

import contextlib
import fcntl
import math
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from autoadapt.domain.jobs import JOB, AnyJob, Devices, Fit, Propose, Refit, TimeInTurn
from autoadapt.domain.outcome import Failure, Measurement, OnnxTimes, Outcome, RowResult, TimesInTurn
from autoadapt.domain.strict import StrictModel
from autoadapt.errors import Exit, UserError
from autoadapt.files import content_of, read_model, write_json

REBUILT = "run `autoadapt search` on its task again: it repeats no trial and writes the file again"
"""What to do about a file of a run folder that is lost or damaged."""
JOB_FOLDER = re.compile(
    r"(rung(\d+)|score|load_test|in_turn|onnx|robustness|propose-\d+|label|refit-\w+-\d+)(?:-retry(\d+))?"
)
JobKind = Literal["fit", "score", "load_test", "refit", "in_turn", "onnx", "robustness", "propose", "label"]


MOST_SHARED = 1000
"""Different statistics of rows that are shared; of scores such as BLEU nearly every one is another."""


class Clock(StrictModel):
    """Wall-clock seconds of all runs of a study."""

    seconds: float


@dataclass
class Record:
    """One job that was run: its folder, what was asked, what came of it (None: it was interrupted)."""

    folder: Path
    job: AnyJob
    outcome: Outcome | None
    lost: bool = False
    """Whether the files that it left were damaged since: what it measured counts, but it is to be done again."""
    place: int = 0
    """Among all jobs of the study, in the order in which they ended."""

    @property
    def measurement(self) -> Measurement | None:
        """What was measured; None: it was interrupted, failed, or measured no option on rows."""
        return (
            self.outcome.result if self.outcome is not None and isinstance(self.outcome.result, Measurement) else None
        )

    @property
    def failure(self) -> Failure | None:
        """Why it failed; None: it did not, or was interrupted."""
        return self.outcome.result if self.outcome is not None and isinstance(self.outcome.result, Failure) else None


@dataclass
class RunFolder:
    """Paths and records of one study."""

    root: Path
    lasting: bool = True
    """Whether jobs and the clock are written to disk; a simulation keeps them in memory and makes no folder."""
    now: Callable[[], float] = time.monotonic
    """The clock of the study, in seconds."""
    records: list[Record] = field(default_factory=list)
    _of: dict[tuple[int, str], list[Record]] = field(default_factory=dict)
    _trials_of: dict[str, set[int]] = field(default_factory=dict)
    _numbers: Counter[str] = field(default_factory=Counter)
    _stats: dict[tuple[float, ...], list[float]] = field(default_factory=dict)
    """Statistics of rows that were read, by their values: most are 0 or 1."""
    _fields: set[str] = field(default_factory=lambda: {*RowResult.model_fields})
    _lock: IO[str] | None = None
    _session_start: float = 0.0
    _clock_before: float = 0.0
    _clock_written: float = 0.0

    def open(self) -> None:
        """Makes the folder, locks it against a second driver and reads what earlier runs left.

        A simulation's folder is not made: nothing is read or written.

        Raises:
            UserError: it cannot be written (exit 4), or another run uses it (exit 8).
        """
        self._session_start = self.now()
        if not self.lasting:
            return
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
        clock = read_model(self.root / "clock.json", Clock)
        self._clock_before = clock.seconds if clock else 0.0
        for record in sorted(self._read_records(), key=_ended):
            self._add(record)

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

    def job_folder(self, job: AnyJob) -> Path:
        """Folder of a job."""
        name = job_name(job)
        return self.trial(job.trial) / (f"{name}-retry{job.attempt}" if job.attempt else name)

    def prepare(self, job: AnyJob) -> Path:
        """Makes a job's folder with its job.json."""
        if not self.lasting:
            return self.job_folder(job)
        folder = self.job_folder(job).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "job.json", job)
        return folder

    def add(self, folder: Path, job: AnyJob, outcome: Outcome) -> None:
        """Records a finished job."""
        self._add(Record(folder, job, outcome))

    def _add(self, record: Record) -> None:
        record.place = len(self.records)
        if record.measurement is not None:
            self._shrink(record.measurement.rows)
        self.records.append(record)
        self._of.setdefault((record.job.trial, record.job.kind), []).append(record)
        self._trials_of.setdefault(record.job.kind, set()).add(record.job.trial)
        self._numbers[record.job.kind] += 1

    def _shrink(self, rows: list[RowResult]) -> None:
        """Lets rows share what is equal in them, in place: a driver keeps those of every trial to its end.

        A row as it is read takes 1.6 KB, most of it for the names of the fields that were given.
        """
        for i, row in enumerate(rows):
            values = dict(row)
            if len(self._stats) < MOST_SHARED:
                values["stats"] = self._stats.setdefault(tuple(row.stats), row.stats)
            rows[i] = RowResult.model_construct(_fields_set=self._fields, **values)

    def of(self, trial: int, kind: JobKind = "fit") -> list[Record]:
        """The jobs of a kind of a trial, by rung and attempt."""
        records = self._of.get((trial, kind), [])
        return sorted(records, key=lambda r: (job_name(r.job), r.job.attempt)) if len(records) > 1 else list(records)

    def number_of(self, kind: JobKind) -> int:
        """How many jobs of a kind there are."""
        return self._numbers[kind]

    def trials_with(self, kind: JobKind) -> Set[int]:
        """The trials that have a job of a kind."""
        return self._trials_of.get(kind, set())

    def in_turn(self) -> list[Record]:
        """The jobs that timed options in turn, whichever was their first option, in the order of their attempts."""
        return sorted((r for r in self.records if r.job.kind == "in_turn"), key=lambda r: r.job.attempt)

    def times_in_turn(self) -> dict[int, list[float]]:
        """Milliseconds of single requests by trial, of the last job that timed options in turn; empty: none did."""
        last = self.last_in_turn()
        return last[1].latency_ms if last else {}

    def last_in_turn(self) -> tuple[TimeInTurn, TimesInTurn] | None:
        """The last job that timed options in turn, and what it found; None: none did."""
        for record in reversed(self.in_turn()):
            result = None if record.outcome is None else record.outcome.result
            if isinstance(record.job, TimeInTurn) and isinstance(result, TimesInTurn):
                return record.job, result
        return None

    def in_onnx(self) -> dict[int, OnnxTimes]:
        """What was found by trial that was tried in ONNX."""
        found = {}
        for record in self.records:
            result = None if record.outcome is None else record.outcome.result
            if isinstance(result, OnnxTimes):
                found[record.job.trial] = result
        return found

    def last_done(self, trial: int, kind: JobKind) -> Record | None:
        """The last finished job of a kind of a trial."""
        done = [r for r in self.of(trial, kind) if r.outcome is not None and r.failure is None]
        return done[-1] if done else None

    def measured_in_full(self, trial: int) -> bool:
        """Whether a fit of a trial that did all of its work was measured."""
        return any(
            isinstance(r.job, Fit) and not r.job.keep_checkpoint and r.measurement is not None for r in self.of(trial)
        )

    def settle_interrupted(self, devices: Devices) -> int:
        """Gives an outcome to jobs that a killed run left without one, with the time they are known to have taken."""
        count = 0
        for record in self.records:
            if record.outcome is None:
                record.outcome = _interrupted(record, devices)
                write_json(record.folder / "outcome.json", record.outcome)
                count += 1
        return count

    def drop_artifacts(self, trials: Iterable[int]) -> None:
        """Deletes the artifacts of trials that cannot be recommended any more."""
        for trial in trials if self.lasting else ():
            shutil.rmtree(self.trial(trial) / "artifact", ignore_errors=True)

    def drop_checkpoints(self, trial: int) -> None:
        """Deletes what only an unfinished job needs, and what a killed worker had half written."""
        _drop_checkpoints(self.trial(trial))

    def drop_refit(self, job: Refit) -> None:
        """Deletes what a fit that was made to be measured has left."""
        shutil.rmtree(self.root / job.artifact_folder, ignore_errors=True)
        _drop_checkpoints(self.root / job.state_folder)

    def _read_records(self) -> Iterator[Record]:
        for folder in sorted((self.root / "trials").glob("*/*/")):
            if not JOB_FOLDER.fullmatch(folder.name):
                continue
            job = read_job(folder)
            if job is not None:  # else it was killed before it began
                yield Record(folder.resolve(), job, read_model(folder / "outcome.json", Outcome))


def job_name(job: AnyJob) -> str:
    """Name of a job's folder at its first attempt."""
    if isinstance(job, Fit):
        return f"rung{job.rung}"
    if isinstance(job, Propose):
        return f"propose-{job.slot}"
    if isinstance(job, Refit):
        return f"refit-{'final' if job.final else job.train_rows or 'all'}-{job.seed_index}"
    return job.kind


def read_job(folder: Path) -> AnyJob | None:
    """The job of a folder; None where it is absent or damaged (then it was killed while it was written)."""
    try:
        return JOB.validate_json(content_of(folder / "job.json"))
    except (OSError, ValidationError):
        return None


def _ended(record: Record) -> float:
    """When a job ended, in nanoseconds; one that was interrupted comes last."""
    return math.inf if record.outcome is None else (record.folder / "outcome.json").stat().st_mtime_ns


def _drop_checkpoints(state: Path) -> None:
    # hidden ones were half written by a killed worker
    for pattern in ("checkpoint-*", ".checkpoint-*.tmp", ".artifact.tmp", ".onnx-*.tmp"):
        for folder in state.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)


def _interrupted(record: Record, devices: Devices) -> Outcome:
    begun = (record.folder / "job.json").stat().st_mtime
    beats = [f.stat().st_mtime for f in record.folder.iterdir() if f.name.startswith(("heartbeat", "log"))]
    failure = Failure(stage="start", failure_class="interrupted", reason="the run was killed")
    return Outcome.of(record.job, failure, devices, max(0.0, max(beats, default=begun) - begun))


LEAST_DISK_BYTES = 200_000_000


def full_disk(folder: Path) -> UserError | None:
    """The error that a search ends with where too little of the folder's disk is free; None: there is enough."""
    stat = os.statvfs(folder)
    if stat.f_bavail * stat.f_frsize >= LEAST_DISK_BYTES:
        return None
    return UserError(
        f"{folder}: less than {LEAST_DISK_BYTES // 10**6} MB free; make room and run the same command to resume",
        Exit.ENVIRONMENT,
    )
