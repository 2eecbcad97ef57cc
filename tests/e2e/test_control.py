"""Searches that are seen, stopped, resumed and read from other processes, through their run folders."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MakeTask, call
from searches import events, search, start, states, wait_for

from autoadapt.runs.driver_report import STATUS_FILE, STOP_FILE

TRAINING = {
    "methods": ["lora"],
    "models": ["scripted:step_seconds=0.1"],
    "budget": {"trials": 2},
    "search": {"sampler": "random", "rungs": False},
    "compute": {"on_cpu": True, "slots": 1},
}


def test_running_search_is_seen_stopped_and_resumed_from_its_folder_alone(make_task: MakeTask) -> None:
    task = make_task(**TRAINING)
    run = task.parent / "runs" / "fruits"
    process = start(task, "--set", "seed=3")
    wait_for(lambda: (run / STATUS_FILE).exists() and list(run.glob("trials/0000/rung0/heartbeat")))
    seen = call("status", run)
    assert seen.returncode == 0
    assert "running on" in seen.stdout
    told = json.loads(call("status", run, "--json").stdout)
    assert told["runs"] is True
    assert told["pid"] == process.pid
    assert told["status"]["budget"]["trials"] == 2
    refused = call("resume", run)
    assert refused.returncode == 8
    assert "is running on" in refused.stderr
    stopped = call("stop", run)
    assert stopped.returncode == 0, stopped.stderr
    assert f"Resume it by: autoadapt resume {run}" in stopped.stdout
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 143, out
    assert "asked to stop from" in out
    assert not (run / STOP_FILE).exists()
    assert states(task) == ["RUNNING"], "its training goes on from its checkpoint"
    assert "stopped" in call("status", run).stdout
    again = call("stop", run)
    assert (again.returncode, "no search is running" in again.stdout) == (0, True)
    resumed = call("resume", run, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert any(e["event"] == "resumed" for e in events(resumed))
    assert json.loads((run / "task.lock.yaml").read_text())["task"]["seed"] == 3
    assert states(task) == ["COMPLETE", "COMPLETE"]
    assert "ended" in call("status", run).stdout
    printed = call("logs", run, 0).stdout
    assert "== rung0-retry1" in printed
    assert "trained steps" in printed


def test_killed_search_is_seen_as_one_and_an_old_request_to_stop_stops_nothing(make_task: MakeTask) -> None:
    task = make_task(**TRAINING)
    run = task.parent / "runs" / "fruits"
    process = start(task)
    wait_for(lambda: (run / STATUS_FILE).exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    shown = call("status", run).stdout
    assert "ended without a word" in shown
    assert f"autoadapt resume {run}" in " ".join(shown.split())
    (run / STOP_FILE).write_text('{"host": "elsewhere", "written": 1.0}')
    done = search(task)
    assert done.returncode == 0, done.stderr
    assert not (run / STOP_FILE).exists()


@pytest.mark.slow
def test_logs_are_followed_until_the_search_has_ended(make_task: MakeTask) -> None:
    task = make_task(**{**TRAINING, "budget": {"trials": 1}})
    run = task.parent / "runs" / "fruits"
    process = start(task)
    wait_for(lambda: (run / STATUS_FILE).exists() and (run / "trials" / "0000").exists())
    command = [sys.executable, "-m", "autoadapt", "logs", str(run), "0", "--follow"]
    followed = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    process.communicate(timeout=60)
    assert followed.returncode == 0, followed.stderr
    assert "== rung0" in followed.stdout
    assert "trained steps 0 to" in followed.stdout


def test_mistakes_of_each_command_end_in_one_message(make_task: MakeTask, tmp_path: Path) -> None:
    for name in ("status", "stop", "resume"):
        done = call(name, tmp_path / "nowhere")
        assert done.returncode == 8
        assert "is no run folder" in done.stderr
    task = make_task(methods=["prompt"], budget={"trials": 1})
    assert search(task).returncode == 0
    run = task.parent / "runs" / "fruits"
    none = call("logs", run, 99)
    assert none.returncode == 2
    assert "has no trial 99; it has trials 0 to" in none.stderr
    shutil.move(task, task.with_name("moved.yaml"))
    gone = call("resume", run)
    assert gone.returncode == 2
    assert "task file" in gone.stderr
    assert "is gone" in gone.stderr
    (run / STATUS_FILE).write_text("{")
    damaged = call("status", run)
    assert damaged.returncode == 8
    assert "has no whole status.json" in damaged.stderr
