"""Finished studies of two and of five objectives: search, resume, report, comparison, export."""

from pathlib import Path

import pytest
from conftest import slow_after
from scripted_task import write_scripted_task

from autoadapt import Study
from autoadapt.api.search import run_search
from autoadapt.cli.frontier import frontier
from autoadapt.cli.report import show
from autoadapt.errors import Exit, UserError
from autoadapt.runs.frontiers import export, load_runs

OBJECTIVES = {
    "two": ["energy_wh", "latency_ms"],
    "five": ["quality", "cost_usd_per_1k", "latency_ms", "memory_mb", "energy_wh"],
}


@pytest.fixture(scope="module", params=list(OBJECTIVES))
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of four trials, resumed once."""
    folder = tmp_path_factory.mktemp("objectives")
    task = write_scripted_task(
        folder,
        objectives=OBJECTIVES[request.param],
        budget={"trials": 3},
        compute={"on_cpu": True, "executor": "inline"},
        search={"sampler": "random"},
    )
    for trials in (3, 4):
        code, root = run_search(task, runs=folder / "runs", overrides=[f"budget.trials={trials}"])
        assert code == Exit.OK
    return Study.load(root)


def test_options_have_every_objective(study: Study) -> None:
    assert study.options
    assert all(list(option.values) == study.task.objectives for option in study.options)


def test_optuna_values_of_every_objective(study: Study) -> None:
    complete = [frozen for frozen in study._frozen_trials if frozen.values]
    assert complete
    assert all(len(frozen.values) == len(study.goals) for frozen in complete)


def test_trials_have_a_column_for_every_objective(study: Study) -> None:
    assert set(study.task.objectives) <= set(study.trials().columns)


def test_hypervolume_of_every_objective(study: Study) -> None:
    assert 0 < study.hypervolume() <= 1


def test_report_of_every_objective(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    written = show(study.root)
    assert written is not None
    page = written.read_text()
    assert all(goal.title in page for goal in study.goals)
    assert "Recommended" in capsys.readouterr().out


def test_comparison_and_recommendation(study: Study) -> None:
    (column,) = study.compare({"a": {"volume": 1000}})
    assert column.recommended is not None
    advice, _, _ = study.recommend(knee=True)
    assert advice.trial is not None


def test_frontiers_and_export(study: Study, tmp_path: Path) -> None:
    runs = load_runs([study.root])
    assert runs[0].volumes()[0].on_frontier > 0
    export(runs, tmp_path / "trials.csv")
    header = (tmp_path / "trials.csv").read_text().splitlines()[0].split(",")
    assert set(study.task.objectives) <= set(header)


@pytest.mark.parametrize("objectives", slow_after(1, [["latency_ms", "quality"], ["energy_wh", "memory_mb"]]))
def test_attainment_without_cost_and_in_any_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], objectives: list[str]
) -> None:
    task = write_scripted_task(
        tmp_path,
        objectives=objectives,
        budget={"trials": 2},
        compute={"on_cpu": True, "executor": "inline"},
        search={"sampler": "random"},
    )
    roots = [run_search(task, runs=tmp_path / name)[1] for name in ("one", "two")]
    (runs,) = load_runs(roots)
    assert {*runs.attainment()[0]} == {*objectives, "share"}
    frontier(roots)
    printed = capsys.readouterr().out
    assert "attained by 100% of the 2 runs" in printed
    assert {"latency_ms": " ms", "energy_wh": " MB"}[objectives[0]] in printed
    with pytest.raises(UserError, match="is drawn against another objective"):
        runs.against(runs.main.name)
    with pytest.raises(UserError, match="has no objective 'cost_usd_per_1k'"):
        runs.against("cost_usd_per_1k")


def test_price_of_zero_is_named_where_ratios_of_costs_would_count(tmp_path: Path) -> None:
    task = write_scripted_task(
        tmp_path,
        budget={"trials": 2},
        economics={"usd_per_hour": 0},
        compute={"on_cpu": True, "executor": "inline"},
        search={"sampler": "random"},
    )
    code, root = run_search(task, runs=tmp_path / "runs")
    assert code == Exit.OK
    with pytest.raises(UserError, match="cost_usd_per_1k is 0, which has no place on a logarithmic scale"):
        load_runs([root])
