"""The plan of a search: probed on scripted models, simulated in virtual time, kept in the run folder."""

from pathlib import Path
from typing import Any

import pytest
from scripted_task import write_scripted_task

from autoadapt.domain.plan import Plan
from autoadapt.errors import Exit, UserError
from autoadapt.forecast.memory import check_memory
from autoadapt.forecast.planning import check_budget, make_plan
from autoadapt.forecast.probing import first_candidates, kept_plan
from autoadapt.runs.run_folder import RunFolder
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
