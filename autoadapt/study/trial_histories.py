"""The history of every trial, for the sampler: up to date as rungs finish, and the same after a resume."""

from dataclasses import replace
from typing import Literal

import numpy as np

from autoadapt.domain.history import Reached, TrialHistory
from autoadapt.domain.option import Objectives
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.task import Economics
from autoadapt.domain.trial import Candidate, Fidelity
from autoadapt.study.run_folder import RunFolder
from autoadapt.verdict.objectives import cost_usd_per_1k, stats_array

LEAST_SPREAD = 0.05 * 0.95
"""Variance of a row's score is taken to be at least this: ten right out of ten do not mean certainty."""


class TrialHistories:
    """The histories of a study's trials.

    Args:
        folder: what their steps took.
        economics: prices, for the cost that the full training will have.
        full_rows: rows answered at full fidelity.
    """

    def __init__(self, folder: RunFolder, economics: Economics, full_rows: int) -> None:
        self.folder, self.economics, self.full_rows = folder, economics, full_rows
        self._by_number: dict[int, TrialHistory] = {}
        self._order = 0

    def all(self) -> tuple[TrialHistory, ...]:
        """Every trial, by number."""
        return tuple(self._by_number[n] for n in sorted(self._by_number))

    @property
    def finished(self) -> int:
        """Rungs finished by all trials together."""
        return self._order

    def begin(self, number: int, candidate: Candidate) -> None:
        """A trial that is to be run."""
        self._by_number.setdefault(number, TrialHistory(number, candidate, (), "running"))

    def state(self, number: int, state: Literal["running", "paused", "done", "failed"]) -> None:
        """What a trial does now."""
        if number in self._by_number:
            self._by_number[number] = replace(self._by_number[number], state=state)

    def paused(self, number: int) -> bool:
        """Whether a trial waits for the sampler to name it."""
        return self._by_number[number].state == "paused"

    def reach(
        self, number: int, rung: int, fidelity: Fidelity, tunes: bool, outcome: Outcome, measured: Objectives
    ) -> None:
        """Adds a rung that a trial has finished, with the objectives measured there."""
        trial, measurement = self._by_number[number], outcome.measurement
        assert measurement is not None
        scores = stats_array(measurement)[:, 0]
        outcomes = [r.outcome for r in self.folder.of(number) if r.outcome is not None and r.step.rung == rung]
        seconds = sum((o.fit_measure_seconds or o.seconds) * o.devices.count for o in outcomes)
        warm = [(o.seconds - o.fit_measure_seconds) * o.devices.count for o in outcomes if not o.cold]
        reached = Reached(
            rung=rung,
            share=fidelity.steps if tunes else min(1.0, fidelity.rows / self.full_rows),
            values={
                "quality": measured.quality,
                "cost_usd_per_1k": float(cost_usd_per_1k(outcome, self.economics, trained=fidelity.steps)),
                "latency_ms": measured.latency_ms,
            },
            error=float(np.sqrt(max(scores.var(), LEAST_SPREAD) / len(scores))),
            device_seconds=seconds,
            overhead_seconds=max(0.0, min(warm, default=0.0)),
            order=self._order,
        )
        self._order += 1
        self._by_number[number] = replace(trial, reached=(*trial.reached, reached))
