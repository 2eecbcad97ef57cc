"""Budgets hold; failed trials are data; repeated candidates cost nothing."""

import errno
import json
import os
import sqlite3
import time
from pathlib import Path

import pytest
from conftest import SPACE, MakeTask, autoadapt
from searches import FAULTY_SPACE, events, outcomes, search, states


def test_budget_in_dollars_holds(make_task: MakeTask) -> None:
    task = make_task(
        methods=["faulty", "prompt"],
        models=["scripted:row_seconds=0.002"],
        space=FAULTY_SPACE.replace("FAULTS", "slow, none"),
        budget={"usd": 6.0},
        economics={"usd_per_hour": 3600},  # a dollar a second
    )
    run = search(task, "--json")
    assert run.returncode in (0, 6), run.stderr
    status = events(run)[-1]["status"]
    assert status["spent"]["usd"] <= 6.0 + 2.0
    assert status["complete"] >= 1, "the budget pays for something"
    assert "RUNNING" not in states(task)
    richer = search(task, "--json", "--set", "budget.usd=9")
    assert events(richer)[-1]["status"]["spent"]["usd"] <= 11


def test_trial_that_the_budget_cut_short_leaves_no_weights(make_task: MakeTask) -> None:
    task = make_task(
        methods=["lora"],
        models=["scripted:row_seconds=0.2"],
        budget={"usd": 4.0},
        economics={"usd_per_hour": 3600},  # a dollar a second: the budget ends while the trained model answers
        search={"sampler": "random", "rungs": False},
        compute={"on_cpu": True, "slots": 1},
    )
    assert search(task).returncode == 6
    assert states(task) == ["PRUNED"]
    trial = task.parent / "runs" / "fruits" / "trials" / "0000"
    assert "trained steps" in (trial / "rung0" / "log.txt").read_text()
    assert not list(trial.glob("*artifact*"))


def test_budget_in_hours_holds(make_task: MakeTask) -> None:
    task = make_task(
        methods=["prompt", "lora"], budget={"hours": 5 / 3600}, models=["scripted:step_seconds=0.03,row_seconds=0.005"]
    )
    started = time.monotonic()
    run = search(task, "--json")
    assert run.returncode in (0, 6), run.stderr
    assert events(run)[-1]["status"]["spent"]["wall_seconds"] <= 7
    assert time.monotonic() - started < 15


def test_judged_metric_counts_against_the_budget(make_task: MakeTask) -> None:
    task = make_task(
        metric={"judged_accuracy": {"usd_per_row": 0.01}}, methods=["prompt"], budget={"usd": 2.0, "trials": 50}
    )
    run = search(task, "--json")
    assert run.returncode in (0, 6), run.stderr
    spent = events(run)[-1]["status"]["spent"]
    assert 0.3 < spent["usd"] < 2.5, "36 validation rows cost 36 cents, apart from device time"
    assert spent["trials"] < 50


def test_failures_are_data_and_the_study_goes_on(make_task: MakeTask) -> None:
    faults = ["killed", "killed_once", "oom", "oom_once", "nan", "exit", "none"]
    first = "first:\n" + "".join(f"  - {{method: faulty, fault: {f}}}\n" for f in faults)
    space = FAULTY_SPACE.replace("FAULTS", ", ".join(faults)) + first
    task = make_task(methods=["faulty"], space=space, budget={"trials": len(faults)}, search={"rungs": False})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    failed = [e["message"] for e in events(run) if e["event"] == "trial_failed"]
    assert {"crash", "oom", "nan"} <= {m.split(" ")[0] for m in failed}
    retried = [e["message"] for e in events(run) if "tried once more" in e["message"]]
    assert any(m.startswith("trial") and "crash" in m for m in retried)
    assert any("oom" in m for m in retried)
    with sqlite3.connect(task.parent / "runs/fruits/study.db") as database:
        rows = database.execute(
            "select t.state, u.value_json from trials t join trial_user_attributes u using (trial_id) where key='candidate'"
        ).fetchall()
    ends = {json.loads(v)["params"].get("fault"): s for s, v in rows if json.loads(v)["method"] == "faulty"}
    survived = {"killed_once", "oom_once", "none"}
    assert ends == {f: "COMPLETE" if f in survived else "FAIL" for f in faults}
    assert events(run)[-1]["status"]["last_failure"]


def test_repeated_candidate_is_answered_from_the_cache(make_task: MakeTask) -> None:
    space = SPACE.replace("shots: [0, 2, 4]", "shots: [0, 2]").replace("[random, balanced, nearest]", "random")
    task = make_task(methods=["prompt"], space=space.replace("[sum, mean, calibrated]", "sum"), budget={"trials": 50})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    status = events(run)[-1]["status"]
    assert status["spent"]["trials"] == 8, "2 templates x 2 instructions x 2 numbers of shots"
    assert status["cached"] >= 1
    assert any("search space exhausted" in e["message"] for e in events(run))
    outcomes(task)


def test_no_option_that_fits_ends_with_5(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt"], budget={"trials": 2}, constraints={"latency_p95_ms": 0.001})
    run = autoadapt("search", task, "--runs", task.parent / "runs")
    assert run.returncode == 5
    assert "No option satisfies the constraints" in run.stdout


@pytest.mark.parametrize("write", ["runs.run_folder.write_json", "study.study_results.write_results"])
def test_full_disk_under_the_driver_ends_with_4_and_the_run_resumes(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    def full_disk(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    task = make_task(methods=["prompt"], budget={"trials": 2})
    with monkeypatch.context() as patch:
        patch.setattr(f"autoadapt.{write}", full_disk)
        run = search(task)
    assert run.returncode == 4, run.stderr
    assert "runs/fruits: No space left on device; make room and run the same command to resume" in run.stderr
    assert search(task).returncode == 0
    assert states(task) == ["COMPLETE", "COMPLETE"]
    outcomes(task)
