"""The final fit of the recommended option: what it gives on test rows, as it was and trained on validation rows too."""

from typing import Any

from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.domain.jobs import Refit
from autoadapt.domain.option import Cascade
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.verdict import FinalFit
from autoadapt.row_statistics import stats_array
from autoadapt.runs.answers import read_predictions
from autoadapt.runs.run_folder import Record
from autoadapt.study.confidences import sure_rows
from autoadapt.verdict.calibration import calibrated
from autoadapt.verdict.cascades import cascaded
from autoadapt.verdict.final_fit import final_fit


def final_fit_of(jobs: AssessmentJobs) -> FinalFit | None:
    """The recommended option after its final fit; None where that was not made, or not of every part that learns.

    A cascade keeps its temperature and its threshold, which were chosen on validation rows when its parts had not
    learned from them: afterwards they cannot be chosen any more. Test rows say what has become of it.
    """
    results = jobs.results
    number, wanted = results.recommendation().trial, jobs.final_fits()
    fits = {job.trial: record for job in wanted if (record := _last_measured(jobs, job)) is not None}
    if number is None or not wanted or len(fits) < len(wanted):
        return None
    scored = {t: fits[t] if t in fits else jobs.folder.last_done(t, "score") for t in jobs.recommended()}
    built = next((b for b in results.cascades() if b.raw.trial == number), None)
    before = results.test_stats(number) if built is None else built.scored.test_stats
    after = _stats(jobs, scored, None if built is None else built.raw.cascade)
    if before is None or after is None or len(before) != len(after):
        return None
    return final_fit(
        jobs.resolved.metric,
        (after, before),
        number,
        rows=(max(jobs.rows_learned(job) for job in wanted), len(jobs.resolved.splits.train)),
        artifacts=[job.artifact_folder for job in wanted],
        seed=jobs.resolved.task.seed,
    )


def _last_measured(jobs: AssessmentJobs, job: Refit) -> Record | None:
    done = [r for r in jobs.done(job) if r.measurement is not None]
    return done[-1] if done else None


def _stats(jobs: AssessmentJobs, scored: dict[int, Record | None], cascade: Cascade | None) -> Any:
    """Statistics of test rows, shape (rows, statistics); None: a part was not scored, or states no confidences."""
    measured: dict[int, Measurement] = {
        t: record.measurement for t, record in scored.items() if record is not None and record.measurement is not None
    }
    if len(measured) < len(scored):
        return None
    if cascade is None:
        return stats_array(next(iter(measured.values())))
    first = scored[cascade.first]
    if first is None:
        return None
    lines = read_predictions(jobs.folder.root / first.job.state_folder / "predictions-test.jsonl")
    sure = sure_rows(measured[cascade.first], lines, first.job.labels or [])
    if sure is None:
        return None
    kept = calibrated(sure, cascade.temperature) >= cascade.threshold
    return cascaded(kept, stats_array(measured[cascade.first]), stats_array(measured[cascade.second]))
