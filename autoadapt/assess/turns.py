"""Options timed in turn at the end of a search: one of each serving class, as many as fit into memory together."""

from autoadapt.assess.jobs import AssessmentJobs
from autoadapt.domain.jobs import TimeInTurn, Turn
from autoadapt.domain.task import Evaluation
from autoadapt.study.end_costs import LEAST_IN_TURN, EndCosts, Use, in_turn, one_of_each_class, wanted_in_turn
from autoadapt.study.job_times import MARGIN
from autoadapt.worker.hardware import device_memory_bytes

MEMORY_SHARE = 0.8
"""Of a device's memory that options loaded side by side may take."""
MOST_JOBS = 3
"""Attempts at timing options in turn, all runs of a study together."""


class Turns:
    """Builds the job that times the options shown in turn.

    Options of one serving class compute the same, so that one stands for all.

    Args:
        jobs: what is known of the options.
    """

    def __init__(self, jobs: AssessmentJobs) -> None:
        self._jobs = jobs
        self._memory: dict[str, int | None] = {}
        """Bytes of a device by kind of accelerator."""

    def wanted(self) -> Use:
        """What timing them takes; nothing where it is done, or where there is nothing to compare."""
        return wanted_in_turn(self._untimed(), self._evaluation).times(MARGIN)

    def job(self, left: Use) -> TimeInTurn | None:
        """The job, with as many requests as `left` pays for; None: there is nothing to do, or too little is left."""
        options = self._untimed()
        if not options:
            return None
        fixed, each = in_turn(options, 0), in_turn(options, 1).minus(in_turn(options, 0))
        payable = left.times(1 / MARGIN).units(fixed, each)
        requests = min(self._evaluation.latency_requests, payable)
        if requests < LEAST_IN_TURN:
            return None
        resolved, results = self._jobs.resolved, self._jobs.results
        fits = [results.trials.record(trial).job for trial in options]
        turns = [Turn(trial=f.trial, family=f.model.family, artifact_folder=f.artifact_folder) for f in fits]
        return TimeInTurn(
            **self._jobs.common(turns[0].trial),
            attempt=len(self._jobs.folder.in_turn()),
            options=turns,
            rows=resolved.validation_rows,
            requests=int(requests),
            seconds=max(1.0, MARGIN * in_turn(options, int(requests)).seconds),
            measured=len(results.trials.trials()),
        )

    @property
    def _evaluation(self) -> Evaluation:
        return self._jobs.resolved.task.evaluation

    def _untimed(self) -> dict[int, EndCosts]:
        """The options that are still to be timed in turn; empty: none are, or they cannot be.

        Times in turn may bring an option of another class onto the frontier. That alone is no reason to time all again:
        a search that is resumed would repeat measurements although nothing new was tried.
        """
        folder, requests = self._jobs.folder, self._evaluation.latency_requests
        if not folder.lasting or requests < LEAST_IN_TURN or len(folder.in_turn()) >= MOST_JOBS:
            return {}
        last, measured = folder.last_in_turn(), {*self._jobs.results.trials.trials()}
        if last is not None and last[0].measured >= len(measured):
            return {}
        options = self._options()
        known = {self._jobs.costs(trial).serving for trial in folder.times_in_turn() if trial in measured}
        return {} if {costs.serving for costs in options.values()} <= known else options

    def _options(self) -> dict[int, EndCosts]:
        """The options that are timed, the recommended one first."""
        results, recommended = self._jobs.results, self._jobs.recommended()
        shown = sorted(results.option_trials(), key=lambda trial: trial not in recommended)
        first = one_of_each_class({trial: self._jobs.costs(trial) for trial in shown})
        fitting, left = [], self._free_bytes(first)
        for trial in first:
            left -= results.trials.measurement(trial).peak_memory_bytes
            if left >= 0:
                fitting.append(trial)
        return {trial: self._jobs.costs(trial) for trial in fitting} if len(fitting) > 1 else {}

    def _free_bytes(self, trials: list[int]) -> float:
        """Memory for options side by side; infinite where it is not known."""
        outcome = self._jobs.results.trials.record(trials[0]).outcome if trials else None
        if outcome is None:
            return float("inf")
        kind = outcome.devices.accelerator
        if kind not in self._memory:
            self._memory[kind] = device_memory_bytes(kind)
        return MEMORY_SHARE * (self._memory[kind] or float("inf"))
