"""What a search will probably take, computed before anything is spent but a short probe."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.plan import MethodPlan, Plan, Probe, Range
from autoadapt.domain.task import Evaluation
from autoadapt.errors import Exit, UserError
from autoadapt.files import write_json
from autoadapt.forecast.draws import Draws
from autoadapt.forecast.memory import MethodOnModel, memory_needs, needs_line, too_large
from autoadapt.forecast.probing import PLAN_FILE, budget_key, cached, first_candidates, probe
from autoadapt.forecast.times import Times
from autoadapt.study.end_costs import END_SHARE, FINAL_SHARE
from autoadapt.tasks.resolve import ResolvedTask

TIMES_WITHIN = 1.4
"""Times of a probe are taken to be right to within this factor: see benchmarks/plan."""


def make_plan(resolved: ResolvedTask, root: Path) -> Plan:
    """Probes, simulates and writes ``plan.json``.

    Args:
        resolved: the task.
        root: its run folder.

    Raises:
        UserError: the machine cannot do what the task asks, no method can run, or the budget is too small for anything.
    """
    needs, memory = memory_needs(resolved, first_candidates(resolved))
    large = too_large(needs, memory)
    probes, devices, slots = probe(resolved, root, large)
    good = [p for p in probes.probes if p.failure is None]
    if not good:
        failed = [f"{p.candidate.method} on {p.candidate.model}: {p.failure}" for p in probes.probes]
        raise UserError(f"no method can run here: {'; '.join(failed) or needs_line(needs, memory)}", Exit.ENVIRONMENT)
    draws = Draws(resolved, good, slots, devices.count)
    cheapest, cheapest_usd = _cheapest(resolved, draws.times, draws.cold)
    limits = _Limits.of(resolved, slots * devices.count, max(draws.billed_usd) * TIMES_WITHIN)
    fitting = {method for method, model in needs if (method, model) not in large}
    plan = Plan(
        task=resolved.task.name,
        key=probes.key,
        budget_key=budget_key(resolved),
        hardware=probes.hardware,
        slots=slots,
        memory_bytes=memory,
        **_totals(draws, limits, resolved.task.evaluation),
        methods={
            method: _method_plan(method, draws, probes.probes, limits, _needs_of(method, needs)).model_copy(
                update={"fits": method in fitting}
            )
            for method in resolved.space.methods
        },
        hour_usd=limits.hour_usd,
        price_source=resolved.price_source,
        probe_seconds=probes.device_seconds,
        cheapest_usd=cheapest_usd,
        cheapest_seconds=cheapest,
        limit=draws.limit(),
    )
    write_json(root / PLAN_FILE, plan)
    return plan


def _totals(draws: Draws, limits: "_Limits", evaluation: Evaluation) -> dict[str, Any]:
    """Fields of a plan that are computed from whole searches."""
    most = END_SHARE + (FINAL_SHARE if evaluation.final_fit else 0.0)
    return {
        "trials": _range(draws.trials),
        "hours": _range([s / 3600 for s in draws.wall_seconds], TIMES_WITHIN, limits.hours),
        "end_hours": _range([end.wall_seconds / 3600 for end in draws.ends], TIMES_WITHIN, most * limits.hours),
        "learning_curve": draws.learning_curve,
        "device_hours": _range([s / 3600 for s in draws.device_seconds], TIMES_WITHIN, limits.device_hours),
        "usd": _range(draws.usd, TIMES_WITHIN, limits.usd),
    }


@dataclass(frozen=True)
class _Limits:
    """The most that a search can take, whatever its times are."""

    hour_usd: float
    """Price of a device-hour."""
    hours: float
    """Wall-clock; infinite where nothing limits them, like the others."""
    device_hours: float
    """All devices together cannot be held for longer than there is wall time."""
    usd: float

    @classmethod
    def of(cls, resolved: ResolvedTask, devices: int, billed_usd: float) -> "_Limits":
        """Of a task.

        Args:
            resolved: the task.
            devices: of all slots together.
            billed_usd: the most that providers will probably bill.
        """
        budget, hour_usd = resolved.task.budget, float(resolved.task.economics.hour_usd)
        hours = math.inf if budget.hours is None else budget.hours
        held = [math.inf if budget.device_hours is None else budget.device_hours, hours * devices]
        # devices that cost nothing cost nothing for however long they are held
        device_usd = min(held) * hour_usd if hour_usd else 0.0
        spent = [math.inf if budget.usd is None else float(budget.usd), device_usd + billed_usd]
        return cls(hour_usd, hours, min(held), min(spent))


def _needs_of(method: str, needs: Mapping[MethodOnModel, int]) -> int:
    """Bytes that a method needs on the model on which it needs most."""
    return max(size for (name, _), size in needs.items() if name == method)


def _method_plan(method: str, draws: Draws, probes: Sequence[Probe], limits: _Limits, need_bytes: int) -> MethodPlan:
    """One method's part.

    Args:
        method: its name.
        draws: simulated searches.
        probes: of all methods.
        limits: of the whole search.
        need_bytes: of memory.
    """
    trials, seconds = draws.of(method)
    tried = [p for p in probes if p.candidate.method == method]
    return MethodPlan(
        trials=_range(trials),
        device_hours=_range([s / 3600 for s in seconds], TIMES_WITHIN, limits.device_hours),
        usd=_range([s / 3600 * limits.hour_usd for s in seconds], TIMES_WITHIN, limits.usd),
        need_bytes=need_bytes,
        peak_bytes=max((p.peak_memory_bytes for p in tried), default=0),
        fits=True,
        failure=next((p.failure for p in tried if p.failure), None),
    )


def _range(values: Sequence[float], within: float = 1.0, most: float | None = None) -> Range:
    low, likely, high = min(values) / within, statistics.median(values), max(values) * within
    limit = math.inf if most is None else most
    return Range(low=min(low, limit), likely=min(likely, limit), high=min(high, limit))


def _cheapest(resolved: ResolvedTask, times: Times, cold: float) -> tuple[float, float]:
    """Device-seconds and USD of the cheapest possible run: one of the first candidates measured in full and scored."""
    evaluation, splits = resolved.task.evaluation, resolved.splits
    devices, hour = resolved.task.compute.devices_per_trial, float(resolved.task.economics.hour_usd)
    runs = []
    for candidate in first_candidates(resolved):
        if times.known(candidate):
            rows = min(evaluation.rows, len(splits.validation))
            train, row, latency = times.of(candidate, Fidelity(rows=rows, steps=1.0, latency_requests=0))
            test = min(evaluation.test_rows, len(splits.test))
            seconds = (cold + train + row * (rows + test) + latency / 1000 * evaluation.latency_requests) * devices
            billed = times.row_usd(candidate) * (rows + test + evaluation.latency_requests)
            billed += times.judging_row_usd * (rows + test)
            runs.append((seconds, seconds / 3600 * hour + billed))
    return min(seconds for seconds, _ in runs), min(usd for _, usd in runs)


def check_budget(resolved: ResolvedTask, root: Path) -> None:
    """Refuses a budget that the cheapest possible run is known to exceed, from a probe that `plan` has kept.

    Raises:
        UserError: says what the cheapest possible run costs.
    """
    probes = cached(resolved, root)
    good = [p for p in probes.probes if p.failure is None] if probes is not None else []
    if not good:
        return
    seconds, usd = _cheapest(resolved, Times(resolved, good), max(p.cold_seconds for p in good))
    budget = resolved.task.budget
    cheapest = f"the cheapest possible run costs about ${usd:.2g} ({seconds:.0f} s of device time), as the probe says"
    if budget.usd is not None and float(budget.usd) < usd:
        raise UserError(f"budget.usd {budget.usd} is too small for anything: {cheapest}; raise it")
    if budget.device_hours is not None and budget.device_hours * 3600 < seconds:
        raise UserError(f"budget.device_hours {budget.device_hours:g} is too small for anything: {cheapest}; raise it")
    if budget.hours is not None and budget.hours * 3600 < seconds / resolved.task.compute.devices_per_trial:
        raise UserError(f"budget.hours {budget.hours:g} is too small for anything: {cheapest}; raise it")
