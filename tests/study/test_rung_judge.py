"""What follows from a finished rung: a part of a training that is at chance is not judged."""

from pathlib import Path

import pytest
from job_bench import fit_job
from scripted_task import write_scripted_task

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Fit
from autoadapt.domain.outcome import Measurement, RowResult
from autoadapt.study.rung_judge import RungJudge
from autoadapt.tasks.resolve import ResolvedTask, resolve

ROWS = 36


@pytest.fixture
def resolved(tmp_path: Path) -> ResolvedTask:
    return resolve(write_scripted_task(tmp_path))


def fit(trial: int, steps: float = 1 / 3, method: str = "lora") -> Fit:
    job = fit_job(trial, {}, method=method)
    return job.model_copy(update={"fidelity": Fidelity(rows=ROWS, steps=steps, latency_requests=5)})


def measured(quality: float, steps: int = 0, planned: int = 0) -> Measurement:
    """Quality on `ROWS` rows; cost and latency are equal for all."""
    right = round(quality * ROWS)
    return Measurement(
        rows=[RowResult(id=i, stats=[float(i < right)], tokens_in=1, tokens_out=1) for i in range(ROWS)],
        train_steps=steps,
        train_steps_planned=planned,
        inference_seconds=1.0,
        latency_ms=[10.0] * 60,
        peak_memory_bytes=1,
        parameters_total=1,
    )


def test_chance_is_the_share_of_the_most_frequent_training_label(resolved: ResolvedTask) -> None:
    outputs = [row.outputs[0] for row in resolved.splits.train]
    frequent = max(set(outputs), key=outputs.count)
    rows = resolved.splits.validation[: resolved.validation_rows]
    share = sum(row.outputs[0] == frequent for row in rows) / len(rows)
    assert resolved.chance() == pytest.approx(share)


def test_part_of_a_training_that_is_at_chance_goes_on_and_is_no_peer(resolved: ResolvedTask) -> None:
    judge = RungJudge(resolved, pauses=False)
    assert judge.chance is not None
    for trial, quality in enumerate((0.9, 0.9, 0.9, 0.9)):
        judge.judge(fit(trial), measured(quality), last=False)
    assert judge.judge(fit(5), measured(judge.chance + 0.4), last=False).step == "stop"
    judgement = judge.judge(fit(6), measured(judge.chance), last=False)
    assert (judgement.step, "at chance" in judgement.message) == ("promote", True)
    lucky = RungJudge(resolved, pauses=False)
    for trial in range(4):
        lucky.judge(fit(trial), measured(judge.chance), last=False)
    for trial, quality in ((5, 0.9), (6, 0.9), (7, 0.9)):
        lucky.judge(fit(trial), measured(quality), last=False)
    assert lucky.judge(fit(8), measured(0.8), last=False).step == "stop", (
        "those at chance would make it the better half"
    )


def test_whole_training_at_chance_is_complete(resolved: ResolvedTask) -> None:
    judge = RungJudge(resolved, pauses=False)
    assert judge.chance is not None
    assert judge.judge(fit(1, steps=1.0), measured(judge.chance), last=True).step == "complete"


def test_rungs_of_few_steps_are_left_out(resolved: ResolvedTask) -> None:
    judge = RungJudge(resolved, pauses=True)
    rows = len(resolved.splits.train)

    def shares(epochs: int) -> list[float]:
        params = {"num_train_epochs": epochs, "batch_size": 8}
        return [f.steps for f in judge.ladder(Candidate(method="lora", model="m", params=params), straight=False)]

    per_epoch = -(-rows // 8)
    assert shares(1) == [1.0], f"{per_epoch} steps"
    long = -(-460 // per_epoch)  # a ninth is 50 steps and more
    assert shares(long) == pytest.approx([1 / 9, 1 / 3, 1.0])
    middle = -(-160 // per_epoch)  # a third is
    assert shares(middle) == pytest.approx([1 / 3, 1.0])
