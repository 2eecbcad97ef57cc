"""Who goes on to the next rung, and what the budget allows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Devices, Fidelity, Step
from autoadapt.domain.option import Objectives
from autoadapt.domain.outcome import Measurement, Outcome, RowResult
from autoadapt.domain.task import Evaluation, Task
from autoadapt.errors import Exit, UserError
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.ledger import Ledger
from autoadapt.study.rungs import THREE_RUNGS, promising, rungs


def point(quality: float, cost: float = 1.0, latency: float = 10.0) -> Objectives:
    return Objectives(quality=quality, cost_usd_per_1k=cost, latency_ms=latency)


def test_prompts_begin_with_fewer_rows_and_tuned_ones_with_fewer_steps() -> None:
    evaluation = Evaluation(rows=300)
    part, full = rungs(False, evaluation, 1000)
    assert (part.rows, part.steps, full.rows) == (100, 1.0, 300)
    part, full = rungs(True, evaluation, 1000)
    assert part.steps == pytest.approx(1 / 3)
    assert (full.rows, full.steps, full.latency_requests) == (300, 1.0, 60)
    assert len(rungs(True, evaluation, 1000, ())) == 1
    assert len(rungs(False, evaluation, 40)) == 1
    assert [f.rows for f in rungs(False, evaluation, 1000, THREE_RUNGS)] == [40, 100, 300]
    assert [f.steps for f in rungs(True, evaluation, 1000, THREE_RUNGS)] == pytest.approx([1 / 9, 1 / 3, 1])


def test_only_the_promising_go_on() -> None:
    peers = [point(q) for q in (0.5, 0.6, 0.7, 0.8)]
    assert promising(point(0.1), peers[:1])
    assert promising(point(0.75), peers)
    assert not promising(point(0.55), peers)
    assert promising(point(0.55, cost=0.5), peers)
    assert promising(point(0.55, latency=5.0), peers)
    assert not promising(point(0.55, cost=0.95, latency=9.5), peers)


def step(method: str = "prompt", rung: int = 0, trial: int = 0) -> Step:
    return Step(
        trial=trial,
        rung=rung,
        attempt=0,
        split="validation",
        candidate=Candidate(method=method, model="m", params={}),
        model_path="m",
        metric="accuracy",
        labels=None,
        template="",
        instruction="",
        evaluation=Evaluation(),
        fidelity=Fidelity(rows=1, steps=1, latency_requests=1),
        seed=0,
        engine="plain",
        zero_stage="auto",
        state_folder="x",
    )


def outcome(seconds: float, devices: int = 1) -> Outcome:
    rows = [RowResult(id=0, stats=[1.0], tokens_in=1, tokens_out=1)]
    measured = Measurement(rows=rows, inference_seconds=0.5, latency_ms=[1.0], peak_memory_bytes=1, parameters_total=1)
    return Outcome(
        trial=0,
        rung=0,
        attempt=0,
        measurement=measured,
        devices=Devices(kind="x", count=devices, accelerator="cpu"),
        seconds=seconds,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Callable[..., Ledger]]:
    opened: list[RunFolder] = []

    def make(**budget: Any) -> Ledger:
        folder = RunFolder(tmp_path / f"run{len(opened)}")
        folder.open()
        opened.append(folder)
        return Ledger(task_of(budget), folder, slots=2, devices=1)

    yield make
    for folder in opened:
        folder.close()


def task_of(budget: dict[str, Any]) -> Task:
    return Task.model_validate(
        {
            "name": "t",
            "data": {"path": "d"},
            "metric": "accuracy",
            "models": ["m"],
            "budget": budget,
            "economics": {"usd_per_hour": 3600},  # a dollar a second
        }
    )


def test_spend_counts_failed_steps_and_every_device(ledger: Callable[..., Ledger], tmp_path: Path) -> None:
    book = ledger(usd=100)
    book.folder.add(tmp_path, step(), outcome(3.0))
    book.folder.add(tmp_path, step(), outcome(2.0, devices=2).model_copy(update={"measurement": None}))
    assert book.spent(1).usd == pytest.approx(7.0)


def test_a_step_is_reserved_before_it_starts(ledger: Callable[..., Ledger], tmp_path: Path) -> None:
    book = ledger(usd=10)
    book.folder.add(tmp_path, step(), outcome(4.0))
    assert book.predict(step()) == pytest.approx(5.0)
    assert book.predict(step("lora")) == 0.0
    assert book.allows(5.0, [], 0.0)
    assert not book.allows(5.0, [(5.0, 1.0)], 0.0)
    assert not book.allows(1.0, [(1.0, 5.5)], 0.0), "a running step that is over its prediction counts in full"
    assert not book.allows(5.0, [], kept_back=2.0)


def test_limits_are_reached(ledger: Callable[..., Ledger], tmp_path: Path) -> None:
    book = ledger(usd=10)
    book.folder.add(tmp_path, step(), outcome(4.0))
    assert book.reached(5.9, 0.0) is None
    assert book.reached(6.1, 0.0) == "budget.usd"
    assert book.reached(5.0, 1.5) == "budget.usd"
    devices = ledger(device_hours=10 / 3600)
    spent = devices.spent(1).device_seconds
    assert devices.reached(9.9 - spent, 0.0) is None
    assert devices.reached(10.1 - spent, 0.0) == "budget.device_hours"
    assert not devices.allows(10.1 - spent, [], 0.0)
    assert devices.device_seconds_left(1.0) == pytest.approx(9.0 - spent)
    hours = ledger(hours=1 / 3600)
    hours.folder._clock_before = 2.0
    assert hours.reached(0.0, 0.0) == "budget.hours"
    assert not hours.allows(0.0, [], 0.0)


def test_the_clock_counts_over_runs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open()
    folder._clock_before = 100.0
    folder.close()
    again = RunFolder(tmp_path / "run")
    again.open()
    assert again.wall_seconds >= 100
    again.close()


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    first.open()
    with pytest.raises(UserError, match="another `autoadapt search`") as caught:
        second.open()
    assert caught.value.code == Exit.STORAGE
    first.close()
    second.open()
    second.close()


def test_damaged_files_are_set_aside_and_their_work_is_done_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.open()
    own = step(trial=3).model_copy(update={"state_folder": "trials/0003"})
    path = folder.prepare(own)
    (path / "outcome.json").write_text(outcome(1.0).model_dump_json()[:-20])
    (tmp_path / "run" / "clock.json").write_text('{"sec')
    folder.close()
    again = RunFolder(tmp_path / "run")
    again.open()
    (record,) = again.records
    assert record.outcome is None
    assert (path / "outcome.json.corrupt").exists()
    assert again.settle_interrupted(outcome(0).devices) == 1
    assert record.outcome is not None
    assert record.outcome.failure is not None
    again.close()
