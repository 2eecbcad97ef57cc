"""What follows from a finished rung: the next one, a pause, an early end, or the trial's completion."""

import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import at_chance
from autoadapt.domain.jobs import Fidelity, Fit
from autoadapt.domain.outcome import Measurement
from autoadapt.row_statistics import stats_array
from autoadapt.runs.values import QUALITY, Values, read_values, uncertain_goal
from autoadapt.shelves import METHODS
from autoadapt.study.job_times import trained_share
from autoadapt.study.nominal import nominal
from autoadapt.study.racing import Runner, beaten_by
from autoadapt.study.rungs import THREE_RUNGS, TWO_RUNGS, promising, rungs
from autoadapt.tasks.resolve import ResolvedTask


@dataclass(frozen=True)
class Judgement:
    """What to do with a trial after a rung."""

    step: Literal["promote", "pause", "stop", "complete"]
    message: str
    values: Values


class RungJudge:
    """Remembers what trials showed at every rung, and judges the next one by it.

    Args:
        resolved: the task.
        pauses: whether trials wait at each rung until the sampler names them.
    """

    def __init__(self, resolved: ResolvedTask, pauses: bool) -> None:
        self.resolved, self.pauses, self.chance = resolved, pauses, resolved.chance()
        self._seen: dict[tuple[str, int], list[Values]] = defaultdict(list)
        """(method, rung) -> objectives seen there."""
        self._races = uncertain_goal(resolved.goals).name == QUALITY
        """Whether rows decide between prompts; they say nothing of other objectives."""
        self._runners: dict[int, Runner] = {}
        """Prompts measured in full, against which others race."""

    def ladder(self, candidate: Candidate, straight: bool) -> list[Fidelity]:
        """The fidelities of a candidate, smallest first.

        Args:
            candidate: what is run.
            straight: whether it gets all of the work at once.
        """
        shares = THREE_RUNGS if self.pauses else TWO_RUNGS
        plugin, task, splits = METHODS.get(candidate.method), self.resolved.task, self.resolved.splits
        wanted = shares if task.search.rungs and not straight and not plugin.one_rung else ()
        # the rows of a simulation are not known, so that none of its rungs is left out
        steps = candidate.steps(len(splits.train) or sys.maxsize) if plugin.tunes else None
        return rungs(steps, task.evaluation, len(splits.validation), wanted)

    def record(self, job: Fit, measurement: Measurement, complete: bool) -> Values:
        """Remembers a rung without judging it, as when a study is resumed."""
        values = self._values(measurement)
        if not self._is_silent(job, measurement, values):
            self._seen[job.candidate.method, job.rung].append(values)
        if complete and self._is_runner(job):
            self._runners[job.trial] = Runner.of(measurement, values)
        return values

    def _values(self, measurement: Measurement) -> Values:
        """Objectives by which a rung is judged."""
        task = self.resolved.task
        told = nominal(measurement) if task.search.deterministic else measurement
        return read_values(self.resolved.goals, told, self.resolved.metric, task.economics)

    def judge(self, job: Fit, measurement: Measurement, last: bool, paused: bool = False) -> Judgement:
        """What follows from a finished rung.

        Args:
            job: the rung's.
            measurement: what it gave.
            last: whether it was the trial's last rung.
            paused: whether an earlier run has judged it, with what was known then, and let its trial wait.
        """
        goals = self.resolved.goals
        peers = list(self._seen[job.candidate.method, job.rung])
        values = self.record(job, measurement, complete=last)
        if last:
            return Judgement("complete", "", values)
        if paused and self.pauses:
            return Judgement("pause", "", values)
        main = uncertain_goal(goals)
        score = f"{main.title} {values[main.name]:.3f}"
        runner = Runner.of(measurement, values) if self._is_runner(job) else None
        beaten = None if runner is None else beaten_by(runner, self._runners, goals)
        if beaten is not None:
            return Judgement("stop", f"{score}: worse than trial {beaten} on the same rows", values)
        if self.pauses:
            return Judgement("pause", score, values)
        if self._is_silent(job, measurement, values):
            return Judgement("promote", f"{score} is at chance, which says nothing after a part of a training", values)
        if runner is not None or promising(values, peers, goals):
            return Judgement("promote", f"{score} at low fidelity", values)
        return Judgement("stop", f"{score} at low fidelity: not promising", values)

    def _is_silent(self, job: Fit, measurement: Measurement, values: Values) -> bool:
        """Whether a part of a training is at chance: it cannot be compared with others."""
        if not METHODS.get(job.candidate.method).tunes or job.fidelity.steps * trained_share(measurement) >= 1:
            return False
        scores = stats_array(measurement)[:, 0]
        error = float(np.sqrt(scores.var() / len(scores)))
        return QUALITY in values and at_chance(values[QUALITY], error, self.chance)

    def _is_runner(self, job: Fit) -> bool:
        plugin = METHODS.get(job.candidate.method)
        return self._races and not plugin.tunes and not plugin.one_rung
