"""How long a job will probably take, learnt from the finished jobs of its method and model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Fit
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.shelves import METHODS

MARGIN = 1.25
"""A job is expected to take this much longer than the mean of those before it."""


PASS_OF_FORWARD = 2.0
"""Time of a pass of training over that of computing the states of the same rows, at least."""


@dataclass(frozen=True)
class JobTime:
    """Device-seconds of a job, its margin included."""

    training: float
    other: float
    """Loading, answering, timing single requests."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.training + self.other


def trained_share(measurement: Measurement) -> float:
    """Share of the planned steps that a training has done; below 1 only where its time was up."""
    planned = measurement.train_steps_planned
    if measurement.stopped_early or not 0 < measurement.train_steps < planned:
        return 1.0
    return measurement.train_steps / planned


def scheduled_steps(measurement: Measurement) -> int:
    """Optimizer steps of the schedule that a training has followed; 0: it did none.

    Where its time was up, the schedule has ended with it; where it stopped early, the schedule would have gone on.
    """
    cut = trained_share(measurement) < 1
    return measurement.train_steps if cut else max(measurement.train_steps, measurement.train_steps_planned)


def cut_text(measurement: Measurement) -> str:
    """What to add to a trial's figures where the time for its training was up; else nothing."""
    if trained_share(measurement) >= 1:
        return ""
    return f"; the budget paid for {measurement.train_steps} of its {measurement.train_steps_planned} steps"


class _Other(NamedTuple):
    """What a finished job took apart from training, in device-seconds."""

    fixed: float
    """Whatever it answers."""
    answering: float
    """For each unit of text that it reads, or token that it writes first, of all its rows and single requests."""
    rows: int


@dataclass
class _Seen:
    """What finished jobs of one method on one model took, in device-seconds."""

    per_pass: list[float] = field(default_factory=list)
    """Training, per pass over the training rows, had it been the whole schedule."""
    other: list[_Other] = field(default_factory=list)
    """All else of jobs of warm workers."""
    cold: list[_Other] = field(default_factory=list)
    """The same of first jobs of a worker, which import and load."""


class JobTimes:
    """What jobs of a study will take.

    Args:
        folder: the jobs that are on record.
        rows: for training, those of a teacher apart; 0: not known.
        length: text that a candidate computes for each row, in any unit.
    """

    def __init__(
        self, folder: RunFolder, rows: int = 0, length: Callable[[Candidate], float] = lambda candidate: 1.0
    ) -> None:
        self._folder, self._rows, self._length, self._settled = folder, rows, length, 0
        self._taken: set[Path] = set()
        """Jobs behind the first `_settled` records whose outcomes are taken: a killed run leaves jobs without one."""
        self._seen: dict[tuple[str, str, bool], _Seen] = {}
        """By method, model, and whether a candidate writes before it answers; of such the time for each token."""

    def of(self, candidate: Candidate, fidelity: Fidelity, done: float = 0.0) -> JobTime | None:
        """What a job of the candidate takes; None while no job of its method and model has finished.

        Args:
            candidate: what is run.
            fidelity: what is reached by the end of the job.
            done: share of the training steps done before.
        """
        self._update()
        seen = self._seen.get(_key(candidate))
        if seen is None:
            return None
        share = max(0.0, fidelity.steps - done)
        training = fmean(seen.per_pass) * candidate.passes_over(self._rows) * share if seen.per_pass else 0.0
        other = _other(seen.other or seen.cold, fidelity.rows, self._size(candidate))
        return JobTime(float(MARGIN * training), float(MARGIN * other))

    def knows(self, method: str, model: str) -> bool:
        """Whether a job of a method on a model has finished."""
        self._update()
        return (method, model, False) in self._seen

    def without_training(self, candidate: Candidate, rows: int) -> float:
        """Device-seconds of a job apart from training, as of its model's slowest method; 0 while nothing is known.

        Args:
            candidate: of a method that may never have been measured on its model.
            rows: that it answers.
        """
        self._update()
        return MARGIN * self._answering(candidate, rows)

    def _answering(self, candidate: Candidate, rows: int) -> float:
        model, length = candidate.model, self._length(candidate)
        every = [seen.other or seen.cold for (_, of, writes), seen in self._seen.items() if of == model and not writes]
        return max((_other(taken, rows, length) for taken in every if taken), default=0.0)

    def _size(self, candidate: Candidate) -> float:
        """To what the time of answering a row is in proportion: the text that is read, or what is written first."""
        return candidate.written_first or self._length(candidate)

    def least_training(self, candidate: Candidate) -> float:
        """Device-seconds that tuning takes at least, by a method that was never measured on its model.

        A pass over the training rows goes through the model once forwards and, at about twice the cost, backwards; of
        these three parts two are counted, because frozen weights need no gradients. A classifier on the model's states
        has gone forwards through it once. 0: none was measured on this model.

        Args:
            candidate: of a method that tunes.
        """
        self._update()
        forwards = [
            fmean(seen.per_pass)
            for (method, model, _), seen in self._seen.items()
            if model == candidate.model and seen.per_pass and not METHODS.get(method).tunes
        ]
        return PASS_OF_FORWARD * max(forwards, default=0.0) * candidate.passes_over(self._rows)

    def elsewhere(self, candidate: Candidate, rows: int) -> float:
        """Device-seconds that a job of a candidate's method has taken on that other model on which it takes longest.

        Args:
            candidate: of a method that does not tune, whose time on its own model is not known.
            rows: that it answers.
        """
        self._update()
        others = [
            seen
            for key, seen in self._seen.items()
            if key[::2] == _key(candidate)[::2] and key[1] != candidate.model and (seen.other or seen.cold)
        ]
        size = self._size(candidate)
        times = [fmean(seen.per_pass or [0.0]) + _other(seen.other or seen.cold, rows, size) for seen in others]
        return MARGIN * max(times, default=0.0)

    def of_job(self, job: Fit) -> JobTime | None:
        """The same for a job of a trial, which continues what the trial's earlier jobs have trained."""
        earlier = [fit.fidelity.steps for fit, _ in self._earlier(job)]
        return self.of(job.candidate, job.fidelity, max(earlier, default=0.0))

    def _earlier(self, job: Fit) -> list[tuple[Fit, Measurement]]:
        """The measured fits of the same trial on lower rungs."""
        every = ((r.job, r.measurement) for r in self._folder.of(job.trial))
        return [(fit, m) for fit, m in every if isinstance(fit, Fit) and m is not None and fit.rung < job.rung]

    def _update(self) -> None:
        records = self._folder.records
        for record in records[self._settled :]:
            if record.outcome is not None and record.folder not in self._taken:
                self._take(record, record.outcome)
                self._taken.add(record.folder)
        while self._settled < len(records) and records[self._settled].folder in self._taken:
            self._taken.remove(records[self._settled].folder)
            self._settled += 1

    def _take(self, record: Record, outcome: Outcome) -> None:
        job, measurement = record.job, record.measurement
        if not isinstance(job, Fit) or (measurement is None and not _ended_by_time(record)):
            return
        seen = self._seen.setdefault(_key(job.candidate), _Seen())
        if measurement is None:
            self._take_ended(job, outcome, seen)
            return
        devices, trained = outcome.devices.count, measurement.train_seconds
        share = job.fidelity.steps * trained_share(measurement)
        if trained > 0:
            seen.per_pass.append(trained * devices / share / job.candidate.passes_over(self._rows))
        earlier = [m.train_seconds for _, m in self._earlier(job)]
        other = outcome.usage.total_device_seconds - (trained - max(earlier, default=0.0)) * devices
        answered = measurement.inference_seconds + sum(measurement.latency_ms) / 1000
        answering = min(max(0.0, other), answered * devices / (1 - measurement.waited_share))
        taken = _Other(max(0.0, other) - answering, answering / self._size(job.candidate), len(measurement.rows))
        (seen.cold if outcome.cold else seen.other).append(taken)

    def _take_ended(self, job: Fit, outcome: Outcome, seen: _Seen) -> None:
        """Takes a job that was ended for its time: it takes at least as long, or as long as its steps have shown."""
        whole = outcome.result.whole_training_seconds if isinstance(outcome.result, Failure) else None
        held, rows = outcome.usage.total_device_seconds, job.fidelity.rows
        if whole is None:
            seen.other.append(_Other(0.0, held / self._size(job.candidate), rows))
            return
        seen.per_pass.append(whole * outcome.devices.count / job.candidate.passes_over(self._rows))
        answering = self._answering(job.candidate, rows) or held
        seen.other.append(_Other(0.0, answering / self._size(job.candidate), rows))


def _key(candidate: Candidate) -> tuple[str, str, bool]:
    return candidate.method, candidate.model, candidate.written_first > 0


def _ended_by_time(record: Record) -> bool:
    """Whether a job was ended because it took longer than a job of unknown price may."""
    failure = record.failure
    return failure is not None and failure.failure_class == "timeout" and record.job.longest_seconds is not None


def _other(seen: Sequence[_Other], rows: int, size: float) -> float:
    """Mean of what else jobs took; more rows take longer in proportion, fewer are not counted on to be faster."""
    return fmean(taken.fixed + taken.answering * size * max(1.0, rows / max(1, taken.rows)) for taken in seen)
