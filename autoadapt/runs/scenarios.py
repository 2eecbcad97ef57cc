"""A finished study under other scenarios and other limits: nothing is run, everything is computed from raw figures."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from autoadapt.domain.comparison import Column, Terms
from autoadapt.domain.counts import count_in
from autoadapt.domain.objective import Goal
from autoadapt.domain.option import Option, Recommendation, trial_name
from autoadapt.domain.scenario import Scenario, Scenarios
from autoadapt.domain.task import Constraints, Task
from autoadapt.domain.verdict import Paired
from autoadapt.errors import Exit, UserError
from autoadapt.runs.results import Results
from autoadapt.tasks.parsing import check, parse, parse_value
from autoadapt.tasks.prices import Prices, task_terms, terms
from autoadapt.tasks.yaml_document import Document
from autoadapt.verdict.preferences import recommend_by_weights
from autoadapt.verdict.recommendation import Trade, binding, binding_for, recommend
from autoadapt.verdict.scenarios import compare as compare_options
from autoadapt.verdict.scenarios import options_under


class FinishedStudy(Protocol):
    """A study that is priced again; see `autoadapt.runs.study.Study`."""

    root: Path
    task: Task
    goals: tuple[Goal, ...]
    price_source: str
    results: Results


AnyScenarios = Scenarios | Mapping[str, Scenario | Mapping[str, Any]] | str | Path


def compare(study: FinishedStudy, scenarios: AnyScenarios) -> list[Column]:
    """Prices every option under each scenario; see `Study.compare`."""
    _require_options(study)
    base = Path()
    if isinstance(scenarios, str | Path):
        base = Path(scenarios).resolve().parent
        parsed = parse(Document(Path(scenarios)), Scenarios)
    elif isinstance(scenarios, Scenarios):
        parsed = scenarios
    else:
        plain = {n: s.model_dump(exclude_unset=True) if isinstance(s, Scenario) else s for n, s in scenarios.items()}
        parsed = check(Scenarios, {"scenarios": plain}, "scenarios")
    prices = Prices(None if parsed.price_book is None else (base / parsed.price_book).expanduser())
    return [_column(study, name, scenario, prices) for name, scenario in parsed.scenarios.items()]


def _column(study: FinishedStudy, name: str, scenario: Scenario, prices: Prices) -> Column:
    search_usd = _search_usd(study, scenario)
    scenario_terms, warnings = terms(name, scenario, study.task, study.price_source, search_usd, prices)
    quotes = [prices.token(model) for model in scenario.api]
    warnings += [w for q in quotes if (w := q.stale_now())]
    column = compare_options(study.results.weighed, scenario_terms, quotes, _pairs(study), study.goals)
    return column.model_copy(update={"warnings": warnings + _notes(study, scenario_terms)})


def _search_usd(study: FinishedStudy, scenario: Scenario) -> float:
    """What the search cost, idle slots included; device time at the price of training, where the scenario gives one."""
    spent, economics = study.results.spent, study.task.economics
    usd = spent.usd + spent.idle_usd
    if scenario.training_price is None:
        return usd
    hours = (spent.device_seconds + spent.idle_seconds) / 3600
    training = float(scenario.training_price) * economics.overhead_factor
    return usd + hours * (training - float(economics.hour_usd))


def _notes(study: FinishedStudy, scenario_terms: Terms) -> list[str]:
    """What a reader should know of how the figures came about."""
    scenario, notes = scenario_terms.scenario, []
    damaged = [trial_name(raw.trial) for raw in study.results.measured if raw.files_damaged]
    if damaged:
        notes.append(f"left out, because the files are damaged: {', '.join(damaged)}")
    deleted = sum(not raw.weights_kept and not raw.files_damaged for raw in study.results.measured)
    if deleted:
        notes.append(
            f"{deleted} trained option{'s' if deleted > 1 else ''} that others beat in everything "
            f"{'are' if deleted > 1 else 'is'} left out: {'their' if deleted > 1 else 'its'} weights were deleted"
        )
    if scenario.hosting == "scale_to_zero" and scenario.cold_s is None:
        measured = [r.load.cold_start_s for r in study.results.measured if r.load and r.load.cold_start_s is not None]
        notes.append(
            "cold_s is not given: starting is taken to be loading the model as measured "
            f"({max(measured):.1f} s at most), without starting a machine"
            if measured
            else "cold_s is not given and was not measured: starting is taken to be free"
        )
    if scenario.hosting == "shared" and scenario.unmerged_slowdown == 1:
        notes.append(
            "adapters that share a base answer unmerged, which is slower (1.1 to 2.1 times in our own runs on a "
            "small model); options were measured merged: set unmerged_slowdown"
        )
    device = scenario.price.split("/")[1] if isinstance(scenario.price, str) else None
    measured_on = sorted({r.hardware for r in study.results.measured})
    if (
        device is not None
        and scenario.device_speed is None
        and not any(device.split("-")[0] in kind.lower() for kind in measured_on)
    ):
        notes.append(
            f"times were measured on {', '.join(measured_on)} and are priced as those of a {device}: only a run on "
            "that device gives its figures"
        )
    return notes


def recommend_again(
    study: FinishedStudy, weights: Mapping[str, float] | None, knee: bool, limits: Mapping[str, float | None]
) -> tuple[Recommendation, list[str], list[Option]]:
    """The option that fits other limits or preferences; see `Study.recommend`."""
    _require_options(study)
    given = {name: limit for name, limit in limits.items() if limit is not None}
    of_task = {name: limit for name, limit in study.task.constraints.model_dump().items() if limit is not None}
    constraints = check(type(study.task.constraints), {**of_task, **given}, "recommend")
    own_terms = task_terms(study.task.model_copy(update={"constraints": constraints}))
    options = options_under(study.results.weighed, own_terms, own_terms.cell(), study.goals)
    if knee:
        weights = {goal.name: 1.0 for goal in study.goals}
    if weights is not None:
        if not (min(weights.values(), default=0) >= 0 and 0 < sum(weights.values()) < math.inf):
            raise UserError("weights must be numbers that are not negative, and not all 0")
        chosen_by, goals = weights, study.goals

        def choose(limits: Constraints) -> int | None:
            return recommend_by_weights(options, limits, chosen_by, goals).trial

        advice = recommend_by_weights(options, constraints, weights, goals)
        return advice, binding_for(constraints, choose), options
    pairs = _pairs(study)
    trade = Trade.of(own_terms)
    advice = recommend(options, constraints, None, pairs, trade)
    return advice, binding(options, constraints, pairs, trade), options


def _pairs(study: FinishedStudy) -> list[Paired]:
    return [] if study.results.verdict is None else study.results.verdict.paired


def _require_options(study: FinishedStudy) -> None:
    if not study.results.measured:
        raise UserError(f"{study.root}: no option was measured in full, so there is nothing to weigh", Exit.PARTIAL)


def scenario_of(text: str) -> tuple[str, Scenario]:
    """A scenario written as ``volume=10k,price=2.69,latency_p95_ms=400``.

    Three numbers, ``volume=1k/5k/20k``, are low, likely and high.

    Raises:
        UserError: it cannot be read.
    """
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not key.strip() or not equals:
            raise UserError(
                f"--scenario {text}: '{part}' is no key=value; write key=value,key=value, and numbers without commas "
                "(10000 or 10k)"
            )
        if key.strip() in values:
            raise UserError(f"--scenario {text}: '{key.strip()}' is given twice; keep one")
        numbers = [count_in(number) for number in value.split("/")]
        if len(numbers) == 3 and None not in numbers:
            values[key.strip()] = numbers
        else:
            values[key.strip()] = parse_value(f"--scenario {text}", value)
    name = str(values.pop("name", text))
    if isinstance(values.get("api"), str):
        values["api"] = values["api"].split("+")
    return name, check(Scenario, values, f"--scenario {text}")
