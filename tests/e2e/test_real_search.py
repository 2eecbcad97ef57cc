"""Whole searches on real models: labels, free text, DeepSpeed, chat templates; and what they leave on disk."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask, call, task_writer
from searches import events, outcomes, read, search, wait_for

from autoadapt.domain.jobs import JOB


@pytest.fixture(scope="module")
def label_study(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Task file of a finished search over prompt, LoRA and full fine-tuning of the tiny real model."""
    folder = tmp_path_factory.mktemp("labels")
    task = task_writer(folder, str(tiny_model))(budget={"trials": 8})
    run = search(task)
    assert run.returncode == 0, run.stderr
    (folder / "printed.txt").write_text(run.stdout)
    return task


def test_options_are_told_with_intervals_and_none_dominates_another(label_study: Path) -> None:
    options = read(label_study, "frontier.json")
    wanted = {
        "trial", "method", "params", "quality", "quality_ci", "test_quality", "test_quality_ci", "cost_usd_per_1k",
        "latency_p95_ms", "train_seconds", "values",
    }  # fmt: skip
    assert all(wanted <= set(o) for o in options)
    for option in options:
        assert option["quality_ci"][0] <= option["quality"] <= option["quality_ci"][1]
        assert option["test_quality_ci"][0] <= option["test_quality"] <= option["test_quality_ci"][1]
    front = [o for o in options if o["on_frontier"]]
    for one in front:
        for other in front:
            dominates = (
                other["quality_expected"] >= one["quality_expected"]
                and other["cost_usd_per_1k"] < one["cost_usd_per_1k"]
                and other["latency_p95_ms"] < one["latency_p95_ms"]
            )
            assert not dominates
    tuned = [o for o in front if o["method"] != "prompt"]
    assert max(o["quality"] for o in tuned) > 0.8, "a tuned model learns three kinds of words"


def test_recommendation_is_on_the_frontier_and_printed(label_study: Path) -> None:
    printed = (label_study.parent / "printed.txt").read_text()
    assert re.search(r"Recommended: .+ \(trial \d+\)", printed)
    assert re.search(r"the untuned\s+prompt", printed)
    (advice,) = read(label_study, "recommendations.json")
    assert advice["trial"] in {o["trial"] for o in read(label_study, "frontier.json") if o["on_frontier"]}
    assert advice["reason"]
    results = read(label_study, "results.json")
    assert results["spent"]["trials"] == 8
    assert set(results["methods"]) <= {"prompt", "lora", "full"}


def test_artifacts_of_the_frontier_alone_are_kept(label_study: Path) -> None:
    root = label_study.parent / "runs" / "fruits"
    options = read(label_study, "frontier.json")
    kept = {int(p.parent.name) for p in root.glob("trials/*/artifact")}
    frontier = {o["trial"] for o in options if o["on_frontier"]}
    assert frontier <= kept
    trained = {o["trial"] for o in options if o["method"] != "prompt"}
    # an option that is on the frontier by single requests and not under load keeps its weights
    assert trained <= {t for t in kept if list((root / f"trials/{t:04d}/artifact").glob("*.safetensors"))}
    assert not list(root.glob("trials/*/checkpoint-*"))
    for file in root.rglob("*"):
        assert file.suffix not in (".bin", ".pt", ".pkl", ".pickle")


def test_report_repeats_the_result(label_study: Path) -> None:
    root, printed = label_study.parent / "runs" / "fruits", (label_study.parent / "printed.txt").read_text()
    again = call("report", root)
    assert again.returncode == 0
    assert again.stdout.split("Recommended")[1] == printed.split("Recommended")[1]
    assert json.loads(call("report", root, "--json").stdout)["options"] == read(label_study, "frontier.json")
    csv = (root / "frontier.csv").read_text().splitlines()
    assert len(csv) == len(read(label_study, "frontier.json")) + 1


def test_study_opens_in_optuna_dashboard(make_task: MakeTask) -> None:
    import socket

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


def test_free_text_is_searched_too(make_real_task: MakeTask) -> None:
    task = make_real_task(
        metric="exact_match",
        budget={"trials": 4},
        evaluation={
            "rows": 24,
            "test_rows": 20,
            "latency_requests": 60,
            "max_new_tokens": 6,
            "load_requests": 0,
            "robustness": False,
            "learning_curve": False,
        },
    )
    run = search(task)
    assert run.returncode == 0, run.stderr
    line = (task.parent / "runs/fruits/trials/0000/predictions-validation.jsonl").read_text().splitlines()[0]
    assert set(json.loads(line)) == {"id", "score", "answer", "expected"}


def test_several_models_are_searched_over(make_real_task: MakeTask, tiny_model: Path, chat_model: Path) -> None:
    models = [str(tiny_model), str(chat_model), "scripted"]
    task = make_real_task(models=models, methods=["prompt"], budget={"trials": 5})
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    jobs = [JOB.validate_json(p.read_bytes()) for p in (task.parent / "runs").rglob("job.json")]
    assert {job.candidate.model for job in jobs} == set(models)
    assert {job.model.family for job in jobs} == {"causal_lm", "scripted"}


def test_inline_executor_gives_the_same_numbers(make_task: MakeTask, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"budget": {"trials": 3}, "search": {"sampler": "random"}}
    task = make_task(**changes, compute={"on_cpu": True, "slots": 1})
    assert search(task).returncode == 0
    local = outcomes(task)
    os.rename(tmp_path / "runs", tmp_path / "runs-local")
    task = make_task(**changes, compute={"on_cpu": True, "executor": "inline"})
    assert search(task).returncode == 0
    inline = outcomes(task)
    scores = {k: [r["stats"] for r in v["rows"]] for k, v in local.items() if "score" not in k}
    assert scores == {k: [r["stats"] for r in v["rows"]] for k, v in inline.items() if "score" not in k}


def test_deepspeed_study(make_real_task: MakeTask) -> None:
    task = make_real_task(
        methods=["lora", "full"],
        budget={"trials": 2},
        compute={"on_cpu": True, "slots": 1, "devices_per_trial": 2, "zero_stage": "auto"},
    )
    run = search(task, "--json")
    assert run.returncode == 0, run.stderr
    assert not [e for e in events(run) if e["event"] == "trial_failed"]
    assert read(task, "frontier.json")[0]["test_quality"] is not None
