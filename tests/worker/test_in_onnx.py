"""An option that is tried in ONNX: equal answers, times of both forms in turn, and its own load test."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from job_runs import DEVICES, JobRun, encoder
from label_set_rows import LabelSetRun

from autoadapt.domain.jobs import Fit
from autoadapt.domain.method import Answer
from autoadapt.domain.outcome import Failure, OnnxTimes
from autoadapt.worker import in_onnx
from autoadapt.worker.onnx_part import OnnxPart

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def jobs(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> JobRun:
    return JobRun(tmp_path_factory.mktemp("onnx") / "run", encoder(tiny_encoder))


@pytest.fixture(scope="module")
def fitted(jobs: JobRun) -> Fit:
    job = jobs.fit("lora")
    jobs.measure(job)
    return job


def test_a_trained_option_answers_equally_and_is_timed_in_both_forms(jobs: JobRun, fitted: Fit) -> None:
    outcome = jobs.run(jobs.in_onnx(fitted))
    times = outcome.result
    assert isinstance(times, OnnxTimes), times
    assert times.rows == 12
    assert times.largest_difference is not None
    assert times.largest_difference < 1e-4
    assert len(times.torch_ms) == len(times.onnx_ms) == 12, "as many requests to either"
    assert times.onnx_bytes > 10_000
    assert times.load is not None
    assert times.load.single_requests >= 10
    assert times.load.cold_start_s is not None
    left = [path.name for path in (jobs.root / fitted.state_folder).iterdir() if ".onnx-" in path.name]
    assert left == [], "the model in ONNX is made anew by an export"


@pytest.fixture
def converted_once(
    jobs: JobRun, fitted: Fit, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversion takes seconds: what fails afterwards is tested with one that was made before."""
    folder = tmp_path_factory.getbasetemp() / "converted"
    if not folder.is_dir():
        folder.mkdir()
        in_onnx.copy_to_onnx(jobs.artifact(fitted), folder, jobs.workshop, DEVICES)
    monkeypatch.setattr(
        in_onnx, "copy_to_onnx", lambda artifact, target, *others: shutil.copytree(folder, target, dirs_exist_ok=True)
    )


@pytest.mark.usefixtures("converted_once")
def test_an_option_that_answers_otherwise_is_not_served_in_onnx(
    jobs: JobRun, fitted: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(OnnxPart):
        def answer(self, inputs: Sequence[str]) -> list[Answer]:
            answers = super().answer(inputs)
            return [dataclasses.replace(a, log_probs=tuple(p - 0.01 for p in a.log_probs)) for a in answers]

    monkeypatch.setattr(in_onnx, "OnnxPart", Wrong)
    failure = jobs.run(jobs.in_onnx(fitted, attempt=2)).result
    assert isinstance(failure, Failure)
    assert failure.failure_class == "data"
    assert "differ by up to 0.01" in failure.reason


@pytest.mark.usefixtures("converted_once")
def test_a_task_may_ask_for_no_load_test(jobs: JobRun, fitted: Fit) -> None:
    times = jobs.run(jobs.in_onnx(fitted, requests=0, attempt=1)).result
    assert isinstance(times, OnnxTimes), times
    assert times.load is None


@pytest.mark.usefixtures("converted_once")
def test_too_little_time_is_a_failure(jobs: JobRun, fitted: Fit) -> None:
    failure = jobs.run(jobs.in_onnx(fitted, seconds=1e-6, attempt=3)).result
    assert isinstance(failure, Failure)
    assert failure.failure_class == "timeout"


def test_a_damaged_artifact_is_a_failure_with_its_reason(jobs: JobRun) -> None:
    other = jobs.fit("head", trial=1)
    jobs.measure(other)
    shutil.rmtree(jobs.artifact(other))
    failure = jobs.run(jobs.in_onnx(other)).result
    assert isinstance(failure, Failure)
    assert "option.json is missing" in failure.reason


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["contrastive", "sets of labels"])
def test_other_kinds_answer_equally_too(kind: str, tiny_encoder: Path, tmp_path: Path) -> None:
    if kind == "contrastive":
        jobs = JobRun(tmp_path / "run", encoder(tiny_encoder))
        fit = jobs.fit("contrastive", params={"learning_rate": 2e-3, "batch_size": 8, "pairs_per_row": 2})
    else:
        jobs = LabelSetRun(tmp_path / "run", encoder(tiny_encoder))
        fit = jobs.fit_sets("head")
    jobs.measure(fit)
    times = jobs.run(jobs.in_onnx(fit)).result
    assert isinstance(times, OnnxTimes), times
    assert times.rows == 12
