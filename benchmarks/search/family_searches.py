"""Searches on `families.py` as a task runs them, and what each would have recommended.

A search has a wall-clock limit and money, two slots and the settings that ship (`least_gain` 0.001). The clock moves in
small steps, so that what still runs when the time is over is ended, as in a real search. Afterwards the frontier is
scored on test rows and the advice is the one that `autoadapt search` would give.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from families import FamiliesTask
from family_natures import SLOTS, TEST_ROWS
from optuna.storages import InMemoryStorage
from peers import OptunaPeer, tpe
from problems import GOALS, SHARES, Pick, front, picks_of, reference_of, thin

from autoadapt.assess.end_of_search import EndOfSearch
from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.history import History, TrialHistory
from autoadapt.domain.jobs import Fidelity, Fit, Score
from autoadapt.domain.model import ModelReference
from autoadapt.domain.outcome import Measurement, Outcome
from autoadapt.domain.rows import Row
from autoadapt.domain.sampler import Decision, Sampler
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.domain.trial_state import TrialState
from autoadapt.executors.replay import Replay, Simulated
from autoadapt.pareto.hypervolume import hypervolume
from autoadapt.runs.values import read_values
from autoadapt.samplers.cost_aware import CostAware, Planned
from autoadapt.shelves import METHODS, METRICS, OBJECTIVES
from autoadapt.study.job_times import trained_share
from autoadapt.study.resources import StandIns, open_resources
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.surrogates.features import Features
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.tasks.splits import Splits

MAXIMIZE = tuple(goal.maximized for goal in GOALS)
TICKS = 500
"""Steps of the clock in a budget, at most."""
SAME = 0.005
"""Qualities that differ by less count as equal when it is asked how soon the final one was reached."""
COUNTS = 0.15
"""Part of the quality between chance and the best, from the best downwards, in which hypervolume is looked at."""


@dataclass(frozen=True)
class Kind:
    """A search that is compared.

    Args:
        sampler: makes it.
        first: whether the portfolio is tried first; without it, the simple methods of words are.
        rungs: whether candidates start on a part of the work.
    """

    sampler: Callable[[], Sampler | str]
    first: bool = True
    rungs: bool = False


class PortfolioAlone(Sampler):
    """The candidates that every search begins with, each in full and in the order in which the space has them."""

    pauses: ClassVar[bool] = True

    def build(self, seed: int, history: History) -> Any:
        return Planned(history.first[0])

    def decide(self, seed: int, history: History) -> Decision:
        if not history.first or not history.may_try:
            return Decision(converged=True)
        return Decision(history.first[0], straight=True)


SEARCHES: dict[str, Kind] = {
    "cost_aware": Kind(CostAware, rungs=True),
    "no_rungs": Kind(CostAware),
    "portfolio": Kind(PortfolioAlone),
    "tpe+portfolio": Kind(lambda: OptunaPeer(tpe)),
    "random": Kind(lambda: "random", first=False),
}


class _Simulated(ResolvedTask):
    """A resolved task whose obstacles are the problem's."""

    def _obstacle(self, candidate: Candidate) -> str | None:
        return self.problem.obstacle(candidate)  # type: ignore[attr-defined]


def resolved_task(
    problem: FamiliesTask, settings: SearchSettings, seed: int, budget: Budget | None = None
) -> ResolvedTask:
    """The problem as if a task file had been read, with its own budget unless another one is given."""

    nature = problem.nature
    labels = [f"label {i}" for i in range(nature.labels)]

    def rows(count: int) -> list[Row]:
        frequent = round(count * nature.chance)
        others = [labels[1 + i % (len(labels) - 1)] for i in range(count - frequent)]
        return [Row(id=i, input="", outputs=[label]) for i, label in enumerate([labels[0]] * frequent + others)]

    task = problem.task(budget or problem.budget, settings, seed)
    resolved = _Simulated(
        task=task,
        metric=METRICS.get("accuracy"),
        goals=tuple(OBJECTIVES.get(name).goal(name) for name in task.objectives),
        space=problem.joint,
        splits=Splits(rows(nature.train_rows), [], rows(nature.rows), rows(TEST_ROWS), labels, []),
        models={name: ModelReference(name=name, family=problem.families[name], location="") for name in problem.models},
        capabilities=problem.capabilities,
    )
    object.__setattr__(resolved, "problem", problem)  # the class is frozen
    return resolved


class _Clock(Replay):
    """Slots in virtual time that moves in small steps: a limit is noticed when it is reached, not when a job ends.

    Args:
        problem: gives the answers.
    """

    def __init__(self, problem: FamiliesTask) -> None:
        super().__init__(answers=problem.answers, scores=problem.scores, slots=SLOTS)
        self._tick = max(0.5, float(problem.budget.hours or 0.0) * 3600 / TICKS)
        self.ends: dict[tuple[int, int], float] = {}
        """(trial, its how manieth measured job) -> when it ended."""
        self.trained: dict[int, float] = {}
        """Trial -> share of its schedule that was done, where its time was up."""
        self._jobs: dict[int, int] = {}

    def wait(self, until: float) -> None:
        end = min((group.end for group in self._groups.values()), default=math.inf)
        if end < math.inf:
            self._now = max(self._now, min(end, self._now + self._tick))

    def _simulated(self, job: Fit | Score, fidelity: Fidelity) -> Simulated:
        if isinstance(job, Score):
            fidelity = fidelity.model_copy(update={"steps": self.trained.get(job.trial, 1.0)})
        return super()._simulated(job, fidelity)

    def note_trained(self, outcome: Outcome) -> None:
        super().note_trained(outcome)
        if isinstance(outcome.result, Measurement) and (share := trained_share(outcome.result)) < 1:
            self.trained[outcome.trial] = share
        number = self._jobs[outcome.trial] = self._jobs.get(outcome.trial, -1) + 1
        self.ends[outcome.trial, number] = self._now


@dataclass(frozen=True)
class Done:
    """A trial that was measured in full."""

    trial: int
    candidate: Candidate
    end: float
    """Wall-clock seconds."""
    values: dict[str, float]
    trained: float
    """Share of its schedule that was done; below 1 where its time was up."""


@dataclass(frozen=True)
class FamilyRun:
    """What a search did.

    Args:
        done: trials measured in full, in the order in which they ended.
        recommended: the advice; None: nothing was measured.
        best: the option of the highest expected quality on the frontier.
        unmeasured: share of the device-seconds spent on trials that were never measured in full.
        trials: candidates tried.
        driver_seconds: CPU seconds of the whole search.
        believed: at a time, the options as the search would report them.
        seconds: device-seconds by arm.
    """

    done: list[Done]
    recommended: Done | None
    best: Done | None
    unmeasured: float
    trials: int
    driver_seconds: float
    believed: Callable[[float], list[Pick]]
    seconds: dict[str, float]


def run(problem: FamiliesTask, kind: Kind, seed: int) -> FamilyRun:
    """One search."""
    began = time.process_time()
    made = kind.sampler()
    name = made if isinstance(made, str) else "random"
    settings = SearchSettings(sampler=PluginChoice(name=name), rungs=kind.rungs)
    resolved = resolved_task(problem, settings, seed)
    clock = _Clock(problem)
    stand_ins = StandIns(
        executor=clock, storage=InMemoryStorage(), sampler=None if isinstance(made, str) else made, lasting=False
    )
    with open_resources(resolved, Path("simulation"), lambda event: None, stand_ins=stand_ins) as resources:
        if not kind.first:
            candidates = resources.portfolio.candidates
            resources.portfolio.candidates = {k: c for k, c in candidates.items() if METHODS.get(c.method).floor}
        search = Search(resources)
        search.run(StopSignals())
        driver = time.process_time() - began
        steps = list(search.folder.records)
        if isinstance(made, CostAware):
            search.results.trials.expect(made.believed(search.history()))
        EndOfSearch(search, SLOTS, alone=True).run(StopSignals())
        advice = search.results.recommendation()
    done, spent, by_arm = _done(problem, clock, steps)
    options = {d.trial: d for d in done}
    lost = sum(seconds for trial, seconds in spent.items() if trial not in options)
    return FamilyRun(
        done,
        None if advice.trial is None else options[advice.trial],
        None if advice.best_quality is None else options[advice.best_quality],
        lost / max(1e-9, sum(spent.values())),
        len({r.job.trial for r in steps}),
        driver,
        lambda seconds: _believed(search, made if isinstance(made, CostAware) else None, done, clock, seconds),
        by_arm,
    )


def _arm(candidate: Candidate) -> str:
    return f"{candidate.method} {candidate.model}"


def _done(
    problem: FamiliesTask, clock: _Clock, records: Sequence[Any]
) -> tuple[list[Done], dict[int, float], dict[str, float]]:
    done, spent, by_arm, measured = [], {}, {}, {}
    for record in records:
        job, outcome = record.job, record.outcome
        if not isinstance(job, Fit) or outcome is None:
            continue
        spent[job.trial] = spent.get(job.trial, 0.0) + outcome.device_seconds
        arm = _arm(job.candidate)
        by_arm[arm] = by_arm.get(arm, 0.0) + outcome.device_seconds
        if record.measurement is None:
            continue
        number = measured[job.trial] = measured.get(job.trial, -1) + 1
        if job.fidelity.rows >= problem.rows and job.fidelity.steps >= 1:
            values = read_values(GOALS, record.measurement, METRICS.get("accuracy"), problem.economics)
            share = clock.trained.get(job.trial, 1.0)
            done.append(Done(job.trial, job.candidate, clock.ends[job.trial, number], values, share))
    return done, spent, by_arm


def _believed(
    search: Search, sampler: CostAware | None, done: Sequence[Done], clock: _Clock, seconds: float
) -> list[Pick]:
    """The frontier as it would have been reported at a time."""
    measured = [d for d in done if d.end <= seconds]
    beliefs: Any = {}
    if sampler is not None and measured:
        history = search.history()
        trials = [t for t in (_cut(t, clock, seconds) for t in history.trials) if t.reached]
        beliefs = sampler.believed(replace(history, trials=tuple(trials)))
    return picks_of(
        [
            Pick(
                d.candidate,
                beliefs.get(d.trial, d.values["quality"]),
                d.values["cost_usd_per_1k"],
                d.values["latency_ms"],
                d.trained,
            )
            for d in measured
        ]
    )


def _cut(trial: TrialHistory, clock: _Clock, seconds: float) -> TrialHistory:
    reached = tuple(r for i, r in enumerate(trial.reached) if clock.ends.get((trial.number, i), math.inf) <= seconds)
    return replace(trial, reached=reached, state=TrialState.COMPLETE)


# -- measures


class FamilyScale:
    """What of a problem is attainable within its budget.

    Args:
        problem: the problem.
    """

    def __init__(self, problem: FamiliesTask) -> None:
        self.problem = problem
        drawn = problem.sample(Features(problem.joint.arms, problem.models))
        rows = np.array([self.row(c) for c in drawn])
        self.best = float(rows[:, 0].max())
        self.winner = drawn[int(rows[:, 0].argmax())]
        frontier = rows[front(rows)]
        # words cost so little that a reference beyond the frontier's worst quality may lie above most options
        quality, cost, latency = reference_of(frontier)
        self.reference = (min(quality, self.best - COUNTS * (self.best - problem.nature.chance)), cost, latency)
        self.volume = hypervolume(thin(frontier), self.reference, MAXIMIZE)
        self.defaults = [problem.joint.candidate(p) for p in problem.joint.first()]

    def row(self, candidate: Candidate, trained: float = 1.0) -> list[float]:
        quality, cost, latency = self.problem.truth(candidate, trained)
        return [quality, float(np.log10(cost)), float(np.log10(latency))]

    def share(self, picks: Sequence[Pick]) -> float:
        if not picks:
            return 0.0
        rows = np.array([self.row(p.candidate, p.trained) for p in picks])
        return float(hypervolume(rows[front(rows)], self.reference, MAXIMIZE) / self.volume)

    def best_default(self) -> float:
        """True quality of the best default that can work and that the budget could pay for."""
        return max(self.problem.quality(c) for c in self.defaults if self.problem.can_be_had(c))


@cache
def scale_of(name: str, instance: int) -> FamilyScale:
    return FamilyScale(FamiliesTask(name, instance))


def measure(search: str, name: str, instance: int) -> dict[str, Any]:
    """One search as a row of results."""
    scale = scale_of(name, instance)
    problem = scale.problem
    done = run(problem, SEARCHES[search], instance)
    seconds = float(problem.budget.hours or 0.0) * 3600

    def true(option: Done | None) -> float:
        return problem.nature.chance if option is None else problem.quality(option.candidate, option.trained)

    quality, best = true(done.recommended), true(done.best)
    reached = next((d.end for d in done.done if true(d) >= best - SAME), seconds)
    row: dict[str, Any] = {"search": search, "problem": name, "instance": instance, "slots": SLOTS}
    row |= {"winner": _arm(scale.winner), "attainable": scale.best}
    row |= {"best_default": scale.best_default(), "recommended_quality": quality, "best_quality": best}
    row |= {"recommended_regret": scale.best - quality, "best_regret": scale.best - best}
    row |= {"seconds_to_final": reached, "share_to_final": reached / seconds}
    row |= {"unmeasured": done.unmeasured, "trials": done.trials, "full": len(done.done)}
    row["recommended"] = "none" if done.recommended is None else _arm(done.recommended.candidate)
    row["driver_seconds"] = done.driver_seconds
    for share in SHARES:
        row[f"at_{share:.4f}"] = scale.share(done.believed(share * seconds))
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
