"""What an earlier run of a study has left in its Optuna study and in its run folder."""

from collections.abc import Iterator, Sequence

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import AnyJob, Fit
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.runs.storage import reopened
from autoadapt.runs.values import ReadingError
from autoadapt.study.open_trials import REFUSAL
from autoadapt.study.options import MeasuredTrials
from autoadapt.study.rung_judge import RungJudge
from autoadapt.study.trial_histories import TrialHistories
from autoadapt.supervision.retries import may_retry

ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL)


def ended_trials(study: optuna.Study) -> Iterator[tuple[optuna.trial.FrozenTrial, Candidate | None]]:
    """Every trial that has ended, by number, with its candidate (None: it never had one, or repeats another's)."""
    for frozen in study.get_trials(deepcopy=False, states=ENDED):
        stored = frozen.user_attrs.get("candidate")
        yield frozen, None if stored is None else Candidate.model_validate(stored)


def was_tried(frozen: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial ran a candidate of its own: it neither repeats another's, nor could it not work."""
    return not {"same_as", REFUSAL} & {*frozen.user_attrs}


def running_trials(study: optuna.Study) -> list[optuna.Trial]:
    """Trials that a run has left open; asking them again gives their stored parameters."""
    frozen_trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    return [reopened(study, frozen) for frozen in frozen_trials]


def replay_rungs(
    records: Sequence[Record], complete: bool, judge: RungJudge, histories: TrialHistories, measured: MeasuredTrials
) -> str | None:
    """Remembers what the rungs of an ended trial showed.

    Args:
        records: of its fits, by rung and attempt.
        complete: whether it was measured in full.
        judge, histories, measured: what remembers it.

    Returns:
        Why it is left out; None: it is not.
    """
    for record in records:
        if not isinstance(record.job, Fit) or record.measurement is None:
            continue
        full = complete and not record.job.keep_checkpoint
        try:
            judge.record(record.job, record.measurement, full)
            histories.reach(record.job, record.measurement)
            if full:
                measured.add(record.job.trial, record)
        except ReadingError as error:
            return str(error)
    return None


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
