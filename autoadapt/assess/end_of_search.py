"""The end of a search: options scored once on test rows, measured under load, and some of them fitted again."""

from collections.abc import Sequence

from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import Refit
from autoadapt.domain.outcome import Failure
from autoadapt.runs.run_folder import AnyJob, Record
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals


class EndOfSearch:
    """Assesses the options of a search, as far as its budget pays.

    Args:
        search: that has run.
        slots: jobs side by side.
        alone: whether only one option at a time may be measured under load: CPU slots share caches and memory, a GPU
            belongs to its slot.
    """

    def __init__(self, search: Search, slots: int, alone: bool) -> None:
        self._search, self._slots, self._alone = search, slots, alone
        self.jobs = AssessmentJobs(search.resolved, search.folder, search.results)

    def run(self, stop: StopSignals) -> None:
        """Re-scores, measures under load, fits again; ends early for a signal or when the budget is spent."""
        self._score(stop)
        self._measure_load(stop)
        self._score_parts(stop)
        self._refit(stop)

    def _score(self, stop: StopSignals) -> None:
        jobs = self.jobs.score_jobs()
        if jobs:
            self._search.emit("assessing", f"{len(jobs)} options are scored once on {jobs[0].rows} test rows")
        self._run(jobs, stop, self._slots, "scored on test rows")

    def _measure_load(self, stop: StopSignals) -> None:
        if self._search.results.unscored_trials():
            return  # the budget did not even pay for that
        jobs = self.jobs.load_tests()
        if jobs:
            self._search.emit("assessing", f"{len(jobs)} options are measured under load, each alone on its device")
        self._run(jobs, stop, 1 if self._alone else self._slots, "measured under load")

    def _score_parts(self, stop: StopSignals) -> None:
        """Scores trials near the frontier that may be useful parts of cascades, where the budget pays for it."""
        search = self._search
        if search.results.unscored_trials() or stop.code is not None:
            return
        jobs = self.jobs.part_jobs()
        if not jobs or not search.can_afford(sum(self.jobs.predicted(job) for job in jobs)):
            return
        search.emit("assessing", f"{len(jobs)} trials near the frontier are scored as possible parts of cascades")
        self._run(jobs, stop, self._slots, "scored on test rows")
        parts = search.results.part_trials()
        loads = [job for job in self.jobs.load_tests() if job.trial in parts]
        self._run(loads, stop, 1 if self._alone else self._slots, "measured under load")

    def _refit(self, stop: StopSignals) -> None:
        """Fits again what the verdict needs: for the learning curve, and with other seeds."""
        search = self._search
        if search.results.unscored_trials() or not search.folder.lasting:
            return
        for name, wanted in self._refit_groups():
            jobs = [
                self.jobs.refit(*arguments)
                for arguments in wanted
                if not any(map(_settled, self.jobs.refits(*arguments)))
            ]
            if not jobs or stop.code is not None:
                continue
            if not search.can_afford(sum(self.jobs.predicted(job) for job in jobs)):
                search.emit("note", f"the budget does not pay for {name}")
                continue
            search.emit("assessing", f"{len(jobs)} fits for {name}")
            self._run(jobs, stop, self._slots, f"fitted for {name}")

    def _refit_groups(self) -> list[tuple[str, list[tuple[int, int | None, int]]]]:
        """What is fitted together, with (trial, training rows, seed index) of every fit."""
        evaluation = self._search.resolved.task.evaluation
        groups: list[tuple[str, list[tuple[int, int | None, int]]]] = []
        trial = self.jobs.curve_trial()
        if evaluation.learning_curve and trial is not None:
            sizes = self.jobs.curve_sizes()
            groups.append((f"the learning curve of trial {trial}", [(trial, rows, 0) for rows in sizes]))
        seeds = range(1, evaluation.seeds)
        groups += [(f"other seeds of trial {t}", [(t, None, i) for i in seeds]) for t in self.jobs.random_trials()]
        return groups

    def _run(self, jobs: Sequence[AnyJob], stop: StopSignals, side_by_side: int, what: str) -> None:
        if not self._search.run_jobs(jobs, stop, side_by_side, self._done) and stop.code is None:
            self._search.emit("note", f"the budget ended before all options were {what}")

    def _done(self, finished: Finished) -> None:
        job, result = finished.job, finished.outcome.result
        if isinstance(job, Refit) and not finished.retried:  # it was fitted to be measured, not to be deployed
            self._search.folder.drop_refit(job)
        if finished.retried:
            self._search.emit("note", f"trial {job.trial}: {result}; it is tried once more", job.trial)
        else:
            message = str(result) if isinstance(result, Failure) else "done"
            self._search.emit("assessed", message, job.trial)


def _settled(record: Record) -> bool:
    """Whether a job need not be run again: it was measured, or its failure would repeat."""
    failure = record.failure
    return record.outcome is not None and (failure is None or failure.failure_class not in ("interrupted", "disk"))
