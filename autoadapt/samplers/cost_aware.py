"""The next step by expected gain in hypervolume per dollar, over new candidates and paused ones alike.

Trials of the joint space cost from cents to hundreds of dollars, so what counts is not the best next trial but the best
next dollar. First come those of the portfolio of defaults (the space's `first`, then what was good in earlier runs)
that are cheap beside the budget, cheapest first, each with all of the work; the dear rest has to compete. Then each
decision compares

- new candidates of every method, to be started at their lowest rung, and
- paused trials, to be taken up to the next rung (no more of them than a share of those that reached it: ASHA's quota,
  Li et al. 2020),

by E[gain in hypervolume at full fidelity] / (cost of the whole job)^ALPHA, the cost-cooled acquisition of Lee et al.
2020 ("Cost-aware Bayesian Optimization"). What is believed of each is `autoadapt.surrogates.belief`'s; with cost and
latency known, the expected gain has a closed form (`autoadapt.surrogates.improvement`). Constraints cut the reference
box: a gain where they do not hold counts for nothing. A share of the decisions looks at quality alone.

Nothing is kept between calls that could not be computed again from the history, so a resumed study goes on as it would
have, on one slot exactly.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler

from autoadapt.domain.history import Attempt, History
from autoadapt.domain.plugins import Decision, Sampler
from autoadapt.domain.trial import Candidate
from autoadapt.surrogates.belief import Belief, Memory, Places
from autoadapt.surrogates.dominance import non_dominated
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.improvement import (
    expected_hypervolume_improvement,
    expected_improvement,
    hypervolume,
)
from autoadapt.surrogates.observations import Known, exponent, log
from autoadapt.surrogates.prices import Prices

ALPHA = 0.75
"""Exponent of cost; below 1, for predicted costs are not quite trusted."""
QUALITY_ALPHA = 0.3
QUALITY_SHARE = 0.15
"""Share of decisions taken for quality alone."""
DRAWN = 96
"""Random candidates per method and decision; as many again are moved from good ones."""
CHEAP = 0.08
"""Share of what is left of the budget below which a candidate gets all of the work at once."""
LEAST_FOR_BELIEF = 8
"""Measured candidates before the models may correct what was measured."""
LEAST_FOR_MODELS = 4
"""Measured candidates before anything is modelled."""
FIRST_SHARE = 0.008
"""Share of what is left of the budget up to which a candidate of the portfolio is tried unasked."""
LEAST_FOR_END = 12
"""Measured candidates before the search may be said to have converged."""
LEAST_SEEN = 3
"""Candidates of a trained method before it is judged by its models, where they cost little."""
STEEP_WEIGHT = 5.0
"""Of a learning rate beside other parameters, when candidates are spread out."""
QUOTA = 2.0
"""One in so many of those that reached a rung goes on."""
KNOWN: tuple[Known, ...] = ("cost", "latency")
FRONT_SIZE = 20
BEYOND = 0.05
"""Powers of ten by which the reference point lies beyond the greatest cost and latency seen."""


class CostAware(Sampler):
    """Chooses what is run next, promotions included.

    Args:
        alpha: exponent of cost; 0 is blind to it.
        quality_share: share of the decisions taken for quality alone.
    """

    pauses = True

    def __init__(self, alpha: float = ALPHA, quality_share: float = QUALITY_SHARE) -> None:
        self.alpha, self.quality_share = alpha, quality_share
        self._memory = Memory()
        self._last: tuple[int, History, Decision] | None = None

    def build(self, seed: int, history: History) -> Any:
        decision = self.decide(seed, history)
        candidate = decision.candidate
        if candidate is None:  # asked for a candidate although a paused trial would be worth more
            features = Features(history.branches, history.models)
            candidate = _draw_least_seen(history, features, np.random.default_rng(seed))
        return Planned(candidate)

    def decide(self, seed: int, history: History) -> Decision:
        if self._last is None or self._last[0] != seed or self._last[1] is not history:
            self._last = (seed, history, self._decide(seed, history))
        return self._last[2]

    def _decide(self, seed: int, history: History) -> Decision:
        random = np.random.default_rng(seed)
        seen = [a for a in history.attempts if a.reached]
        prices = Prices(history)
        if history.may_try:
            planned = _cheap_first(history, prices) or _spread_out(history, prices, random)
            if planned is not None:
                return Decision(planned, straight=True)
            if len(seen) < LEAST_FOR_MODELS:
                return Decision(_draw_least_seen(history, prices.features, random))
        if len(seen) < LEAST_FOR_MODELS:
            return Decision()
        return _Choice(self, Belief(prices, self._memory), random).best()

    def believed(self, history: History) -> Mapping[int, float]:
        seen = [a for a in history.attempts if a.reached]
        full = [a for a in seen if a.reached[-1].share >= 1]
        if len(seen) < LEAST_FOR_BELIEF or not full:
            return {}
        smoothed = Belief(Prices(history), self._memory).smoothed(full)
        return {a.number: float(quality) for a, quality in zip(full, smoothed, strict=True)}


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


def _cheap_first(history: History, prices: Prices) -> Candidate | None:
    """The cheapest of the portfolio's candidates, unless even that one is dear beside the budget.

    Prices of methods and models are learnt as trials finish. Untuned candidates need no price: they are the cheapest.
    """
    if not history.first:
        return None
    untuned = [c for c in history.first if c.method not in history.tunes]
    for candidate in untuned:
        if candidate.model not in prices.priced:
            return candidate
    best = min((c for c in history.first if c.model in prices.priced or not untuned), key=prices.of)
    methods = {a.candidate.method for a in history.attempts if a.state != "failed"}
    dear = history.left_seconds is not None and prices.of(best) > FIRST_SHARE * history.left_seconds
    return None if dear and methods >= set(history.branches) else best


def _spread_out(history: History, prices: Prices, random: np.random.Generator) -> Candidate | None:
    """A candidate of a trained method seen too rarely to judge it, far from those tried; None if it would be dear.

    A default that diverges says little about a method: learning rates span orders of magnitude.
    """
    features = prices.features
    for method in history.branches:
        tried = [a.candidate for a in history.attempts if a.candidate.method == method and a.state != "failed"]
        if method not in history.tunes or len(tried) >= LEAST_SEEN or history.left_seconds is None:
            continue
        drawn = [features.draw(method, random) for _ in range(DRAWN)]
        drawn = [c for c in drawn if prices.of(c) <= FIRST_SHARE * history.left_seconds]
        if not drawn:
            continue
        cheapest = min(drawn, key=lambda c: prices.of(c) / c.passes).model
        drawn = [c for c in drawn if c.model == cheapest]
        columns = features.columns.of_arm[features.methods.index(method)]
        weights = np.where(features.columns.steep[columns], STEEP_WEIGHT, 1.0)
        known = np.array([features.point(c)[columns] for c in tried] or [np.full(len(columns), 0.5)]) * weights
        points = np.array([features.point(c)[columns] for c in drawn]) * weights
        return drawn[int(np.argmax(np.abs(points[:, None] - known[None]).sum(2).min(1)))]
    return None


def _draw_least_seen(history: History, features: Features, random: np.random.Generator) -> Candidate:
    """A random candidate of the method with the fewest trials; of equals, the first (cheapest) one."""
    tried = [a.candidate.method for a in history.attempts if a.state != "failed"]
    return features.draw(min(history.branches, key=tried.count), random)


class _Choice:
    """One decision: every step that could be taken, and what each is worth.

    Args:
        sampler: its settings.
        belief: what is believed of candidates.
        random: for candidates.
    """

    def __init__(self, sampler: CostAware, belief: Belief, random: np.random.Generator) -> None:
        self.sampler, self.belief, self.random, self.history = sampler, belief, random, belief.history
        self.tried = {a.candidate.key() for a in self.history.attempts}
        self.front = self._front()
        self.reference = self._reference()

    def best(self) -> Decision:
        for_quality = self.random.random() < self.sampler.quality_share
        options: list[tuple[float, float, Decision]] = []
        if self.history.may_try:
            options += self._new(for_quality)
        options += self._promotions(for_quality)
        if not options:
            return Decision()
        enough = sum(bool(a.reached) for a in self.history.attempts) >= LEAST_FOR_END
        reached = hypervolume(self.front, self.reference)
        most = max(gain for _, gain, _ in options)
        if enough and not for_quality and reached > 0 and most <= self.history.least_gain * reached:
            return self._end()
        return max(options, key=lambda o: o[0])[2]

    def _end(self) -> Decision:
        """Nothing promises a gain: what is left of the portfolio is tried, if it can be paid, before that is said."""
        left = self.history.left_seconds
        prices = [(self.belief.prices.of(c), i) for i, c in enumerate(self.history.first)]
        payable = [(price, i) for price, i in prices if left is None or price < left]
        if not self.history.may_try or not payable:
            return Decision(converged=True)
        return Decision(self.history.first[min(payable)[1]])

    # -- what has been reached

    def _front(self) -> Any:
        """Rows (quality, log cost, log latency) of trials that are or will be measured in full, as believed.

        Costs are predicted, like those of candidates: or a copy of an unluckily timed trial would be a gain.
        """
        full = [a for a in self.history.attempts if a.reached and a.reached[-1].share >= 1]
        running = [a for a in self.history.attempts if a.state == "running"]
        if not full and not running:
            return np.empty((0, 3))
        places = self.belief.places_of([*full, *running])
        quality = self.belief.quality(places)[0]
        quality[: len(full)] = self.belief.smoothed(full)
        front = np.stack([quality, self.belief.known("cost", places), self.belief.known("latency", places)], 1)
        front = front[non_dominated(front)]
        return front if len(front) <= FRONT_SIZE else _spread(front, FRONT_SIZE)

    def _reference(self) -> tuple[float, float, float]:
        """The worst that counts: what was seen of cost and latency, and the worst quality of the frontier."""
        limits = self.history.constraints
        cost, latency = (max(o.known(what) for o in self.belief.seen) + BEYOND for what in KNOWN)
        worst = self.front[:, 0] if len(self.front) else [o.reached.quality for o in self.belief.seen]
        quality = float(min(worst)) - BEYOND / 2
        if limits.quality is not None:
            quality = max(quality, limits.quality)
        if limits.cost_usd_per_1k is not None:
            cost = min(cost, math.log10(limits.cost_usd_per_1k))
        if limits.latency_p95_ms is not None:
            latency = min(latency, math.log10(limits.latency_p95_ms))
        return quality, cost, latency

    # -- what could be done

    def _gain(self, for_quality: bool, places: Places, cost: Any, latency: Any) -> Any:
        """Expected gain of each candidate, shape (m,)."""
        mean, deviation = self.belief.quality(places)
        # where the model is surer than one measurement would be, a measurement teaches little (augmented expected
        # improvement, Huang et al. 2006): or cheap options would be tried again and again for luck
        error = self.belief.error
        taught = 1 - error / np.sqrt(deviation**2 + error**2)
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
        worth = gain / seconds ** (QUALITY_ALPHA if for_quality else self.sampler.alpha)
        left = self.history.left_seconds
        return worth if left is None else np.where(seconds > left, -1.0, worth)

    def _new(self, for_quality: bool) -> list[tuple[float, float, Decision]]:
        best = [a.candidate for a in self._good()]
        features, random, found = self.belief.features, self.random, []
        for method in self.history.branches:
            near = [c for c in best if c.method == method]
            candidates = [features.draw(method, random) for _ in range(DRAWN if near else 2 * DRAWN)]
            candidates += [
                features.move(near[int(random.integers(len(near)))], random) for _ in range(DRAWN if near else 0)
            ]
            candidates += [c for c in self.history.first if c.method == method]
            places = self.belief.places(candidates)
            cost, latency = (self.belief.known(what, places) for what in KNOWN)
            gain = self._gain(for_quality, places, cost, latency)
            seconds = self.belief.job_seconds(candidates, places)
            worth = self._worth(gain, seconds, for_quality)
            i = next((int(j) for j in np.argsort(-worth) if candidates[j].key() not in self.tried), None)
            if i is not None and worth[i] >= 0:
                left = self.history.left_seconds
                straight = left is not None and bool(seconds[i] < CHEAP * left)
                found.append((float(worth[i]), float(gain.max()), Decision(candidates[i], straight=straight)))
        return found

    def _promotions(self, for_quality: bool) -> list[tuple[float, float, Decision]]:
        paused = [a for a in self.history.attempts if a.state == "paused" and self._within_quota(a)]
        if not paused:
            return []
        places, last = self.belief.places_of(paused), [a.reached[-1] for a in paused]
        cost, latency = np.array([[log(r.cost_usd_per_1k), log(r.latency_ms)] for r in last]).T
        left = np.array([(1 - r.share) ** exponent(self.history, a) for a, r in zip(paused, last, strict=True)])
        gain = self._gain(for_quality, places, cost, latency)
        seconds = self.belief.job_seconds([a.candidate for a in paused], places, left)
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
