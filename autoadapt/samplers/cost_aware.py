"""The next step by expected gain in hypervolume per dollar, over new candidates and paused trials alike.

Trials of the joint space cost from cents to hundreds of dollars, so what counts is not the best next trial but the best
next dollar. First come those of the portfolio of defaults (the space's `first`, then what was good in earlier runs)
that are cheap relative to the budget, cheapest first, each with all of the work (a prompt whose price is not known yet
with a part of the rows first); the expensive rest has to compete.
Then each decision compares

- new candidates of every arm, to be started at their lowest rung, and
- paused trials, to be taken up to the next rung (no more of them than a share of those that reached it: ASHA's quota,
  Li et al. 2020),

by E[gain in hypervolume at full fidelity] / (cost of the whole job)^ALPHA, the cost-cooled acquisition of Lee et al.
2020 ("Cost-aware Bayesian Optimization"). What is believed of each is `autoadapt.surrogates.belief`'s; with one
objective uncertain and one to four others known, the expected gain has a closed form
(`autoadapt.surrogates.improvement`). Constraints cut the reference box: a gain where they are not satisfied counts for
nothing. A share of the decisions looks at the uncertain objective alone.

Nothing is kept between calls that could not be computed again from the history, so a resumed study goes on as it would
have, on one slot exactly.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler
from pydantic import Field
from threadpoolctl import ThreadpoolController

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History, TrialHistory
from autoadapt.domain.objective import split_goals
from autoadapt.domain.sampler import Decision, Sampler
from autoadapt.domain.strict import StrictModel
from autoadapt.pareto.dominance import non_dominated
from autoadapt.pareto.hypervolume import hypervolume
from autoadapt.surrogates.belief import Belief
from autoadapt.surrogates.features import Features
from autoadapt.surrogates.improvement import expected_hypervolume_improvement, expected_improvement
from autoadapt.surrogates.initial_design import cheap_to_finish, cheapest_of_portfolio, draw_least_seen, spread_out
from autoadapt.surrogates.memory import Memory
from autoadapt.surrogates.observations import exponent
from autoadapt.surrogates.places import Places
from autoadapt.surrogates.pool import Pool
from autoadapt.surrogates.prices import Prices

ALPHA = 0.75
"""Exponent of cost; below 1, for predicted costs are not quite trusted."""
UNCERTAIN_ALPHA, UNCERTAIN_SHARE = 0.3, 0.15
"""Share of decisions taken for the uncertain objective (quality) alone, and their exponent of cost."""
DRAWN = 96
"""Random candidates per arm and decision; as many again are moved from good ones."""
CHEAP = 0.08
"""Share of what is left of the budget below which a candidate gets all of the work at once."""
LEAST_FOR_BELIEF = 8
"""Measured candidates before the models may correct what was measured."""
LEAST_FOR_MODELS = 4
"""Measured candidates before anything is modelled."""
LEAST_FOR_END = 12
"""Measured candidates before the search may be said to have converged."""
QUOTA = 2.0
"""One in so many of those that reached a rung goes on."""
FRONT_SIZE = 20
BEYOND = 0.05
"""Encoded units (powers of ten of costs and latencies) by which the reference is worse than the worst known value seen.
Half of it is the margin below the worst uncertain value of the frontier."""


class CostAware(Sampler):
    """Chooses what is run next, promotions included."""

    class Settings(StrictModel):
        """How decisions weigh cost."""

        alpha: float = Field(default=ALPHA, ge=0)
        """Exponent of cost; 0 is blind to it."""
        uncertain_share: float = Field(default=UNCERTAIN_SHARE, ge=0, le=1)
        """Share of the decisions taken for the uncertain objective alone."""

    pauses = True

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.alpha: float = self.settings.alpha
        self.uncertain_share: float = self.settings.uncertain_share
        self._memory = Memory()
        self._last: tuple[int, History, Decision] | None = None
        # the matrices are small and the cores are busy with trials: further threads would wait for them
        self._threads = ThreadpoolController()

    def build(self, seed: int, history: History) -> Any:
        decision = self.decide(seed, history)
        candidate = decision.candidate
        if candidate is None:  # asked for a candidate although a paused trial would be worth more
            features = Features(history.branches, history.models, history.rows)
            candidate = draw_least_seen(history, features, np.random.default_rng(seed))
        return Planned(candidate)

    def decide(self, seed: int, history: History) -> Decision:
        if self._last is None or self._last[0] != seed or self._last[1] is not history:
            with self._threads.limit(limits=1, user_api="blas"):
                self._last = (seed, history, self._decide(seed, history))
        return self._last[2]

    def _decide(self, seed: int, history: History) -> Decision:
        split_goals(history.goals)  # goals that do not fit together are refused before anything is spent
        random = np.random.default_rng(seed)
        seen = [t for t in history.trials if t.reached]
        prices = Prices(history, self._memory)
        cheap = cheap_to_finish(history, prices, CHEAP)
        if cheap is not None:
            return Decision(promote=cheap, straight=True)
        if history.may_try:
            planned = cheapest_of_portfolio(history, prices) or spread_out(history, prices, random)
            if planned is not None:
                # answering is not cut short as a training is: a prompt of unknown price begins with a part of the rows
                known = history.arm(planned) in prices.arms and not _is_long(history, planned)
                return Decision(planned, straight=known or planned.method in history.tunes)
            if len(seen) < LEAST_FOR_MODELS:
                candidate = draw_least_seen(history, prices.features, random)
                return Decision(waits=True) if history.unpaid(candidate) else Decision(candidate)
        if len(seen) < LEAST_FOR_MODELS:
            return Decision()
        return _Choice(self, Belief(prices), random).best()

    def believed(self, history: History) -> Mapping[int, float]:
        seen = [t for t in history.trials if t.reached]
        full = [t for t in seen if t.reached[-1].share >= 1]
        if len(seen) < LEAST_FOR_BELIEF or not full:
            return {}
        with self._threads.limit(limits=1, user_api="blas"):
            belief = Belief(Prices(history, self._memory))
            values = belief.smoothed(full)
        axis = belief.axes.uncertain
        return {t.number: axis.decode(float(value)) for t, value in zip(full, values, strict=True)}


def _is_long(history: History, candidate: Candidate) -> bool:
    """Whether a prompt reads so much text that it begins with a part of the rows.

    What models expect of a prompt with examples, while only prompts without any were measured, is no such estimate.
    """
    if candidate.method in history.tunes or history.left_seconds is None:
        return False
    expected = history.expected_seconds(candidate)
    return expected is not None and expected > CHEAP * history.left_seconds


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


class _Choice:
    """One decision: every step that could be taken, and what each is worth.

    Args:
        sampler: its settings.
        belief: what is believed of candidates.
        random: for candidates.
    """

    def __init__(self, sampler: CostAware, belief: Belief, random: np.random.Generator) -> None:
        self.sampler, self.belief, self.random, self.history = sampler, belief, random, belief.history
        self.tried = belief.tried()
        self.front = self._front()
        self.reference = self._reference()
        self.unpaid = False
        """Whether there are new candidates, and what is left of the budget pays for none of an arm's."""

    def best(self) -> Decision:
        uncertain_alone = self.random.random() < self.sampler.uncertain_share
        options: list[tuple[float, float, Decision]] = []
        if self.history.may_try:
            options += self._new(uncertain_alone)
        options += self._promotions(uncertain_alone)
        if not options:
            return Decision(waits=self.unpaid)
        enough = sum(bool(t.reached) for t in self.history.trials) >= LEAST_FOR_END
        reached = hypervolume(self.front, self.reference, self.belief.axes.maximize)
        most = max(gain for _, gain, _ in options)
        if enough and not uncertain_alone and reached > 0 and most <= self.history.least_gain * reached:
            return self._end()
        return max(options, key=lambda o: o[0])[2]

    def _end(self) -> Decision:
        """No job is worth its cost: the rest of the portfolio is tried first, as far as the budget pays for it."""
        left = self.history.left_seconds
        prices = [(self.belief.prices.of(c), i) for i, c in enumerate(self.history.first)]
        payable = [(price, i) for price, i in prices if left is None or price < left]
        if not self.history.may_try or not payable:
            return Decision(converged=True)
        return Decision(self.history.first[min(payable)[1]])

    # -- what has been reached

    def _front(self) -> Any:
        """Encoded objectives, shape (n, 1 + k), of trials that are or will be measured in full, as believed.

        Known objectives are predicted, like those of candidates: or a copy of an unluckily timed trial would be a gain.
        """
        full = [t for t in self.history.trials if t.reached and t.reached[-1].share >= 1]
        running = [t for t in self.history.trials if t.state == "running"]
        maximize = self.belief.axes.maximize
        if not full and not running:
            return np.empty((0, len(maximize)))
        uncertain = self.belief.smoothed(full)
        if running:
            uncertain = np.append(uncertain, self.belief.expected(self.belief.places_of(running)))
        front = np.column_stack([uncertain, self.belief.known(self.belief.places_of([*full, *running]))])
        front = front[non_dominated(front, maximize)]
        return front if len(front) <= FRONT_SIZE else _spread(front, FRONT_SIZE)

    def _reference(self) -> Any:
        """The worst that counts, shape (1 + k,): known values seen, the frontier's uncertain ones, the constraints."""
        axes, seen = self.belief.axes, self.belief.reached
        worst = self.front[:, 0] if len(self.front) else axes.uncertain.of_all(seen)
        uncertain = float(min(worst)) - BEYOND / 2
        reference = np.array([uncertain, *(axes.known_of(seen).max(axis=0) + BEYOND)])
        for i, limit in enumerate(axes.limits):
            if limit is not None:
                reference[i] = max(reference[i], limit) if axes.maximize[i] else min(reference[i], limit)
        return reference

    # -- what could be done

    def _gain(self, uncertain_alone: bool, places: Places, known: Any) -> Any:
        """Expected gain of each candidate, shape (m,), given its known objectives, shape (m, k)."""
        mean, deviation = self.belief.uncertain(places)
        # where the model is surer than one measurement would be, a measurement teaches little (augmented expected
        # improvement, Huang et al. 2006): or cheap options would be tried again and again for luck
        error = self.belief.error
        taught = 1 - error / np.sqrt(deviation**2 + error**2)
        return taught * self._improvement(uncertain_alone, mean, deviation, known)

    def _improvement(self, uncertain_alone: bool, mean: Any, deviation: Any, known: Any) -> Any:
        if not uncertain_alone:
            return expected_hypervolume_improvement(mean, deviation, known, self.front, self.reference)
        worst = float(self.reference[0])
        within = (known <= self.reference[1:]).all(axis=1)
        level = max(float(self.front[:, 0].max()), worst) if len(self.front) else worst
        return expected_improvement(mean, deviation, level) * within

    def _worth(self, gain: Any, seconds: Any, uncertain_alone: bool, drawn: Any = 0.0) -> Any:
        """Gain per cooled cost, shape (m,); -1 for what the budget cannot pay.

        Args:
            gain: expected, shape (m,).
            seconds: of each job, shape (m,).
            uncertain_alone: whether the uncertain objective alone counts.
            drawn: errors of the logarithm of the seconds, drawn where they were never seen.
        """
        drawn_seconds = seconds * 10.0**drawn
        worth = gain / drawn_seconds ** (UNCERTAIN_ALPHA if uncertain_alone else self.sampler.alpha)
        left = self.history.left_seconds
        return worth if left is None else np.where(seconds > left, -1.0, worth)

    def _new(self, uncertain_alone: bool) -> list[tuple[float, float, Decision]]:
        pools, errors = self._drawn()
        if not pools:
            return []
        # all arms at once: what a model takes for one arm is mostly the same for ten
        places, drawn = Places.together([pool.places for pool in pools]), np.concatenate(errors)
        gains = self._gain(uncertain_alone, places, self.belief.known(places) + drawn[:, :-1])
        seconds = self.belief.job_seconds(np.concatenate([pool.passes for pool in pools]), places)
        worths = self._worth(gains, seconds, uncertain_alone, drawn[:, -1])
        left, steps = self.history.left_seconds, []
        ends = np.cumsum([len(pool) for pool in pools])[:-1]
        for pool, gain, worth, took in zip(
            pools, *(np.split(each, ends) for each in (gains, worths, seconds)), strict=True
        ):
            order = np.argsort(-worth).tolist()
            i = next((j for j in order if self._is_new(pool[j])), None)
            if i is None:
                self.unpaid = self.unpaid or any(self.history.unpaid(pool[j]) for j in order)
            else:
                self.unpaid = self.unpaid or bool(worth[i] < 0)
            if i is not None and worth[i] >= 0:
                straight = left is not None and bool(took[i] < CHEAP * left) and not _is_long(self.history, pool[i])
                steps.append((float(worth[i]), float(gain.max()), Decision(pool[i], straight=straight)))
        return steps

    def _drawn(self) -> tuple[list[Pool], list[Any]]:
        """New candidates of each arm that is not closed, and errors of what was never seen, shape (m, k + 1)."""
        best = [t.candidate for t in self._good()]
        features, random = self.belief.features, self.random
        pools, errors = [], []
        for arm, branch in self.history.branches.items():
            if branch.method in self.history.closed:
                continue
            near, first = ([c for c in some if features.arm_name(c) == arm] for some in (best, self.history.first))
            drawn = [features.draw_many(arm, DRAWN if near else 2 * DRAWN, random)]
            if near:
                drawn.append(features.move_many(arm, near, DRAWN, random))
            pools.append(features.pool(arm, drawn, first))
            errors.append(self.belief.unseen_errors(pools[-1].places, random))
        return pools, errors

    def _is_new(self, candidate: Candidate) -> bool:
        """Whether a candidate was not tried yet and may work."""
        return candidate.key() not in self.tried and self.history.can_work(candidate)

    def _promotions(self, uncertain_alone: bool) -> list[tuple[float, float, Decision]]:
        paused = self._within_quota([t for t in self.history.trials if t.state == "paused"])
        if not paused:
            return []
        places, last = self.belief.places_of(paused), [t.reached[-1] for t in paused]
        left = np.array([(1 - r.share) ** exponent(self.history, t) for t, r in zip(paused, last, strict=True)])
        gain = self._gain(uncertain_alone, places, self.belief.axes.known_of(last))
        seconds = self.belief.job_seconds(
            np.array([t.candidate.passes_over(self.history.rows) for t in paused]), places, left
        )
        worth = self._worth(gain, seconds, uncertain_alone)
        i = int(np.argmax(worth))
        return [(float(worth[i]), float(gain.max()), Decision(promote=paused[i].number))] if worth[i] >= 0 else []

    def _within_quota(self, paused: Sequence[TrialHistory]) -> list[TrialHistory]:
        """Those of paused trials of whose rung in their arm a further one may go on."""
        here, gone, arm_of = Counter[tuple[str, float]](), Counter[tuple[str, float]](), self.belief.features.arm_name
        for trial in self.history.trials if paused else ():
            arm = arm_of(trial.candidate)
            for share in {r.share for r in trial.reached}:
                here[arm, share] += 1
                gone[arm, share] += trial.reached[-1].share > share or trial.state == "running"
        rungs = [(arm_of(trial.candidate), trial.reached[-1].share) for trial in paused]
        return [t for t, rung in zip(paused, rungs, strict=True) if gone[rung] < math.ceil(here[rung] / QUOTA)]

    def _good(self) -> list[TrialHistory]:
        """Trials that no other dominates at whatever fidelity each has reached."""
        seen = [t for t in self.history.trials if t.reached]
        last, goals = [t.reached[-1].values for t in seen], self.history.goals
        rows = np.array([[values[goal.name] for values in last] for goal in goals]).T
        flags = non_dominated(rows, [goal.maximized for goal in goals])
        return [t for t, flag in zip(seen, flags, strict=True) if flag]


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
