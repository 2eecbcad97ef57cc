"""A search in virtual time: a space, a function that says what candidates give, slots, a budget.

    from autoadapt.forecast.simulation import measured, simulate

    def answers(candidate, fidelity, seed):           # what a trial would have given
        return measured(quality=0.8, rows=fidelity.rows, train_seconds=60 * fidelity.steps, seconds_per_row=0.01,
                        latency_ms=20.0, seed=seed)

    search = simulate("joint", answers, Budget(trials=40), sampler="cost_aware", slots=4, seed=0)
    search.results.frontier(), search.folder.records

The study is the one that runs real trials; only its executor, its storage (in memory) and its rows (empty) differ.
"""

import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
from optuna.storages import InMemoryStorage

from autoadapt.domain.events import Event
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.domain.plugins import Sampler
from autoadapt.domain.rows import Row
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Budget, Constraints, Data, Economics, Evaluation, Task
from autoadapt.domain.task import Search as SearchSettings
from autoadapt.executors.replay import Answers, Replay, Simulated
from autoadapt.tasks.resolve import Resolved
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.search import Search
from autoadapt.tasks.space import JointSpace, load_space
from autoadapt.tasks.splits import Splits
from autoadapt.study.stop_signals import StopSignals
from autoadapt.worker.run import METRICS


def simulate(
    space: str | SearchSpace,
    answers: Answers,
    budget: Budget,
    *,
    methods: Sequence[str] = ("prompt", "lora", "full"),
    models: Sequence[str] = ("model",),
    sampler: str | Sampler = "cost_aware",
    rungs: bool = True,
    least_gain: float = 0.0,
    slots: int = 4,
    rows: int = 200,
    seed: int = 0,
    economics: Economics | None = None,
    constraints: Constraints | None = None,
) -> Search:
    """Searches in virtual time until the budget ends; nothing is written that outlives the call.

    Args:
        space: a search space, or the name or path of one.
        answers: (candidate, fidelity, seed) -> raw numbers and seconds (`measured` makes them).
        budget: in virtual hours, in dollars of virtual time, or in trials.
        methods, models: what may be used.
        sampler: a name in the samplers folder, or a sampler.
        rungs: whether candidates are tried on a part of the work first.
        least_gain: as in the task's `search`; 0 spends the whole budget.
        slots: trials side by side.
        rows: validation rows there are.
        seed: of the study.
        economics: prices and use; by default 2 USD an hour and 100,000 queries a month for a year.
        constraints: what an option must hold.

    Raises:
        UserError: the space, sampler or a method is unknown.
    """
    task = Task(
        name="simulation",
        data=Data(train="none"),
        metric="accuracy",
        models=list(models),
        methods=list(methods),
        budget=budget,
        economics=economics or Economics(usd_per_hour=Decimal(2)),
        constraints=constraints or Constraints(),
        evaluation=Evaluation(rows=rows, load_requests=0),
        search=SearchSettings(
            sampler=sampler if isinstance(sampler, str) else "random", rungs=rungs, least_gain=least_gain
        ),
        seed=seed,
    )
    own = sampler if isinstance(sampler, Sampler) else None
    loaded = load_space(space, Path()) if isinstance(space, str) else space
    validation = [Row(id=i, input="", outputs=["a"]) for i in range(rows)]
    splits = Splits([], [], validation, [], ["a", "b"], [])
    joint, folders = JointSpace(loaded, task, "label"), {name: Path(name) for name in models}
    resolved = Resolved(task, METRICS.get("accuracy"), joint, splits, folders)
    with tempfile.TemporaryDirectory(prefix="autoadapt-simulation-") as root:
        folder = RunFolder(Path(root), lasting=False)
        with Search(resolved, folder, _ignore, Replay(answers, slots), InMemoryStorage(), own) as search:
            search.run(StopSignals())
            return search


def _ignore(event: Event) -> None:
    pass


def measured(
    quality: float,
    rows: int,
    *,
    train_seconds: float = 0.0,
    seconds_per_row: float,
    latency_ms: float,
    seed: int = 0,
    loading_seconds: float = 0.0,
) -> Simulated:
    """Raw numbers of a step as they would be measured: each row is right with probability `quality`.

    Args:
        quality: true accuracy, from 0 to 1.
        rows: rows answered. The same seed gives the same rows right at every fidelity: more rows extend fewer.
        train_seconds: seconds of training up to this fidelity.
        seconds_per_row: seconds to answer one row in a batch.
        latency_ms: of a single request.
        seed: of the draw.
        loading_seconds: seconds that every step takes besides.
    """
    right = np.random.default_rng(seed).random(rows) < quality
    results = [
        RowResult.model_construct(id=i, stats=[float(r)], tokens_in=0, tokens_out=0) for i, r in enumerate(right)
    ]
    inference = rows * seconds_per_row
    measurement = Measurement.model_construct(
        rows=results,
        train_seconds=train_seconds,
        inference_seconds=inference,
        latency_ms=[latency_ms],
        peak_memory_bytes=0,
        parameters_total=0,
    )
    return Simulated(measurement, train_seconds + inference, loading_seconds)
