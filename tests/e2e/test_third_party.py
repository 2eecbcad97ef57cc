"""Plug-ins of third parties, each one file: used by a real search, with no edit elsewhere."""

import json
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call
from faulty_objective import VARIABLE
from searches import events, read, search

from autoadapt import Study


def test_scripted_family_is_searched_over_by_every_method(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt", "lora", "full", "ia3"], budget={"trials": 12}, search={"rungs": False})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    methods = read(task, "results.json")["methods"]
    assert set(methods) == {"prompt", "lora", "full", "ia3"}


def test_method_without_a_branch_brings_its_own(make_task: MakeTask) -> None:
    assert "ia3" not in SPACE
    task = make_task(methods=["ia3"], budget={"trials": 3})
    assert search(task).returncode == 0
    candidates = [json.loads(p.read_text())["candidate"] for p in (task.parent / "runs").rglob("job.json")]
    assert {c["method"] for c in candidates} == {"ia3"}
    assert all("learning_rate" in c["params"] for c in candidates)


def test_energy_is_an_objective(make_task: MakeTask) -> None:
    task = make_task(objectives=["quality", "energy_wh"], budget={"trials": 6}, models=["scripted:row_seconds=0.001"])
    run = search(task)
    assert run.returncode == 0, run.stderr
    study = Study.load(task.parent / "runs" / "fruits")
    assert [goal.name for goal in study.goals] == ["quality", "energy_wh"]
    assert all(set(option.values) == {"quality", "energy_wh"} for option in study.options)
    assert all(option.values["energy_wh"] > 0 for option in study.options)
    frontier = [o for o in study.options if o.on_frontier]
    for one in frontier:
        dominated = [
            o
            for o in frontier
            if o.quality_expected >= one.quality_expected and o.values["energy_wh"] < one.values["energy_wh"]
        ]
        assert not dominated
    assert "energy" in call("report", study.root, "--all").stdout.lower()


FAULTY: dict[str, Any] = {
    "objectives": ["quality", "cost_usd_per_1k", "faulty_objective"],
    "methods": ["prompt", "full"],
    "search": {"sampler": "random", "rungs": False},
    "budget": {"trials": 4},
    "evaluation": {
        "latency_requests": 10,
        "load_requests": 0,
        "robustness": False,
        "learning_curve": False,
        "final_fit": False,
    },
}


def test_objective_that_fails_is_a_failure_of_the_trial_and_of_no_later_run(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "raise")
    task = make_task(**FAULTY)
    for _ in range(2):  # the second run resumes the first
        run = search(task, "--json")
        assert run.returncode == 0, run.stderr
    rows = Study.load(task.parent / "runs" / "fruits").rows
    failed = {r.trial: r.reason for r in rows if r.state == "failed"}
    assert {r.trial for r in rows if r.method == "full"} == {*failed}
    assert failed
    reason = "crash in measure: objective faulty_objective: ValueError: no memory was measured"
    assert set(failed.values()) == {reason}
    assert call("report", task.parent / "runs" / "fruits").returncode == 0


def test_trial_whose_objective_has_become_unreadable_is_left_out_by_a_resumed_search(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(**FAULTY)
    root = task.parent / "runs" / "fruits"
    assert search(task).returncode == 0
    trained = {raw.trial for raw in Study.load(root).raws if raw.method == "full"}
    assert trained
    monkeypatch.setenv(VARIABLE, "nan")
    run = search(task, "--json", "--set", "budget.trials=5")
    assert run.returncode == 0, run.stderr
    notes = {e["message"] for e in events(run) if e["event"] == "note"}
    wrong = "objective faulty_objective gave nan, which is no finite number"
    assert {f"trial {trial} is left out: {wrong}" for trial in trained} <= notes
    assert not trained & {raw.trial for raw in Study.load(root).raws}
    assert call("report", root, "--all").returncode == 0
    assert call("compare", root, "--scenario", "volume=10k").returncode == 0


def test_five_objectives_are_searched_together(make_task: MakeTask) -> None:
    names = ["quality", "cost_usd_per_1k", "latency_ms", "artifact_mb", "energy_wh"]
    task = make_task(objectives=names, budget={"trials": 8}, models=["scripted:row_seconds=0.001"])
    run = search(task)
    assert run.returncode == 0, run.stderr
    study = Study.load(task.parent / "runs" / "fruits")
    assert 0 < study.hypervolume() <= 1
    assert study.report().is_file()


def test_judge_is_paid_by_the_row(make_task: MakeTask) -> None:
    task = make_task(metric={"judged_accuracy": {"usd_per_row": 0.001}}, methods=["prompt"], budget={"trials": 2})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    outcome = read(task, "trials/0000/rung0/outcome.json")
    assert outcome["result"]["judging"]["usd"] == pytest.approx(0.001 * len(outcome["result"]["rows"]))
    assert outcome["usage"]["usd"] == outcome["result"]["judging"]["usd"]
    assert events(run)[-1]["status"]["spent"]["usd"] >= 2 * outcome["usage"]["usd"]


def test_executor_of_a_third_party_runs_a_search(make_task: MakeTask) -> None:
    task = make_task(budget={"trials": 4}, compute={"on_cpu": True, "executor": "one_shot"})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    assert not [e for e in events(run) if e["event"] == "trial_failed"]
