"""The supervisor's rules, against workers that report what a test says, at a clock that the test moves."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from job_bench import Bench, failure, fit_job, measurement

from autoadapt.domain.executor import Executor, JobDone, Signal, WorkerGroup, WorkerLost
from autoadapt.domain.jobs import Devices, Job
from autoadapt.domain.outcome import Failure, Measurement, Outcome
from autoadapt.domain.task import Compute
from autoadapt.files import write_json
from autoadapt.supervision.retries import may_retry

DEVICES = Devices(kind="device", count=2, accelerator="cpu")
ANSWERED = Measurement(rows=[], inference_seconds=1.0, latency_ms=[], peak_memory_bytes=0, parameters_total=0)


class ScriptedGroup(WorkerGroup):
    """Two ranks that do nothing."""

    def __init__(self) -> None:
        self.ranks, self.cold, self.killed = 2, True, False
        self.reports: list[Signal] = []
        self.jobs: list[tuple[Job, Path]] = []

    def send(self, job: Job, folder: Path) -> None:
        self.cold = False
        self.jobs.append((job, folder))

    def signals(self) -> list[Signal]:
        reports, self.reports = self.reports, []
        return reports

    def heartbeat(self, folder: Path) -> int:
        return 0

    def kill(self) -> None:
        self.killed = True

    def answer(self, rank: int = 0, retire: bool = False, trial: int | None = None) -> None:
        """Reports the current job as done, with its outcome or one of another trial."""
        job, folder = self.jobs[-1]
        outcome = Outcome.of(job, ANSWERED, DEVICES, 1.0)
        if trial is not None:
            outcome = outcome.model_copy(update={"trial": trial})
        self.reports.append(JobDone(rank, folder, retire, outcome if rank == 0 else None))


class Scripted(Executor):
    """One slot."""

    kills: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[ScriptedGroup] = []
        self.clock = 0.0
        self.refuses = False

    def open(self, run: Path, compute: Compute, preload: Sequence[str] = ()) -> None:
        self.slots, self.devices = 1, DEVICES

    def start(self, slot: int) -> ScriptedGroup:
        if self.refuses:
            raise OSError("no process")
        self.groups.append(ScriptedGroup())
        return self.groups[-1]

    def wait(self, until: float) -> None:
        self.clock = until

    def now(self) -> float:
        return self.clock

    def close(self) -> None:
        self.refuses = True


@pytest.fixture
def executor() -> Scripted:
    return Scripted()


@pytest.fixture
def bench(tmp_path: Path, executor: Scripted) -> Bench:
    return Bench(tmp_path, executor)


@pytest.fixture
def group(bench: Bench, executor: Scripted) -> ScriptedGroup:
    bench.submit(bench.fault("none"))
    return executor.groups[0]


def test_job_is_done_when_every_rank_is(bench: Bench, group: ScriptedGroup) -> None:
    group.answer(rank=0)
    assert bench.supervisor.next_finished(timeout=5) is None
    group.answer(rank=1)
    finished = bench.supervisor.next_finished(timeout=5)
    assert finished is not None
    assert measurement(finished)
    assert not group.killed


def test_other_ranks_get_30_seconds_after_rank_0(bench: Bench, executor: Scripted, group: ScriptedGroup) -> None:
    group.answer(rank=0)
    finished = bench.supervisor.next_finished(timeout=60)
    assert finished is not None
    assert measurement(finished)
    assert executor.now() == pytest.approx(30, abs=0.5)
    assert group.killed


def test_worker_that_asks_to_retire_is_replaced(bench: Bench, executor: Scripted, group: ScriptedGroup) -> None:
    group.answer(rank=0)
    group.answer(rank=1, retire=True)
    bench.supervisor.next_finished(timeout=5)
    assert group.killed
    bench.submit(bench.fault("none"))
    assert len(executor.groups) == 2


def test_rank_that_retires_before_the_others_are_done_is_not_lost(bench: Bench, group: ScriptedGroup) -> None:
    group.answer(rank=1, retire=True)
    group.reports.append(WorkerLost(1, "crash", "gone"))
    assert bench.supervisor.next_finished(timeout=5) is None
    group.answer(rank=0)
    finished = bench.supervisor.next_finished(timeout=5)
    assert finished is not None
    assert measurement(finished)
    assert group.killed


def test_nothing_is_tried_again_after_a_stop_was_asked_for(bench: Bench, executor: Scripted) -> None:
    bench.submit(bench.fault("none"))
    bench.supervisor.asked_to_stop = lambda: True
    executor.groups[0].reports.append(WorkerLost(0, "crash", "gone"))
    finished = bench.supervisor.next_finished(timeout=5)
    assert finished is not None
    assert not finished.retried
    assert len(executor.groups) == 1
    assert bench.supervisor.free == 1


def test_worker_that_ended_while_idle_is_replaced(bench: Bench, executor: Scripted, group: ScriptedGroup) -> None:
    group.answer(rank=0)
    group.answer(rank=1)
    bench.supervisor.next_finished(timeout=5)
    group.reports.append(WorkerLost(0, "crash", "gone"))
    bench.submit(bench.fault("none"))
    assert [len(g.jobs) for g in executor.groups] == [1, 1]


def test_late_message_about_an_earlier_attempt_changes_nothing(bench: Bench, group: ScriptedGroup) -> None:
    _, folder = group.jobs[-1]
    group.reports.append(
        JobDone(0, folder.parent / "rung0-retry7", outcome=Outcome.of(group.jobs[-1][0], ANSWERED, DEVICES, 1))
    )
    assert bench.supervisor.next_finished(timeout=5) is None
    assert bench.supervisor.free == 0


def test_outcome_of_another_trial_counts_as_a_crash(bench: Bench, executor: Scripted, group: ScriptedGroup) -> None:
    group.answer(trial=99)
    first = bench.supervisor.next_finished(timeout=5)
    assert first is not None
    assert failure(first).failure_class == "crash"
    assert first.outcome.trial == 1
    assert first.retried
    assert executor.groups[1].jobs[0][0].attempt == 1


def test_damaged_outcome_counts_as_a_crash_and_is_set_aside(bench: Bench, group: ScriptedGroup) -> None:
    _, folder = group.jobs[-1]
    (folder / "outcome.json").write_text('{"version": 2, "tri')
    group.reports.append(JobDone(0, folder))
    finished = bench.supervisor.next_finished(timeout=5)
    assert finished is not None
    assert failure(finished).failure_class == "crash"
    assert (folder / "outcome.json.corrupt").exists()


def test_outcome_written_just_before_the_worker_was_lost_counts(bench: Bench, group: ScriptedGroup) -> None:
    job, folder = group.jobs[-1]
    write_json(folder / "outcome.json", Outcome.of(job, ANSWERED, DEVICES, 1.0))
    group.reports.append(WorkerLost(1, "crash", "gone"))
    finished = bench.supervisor.next_finished(timeout=5)
    assert finished is not None
    assert measurement(finished)


def test_failure_of_rank_0_does_not_wait_for_other_ranks(
    bench: Bench, executor: Scripted, group: ScriptedGroup
) -> None:
    job, folder = group.jobs[-1]
    nan = Failure(stage="fit", failure_class="nan", reason="the loss became nan")
    group.reports.append(JobDone(0, folder, outcome=Outcome.of(job, nan, DEVICES, 1.0)))
    finished = bench.supervisor.next_finished(timeout=5)
    assert finished is not None
    assert failure(finished) == nan
    assert executor.now() == 0
    assert group.killed


def test_killed_job_is_charged_for_the_devices_it_held(bench: Bench, executor: Scripted, group: ScriptedGroup) -> None:
    executor.clock = 7.0
    assert bench.supervisor.running_seconds() == {1: 14.0}
    bench.supervisor.kill_running("the budget was reached")
    assert bench.next(timeout=0).outcome.usage.device_seconds == {"device": 14.0}


def test_failure_written_just_before_all_jobs_are_ended_is_not_retried(
    bench: Bench, executor: Scripted, group: ScriptedGroup
) -> None:
    job, folder = group.jobs[-1]
    oom = Failure(stage="fit", failure_class="oom", reason="no memory is left")
    write_json(folder / "outcome.json", Outcome.of(job, oom, DEVICES, 1.0))
    bench.supervisor.kill_running("the budget was reached")
    finished = bench.next(timeout=0)
    assert failure(finished) == oom
    assert not finished.retried
    assert len(executor.groups) == 1
    assert bench.supervisor.running_seconds() == {}


def test_worker_that_cannot_be_started_is_a_failure(bench: Bench, executor: Scripted) -> None:
    executor.refuses = True
    bench.submit(bench.fault("none"))
    finished = bench.next(timeout=0)
    assert "no process" in failure(finished).reason
    assert bench.supervisor.free == 1


def test_failure_stands_where_no_folder_can_be_made(
    bench: Bench, group: ScriptedGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(job: Job) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(bench.supervisor, "_prepare", full_disk)
    group.reports.append(WorkerLost(0, "crash", "gone"))
    finished = bench.next(timeout=5)
    assert failure(finished).failure_class == "crash"
    assert not finished.retried


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], False),
        (["crash"], True),
        (["crash", "crash"], False),
        (["crash", "oom"], True),
        (["oom", "interrupted", "oom"], False),
        (["timeout"], False),
        (["interrupted"], False),
    ],
)
def test_failures_that_may_be_retried(classes: list[str], expected: bool) -> None:
    assert may_retry(classes) is expected  # type: ignore[arg-type]


def test_seed_and_candidate_of_a_further_attempt_are_the_same(
    bench: Bench, executor: Scripted, group: ScriptedGroup
) -> None:
    group.reports.append(WorkerLost(0, "crash", "gone"))
    bench.supervisor.next_finished(timeout=5)
    again = executor.groups[1].jobs[0][0]
    assert again == fit_job(1, {"fault": "none", "template": "plain"}, attempt=1)
