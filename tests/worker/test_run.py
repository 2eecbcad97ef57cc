"""One job to one outcome, on a family that needs no torch."""

import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import environment
from job_runs import DEVICES, SPLITS, JobRun, quality, scripted
from remote_server import chat_server
from scripted_family import ScriptedAdapted

from autoadapt.domain.choice import PluginChoice
from autoadapt.domain.jobs import Fidelity, TrainingSettings
from autoadapt.domain.load import Load
from autoadapt.domain.method import Answer
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.usage import Usage
from autoadapt.metrics.accuracy import Accuracy
from autoadapt.shelves import FAMILIES
from autoadapt.worker.meters import Meters
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop, should_retire

HALF = Fidelity(rows=12, steps=0.5, latency_requests=0)


@pytest.fixture
def jobs(tmp_path: Path) -> JobRun:
    return JobRun(tmp_path / "run", scripted())


def test_a_fit_measures_validation_rows_and_leaves_predictions(jobs: JobRun) -> None:
    job = jobs.fit("prompt", params={"shots": 4, "selector": "balanced"})
    measurement = jobs.measure(job)
    assert len(measurement.rows) == SPLITS["validation"]
    assert len(measurement.latency_ms) == 3
    assert measurement.judging == type(measurement.judging)()
    assert measurement.training.total_device_seconds < 1, "of choosing examples"
    assert measurement.training.model_copy(update={"device_seconds": {}}) == type(measurement.judging)()
    assert len(jobs.predictions(job).splitlines()) == SPLITS["validation"]


def test_usage_is_device_time_and_tokens_of_training_and_of_answering(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted("step_seconds=0.01,row_seconds=0.002"))
    outcome = jobs.run(jobs.fit("lora"))
    measurement = outcome.result
    assert isinstance(measurement, Measurement)
    kind = DEVICES.kind
    assert measurement.training.device_seconds[kind] == pytest.approx(measurement.train_seconds)
    assert measurement.train_seconds >= 0.01 * measurement.train_steps
    assert measurement.training.tokens_in == measurement.train_tokens
    assert measurement.answering.device_seconds[kind] == pytest.approx(measurement.inference_seconds)
    read = measurement.answering.tokens_in + measurement.answering.tokens_cached
    assert read == sum(row.tokens_in for row in measurement.rows)
    assert outcome.usage.device_seconds[kind] == pytest.approx(outcome.seconds)
    assert 0 < outcome.fit_measure_seconds <= outcome.seconds


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_score_that_is_not_finite_is_a_failure_whose_time_counts(
    jobs: JobRun, score: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accuracy, "row", lambda self, answered: [score])
    outcome = jobs.run(jobs.fit("prompt"))
    assert isinstance(outcome.result, Failure)
    assert (outcome.result.failure_class, outcome.result.stage) == ("nan", "measure")
    assert outcome.usage.device_seconds[DEVICES.kind] > 0


def test_latency_of_zero_is_a_failure(jobs: JobRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meters, "timed", lambda self, work: (work(), 0.0))
    failure = jobs.failure(jobs.fit("prompt"))
    assert failure.failure_class == "nan"
    assert "the clock cannot be trusted" in failure.reason


def test_a_metric_that_costs_money_is_billed_to_the_job(jobs: JobRun) -> None:
    metric = PluginChoice.model_validate({"judged_accuracy": {"usd_per_row": 0.01}})
    outcome = jobs.run(jobs.fit("prompt", metric=metric))
    assert isinstance(outcome.result, Measurement)
    assert outcome.result.judging.usd == pytest.approx(0.01 * SPLITS["validation"])
    assert outcome.usage.usd == pytest.approx(0.01 * SPLITS["validation"])
    assert outcome.result.answering.usd == 0


def test_every_request_to_a_server_is_billed_and_the_option_pays_for_its_answers(
    jobs: JobRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbilled = ScriptedAdapted.answer

    def answer(self: ScriptedAdapted, inputs: Sequence[str]) -> list[Answer]:
        return [replace(one, usage=Usage(usd=0.01)) for one in unbilled(self, inputs)]

    monkeypatch.setattr(ScriptedAdapted, "answer", answer)
    fitted = jobs.fit("prompt")
    outcome = jobs.run(fitted)
    assert isinstance(outcome.result, Measurement)
    assert outcome.result.answering.usd == pytest.approx(0.01 * SPLITS["validation"])
    assert outcome.usage.usd == pytest.approx(0.01 * (SPLITS["validation"] + 3 + 3)), "three of warm-up, three timed"
    load = jobs.run(jobs.load_test(fitted))
    assert isinstance(load.result, Load)
    counted = sum(batch.rows for batch in load.result.batches) + load.result.warm_up + 1
    first_batches = sum({batch.rows for batch in load.result.batches})
    assert 0.01 * counted <= load.usage.usd <= 0.01 * (counted + first_batches) + 1e-9, "some are left out as warm-up"


def test_more_training_steps_give_a_better_model(jobs: JobRun) -> None:
    values = [
        quality(jobs.measure(jobs.fit("full", trial=i, fidelity=Fidelity(rows=36, steps=share, latency_requests=0))))
        for i, share in enumerate((0.1, 0.5, 1.0))
    ]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_a_further_rung_continues_from_the_checkpoint(jobs: JobRun) -> None:
    first = jobs.measure(jobs.fit("lora", fidelity=HALF, keep_checkpoint=True))
    assert list((jobs.root / "trials/0000").glob("checkpoint-*"))
    assert not jobs.artifact(jobs.fit("lora")).exists()
    second = jobs.fit("lora", rung=1)
    whole = jobs.measure(second)
    assert whole.train_steps == 2 * first.train_steps
    assert whole.train_seconds >= first.train_seconds
    assert jobs.artifact(second).exists()
    apart = jobs.measure(jobs.fit("lora", trial=1))
    assert [row.stats for row in apart.rows] == [row.stats for row in whole.rows]


def test_score_and_load_test_answer_with_the_artifact(jobs: JobRun) -> None:
    fitted = jobs.fit("lora")
    jobs.measure(fitted)
    assert len(jobs.measure(jobs.score(fitted)).rows) == SPLITS["test"]
    load = jobs.run(jobs.load_test(fitted)).result
    assert isinstance(load, Load)
    assert load.cold_start_s is not None
    assert load.hardware == DEVICES.kind
    assert load.runs[0].rate == 1.0


def test_a_refit_uses_fewer_rows_and_answers_test_rows(jobs: JobRun) -> None:
    fitted = jobs.fit("full")
    whole = jobs.measure(fitted)
    refit = jobs.refit(fitted, train_rows=16)
    fewer = jobs.measure(refit)
    assert fewer.train_steps < whole.train_steps
    assert len(fewer.rows) == len(jobs.predictions(refit).splitlines()) == SPLITS["test"]


@pytest.mark.parametrize(
    ("fault", "failure_class", "stage"), [("oom", "oom", "fit"), ("nan", "nan", "fit"), ("disk", "disk", "fit")]
)
def test_what_a_method_raises_is_a_failure_by_class(jobs: JobRun, fault: str, failure_class: str, stage: str) -> None:
    failure = jobs.failure(jobs.fit("faulty", params={"fault": fault}))
    assert (failure.failure_class, failure.stage) == (failure_class, stage)


def test_out_of_memory_once_succeeds_with_smaller_parts(jobs: JobRun) -> None:
    assert jobs.failure(jobs.fit("faulty", params={"fault": "oom_once"})).failure_class == "oom"
    smaller = TrainingSettings(micro_batches=2)
    jobs.measure(jobs.fit("faulty", params={"fault": "oom_once"}, attempt=1, training=smaller))


def test_a_full_disk_is_known_when_a_library_says_it_in_words(jobs: JobRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    def save(folder: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("autoadapt.worker.artifacts.hash_files", save)
    assert jobs.failure(jobs.fit("prompt")).failure_class == "disk"


def test_what_a_plugin_draws_at_random_repeats_with_the_job(jobs: JobRun, monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    import numpy

    from autoadapt.shelves import METHODS

    drawn = []

    def draw(job: object, *arguments: object) -> object:
        drawn.append((random.random(), float(numpy.random.random())))
        return fit(job, *arguments)

    method = METHODS.get("prompt")
    fit = method.fit
    monkeypatch.setattr(method, "fit", draw)
    for seed, attempt in ((7, 0), (8, 0), (7, 1)):
        jobs.measure(jobs.fit("prompt", seed=seed, attempt=attempt))
    assert drawn[0] == drawn[2] != drawn[1]


def test_an_unknown_method_and_an_unknown_family_are_failures_of_the_configuration(jobs: JobRun) -> None:
    assert "did you mean 'prompt'" in jobs.failure(jobs.fit("promt")).reason
    unknown = jobs.model.model_copy(update={"family": "scriptet"})
    failure = jobs.failure(jobs.fit("prompt", model=unknown))
    assert (failure.failure_class, failure.stage) == ("config", "load")


def test_prompts_that_do_not_fit_the_context_are_refused(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted("context_length=5"))
    assert "does not fit the model's context" in jobs.failure(jobs.fit("prompt", params={"shots": 8})).reason


def test_a_job_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "trials" / "0000" / "fit"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text('{"version": 2')
    outcome = run_job(folder, Place(devices=DEVICES), Workshop())
    assert isinstance(outcome.result, Failure)
    assert outcome.result.failure_class == "config"
    assert (folder / "outcome.json").exists()


def test_running_out_of_memory_and_growing_retire_a_worker(jobs: JobRun) -> None:
    good = jobs.run(jobs.fit("prompt"))
    assert not should_retire(good, good, jobs.workshop)
    assert should_retire(good, jobs.run(jobs.fit("faulty", params={"fault": "oom"})), jobs.workshop)
    grown = Outcome(**{**vars(good), "worker_rss_bytes": 3 * good.worker_rss_bytes + 2**32})
    assert should_retire(good, grown, jobs.workshop)


def test_a_rank_that_only_helps_to_train_reports_no_rows(jobs: JobRun, tmp_path: Path) -> None:
    from threading import Thread

    job, place = jobs.fit("lora"), {"world": 2, "meeting_file": str(tmp_path / "meeting")}
    follower = JobRun(tmp_path / "other", scripted())
    outcomes: list[Outcome] = []
    thread = Thread(target=lambda: outcomes.append(follower.run(job, rank=1, **place)))
    thread.start()
    leader = jobs.run(job, rank=0, **place)
    thread.join()
    assert isinstance(leader.result, Measurement)
    assert len(leader.result.rows) == SPLITS["validation"]
    assert isinstance(outcomes[0].result, Measurement)
    assert outcomes[0].result.rows == []


def test_a_worker_process_on_a_scripted_model_imports_no_torch(jobs: JobRun) -> None:
    fitted = jobs.fit("lora")
    imports_no_torch([jobs.folder(job) for job in (fitted, jobs.score(fitted), jobs.load_test(fitted))])


def test_a_worker_process_on_a_model_behind_a_server_imports_no_torch(tmp_path: Path) -> None:
    with chat_server() as (url, _):
        jobs = JobRun(tmp_path / "run", FAMILIES.get("remote").find(f"server:m@{url}", tmp_path, download=False))
        fitted = jobs.fit("prompt")
        imports_no_torch([jobs.folder(job) for job in (fitted, jobs.score(fitted))])


def imports_no_torch(folders: list[Path]) -> None:
    """Runs jobs in a process of their own, which must do without torch and its kin."""
    program = f"""
import sys
from pathlib import Path
from autoadapt.domain.outcome import Failure
from autoadapt.worker.hardware import own_devices
from autoadapt.worker.place import Place
from autoadapt.worker.run import run_job
from autoadapt.worker.workshop import Workshop
workshop = Workshop()
for folder in {[str(f) for f in folders]!r}:
    outcome = run_job(Path(folder), Place(devices=own_devices()), workshop)
    assert not isinstance(outcome.result, Failure), outcome.result
heavy = {{"torch", "transformers", "peft", "deepspeed", "datasets", "optuna"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_load_test_begins_no_batch_that_it_has_no_time_for(tmp_path: Path) -> None:
    jobs = JobRun(tmp_path / "run", scripted("row_seconds=0.01"))
    fitted = jobs.fit("prompt")
    jobs.measure(fitted)
    # twenty requests of ten milliseconds leave less than half of the time: larger batches would last longer than that
    load = jobs.run(jobs.load_test(fitted, requests=20, rate=1.0, seconds=0.35)).result
    assert isinstance(load, Load)
    assert load.single_requests >= 10, "single requests come first"
    assert max(batch.rows for batch in load.batches) < 32
    assert sum(batch.seconds for batch in load.batches) < 0.5
