"""Prompts that have not fitted into their model's context keep longer ones from being tried."""

from pathlib import Path

from job_bench import fit_job

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Devices
from autoadapt.domain.outcome import Failure, FailureClass, Outcome
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.long_prompts import LongPrompts


def prompt(shots: int, selector: str = "nearest", model: str = "m") -> Candidate:
    return Candidate(method="prompt", model=model, params={"shots": shots, "selector": selector})


def failed(folder: RunFolder, trial: int, candidate: Candidate, failure_class: FailureClass = "context") -> None:
    job = fit_job(trial, {}).model_copy(update={"candidate": candidate})
    failure = Failure(stage="measure", failure_class=failure_class, reason="the prompts do not fit")
    outcome = Outcome.of(job, failure, Devices(kind="x", count=1, accelerator="cpu"), 1.0)
    folder.add(folder.root / f"{trial}", job, outcome)


def test_prompts_that_are_no_shorter_than_one_that_did_not_fit_are_not_tried(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, lasting=False)
    long = LongPrompts(folder, lambda candidate: 10.0 * int(candidate.params["shots"]))
    assert long.obstacle(prompt(16)) is None
    failed(folder, 3, prompt(16))
    failed(folder, 4, prompt(12))
    failed(folder, 5, prompt(2), "nan")
    obstacle = long.obstacle(prompt(12))
    assert obstacle is not None
    assert "the prompts of trial 4" in obstacle
    assert long.obstacle(prompt(16)) is not None
    assert long.obstacle(prompt(8)) is None
    assert long.obstacle(prompt(16, "random")) is None, "other examples may be shorter"
    assert long.obstacle(prompt(16, model="another")) is None
