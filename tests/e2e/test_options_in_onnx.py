"""A search whose options are tried in ONNX at its end: their times, what is said of them, and what is exported."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from conftest import EVALUATION, call, task_writer
from searches import read, search

from autoadapt.bundle.loaded import read_bundle
from autoadapt.study.served_trials import SAME_LATENCY

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def task(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Task file of a finished search that measured one classifier on the states of an encoder."""
    write = task_writer(tmp_path_factory.mktemp("onnx"), str(tiny_encoder))
    evaluation = {**EVALUATION, "onnx": True, "load_requests": 60, "load_seconds": 3}
    # answers in ONNX are compared with those that were measured, which are coarser in bf16
    compute = {"on_cpu": True, "precision": "fp32"}
    file = write(methods=["head"], budget={"trials": 1}, search_space="quick", evaluation=evaluation, compute=compute)
    run = search(file)
    assert run.returncode == 0, run.stderr + run.stdout
    return file


def result_of(task: Path, job: str) -> dict[str, Any]:
    (file,) = (task.parent / "runs" / "fruits" / "trials").glob(f"0000/{job}/outcome.json")
    return dict(json.loads(file.read_text())["result"])


def test_times_are_those_in_onnx(task: Path) -> None:
    (option,) = (o for o in read(task, "frontier.json") if o["method"] == "head")
    tried, fitted = result_of(task, "onnx"), result_of(task, "rung0")
    assert tried["kind"] == "onnx", tried
    single = statistics.median(tried["onnx_ms"]) / statistics.median(tried["torch_ms"])
    assert single * SAME_LATENCY <= 1, "a tiny model spends its time in Python"
    assert option["onnx"]["of_trial"] == 0
    measured = statistics.median(fitted["latency_ms"])
    assert option["latency_p50_ms"] == pytest.approx(measured * single, rel=0.25)
    loads = list((task.parent / "runs" / "fruits" / "trials").glob("0000/load_test"))
    assert loads == [], "it was measured under load as it is served"
    (raw,) = (o for o in read(task, "results.json")["measured"] if o["trial"] == 0)
    assert raw["load"]["batches"] == tried["load"]["batches"]


def test_the_report_says_so_and_a_resumed_search_does_not_try_again(task: Path) -> None:
    folder = task.parent / "runs" / "fruits"
    shown = call("report", folder, "--all")
    assert "Trial 0 is served in ONNX" in " ".join(shown.stdout.split())
    assert "is served in ONNX" in (folder / "report.html").read_text()
    assert search(task).returncode == 0
    assert len(list(folder.glob("trials/*/onnx*"))) == 1
    (option,) = (o for o in read(task, "frontier.json") if o["method"] == "head")
    assert option["onnx"] is not None


@pytest.mark.slow
def test_it_is_exported_as_it_was_measured(task: Path, tmp_path: Path) -> None:
    run = task.parent / "runs" / "fruits"
    assert call("export", run, tmp_path / "bundle").returncode == 0
    assert [part.kind for part in read_bundle(tmp_path / "bundle").parts] == ["onnx"]
