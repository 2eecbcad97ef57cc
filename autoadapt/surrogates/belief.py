"""What a study's history makes one believe of any candidate: its objectives with their uncertainty, and its time.

The uncertain objective (quality, by default) is a Gaussian process over parameters and fidelity, its noise known from
the rows answered. The other objectives (cost per query and latency, by default) and job time are predictable: additive
effects of method and model (`trend`), and a Gaussian process of what is left. Running trials are believed to give what
is predicted (Ginsbourger et al. 2010), so that parallel workers do not all ask for the same. All values are encoded as
`axes` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from autoadapt.domain.history import TrialHistory
from autoadapt.surrogates.axes import Axes, Axis
from autoadapt.surrogates.gaussian_process import GaussianProcess
from autoadapt.surrogates.observations import Observation, observations, thin, without_cliffs
from autoadapt.surrogates.places import Places
from autoadapt.surrogates.prices import Prices
from autoadapt.surrogates.trend import Trend

MOST_UNCERTAIN, MOST_KNOWN, MOST_FITTED, MOST_FITTED_KNOWN = 240, 120, 120, 60
"""Observations that the models keep, and that hyperparameters are found on: time grows with the third power."""
UNCERTAIN_NOISE, KNOWN_NOISE, KNOWN_VARIANCE = 0.05, 0.02, 1e-5
"""Extra noise thought likely beforehand, as parts of a model's spread; variance of a known figure's measurement."""
UNSEEN = 0.3
"""Standard error of a predicted figure of an arm and a model of which nothing was measured, in powers of ten."""
SHARED_ERROR = 0.25
"""Part of the variance of a measured value that all candidates have in common, for they answer the same rows."""
JOB_SECONDS = "job seconds"
"""Key of the model of job time among those of the known objectives, whose names have no space."""


class Belief:
    """Models fitted to a history.

    Args:
        prices: of a study with at least one finished rung.

    Raises:
        UserError: the history's goals do not fit together.
    """

    def __init__(self, prices: Prices) -> None:
        self.prices, self.memory = prices, prices.memory
        self.history, self.features, self.seen = prices.history, prices.features, prices.seen
        self.telling = [o for o in self.seen if not o.silent] or self.seen
        """What says something of the uncertain objective."""
        self.axes = Axes(self.history)
        self.reached = [o.reached for o in self.seen]
        self.error = float(np.median(self.axes.uncertain.errors_of(self.reached)))
        """Standard error of one measurement of the uncertain objective."""
        self._axis_of: Mapping[str, Axis] = {axis.goal.name: axis for axis in self.axes.known}
        self.trends = {JOB_SECONDS: prices.trend}
        for name, axis in self._axis_of.items():
            known = np.column_stack([prices.places, axis.of_all(self.reached)])
            self.trends[name] = Trend(known, [0.0] * len(self.features.arms), len(self.features.models))
        self._uncertain = self._model(None, UNCERTAIN_NOISE)
        self._known: dict[str, GaussianProcess] = {}
        """Models of what is left of the known objectives and of job time, made when they are first asked."""
        self._believe_running()

    def tried(self) -> set[str]:
        """Keys of the candidates of all trials."""
        keys = self.memory.keys
        for trial in self.history.trials:
            if trial.number not in keys:
                keys[trial.number] = trial.candidate.key()
        return {keys[trial.number] for trial in self.history.trials}

    def expected(self, places: Places) -> Any:
        """Mean of the true uncertain objective at full fidelity, shape (m,)."""
        return self._uncertain.mean(places)

    def uncertain(self, places: Places) -> tuple[Any, Any]:
        """Mean and standard deviation of the true uncertain objective at full fidelity, each of shape (m,)."""
        return self._uncertain.predict(places)

    def known(self, places: Places) -> Any:
        """Predictions of the known objectives, shape (m, k)."""
        return np.stack([self._predicted(name, places) for name in self._axis_of], axis=1)

    def unseen_errors(self, places: Places, random: np.random.Generator) -> Any:
        """Encoded errors of predictions of the known objectives and of job time, shape (m, k + 1): one draw for each
        arm and model of which nothing was measured, 0 for the others.

        Additive effects miss the cost of a pair that was never seen by half; decisions that took them for known would
        never find out (Thompson sampling, Russo et al. 2018).
        """
        pairs, index = np.unique(self._pair(places.arms, places.points[:, 0].astype(int)), return_inverse=True)
        draws = random.normal(0.0, UNSEEN, (len(pairs), len(self._axis_of) + 1))
        draws[np.isin(pairs, self._pairs)] = 0.0
        return draws[index]

    @cached_property
    def _pairs(self) -> Any:
        """Pairs of an arm and a model of which anything was measured."""
        return np.unique(self._pair(*self.prices.places.T))

    def _pair(self, arms: Any, models: Any) -> Any:
        """A number for each arm with each model, in their order, shape (m,) of all."""
        return arms * len(self.features.models) + models

    def job_seconds(self, passes: Any, places: Places, left: Any = 1.0) -> Any:
        """Device-seconds of a step that does a part `left` of each candidate's work, shape (m,).

        Args:
            passes: over the training rows, of each candidate's whole work, shape (m,).
            places: where the candidates stand.
            left: the parts, shape (m,).
        """
        by_model = np.array([self.prices.overheads[model] for model in self.features.models])
        overheads = by_model[places.points[:, 0].astype(int)]
        return 10.0 ** self._predicted(JOB_SECONDS, places) * passes * left + overheads

    def smoothed(self, full: Sequence[TrialHistory]) -> Any:
        """Uncertain objective of trials measured in full, shape (m,), corrected by what their neighbours showed."""
        if not full:
            return np.empty(0)
        axis, last = self.axes.uncertain, [t.reached[-1] for t in full]
        measured, error = axis.of_all(last), axis.errors_of(last)
        # by about the error of measuring, not more
        return np.clip(self.expected(self.places_of(full)), measured - 1.5 * error, measured + error)

    def places_of(self, trials: Sequence[TrialHistory]) -> Places:
        """Where trials stand; at least one."""
        return self.memory.places_of(trials, self.features)

    def _predicted(self, name: str, places: Places) -> Any:
        """A known objective or log10 of job seconds, shape (m,)."""
        if name not in self._known:
            self._known[name] = self._model(name, KNOWN_NOISE)
        return self._known[name].mean(places) + self.trends[name](places.arms, places.points[:, 0])

    def _values(self, name: str, seen: Sequence[Observation]) -> Any:
        if name == JOB_SECONDS:
            return np.array([o.log_job for o in seen])
        return self._axis_of[name].of_all([o.reached for o in seen])

    def _model(self, name: str | None, noise: float) -> GaussianProcess:
        """A model of the uncertain objective (None) or of what is left of a known figure beside its trend.

        Its hyperparameters were found when somewhat fewer rungs were finished.
        """
        hyperparameters = self.memory.hyperparameters
        key = (name, self._found_on)
        if key not in hyperparameters:
            first = self._first(telling=name is None)
            chosen = self._thin(first, MOST_FITTED) if name is None else first[-MOST_FITTED_KNOWN:]
            fitted = self._fill(GaussianProcess(self.features.columns, noise), name, chosen).fit()
            for outdated in [k for k in hyperparameters if k[0] == name]:
                del hyperparameters[outdated]
            hyperparameters[key] = fitted.theta
        model = GaussianProcess(self.features.columns, noise)
        model.theta = hyperparameters[key]
        chosen = self._thin(self.telling, MOST_UNCERTAIN) if name is None else self.seen[-MOST_KNOWN:]
        return self._fill(model, name, chosen).condition()

    def _thin(self, seen: Sequence[Observation], most: int) -> list[Observation]:
        """At most so many of them: the best and the latest."""
        return [seen[i] for i in thin(self.axes.uncertain.of_all([o.reached for o in seen]), most)]

    @cached_property
    def _found_on(self) -> tuple[tuple[int, int], ...]:
        """The rungs on which hyperparameters are found, as (trial, rung): the first so many that were finished."""
        finished = sorted((r.order, t.number, r.rung) for t in self.history.trials for r in t.reached)
        schedule = 4
        while schedule * 5 // 4 + 2 <= len(finished):
            schedule = schedule * 5 // 4 + 2
        return tuple((number, rung) for _, number, rung in finished[:schedule])

    def _first(self, telling: bool) -> list[Observation]:
        """What these rungs showed when they were the only ones: a prompt's later rung replaces its earlier ones."""
        found_on = set(self._found_on)
        trials = [
            replace(t, reached=tuple(r for r in t.reached if (t.number, r.rung) in found_on))
            for t in self.history.trials
        ]
        first = observations(replace(self.history, trials=tuple(trials)))
        return [o for o in first if not o.silent] or first if telling else first

    def _fill(self, model: GaussianProcess, name: str | None, seen: Sequence[Observation]) -> GaussianProcess:
        places = self.places_of([o.trial for o in seen])
        if name is None:
            axis, reached = self.axes.uncertain, [o.reached for o in seen]
            missing, variances = np.array([o.missing for o in seen]), (1 - SHARED_ERROR) * axis.errors_of(reached) ** 2
            return model.data(places, missing, without_cliffs(seen, axis.of_all(reached)), variances)
        values = self._values(name, seen) - self.trends[name](places.arms, places.points[:, 0])
        zeros = np.zeros(len(seen))
        return model.data(places, zeros, values, zeros + KNOWN_VARIANCE)

    def _believe_running(self) -> None:
        running = [t for t in self.history.trials if t.state == "running"]
        if running:
            places = self.places_of(running)
            self._uncertain.append(places, self.expected(places), np.full(len(running), self.error**2))
