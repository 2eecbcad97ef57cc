"""Hosting in a task: what every figure of the task's own use is computed by, by hand."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from autoadapt.domain.scenario import Scenario
from autoadapt.domain.task import Economics, Owned, Task
from autoadapt.economics.pricer import Pricer
from autoadapt.tasks.prices import look_up, task_terms, terms

sys.path.insert(0, str(Path(__file__).parents[1] / "verdict"))
from test_scenarios import TASK, raw


def hosted(hosting: str, **economics: object) -> Task:
    changed = TASK.economics.model_copy(update={"hosting": hosting, **economics})
    return TASK.model_copy(update={"economics": changed})


def month_usd(task: Task) -> float:
    own = task_terms(task)
    return float(Pricer(raw(0, "prompt"), own).month_usd(own.cell()))


def test_always_on_costs_the_rent_of_a_month() -> None:
    assert month_usd(hosted("always_on")) == pytest.approx(730 * 3.6)


def test_per_use_is_the_default_and_costs_the_device_time_of_answers() -> None:
    assert month_usd(TASK) == pytest.approx(100_000 * 0.02 / 3600 * 3.6)


def test_a_scenario_takes_the_hosting_of_the_task_unless_it_names_one() -> None:
    task = hosted("always_on")
    assert terms("s", Scenario(), task, "the task", 0.0, None)[0].scenario.hosting == "always_on"
    named = terms("s", Scenario(hosting="per_use"), task, "the task", 0.0, None)[0]
    assert named.scenario.hosting == "per_use"


def test_an_owned_machine_that_is_always_on_costs_its_price_over_its_life() -> None:
    owned = Owned(
        capex_usd=Decimal(10_000), life_hours=8760 * 4, utilisation=0.25, kilowatts=0.0, usd_per_kwh=Decimal(0)
    )
    economics, _, _ = look_up(Economics(owned=owned, hosting="always_on"), Path())
    assert float(economics.hour_usd) == pytest.approx(4 * 10_000 / (8760 * 4)), "a busy hour of the search"
    task = TASK.model_copy(update={"economics": economics.model_copy(update={"queries_per_month": 1000})})
    own = task_terms(task)
    serving = Pricer(raw(0, "prompt"), own)._service(own.cell()).month_usd
    assert float(serving) == pytest.approx(730 * 10_000 / (8760 * 4))
    again = Task.model_validate_json(task.model_dump_json())
    assert again.economics.machine == owned, "it is read back from the lock"
