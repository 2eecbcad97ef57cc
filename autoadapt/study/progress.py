"""Where a study stands: what runs, the best so far, what was spent, and how long the rest will probably take.

The time left is that until the search ends, by the first limit of its budget or with its last trial, and that of the
end (scores on test rows, load tests, further fits), for which the ledger keeps a part of the budget back. What a trial
takes is the mean of those that have ended, drawn towards what the budget gives each of its trials: the first ones are
the cheapest, and their mean alone would promise an early end.
"""

from dataclasses import dataclass, field

from autoadapt.domain.events import EventKind, Phase, Running, Status
from autoadapt.domain.jobs import Fit, Job, Label, LoadTest, OnnxTest, Propose, Refit, RobustnessTest, Score, TimeInTurn
from autoadapt.domain.option import Option
from autoadapt.domain.trial_state import TrialState
from autoadapt.shelves import METHODS
from autoadapt.study.budget import Budget
from autoadapt.study.end_costs import report_seconds
from autoadapt.study.ledger import Ledger
from autoadapt.study.open_trials import OpenTrials
from autoadapt.study.study_results import StudyResults
from autoadapt.supervision.supervisor import Supervisor
from autoadapt.tasks.resolve import ResolvedTask

ENDED: dict[TrialState, EventKind] = {
    TrialState.COMPLETE: "trial_finished",
    TrialState.STOPPED_EARLY: "trial_stopped_early",
    TrialState.FAILED: "trial_failed",
}
"""How a trial ends, and what is reported then."""
PRIOR_TRIALS = 3.0
"""So many trials the budget's own mean counts for beside those that have ended."""


@dataclass
class Progress:
    """Where one study stands.

    Args:
        ledger: what was spent.
        supervisor: what runs.
        trials: candidates tried.
        results: what was found.
        budget: what the end will take.
    """

    ledger: Ledger
    supervisor: Supervisor
    trials: OpenTrials
    results: StudyResults
    budget: Budget
    last_failure: str | None = None
    phase: Phase | None = None
    """Of the end; None: the search itself."""
    _phase_began: float = 0.0
    _ended_of: tuple[int, float] = (0, 0.0)
    _ended_at: tuple[int, int] = (0, 0)
    """Number of records, and of trials that have ended, that `_ended_of` belongs to."""
    _held_by_trial: dict[int, float] = field(default_factory=dict)
    """Device-seconds of the fits of these records, those of simple methods apart."""

    def enter(self, phase: Phase) -> None:
        """Begins a phase of the end."""
        self.phase, self._phase_began = phase, self.results.folder.wall_seconds

    def status(self) -> Status:
        """Where the study stands now."""
        tried, counts = self.trials.tried(), self.trials.counts
        end = self._end_seconds() if self.phase is None else None
        return Status(
            name=self.results.resolved.task.name,
            budget=self.results.resolved.task.budget,
            spent=self.ledger.spent(tried),
            running=tuple(running_of(job, seconds) for job, seconds in self.supervisor.running_jobs()),
            complete=counts[TrialState.COMPLETE],
            stopped_early=counts[TrialState.STOPPED_EARLY],
            failed=counts[TrialState.FAILED],
            cached=counts[TrialState.CACHED],
            frontier=tuple(self.results.frontier()),
            best=self._best(),
            floor=self._floor(),
            phase=self.phase,
            last_failure=self.last_failure,
            seconds_left=self._phase_left(self.phase) if end is None else self._search_left(tried, end),
            end_seconds=end,
        )

    def _best(self) -> Option | None:
        """The best option so far that is none of the simple methods."""
        return next((option for option in self.results.frontier() if not METHODS.get(option.method).floor), None)

    def _floor(self) -> Option | None:
        trial = self.results.trials.floor()
        return None if trial is None else self.results.option(trial)

    def _phase_left(self, phase: Phase | None) -> float | None:
        """Seconds that this phase of the end and the later ones will probably take."""
        if phase is None:
            return None
        elapsed = self.results.folder.wall_seconds - self._phase_began
        return self._within_hours(max(0.0, phase.seconds - elapsed) + phase.seconds_after)

    def _end_seconds(self) -> float:
        """Wall time that the end will probably take, as far as the options found so far tell."""
        kept_back = self.budget.kept_back() / (self.ledger.slots * self.ledger.devices)
        return kept_back + report_seconds(self.results.resolved.task)

    def _search_left(self, tried: int, end: float) -> float | None:
        """Seconds until everything is done; None: nothing is known yet."""
        running = sum(self.supervisor.running_seconds().values())
        left = self.ledger.search_seconds_left(running, self.budget.kept_back())
        if (by_trials := self._trials_left(tried)) is not None:
            left.append(by_trials)
        return None if not left else self._within_hours(max(0.0, min(left)) + end)

    def _within_hours(self, seconds: float) -> float:
        """The same, but no more than what is left of the budget's hours."""
        hours = self.results.resolved.task.budget.hours
        return seconds if hours is None else min(seconds, max(0.0, hours * 3600 - self.results.folder.wall_seconds))

    def _trials_left(self, tried: int) -> float | None:
        """Seconds until as many trials were tried as the budget has; None: no such limit, or nothing has ended yet."""
        most = self.results.resolved.task.budget.trials
        if most is None:
            return None
        (ended, seconds), given = self._ended(), self.ledger.device_seconds_of_budget()
        weight = 0.0 if given is None else PRIOR_TRIALS
        if ended + weight == 0:
            return None
        mean = (seconds + weight * (given or 0.0) / most) / (ended + weight)
        running = [held for trial, held in self.supervisor.running_seconds().items() if trial in self.trials]
        device_seconds = max(0, most - tried) * mean + sum(max(0.0, mean - held) for held in running)
        return device_seconds / (self.ledger.slots * self.ledger.devices)

    def _ended(self) -> tuple[int, float]:
        """Trials of the budget that have ended, and their device-seconds; counted anew when a trial has ended."""
        now = (len(self.results.folder.records), sum(self.trials.counts.values()))
        if now != self._ended_at:
            for record in self.results.folder.records[self._ended_at[0] :]:
                trial, floor = record.job.trial, METHODS.get(record.job.candidate.method).floor
                if isinstance(record.job, Fit) and record.outcome is not None and not floor:
                    held = record.outcome.usage.total_device_seconds
                    self._held_by_trial[trial] = self._held_by_trial.get(trial, 0.0) + held
            ended = [held for trial, held in self._held_by_trial.items() if trial not in self.trials]
            self._ended_at, self._ended_of = now, (len(ended), sum(ended))
        return self._ended_of


def first_line(resolved: ResolvedTask, supervisor: Supervisor) -> str:
    """What is searched, and where it runs."""
    splits, devices = resolved.splits, supervisor.devices
    return (
        f"{resolved.task.name}: {len(splits.train)} training, {len(splits.validation)} validation and "
        f"{len(splits.test)} test rows; {supervisor.slots} slot(s) of {devices.count} x {devices.kind}"
    )


def running_of(job: Job, seconds: float) -> Running:
    """A job that runs, as it is shown."""
    return Running(job.trial, job.candidate.method, job.candidate.model, stage_of(job), seconds)


def stage_of(job: Job) -> str:
    """What a job does, in a few words."""
    match job:
        case Score():
            return f"{job.rows:,} test rows"
        case LoadTest():
            return "load test"
        case OnnxTest():
            return "in ONNX"
        case RobustnessTest():
            return f"{len(job.variants)} perturbations"
        case TimeInTurn():
            return f"{len(job.options)} options in turn"
        case Propose():
            return f"an instruction for slot {job.slot}"
        case Label():
            return f"labels for {job.wanted:,} rows"
        case Refit():
            return _fitted_again(job)
        case Fit():
            return _fitted(job)


def _fitted_again(job: Refit) -> str:
    if job.final:
        return "final fit"
    return "another seed" if job.seed_index else f"{job.train_rows:,} training rows"


def _fitted(job: Fit) -> str:
    if not job.keep_checkpoint:
        return "in full"
    if METHODS.get(job.candidate.method).tunes and job.fidelity.steps < 1:
        return f"{job.fidelity.steps:.0%} of its training"
    return f"{job.fidelity.rows:,} rows"
