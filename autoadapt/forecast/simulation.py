"""A search in virtual time: a space, a function that says what candidates give, slots, a budget.

    from autoadapt.forecast.simulation import SimulatedTask, SimulatedTimes, simulate, simulated_answer

    def answers(candidate, fidelity, seed):           # what a trial would have given
        times = SimulatedTimes(train_seconds=60 * fidelity.steps, seconds_per_row=0.01, latency_ms=20.0)
        return simulated_answer(quality=0.8, rows=fidelity.rows, times=times, seed=seed)

    search = simulate(SimulatedTask("joint", Budget(trials=40)), answers, slots=4, seed=0)
    search.results.frontier(), search.folder.records

The study is the one that runs real trials; only its executor, its storage (in memory) and its rows (empty) differ.
Nothing is written to disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from optuna.storages import InMemoryStorage

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.data import Data
from autoadapt.domain.events import Event
from autoadapt.domain.metric import AnsweredRow, AnswerKind, Metric
from autoadapt.domain.model import Capabilities, ModelReference
from autoadapt.domain.objective import DEFAULT_GOALS
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.rows import Row
from autoadapt.domain.sampler import Sampler
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Budget, Constraints, Economics, Evaluation, SearchSettings, Task
from autoadapt.domain.usage import Usage
from autoadapt.executors.replay import VIRTUAL_DEVICE, Answers, Replay, Simulated
from autoadapt.shelves import METRICS, OBJECTIVES
from autoadapt.study.resources import StandIns, open_resources
from autoadapt.study.search import Search
from autoadapt.study.stop_signals import StopSignals
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.tasks.space import JointSpace, load_space
from autoadapt.tasks.splits import Splits

DEFAULT_ECONOMICS = Economics(usd_per_hour=Decimal(2))
NO_CONSTRAINTS = Constraints()
ANYTHING = Capabilities(
    generates=True,
    scores_labels=True,
    reads_prompts=True,
    embeds=True,
    contrasts=True,
    trains=True,
    adapters=True,
)


@dataclass(frozen=True)
class SimulatedTask:
    """A task without data.

    Args:
        space: a search space, or the name or path of one.
        budget: in virtual hours, in dollars of virtual time, or in trials.
        methods, models: what may be used.
        rows: validation rows there are.
        economics: prices and use.
        constraints: what an option must satisfy.
        objectives: what is optimised.
    """

    space: str | SearchSpace
    budget: Budget
    methods: Sequence[str] = ("prompt", "lora", "full")
    models: Sequence[str] = ("model",)
    rows: int = 200
    economics: Economics = DEFAULT_ECONOMICS
    constraints: Constraints = NO_CONSTRAINTS
    objectives: Sequence[str] = tuple(goal.name for goal in DEFAULT_GOALS)

    def resolved(self, search: SearchSettings, seed: int) -> ResolvedTask:
        """The task as if it had been read and resolved."""
        task = Task(
            name="simulation",
            data=Data(train="none"),
            metric=PluginChoice(name="accuracy"),
            objectives=list(self.objectives),
            models=list(self.models),
            methods=list(self.methods),
            floor=False,
            budget=self.budget,
            economics=self.economics,
            constraints=self.constraints,
            evaluation=Evaluation(rows=self.rows, load_requests=0, final_fit=False),
            search=search,
            seed=seed,
        )
        space = load_space(self.space, Path()) if isinstance(self.space, str) else self.space
        validation = [Row(id=i, input="", outputs=["a"]) for i in range(self.rows)]
        models = {name: ModelReference(name=name, family="simulated", location="") for name in self.models}
        return ResolvedTask(
            task=task,
            metric=METRICS.get("accuracy"),
            goals=tuple(OBJECTIVES.get(name).goal(name) for name in self.objectives),
            space=JointSpace(space, task, "label"),
            splits=Splits([], [], validation, [], ["a", "b"], []),
            models=models,
            capabilities=dict.fromkeys(self.models, ANYTHING),
        )


class _MeanScore(Metric):
    """The share of rows with an accepted answer."""

    answers = "label"
    interval = "wilson"

    def row(self, answered: AnsweredRow) -> list[float]:
        return [float(answered.prediction in answered.references)]


def mean_score(answers: AnswerKind) -> Metric:
    """A metric that is the mean of one score per row, which is all that a made-up answer has.

    It stands in for any metric of the shelf: others compute their value from several statistics of a row, or ask a
    server.

    Args:
        answers: what the task's own metric asks for.
    """
    stand_in: Metric = type("MeanScore", (_MeanScore,), {"answers": answers})()
    return stand_in


def simulate(
    task: SimulatedTask,
    answers: Answers,
    search: SearchSettings | None = None,
    sampler: Sampler | None = None,
    slots: int = 4,
    seed: int = 0,
) -> Search:
    """Searches in virtual time until the budget ends.

    Args:
        task: what is searched.
        answers: (candidate, fidelity, seed) -> raw numbers and seconds (`simulated_answer` makes them).
        search: sampler, rungs and `least_gain`; by default those of a task, but the whole budget is spent.
        sampler: an object in place of the sampler that `search` names.
        slots: trials side by side.
        seed: of the study.

    Raises:
        UserError: the space, sampler or a method is unknown.
    """
    settings = search or SearchSettings(least_gain=0.0)
    return run_simulated(task.resolved(settings, seed), answers, slots, sampler)


def run_simulated(resolved: ResolvedTask, answers: Answers, slots: int, sampler: Sampler | None = None) -> Search:
    """Searches a resolved task in virtual time; the search can be asked for its results afterwards."""
    stand_ins = StandIns(
        executor=Replay(answers=answers, slots=slots), storage=InMemoryStorage(), sampler=sampler, lasting=False
    )
    with open_resources(resolved, Path(resolved.task.name), _ignore, stand_ins=stand_ins) as resources:
        search = Search(resources)
        search.run(StopSignals())
        return search


def _ignore(event: Event) -> None:
    pass


@dataclass(frozen=True)
class SimulatedTimes:
    """How long a simulated job takes.

    Args:
        train_seconds: of training up to the fidelity asked for.
        seconds_per_row: to answer one row in a batch.
        latency_ms: of a single request.
        loading_seconds: further seconds that every job takes.
        devices: held while training.
        usd_per_row: that a provider bills.
    """

    train_seconds: float
    seconds_per_row: float
    latency_ms: float
    loading_seconds: float = 0.0
    devices: int = 1
    usd_per_row: float = 0.0


def simulated_answer(quality: float, rows: int, times: SimulatedTimes, seed: int = 0) -> Simulated:
    """Raw numbers of a job as they would be measured: each row is right with probability `quality`.

    Args:
        quality: true accuracy, from 0 to 1.
        rows: rows answered. The same seed gives the same rows right at every fidelity: more rows extend fewer.
        times: how long it takes.
        seed: of the draw.
    """
    right = np.random.default_rng(seed).random(rows) < quality
    results = [
        RowResult.model_construct(id=i, stats=[float(r)], tokens_in=0, tokens_out=0) for i, r in enumerate(right)
    ]
    inference = rows * times.seconds_per_row
    measurement = Measurement.model_construct(
        rows=results,
        training=Usage(device_seconds={VIRTUAL_DEVICE: times.train_seconds * times.devices}),
        answering=Usage(device_seconds={VIRTUAL_DEVICE: inference}, usd=rows * times.usd_per_row),
        train_seconds=times.train_seconds,
        inference_seconds=inference,
        latency_ms=[times.latency_ms],
        peak_memory_bytes=0,
        parameters_total=0,
    )
    return Simulated(measurement, times.train_seconds + inference, times.loading_seconds)
