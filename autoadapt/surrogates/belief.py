"""What a study's history makes one believe of any candidate: its quality with its uncertainty, its cost, latency, time.

Quality is a Gaussian process over parameters and fidelity, its noise known from the rows answered. Cost per query,
latency and job time are predictable: additive effects of method and model (`trend`), and a Gaussian process of what is
left. Running trials are believed to give what is predicted (Ginsbourger et al. 2010), so that parallel workers do not
all ask for the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoadapt.domain.history import Attempt
from autoadapt.domain.trial import Candidate
from autoadapt.surrogates.gaussian_process import GaussianProcess
from autoadapt.surrogates.observations import Known, Observation, thin, without_cliffs
from autoadapt.surrogates.prices import Prices
from autoadapt.surrogates.trend import Trend

MOST_QUALITIES, MOST_KNOWN, MOST_FITTED, MOST_FITTED_KNOWN = 240, 120, 120, 60
"""Observations that the models keep, and that hyperparameters are found on: time grows with the third power."""
SHARED_ERROR = 0.25
"""Part of the variance of measured quality that all candidates have in common, for they answer the same rows."""
Places = tuple[Any, Any]
"""Points, shape (m, d), and their arms, shape (m,)."""


@dataclass
class Memory:
    """What saves time from one decision to the next; it could be computed again from the history."""

    hyperparameters: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    points: dict[int, Any] = field(default_factory=dict)
    """By trial."""


class Belief:
    """Models fitted to a history.

    Args:
        prices: of a study with at least one finished rung.
        memory: of earlier decisions.
    """

    def __init__(self, prices: Prices, memory: Memory) -> None:
        self.prices, self.memory = prices, memory
        self.history, self.features, self.seen = prices.history, prices.features, prices.seen
        self.error = float(np.median([o.reached.quality_error for o in self.seen]))
        """Standard error of one measurement of quality."""
        self.trends: dict[Known, Trend] = {"job": self.prices.trend}
        others: tuple[Known, ...] = ("cost", "latency")
        for what in others:
            known = [(*self.features.place(o.attempt.candidate), o.known(what)) for o in self.seen]
            self.trends[what] = Trend(known, [0.0] * len(self.features.methods), len(self.features.models))
        self._quality = self._model(None, 0.05)
        self._known = {what: self._model(what, 0.02) for what in self.trends}
        self._believe_running()

    def quality(self, places: Places) -> tuple[Any, Any]:
        """Mean and standard deviation of the true quality at full fidelity, each of shape (m,)."""
        return self._quality.predict(*places)

    def known(self, what: Known, places: Places) -> Any:
        """Logarithms of one of the predictable figures, shape (m,)."""
        points, arms = places
        return self._known[what].predict(points, arms)[0] + self.trends[what](arms, points[:, 0])

    def job_seconds(self, candidates: Sequence[Candidate], places: Places, left: Any = 1.0) -> Any:
        """Device-seconds of a step that does a part `left` of each candidate's work, shape (m,)."""
        passes = np.array([c.passes for c in candidates])
        overheads = np.array([self.prices.overheads[c.model] for c in candidates])
        return 10.0 ** self.known("job", places) * passes * left + overheads

    def smoothed(self, full: Sequence[Attempt]) -> Any:
        """Qualities of trials measured in full, shape (m,), corrected by what their neighbours showed."""
        if not full:
            return np.empty(0)
        last = [a.reached[-1] for a in full]
        measured, error = np.array([r.quality for r in last]), np.array([r.quality_error for r in last])
        # by about the error of measuring, not more
        return np.clip(self.quality(self.places_of(full))[0], measured - 1.5 * error, measured + error)

    def places_of(self, attempts: Sequence[Attempt]) -> Places:
        """Where trials stand; at least one."""
        points = self.memory.points
        for a in attempts:
            if a.number not in points:
                points[a.number] = self.features.point(a.candidate)
        return np.array([points[a.number] for a in attempts]), np.array(
            [self.features.arm(a.candidate) for a in attempts]
        )

    def places(self, candidates: Sequence[Candidate]) -> Places:
        """Where candidates stand; at least one."""
        points = np.array([self.features.point(c) for c in candidates])
        return points, np.array([self.features.arm(c) for c in candidates])

    def _model(self, what: Known | None, noise: float) -> GaussianProcess:
        """A model of quality (None) or of a predictable figure.

        Its hyperparameters were found when there were somewhat fewer observations.
        """
        schedule = 4
        while schedule * 5 // 4 + 2 <= len(self.seen):
            schedule = schedule * 5 // 4 + 2
        first = self.seen[: max(4, schedule)]
        key = (what, tuple((o.attempt.number, o.reached.rung) for o in first))
        found = self.memory.hyperparameters
        if key not in found:
            kept = thin(first, MOST_FITTED) if what is None else first[-MOST_FITTED_KNOWN:]
            fitted = self._fill(GaussianProcess(self.features.columns, noise), what, kept).fit()
            for old in [k for k in found if k[0] == what]:
                del found[old]
            found[key] = fitted.theta
        model = GaussianProcess(self.features.columns, noise)
        model.theta = found[key]
        kept = thin(self.seen, MOST_QUALITIES) if what is None else self.seen[-MOST_KNOWN:]
        return self._fill(model, what, kept).condition()

    def _fill(self, model: GaussianProcess, what: Known | None, seen: Sequence[Observation]) -> GaussianProcess:
        points, arms = self.places_of([o.attempt for o in seen])
        if what is None:
            missing = np.array([o.missing for o in seen])
            variances = np.array([(1 - SHARED_ERROR) * o.reached.quality_error**2 for o in seen])
            return model.data(points, arms, missing, without_cliffs(seen), variances)
        values = np.array([o.known(what) for o in seen]) - self.trends[what](arms, points[:, 0])
        none = np.zeros(len(seen))
        return model.data(points, arms, none, values, none + 1e-5)

    def _believe_running(self) -> None:
        running = [a for a in self.history.attempts if a.state == "running"]
        if running:
            places = self.places_of(running)
            self._quality.append(*places, self.quality(places)[0], np.full(len(running), self.error**2))
