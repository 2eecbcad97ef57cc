"""The searches that are compared: this project's own and its peers, each as its own documentation recommends.

Every search is a function (problem, device-seconds, seed, slots) -> `Run`. Optuna's samplers run in this project's
study, without its portfolio and its rungs; MO-ASHA and SMAC3 are driven by `drive`, the same slots in virtual time.
"""

import heapq
import math
import shutil
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from problems import GOALS, METHODS, Pick, Problem, Step, joint_space, measured_frontier, picks_of

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.history import History, TrialHistory
from autoadapt.domain.jobs import Fidelity, Fit
from autoadapt.domain.sampler import Sampler
from autoadapt.domain.space import Choices, Range
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.domain.trial_state import TrialState
from autoadapt.forecast.simulation import SimulatedTask, run_simulated
from autoadapt.runs.values import Values, read_values
from autoadapt.samplers.cost_aware import CostAware
from autoadapt.shelves import METRICS
from autoadapt.study.search import Search

SHARES_OF_WORK = (1 / 9, 1 / 3, 1.0)
"""Of the work, by rung, for searches that have their own loop."""


@dataclass
class Run:
    """What a search did, and what it would report once so many device-seconds were spent."""

    steps: list[Step]
    driver_seconds: float
    report: Callable[[float], list[Pick]]


# -- this project's study


def study(
    sampler: str | Sampler | Callable[[], Sampler],
    *,
    portfolio: bool = False,
    rungs: bool = False,
    smooth: bool = False,
    methods: Sequence[str] = METHODS,
    least_gain: float = 0.0,
) -> Callable[[Problem, float, int, int], Run]:
    """A search by this project's study.

    Args:
        sampler: a name, a sampler, or what makes one.
        portfolio: whether the space's first candidates are tried first.
        rungs: whether candidates are tried on a part of the work first.
        smooth: whether the frontier is reported by the qualities that the sampler believes in, not by measured ones.
        methods: those that may be used.
        least_gain: expected gain of hypervolume below which the search ends; 0: it spends all of its budget.
    """

    def run(problem: Problem, device_seconds: float, seed: int, slots: int) -> Run:
        began = time.perf_counter()
        usd = Decimal(f"{device_seconds * float(problem.economics.hour_usd) / 3600:.9f}")
        task = SimulatedTask(
            problem.space,
            Budget(usd=usd),
            methods=methods,
            models=problem.models,
            rows=problem.rows,
            economics=problem.economics,
        )
        name = sampler if isinstance(sampler, str) else "random"
        settings = SearchSettings(sampler=PluginChoice(name=name), rungs=rungs, least_gain=least_gain)
        chooser = None if isinstance(sampler, str) else sampler if isinstance(sampler, Sampler) else sampler()
        resolved = task.resolved(settings, seed)
        if not portfolio:
            resolved.space._first = []  # nor what methods bring for spaces that name nothing
        search = run_simulated(resolved, problem.answers, slots, chooser)
        seconds = time.perf_counter() - began
        steps = _steps(search, problem)
        believing = chooser if smooth and isinstance(chooser, CostAware) else None

        def report(spent: float) -> list[Pick]:
            if believing is None:
                return measured_frontier(steps, spent)
            return _believed(search, believing, steps, spent)

        return Run(steps, seconds, report)

    return run


def _steps(search: Search, problem: Problem) -> list[Step]:
    steps = []
    for record in search.folder.records:
        job, measurement = record.job, record.measurement
        if not isinstance(job, Fit) or record.outcome is None:
            continue
        full = job.fidelity.rows >= problem.rows and job.fidelity.steps >= 1
        values = None
        if measurement is not None:
            values = read_values(GOALS, measurement, METRICS.get("accuracy"), problem.economics)
        steps.append(Step(job.trial, record.outcome.device_seconds, job.candidate, full, values))
    return steps


def _believed(search: Search, sampler: CostAware, steps: Sequence[Step], device_seconds: float) -> list[Pick]:
    """What the study would have reported when so much was spent: its history is cut off there."""
    spent, finished, measured = 0.0, 0, {}
    for step in steps:
        spent += step.device_seconds
        if spent > device_seconds:
            break
        if step.values is not None:
            finished += 1
            if step.full:
                measured[step.trial] = (step, step.values)
    if not measured:
        return []
    history = search.history()
    trials = [_cut(t, finished) for t in history.trials if t.reached and t.reached[0].order < finished]
    beliefs = sampler.believed(replace(history, trials=tuple(trials)))
    return picks_of(
        [
            Pick(step.candidate, beliefs.get(trial, values["quality"]), values["cost_usd_per_1k"], values["latency_ms"])
            for trial, (step, values) in measured.items()
        ]
    )


def _cut(trial: TrialHistory, finished: int) -> TrialHistory:
    return replace(trial, reached=tuple(r for r in trial.reached if r.order < finished), state=TrialState.COMPLETE)


class OptunaPeer(Sampler):
    """An Optuna sampler as it is; `make(seed)` builds it once a study, for some keep what they fitted."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make, self._made = make, None

    def build(self, seed: int, history: History) -> Any:
        if self._made is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._made = self.make(seed)
        return self._made


def tpe(seed: int) -> Any:
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def nsga2(seed: int) -> Any:
    import optuna

    # the default population of 50 would be random search at these budgets
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=12)


def gaussian_process(seed: int) -> Any:
    import optuna

    return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)


def separate(problem: Problem, device_seconds: float, seed: int, slots: int) -> Run:
    """A TPE study for each method with a third of the money, all begun together."""
    runs = [
        study(lambda: OptunaPeer(tpe), methods=(m,))(problem, device_seconds / len(METHODS), seed, slots)
        for m in METHODS
    ]

    def report(spent: float) -> list[Pick]:
        return picks_of([p for run in runs for p in run.report(spent / len(METHODS))])

    return Run([s for r in runs for s in r.steps], sum(r.driver_seconds for r in runs), report)


# -- peers with a loop of their own


class Peer(ABC):
    """Asked for candidates and told results."""

    whole = True
    """Whether candidates get all of the work at once."""

    @abstractmethod
    def ask(self) -> tuple[Any, Candidate]:
        """A handle and a candidate."""

    @abstractmethod
    def tell(self, handle: Any, share: float, values: Values, seconds: float) -> bool:
        """Takes what a share of the work showed; returns whether the candidate goes on."""


def drive(make: Callable[[Problem, int, int], Peer]) -> Callable[[Problem, float, int, int], Run]:
    """A search by a peer: slots side by side in virtual time until the money is spent."""

    def run(problem: Problem, device_seconds: float, seed: int, slots: int) -> Run:
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steps = _drive(make(problem, seed, slots), problem, device_seconds, seed, slots)
        return Run(steps, time.perf_counter() - began, lambda spent: measured_frontier(steps, spent))

    return run


def _drive(peer: Peer, problem: Problem, device_seconds: float, seed: int, slots: int) -> list[Step]:
    steps: list[Step] = []
    ends: list[tuple[float, int, Any, Candidate, int, float, Values]] = []
    now, spent, number = 0.0, 0.0, 0

    def begin(trial: int, handle: Any, candidate: Candidate, rung: int, before: float) -> None:
        """Puts a step on the clock; `before` are the seconds of work that its trial has done."""
        share = SHARES_OF_WORK[rung]
        tunes = candidate.method != "prompt"
        rows = problem.rows if share == 1 else max(40, round(problem.rows * (1 / 3 if tunes else share)))
        fidelity = Fidelity(rows=rows, steps=share if tunes else 1.0, latency_requests=10 if share < 1 else 20)
        answer = problem.answers(candidate, fidelity, seed * 100_003 + trial)
        seconds = max(1e-6, answer.seconds - before) + answer.loading_seconds
        values = read_values(GOALS, answer.measurement, METRICS.get("accuracy"), problem.economics)
        heapq.heappush(ends, (now + seconds, trial, handle, candidate, rung, seconds, values))

    last = len(SHARES_OF_WORK) - 1
    trained: dict[int, float] = {}
    while spent < device_seconds:
        while len(ends) < slots:
            handle, candidate = peer.ask()
            begin(number, handle, candidate, last if peer.whole else 0, 0.0)
            number += 1
        now, trial, handle, candidate, rung, seconds, values = heapq.heappop(ends)
        spent += seconds
        steps.append(Step(trial, seconds, candidate, rung == last, values))
        if peer.tell(handle, SHARES_OF_WORK[rung], values, seconds) and rung < last:
            share = SHARES_OF_WORK[rung] if candidate.method != "prompt" else 1.0
            done = problem.answers(candidate, Fidelity(rows=1, steps=share, latency_requests=1), 0)
            trained[trial] = done.measurement.train_seconds
            begin(trial, handle, candidate, rung + 1, trained[trial])
    return steps


LOSSES = ("error", "cost", "latency")


def _losses(values: Values) -> dict[str, float]:
    """Objectives to minimise; logarithms of what spans orders of magnitude."""
    losses = (1 - values["quality"], math.log10(values["cost_usd_per_1k"]), math.log10(values["latency_ms"]))
    return dict(zip(LOSSES, losses, strict=True))


class Moasha(Peer):
    """Multi-objective asynchronous successive halving of syne-tune (Schmucker et al. 2021), candidates at random."""

    whole = False

    def __init__(self, problem: Problem, seed: int, slots: int) -> None:
        import numpy as np
        from syne_tune.backend.trial_status import Trial
        from syne_tune.config_space import choice, loguniform, randint, uniform
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        np.random.seed(seed)  # the library draws from the global generator
        self.joint, self.trial_of = joint_space(problem), Trial
        space: dict[str, Any] = {}
        for name, spec in _flat(self.joint):
            if isinstance(spec, Range):
                draw = randint if isinstance(spec.low, int) else loguniform if spec.log else uniform
                space[name] = draw(spec.low, spec.high)
            else:
                space[name] = choice(list(spec.choices))
        self.scheduler = MOASHA(
            space, list(LOSSES), time_attr="share", max_t=9, grace_period=1, reduction_factor=3,
            random_seed=seed,
        )  # fmt: skip
        self.number = 0

    def ask(self) -> tuple[Any, Candidate]:
        from datetime import datetime

        config = self.scheduler.suggest().config
        trial = self.trial_of(self.number, config, datetime.now())
        self.number += 1
        self.scheduler.on_trial_add(trial)
        return trial, _candidate(self.joint, config)

    def tell(self, handle: Any, share: float, values: Values, seconds: float) -> bool:
        return self.scheduler.on_trial_result(handle, {"share": round(share * 9), **_losses(values)}) == "CONTINUE"


class Smac(Peer):
    """SMAC3's facade for hyperparameters (random forest) with ParEGO (Lindauer et al. 2022)."""

    def __init__(self, problem: Problem, seed: int, slots: int) -> None:
        from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, InCondition, Integer
        from smac import HyperparameterOptimizationFacade, Scenario
        from smac.multi_objective.parego import ParEGO

        self.joint = joint_space(problem)
        space = ConfigurationSpace(seed=seed)
        made: dict[str, Any] = {}
        for name, spec in _flat(self.joint):
            if isinstance(spec, Choices):
                made[name] = Categorical(name, [repr(c) for c in spec.choices])
            elif isinstance(spec.low, int) and isinstance(spec.high, int):
                made[name] = Integer(name, (spec.low, spec.high), log=spec.log)
            else:
                made[name] = Float(name, (spec.low, spec.high), log=spec.log)
        space.add(list(made.values()))
        for name, spec in _flat(self.joint):
            method, _, own = name.partition(".")
            if method not in METHODS or not own or (method == "prompt" and own in self.joint.space.shared):
                continue
            when = next(((k, v) for k, v in spec.when.items() if k != "answers"), None)
            if when is None:
                space.add(EqualsCondition(made[name], made["method"], repr(method)))
            else:  # its parent applies to this method only
                space.add(InCondition(made[name], made[f"{method}.{when[0]}"], [repr(v) for v in when[1]]))
        self.folder = tempfile.mkdtemp(prefix="smac-")
        scenario = Scenario(
            space, objectives=list(LOSSES), deterministic=True, n_trials=10_000, seed=seed,
            output_directory=self.folder,
        )  # fmt: skip
        self.facade = HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed=0: {},
            multi_objective_algorithm=ParEGO(scenario),
            initial_design=HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=10),
            logging_level=False,
            overwrite=True,
        )

    def __del__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self) -> tuple[Any, Candidate]:
        info = self.facade.ask()
        values = {k: (_unquoted(v) if isinstance(v, str) else v) for k, v in dict(info.config).items()}
        return info, _candidate(self.joint, values)

    def tell(self, handle: Any, share: float, values: Values, seconds: float) -> bool:
        from smac.runhistory.dataclasses import TrialValue

        self.facade.tell(handle, TrialValue(cost=list(_losses(values).values()), time=seconds), save=False)
        return False


def _unquoted(text: str) -> Any:
    import ast

    return ast.literal_eval(text)


def _flat(joint: Any) -> list[tuple[str, Any]]:
    """All parameters of the joint space under Optuna's names; those with one choice are left out."""
    specs_by_name: list[tuple[str, Any]] = [("method", Choices(choices=list(joint.methods)))]
    if len(joint.task.models) > 1:
        specs_by_name.append(("model", Choices(choices=list(joint.task.models))))
    specs_by_name += [(f"prompt.{n}", s) for n, s in joint.space.shared.items()]
    for arm, branch in joint.arms.items():
        specs_by_name += [(f"{arm}.{n}", s) for n, s in list(branch.specs.items())[branch.shared :]]
    return [
        (n, s)
        for n, s in specs_by_name
        if not (isinstance(s, Choices) and len(s.choices) == 1) and s.when.get("answers", ["label"]) == ["label"]
    ]


def _candidate(joint: Any, values: dict[str, Any]) -> Candidate:
    return joint.candidate({k: (v.item() if hasattr(v, "item") else v) for k, v in values.items()})


SEARCHES: dict[str, Callable[[Problem, float, int, int], Run]] = {
    "cost_aware": study(CostAware, portfolio=True, rungs=True, smooth=True),
    "tpe": study(lambda: OptunaPeer(tpe)),
    "random": study("random"),
    "nsga2": study(lambda: OptunaPeer(nsga2)),
    "gp": study(lambda: OptunaPeer(gaussian_process)),
    "separate": separate,
    "mo_asha": drive(Moasha),
    "smac": drive(Smac),
    # parts of this project's search given to TPE
    "tpe+portfolio": study(lambda: OptunaPeer(tpe), portfolio=True),
    "default": study("tpe", portfolio=True, rungs=True),
    # cost_aware as it ships: it ends by itself
    "ends": study(CostAware, portfolio=True, rungs=True, smooth=True, least_gain=SearchSettings().least_gain),
    # cost_aware with a part switched off
    "no_portfolio": study(CostAware, rungs=True, smooth=True),
    "no_rungs": study(CostAware, portfolio=True, smooth=True),
    "no_smoothing": study(CostAware, portfolio=True, rungs=True),
    "no_cost": study(lambda: CostAware(CostAware.Settings(alpha=0.0)), portfolio=True, rungs=True, smooth=True),
    "no_quality_share": study(
        lambda: CostAware(CostAware.Settings(uncertain_share=0.0)), portfolio=True, rungs=True, smooth=True
    ),
}
