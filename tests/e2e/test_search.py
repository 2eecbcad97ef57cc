"""The whole way from a task file to a recommendation, in processes of its own, killed at will."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import SPACE, MakeTask, autoadapt, environment

FAULTY_SPACE = SPACE.replace("branches:\n", "branches:\n  faulty:\n    fault: [FAULTS]\n").split("first:")[0]


def start(task: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "autoadapt.cli.main",
            "search",
            str(task),
            "--runs",
            str(task.parent / "runs"),
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        start_new_session=True,
    )


def search(task: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return autoadapt("search", task, "--runs", task.parent / "runs", *arguments)


def events(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


def read(task: Path, name: str, study: str = "fruits") -> Any:
    return json.loads((task.parent / "runs" / study / name).read_text())


def states(task: Path) -> list[str]:
    """Optuna's state of every trial, by number, as any Optuna tool would read it."""
    with sqlite3.connect(task.parent / "runs" / "fruits" / "study.db") as database:
        return [row[0] for row in database.execute("select state from trials order by number")]


def outcomes(task: Path) -> dict[str, Any]:
    """What every finished step measured, times left out."""
    found = {}
    for file in sorted((task.parent / "runs" / "fruits" / "trials").glob("*/*/outcome.json")):
        content = json.loads(file.read_text())
        measured = content["measurement"]
        if measured is not None:
            key = f"{file.parent.parent.name}/{file.parent.name.split('-')[0]}"
            assert key not in found, f"{key} was measured twice"
            found[key] = {k: measured[k] for k in ("rows", "train_steps", "train_loss", "artifact_bytes")}
    return found


def workers_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def wait_for(condition: Any, seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def finished_steps(task: Path) -> int:
    return len(list((task.parent / "runs" / "fruits" / "trials").glob("*/*/outcome.json")))


def test_a_study_from_task_to_advice(make_task: MakeTask) -> None:
    task = make_task(budget={"trials": 8})
    run = search(task)
    assert run.returncode == 0, run.stderr
    assert "Recommended: Trial" in run.stdout
    assert "untuned zero-shot prompt: trial 0" in run.stdout
    options = read(task, "frontier.json")
    wanted = {
        "trial", "method", "params", "quality", "quality_ci", "test_quality", "test_quality_ci", "cost_usd_per_1k",
        "latency_p95_ms", "train_seconds",
    }  # fmt: skip
    assert all(wanted <= set(o) for o in options)
    for option in options:
        assert option["quality_ci"][0] <= option["quality"] <= option["quality_ci"][1]
        assert option["test_quality_ci"][0] <= option["test_quality"] <= option["test_quality_ci"][1]
    front = [o for o in options if o["on_frontier"]]
    for one in front:
        for other in front:
            beaten = (
                other["quality_expected"] >= one["quality_expected"]
                and other["cost_usd_per_1k"] < one["cost_usd_per_1k"]
                and other["latency_p95_ms"] < one["latency_p95_ms"]
            )
            assert not beaten
    (advice,) = read(task, "recommendations.json")
    assert advice["trial"] in {o["trial"] for o in front}
    assert advice["reason"]
    tuned = [o for o in front if o["method"] != "prompt"]
    assert max(o["quality"] for o in tuned) > 0.8, "a tuned model learns three kinds of words"
    summary = read(task, "summary.json")
    assert summary["spent"]["trials"] == 8
    assert set(summary["methods"]) <= {"prompt", "lora", "full"}
    csv = (task.parent / "runs/fruits/frontier.csv").read_text().splitlines()
    assert len(csv) == len(options) + 1

    root = task.parent / "runs" / "fruits"
    kept = {p.parent.name for p in root.glob("trials/*/model")}
    assert kept == {f"{o['trial']:04d}" for o in tuned}, "weights of other trials are deleted"
    assert not list(root.glob("trials/*/checkpoint-*"))
    for file in root.rglob("*"):
        assert file.suffix not in (".bin", ".pt", ".pkl", ".pickle")

    again = autoadapt("report", root)
    assert again.returncode == 0
    assert again.stdout.split("Recommended")[1] == run.stdout.split("Recommended")[1]
    assert json.loads(autoadapt("report", root, "--json").stdout)["frontier"] == options

    before = outcomes(task)
    more = search(task, "--json")
    assert more.returncode == 0
    assert outcomes(task) == before, "a finished study is not run again"
    assert [e["event"] for e in events(more)][-1] == "finished"
    assert events(more)[-1]["status"]["spent"]["trials"] == 8

    longer = search(task, "--json", "--set", "budget.trials=9")
    assert longer.returncode == 0
    assert events(longer)[-1]["status"]["spent"]["trials"] == 9
    assert {k: v for k, v in outcomes(task).items() if k in before} == before

    changed = search(task, "--set", "metric=macro_f1", "--set", "seed=3")
    assert changed.returncode == 2
    assert 'metric: was "accuracy", is "macro_f1"' in changed.stderr
    assert "seed: was 0, is 3" in changed.stderr
    assert "set another `name:`" in changed.stderr
    (task.parent / "data.jsonl").write_text((task.parent / "data.jsonl").read_text().replace("wolf", "wolv"))
    moved = search(task)
    assert moved.returncode == 3
    assert "data.train" in moved.stderr
    assert "Traceback" not in changed.stderr + moved.stderr


def test_the_study_opens_in_optuna_dashboard(make_task: MakeTask) -> None:
    import socket
    import urllib.request

    task = make_task(methods=["prompt"], budget={"trials": 4})
    assert search(task).returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    storage = f"sqlite:///{task.parent}/runs/fruits/study.db"
    command = [Path(sys.executable).parent / "optuna-dashboard", storage, "--host", "127.0.0.1", "--port", str(port)]
    dashboard = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def studies() -> Any:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
                    return json.load(answer)["study_summaries"]
            except OSError:
                return None

        wait_for(studies, 40)
        (study,) = studies()
        assert study["study_name"] == "fruits"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies/{study['study_id']}", timeout=5) as answer:
            detail = json.load(answer)
        assert detail["objective_names"] == ["quality", "cost_usd_per_1k", "latency_ms"]
        assert len(detail["trials"]) >= 4
        assert "AutoAdapt: which of prompt" in detail["note"]["body"]
        notes = [trial["note"]["body"] for trial in detail["trials"]]
        assert all(note.startswith("`prompt template=") for note in notes)
        assert any("complete: prompt: quality" in note for note in notes)
    finally:
        dashboard.kill()
        dashboard.wait()


def test_same_seed_same_outcomes_with_a_kill_in_the_middle(make_task: MakeTask, tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "budget": {"trials": 5},
        "search": {"sampler": "random"},
        "compute": {"on_cpu": True, "slots": 1},
    }
    task = make_task(**changes)
    assert search(task).returncode == 0
    whole = outcomes(task)
    os.rename(tmp_path / "runs", tmp_path / "runs-whole")
    process = start(task)
    while finished_steps(task) < 3 and process.poll() is None:
        time.sleep(0.05)
    children = workers_of(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(c.is_running() and c.status() != "zombie" for c in children), 10)
    done = search(task, "--json")
    assert done.returncode == 0, done.stderr
    assert {k: v for k, v in outcomes(task).items() if "test" not in k} == {
        k: v for k, v in whole.items() if "test" not in k
    }
    assert "RUNNING" not in states(task)
    assert events(done)[-1]["status"]["spent"]["trials"] == 5


def test_killed_workers_cost_one_retry(make_task: MakeTask) -> None:
    task = make_task(budget={"trials": 6})
    process = start(task, "--json")
    killed = 0
    seen: set[str] = set()
    while process.poll() is None:
        running = [
            p.parent.name for p in (task.parent / "runs").glob("*/trials/*/rung0/heartbeat")
            if not (p.parent / "outcome.json").exists()
        ]  # fmt: skip
        children = [c for c in workers_of(process.pid) if process.poll() is None] if running else []
        fresh = [c for c in children if str(c.pid) not in seen]
        if fresh and killed < 2:
            seen.add(str(fresh[0].pid))
            fresh[0].kill()
            killed += 1
        time.sleep(0.3)
    out = process.communicate()[0]
    assert process.returncode == 0, out
    assert killed == 2
    assert "RUNNING" not in states(task)
    last = json.loads(out.splitlines()[-1])
    assert last["status"]["spent"]["trials"] == 6
    outcomes(task)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_after_bookkeeping_and_the_run_resumes(make_task: MakeTask, number: int, code: int) -> None:
    task = make_task(budget={"trials": 6})
    process = start(task)
    wait_for(lambda: finished_steps(task) >= 2)
    children = workers_of(process.pid)
    asked = time.monotonic()
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == code, out
    assert time.monotonic() - asked < 10
    assert "Run the same command to resume" in out
    assert not any(c.is_running() and c.status() != "zombie" for c in children)
    done = search(task, "--json")
    assert done.returncode == 0
    assert any(e["event"] == "resumed" for e in events(done))
    assert events(done)[-1]["status"]["spent"]["trials"] == 6
    outcomes(task)


def test_a_second_ctrl_c_ends_at_once(make_task: MakeTask) -> None:
    task = make_task(methods=["faulty"], space=FAULTY_SPACE.replace("FAULTS", "slow"), budget={"trials": 3})
    process = start(task)
    wait_for(lambda: list((task.parent / "runs").glob("*/trials/*/*/heartbeat")))
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - asked < 5


def test_failures_are_data_and_the_study_goes_on(make_task: MakeTask) -> None:
    faults = ["killed", "killed_once", "oom", "oom_once", "nan", "exit", "none"]
    first = "first:\n" + "".join(f"  - {{method: faulty, fault: {f}}}\n" for f in faults)
    space = FAULTY_SPACE.replace("FAULTS", ", ".join(faults)) + first
    task = make_task(methods=["faulty"], space=space, budget={"trials": len(faults)}, search={"rungs": False})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    told = events(run)
    failed = [e["message"] for e in told if e["event"] == "trial_failed"]
    tried = {f"{m.split(' ')[0]}" for m in failed}
    assert {"crash", "oom", "nan"} <= tried
    retried = [e["message"] for e in told if "tried once more" in e["message"]]
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


def test_a_repeated_candidate_is_answered_from_the_cache(make_task: MakeTask) -> None:
    space = SPACE.replace("shots: [0, 2, 4]", "shots: [0, 2]").replace("[random, balanced, nearest]", "random")
    task = make_task(methods=["prompt"], space=space.replace("[sum, mean, calibrated]", "sum"), budget={"trials": 50})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    status = events(run)[-1]["status"]
    assert status["spent"]["trials"] == 8, "2 templates x 2 instructions x 2 numbers of shots"
    assert status["cached"] >= 1
    assert any("searched through" in e["message"] for e in events(run))
    outcomes(task)


def test_a_budget_in_dollars_holds(make_task: MakeTask) -> None:
    task = make_task(
        methods=["faulty", "prompt"],
        space=FAULTY_SPACE.replace("FAULTS", "slow, none"),
        budget={"usd": 6.0},
        economics={"usd_per_hour": 1800},  # 50 cents a second
    )
    run = search(task, "--json")
    assert run.returncode in (0, 6), run.stderr
    status = events(run)[-1]["status"]
    assert status["spent"]["usd"] <= 6.0 + 1.0
    assert status["complete"] >= 1, "the budget pays for something"
    assert "RUNNING" not in states(task)
    richer = search(task, "--json", "--set", "budget.usd=11")
    assert events(richer)[-1]["status"]["spent"]["usd"] <= 12


def test_a_budget_in_hours_holds(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt", "lora"], budget={"hours": 15 / 3600})
    started = time.monotonic()
    run = search(task, "--json")
    assert run.returncode in (0, 6), run.stderr
    assert events(run)[-1]["status"]["spent"]["wall_seconds"] <= 17
    assert time.monotonic() - started < 25


def test_when_no_option_fits_it_ends_with_5(make_task: MakeTask) -> None:
    task = make_task(methods=["prompt"], budget={"trials": 2}, constraints={"latency_p95_ms": 0.001})
    run = search(task)
    assert run.returncode == 5
    assert "No option holds the constraints" in run.stdout


def test_free_text_is_searched_too(make_task: MakeTask) -> None:
    task = make_task(
        metric="exact_match",
        budget={"trials": 4},
        evaluation={
            "rows": 24,
            "test_rows": 20,
            "latency_requests": 60,
            "max_new_tokens": 6,
            "load_requests": 0,
            "learning_curve": False,
        },
    )
    run = search(task)
    assert run.returncode == 0, run.stderr
    line = (task.parent / "runs/fruits/trials/0000/predictions-validation.jsonl").read_text().splitlines()[0]
    assert set(json.loads(line)) == {"id", "score", "answer", "expected"}


def test_several_models_are_searched_over(make_task: MakeTask, tiny_model: Path, chat_model: Path) -> None:
    task = make_task(models=[str(tiny_model), str(chat_model)], methods=["prompt"], budget={"trials": 5})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    used = {json.loads(p.read_text())["candidate"]["model"] for p in (task.parent / "runs").rglob("trial.json")}
    assert used == {str(tiny_model), str(chat_model)}


def test_the_inline_executor_gives_the_same_numbers(make_task: MakeTask, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"budget": {"trials": 2}, "search": {"sampler": "random"}, "methods": ["prompt", "full"]}
    task = make_task(**changes, compute={"on_cpu": True, "slots": 1})
    assert search(task).returncode == 0
    local = outcomes(task)
    os.rename(tmp_path / "runs", tmp_path / "runs-local")
    task = make_task(**changes, compute={"on_cpu": True, "executor": "inline"})
    assert search(task).returncode == 0
    inline = outcomes(task)
    scores = {k: [r["stats"] for r in v["rows"]] for k, v in local.items() if "test" not in k}
    assert scores == {k: [r["stats"] for r in v["rows"]] for k, v in inline.items() if "test" not in k}


def test_a_deepspeed_study(make_task: MakeTask) -> None:
    task = make_task(
        methods=["lora", "full"],
        budget={"trials": 2},
        compute={"on_cpu": True, "slots": 1, "devices_per_trial": 2, "zero_stage": "auto"},
    )
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    assert not [e for e in events(run) if e["event"] == "trial_failed"]
    assert read(task, "frontier.json")[0]["test_quality"] is not None


@pytest.mark.slow
def test_killed_at_random_twenty_times(make_task: MakeTask) -> None:
    import random

    rng = random.Random(0)
    task = make_task(budget={"trials": 40}, search={"sampler": "random"})
    for _ in range(20):
        process = start(task)
        time.sleep(rng.uniform(1, 8))
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


def test_cost_aware_search_pauses_trials_and_goes_on_after_a_kill(make_task: MakeTask) -> None:
    task = make_task(
        rows=400,
        search={"sampler": "cost_aware"},
        budget={"trials": 10},
        evaluation={"rows": 120, "test_rows": 30, "latency_requests": 10, "load_requests": 0, "learning_curve": False},
        compute={"on_cpu": True, "slots": 1},
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
    assert any("/rung1" in key for key in after), "a paused trial was taken further"
    assert set(states(task)) <= {"COMPLETE", "PRUNED"}
    assert "PRUNED" in states(task)
