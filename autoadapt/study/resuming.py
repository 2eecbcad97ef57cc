"""What an earlier run of a study has left in its Optuna study and in its run folder."""

from collections.abc import Iterator

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import AnyJob, Fit
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.runs.storage import reopened
from autoadapt.supervision.retries import may_retry

ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL)


def ended_trials(study: optuna.Study) -> Iterator[tuple[optuna.trial.FrozenTrial, Candidate | None]]:
    """Every trial that has ended, by number, with its candidate (None: it never had one, or repeats another's)."""
    for frozen in study.get_trials(deepcopy=False, states=ENDED):
        stored = frozen.user_attrs.get("candidate")
        yield frozen, None if stored is None else Candidate.model_validate(stored)


def running_trials(study: optuna.Study) -> list[optuna.Trial]:
    """Trials that a run has left open; asking them again gives their stored parameters."""
    frozen_trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    return [reopened(study, frozen) for frozen in frozen_trials]


def retried_later(folder: RunFolder, record: Record) -> bool:
    """Whether a failed job was, or may still be, tried once more."""
    same = [
        r.failure.failure_class
        for r in folder.of(record.job.trial)
        if r.failure is not None and r.job.attempt <= record.job.attempt and _same_rung(r.job, record.job)
    ]
    return may_retry([c for c in same if c != "interrupted"])


def _same_rung(job: AnyJob, other: AnyJob) -> bool:
    return isinstance(job, Fit) and isinstance(other, Fit) and job.rung == other.rung
