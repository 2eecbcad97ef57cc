"""Exports without a search: artifacts of single jobs, and what the rest of a run would say of them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import job_runs
import pytest
from job_runs import CLASSICAL, DEVICES, JobRun

from autoadapt.bundle.checking import WITHOUT_AUTOADAPT
from autoadapt.bundle.description import Handover, Scores
from autoadapt.bundle.making import make_bundle
from autoadapt.bundle.sources import PartSource, Source, _confidences
from autoadapt.domain.jobs import Fit
from autoadapt.domain.model import ModelReference
from autoadapt.domain.option import Option, cascade_number
from autoadapt.domain.task import Task
from autoadapt.files import read_rows
from autoadapt.runs.study import Study
from autoadapt.study.confidences import read_predictions

ROWS = 60
LOCK = {"hardware": DEVICES.model_dump(), "identity": {"data": {"test": "0" * 64}}, "versions": {"python": "3"}}


def job_run(root: Path, model: ModelReference, text: bool = False) -> JobRun:
    """A run folder with 60 test rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(job_runs.SPLITS, "train", 30)
        patch.setitem(job_runs.SPLITS, "test", ROWS)
        return JobRun(root, model, text)


def fitted(run: JobRun, method: str, trial: int = 0, params: dict[str, Any] | None = None, **changes: Any) -> Fit:
    """A job that was fitted and scored on all test rows."""
    job = run.fit(method, trial, params, **changes)
    run.measure(job)
    run.measure(run.score(job, rows=ROWS))
    return job


def part_of(run: JobRun, job: Fit) -> PartSource:
    """What is exported of a job."""
    state = run.root / job.state_folder
    lines = read_predictions(state / "predictions-test.jsonl")
    stated = _confidences(state, False, "test", [line["id"] for line in lines])
    lines = [{**line, "confidence": confidence} for line, confidence in zip(lines, stated, strict=True)]
    return PartSource(job.trial, run.artifact(job), False, "test", lines)


def source_of_jobs(run: JobRun, jobs: Sequence[Fit], cascade: Handover | None = None) -> Source:
    """What a run with these jobs would export: one of them, or a cascade of two."""
    task = Task.model_validate(
        {
            "name": "fruits",
            "data": {"path": "data.jsonl", "columns": {"input": "text", "output": "label"}},
            "metric": run.metric,
            "models": ["embedded"],
            "budget": {"trials": 1},
            "economics": {"usd_per_hour": 1},
        }
    )
    study = SimpleNamespace(root=run.root, lock=LOCK, task=task, price_source="given in the task")
    number = jobs[0].trial if cascade is None else cascade_number(jobs[0].trial, jobs[1].trial)
    option = Option(
        trial=number,
        method=jobs[0].candidate.method if cascade is None else "cascade",
        model=jobs[0].model.name,
        params=jobs[0].candidate.params,
        quality=0.5,
        quality_ci=(0.4, 0.6),
        quality_expected=0.5,
        train_seconds=1.0,
        artifact_bytes=1,
        peak_memory_bytes=1,
        values={"quality": 0.5},
        latency_p50_ms=1.0,
        latency_p95_ms=None,
        cost_usd_per_1k=0.1,
        inference_usd_per_1k=0.1,
        training_usd=0.1,
    )
    return Source(
        study=cast(Study, study),
        option=option,
        parts=tuple(part_of(run, job) for job in jobs),
        cascade=cascade,
        quality=Scores(split="test", value=0.5, low=0.4, high=0.6, rows=ROWS),
        rows=tuple(read_rows(run.root / "data" / "test.jsonl")),
    )


def words_bundle(folder: Path) -> Path:
    """A bundle of counts of words, which a fresh process loads without torch."""
    run = job_run(folder / "run", CLASSICAL)
    make_bundle(source_of_jobs(run, [fitted(run, "tfidf")]), folder / "bundle")
    return folder / "bundle"


def ask_alone(bundle: Path, texts: Sequence[str]) -> list[str]:
    """Answers by the bundle's predict.py, in a process in which AutoAdapt cannot be imported, elsewhere on the disk."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    command = [sys.executable, "-I", "-c", WITHOUT_AUTOADAPT, str(bundle / "predict.py"), "-", "--device", "cpu"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["answer"] for line in done.stdout.split("\n")[:-1]]
