"""Artifacts of an earlier run that were damaged or lost since: their options can be neither scored nor deployed."""

from collections.abc import Iterable

from autoadapt.domain.jobs import Refit, Score
from autoadapt.domain.outcome import Measurement
from autoadapt.errors import UserError
from autoadapt.files import set_aside
from autoadapt.runs.answers import read_predictions
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.worker.artifacts import read_description


def damaged_artifacts(folder: RunFolder, trials: Iterable[int]) -> dict[int, str]:
    """What is wrong with artifacts, by trial; trials whose files are as they were written are absent.

    Every file is read and compared with its hash, as it is before an artifact is loaded.

    Args:
        folder: of the run.
        trials: that an earlier run has measured and whose artifacts it has kept.
    """
    found = {}
    for trial in sorted(trials):
        try:
            read_description(folder.trial(trial) / "artifact")
        except UserError as error:
            found[trial] = str(error)
    return found


def mark_lost(folder: RunFolder) -> dict[int, str]:
    """Marks scores whose answers, and final fits whose answers or weights, were damaged or lost: they are done again.

    Damaged answers are set aside. The weights of a final fit may have been deleted, because another option was
    recommended; then nothing is said of them.

    Returns:
        What is done again and why, by trial.
    """
    found = {}
    for record in folder.records:
        job, measurement = record.job, record.measurement
        if measurement is None or not (isinstance(job, Score) or (isinstance(job, Refit) and job.final)):
            continue
        if isinstance(job, Score) and folder.last_done(job.trial, "score") is not record:
            continue
        wrong = _wrong_with(folder, record, measurement)
        record.lost = wrong is not None
        if wrong:
            what = "it is scored on test rows again" if isinstance(job, Score) else "its final fit is made again"
            found[job.trial] = f"{what}: {wrong}"
    return found


def _wrong_with(folder: RunFolder, record: Record, measurement: Measurement) -> str | None:
    """What is wrong with the files of a job; empty: they were deleted; None: nothing."""
    job = record.job
    if isinstance(job, Refit):
        artifact = folder.root / job.artifact_folder
        if not artifact.is_dir():
            return ""
        try:
            read_description(artifact)
        except UserError as error:
            return str(error)
    path = folder.root / job.state_folder / "predictions-test.jsonl"
    if [line["id"] for line in read_predictions(path)] == [row.id for row in measurement.rows]:
        return None
    if not path.exists():
        return f"{path.name} is missing"
    set_aside(path)
    return f"{path.name} was damaged"
