"""When rows without an answer are labelled during a search, what that may take, and what becomes of it.

Rows are labelled by one job, once. It is begun when the prompts that a study begins with have been tried and one on a
model that may teach was measured in full that states confidences: the best of these labels. Labelling may take
`teacher.budget_share` of the budget, and is not begun unless the budget also pays for a training on the labels.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import Fit, JobBase, Label
from autoadapt.domain.outcome import Failure, RowResult
from autoadapt.domain.params import TEACHER_ROWS
from autoadapt.domain.space import Choices
from autoadapt.domain.teacher import KEPT_ROWS, Labelling, TeacherLabels
from autoadapt.domain.usage import total_usage
from autoadapt.economics.usage_costs import usage_usd
from autoadapt.providers.answer_store import billed_by_job
from autoadapt.runs.run_folder import Record
from autoadapt.runs.teacher import keep_labels, read_labels
from autoadapt.study.during_search import (
    MOST_FAILURES,
    Surroundings,
    has_failed_enough,
    used,
)
from autoadapt.tasks.unlabelled import teacher_models

LEAST_HOPE = 0.5
"""Share of the least number of rows to be learned from that must be expected to be labelled, or none is."""
MORE_THAN_EXPECTED = 1.25
"""Times the rows expected to be answered that the job may answer: how sure a teacher is, is known from few rows."""


@dataclass
class Teaching(Surroundings):
    """The teacher of one search, and what it labels."""

    running: Label | None = None
    """The job that runs."""
    _waits: bool = False
    """Whether it was said that no prompt states a confidence."""

    def resume(self) -> None:
        """Takes what an earlier run has left: labels that were given stay as they are."""
        if self.resolved.task.data.unlabelled is None or not self.folder.lasting:
            self._ended = True
            return
        self._records = [r for r in self.folder.records if isinstance(r.job, Label)]
        labels = read_labels(self.folder.root)
        if labels is None:
            done = next((r for r in self._records if r.outcome and isinstance(r.outcome.result, Labelling)), None)
            labels = None if done is None else self._kept(done)
        if labels is not None:
            self._open(labels)

    def begin(self, tried: dict[str, int]) -> bool:
        """Begins to label if it is time; whether it has.

        Args:
            tried: candidates that were tried or run, by key.
        """
        job = self._due(tried)
        if job is None:
            return False
        self.running = job
        message = f"the prompt of trial {job.trial} labels up to {job.wanted:,} of {job.rows:,} rows"
        self.emit("note", message, job.trial)
        self.supervisor.submit(job, self.folder.prepare(job))
        return True

    def take(self, finished: Finished) -> bool:
        """Takes what came of a job that `begin` has begun; whether there are labels now that can be learned from."""
        job, outcome = finished.job, finished.outcome
        record = Record(finished.folder, job, outcome)
        self._records.append(record)
        if not isinstance(job, Label) or finished.retried:
            return False
        self.running = None
        if isinstance(outcome.result, Failure):
            self.emit("note", f"no rows were labelled: {outcome.result}", job.trial)
            return False
        labels = self._kept(record)
        if labels is None:
            return False
        self._open(labels)
        self.emit("note", labels_told(labels, self._least()), job.trial)
        return labels.kept >= self._least()

    def _least(self) -> int:
        return next(count for count in self.resolved.task.teacher.rows if count)

    # -- labels that were given

    def _kept(self, record: Record) -> TeacherLabels | None:
        """The labels as they stand in the run folder, where they are written once; None: those of the job are lost."""
        job, outcome = record.job, record.outcome
        if not isinstance(job, Label) or outcome is None or not isinstance(outcome.result, Labelling):
            raise TypeError("labels come from labelling alone")
        labelling, billed = outcome.result, billed_by_job(self.folder.root)
        rows = self._validation_rows(self.folder.last_done(job.trial, "fit"))
        sure = _sure(rows, job.least_confidence)
        labels = TeacherLabels(
            trial=job.trial,
            candidate=job.candidate,
            least_confidence=job.least_confidence,
            labelling=labelling,
            usage=total_usage(used(r, r.outcome, billed) for r in self._records if r.outcome is not None),
            first=self._first(record, len(labelling.answered_before)),
            validation_rows=len(rows),
            sure_rows=len(sure),
            sure_right=fmean(row.stats[0] for row in sure) if sure else None,
        )
        try:
            return keep_labels(self.folder.root, record.folder / KEPT_ROWS, labels)
        except OSError:
            self.end(f"the labels of trial {job.trial} are lost: {record.folder / KEPT_ROWS} is not there")
            return None

    def _validation_rows(self, record: Record | None) -> list[RowResult]:
        return [] if record is None or record.measurement is None else record.measurement.rows

    def _first(self, labelled_by: Record, labelled: int) -> list[Candidate]:
        """The best candidate so far of each method that learns from rows, with as many labels as there are."""
        best: dict[str, Record] = {}
        for record in self._learners(labelled_by):
            known = best.get(record.job.candidate.method)
            if known is None or self.quality(record) > self.quality(known):
                best[record.job.candidate.method] = record
        count = max((n for n in self.resolved.task.teacher.rows if n <= labelled), default=0)
        ordered = sorted(best.values(), key=self.quality)
        return [with_teacher_rows(record.job.candidate, count) for record in ordered] if count else []

    def _learners(self, until: Record | None = None) -> list[Record]:
        """Fits measured in full whose methods could learn from labels.

        Args:
            until: only those that had ended before this job, so that a resumed search finds the same ones.
        """
        space = self.resolved.space
        ended = itertools.takewhile(lambda r: until is None or r.folder != until.folder, self.folder.records)
        fits = ((r, r.job) for r in ended if r.measurement is not None)
        records = [r for r, job in fits if isinstance(job, Fit) and not job.keep_checkpoint]
        arms = {name for name, arm in space.arms.items() if isinstance(arm.specs.get(TEACHER_ROWS), Choices)}
        return [r for r in records if space.arm_of(r.job.candidate.method, r.job.candidate.model) in arms]

    def _open(self, labels: TeacherLabels) -> None:
        """Lets candidates learn from labels; the best of each method is tried with them first."""
        self._ended = True
        self.resolved.taught.labels = labels
        for candidate in labels.first:
            self.portfolio.add(candidate)

    # -- whether it is time

    def _due(self, tried: dict[str, int]) -> Label | None:
        """The job that should be begun now; None: it is too early, or nothing is to be gained."""
        if self._ended or self.running is not None or not (self.folder.lasting and self.supervisor.saves):
            return None
        if self.nothing_new(tried):
            return None
        able = self._able()
        if not able or not self.budget.may_try() or self.too_few_prompts(tried):
            return None
        sure = [record for record in able if any(r.confidence is not None for r in self._validation_rows(record))]
        if not sure:
            if not self._waits:
                self.emit("note", "no rows are labelled before a prompt states a confidence in its answers", None)
            self._waits = True
            return None
        best = max(sure, key=lambda r: (self.quality(r), -r.job.trial))
        if has_failed_enough(self._records):
            self.end(f"no rows are labelled: it has failed {MOST_FAILURES} times")
            return None
        return self._affordable(best)

    def _able(self) -> list[Record]:
        """Prompts measured in full on models that may teach."""
        models = teacher_models(self.resolved.task, self.resolved.space.pairs)
        return [record for record in self.prompts() if record.job.candidate.model in models]

    def _expected(self, teacher: Record) -> int | None:
        """Rows that must probably be answered for as many labels as are wanted; None: too few would come of it."""
        settings, there = self.resolved.task.teacher, len(self.resolved.splits.unlabelled)
        rows = self._validation_rows(teacher)
        share = len(_sure(rows, settings.least_confidence)) / len(rows)
        if share * there < LEAST_HOPE * self._least():
            self.end(
                f"no rows are labelled: trial {teacher.job.trial} is sure of {share:.0%} of its answers to validation "
                f"rows (teacher.least_confidence {settings.least_confidence:g}), which would give fewer than "
                f"{self._least():,} labels"
            )
            return None
        return min(there, math.ceil(MORE_THAN_EXPECTED * settings.rows[-1] / share))

    # -- what it may take

    def _affordable(self, teacher: Record) -> Label | None:
        """The job with the most that it may take; None: its share of the budget, or what is left, is too little."""
        rows = self._expected(teacher)
        if rows is None or teacher.measurement is None:
            return None
        per_row = teacher.measurement.inference_seconds * self.supervisor.devices.count / len(teacher.measurement.rows)
        least = self._least() / self.resolved.task.teacher.rows[-1] * rows / MORE_THAN_EXPECTED
        seconds, usd = self._most_seconds(), self._most_usd(teacher)
        usd_per_row = teacher.measurement.answering.usd / len(teacher.measurement.rows)
        if seconds < least * per_row or (usd is not None and usd < least * usd_per_row):
            self.end(
                f"no rows are labelled: {self.resolved.task.teacher.budget_share:.0%} of the budget, or what is left "
                f"of it, does not pay for {self._least():,} labels of trial {teacher.job.trial} and a training on them"
            )
            return None
        return self.limited(self._job(teacher, rows), seconds, usd)

    def _most_seconds(self) -> float:
        """Device-seconds that it may take; infinite where the budget does not limit them."""
        whole, left = self.ledger.device_seconds_of_budget(), self.budget.device_seconds_left()
        if whole is None:
            return math.inf
        share = self.resolved.task.teacher.budget_share * whole - self.spent().total_device_seconds
        trainings = [r.outcome.device_seconds for r in self._learners() if r.outcome is not None]
        return min(share, (math.inf if left is None else left) - max(trainings, default=0.0))

    def _most_usd(self, teacher: Record) -> float | None:
        """What providers may bill for it; None: there is no limit, or nothing is billed."""
        limit = self.resolved.task.budget.usd
        if limit is None or not self.resolved.capabilities[teacher.job.model.name].remote:
            return None
        share = self.resolved.task.teacher.budget_share * float(limit)
        spent = float(usage_usd(self.spent(), self.resolved.task.economics))
        return max(0.0, min(share - spent, float(limit) - self.ledger.spent(0).usd))

    def _job(self, teacher: Record, rows: int) -> Label:
        """The job; one that was interrupted is done again as it was, so that its answers are known already."""
        earlier = [r.job for r in self._records if isinstance(r.job, Label)]
        if earlier:
            return earlier[-1].model_copy(update={"attempt": len(earlier)})
        fit, settings = teacher.job, self.resolved.task.teacher
        shared = {name: getattr(fit, name) for name in JobBase.model_fields}
        own = {"attempt": 0, "longest_seconds": None, "state_folder": f"trials/{fit.trial:04d}/label"}
        return Label(
            **{**shared, **own}, rows=rows, wanted=settings.rows[-1], least_confidence=settings.least_confidence
        )


def with_teacher_rows(candidate: Candidate, count: int) -> Candidate:
    """A candidate that learns from so many rows of the teacher."""
    return candidate.model_copy(update={"params": {**candidate.params, TEACHER_ROWS: count}})


def labels_told(labels: TeacherLabels, least: int) -> str:
    """What came of labelling, in a sentence.

    Args:
        labels: that were given.
        least: rows that are learned from at least.
    """
    done = labels.labelling
    lacking = [
        f"{count:,} {what}"
        for count, what in (
            (done.unsure, "were not sure enough"),
            (done.without_confidence, "came without a confidence"),
            (done.unusable, "were no usable label"),
        )
        if count
    ]
    text = f"trial {labels.trial} has labelled {labels.kept:,} of {done.answered:,} rows"
    text += f" ({', '.join(lacking)})" if lacking else ""
    return text + (f": fewer than {least:,}, so that nothing learns from them" if labels.kept < least else "")


def _sure(rows: Iterable[RowResult], least_confidence: float) -> list[RowResult]:
    """Rows whose answer would have become a label."""
    return [row for row in rows if row.confidence is not None and row.confidence >= least_confidence]
