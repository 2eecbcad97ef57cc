"""Prompts that cannot fit a context are recognised before anything runs, and the counts are those of the worker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeTask
from job_runs import JobRun, causal_lm

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fit
from autoadapt.domain.outcome import Failure
from autoadapt.models.causal_lm import lengths
from autoadapt.models.causal_lm.lengths import too_long
from autoadapt.shelves import FAMILIES
from autoadapt.tasks.resolve import resolve
from autoadapt.worker.measuring import rows_of


def prompt_job(jobs: JobRun, shots: int) -> Fit:
    return jobs.fit("prompt", params={"shots": shots, "selector": "random"} if shots else {"shots": 0})


@pytest.mark.parametrize("shots", [0, 2, 16, 48])
def test_estimate_agrees_with_what_a_worker_finds(shots: int, tmp_path: Path, tiny_model: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    job = prompt_job(jobs, shots)
    train, validation = (rows_of(jobs.root, split) for split in ("train", "validation"))
    reason = too_long(tiny_model, 512, job, train, validation)
    result = jobs.run(job).result
    assert isinstance(result, Failure) == (reason is not None)
    if reason is not None:
        assert "does not fit the model's context" in result.reason  # type: ignore[union-attr]
        assert f"{shots} shots" in reason
        assert "512 tokens" in reason


def test_prompts_of_candidates_that_differ_in_their_training_are_counted_once(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    count = lengths._counts

    def counting(folder: Path, texts: Sequence[str]) -> list[int]:
        counted.append(len(texts))
        return count(folder, texts)

    monkeypatch.setattr(lengths, "_counts", counting)
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    train, validation = (rows_of(jobs.root, split) for split in ("train", "validation"))
    jobs_of = [jobs.fit("lora", trial=i, params={"learning_rate": 1e-3 * (i + 1)}) for i in range(20)]
    # the prompts of this test alone: what other tests have counted is kept
    prompt = jobs_of[0].prompt.model_copy(update={"instruction": "Counted once."})
    for job in jobs_of:
        assert too_long(tiny_model, 512, job.model_copy(update={"prompt": prompt}), train, validation) is None
    assert counted.count(len(validation)) == 1


def test_family_counts_without_torch_and_leaves_other_models_alone(tmp_path: Path, tiny_model: Path) -> None:
    jobs = JobRun(tmp_path / "run", causal_lm(tiny_model))
    splits = {split: rows_of(jobs.root, split) for split in ("train", "validation")}
    assert FAMILIES.get("causal_lm").obstacle(jobs.model, prompt_job(jobs, 48), splits)
    assert FAMILIES.get("causal_lm").obstacle(jobs.model, prompt_job(jobs, 0), splits) is None
    assert FAMILIES.get("scripted").obstacle(jobs.model, prompt_job(jobs, 48), splits) is None


def test_more_shots_than_rows_cannot_work_on_any_model(make_task: MakeTask) -> None:
    resolved = resolve(make_task(rows=60))
    rows = len(resolved.splits.train)

    def obstacle(shots: int) -> str | None:
        params: dict[str, Any] = {"template": "plain", "instruction": "none", "shots": shots}
        return resolved.obstacle(Candidate(method="prompt", model="scripted", params=params))

    assert obstacle(rows) is None
    assert obstacle(rows + 1) == f"{rows + 1} shots, but there are only {rows} training rows"
