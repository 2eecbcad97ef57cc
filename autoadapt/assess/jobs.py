"""Jobs on the options that a search has found: test rows, load, further fits."""

import dataclasses
import statistics
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from autoadapt.domain.jobs import Fit, LoadTest, Refit, Score, seed_of
from autoadapt.domain.option import trials_of
from autoadapt.economics.costs import peak_rate
from autoadapt.runs.run_folder import Record, RunFolder, job_name
from autoadapt.shelves import METHODS
from autoadapt.study.end_costs import SCORE_SHARE, UNLIMITED, EndCosts, Use, rows_to_score
from autoadapt.study.job_times import MARGIN, scheduled_steps, trained_share
from autoadapt.study.study_results import StudyResults
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.growth import SHARES

ABOUT_THE_SAME = 1.25
"""Ratio of times within which options of one serving class share a load test."""
MOST_LOAD_TESTS = 2
"""Attempts at measuring an option under load, all runs of a study together."""


class AssessmentJobs:
    """Builds the jobs that are still to be done.

    Args:
        resolved: the task.
        folder: what was done.
        results: the options.
        slots: jobs side by side.
    """

    def __init__(self, resolved: ResolvedTask, folder: RunFolder, results: StudyResults, slots: int = 1) -> None:
        self.resolved, self.folder, self.results, self._slots = resolved, folder, results, slots
        self.left_out: set[int] = set()
        """Options that are not scored, because the budget of the end does not pay for them."""

    def costs(self, trial: int) -> EndCosts:
        """What further jobs on an option will probably take; loading as in the options scored so far, if any were."""
        record = self.results.trials.record(trial)
        if record.outcome is None:
            raise KeyError(trial)
        measurement, economics = self.results.trials.measurement(trial), self.resolved.task.economics
        costs = EndCosts.of(measurement, record.outcome, economics, record.job.candidate)
        loading = [
            r.outcome.seconds - r.measurement.inference_seconds - sum(r.measurement.latency_ms) / 1000
            for r in self.folder.records
            if isinstance(r.job, Score) and r.outcome is not None and r.measurement is not None
        ]
        return dataclasses.replace(
            costs,
            loading_seconds=statistics.fmean(loading) if loading else costs.loading_seconds,
            # a part of a cascade that is not shown itself is timed like an option of the frontier
            on_frontier=trial in self.results.trials.frontier() or trial not in self.results.shown_trials(),
            default=trial == self.results.defaults().best,
        )

    def recommended(self) -> tuple[int, ...]:
        """The recommended trial, or both parts of a recommended cascade; empty: none is."""
        number = self.results.recommendation().trial
        return () if number is None else trials_of(number)

    def needed(self) -> set[int]:
        """Options without whose test score nothing can be recommended: the recommended one, the best and the floor."""
        wanted = {*self.recommended(), self.results.recommendation().best_quality, self.results.trials.floor()}
        return {trial for trial in self.results.shown_trials() if trial in wanted}

    def scored_rows(self, trial: int) -> int:
        """Test rows on which an option was scored; 0: it was not, or its answers were lost."""
        record = self.folder.last_done(trial, "score")
        return 0 if record is None or record.measurement is None or record.lost else len(record.measurement.rows)

    def score_jobs(self, left: Use = UNLIMITED, begun: Mapping[int, int] | None = None) -> list[Score]:
        """One job on the test rows for each shown option that is to be scored; those that are needed come first.

        All are scored on the same rows, the first of the split. Where an earlier run of the study could pay for a part
        of the rows alone, all are scored again as soon as twice as many can be paid for.

        Args:
            left: what they may take.
            begun: rows of the options for which there was such a job in this run.
        """
        begun = {} if begun is None else begun
        shown = [trial for trial in self.results.shown_trials() if trial not in begun]
        scored, needed = {trial: self.scored_rows(trial) for trial in shown}, self.needed()
        unscored = {trial for trial in shown if not scored[trial]}
        earlier = max(begun.values() if begun else scored.values(), default=0)
        rows, trials = self._payable({t for t in shown if scored[t] < self.test_rows}, needed, left, self.test_rows)
        if begun or (earlier and rows < min(2 * earlier, self.test_rows)):
            rows, trials = self._payable(unscored, needed, left, earlier)
        self.left_out = unscored - trials
        ordered = sorted((t for t in shown if t in trials), key=lambda trial: trial not in needed)
        return [self._score_job(trial, rows) for trial in ordered if scored[trial] < rows]

    def part_jobs(self) -> list[Score]:
        """One job on the test rows for each trial that is not shown and may be a useful part of cascades.

        They answer the rows that the options have answered; there is none for a trial that has answered them.
        """
        rows = max((self.scored_rows(trial) for trial in self.results.shown_trials()), default=0)
        return [self._score_job(t, rows) for t in self.results.further_trials() if self.scored_rows(t) < rows]

    def _score_job(self, trial: int, rows: int) -> Score:
        """One job on the first test rows; it times an option further that its fit has timed by few single requests."""
        return Score(
            **self.common(trial),
            attempt=len(self.folder.of(trial, "score")),
            rows=rows,
            latency_requests=self.costs(trial).requests(self.resolved.task.evaluation),
        )

    def _payable(self, trials: set[int], needed: set[int], left: Use, rows: int) -> tuple[int, set[int]]:
        options = {trial: self.costs(trial) for trial in sorted(trials)}
        evaluation = self.resolved.task.evaluation
        left = left.times((SCORE_SHARE if evaluation.load_requests else 1.0) / MARGIN)
        payable, chosen = rows_to_score(options, needed, left, evaluation, rows, self._slots)
        return payable, {*chosen}

    @property
    def test_rows(self) -> int:
        """Test rows there are."""
        return len(self.resolved.splits.test)

    def load_tests(self) -> list[LoadTest]:
        """A load test for each option that has none, cascades apart; the recommended one first.

        Options that are served alike and take about the same time share one. Options behind a server have none: the
        load of others on it is not known, and every request is billed.
        """
        task = self.resolved.task
        if not task.evaluation.load_requests or not self.folder.lasting:
            return []
        recommended = self.recommended()
        jobs: list[LoadTest] = []
        for trial in sorted(self.results.option_trials(), key=lambda t: t not in recommended):
            if self.resolved.capabilities[self.results.trials.record(trial).job.candidate.model].remote:
                continue
            attempts = len(self.folder.of(trial, "load_test"))
            if attempts >= MOST_LOAD_TESTS or self._loaded_alike(trial, {job.trial for job in jobs}):
                continue
            jobs.append(
                LoadTest(
                    **self.common(trial),
                    **self.load_fields(),
                    attempt=attempts,
                    seconds=task.evaluation.load_seconds,
                )
            )
        return jobs

    def load_fields(self) -> dict[str, Any]:
        """What jobs under load share: inputs, single requests and the rate that the task expects."""
        task = self.resolved.task
        return {
            "rows": self.resolved.validation_rows,
            "requests": task.evaluation.load_requests,
            "rate": float(peak_rate(Decimal(task.economics.queries_per_month))),
        }

    def _loaded_alike(self, trial: int, planned: Collection[int]) -> bool:
        """Whether a trial, or one that is served alike and takes about the same time, is measured under load."""
        serving = self.results.trials.serving
        own = serving.served(trial).median_ms or 1.0
        for other in serving.alike(trial):
            ratio = own / (serving.served(other).median_ms or own)
            known = other in planned or self.results.loaded(other)
            if known and (other == trial or 1 / ABOUT_THE_SAME <= ratio <= ABOUT_THE_SAME):
                return True
        return False

    def refit(self, trial: int, train_rows: int | None, seed_index: int) -> Refit:
        """A job that fits a trial's candidate again and scores it on the test rows.

        On a part of the rows a method that trains by gradient does as many optimizer steps as the trial's own schedule
        had: with as many passes it would do fewer, and what they lack would look like a lack of rows.
        """
        fit = self.results.trials.record(trial).job
        fields: dict[str, Any] = {"seed": seed_of(fit.seed, seed_index)} if seed_index else {}
        if train_rows is not None and METHODS.get(fit.candidate.method).tunes:
            fields["train_steps"] = scheduled_steps(self.results.trials.measurement(trial)) or None
        return self._refit(trial, train_rows=train_rows, seed_index=seed_index, **fields)

    def _refit(self, trial: int, **fields: Any) -> Refit:
        """The next attempt at a job with these fields."""
        first = Refit(**{**self.common(trial), "rows": self.scored_rows(trial) or self.test_rows, **fields})
        folder = str(self.folder.job_folder(first).relative_to(self.folder.root))
        return first.model_copy(update={"attempt": len(self._like(first)), "state_folder": folder})

    def final_fit(self, trial: int) -> Refit:
        """A job that fits a trial's candidate on all labelled rows but test rows, and scores it on the latter.

        A method that trains by gradient goes on using the rows kept for early stopping for that. Its training may take
        as much time for every row as before.
        """
        tunes = METHODS.get(self.results.trials.record(trial).job.candidate.method).tunes
        splits = ("train", "validation") if tunes else ("train", "validation", "dev")
        job = self._refit(trial, splits=splits)
        seconds = self.training(job).seconds if tunes else 0.0
        return job.model_copy(update={"training_seconds": seconds or None})

    def training(self, job: Refit) -> Use:
        """What the training of a job will probably take at most; one that was ended by its time, as much for a row."""
        measurement = self.results.trials.measurement(job.trial)
        grown = self._grown(job)
        margin = MARGIN if trained_share(measurement) == 1 else 1.0
        return self.costs(job.trial).use(measurement.train_seconds * grown * margin)

    def least_part(self, job: Refit) -> float:
        """Least part of this time that a final fit is worth: as much as the option was trained for, or all of it."""
        training = self.training(job).seconds
        if not job.training_seconds or not training:
            return 1.0
        return min(1.0, self.results.trials.measurement(job.trial).train_seconds / training)

    def _grown(self, job: Refit) -> float:
        """Rows from which a fit learns over those of its trial; the rows of a teacher are the same in both."""
        taught = job.candidate.teacher_rows
        return (self.rows_learned(job) + taught) / (len(self.resolved.splits.train) + taught)

    def rows_learned(self, job: Refit) -> int:
        """Labelled rows from which a fit learns, those of a teacher apart."""
        rows = sum(len(getattr(self.resolved.splits, split)) for split in job.splits)
        return rows if job.train_rows is None else min(job.train_rows, rows)

    def final_fits(self) -> list[Refit]:
        """Final fits of the recommended trial, or of the parts of the recommended cascade, that learn from rows."""
        if not self.resolved.splits.validation:
            return []
        measured = self.results.trials
        return [self.final_fit(t) for t in self.recommended() if measured.measurement(t).parameters_trained]

    def earlier_final_fits(self, recommended: Collection[int]) -> list[Refit]:
        """Final fits that were made when other options were recommended."""
        jobs = (r.job for r in self.folder.records if isinstance(r.job, Refit) and r.job.final)
        return [job for job in jobs if job.trial not in recommended]

    def done(self, job: Refit) -> list[Record]:
        """The jobs that fitted a trial again as this one would, on as many rows, and whose files are whole."""
        wanted = (job.rows, job.train_steps)
        refits = ((record, record.job) for record in self._like(job))
        same = [record for record, r in refits if isinstance(r, Refit) and (r.rows, r.train_steps) == wanted]
        return [record for record in same if not record.lost]

    def _like(self, job: Refit) -> list[Record]:
        """The same on any number of test rows."""
        return [r for r in self.folder.of(job.trial, "refit") if job_name(r.job) == job_name(job)]

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

    def predicted(self, job: Refit) -> Use:
        """What fitting again will probably take, from the option's own training and validation."""
        share, costs = self._grown(job), self.costs(job.trial)
        return (costs.fit if job.train_rows is None else costs.fit_part)(share, job.rows).times(MARGIN)

    def common(self, trial: int) -> dict[str, Any]:
        """Fields of the trial's last fit that every further job of it shares."""
        fit = self.results.trials.record(trial).job
        # the longest time was that of a fit whose price was not known
        own = {"kind", "attempt", "version", "longest_seconds"}
        shared = set(Score.model_fields) & set(Fit.model_fields) - own
        return {name: getattr(fit, name) for name in shared}
