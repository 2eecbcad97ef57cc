"""Searches that are killed or stopped: nothing is lost, nothing is done twice, nothing is left behind."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, MakeTask, call, slow_after
from searches import (
    alive,
    events,
    finished_jobs,
    outcomes,
    search,
    start,
    states,
    wait_for,
    workers_of,
)

from autoadapt import Study

WIDE: dict[str, Any] = {
    "evaluation": {
        "rows": 120,
        "test_rows": 30,
        "latency_requests": 10,
        "load_requests": 0,
        "robustness": False,
        "learning_curve": False,
    },
    "compute": {"on_cpu": True, "slots": 1},
}
"""So many validation rows that prompts have a first rung."""
UNLOADED: dict[str, Any] = {
    "evaluation": {
        "latency_requests": 10,
        "load_requests": 0,
        "robustness": False,
        "learning_curve": False,
        "final_fit": False,
    },
    "budget": {"trials": 4},
    "search": {"sampler": "random"},
}
SLOW = ["scripted:step_seconds=0.004,row_seconds=0.0015"]
"""A model slow enough to be killed at work."""


def test_same_seed_gives_same_outcomes_with_a_kill_in_the_middle(make_task: MakeTask, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "budget": {"trials": 5},
        "search": {"sampler": "random"},
        "compute": {"on_cpu": True, "slots": 1},
        "models": SLOW,
    }
    task = make_task(**changes)
    assert search(task).returncode == 0
    whole = outcomes(task)
    os.rename(tmp_path / "runs", tmp_path / "runs-whole")
    process = start(task)
    wait_for(lambda: finished_jobs(task) >= 3 or process.poll() is not None)
    children = workers_of(process.pid)
    assert children
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not alive(children), 10)
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    fits = {k: v for k, v in outcomes(task).items() if "score" not in k}
    assert fits == {k: v for k, v in whole.items() if "score" not in k}
    assert "RUNNING" not in states(task)
    assert events(done)[-1]["status"]["spent"]["trials"] == 5


def test_killed_workers_cost_one_retry(make_task: MakeTask) -> None:
    task = make_task(budget={"trials": 6}, models=["scripted:step_seconds=0.02,row_seconds=0.006"])
    process = start(task, "--json")
    killed: set[int] = set()
    while process.poll() is None and len(killed) < 2:
        running = [
            p.parent
            for p in (task.parent / "runs").glob("*/trials/*/rung0/heartbeat")
            if not (p.parent / "outcome.json").exists()
        ]
        leaves = [c for c in workers_of(process.pid) if not c.children()] if running else []
        fresh = [c for c in leaves if c.pid not in killed]
        if fresh:
            killed.add(fresh[0].pid)
            fresh[0].kill()
            time.sleep(0.3)
    out = process.communicate()[0]
    assert process.returncode == 0, out
    assert len(killed) == 2
    assert "RUNNING" not in states(task)
    assert json.loads(out.splitlines()[-1])["status"]["spent"]["trials"] == 6
    outcomes(task)


@pytest.mark.parametrize(("number", "code"), slow_after(1, [(signal.SIGINT, 130), (signal.SIGTERM, 143)]))
def test_signal_ends_after_bookkeeping_and_the_run_resumes(make_task: MakeTask, number: int, code: int) -> None:
    task = make_task(budget={"trials": 6}, models=SLOW)
    process = start(task)
    wait_for(lambda: finished_jobs(task) >= 2)
    children = workers_of(process.pid)
    signalled = time.monotonic()
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == code, out
    assert time.monotonic() - signalled < 10
    assert "Run the same command to resume" in out
    assert not alive(children)
    done = search(task, "--json")
    assert done.returncode == 0
    assert any(e["event"] == "resumed" for e in events(done))
    assert events(done)[-1]["status"]["spent"]["trials"] == 6
    outcomes(task)


@pytest.mark.parametrize(
    ("number", "code", "everyone"),
    slow_after(1, [(signal.SIGTERM, 143, True), (signal.SIGTERM, 143, False), (signal.SIGINT, 130, False)]),
    ids=["sigterm_to_all_processes", "sigterm", "ctrl_c"],
)
def test_signal_saves_the_training_and_the_run_resumes_from_there(
    make_task: MakeTask, number: int, code: int, everyone: bool
) -> None:
    task = make_task(
        methods=["lora"],
        models=["scripted:step_seconds=0.1"],
        budget={"trials": 1},
        search={"sampler": "random", "rungs": False},
        compute={"on_cpu": True, "slots": 1},
    )
    trial = task.parent / "runs" / "fruits" / "trials" / "0000"
    process = start(task)
    wait_for(lambda: (trial / "rung0" / "heartbeat").exists())
    for _ in range(3):  # loading may show progress once or twice before the training does
        begun = (trial / "rung0" / "heartbeat").stat().st_mtime_ns
        wait_for(lambda before=begun: (trial / "rung0" / "heartbeat").stat().st_mtime_ns > before)
    for asked in [process, *(workers_of(process.pid) if everyone else [])]:
        asked.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == code, out
    assert "it is tried once more" not in out
    if not everyone:  # else its training may have ended before the driver asks it to
        assert "trainings save a checkpoint" in out
    (saved,) = (int(folder.name.split("-")[1]) for folder in trial.glob("checkpoint-*"))
    assert saved > 0
    assert states(task) == ["RUNNING"]
    assert search(task).returncode == 0
    (log,) = (file for file in trial.glob("rung0-retry*/log.txt"))
    assert f"trained steps {saved} to" in log.read_text()
    assert states(task) == ["COMPLETE"]


def test_second_ctrl_c_ends_at_once(make_task: MakeTask) -> None:
    task = make_task(methods=["lora"], models=["scripted:step_seconds=0.1"], budget={"trials": 1})
    process = start(task)
    wait_for(lambda: list((task.parent / "runs").glob("*/trials/*/*/heartbeat")))
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    signalled = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - signalled < 5
    assert search(task).returncode == 0
    assert states(task) == ["COMPLETE"]


def test_paused_trials_are_promoted_after_a_kill(make_task: MakeTask) -> None:
    task = make_task(
        rows=400,
        models=SLOW,
        search={"sampler": "cost_aware"},
        budget={"trials": 10},
        **WIDE,
    )
    process = start(task)
    wait_for(lambda: len(outcomes(task)) >= 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = outcomes(task)
    run = search(task)
    assert run.returncode == 0, run.stderr
    after = outcomes(task)
    assert all(after[key] == value for key, value in before.items())
    assert any("/rung1" in key for key in after), "a paused trial was promoted"
    assert set(states(task)) <= {"COMPLETE", "PRUNED"}
    assert "PRUNED" in states(task)


def test_trial_whose_full_outcome_is_damaged_is_not_replaced_by_its_first_rung(make_task: MakeTask) -> None:
    task = make_task(rows=400, methods=["prompt"], budget={"trials": 3}, search={"sampler": "random"}, **WIDE)
    assert search(task).returncode == 0
    root = task.parent / "runs" / "fruits"
    (damaged,) = [p for p in root.glob("trials/0000/rung1/outcome.json")]
    damaged.write_text(damaged.read_text()[:1000])
    done = search(task, "--json")
    assert any("trial 0 is left out" in e["message"] for e in events(done))
    measured = {option.trial: option.rows for option in Study.load(root).raws}
    assert set(measured.values()) == {80}
    assert 0 not in measured


def test_option_whose_files_are_damaged_is_left_out_until_they_are_put_back(make_task: MakeTask) -> None:
    task = make_task(**UNLOADED)
    assert search(task).returncode == 0
    root = task.parent / "runs" / "fruits"
    recommended = Study.load(root).recommendation.trial
    artifact = root / f"trials/{recommended:04d}/artifact"
    largest = max((f for f in artifact.iterdir() if f.name != "option.json"), key=lambda f: f.stat().st_size)
    content = largest.read_bytes()
    largest.write_bytes(content[: len(content) // 2])
    shutil.rmtree(artifact.parent / "score")  # as if the run had been killed before its end

    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    notes = [e["message"] for e in events(done) if e["event"] == "note"]
    assert any(f"trial {recommended} is left out, because its files are damaged" in note for note in notes)
    study = Study.load(root)
    assert study.recommendation.trial != recommended
    assert recommended not in {option.trial for option in [*study.options, *study.results.weighed]}
    assert study.raw(recommended).files_damaged  # type: ignore[union-attr]
    assert f"files are damaged: trial {recommended}" in call("report", root).stdout.replace("\n", " ")
    refused = call("export", root, task.parent / "bundle", "--option", str(recommended))
    assert (refused.returncode, "are damaged" in refused.stderr) == (3, True)

    largest.write_bytes(content)
    for raw in study.results.weighed:
        shutil.rmtree(root / f"trials/{raw.trial:04d}/artifact")
    again = search(task, "--json")
    assert again.returncode == 0, again.stderr
    assert [raw.trial for raw in Study.load(root).results.weighed] == [recommended]


def test_paused_trial_goes_on_under_a_sampler_with_fewer_rungs(make_task: MakeTask) -> None:
    # 27 steps a pass, so that both rungs below the full training have the fifty steps that a rung needs
    space = SPACE.replace(
        "num_train_epochs: {low: 2, high: 3}\n    batch_size: [8, 16]", "num_train_epochs: 20\n    batch_size: 8"
    )
    task = make_task(rows=400, methods=["lora"], models=SLOW, budget={"trials": 6}, space=space, **WIDE)
    process = start(task)
    wait_for(lambda: len(list((task.parent / "runs").glob("*/trials/*/rung1/outcome.json"))) >= 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    run = search(task, "--set", "search={sampler: random}")
    assert run.returncode == 0, run.stderr
    assert {option.rows for option in Study.load(task.parent / "runs" / "fruits").raws} == {80}
    assert set(states(task)) <= {"COMPLETE", "PRUNED"}


def test_finished_study_is_not_run_again_and_a_larger_budget_continues_it(make_task: MakeTask) -> None:
    task = make_task(budget={"trials": 8})
    assert search(task).returncode == 0
    before = outcomes(task)
    again = search(task, "--json")
    assert again.returncode == 0
    assert outcomes(task) == before
    assert events(again)[-1]["event"] == "finished"
    assert events(again)[-1]["status"]["spent"]["trials"] == 8
    longer = search(task, "--json", "--set", "budget.trials=9")
    assert longer.returncode == 0
    assert events(longer)[-1]["status"]["spent"]["trials"] == 9
    assert {k: v for k, v in outcomes(task).items() if k in before} == before


def test_changed_question_is_refused_with_a_difference(make_task: MakeTask) -> None:
    task = make_task(budget={"trials": 2}, methods=["prompt"])
    assert search(task).returncode == 0
    changed = search(task, "--set", "metric=macro_f1", "--set", "seed=3")
    assert changed.returncode == 2
    assert 'metric: was "accuracy", is "macro_f1"' in changed.stderr
    assert "seed: was 0, is 3" in changed.stderr
    assert "set another `name:`" in changed.stderr
    (task.parent / "data.jsonl").write_text((task.parent / "data.jsonl").read_text().replace("wolf", "wolv"))
    moved = search(task)
    assert moved.returncode == 3
    assert "data.train" in moved.stderr


KILLED_WHILE_TELLING = """
import os, signal, sys
import optuna
from autoadapt.cli.main import main

after, nth = sys.argv.pop(1) == "after", int(sys.argv.pop(1))
tell, told = optuna.Study.tell, []

def killed(study, *arguments, **options):
    told.append(1)
    if len(told) < nth or after:
        tell(study, *arguments, **options)
    if len(told) == nth:
        os.kill(os.getpid(), signal.SIGKILL)

optuna.Study.tell = killed
main()
"""


@pytest.mark.parametrize("nth", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
@pytest.mark.parametrize("moment", slow_after(1, ["after", "before"]))
def test_driver_killed_while_it_tells_a_trial_loses_and_repeats_nothing(
    make_task: MakeTask, moment: str, nth: int
) -> None:
    task = make_task(budget={"trials": 3}, methods=["prompt"], compute={"on_cpu": True, "slots": 1})
    arguments = [moment, str(nth), "search", str(task), "--runs", str(task.parent / "runs")]
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_TELLING, *arguments], capture_output=True, timeout=200)
    assert killed.returncode == -signal.SIGKILL
    before = outcomes(task)
    assert states(task).count("COMPLETE") == (nth if moment == "after" else nth - 1)
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert events(done)[-1]["status"]["spent"]["trials"] == 3
    assert states(task) == ["COMPLETE"] * 3
    assert {key: value for key, value in outcomes(task).items() if key in before} == before


@pytest.mark.parametrize("times", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_all_workers_killed_at_once_change_no_count(make_task: MakeTask, times: int) -> None:
    trials = 4 * times
    task = make_task(
        budget={"trials": trials},
        search={"sampler": "random"},
        models=["scripted:step_seconds=0.02,row_seconds=0.006"],
        compute={"on_cpu": True, "slots": 2},
    )
    process = start(task, "--json")
    for _ in range(times):
        known = finished_jobs(task)
        wait_for(lambda known=known: finished_jobs(task) > known and len(workers_of(process.pid)) >= 3)  # type: ignore[misc]
        for worker in [c for c in workers_of(process.pid) if not c.children()]:
            worker.kill()
    out = process.communicate(timeout=200)[0]
    assert process.returncode == 0, out
    assert json.loads(out.splitlines()[-1])["status"]["spent"]["trials"] == trials
    assert "RUNNING" not in states(task)
    outcomes(task)


@pytest.mark.slow
def test_killed_at_random_twenty_times(make_task: MakeTask) -> None:
    rng = random.Random(0)
    task = make_task(budget={"trials": 40}, search={"sampler": "random"}, models=SLOW)
    for _ in range(20):
        process = start(task)
        time.sleep(rng.uniform(1, 5))
        victims = workers_of(process.pid) if process.poll() is None else []
        for victim in rng.sample(victims, min(1, len(victims))):
            victim.kill()
        if process.poll() is None and rng.random() < 0.7:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert events(done)[-1]["status"]["spent"]["trials"] == 40
    assert "RUNNING" not in states(task)
    outcomes(task)
