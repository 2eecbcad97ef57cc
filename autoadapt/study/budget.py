"""Budget: whether the next job can be paid for, given what was spent, what runs, and what the end will take."""

from collections.abc import Sequence
from typing import TypeVar

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Fit, JobBase, Label, Propose
from autoadapt.runs.run_folder import Record
from autoadapt.shelves import METHODS
from autoadapt.study.job_times import JobTime, JobTimes
from autoadapt.study.ledger import Ledger
from autoadapt.study.open_trials import OpenTrials
from autoadapt.study.prompt_lengths import PromptLengths
from autoadapt.study.study_results import StudyResults
from autoadapt.supervision.supervisor import Supervisor
from autoadapt.tasks.resolve import ResolvedTask

J = TypeVar("J", bound=JobBase)
FIRST_SHARE, MOST_OF_ONE = 0.5, 0.5
"""Share of what is left of the budget for first trainings of all methods and models together whose price is not known
yet; greatest share for one of them."""
UNKNOWN_SHARE, LEAST_UNKNOWN_SECONDS = 0.25, 30.0
"""Share of what is left of the budget that all of a job but its training may take while its price is not known; seconds
that it may take in any case, because the first job of a worker imports and loads."""
LEAST_TRAINED = 0.5
"""Share of its planned steps that the budget must pay for, or a training is not begun."""


class Budget:
    """The limits of one study.

    Args:
        resolved: the task.
        ledger: what was spent.
        supervisor: what runs.
        trials: what their running jobs will probably take.
        results: which options have still to be re-scored.
    """

    def __init__(
        self,
        resolved: ResolvedTask,
        ledger: Ledger,
        supervisor: Supervisor,
        trials: OpenTrials,
        results: StudyResults,
    ) -> None:
        self._resolved, self._ledger, self._supervisor = resolved, ledger, supervisor
        self._trials, self._results = trials, results
        self.lengths = PromptLengths(resolved)
        """Of the prompts of candidates."""
        self._times = JobTimes(ledger.folder, len(resolved.splits.train), self._length)
        self._whole = Fidelity(rows=max(1, resolved.validation_rows), steps=1.0, latency_requests=0)
        self._kept_back_of = ((-1, -1), 0.0)
        """Revision of the trials and number of records, and what is kept back with them."""

    def may_try(self) -> bool:
        """Whether another candidate may be tried."""
        limit = self._resolved.task.budget.trials
        return (limit is None or self._trials.tried() < limit) and self.affords(0.0)

    def affords(self, seconds: float, apart_from: int | None = None) -> bool:
        """Whether a job of so many device-seconds may start beside those that run.

        Args:
            seconds: predicted device-seconds.
            apart_from: trial whose own job is not counted among those that run.
        """
        return self._ledger.allows(seconds, self._running(apart_from), self.kept_back())

    def capped(self, job: J, seconds: float, apart_from: int | None = None, keep_back: bool = True) -> J:
        """A job with the most that providers may have billed the study by its end.

        Args:
            job: that starts now.
            seconds: its predicted device-seconds.
            apart_from: trial whose own job is not counted among those that run.
            keep_back: whether a part is kept for the end of the search.
        """
        rows = min(len(self._resolved.splits.test), self._resolved.task.evaluation.test_rows)
        kept_back = self._ledger.kept_back_usd(self._unscored(), rows) if keep_back else 0.0
        cap = self._ledger.provider_usd_cap(seconds, self._running(apart_from), kept_back)
        return job.model_copy(update={"provider_usd_cap": cap})

    def device_seconds_left(self, apart_from: int | None = None) -> float | None:
        """Device-seconds that one more job may take beside those that run; None without such a limit.

        Args:
            apart_from: trial whose own job is not counted among those that run.
        """
        return self._ledger.device_seconds_left(self._running(apart_from), self.kept_back())

    def pays_for(self, candidate: Candidate, left: float | None) -> bool:
        """Whether a candidate may be begun: whether it can be finished, or trained for a good part of its schedule.

        Args:
            candidate: a new one. One whose method and model have no known price may be begun where answering is paid
                for, as other methods of the model show, because its training ends when its time is up (`timed`).
            left: device-seconds, as of `device_seconds_left`.
        """
        return left is None or self._least(candidate, self._whole.rows, self._whole_time(candidate)) <= left

    def expected_seconds(self, candidate: Candidate) -> float | None:
        """Device-seconds that the whole job of a candidate will probably take; None: not known."""
        time = self._whole_time(candidate)
        return None if time is None else time.total

    def timed(self, job: Fit) -> tuple[Fit, float] | None:
        """A job with the longest time that it may train, and the device-seconds that it will probably hold.

        None: what is left of the budget does not pay for it.
        """
        left, time = self.device_seconds_left(apart_from=job.trial), self._times.of_job(job)
        if left is None:
            return job, time.total if time is not None else 0.0
        devices = self._supervisor.devices.count
        least = self._least(job.candidate, job.fidelity.rows, time)
        if left <= 0 or not self.affords(least, apart_from=job.trial):
            return None
        if time is None:
            limits = self._limits_of_unknown(job)
            return job.model_copy(update=limits), limits.get("training_seconds", 0.0) * devices
        if job.keep_checkpoint:  # a part of a schedule that was cut short would be a part of another schedule
            return (job, time.total) if time.total <= left else None
        most = max(left - time.other, 1.0)
        return job.model_copy(update={"training_seconds": most / devices}), time.other + min(time.training, most)

    def reached(self, keep_back: bool = True) -> str | None:
        """The limit that was reached, or None.

        Args:
            keep_back: whether a part is kept for the end of the search.
        """
        held = sum(self._supervisor.running_seconds().values())
        return self._ledger.reached(held, self.kept_back() if keep_back else 0.0)

    def _whole_time(self, candidate: Candidate) -> JobTime | None:
        return self._times.of(candidate, self._whole)

    def _length(self, candidate: Candidate) -> float:
        """Text that a candidate computes for each row; a server's time hardly depends on it."""
        remote = self._resolved.capabilities[candidate.model].remote
        return 1.0 if remote else self.lengths.of(candidate).computed

    def _least(self, candidate: Candidate, rows: int, time: JobTime | None) -> float:
        """Device-seconds that a job must be given for it to be begun.

        Args:
            candidate: what is run.
            rows: that it answers.
            time: it will probably take; None: not known, so that it must be given what other methods of its model need
                to answer, and for a part of the least that its training can take.
        """
        if time is not None:
            return time.other + LEAST_TRAINED * time.training
        tunes = METHODS.get(candidate.method).tunes
        training = self._times.least_training(candidate) if tunes else 0.0
        return self._times.without_training(candidate, rows) + LEAST_TRAINED * training

    def _limits_of_unknown(self, job: Fit) -> dict[str, float]:
        """Longest times of a job whose price is not known: shares of what is left for its slot."""
        of_slot = self._ledger.device_seconds_left(self._running(job.trial), self.kept_back(), of_slot=True)
        left = (of_slot or 0.0) / self._supervisor.devices.count
        # the model's other methods show how long it answers: a training that is ended while it answers is lost
        known = self._times.without_training(job.candidate, job.fidelity.rows) / self._supervisor.devices.count
        other = max(LEAST_UNKNOWN_SECONDS, UNKNOWN_SHARE * left, known)
        if not METHODS.get(job.candidate.method).tunes:
            # a method that took long on one model is given as long on another, instead of being ended shortly before
            elsewhere = self._times.elsewhere(job.candidate, job.fidelity.rows) / self._supervisor.devices.count
            return {"longest_seconds": max(other, min(elsewhere, MOST_OF_ONE * left))}
        training = max(1.0, min(self._first_share() * left, left - known))
        return {"training_seconds": training, "longest_seconds": training + other}

    def _first_share(self) -> float:
        """Share of what is left that the first training of a method on a model may take.

        As many side by side as there are slots take the time of one.
        """
        pairs = self._resolved.space.pairs.models
        unknown = sum(
            not self._times.knows(method, model)
            for method, models in pairs.items()
            for model in models
            if METHODS.get(method).tunes
        )
        return min(MOST_OF_ONE, FIRST_SHARE * self._supervisor.slots / max(1, unknown))

    def _running(self, apart_from: int | None) -> list[tuple[float, float]]:
        """Of every running job of a trial, device-seconds predicted and held so far."""
        held = self._supervisor.running_seconds()
        trials = [(self._trials[n].predicted, held[n]) for n in self._trials.numbers() if n != apart_from and n in held]
        devices = self._supervisor.devices.count
        return trials + [
            ((job.most_seconds or 0.0) * devices, seconds * devices)
            for job, seconds in self._supervisor.running_jobs()
            if isinstance(job, Propose | Label)
        ]

    def _unscored(self) -> Sequence[Record]:
        return [self._results.trials.record(t) for t in self._results.unscored_trials()]

    def kept_back(self) -> float:
        """Device-seconds kept for the end of the search; computed once for as long as nothing has finished."""
        now = (self._results.trials.revision, len(self._results.folder.records))
        if now != self._kept_back_of[0]:
            evaluation, splits = self._resolved.task.evaluation, self._resolved.splits
            kept_back = self._ledger.kept_back(self._unscored(), evaluation, len(splits.test), splits.growth)
            self._kept_back_of = now, kept_back
        return self._kept_back_of[1]
