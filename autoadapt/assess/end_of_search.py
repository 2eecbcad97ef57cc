"""The end of a search: options scored once on test rows, measured under load, and some of them fitted again."""

import math
from collections.abc import Collection, Sequence

from autoadapt.assess.allowance import Allowance
from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.assess.onnx_tests import OnnxTests
from autoadapt.assess.phases import (
    FINAL_FIT,
    FIRST_LOAD,
    FURTHER_FITS,
    IN_ONNX,
    IN_TURN,
    LOADS,
    PERTURBED,
    SCORES,
    VERDICT,
    Phases,
)
from autoadapt.assess.robustness import RobustnessTests
from autoadapt.assess.turns import Turns
from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import AnyJob, LoadTest, Refit
from autoadapt.domain.outcome import Failure
from autoadapt.runs.run_folder import Record
from autoadapt.study.end_costs import Use, report_seconds, total
from autoadapt.study.job_times import MARGIN
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals


class EndOfSearch:
    """Assesses the options of a search, as far as a tenth of its budget pays, or what the search has left of it.

    First test rows, then perturbed prompts and rows, then options in ONNX where that may be faster, then the
    recommended option under load, then trials near the frontier that may be parts of cascades, then (as far as the
    whole budget pays) the final fit of the recommended option on validation rows too, then what else is fitted again,
    then the other options under load, then single requests to all of them in turn.

    Args:
        search: that has run.
        slots: jobs side by side.
        alone: whether only one option at a time may be measured under load: CPU slots share caches and memory, a GPU
            belongs to its slot.
    """

    def __init__(self, search: Search, slots: int, alone: bool) -> None:
        self._search, self._slots, self._beside = search, slots, 1 if alone else slots
        self.jobs = AssessmentJobs(search.resolved, search.folder, search.results, slots)
        self._allowance = Allowance(search, slots)
        self._turns, self._onnx, self._robustness = Turns(self.jobs), OnnxTests(self.jobs), RobustnessTests(self.jobs)
        further = (self._turns, self._onnx, self._robustness)
        self._phases = Phases(search, self.jobs, slots, self._beside, self._wanted_refits, further)
        self._not_fitted_finally: set[str] = set()
        """Options of which was said that the budget does not pay for their final fit."""
        self._not_perturbed: set[int] = set()
        """Options of which was said that the budget does not pay for perturbations."""

    def run(self, stop: StopSignals) -> None:
        """Re-scores, measures under load, fits again; ends early for a signal or when the budget is spent."""
        self._search.results.settle()
        self._search.results.compare_as_served()
        final_fits = self.jobs.final_fits() if self._fits_finally else []
        self._allowance.begin(total(self.jobs.predicted(job) for job in final_fits))
        self._phases.enter(SCORES)
        self._score(stop)
        if stop.code is not None or any(not self.jobs.scored_rows(trial) for trial in self.jobs.needed()):
            return  # the budget did not even pay for that
        self._phases.enter(PERTURBED)
        self._perturb(stop)
        self._phases.enter(IN_ONNX)
        self._try_in_onnx(stop)
        self._phases.enter(FIRST_LOAD)
        self._measure_load(stop, first=True)
        self._score_parts(stop)
        self._phases.enter(FINAL_FIT)
        self._fit_finally(stop)
        self._phases.enter(FURTHER_FITS)
        self._refit(stop)
        self._phases.enter(LOADS)
        self._measure_load(stop)
        self._phases.enter(IN_TURN)
        self._time_in_turn(stop)
        self._score(stop)  # options that the times under load or in turn have brought onto the frontier
        self._perturb(stop)
        self._fit_finally(stop)  # of another option, where what was measured has made another one the recommended one

    def begin_verdict(self) -> None:
        """Says that nothing but the verdict is left."""
        self._phases.enter(VERDICT)

    @property
    def unscored(self) -> list[int]:
        """Shown options whose test score is missing, apart from those that cannot be paid for."""
        return [trial for trial in self._search.results.unscored_trials() if trial not in self.jobs.left_out]

    def _score(self, stop: StopSignals) -> None:
        begun: dict[int, int] = {}
        while stop.code is None:
            # again while there are any: scores may make another option the recommended one, and take less than thought
            jobs = self.jobs.score_jobs(self._allowance.left(self._slots), begun)
            if not jobs:
                break
            of_all = "" if jobs[0].rows == self.jobs.test_rows else f" of {self.jobs.test_rows:,}"
            self._search.emit("assessing", f"{len(jobs)} options are scored once on {jobs[0].rows:,}{of_all} test rows")
            begun |= {job.trial: job.rows for job in jobs}
            self._run(jobs, stop, self._slots, "scored on test rows")
        self._not_paid_for("scoring {} on test rows", _names(self.jobs.left_out))

    def _score_parts(self, stop: StopSignals) -> None:
        """Scores trials near the frontier that may be useful parts of cascades, where the budget pays for it."""
        jobs = self.jobs.part_jobs()
        if not jobs or stop.code is not None or self.unscored:
            return
        uses = [self.jobs.costs(job.trial).score(job.rows, job.latency_requests).times(MARGIN) for job in jobs]
        if not self._allowance.left(self._slots).pays_for(total(uses)):
            return
        self._search.emit("assessing", f"{len(jobs)} trials near the frontier are scored as possible parts of cascades")
        self._run(jobs, stop, self._slots, "scored on test rows")

    def _perturb(self, stop: StopSignals) -> None:
        """Scores options under perturbations, as far as half of what is left pays for it.

        Where the task limits what these may cost, nothing can be recommended without them: then all that is left of the
        budget may pay for it.
        """
        if stop.code is not None:
            return
        left = self._allowance.left(self._slots).times(0.5)
        if self._search.resolved.task.constraints.robustness_points is not None:
            whole = self._allowance.left_in_all().minus(Use(report_seconds(self._search.resolved.task)))
            left = Use(whole.seconds * self._slots, whole.device_seconds, whole.usd)
        jobs = self._robustness.jobs(left, self._slots)
        if jobs:
            variants = sum(len(job.variants) for job in jobs)
            what = f"{len(jobs)} options are scored on {jobs[0].rows:,} test rows under {variants} perturbations in all"
            self._search.emit("assessing", what)
            self._run(jobs, stop, self._slots, "scored under perturbations")
        self._not_paid_for("scoring {} under perturbations", _names(self._robustness.left_out - self._not_perturbed))
        self._not_perturbed |= self._robustness.left_out

    def _measure_load(self, stop: StopSignals, first: bool = False) -> None:
        """Measures options under load, the recommended one first.

        Each is given an equal part of what is left, but no less than it needs for a p95, so that the last ones may get
        nothing.

        Args:
            stop: asked between jobs.
            first: whether the recommended option alone is measured, in about half of what is left beside a learning
                curve that can be paid for.
        """
        tried, skipped = set[int](), set[int]()
        while stop.code is None:
            waiting = [job for job in self.jobs.load_tests() if job.trial not in tried]
            if first:
                recommended = self.jobs.recommended()
                waiting = [job for job in waiting if job.trial in recommended]
            if not waiting:
                break
            if not first and not tried:
                self._search.emit("assessing", f"{len(waiting)} options are measured under load")
            batch = waiting[: self._beside]
            tried |= {job.trial for job in batch}
            share = 0.5 if first else 1 / math.ceil(len(waiting) / self._beside)
            reserved = (self._reserved() if first else Use()).plus(self._turns.wanted())
            payable = [job for job in (self._shortened(job, share, reserved) for job in batch) if job is not None]
            skipped |= {job.trial for job in batch} - {job.trial for job in payable}
            if payable:
                self._run(payable, stop, self._beside, "measured under load")
                self._search.results.compare_as_served()
        if not first:
            self._not_paid_for("measuring {} under load", _names(skipped))

    def _try_in_onnx(self, stop: StopSignals) -> None:
        """Tries options in ONNX, as far as half of what is left pays for it; the rest is left for load tests."""
        left, payable = self._allowance.left(1).times(0.5), []
        for job in self._onnx.jobs():
            use = self._onnx.use(job)
            if left.pays_for(use):
                payable.append(job)
                left = left.minus(use)
        if not payable or stop.code is not None:
            return
        names = ", ".join(_names([job.trial for job in payable]))
        self._search.emit("assessing", f"{names}: tried in ONNX, which may be faster")
        self._run(payable, stop, self._beside, "tried in ONNX")
        self._search.results.settle()
        self._search.results.compare_as_served()

    def _time_in_turn(self, stop: StopSignals) -> None:
        """Times the options shown in turn with each other, alone on the machine."""
        if stop.code is not None or not self._turns.wanted().seconds:
            return
        job = self._turns.job(self._allowance.left(1))
        if job is None:
            self._not_paid_for("timing {} in turn", ["the options"])
            return
        self._search.emit("assessing", f"{len(job.options)} options are timed in turn")
        self._run([job], stop, 1, "timed in turn")
        self._search.results.settle()
        self._search.results.compare_as_served()

    def _shortened(self, job: LoadTest, share: float, reserved: Use) -> LoadTest | None:
        """A load test that lasts no longer than a share of what is left; None: what is left does not pay for a p95.

        Args:
            job: as long as the task allows.
            share: of what is left beside what is reserved.
            reserved: seconds of wall time, and device time and money.
        """
        costs, left = self.jobs.costs(job.trial), self._allowance.left(1)
        least = costs.least_load_seconds(self._search.resolved.task.evaluation)
        loading = costs.use(costs.loading_seconds)
        if left.units(loading, costs.use(1.0)) < least:
            return None
        seconds = left.minus(reserved).times(share).units(loading, costs.use(1.0))
        return job.model_copy(update={"seconds": min(job.seconds, max(least, seconds))})

    def _refit(self, stop: StopSignals) -> None:
        """Fits again what the verdict needs: for the learning curve, and with other seeds."""
        if not self._search.folder.lasting:
            return
        for name, wanted in self._refit_groups():
            jobs = self._refit_jobs(wanted)
            if not jobs or stop.code is not None:
                continue
            if not self._pays_for(jobs):
                self._not_paid_for("{}", [name])
                continue
            self._search.emit("assessing", f"{len(jobs)} fits for {name}")
            self._run(jobs, stop, self._slots, f"fitted for {name}")

    def _fit_finally(self, stop: StopSignals) -> None:
        """Fits the recommended option, or the parts of a cascade, on validation rows too; all that learn, or none."""
        if not self._fits_finally:
            return
        jobs = self.jobs.final_fits()
        for earlier in self.jobs.earlier_final_fits({job.trial for job in jobs}):
            self._search.folder.drop_refit(earlier)  # of an option that is not the recommended one any more
        jobs = self._still_to_do(jobs)
        if not jobs or stop.code is not None:
            return
        names = ", ".join(_names([job.trial for job in jobs]))
        payable = self._in_time(jobs)
        if not payable:
            if names not in self._not_fitted_finally:
                message = f"the budget does not pay for training {names} once more, on validation rows too"
                self._search.emit("note", message)
            self._not_fitted_finally.add(names)
            return
        self._search.emit("assessing", f"{names}: trained once more, on validation rows too")
        began = self._search.folder.wall_seconds
        self._run(payable, stop, self._slots, "trained on validation rows too")
        self._allowance.leave_out(self._search.folder.wall_seconds - began)

    @property
    def _fits_finally(self) -> bool:
        return self._search.resolved.task.evaluation.final_fit and self._search.folder.lasting

    def _in_time(self, jobs: Sequence[Refit]) -> list[Refit]:
        """Final fits that end within the budget; none where it does not pay for them.

        Training by gradient may take less time than all its rows would, for its schedule then ends with its time; it
        must have as much as it had before, so that it takes as many steps.
        """
        left = self._allowance.left_in_all().minus(Use(report_seconds(self._search.resolved.task)))
        trainings = [self.jobs.training(job) for job in jobs]
        others = [self.jobs.predicted(job).minus(training) for job, training in zip(jobs, trainings, strict=True)]
        # one after the other on a slot, they share its time by what each needs
        whole = Use(left.seconds * min(len(jobs), self._slots), left.device_seconds, left.usd)
        together, of_one = whole.units(total(others), total(trainings)), Use(left.seconds, math.inf, math.inf)
        payable = []
        for job, other, training in zip(jobs, others, trainings, strict=True):
            part = min(1.0, together, of_one.units(other, training))
            if part < self.jobs.least_part(job):
                return []
            seconds = part * training.seconds if job.training_seconds else None
            payable.append(job.model_copy(update={"training_seconds": seconds}))
        return payable

    def _refit_jobs(self, wanted: Sequence[tuple[int, int | None, int]]) -> list[Refit]:
        """Of the fits that are wanted, those that are still to be done."""
        return self._still_to_do([self.jobs.refit(*arguments) for arguments in wanted])

    def _wanted_refits(self) -> list[Refit]:
        """Of the groups that can be paid for, the fits that are still to be done."""
        groups = [self._refit_jobs(wanted) for _, wanted in self._refit_groups()] if self._search.folder.lasting else []
        return [job for jobs in groups if jobs and self._pays_for(jobs) for job in jobs]

    def _still_to_do(self, jobs: Sequence[Refit]) -> list[Refit]:
        return [job for job in jobs if not any(map(_settled, self.jobs.done(job)))]

    def _pays_for(self, jobs: Sequence[Refit]) -> bool:
        """Whether the allowance pays for all of these jobs, and the longest one ends within it."""
        uses = [self.jobs.predicted(job) for job in jobs]
        longest = max(use.seconds for use in uses)
        return self._allowance.left(self._slots).pays_for(total(uses)) and longest <= self._allowance.left(1).seconds

    def _reserved(self) -> Use:
        """What a learning curve takes that can be paid for; nothing where there is none."""
        groups = self._refit_groups() if self._search.resolved.task.evaluation.learning_curve else []
        jobs = self._refit_jobs(groups[0][1]) if groups else []
        if not jobs or not self._pays_for(jobs):
            return Use()
        use = total(self.jobs.predicted(job) for job in jobs)
        return Use(use.seconds / self._slots, use.device_seconds, use.usd)

    def _not_paid_for(self, what: str, names: Sequence[str]) -> None:
        """Reports what is not done, and with what; nothing where `names` is empty."""
        if names:
            message = f"what is left of the budget for the end of the search does not pay for {what}"
            self._search.emit("note", message.format(", ".join(names)))

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
        if isinstance(job, Refit) and not job.final and not finished.retried:  # fitted to be measured, not deployed
            self._search.folder.drop_refit(job)
        if finished.retried:
            self._search.emit("note", f"trial {job.trial}: {result}; it is tried once more", job.trial)
        else:
            message = str(result) if isinstance(result, Failure) else "done"
            self._search.emit("assessed", message, job.trial)


def _names(trials: Collection[int]) -> list[str]:
    return [f"trial {trial}" for trial in sorted(trials)]


def _settled(record: Record) -> bool:
    """Whether a job need not be run again: it was measured, or its failure would repeat."""
    failure = record.failure
    return record.outcome is not None and (failure is None or failure.failure_class not in ("interrupted", "disk"))
