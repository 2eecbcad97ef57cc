"""What tests of whole searches share: starting them, waiting, and reading what they leave."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from conftest import SPACE, call

FAULTY_SPACE = SPACE.replace("branches:\n", "branches:\n  faulty:\n    fault: [FAULTS]\n").split("first:")[0]


def start(task: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a search in a process of its own, the leader of its group."""
    command = [sys.executable, "-m", "autoadapt", "search", str(task), "--runs", str(task.parent / "runs"), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def search(task: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a search in this process; its workers are processes of their own."""
    return call("search", task, "--runs", task.parent / "runs", *arguments)


def events(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The events of a search with ``--json``."""
    return [json.loads(line) for line in run.stdout.splitlines()]


def read(task: Path, name: str, study: str = "fruits") -> Any:
    """A JSON file of the run folder."""
    return json.loads((task.parent / "runs" / study / name).read_text())


def states(task: Path) -> list[str]:
    """Optuna's state of every trial, by number, as any Optuna tool would read it."""
    with sqlite3.connect(task.parent / "runs" / "fruits" / "study.db") as database:
        return [row[0] for row in database.execute("select state from trials order by number")]


def outcomes(task: Path) -> dict[str, Any]:
    """What every finished job measured, times left out; no job may have been measured twice."""
    measured = {}
    for file in sorted((task.parent / "runs" / "fruits" / "trials").glob("*/*/outcome.json")):
        result = json.loads(file.read_text())["result"]
        if result["kind"] == "measurement":
            key = f"{file.parent.parent.name}/{file.parent.name.split('-retry')[0]}"
            assert key not in measured, f"{key} was measured twice"
            measured[key] = {k: result[k] for k in ("rows", "train_steps", "train_loss", "artifact_bytes")}
    return measured


def workers_of(pid: int) -> list[psutil.Process]:
    """Every process that a driver has started."""
    return psutil.Process(pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> bool:
    """Whether any of these processes still runs."""
    return any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def wait_for(condition: Any, seconds: float = 100) -> None:
    """Waits until a condition holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def finished_jobs(task: Path) -> int:
    """Jobs with an outcome."""
    return len(list((task.parent / "runs" / "fruits" / "trials").glob("*/*/outcome.json")))
