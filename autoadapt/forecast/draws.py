"""The search in virtual time on the times of a probe, several times over with other qualities.

The search is the one that will run: its sampler, rungs, slots and budget. Only what trials give is made up: times come
from the probe, scaled by the tokens each candidate reads and by its passes over the training rows; qualities are drawn
at random, and several draws give low, likely and high.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.option import Option
from autoadapt.domain.plan import Probe
from autoadapt.domain.task import Evaluation
from autoadapt.domain.usage import Usage
from autoadapt.executors.replay import Answers, Simulated
from autoadapt.forecast.simulation import SimulatedTimes, mean_score, run_simulated, simulated_answer
from autoadapt.forecast.times import Times
from autoadapt.runs.results import MethodUse
from autoadapt.shelves import METHODS
from autoadapt.study.end_costs import (
    FINAL_SHARE,
    SCORE_SHARE,
    EndCosts,
    Use,
    end_limits,
    in_turn,
    report_seconds,
    rows_to_score,
    total,
    wanted_in_turn,
    wording_kinds,
)
from autoadapt.study.search import Search
from autoadapt.study.served_trials import serving_class
from autoadapt.tasks.resolve import ResolvedTask
from autoadapt.verdict.growth import SHARES
from autoadapt.worker.hardware import device_memory_bytes

DRAWS = 5
SIMULATED_TRIALS = 120
"""Longer searches are simulated up to here and taken to go on alike."""
NOTHING_MORE = "convergence (no further job is worth its cost)"
WARM_UP_REQUESTS = 3
"""Single requests that a job sends before those that count."""


class Draws:
    """The search in virtual time, several times over with other qualities.

    Args:
        resolved: the task.
        probes: those that did not fail.
        slots: trials side by side.
        devices: of one slot.
    """

    def __init__(self, resolved: ResolvedTask, probes: Sequence[Probe], slots: int, devices: int) -> None:
        self._resolved = resolved
        self.times, self.cold = Times(resolved, probes), max(p.cold_seconds for p in probes)
        self.searches = [_simulated(resolved, self.times, slots, devices, seed) for seed in range(DRAWS)]
        self._spent = [search.status().spent for search in self.searches]
        self._scale = [_rest(resolved, search) for search in self.searches]
        self.trials = [spent.trials * k for spent, k in zip(self._spent, self._scale, strict=True)]
        self.wall_seconds, self.device_seconds, self.billed_usd = [], [], []
        self._hour = float(resolved.task.economics.hour_usd)
        # options on a CPU are measured alone, and the other slots stand idle
        alone = 1 if resolved.task.compute.on_cpu or device_memory_bytes("cuda") is None else slots
        self.ends = [_end(resolved, search, self.times, (slots, alone), devices) for search in self.searches]
        for end, spent, scale in zip(self.ends, self._spent, self._scale, strict=True):
            billed = max(0.0, spent.usd - spent.device_seconds / 3600 * self._hour) * scale
            self.billed_usd.append(billed + max(0.0, end.use.usd - end.use.device_seconds / 3600 * self._hour))
            # each slot starts a worker, side by side
            starting = self.cold * min(slots, max(1, spent.trials))
            self.wall_seconds.append(spent.wall_seconds * scale + self.cold + end.wall_seconds)
            self.device_seconds.append(spent.device_seconds * scale + starting * devices + end.use.device_seconds)

    @property
    def usd(self) -> list[float]:
        """USD of each draw: of device time, and what providers bill."""
        hours = [seconds / 3600 for seconds in self.device_seconds]
        return [h * self._hour + billed for h, billed in zip(hours, self.billed_usd, strict=True)]

    @property
    def learning_curve(self) -> bool | None:
        """Whether the end can pay for a learning curve in most of them; None: none is wanted."""
        if not self._resolved.task.evaluation.learning_curve:
            return None
        return 2 * sum(end.learning_curve for end in self.ends) > len(self.ends)

    def of(self, method: str) -> tuple[list[float], list[float]]:
        """Trials and device-seconds of a method in each draw, without the end."""
        uses = [search.results.per_method().get(method, MethodUse()) for search in self.searches]
        return (
            [use.trials * k for use, k in zip(uses, self._scale, strict=True)],
            [use.device_seconds * k for use, k in zip(uses, self._scale, strict=True)],
        )

    def limit(self) -> str:
        """What ends most of them: a limit that the task sets, or that nothing more is worth its cost."""
        ended = [
            NOTHING_MORE
            if search.exhausted and search.stopped_by is None
            else _nearest_limit(self._resolved, search)[0]
            for search in self.searches
        ]
        return max(sorted(set(ended)), key=ended.count)


def _nearest_limit(resolved: ResolvedTask, search: Search) -> tuple[str, float]:
    """The limit of the task that a simulated search comes nearest to, and how many times it could be spent within it.

    A search that was simulated in part goes on until that limit; one that its budget has ended was ended by it. The
    reason that the search states itself is not asked for, because a simulated search has a limit in trials which the
    task may not set.
    """
    budget, spent = resolved.task.budget, search.status().spent
    limits = {
        "budget.trials": (budget.trials, spent.trials),
        "budget.hours": (budget.hours, spent.wall_seconds / 3600),
        "budget.device_hours": (budget.device_hours, spent.device_seconds / 3600),
        "budget.usd": (budget.usd, spent.usd),
    }
    ratios = {
        name: float(limit) / used if used > 0 else math.inf
        for name, (limit, used) in limits.items()
        if limit is not None
    }
    nearest = min(ratios, key=lambda name: ratios[name])
    return nearest, ratios[nearest]


def _rest(resolved: ResolvedTask, search: Search) -> float:
    """How many times longer the search is than what was simulated of it."""
    spent = search.status().spent
    if spent.trials < SIMULATED_TRIALS or search.stopped_by is not None or spent.device_seconds <= 0:
        return 1.0
    return max(1.0, _nearest_limit(resolved, search)[1])


def _simulated(resolved: ResolvedTask, times: Times, slots: int, devices: int, seed: int) -> Search:
    budget, compute = resolved.task.budget, resolved.task.compute
    trials = min(budget.trials or SIMULATED_TRIALS, SIMULATED_TRIALS)
    replayed = compute.model_copy(update={"executor": PluginChoice(name="replay"), "devices_per_trial": devices})
    task = resolved.task.model_copy(
        update={
            "budget": budget.model_copy(update={"trials": trials}),
            "seed": resolved.task.seed + seed,
            "compute": replayed,
        }
    )
    # qualities are made up, one score a row: the value of a metric that needs more of a row is not computed from them
    metric = mean_score(resolved.metric.answers)
    made_up = dataclasses.replace(resolved, task=task, metric=metric, warnings=())
    return run_simulated(made_up, _answers(times, seed, devices), slots)


def _answers(times: Times, seed: int, devices: int) -> Answers:
    rng = np.random.default_rng(seed)
    levels: dict[tuple[str, str], float] = {}

    def answer(candidate: Candidate, fidelity: Fidelity, trial_seed: int) -> Simulated:
        key = (candidate.method, candidate.model)
        if not times.known(candidate):
            raise LookupError(f"{candidate.method} on {candidate.model} does not run here")
        if key not in levels:
            levels[key] = float(rng.uniform(0.4, 0.9))
        of_candidate = np.random.default_rng([seed, int(candidate.key(), 16) % 2**32])
        grown = 1.0 - 0.4 * (1.0 - fidelity.steps) if METHODS.get(candidate.method).tunes else 1.0
        quality = float(np.clip(levels[key] + of_candidate.normal(0, 0.08), 0.02, 0.98)) * grown
        train, row, latency = times.of(candidate, fidelity)
        simulated = simulated_answer(
            quality,
            fidelity.rows,
            SimulatedTimes(train, row, latency, times.load_seconds[key], devices, times.row_usd(candidate)),
            seed=trial_seed,
        )
        single = (fidelity.latency_requests + WARM_UP_REQUESTS * (fidelity.latency_requests > 0)) * latency / 1000
        timing = Usage(usd=fidelity.latency_requests * times.row_usd(candidate))
        judging = Usage(usd=fidelity.rows * times.judging_row_usd)
        measurement = simulated.measurement.model_copy(update={"timing": timing, "judging": judging})
        return dataclasses.replace(simulated, measurement=measurement, seconds=simulated.seconds + single)

    return answer


@dataclasses.dataclass(frozen=True)
class _End:
    """What the end of a search takes."""

    wall_seconds: float
    use: Use
    learning_curve: bool
    """Whether a learning curve can be paid for, or none is wanted."""


def _end(resolved: ResolvedTask, search: Search, times: Times, beside: tuple[int, int], devices: int) -> _End:
    """The end of a simulated search, as far as it may be paid for (`autoadapt.study.end_costs`).

    Args:
        resolved: the task.
        search: that was simulated.
        times: of any candidate.
        beside: jobs side by side, and options that are measured under load side by side.
        devices: of one slot.
    """
    slots, under_load = beside
    evaluation, rows = resolved.task.evaluation, min(len(resolved.splits.test), resolved.task.evaluation.test_rows)
    options = {option.trial: _costs(resolved, option, times, devices) for option in search.results.options()}
    if not options or not rows:
        return _End(0.0, Use(), True)
    report = report_seconds(resolved.task)
    best, floor = next(iter(options)), search.results.trials.floor()
    share_of_final = end_limits(resolved.task, slots, devices, FINAL_SHARE)
    reserved = _final_fit(resolved, options[best], rows, share_of_final)
    left = _left_for_end(resolved, search, slots, devices, reserved).minus(Use(report * slots))
    needed = {trial for trial in (best, floor) if trial is not None}
    payable = left.times(SCORE_SHARE if evaluation.load_requests else 1.0)
    answered, scored = rows_to_score(options, needed, payable, evaluation, rows, slots)
    use = total(options[trial].score(answered) for trial in scored)
    left = left.minus(use)
    perturbed = _perturbed(options, evaluation, answered, left)
    use, left = use.plus(perturbed), left.minus(perturbed)
    trained = next((costs for costs in options.values() if costs.trained), None)
    curve = trained.curve(answered) if trained is not None and evaluation.learning_curve else Use()
    longest = trained.fit_part(max(SHARES), answered).seconds if curve.seconds and trained is not None else 0.0
    paid = left.pays_for(curve.plus(options[best].load_test(evaluation))) and longest <= left.seconds / slots
    if paid:
        use, left = use.plus(curve), left.minus(curve)
    wanted = total(costs.load_test(evaluation) for costs in options.values())
    share = max(
        0.0, min(1.0, left.units(Use(), Use(wanted.seconds * slots / under_load, wanted.device_seconds, wanted.usd)))
    )
    loads, turns = wanted.times(share), _in_turn(options, evaluation, left.minus(wanted.times(share)))
    final = _final_fit(resolved, options[best], answered, share_of_final)
    wall = report + use.seconds / slots + loads.seconds / under_load + turns.seconds + final.seconds
    return _End(wall, total([use, loads, turns, final]), paid)


def _left_for_end(resolved: ResolvedTask, search: Search, slots: int, devices: int, reserved: Use) -> Use:
    """What the end may take: a tenth of each limit, or what the search has left of it beside the final fit."""
    tenth, spent = end_limits(resolved.task, slots, devices), search.status().spent
    if _rest(resolved, search) > 1:  # the search goes on until a limit
        return tenth
    used = Use(spent.wall_seconds * slots, spent.device_seconds, spent.usd)
    return tenth.at_least(end_limits(resolved.task, slots, devices, 1.0).minus(used).minus(reserved))


def _perturbed(options: Mapping[int, EndCosts], evaluation: Evaluation, rows: int, left: Use) -> Use:
    """What scoring options under perturbations takes: all of it, or half of what is left where that is less."""
    wanted = total(costs.robustness(evaluation, rows) for costs in options.values())
    return wanted.times(max(0.0, min(1.0, left.times(0.5).units(Use(), wanted))))


def _in_turn(options: Mapping[int, EndCosts], evaluation: Evaluation, left: Use) -> Use:
    """What timing options in turn takes, as far as it can be paid for."""
    wanted = wanted_in_turn(options, evaluation)
    fixed = in_turn(options, 0) if wanted.seconds else Use()
    share = max(0.0, min(1.0, left.units(fixed, wanted.minus(fixed))))
    return fixed.plus(wanted.minus(fixed).times(share)) if left.pays_for(fixed) else Use()


def _final_fit(resolved: ResolvedTask, best: EndCosts, rows: int, most: Use) -> Use:
    """What the final fit takes; nothing where there is none, or where it takes more than is kept back for it."""
    splits = resolved.splits
    if not resolved.task.evaluation.final_fit or not best.trained or not splits.train:
        return Use()
    fit = best.fit(splits.growth, rows)
    return fit if most.pays_for(fit) else Use()


def _costs(resolved: ResolvedTask, option: Option, times: Times, devices: int) -> EndCosts:
    candidate = Candidate(method=option.method, model=option.model, params=option.params)
    train, row, latency = times.of(candidate, Fidelity(rows=1, steps=1.0, latency_requests=0))
    return EndCosts(
        row_seconds=row,
        alone_seconds=latency / 1000,
        train_seconds=train,
        loading_seconds=times.load_seconds[option.method, option.model],
        devices=devices,
        hour_usd=float(resolved.task.economics.hour_usd),
        row_usd=times.row_usd(candidate) + times.judging_row_usd,
        samples=resolved.task.evaluation.latency_requests,
        trained=METHODS.get(option.method).tunes,
        part_share=1.0 if METHODS.get(option.method).tunes else None,
        remote=resolved.capabilities[option.model].remote,
        serving=serving_class(candidate),
        wordings=wording_kinds(candidate),
    )
