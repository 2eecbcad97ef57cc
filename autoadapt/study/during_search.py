"""What jobs share that make something for later candidates while a search runs: an instruction, or labels."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from autoadapt.domain.events import EventKind
from autoadapt.domain.jobs import Label, Propose
from autoadapt.domain.outcome import Failure, Outcome
from autoadapt.domain.proposal import Proposal
from autoadapt.domain.teacher import Labelling
from autoadapt.domain.usage import Usage, total_usage
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.study.budget import Budget
from autoadapt.study.end_costs import is_prompted
from autoadapt.study.ledger import Ledger
from autoadapt.study.portfolio import Portfolio
from autoadapt.study.study_results import StudyResults
from autoadapt.supervision.supervisor import Supervisor
from autoadapt.tasks.resolve import ResolvedTask

Emit = Callable[[EventKind, str, int | None], None]
J = TypeVar("J", Propose, Label)
ENOUGH_TIME = 2.0
"""Times the limit after which no further step is begun, when the job is ended."""
LAST_STEP_SECONDS = 60.0
"""Further seconds for the step that is under way then, and for loading models."""
MOST_FAILURES = 2
"""Failed jobs after which no further one is begun."""
FIRST_PROMPTS = 3
"""Prompts measured in full for which those that a study begins with need not be awaited: some may be too expensive."""


@dataclass
class Surroundings:
    """The study in which such jobs run, and what came of those of one kind.

    Args:
        resolved: the task.
        folder: what was measured.
        results: the same as options.
        budget: what is left.
        ledger: what was spent.
        supervisor: runs jobs.
        portfolio: what is tried first.
        emit: reports what happens.
    """

    resolved: ResolvedTask
    folder: RunFolder
    results: StudyResults
    budget: Budget
    ledger: Ledger
    supervisor: Supervisor
    portfolio: Portfolio
    emit: Emit
    _ended: bool = False
    """Whether no further job is begun."""
    _seen: tuple[int, int, int] = (-1, -1, -1)
    """Revision of the trials, number of records and number of candidates when it was last asked for a job."""
    _records: list[Record] = field(default_factory=list)
    """Finished jobs, those of earlier runs too."""

    def nothing_new(self, tried: dict[str, int]) -> bool:
        """Whether nothing has changed since this was asked last: a search asks twice a second.

        Args:
            tried: candidates that were tried or run, by key.
        """
        now = (self.results.trials.revision, len(self.folder.records), len(tried))
        unchanged, self._seen = now == self._seen, now
        return unchanged

    def spent(self) -> Usage:
        """What the finished jobs have used."""
        return total_usage(r.outcome.usage for r in self._records if r.outcome is not None)

    def limited(self, job: J, seconds: float, usd: float | None) -> J:
        """A job with the most that it may take.

        Args:
            job: to be begun.
            seconds: device-seconds; infinite where the budget does not limit them.
            usd: that providers may bill; None: there is no limit.
        """
        limits: dict[str, float | None] = {"most_usd": usd}
        if math.isfinite(seconds):
            held = seconds / self.supervisor.devices.count
            limits |= {"most_seconds": held, "longest_seconds": ENOUGH_TIME * held + LAST_STEP_SECONDS}
        return self.budget.capped(job.model_copy(update=limits), seconds if math.isfinite(seconds) else 0.0)

    def end(self, reason: str) -> None:
        """Begins no further job, and says why."""
        self._ended = True
        self.emit("note", reason, None)

    def prompts(self) -> list[Record]:
        """Prompts of models that are not trained, measured in full."""
        records = (self.results.trials.record(trial) for trial in self.results.trials.trials())
        return [record for record in records if is_prompted(record.job.candidate)]

    def too_few_prompts(self, tried: dict[str, int]) -> bool:
        """Whether prompts with which the study begins are still to be tried, and few were measured so far.

        Args:
            tried: candidates that were tried or run, by key.
        """
        if len(self.prompts()) >= FIRST_PROMPTS:
            return False
        left, failing = self.budget.device_seconds_left(), self.results.failing.found()
        return any(
            is_prompted(c)
            and (c.method, c.model) not in failing
            and self.resolved.obstacle(c) is None
            and self.budget.pays_for(c, left)
            for c in self.portfolio.left(tried)
        )

    def quality(self, record: Record) -> float:
        """Quality of a candidate that was measured in full, on validation rows."""
        if record.measurement is None:
            raise TypeError("a prompt that was measured in full has a measurement")
        return self.resolved.metric.value(stats_array(record.measurement))


def has_failed_enough(records: list[Record]) -> bool:
    """Whether so many jobs have failed, interrupted ones apart, that no further one is begun."""
    failures = [r.failure.failure_class for r in records if r.failure is not None]
    return len(failures) - failures.count("interrupted") >= MOST_FAILURES


def used(record: Record, outcome: Outcome, billed: Mapping[str, float]) -> Usage:
    """All that a job has used: time held and money from its outcome, tokens from its result.

    Args:
        record: of the job.
        outcome: of the same.
        billed: by providers, by job, that of jobs included which were killed before they could say so.
    """
    result, name = outcome.result, f"{record.folder.parent.name}/{record.folder.name}"
    tokens = result.usage if isinstance(result, Proposal | Labelling | Failure) else Usage()
    return tokens.model_copy(
        update={
            "device_seconds": outcome.usage.device_seconds,
            "usd": max(outcome.usage.usd, billed.get(name, 0.0)),
            "usd_estimated": outcome.usage.usd_estimated,
        }
    )
