"""Whole searches whose study is in PostgreSQL: equal to those in a file, through outages and kills."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import call
from postgres_server import PASSWORD, VARIABLE, PostgresServer, running_server
from scripted_task import write_scripted_task
from searches import alive, finished_jobs, outcomes, start, wait_for, workers_of

from autoadapt.errors import Exit
from autoadapt.runs.study import Study

QUIET = {"robustness": False, "learning_curve": False, "final_fit": False, "load_requests": 0, "latency_requests": 5}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from running_server()


def written(folder: Path, storage: str | None, **changes: Any) -> Path:
    """A deterministic task of six trials."""
    folder.mkdir(exist_ok=True)
    fixed = {
        "storage": storage,
        "search": {"deterministic": True},
        "evaluation": {"rows": 40, "test_rows": 10, **QUIET},
    }
    return write_scripted_task(folder, **{**fixed, **changes})


def slow_task(folder: Path, storage: str, **changes: Any) -> Path:
    """A task whose trials take about a second each."""
    return written(folder, storage, models=["scripted:step_seconds=0.03,row_seconds=0.005"], **changes)


def searched(task: Path) -> subprocess.CompletedProcess[str]:
    """Runs a search in this process."""
    return call("search", task, "--runs", task.parent / "runs")


def rows(task: Path) -> list[tuple[Any, ...]]:
    """What every trial was and how it ended, as reports read it."""
    study = Study.load(task.parent / "runs" / "fruits")
    return [(r.trial, r.state, r.method, r.params, r.quality) for r in study.rows]


def states(server: PostgresServer, database: str) -> list[str]:
    """Optuna's state of every trial, by number."""
    return [str(row[0]) for row in server.run("select state from trials order by number", database)]


def numbers(server: PostgresServer, database: str) -> list[object]:
    """Of the trials, in the order in which they were made."""
    return [row[0] for row in server.run("select number from trials order by trial_id", database)]


def assert_no_secret(folder: Path) -> None:
    """No file below a folder holds the password."""
    for file in folder.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file


def test_search_equals_one_in_a_file(server: PostgresServer, tmp_path: Path) -> None:
    in_file = written(tmp_path / "file", None)
    in_database = written(tmp_path / "database", server.make_database("equal"))
    for task in (in_file, in_database):
        run = searched(task)
        assert run.returncode == Exit.OK, run.stderr
        assert PASSWORD not in run.stdout + run.stderr
    assert rows(in_database) == rows(in_file)
    assert outcomes(in_database) == outcomes(in_file)
    assert "RUNNING" not in states(server, "equal")
    assert not (in_database.parent / "runs" / "fruits" / "study.db").exists()
    lock = json.loads((in_database.parent / "runs/fruits/task.lock.yaml").read_text())
    assert lock["task"]["storage"] == server.address("equal")
    assert_no_secret(tmp_path)

    server.stop()  # what reads a run that has ended needs no database
    try:
        run_folder = in_database.parent / "runs" / "fruits"
        for command in (("report", run_folder), ("compare", run_folder, "--scenario", "volume=1M")):
            read = call(*command)
            assert read.returncode == Exit.OK, read.stderr
        exported = call("export", run_folder, tmp_path / "bundle")
        assert exported.returncode == Exit.OK, exported.stderr
    finally:
        server.start()
    assert_no_secret(tmp_path)


def test_outage_of_four_seconds(server: PostgresServer, tmp_path: Path) -> None:
    outage_in_the_middle(server, tmp_path, 4)


@pytest.mark.slow
def test_outage_of_a_minute(server: PostgresServer, tmp_path: Path) -> None:
    outage_in_the_middle(server, tmp_path, 60)


def outage_in_the_middle(server: PostgresServer, folder: Path, seconds: float) -> None:
    """Stops the server under a running search; compares with a search without an outage."""
    calm = slow_task(folder / "calm", server.make_database("calm"))
    assert searched(calm).returncode == Exit.OK
    task = slow_task(folder / "outage", server.make_database("outage"))
    process = start(task)
    wait_for(lambda: finished_jobs(task) >= 2)
    workers = workers_of(process.pid)
    server.stop()
    threading.Timer(seconds, server.start).start()
    time.sleep(seconds / 2)
    assert alive(workers), "no worker dies with the database"
    output, _ = process.communicate(timeout=200)
    assert process.returncode == Exit.OK, output
    assert output.count("the database does not answer") == 1
    assert output.count("the database answers again") == 1
    assert PASSWORD not in output
    assert rows(task) == rows(calm)
    assert outcomes(task) == outcomes(calm)
    assert states(server, "outage") == states(server, "calm")
    assert numbers(server, "outage") == list(range(len(states(server, "calm"))))
    assert_no_secret(folder)


def test_outage_beyond_the_limit_ends_with_8_and_the_run_resumes(server: PostgresServer, tmp_path: Path) -> None:
    task = slow_task(tmp_path, server.make_database("limit"), storage_timeout_s=2)
    process = start(task)
    wait_for(lambda: finished_jobs(task) >= 2)
    workers = workers_of(process.pid)
    server.stop()
    try:
        output, _ = process.communicate(timeout=100)
        assert process.returncode == Exit.STORAGE, output
        assert "run the same command to resume" in output
        wait_for(lambda: not alive(workers), 10)
        again = searched(task)
        assert again.returncode == Exit.STORAGE
        assert "check host and port, and whether the server runs" in again.stderr
    finally:
        server.start()
    before = outcomes(task)
    assert searched(task).returncode == Exit.OK
    after = outcomes(task)
    assert {key: after[key] for key in before} == before
    assert "RUNNING" not in states(server, "limit")
    assert numbers(server, "limit") == list(range(len(states(server, "limit"))))


@pytest.mark.slow
def test_ctrl_c_during_an_outage(server: PostgresServer, tmp_path: Path) -> None:
    task = slow_task(tmp_path, server.make_database("stopped"))
    process = start(task)
    wait_for(lambda: finished_jobs(task) >= 2)
    server.stop()
    try:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        output, _ = process.communicate(timeout=60)
        assert process.returncode == Exit.INTERRUPTED, output
        assert time.monotonic() - begun < 10
    finally:
        server.start()
    assert searched(task).returncode == Exit.OK
    assert "RUNNING" not in states(server, "stopped")


def test_killed_driver_resumes(server: PostgresServer, tmp_path: Path) -> None:
    calm = slow_task(tmp_path / "calm", server.make_database("calm"))
    assert searched(calm).returncode == Exit.OK
    task = slow_task(tmp_path / "killed", server.make_database("killed"))
    for jobs in (1, 3):
        process = start(task)
        wait_for(lambda wanted=jobs: finished_jobs(task) >= wanted)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    reading = call("report", task.parent / "runs" / "fruits")
    assert reading.returncode in (Exit.OK, Exit.PARTIAL), reading.stderr
    assert searched(task).returncode == Exit.OK
    assert outcomes(task) == outcomes(calm)
    assert states(server, "killed") == states(server, "calm")


def test_second_task_of_the_same_name_error(server: PostgresServer, tmp_path: Path) -> None:
    address = server.make_database("names")
    assert searched(written(tmp_path / "first", address)).returncode == Exit.OK
    second = searched(written(tmp_path / "second", address, seed=7))
    assert second.returncode == Exit.STORAGE
    assert "holds a study 'fruits' of another task" in second.stderr
    assert not list((tmp_path / "second/runs/fruits/trials").glob("*"))
    assert searched(written(tmp_path / "second", address, seed=7, name="other")).returncode == Exit.OK


def test_check_says_whether_the_storage_answers(server: PostgresServer, tmp_path: Path) -> None:
    task = written(tmp_path, server.make_database("check"))
    run = call("check", task)
    assert run.returncode == Exit.OK, run.stderr
    assert "storage is reachable: PostgreSQL 1" in run.stdout
    assert f"${{{VARIABLE}}}" in run.stdout
    missing = call("check", task, "--set", f"storage={server.address('missing')}")
    assert missing.returncode == Exit.STORAGE
    assert "CREATE DATABASE" in missing.stderr


@pytest.mark.parametrize("command", ["check", "search"])
def test_plain_password_error(tmp_path: Path, command: str) -> None:
    task = written(tmp_path, "postgresql+psycopg://user:hunter2secret@host/db")
    run = call(command, task)
    assert run.returncode == Exit.CONFIG
    assert "storage: a password stands in it in plain text; write a reference to an environment variable" in run.stderr
    assert "hunter2" not in run.stdout + run.stderr
