"""What a search is tried on, and how well what it reports would really do.

A problem has a space, what every candidate would measure at a fidelity, and the truth. Two kinds: made-up tasks
(`surrogates.py`) and recorded tables of real trials (`recorded.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.data import Data
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Budget, Economics, Evaluation
from autoadapt.domain.task import Task as TaskFile
from autoadapt.executors.replay import Simulated
from autoadapt.pareto.dominance import non_dominated
from autoadapt.pareto.hypervolume import hypervolume
from autoadapt.surrogates.features import Features
from autoadapt.tasks.space import JointSpace

METHODS = ("prompt", "lora", "full")
GOALS = DEFAULT_GOALS
"""Quality, cost and latency."""
MAXIMIZE = tuple(goal.maximized for goal in GOALS)
SHARES = tuple(float(x) for x in np.geomspace(0.03, 1.0, 13))
"""Shares of the budget at which what is reported is looked at: a curve over the logarithm of spend."""
LIMITS = (1 / 3, 2 / 3, 1.0)
"""Budget scenarios: the limit on cost stands so far between the least and the greatest log cost of the frontier."""
CLEARLY = 0.03
"""An option is attainable under a limit that it is below by so many powers of ten: measured costs are noisy."""
BEYOND, TWICE = 0.1, 0.3
"""The reference point lies beyond the frontier's worst quality by this part of its range (Ishibuchi et al. 2018), and
beyond its greatest cost and latency by a factor of two: what differs by a few percent should count for little."""


class Problem(Protocol):
    """What can be searched in virtual time."""

    name: str
    models: tuple[str, ...]
    rows: int
    economics: Economics
    space: SearchSpace

    def answers(self, candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        """What a trial would have measured."""
        ...

    def truth(self, candidate: Candidate) -> tuple[float, float, float]:
        """Quality, USD per 1,000 queries, latency in ms, of the full work and without the noise of validation."""
        ...

    def sample(self, features: Features) -> list[Candidate]:
        """Many candidates: from them follows what is attainable."""
        ...


def joint_space(problem: Problem, methods: Sequence[str] = METHODS) -> JointSpace:
    task = TaskFile(
        name="x",
        data=Data(train="none"),
        metric=PluginChoice(name="accuracy"),
        models=list(problem.models),
        methods=list(methods),
        budget=Budget(trials=1),
        economics=problem.economics,
        evaluation=Evaluation(rows=problem.rows),
    )
    return JointSpace(problem.space, task, "label")


@dataclass(frozen=True)
class Step:
    """One fit that a search paid for, in the order in which they finished."""

    trial: int
    device_seconds: float
    candidate: Candidate
    full: bool
    values: Mapping[str, float] | None
    """Objectives by name; None: it failed."""


@dataclass(frozen=True)
class Pick:
    """An option as a search reports it: `quality` is what it believes."""

    candidate: Candidate
    quality: float
    cost: float
    latency: float
    trained: float = 1.0
    """Share of its training that was done."""


class Scale:
    """What of a problem is attainable, and the measures relative to it.

    Args:
        problem: the problem.
        trials: random candidates that the budget pays for at full fidelity.
    """

    def __init__(self, problem: Problem, trials: int) -> None:
        self.problem = problem
        features = Features(joint_space(problem).arms, problem.models)
        drawn = problem.sample(features)
        rows = np.array([self._row(c) for c in drawn])
        self.front = rows[front(rows)]
        self.reference = reference_of(self.front)
        self.volume = hypervolume(thin(self.front), self.reference, MAXIMIZE)
        full = Fidelity(rows=problem.rows, steps=1.0, latency_requests=20)
        seconds = {m: [] for m in METHODS}
        for c in drawn[:: max(1, len(drawn) // 400)]:
            answer = problem.answers(c, full, 0)
            seconds[c.method].append(answer.seconds + answer.loading_seconds)
        self.budget_seconds = trials * float(np.mean([np.mean(s) for s in seconds.values()]))

    def _row(self, candidate: Candidate) -> list[float]:
        quality, cost, latency = self.problem.truth(candidate)
        return [quality, float(np.log10(cost)), float(np.log10(latency))]

    def share(self, picks: Sequence[Pick]) -> float:
        """Hypervolume of the true values of what is reported, as a share of what is attainable."""
        if not picks:
            return 0.0
        rows = np.array([self._row(p.candidate) for p in picks])
        return float(hypervolume(rows[front(rows)], self.reference, MAXIMIZE) / self.volume)

    def regrets(self, picks: Sequence[Pick]) -> list[float]:
        """Quality lost in each budget scenario: best attainable under the limit, less the true one of the best pick.

        Below zero where the tolerance of the limit lets in what is not attainable clearly under it.
        """
        regrets = []
        costs = self.front[:, 1]
        for part in LIMITS:
            limit = float(costs.min() + part * np.ptp(costs)) + CLEARLY
            best = float(self.front[costs <= limit - CLEARLY + 1e-9, 0].max())
            within = [p for p in picks if np.log10(p.cost) <= limit]
            chosen = max(within, key=lambda p: p.quality, default=None)
            regrets.append(best - (self._row(chosen.candidate)[0] if chosen else self.reference[0]))
        return regrets


def reference_of(frontier: Any) -> tuple[float, float, float]:
    """The reference point of a frontier of shape (n, 3): quality, log cost, log latency."""
    least, greatest = frontier.min(0), frontier.max(0)
    return least[0] - BEYOND * (greatest[0] - least[0]), greatest[1] + TWICE, greatest[2] + TWICE


def front(rows: Any) -> list[int]:
    return np.flatnonzero(non_dominated(rows, MAXIMIZE)).tolist()


def thin(rows: Any, cells: int = 60) -> Any:
    """Of rows in the same cell of a grid, the one of greatest quality: thousands of points make a volume slow."""
    grid = np.floor((rows - rows.min(0)) / (np.ptp(rows, 0) + 1e-9) * cells)
    order = np.argsort(-rows[:, 0])
    return rows[order[np.unique(grid[order], axis=0, return_index=True)[1]]]


def picks_of(options: Sequence[Pick]) -> list[Pick]:
    """Those that no other beats, as the search believes."""
    if not options:
        return []
    kept = non_dominated([(p.quality, p.cost, p.latency) for p in options], MAXIMIZE)
    return [p for p, keep in zip(options, kept, strict=True) if keep]


def measured_frontier(steps: Sequence[Step], device_seconds: float) -> list[Pick]:
    """The frontier of what was measured in full once so many device-seconds were spent."""
    spent, options = 0.0, []
    for step in steps:
        spent += step.device_seconds
        if spent > device_seconds:
            break
        if step.full and step.values is not None:
            options.append(Pick(step.candidate, *(step.values[goal.name] for goal in GOALS)))
    return picks_of(options)
