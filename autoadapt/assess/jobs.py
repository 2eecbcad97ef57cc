"""Jobs on the options that a search has found: test rows, load, further fits."""

from decimal import Decimal
from typing import Any

from autoadapt.domain.jobs import Fit, LoadTest, Refit, Score, seed_of
from autoadapt.economics.costs import peak_rate
from autoadapt.runs.run_folder import Record, RunFolder
from autoadapt.shelves import METHODS
from autoadapt.study.study_results import StudyResults
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.growth import SHARES

LOADING_SECONDS = 1.0
"""Taken to be needed to load a finished option."""
MOST_LOAD_TESTS = 2
"""Attempts at measuring an option under load, all runs of a study together."""


class AssessmentJobs:
    """Builds the jobs that are still to be done.

    Args:
        resolved: the task.
        folder: what was done.
        results: the options.
    """

    def __init__(self, resolved: ResolvedTask, folder: RunFolder, results: StudyResults) -> None:
        self.resolved, self.folder, self.results = resolved, folder, results

    def score_jobs(self) -> list[Score]:
        """One job on the test rows for each shown option that has none."""
        return [self._score(trial) for trial in self.results.unscored_trials()]

    def part_jobs(self) -> list[Score]:
        """The same for trials that are not shown and may be useful parts of cascades."""
        unscored = [t for t in self.results.further_trials() if self.folder.last_done(t, "score") is None]
        return [self._score(trial) for trial in unscored]

    def _score(self, trial: int) -> Score:
        attempt, rows = len(self.folder.of(trial, "score")), len(self.resolved.splits.test)
        return Score(**self._common(trial), attempt=attempt, rows=rows)

    def load_tests(self) -> list[LoadTest]:
        """A load test for each option that has none, cascades apart; the recommended one first.

        Options behind a server have none: the load of others on it is not known, and every request is billed.
        """
        task = self.resolved.task
        if not task.evaluation.load_requests or not self.folder.lasting:
            return []
        recommended = self.results.recommendation().trial
        jobs = []
        for trial in sorted(self.results.option_trials(), key=lambda t: t != recommended):
            if self.resolved.capabilities[self.results.trials.record(trial).job.candidate.model].remote:
                continue
            attempts = len(self.folder.of(trial, "load_test"))
            if attempts >= MOST_LOAD_TESTS or self.folder.last_done(trial, "load_test") is not None:
                continue
            jobs.append(
                LoadTest(
                    **self._common(trial),
                    attempt=attempts,
                    rows=self.resolved.validation_rows,
                    requests=task.evaluation.load_requests,
                    rate=float(peak_rate(Decimal(task.economics.queries_per_month))),
                    latency_p95_ms=task.constraints.latency_p95_ms,
                    seconds=task.evaluation.load_seconds,
                )
            )
        return jobs

    def refit(self, trial: int, train_rows: int | None, seed_index: int) -> Refit:
        """A job that fits a trial's candidate again and scores it on the test rows."""
        common = self._common(trial)
        seed = common.pop("seed")
        job = Refit(
            **common,
            rows=len(self.resolved.splits.test),
            train_rows=train_rows,
            seed_index=seed_index,
            seed=seed_of(seed, seed_index) if seed_index else seed,
        )
        folder = str(self.folder.job_folder(job).relative_to(self.folder.root))
        attempt = len(self.refits(trial, train_rows, seed_index))
        return job.model_copy(update={"attempt": attempt, "state_folder": folder})

    def refits(self, trial: int, train_rows: int | None, seed_index: int) -> list[Record]:
        """The jobs that fitted a trial again; empty: there was none."""
        return [
            r
            for r in self.folder.of(trial, "refit")
            if isinstance(r.job, Refit) and (r.job.train_rows, r.job.seed_index) == (train_rows, seed_index)
        ]

    def random_trials(self) -> list[int]:
        """Options of the frontier that another seed would change: trained, or with examples drawn by chance."""
        trials = []
        for trial in self.results.trials.frontier():
            candidate = self.results.trials.record(trial).job.candidate
            if METHODS.get(candidate.method).tunes or candidate.params.get("shots"):
                trials.append(trial)
        return trials

    def curve_trial(self) -> int | None:
        """Whose learning curve is measured: the recommended option if it learns from rows, else the best that does."""
        trained = [t for t in self.results.trials.frontier() if self.results.trials.measurement(t).parameters_trained]
        recommended = self.results.recommendation().trial
        return recommended if recommended in trained else next(iter(trained), None)

    def curve_sizes(self) -> list[int]:
        """Parts of the training rows to train on, in rows."""
        rows = len(self.resolved.splits.train)
        return sorted({max(2, round(rows * share)) for share in SHARES} - {rows})

    def predicted(self, job: Score | Refit) -> float:
        """Device-seconds that scoring or fitting again will take, from the option's own training and validation."""
        raw = self.results.raw(job.trial)
        answering = raw.inference_seconds / raw.rows * job.rows
        if isinstance(job, Score):
            return (answering + LOADING_SECONDS) * raw.devices
        share = 1.0 if job.train_rows is None else job.train_rows / len(self.resolved.splits.train)
        return (share * raw.train_seconds + answering) * raw.devices

    def _common(self, trial: int) -> dict[str, Any]:
        """Fields of the trial's last fit that every further job of it shares."""
        fit = self.results.trials.record(trial).job
        shared = set(Score.model_fields) & set(Fit.model_fields) - {"kind", "attempt", "version"}
        return {name: getattr(fit, name) for name in shared}
