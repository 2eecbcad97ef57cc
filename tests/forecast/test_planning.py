"""The plan of a search: probed on scripted models, simulated in virtual time, kept in the run folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import EVALUATION, slow_after
from label_set_rows import set_rows
from scripted_task import write_scripted_task

from autoadapt.domain.plan import Plan
from autoadapt.errors import Exit, UserError
from autoadapt.forecast.draws import SIMULATED_TRIALS
from autoadapt.forecast.memory import check_memory
from autoadapt.forecast.planning import check_budget, make_plan
from autoadapt.forecast.probing import first_candidates, kept_plan
from autoadapt.runs.run_folder import RunFolder
from autoadapt.shelves import METRICS
from autoadapt.tasks.resolve import ResolvedTask, resolve

INLINE = {"on_cpu": True, "executor": "inline"}
SLOW = "scripted:row_seconds=0.002,step_seconds=0.002"


def resolved(folder: Path, **changes: Any) -> ResolvedTask:
    fields = {"compute": INLINE, "models": [SLOW], "search": {"sampler": "random"}, **changes}
    return resolve(write_scripted_task(folder, **fields))


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """Folder of a task, and the plan that was made for it under ``run``."""
    folder = tmp_path_factory.mktemp("plan")
    return folder, make_plan(resolved(folder), folder / "run")


def test_plan_estimates_every_method(planned: tuple[Path, Plan]) -> None:
    _, plan = planned
    assert plan.trials.likely == 6
    assert set(plan.methods) == {"prompt", "lora", "full"}
    assert all(method.fits and method.failure is None for method in plan.methods.values())
    assert 0 < plan.usd.low <= plan.usd.likely <= plan.usd.high
    assert plan.limit == "budget.trials"


def test_plan_is_kept_for_the_same_task_alone(planned: tuple[Path, Plan]) -> None:
    folder, plan = planned
    assert kept_plan(resolved(folder), folder / "run") == plan
    assert kept_plan(resolved(folder, budget={"trials": 7}), folder / "run") is None


def test_plan_leaves_no_probe_folder(planned: tuple[Path, Plan]) -> None:
    folder, _ = planned
    assert not (folder / "run" / "probe").exists()


def test_second_plan_at_the_same_time_leaves_the_probe_of_the_first_alone(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run" / "probe")
    first.open()
    with pytest.raises(UserError, match="another `autoadapt") as caught:
        make_plan(resolved(tmp_path), tmp_path / "run")
    assert caught.value.code == Exit.STORAGE
    assert (first.root / "trials").is_dir()
    first.close()


def test_probe_of_a_killed_plan_is_made_anew(tmp_path: Path) -> None:
    left = tmp_path / "run" / "probe" / "trials" / "0000" / "rung0"
    left.mkdir(parents=True)
    (left / "outcome.json").write_text("{}")
    assert make_plan(resolved(tmp_path, budget={"trials": 2}), tmp_path / "run").trials.likely == 2
    assert not (tmp_path / "run" / "probe").exists()


def test_probe_is_not_repeated_for_another_budget(planned: tuple[Path, Plan]) -> None:
    folder, plan = planned
    other = make_plan(resolved(folder, budget={"trials": 4}), folder / "run")
    assert other.probe_seconds == plan.probe_seconds
    assert other.trials.likely == 4
    make_plan(resolved(folder), folder / "run")


@pytest.mark.parametrize("budget", [{"usd": 1e-6}, {"hours": 1e-9}, {"device_hours": 1e-9}])
def test_budget_below_the_cheapest_run_error(planned: tuple[Path, Plan], budget: dict[str, float]) -> None:
    folder, _ = planned
    with pytest.raises(UserError, match=f"budget.{next(iter(budget))} .* is too small for anything"):
        check_budget(resolved(folder, budget=budget), folder / "run")


def test_sufficient_budget_is_accepted(planned: tuple[Path, Plan]) -> None:
    folder, _ = planned
    check_budget(resolved(folder, budget={"usd": 5}), folder / "run")


@pytest.mark.parametrize(
    "objectives", [["quality", "latency_ms"], ["quality", "cost_usd_per_1k", "latency_ms", "memory_mb", "energy_wh"]]
)
def test_plan_of_two_and_of_five_objectives(tmp_path: Path, objectives: list[str]) -> None:
    plan = make_plan(resolved(tmp_path, objectives=objectives, budget={"trials": 3}), tmp_path / "run")
    assert plan.trials.likely == 3


def test_plan_of_compatible_pairs(tmp_path: Path) -> None:
    models = ["scripted:trains=false,adapters=false", "scripted"]
    task = resolved(tmp_path, models=models, methods=["prompt", "lora"], budget={"trials": 3})
    pairs = {(c.method, c.model) for c in first_candidates(task)}
    assert pairs == {("prompt", models[0]), ("prompt", models[1]), ("lora", models[1])}
    assert set(make_plan(task, tmp_path / "run").methods) == {"prompt", "lora"}


def test_models_too_large_for_the_device_error(tmp_path: Path) -> None:
    task = resolved(tmp_path, models=["scripted:parameters=1000000000000000"])
    with pytest.raises(UserError, match=r"no method can run here: prompt on scripted.* needs") as caught:
        check_memory(task, first_candidates(task))
    assert caught.value.code == Exit.ENVIRONMENT


def test_method_too_large_for_the_device_is_a_warning(tmp_path: Path) -> None:
    models = ["scripted", "scripted:parameters=1000000000000000"]
    task = resolved(tmp_path, models=models, methods=["prompt"])
    (warning,) = check_memory(task, first_candidates(task))
    assert warning.startswith(f"prompt on {models[1]} needs")


ELSEWHERE = {"judge", "json_fields"}
"""Metrics that need a server, or rows whose answers are JSON: searches of tests/e2e have these."""
ANSWERS = {name: METRICS.get(name).answers for name in METRICS.names() if name not in ELSEWHERE}


@pytest.mark.parametrize("metric", [name for name, answers in ANSWERS.items() if answers != "labels"])
def test_plan_for_every_metric(tmp_path: Path, metric: str) -> None:
    plan = make_plan(resolved(tmp_path, metric=metric, budget={"trials": 3}), tmp_path / "run")
    assert plan.trials.likely == 3
    assert plan.usd.likely > 0


@pytest.mark.parametrize("metric", [name for name, answers in ANSWERS.items() if answers == "labels"])
def test_plan_for_every_metric_of_sets_of_labels(tmp_path: Path, metric: str) -> None:
    data = {"path": "sets.jsonl", "columns": {"input": "text", "output": "label"}}
    (tmp_path / "sets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in set_rows(180)))
    words: dict[str, Any] = {"models": ["classical"], "methods": ["tfidf"], "budget": {"trials": 3}}
    plan = make_plan(resolved(tmp_path, metric=metric, data=data, **words), tmp_path / "run")
    assert plan.device_hours.likely > 0


SECONDS = 5 / 3600
"""Five seconds in hours; and their price, at a dollar an hour."""
ONE_SLOT = {**INLINE, "slots": 1}


@pytest.mark.parametrize("sampler", ["random", "cost_aware"])
def test_plan_promises_no_more_device_hours_than_the_slots_have(tmp_path: Path, sampler: str) -> None:
    hours = 8 * SECONDS
    task = resolved(
        tmp_path,
        models=["scripted:row_seconds=0.02,step_seconds=0.02"],
        budget={"hours": hours},
        compute=ONE_SLOT,
        search={"sampler": sampler},
    )
    plan = make_plan(task, tmp_path / "run")
    assert plan.slots == 1
    assert plan.hours.high <= hours
    for held in (plan.device_hours, *(method.device_hours for method in plan.methods.values())):
        assert held.likely <= held.high <= hours
    for spent in (plan.usd, *(method.usd for method in plan.methods.values())):
        assert spent.high <= hours * plan.hour_usd * (1 + 1e-9)


@pytest.mark.parametrize("budget", [{"hours": SECONDS}, {"device_hours": SECONDS}, {"usd": SECONDS}])
@pytest.mark.parametrize("sampler", slow_after(1, ["random", "cost_aware"]))
def test_plan_names_a_limit_that_the_task_sets(tmp_path: Path, budget: dict[str, float], sampler: str) -> None:
    plan = make_plan(resolved(tmp_path, budget=budget, search={"sampler": sampler, "least_gain": 0}), tmp_path / "run")
    assert plan.limit == f"budget.{next(iter(budget))}"


def test_plan_of_a_search_too_long_to_simulate_names_the_limit_that_will_end_it(tmp_path: Path) -> None:
    task = resolved(tmp_path, models=["scripted"], budget={"hours": 1.0, "trials": 1_000_000})
    plan = make_plan(task, tmp_path / "run")
    assert plan.trials.likely > SIMULATED_TRIALS
    assert plan.limit == "budget.hours"


CURVE = {**EVALUATION, "learning_curve": True}


def test_plan_says_whether_the_end_can_pay_for_a_learning_curve(tmp_path: Path) -> None:
    slow: dict[str, Any] = {"models": ["scripted:step_seconds=0.1"], "evaluation": CURVE, "methods": ["lora"]}
    poor = make_plan(resolved(tmp_path, budget={"hours": 8 * SECONDS}, **slow), tmp_path / "run")
    assert poor.learning_curve is False
    assert poor.end_hours is not None
    rich = make_plan(resolved(tmp_path, budget={"hours": 1.0, "trials": 4}, **slow), tmp_path / "run")
    assert rich.learning_curve is True
    assert rich.end_hours is not None
    assert rich.end_hours.likely > poor.end_hours.likely


def test_plan_contains_the_final_fit(tmp_path: Path) -> None:
    slow: dict[str, Any] = {"models": ["scripted:step_seconds=0.02"], "methods": ["lora"], "budget": {"trials": 2}}
    ends = {}
    for final in (False, True):
        task = resolved(tmp_path, evaluation={**EVALUATION, "final_fit": final}, **slow)
        plan = make_plan(task, tmp_path / f"run-{final}")
        assert plan.end_hours is not None
        ends[final] = plan.end_hours.likely
        fit_hours = plan.methods["lora"].device_hours.likely / plan.trials.likely
    assert ends[True] > ends[False] + 0.5 * fit_hours, "one more training"


def test_plan_without_a_learning_curve_says_nothing_of_it(planned: tuple[Path, Plan]) -> None:
    assert planned[1].learning_curve is None
