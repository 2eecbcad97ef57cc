"""The next step by expected gain in hypervolume per dollar, over new candidates and paused ones alike.

Trials of the joint space cost from cents to hundreds of dollars, so what counts is not the best next trial but the best
next dollar. After the portfolio of defaults (the space's `first`, cheapest first), each decision compares

- new candidates of every method, to be started at their lowest rung, and
- paused trials, to be taken up to the next rung (no more of them than a share of those that reached it: ASHA's quota,
  Li et al. 2020),

by E[gain in hypervolume at full fidelity] / (cost of the whole job)^ALPHA, the cost-cooled acquisition of Lee et al.
2020 ("Cost-aware Bayesian Optimization"). Quality is a Gaussian process over parameters and fidelity, its noise known
from the rows answered; cost per query, latency and job time are predictable, so they enter as known and the expected
gain has a closed form (`autoadapt.surrogates.improvement`). Running trials are believed to give what is predicted
(Ginsbourger et al. 2010), so that parallel workers do not all ask for the same. Constraints cut the reference box: a
gain where they do not hold counts for nothing. A share of the decisions looks at quality alone.

Nothing is kept between calls that could not be computed again from the history, so a resumed study goes on as it would
have, on one slot exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler

from autoadapt.domain.history import Attempt, History, Reached
from autoadapt.domain.plugins import Decision, Sampler
from autoadapt.domain.trial import Candidate
from autoadapt.surrogates.dominance import non_dominated
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.gaussian_process import GaussianProcess
from autoadapt.surrogates.improvement import (
    expected_hypervolume_improvement,
    expected_improvement,
    hypervolume,
)

ALPHA = 0.85
"""Exponent of cost; below 1, for predicted costs are not quite trusted."""
QUALITY_ALPHA = 0.3
QUALITY_SHARE = 0.15
"""Share of decisions taken for quality alone."""
DRAWN = 96
"""Random candidates per method and decision; as many again are moved from good ones."""
CHEAP = 0.003
"""Share of what is left of the budget below which a candidate gets all of the work at once."""
LEAST_SEEN = 3
"""Measured candidates of a method before it is modelled."""
QUOTA = 2.0
"""One in so many of those that reached a rung goes on."""
MOST_QUALITIES, MOST_COSTS, MOST_FITTED = 240, 120, 120
"""Observations that the models keep, and that hyperparameters are found on: time grows with the third power."""
FRONT_SIZE = 20
LEAST_FOR_CLIFF, CLIFF = 5, 2.0
"""Qualities below the median by more than so many times the better half's spread are raised to there."""
PROMPT_EXPONENT = 0.5
"""Time of answering a part of the rows grows with about this power of the part: loading and warm-up weigh."""


class CostAware(Sampler):
    """Chooses what is run next, promotions included."""

    pauses = True

    def __init__(self) -> None:
        self._fits: dict[tuple[Any, ...], Any] = {}
        self._points: dict[int, Any] = {}
        self._last: tuple[int, History, Decision] | None = None

    def build(self, seed: int, history: History) -> Any:
        decision = self.decide(seed, history)
        candidate = decision.candidate
        if candidate is None:  # asked for a candidate although a paused trial would be worth more
            candidate = _draw_least_seen(history, np.random.default_rng(seed))
        return Planned(candidate)

    def decide(self, seed: int, history: History) -> Decision:
        if self._last is None or self._last[0] != seed or self._last[1] is not history:
            self._last = (seed, history, self._decide(seed, history))
        return self._last[2]

    def _decide(self, seed: int, history: History) -> Decision:
        random = np.random.default_rng(seed)
        seen = [a for a in history.attempts if a.reached]
        per_method = {m: sum(a.candidate.method == m for a in seen) for m in history.branches}
        if history.may_try and min(per_method.values()) < LEAST_SEEN:
            return Decision(candidate=_draw_least_seen(history, random))
        if any(count == 0 for count in per_method.values()) or len(seen) < 4:
            return Decision()
        return _Choice(history, random, self._fits, self._points).best()


class Planned(BaseSampler):
    """An Optuna sampler that suggests one candidate, decided before.

    Args:
        candidate: its parameters.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.values = {"method": candidate.method, "model": candidate.model, **candidate.params}

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return self.values[param_name.split(".", 1)[-1]]


def _draw_least_seen(history: History, random: np.random.Generator) -> Candidate:
    """A random candidate of the method with the fewest trials; of equals, the first (cheapest) one."""
    tried = [a.candidate.method for a in history.attempts if a.state != "failed"]
    return Features(history.branches, history.models).draw(min(history.branches, key=tried.count), random)


@dataclass(frozen=True)
class _Observation:
    attempt: Attempt
    reached: Reached
    missing: float
    log_job: float


class _Choice:
    """One decision: models fitted to a history, and every step that could be taken.

    Args:
        history: the study so far.
        random: for candidates.
        fits: hyperparameters found in earlier decisions.
        known: points of earlier trials by number; both may be empty and only save time.
    """

    def __init__(
        self,
        history: History,
        random: np.random.Generator,
        fits: dict[tuple[Any, ...], Any],
        known: dict[int, Any],
    ) -> None:
        self.history, self.random, self.fits, self.known = history, random, fits, known
        self.features = Features(history.branches, history.models)
        self.tried = {a.candidate.key() for a in history.attempts}
        self.seen = self._observations()
        self.error = float(np.median([o.reached.quality_error for o in self.seen]))
        self.quality = self._model("quality", _thin(self.seen, MOST_QUALITIES), 0.05)
        few = self.seen[-MOST_COSTS:]
        self.cost = self._model("cost", few, 0.02)
        self.latency = self._model("latency", few, 0.02)
        self.job = self._model("job", few, 0.02)
        self._believe_running()
        self.front, self.reference = self._front(), self._reference()

    def best(self) -> Decision:
        for_quality = self.random.random() < QUALITY_SHARE
        options: list[tuple[float, float, Decision]] = []
        if self.history.may_try:
            options += self._new(for_quality)
        options += self._promotions(for_quality)
        if not options:
            return Decision()
        reached = hypervolume(self.front, self.reference)
        if not for_quality and reached > 0 and max(gain for _, gain, _ in options) <= self.history.least_gain * reached:
            return Decision(converged=True)
        return max(options, key=lambda o: o[0])[2]

    # -- models

    def _observations(self) -> list[_Observation]:
        found = []
        for attempt in self.history.attempts:
            before = 0.0
            tunes = attempt.candidate.method in self.history.tunes
            for reached in attempt.reached:
                part = reached.share - before
                log_job = math.log10(max(reached.device_seconds, 1e-6) / max(part, 1e-6) ** self._exponent(attempt))
                # a prompt's later rung answers the earlier rows too: it replaces what they showed
                if tunes or reached is attempt.reached[-1]:
                    missing = math.log(1 / reached.share) / math.log(9) if tunes else 0.0
                    found.append(_Observation(attempt, reached, missing, log_job))
                before = reached.share
        return sorted(found, key=lambda o: o.reached.order)

    def _exponent(self, attempt: Attempt) -> float:
        return 1.0 if attempt.candidate.method in self.history.tunes else PROMPT_EXPONENT

    def _model(self, what: str, seen: Sequence[_Observation], noise: float) -> GaussianProcess:
        """A model of all observations, with hyperparameters found when there were somewhat fewer."""
        model = GaussianProcess(self.features.columns, noise)
        schedule = 4
        while schedule * 5 // 4 + 2 <= len(seen):
            schedule = schedule * 5 // 4 + 2
        first = seen[: max(4, schedule)][-MOST_FITTED:]
        key = (what, tuple((o.attempt.number, o.reached.rung) for o in first))
        if key not in self.fits:
            fitted = self._fill(GaussianProcess(self.features.columns, noise), what, first).fit()
            for old in [k for k in self.fits if k[0] == what]:
                del self.fits[old]
            self.fits[key] = fitted.theta
        model.theta = self.fits[key]
        return self._fill(model, what, seen).condition()

    def _fill(self, model: GaussianProcess, what: str, seen: Sequence[_Observation]) -> GaussianProcess:
        points, arms = self._points_of([o.attempt for o in seen])
        if what == "quality":
            qualities = _without_cliffs(seen)
            missing = np.array([o.missing for o in seen])
            # rows are a finite sample that all candidates share: part of the error is common to them
            variances = np.array([0.75 * o.reached.quality_error**2 for o in seen])
            return model.data(points, arms, missing, qualities, variances)
        values = [_log_value(what, o) for o in seen]
        none = np.zeros(len(seen))
        return model.data(points, arms, none, values, none + 1e-5)

    def _believe_running(self) -> None:
        running = [a for a in self.history.attempts if a.state == "running"]
        if not running:
            return
        points, arms = self._points_of(running)
        mean, _ = self.quality.predict(points, arms)
        q = self.quality
        q.points, q.arms = np.r_[q.points, points], np.r_[q.arms, arms]
        q.missing = np.r_[q.missing, np.zeros(len(running))]
        q.values = np.r_[q.values, (mean - q.mean) / q.unit]
        q.variances = np.r_[q.variances, np.full(len(running), (self.error / q.unit) ** 2)]
        q.condition()

    def _points_of(self, attempts: Sequence[Attempt]) -> tuple[Any, Any]:
        for a in attempts:
            if a.number not in self.known:
                self.known[a.number] = self.features.point(a.candidate)
        return np.array([self.known[a.number] for a in attempts]), np.array(
            [self.features.arm(a.candidate) for a in attempts]
        )

    def _points(self, candidates: Sequence[Candidate]) -> tuple[Any, Any]:
        points = np.array([self.features.point(c) for c in candidates])
        return points, np.array([self.features.arm(c) for c in candidates])

    # -- what has been reached

    def _front(self) -> Any:
        """Rows (quality, log cost, log latency) of trials measured in full, their quality smoothed by the model."""
        full = [a for a in self.history.attempts if a.reached and a.reached[-1].share >= 1]
        running = [a for a in self.history.attempts if a.state == "running"]
        if not full and not running:
            return np.empty((0, 3))
        rows = []
        if full:
            mean, _ = self.quality.predict(*self._points_of(full))
            for attempt, smooth in zip(full, mean, strict=True):
                last = attempt.reached[-1]
                error = last.quality_error
                # neighbours may correct what was measured by about its error, not more
                quality = min(max(smooth, last.quality - 1.5 * error), last.quality + error)
                rows.append([quality, _log(last.cost_usd_per_1k), _log(last.latency_ms)])
        if running:
            points, arms = self._points_of(running)
            columns = [m.predict(points, arms)[0] for m in (self.quality, self.cost, self.latency)]
            rows += np.stack(columns, 1).tolist()
        front = np.array(rows)
        front = front[non_dominated(front)]
        return front if len(front) <= FRONT_SIZE else _spread(front, FRONT_SIZE)

    def _reference(self) -> tuple[float, float, float]:
        seen, limits = self.seen, self.history.constraints
        costs = [_log(o.reached.cost_usd_per_1k) for o in seen]
        latencies = [_log(o.reached.latency_ms) for o in seen]
        untuned = [o.reached.quality for o in seen if o.attempt.candidate.method not in self.history.tunes]
        quality = float(np.quantile(untuned or [o.reached.quality for o in seen], 0.05)) - 0.02
        cost, latency = float(np.quantile(costs, 0.98)) + 0.05, float(np.quantile(latencies, 0.98)) + 0.05
        if limits.quality is not None:
            quality = max(quality, limits.quality)
        if limits.cost_usd_per_1k is not None:
            cost = min(cost, math.log10(limits.cost_usd_per_1k))
        if limits.latency_p95_ms is not None:
            latency = min(latency, math.log10(limits.latency_p95_ms))
        return quality, cost, latency

    # -- what could be done

    def _gain(self, for_quality: bool, mean: Any, deviation: Any, cost: Any, latency: Any) -> Any:
        # where the model is surer than one measurement would be, a measurement teaches little (augmented expected
        # improvement, Huang et al. 2006): or cheap options would be tried again and again for luck
        taught = 1 - self.error / np.sqrt(deviation**2 + self.error**2)
        return taught * self._improvement(for_quality, mean, deviation, cost, latency)

    def _improvement(self, for_quality: bool, mean: Any, deviation: Any, cost: Any, latency: Any) -> Any:
        if not for_quality:
            return expected_hypervolume_improvement(mean, deviation, cost, latency, self.front, self.reference)
        worst, dear, slow = self.reference
        holds = (cost <= dear) & (latency <= slow)
        level = max(float(self.front[:, 0].max()), worst) if len(self.front) else worst
        return expected_improvement(mean, deviation, level) * holds

    def _worth(self, gain: Any, seconds: Any, for_quality: bool) -> Any:
        """Gain per cooled cost, shape (m,); -1 for what the budget cannot pay."""
        worth = gain / seconds ** (QUALITY_ALPHA if for_quality else ALPHA)
        left = self.history.left_seconds
        return worth if left is None else np.where(seconds > left, -1.0, worth)

    def _new(self, for_quality: bool) -> list[tuple[float, float, Decision]]:
        best = [a.candidate for a in self._good()]
        found = []
        for method in self.history.branches:
            near = [c for c in best if c.method == method]
            candidates = [self.features.draw(method, self.random) for _ in range(DRAWN if near else 2 * DRAWN)]
            candidates += [
                self.features.move(near[int(self.random.integers(len(near)))], self.random)
                for _ in range(DRAWN if near else 0)
            ]
            candidates = [c for c in candidates if c.key() not in self.tried]
            if not candidates:
                continue
            points, arms = self._points(candidates)
            mean, deviation = self.quality.predict(points, arms)
            cost, latency, job = (m.predict(points, arms)[0] for m in (self.cost, self.latency, self.job))
            gain = self._gain(for_quality, mean, deviation, cost, latency)
            seconds = 10.0**job
            worth = self._worth(gain, seconds, for_quality)
            i = int(np.argmax(worth))
            if worth[i] >= 0:
                straight = self.history.left_seconds is not None and seconds[i] < CHEAP * self.history.left_seconds
                found.append((float(worth[i]), float(gain.max()), Decision(candidates[i], straight=straight)))
        return found

    def _promotions(self, for_quality: bool) -> list[tuple[float, float, Decision]]:
        paused = [a for a in self.history.attempts if a.state == "paused" and self._within_quota(a)]
        if not paused:
            return []
        points, arms = self._points_of(paused)
        mean, deviation = self.quality.predict(points, arms)
        job = self.job.predict(points, arms)[0]
        last = [a.reached[-1] for a in paused]
        cost = np.array([_log(r.cost_usd_per_1k) for r in last])
        latency = np.array([_log(r.latency_ms) for r in last])
        left = np.array([(1 - r.share) ** self._exponent(a) for a, r in zip(paused, last, strict=True)])
        gain = self._gain(for_quality, mean, deviation, cost, latency)
        seconds = 10.0**job * np.maximum(left, 1e-3)
        worth = self._worth(gain, seconds, for_quality)
        i = int(np.argmax(worth))
        return [(float(worth[i]), float(gain.max()), Decision(promote=paused[i].number))] if worth[i] >= 0 else []

    def _within_quota(self, attempt: Attempt) -> bool:
        method, share = attempt.candidate.method, attempt.reached[-1].share
        same = [a for a in self.history.attempts if a.candidate.method == method]
        here = [a for a in same if any(r.share == share for r in a.reached)]
        gone = sum(a.reached[-1].share > share or a.state == "running" for a in here)
        return gone < math.ceil(len(here) / QUOTA)

    def _good(self) -> list[Attempt]:
        """Trials that no other beats at whatever fidelity each has reached."""
        seen = [a for a in self.history.attempts if a.reached]
        rows = np.array(
            [[a.reached[-1].quality, a.reached[-1].cost_usd_per_1k, a.reached[-1].latency_ms] for a in seen]
        )
        return [a for a, kept in zip(seen, non_dominated(rows), strict=True) if kept]


def _without_cliffs(seen: Sequence[_Observation]) -> Any:
    """Qualities, shape (n,), with the worst of each method and model raised.

    A diverged run says that it is bad, not how bad its neighbours are: a model that had to explain the cliff would be
    unsure everywhere. What counts is how the better half differs.
    """
    qualities = np.array([o.reached.quality for o in seen])
    groups: dict[tuple[str, str], list[int]] = {}
    for i, o in enumerate(seen):
        groups.setdefault((o.attempt.candidate.method, o.attempt.candidate.model), []).append(i)
    for own in groups.values():
        if len(own) >= LEAST_FOR_CLIFF:
            middle, high = np.quantile(qualities[own], [0.5, 0.9])
            qualities[own] = np.maximum(qualities[own], middle - CLIFF * max(high - middle, 0.02))
    return qualities


def _log_value(what: str, seen: _Observation) -> float:
    if what == "job":
        return seen.log_job
    return _log(seen.reached.cost_usd_per_1k if what == "cost" else seen.reached.latency_ms)


def _log(value: float) -> float:
    return math.log10(max(value, 1e-12))


def _spread(front: Any, size: int) -> Any:
    """So many points of a frontier, far from each other (the epsilon-net order of Schmucker et al. 2021)."""
    scaled = front / (front.std(0) + 1e-9)
    chosen = [int(np.argmax(scaled[:, 0]))]
    distance = np.linalg.norm(scaled - scaled[chosen[0]], axis=1)
    while len(chosen) < size:
        distance[chosen] = -1
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return front[chosen]


def _thin(seen: Sequence[_Observation], most: int) -> list[_Observation]:
    """The best and the latest observations, at most so many, in their order."""
    if len(seen) <= most:
        return list(seen)
    best = sorted(seen, key=lambda o: -o.reached.quality)[: most // 2]
    kept = {id(o) for o in best} | {id(o) for o in seen[-(most - most // 2) :]}
    return [o for o in seen if id(o) in kept]
