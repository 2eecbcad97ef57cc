"""What the sampler knows of every trial: kept up to date as rungs finish, and the same after a resume."""

from collections import Counter
from dataclasses import replace

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import Reached, TrialHistory
from autoadapt.domain.jobs import Fit
from autoadapt.domain.objective import LEAST_POSITIVE
from autoadapt.domain.outcome import Measurement
from autoadapt.domain.trial_state import TrialState
from autoadapt.row_statistics import stats_array
from autoadapt.runs.run_folder import RunFolder
from autoadapt.runs.values import Values, read_values, uncertain_goal
from autoadapt.shelves import METHODS
from autoadapt.study.job_times import trained_share
from autoadapt.study.nominal import nominal
from autoadapt.tasks.resolve import ResolvedTask

LEAST_SPREAD = 0.05 * 0.95
"""Variance of a row's score is taken to be at least this: ten right out of ten do not mean certainty."""
KNOWN_ERROR = 0.02
"""Standard error of an objective that is not estimated from rows, as a share of its value."""


class TrialHistories:
    """The trials of one study.

    Args:
        resolved: the task.
        folder: what their jobs took.
    """

    def __init__(self, resolved: ResolvedTask, folder: RunFolder) -> None:
        self.resolved, self.folder = resolved, folder
        self._by_number: dict[int, TrialHistory] = {}
        self._finished = 0
        self._of_method: Counter[tuple[str, bool]] = Counter()

    def all(self) -> tuple[TrialHistory, ...]:
        """Every trial, by number."""
        return tuple(self._by_number[n] for n in sorted(self._by_number))

    @property
    def finished(self) -> int:
        """Rungs finished by all trials together."""
        return self._finished

    def begin(self, number: int, candidate: Candidate) -> None:
        """A trial that is to be run."""
        if number not in self._by_number:
            self._by_number[number] = TrialHistory(number, candidate, (), TrialState.RUNNING)
            self._of_method[candidate.method, candidate.teacher_rows > 0] += 1

    def count(self, method: str, taught: bool) -> int:
        """Trials of a method with rows of a teacher, or without them."""
        return self._of_method[method, taught]

    def set_state(self, number: int, state: TrialState) -> None:
        """What a trial does now."""
        if number in self._by_number:
            self._by_number[number] = replace(self._by_number[number], state=state)

    def paused(self, number: int) -> bool:
        """Whether a trial waits for the sampler to name it."""
        return self._by_number[number].state == TrialState.PAUSED

    def reach(self, job: Fit, measurement: Measurement) -> None:
        """A rung that a trial has finished."""
        fidelity, task = job.fidelity, self.resolved.task
        tunes = METHODS.get(job.candidate.method).tunes
        here = [r for r in self.folder.of(job.trial) if isinstance(r.job, Fit) and r.job.rung == job.rung]
        outcomes = [r.outcome for r in here if r.outcome is not None]
        seconds = sum((o.fit_measure_seconds or o.seconds) * o.devices.count for o in outcomes)
        trained, devices = trained_share(measurement), outcomes[-1].devices.count if outcomes else 1
        seconds += (1 / trained - 1) * min(measurement.train_seconds * devices, seconds)
        warm = [(o.seconds - o.fit_measure_seconds) * o.devices.count for o in outcomes if not o.cold]
        if task.search.deterministic:
            measurement, warm = nominal(measurement), []
            seconds = measurement.inference_seconds + measurement.train_seconds - self._trained_seconds(job)
        values = read_values(self.resolved.goals, measurement, self.resolved.metric, task.economics, fidelity.steps)
        reached = Reached(
            rung=job.rung,
            share=fidelity.steps if tunes else min(1.0, fidelity.rows / self.resolved.validation_rows),
            values=values,
            error=self._error(measurement, values),
            device_seconds=seconds,
            trained=trained,
            overhead_seconds=max(0.0, min(warm, default=0.0)),
            order=max((r.place for r in here), default=self._finished),
        )
        self._finished += 1
        trial = self._by_number[job.trial]
        self._by_number[job.trial] = replace(trial, reached=(*trial.reached, reached))

    def _trained_seconds(self, job: Fit) -> float:
        """Nominal seconds that a trial had been trained for before a rung of it."""
        fits = [(r.job, r.measurement) for r in self.folder.of(job.trial)]
        earlier = [m for fit, m in fits if isinstance(fit, Fit) and fit.rung < job.rung and m is not None]
        return max((nominal(m).train_seconds for m in earlier), default=0.0)

    def _error(self, measurement: Measurement, values: Values) -> float:
        """Standard error of the objective that samplers take for the uncertain one."""
        goal = uncertain_goal(self.resolved.goals)
        if not goal.uncertain:
            return KNOWN_ERROR * max(abs(values[goal.name]), LEAST_POSITIVE)
        scores = stats_array(measurement)[:, 0]
        return float(np.sqrt(max(scores.var(), LEAST_SPREAD) / len(scores)))
