"""What a damaged or lost file of a run folder is rebuilt from: the outcomes of its jobs, with what they measured."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import optuna

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fit, Score
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.files import read_whole, set_aside, write_json
from autoadapt.runs.run_folder import JOB_FOLDER, Record, RunFolder, read_job
from autoadapt.study.open_trials import CANDIDATE, REFUSAL
from autoadapt.study.rung_judge import RungJudge
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.tasks.space import JointSpace

GONE = "gone"
"""Attribute of a study: trained trials whose artifacts were deleted when others dominated them."""


def restore_trials(study: optuna.Study, folder: RunFolder, space: JointSpace, saves: bool) -> int:
    """Adds the trials of a run folder that a study does not know, as open ones: resuming ends them by their outcomes.

    They keep their numbers. A number without a job was that of a candidate which was repeated or could not work; a
    trial that counts for nothing takes its place.

    Args:
        study: that may be new, because its file was lost.
        folder: opened.
        space: of the task.
        saves: whether jobs leave their option's files behind.

    Returns:
        How many were added.
    """
    known = len(study.get_trials(deepcopy=False))
    fits = _last_fits(folder, known)
    if not fits:
        return 0
    if saves:
        deleted = [n for n, last in fits.items() if _was_trained(last) and not (folder.trial(n) / "artifact").is_dir()]
        study.set_user_attr(GONE, sorted({*study.user_attrs.get(GONE, ()), *deleted}))
    chosen = {record.job.candidate.key(): number for number, record in fits.items()}
    added = 0
    for number in range(known, max(fits) + 1):
        job = fits[number].job if number in fits else None
        params = space.fit(job.candidate.method, job.candidate.model, job.candidate.params) if job else None
        if job is None or params is None or chosen[job.candidate.key()] != number:
            study.add_trial(_counts_for_nothing())
            continue
        study.add_trial(_open(params, job.candidate, space, fits[number].folder))
        added += 1
    return added


def _last_fits(folder: RunFolder, known: int) -> dict[int, Record]:
    """The last fit of every trial that a study does not know, those that reached more of a candidate's work last."""
    last: dict[int, Record] = {}
    for record in folder.records:
        if isinstance(record.job, Fit) and record.job.trial >= known:
            last[record.job.trial] = folder.of(record.job.trial)[-1]
    return dict(sorted(last.items(), key=lambda item: (_progress(item[1]), -item[0])))


def _progress(record: Record) -> tuple[bool, int]:
    job = record.job
    return record.measurement is not None, job.rung + (not job.keep_checkpoint) * 100 if isinstance(job, Fit) else 0


def _was_trained(last: Record) -> bool:
    whole = isinstance(last.job, Fit) and not last.job.keep_checkpoint
    return whole and last.measurement is not None and last.measurement.parameters_trained > 0


def _counts_for_nothing() -> optuna.trial.FrozenTrial:
    reason = "what it was is not known: the file of the study was lost"
    return optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, user_attrs={REFUSAL: reason})


def _open(
    params: dict[str, str | int | float | bool | None], candidate: Candidate, space: JointSpace, job_folder: Path
) -> optuna.trial.FrozenTrial:
    """A running trial of these parameters, begun when its job was."""
    asked = optuna.trial.FixedTrial(params)
    space.suggest(asked)
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params=asked.params,
        distributions=asked.distributions,
        user_attrs={CANDIDATE: candidate.model_dump(mode="json")},
    )
    trial.datetime_start = datetime.fromtimestamp((job_folder / "job.json").stat().st_mtime)
    return trial


def restore_jobs(study: optuna.Study, folder: RunFolder, resolved: ResolvedTask, judge: RungJudge) -> int:
    """Writes lost or damaged ``job.json`` of fits and scores again whose outcome is whole; returns how many.

    Args:
        study: holds the candidate of every trial.
        folder: opened; it gets the records of these jobs.
        resolved: the task.
        judge: knows the rungs of a candidate.
    """
    count = 0
    for frozen in study.get_trials(deepcopy=False):
        if CANDIDATE not in frozen.user_attrs:
            continue
        for job_folder, outcome in _without_job(folder.trial(frozen.number)):
            job = _rebuilt(frozen, job_folder, outcome, resolved, judge)
            if job is None:
                continue
            if (job_folder / "job.json").exists():
                set_aside(job_folder / "job.json")
            write_json(job_folder / "job.json", job)
            folder.add(job_folder.resolve(), job, outcome)
            count += 1
    return count


def _without_job(trial: Path) -> Iterator[tuple[Path, Outcome]]:
    for job_folder in sorted(trial.glob("*/")):
        outcome = None
        if JOB_FOLDER.fullmatch(job_folder.name) and read_job(job_folder) is None:
            outcome = read_whole(job_folder / "outcome.json", Outcome)
        if outcome is not None:
            yield job_folder, outcome


def _rebuilt(
    frozen: optuna.trial.FrozenTrial, job_folder: Path, outcome: Outcome, resolved: ResolvedTask, judge: RungJudge
) -> Fit | Score | None:
    """The job that an outcome is of; None: it answered other rows than it would, or is one that can be done again."""
    name = JOB_FOLDER.fullmatch(job_folder.name)
    if name is None or not isinstance(outcome.result, Measurement):
        return None
    candidate = Candidate.model_validate(frozen.user_attrs[CANDIDATE])
    ladder, attempt = judge.ladder(candidate, bool(frozen.user_attrs.get("straight"))), int(name[3] or 0)
    rows = len(outcome.result.rows)
    if name[1] == "score":
        whole = resolved.fit_job(frozen.number, candidate, len(ladder) - 1, ladder[-1])
        shared = {field: getattr(whole, field) for field in {*Score.model_fields} & {*Fit.model_fields} - {"kind"}}
        return Score(**{**shared, "attempt": attempt, "rows": rows})
    if name[2] is None:
        return None
    rung = int(name[2])
    last = rung + 1 >= len(ladder) or (frozen.state == optuna.trial.TrialState.COMPLETE and _is_last(job_folder, rung))
    fidelity = ladder[-1] if last else ladder[rung]
    if fidelity.rows != rows:
        return None
    job = resolved.fit_job(frozen.number, candidate, rung, fidelity)
    return job.model_copy(update={"attempt": attempt, "keep_checkpoint": not last})


def _is_last(job_folder: Path, rung: int) -> bool:
    return not any(job_folder.parent.glob(f"rung{rung + 1}*"))
