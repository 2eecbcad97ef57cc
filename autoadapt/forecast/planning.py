"""What a search will probably take: the search itself, run in virtual time on times that a short probe has measured.

The search is the one that will run: its sampler, rungs, slots and budget. Only what trials give is made up: times come
from the probe, scaled by the tokens each candidate reads and by its passes over the training rows; qualities are drawn
at random, and several draws give low, likely and high.
"""

import math
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from optuna.storages import InMemoryStorage

from autoadapt.domain.events import Event
from autoadapt.files import write_json
from autoadapt.worker.hardware import device_memory_bytes
from autoadapt.domain.plan import MethodPlan, Plan, Probe, Range
from autoadapt.domain.trial import Candidate, Fidelity
from autoadapt.errors import Exit, UserError
from autoadapt.executors.replay import Answers, Replay, Simulated
from autoadapt.study.ledger import RATES
from autoadapt.forecast.memory import need_bytes, weights
from autoadapt.forecast.probing import PLAN_FILE, budget_key, cached, first_candidates, probe
from autoadapt.tasks.resolve import Resolved
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.search import Search
from autoadapt.forecast.simulation import measured
from autoadapt.study.stop_signals import StopSignals
from autoadapt.forecast.times import Times
from autoadapt.worker.run import METHODS, WARM_UP_REQUESTS

DRAWS = 5
SIMULATED_TRIALS = 120
"""Longer searches are simulated up to here and taken to go on alike."""
TIMES_WITHIN = 1.4
"""Times of a probe are taken to be right to within this factor: see benchmarks/plan."""


def plan(resolved: Resolved, root: Path) -> Plan:
    """Probes, simulates and writes ``plan.json``.

    Args:
        resolved: the task.
        root: its run folder.

    Raises:
        UserError: the machine cannot do what the task asks, no method can run, or the budget is too small for anything.
    """
    need, memory = memory_needs(resolved)
    too_large = {key for key, size in need.items() if memory is not None and size > memory}
    probes, devices, slots = probe(resolved, root, too_large)
    good = [p for p in probes.probes if p.failure is None]
    if not good:
        raise UserError(_nothing_runs(probes.probes, need, memory), Exit.ENVIRONMENT)
    draws = _Draws(resolved, good, slots, devices.count)
    hour, budget = float(resolved.task.economics.hour_usd), resolved.task.budget
    methods = {}
    for method in resolved.task.methods:
        trials, seconds = draws.of(method)
        tried = [p for p in probes.probes if p.candidate.method == method]
        keys = [k for k in need if k[0] == method]
        methods[method] = MethodPlan(
            trials=_range(trials),
            device_hours=_range([s / 3600 for s in seconds], TIMES_WITHIN),
            usd=_range([s / 3600 * hour for s in seconds], TIMES_WITHIN),
            need_bytes=max(need[k] for k in keys),
            peak_bytes=max((p.peak_memory_bytes for p in tried), default=0),
            fits=any(k not in too_large for k in keys),
            failure=next((p.failure for p in tried if p.failure), None),
        )
    cheapest = cheapest_seconds(resolved, draws.times, draws.cold)
    held = [seconds / 3600 for seconds in draws.device_seconds]
    found = Plan(
        task=resolved.task.name,
        key=probes.key,
        budget_key=budget_key(resolved),
        hardware=probes.hardware,
        slots=slots,
        memory_bytes=memory,
        trials=_range(draws.trials),
        hours=_range([s / 3600 for s in draws.wall_seconds], TIMES_WITHIN, budget.hours),
        device_hours=_range(held, TIMES_WITHIN, budget.device_hours),
        usd=_range([h * hour for h in held], TIMES_WITHIN, None if budget.usd is None else float(budget.usd)),
        methods=methods,
        hour_usd=hour,
        price_source=resolved.price_source,
        probe_seconds=probes.device_seconds,
        cheapest_usd=cheapest / 3600 * hour,
        cheapest_seconds=cheapest,
        limit=draws.limit(),
    )
    write_json(root / PLAN_FILE, found)
    return found


class _Draws:
    """The search in virtual time, several times over with other qualities.

    Args:
        resolved: the task.
        probes: those that did not fail.
        slots: trials side by side.
        devices: of one slot.
    """

    def __init__(self, resolved: Resolved, probes: Sequence[Probe], slots: int, devices: int) -> None:
        self.times, self.cold = Times(resolved, probes), max(p.cold_seconds for p in probes)
        self.searches = [_simulated(resolved, self.times, slots, devices, seed) for seed in range(DRAWS)]
        self._scale = [_rest(resolved, search) for search in self.searches]
        self.trials = [s.tried() * k for s, k in zip(self.searches, self._scale, strict=True)]
        self.wall_seconds, self.device_seconds = [], []
        for search, scale in zip(self.searches, self._scale, strict=True):
            spent, end = search.ledger.spent(0), _end(resolved, search, self.times)
            # each slot starts a worker, side by side
            starting = self.cold * min(slots, max(1, search.tried()))
            self.wall_seconds.append(spent.wall_seconds * scale + self.cold + end)
            self.device_seconds.append(spent.device_seconds * scale + (starting + end) * devices)

    def of(self, method: str) -> tuple[list[float], list[float]]:
        """Trials and device-seconds of a method in each draw, without the end."""
        own = [s.results.per_method().get(method, {"trials": 0, "device_seconds": 0.0}) for s in self.searches]
        return (
            [o["trials"] * k for o, k in zip(own, self._scale, strict=True)],
            [o["device_seconds"] * k for o, k in zip(own, self._scale, strict=True)],
        )

    def limit(self) -> str:
        """What ends most of them."""
        through = "finding nothing more worth its cost"
        ended = [s.stopped_by or (through if s.searched_through else "budget.trials") for s in self.searches]
        return max(sorted(set(ended)), key=ended.count)


def memory_needs(resolved: Resolved) -> tuple[dict[tuple[str, str], int], int | None]:
    """Bytes that each method on each model needs on a device, by formula, and bytes that a device has."""
    gpu = None if resolved.task.compute.on_cpu else device_memory_bytes("cuda")
    sizes = {name: weights(folder) for name, folder in resolved.models.items()}
    count = resolved.task.compute.devices_per_trial
    low_precision = resolved.task.compute.precision != "fp32" and gpu is not None
    need = {
        (c.method, c.model): need_bytes(c, sizes[c.model], count, low_precision) for c in first_candidates(resolved)
    }
    return need, gpu or device_memory_bytes("cpu")


def check_memory(resolved: Resolved) -> list[str]:
    """Warnings of methods that cannot fit, before anything is launched.

    Raises:
        UserError: no method can; exit 4.
    """
    need, memory = memory_needs(resolved)
    too_large = [key for key, size in need.items() if memory is not None and size > memory]
    if len(too_large) == len(need):
        raise UserError(_nothing_runs([], need, memory) + "; take a smaller model, or more devices", Exit.ENVIRONMENT)
    have = 0 if memory is None else memory
    return [
        f"{method} on {model} needs {need[method, model] / 1e9:.1f} GB by formula, a device has {have / 1e9:.1f} GB: "
        "its trials will probably fail; leave it out of methods, or raise compute.devices_per_trial"
        for method, model in too_large
    ]


def _range(values: Sequence[float], within: float = 1.0, most: float | None = None) -> Range:
    low, likely, high = min(values) / within, statistics.median(values), max(values) * within
    limit = math.inf if most is None else most
    return Range(low=min(low, limit), likely=min(likely, limit), high=min(high, limit))


def _rest(resolved: Resolved, search: Search) -> float:
    """How many times longer the search is than what was simulated of it."""
    budget, spent = resolved.task.budget, search.ledger.spent(search.tried())
    if search.tried() < SIMULATED_TRIALS or search.stopped_by is not None or spent.device_seconds <= 0:
        return 1.0
    usd = float(budget.usd) / spent.usd if budget.usd is not None and spent.usd else math.inf
    ratios = [
        budget.trials / search.tried() if budget.trials is not None else math.inf,
        budget.hours * 3600 / spent.wall_seconds if budget.hours is not None else math.inf,
        budget.device_hours * 3600 / spent.device_seconds if budget.device_hours is not None else math.inf,
        usd,
    ]
    return max(1.0, min(ratios))


def _simulated(resolved: Resolved, times: Times, slots: int, devices: int, seed: int) -> Search:
    budget = resolved.task.budget
    trials = min(budget.trials or SIMULATED_TRIALS, SIMULATED_TRIALS)
    task = resolved.task.model_copy(
        update={
            "budget": budget.model_copy(update={"trials": trials}),
            "seed": resolved.task.seed + seed,
            "compute": resolved.task.compute.model_copy(update={"executor": "replay", "devices_per_trial": devices}),
        }
    )
    drawn = _answers(times, seed)
    with tempfile.TemporaryDirectory(prefix="autoadapt-plan-") as name:
        folder = RunFolder(Path(name), lasting=False)
        changed = Resolved(task, resolved.metric, resolved.space, resolved.splits, resolved.models)
        with Search(changed, folder, _ignore, Replay(drawn, slots), InMemoryStorage()) as search:
            search.run(StopSignals())
            return search


def _answers(times: Times, seed: int) -> Answers:
    rng = np.random.default_rng(seed)
    levels: dict[tuple[str, str], float] = {}

    def answer(candidate: Candidate, fidelity: Fidelity, trial_seed: int) -> Simulated:
        key = (candidate.method, candidate.model)
        if not times.known(candidate):
            raise LookupError(f"{candidate.method} on {candidate.model} does not run here")
        if key not in levels:
            levels[key] = float(rng.uniform(0.4, 0.9))
        own = np.random.default_rng([seed, int(candidate.key(), 16) % 2**32])
        grown = 1.0 - 0.4 * (1.0 - fidelity.steps) if METHODS.get(candidate.method).tunes else 1.0
        quality = float(np.clip(levels[key] + own.normal(0, 0.08), 0.02, 0.98)) * grown
        train, row, latency = times.of(candidate, fidelity)
        found = measured(
            quality,
            fidelity.rows,
            train_seconds=train,
            seconds_per_row=row,
            latency_ms=latency,
            seed=trial_seed,
            loading_seconds=times.load_seconds[key],
        )
        single = (fidelity.latency_requests + WARM_UP_REQUESTS * (fidelity.latency_requests > 0)) * latency / 1000
        return Simulated(found.measurement, found.seconds + single, found.loading_seconds)

    return answer


def _end(resolved: Resolved, search: Search, times: Times) -> float:
    """Seconds of re-scoring and load tests on one slot, after the search."""
    evaluation, test = resolved.task.evaluation, len(resolved.splits.test)
    seconds = 0.0
    full = Fidelity(rows=1, steps=1.0, latency_requests=0)
    for option in search.results.options():
        candidate = Candidate(method=option.method, model=option.model, params=option.params)
        _, row, latency = times.of(candidate, full)
        load = times.load_seconds[candidate.method, candidate.model]
        seconds += row * min(test, evaluation.test_rows) + load
        if evaluation.load_requests:
            seconds += min(evaluation.load_seconds, RATES * evaluation.load_requests * latency / 1000) + load
    return seconds


def cheapest_seconds(resolved: Resolved, times: Times, cold: float) -> float:
    """Device-seconds of the cheapest possible run: one of the first candidates measured in full and re-scored."""
    evaluation, splits = resolved.task.evaluation, resolved.splits
    found = []
    for candidate in first_candidates(resolved):
        if times.known(candidate):
            rows = min(evaluation.rows, len(splits.validation))
            train, row, latency = times.of(candidate, Fidelity(rows=rows, steps=1.0, latency_requests=0))
            test = min(evaluation.test_rows, len(splits.test))
            found.append(train + row * (rows + test) + latency / 1000 * evaluation.latency_requests)
    return (cold + min(found)) * resolved.task.compute.devices_per_trial


def check_budget(resolved: Resolved, root: Path) -> None:
    """Refuses a budget that the cheapest possible run is known to exceed, from a probe that `plan` has kept.

    Raises:
        UserError: says what the cheapest possible run costs.
    """
    probes = cached(resolved, root)
    good = [p for p in probes.probes if p.failure is None] if probes is not None else []
    if not good:
        return
    seconds = cheapest_seconds(resolved, Times(resolved, good), max(p.cold_seconds for p in good))
    budget, economics = resolved.task.budget, resolved.task.economics
    usd = seconds / 3600 * float(economics.hour_usd)
    cheapest = f"the cheapest possible run costs about ${usd:.2g} ({seconds:.0f} s of device time), as the probe says"
    if budget.usd is not None and float(budget.usd) < usd:
        raise UserError(f"budget.usd {budget.usd} is too small for anything: {cheapest}; raise it")
    if budget.device_hours is not None and budget.device_hours * 3600 < seconds:
        raise UserError(f"budget.device_hours {budget.device_hours:g} is too small for anything: {cheapest}; raise it")
    if budget.hours is not None and budget.hours * 3600 < seconds / resolved.task.compute.devices_per_trial:
        raise UserError(f"budget.hours {budget.hours:g} is too small for anything: {cheapest}; raise it")


def _nothing_runs(probes: Sequence[Probe], need: dict[tuple[str, str], int], memory: int | None) -> str:
    failed = [f"{p.candidate.method} on {p.candidate.model}: {p.failure}" for p in probes]
    have = "unknown" if memory is None else f"{memory / 1e9:.1f} GB"
    large = [f"{m} on {n} needs {size / 1e9:.1f} GB, the device has {have}" for (m, n), size in need.items()]
    return "no method can run here: " + "; ".join(failed or large)


def _ignore(event: Event) -> None:
    pass
