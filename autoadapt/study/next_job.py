"""The next job of an open trial."""

from autoadapt.domain.jobs import Fit
from autoadapt.domain.outcome import FailureClass
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.open_trials import OpenTrial
from autoadapt.study.rung_judge import RungJudge
from autoadapt.study.standards import standards_of
from autoadapt.study.study_results import StudyResults
from autoadapt.tasks.resolve import ResolvedTask


def next_job(
    opened: OpenTrial, judge: RungJudge, resolved: ResolvedTask, folder: RunFolder, results: StudyResults
) -> tuple[Fit, list[FailureClass]]:
    """The next job of a trial, and the classes of failure of earlier attempts at it.

    Args:
        opened: the trial.
        judge: gives the rungs of its candidate.
        resolved: the task.
        folder: earlier attempts.
        results: known options, whose standards a candidate is timed by.
    """
    ladder = judge.ladder(opened.candidate, opened.straight)
    # a study that was begun with another sampler may have reached a rung that this ladder has not
    fidelity = ladder[min(opened.rung, len(ladder) - 1)]
    job = resolved.fit_job(opened.number, opened.candidate, opened.rung, fidelity)
    past = folder.of(opened.number)
    here = [r for r in past if isinstance(r.job, Fit) and r.job.rung == opened.rung]
    failures = [r.failure.failure_class for r in here if r.failure is not None]
    memory = sum(r.failure is not None and r.failure.failure_class == "oom" for r in past)
    training = job.training.model_copy(update={"micro_batches": 2**memory})
    last = opened.rung + 1 >= len(ladder)
    standards = standards_of(resolved, results.trials) if last and folder.lasting else None
    change = {"attempt": len(here), "keep_checkpoint": not last, "training": training, "standards": standards}
    return job.model_copy(update=change), [f for f in failures if f != "interrupted"]
