"""What a sampler keeps from one decision to the next. All of it could be computed again from the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autoadapt.domain.history import History, TrialHistory
from autoadapt.domain.space import Branch
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.observations import Observation, by_time, observed
from autoadapt.surrogates.places import Places


@dataclass
class Memory:
    """What saves time in the decisions of one study."""

    hyperparameters: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    """Candidates' keys by trial."""
    _space: tuple[Mapping[str, Branch], tuple[str, ...], Features] | None = None
    _where: "_Where | None" = None
    _observed: dict[int, tuple[TrialHistory, tuple[Observation, ...]]] = field(default_factory=dict)
    """What the rungs of a trial showed, and the trial as it was then."""
    _observed_with: tuple[frozenset[str], float | None] | None = None
    """Methods that train and quality at chance, on which observations depend."""

    def features(self, history: History) -> Features:
        """The history's space as columns."""
        if self._space is None or self._space[0] is not history.branches or self._space[1] != history.models:
            self._space = history.branches, history.models, Features(history.branches, history.models, history.rows)
            self._where = None
        return self._space[2]

    def places_of(self, trials: Sequence[TrialHistory], features: Features) -> Places:
        """Where trials stand; at least one."""
        if self._where is None:
            self._where = _Where(features)
        return self._where.of(trials)

    def observations(self, history: History) -> list[Observation]:
        """Every finished rung, by time, as `observations` gives them."""
        depends = history.tunes, history.chance
        if self._observed_with != depends:
            self._observed.clear()
            self._observed_with = depends
        every: list[Observation] = []
        for trial in history.trials:
            if not trial.reached:
                continue
            before = self._observed.get(trial.number)
            if before is None or before[0].reached is not trial.reached or before[0].candidate is not trial.candidate:
                before = self._observed[trial.number] = trial, observed(history, trial)
            every += before[1]
        return by_time(every)


class _Where:
    """Points and arms of trials, as a table with a row for each trial number.

    Args:
        features: the space.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self._points = np.empty((0, len(features.columns.categorical)))
        self._arms = np.empty(0, int)

    def of(self, trials: Sequence[TrialHistory]) -> Places:
        """The rows of some trials."""
        numbers = np.array([t.number for t in trials])
        missing = max(int(numbers.max()) + 1 - len(self._arms), 0)
        if missing:
            more = max(missing, len(self._arms))
            self._points = np.concatenate([self._points, np.empty((more, self._points.shape[1]))])
            self._arms = np.concatenate([self._arms, np.full(more, -1)])
        for i in np.flatnonzero(self._arms[numbers] < 0).tolist():
            candidate = trials[i].candidate
            self._points[numbers[i]] = self._features.columns_of(candidate)
            self._arms[numbers[i]] = self._features.arm(candidate)
        return Places(self._features.columns, self._points[numbers], self._arms[numbers])
