"""Every executor of the shelf, and one of a third party, does what a supervisor relies on."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PLUGINS
from job_bench import Bench, failure, measurement, processes

from autoadapt.domain.executor import Executor
from autoadapt.domain.outcome import Outcome
from autoadapt.files import write_json
from autoadapt.shelves import EXECUTORS

MakeBench = Callable[..., Bench]

NAMES = EXECUTORS.names()
KILLING = [name for name in NAMES if EXECUTORS.get(name).kills]
RUNNING = [name for name in NAMES if type(EXECUTORS.get(name)).now is Executor.now]
"""Executors that run jobs, and do not answer them in virtual time."""


@pytest.fixture(scope="module", autouse=True)
def _plugins_of_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        yield


@pytest.fixture(scope="module")
def recorded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one job, done in this process."""
    bench = Bench(tmp_path_factory.mktemp("recorded"), EXECUTORS.new("inline"))
    bench.run(bench.fault("none"))
    bench.supervisor.close()
    return bench.root


@pytest.fixture
def make_bench(tmp_path: Path, recorded_run: Path) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(name: str, **compute: object) -> Bench:
        made.append(Bench(tmp_path / "run", EXECUTORS.new(name), recording=str(recorded_run), **compute))
        return made[-1]

    yield make
    for bench in made:
        bench.supervisor.close()


def test_plugin_executor_is_found_by_its_entry_point() -> None:
    assert {"inline", "local", "one_shot", "replay"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_results_equal_across_executors(name: str, make_bench: MakeBench, recorded_run: Path) -> None:
    bench = make_bench(name)
    job = bench.fault("none")
    (finished,) = bench.run(job)
    assert finished.job == job
    assert finished.outcome.devices == bench.supervisor.devices
    stored = (recorded_run / "trials" / "0001" / "rung0" / "outcome.json").read_bytes()
    assert measurement(finished).rows == Outcome.model_validate_json(stored).result.rows


@pytest.mark.parametrize("name", NAMES)
def test_slots_work_side_by_side(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name, slots=2)
    slots = bench.supervisor.slots
    jobs = [bench.fault("none") for _ in range(slots)]
    for job in jobs:
        bench.submit(job)
    assert bench.supervisor.free == 0
    assert set(bench.supervisor.running_seconds()) == {job.trial for job in jobs}
    with pytest.raises(RuntimeError):
        bench.submit(bench.fault("none"))
    assert {bench.next().job.trial for _ in jobs} == {job.trial for job in jobs}
    assert bench.supervisor.free == slots
    assert bench.supervisor.next_finished(timeout=60) is None


@pytest.mark.parametrize("name", NAMES)
def test_kill_running_interrupts_jobs_once_and_frees_their_slots(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name, slots=1)
    bench.submit(bench.fault("slow"))
    if name in KILLING:
        time.sleep(0.5)
        assert bench.supervisor.running_seconds()[1] >= 0.5
    bench.supervisor.kill_running("the budget was reached")
    finished = bench.next(timeout=0)
    assert (failure(finished).failure_class, failure(finished).reason) == ("interrupted", "the budget was reached")
    assert not finished.retried
    assert bench.supervisor.free == bench.supervisor.slots
    assert bench.supervisor.next_finished(timeout=0) is None


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_after_close(name: str, make_bench: MakeBench) -> None:
    processes_before, files_before = processes(), len(os.listdir("/proc/self/fd"))
    bench = make_bench(name, slots=2)
    bench.run(bench.fault("none"))
    bench.submit(bench.fault("slow"))
    bench.supervisor.close()
    assert processes() == processes_before
    assert len(os.listdir("/proc/self/fd")) == files_before


@pytest.mark.parametrize("name", RUNNING)
def test_failure_that_would_repeat_is_not_retried(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name)
    (finished,) = bench.run(bench.fault("nan"))
    assert failure(finished).failure_class == "nan"
    assert measurement(bench.run(bench.fault("none"))[-1])


@pytest.mark.parametrize("name", RUNNING)
def test_out_of_memory_is_retried_once_with_smaller_micro_batches(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name)
    first, second = bench.run(bench.fault("oom_once"))
    assert failure(first).failure_class == "oom"
    assert (second.job.attempt, second.job.training.micro_batches) == (1, 2)
    assert second.folder != first.folder
    assert measurement(second)
    assert [a.retried for a in bench.run(bench.fault("oom"))] == [True, False]


@pytest.mark.parametrize("name", RUNNING)
def test_failures_before_a_resume_count(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name)
    assert len(bench.run(bench.fault("oom", attempt=1), failed_before=["oom"])) == 1


@pytest.mark.parametrize("name", KILLING)
def test_lost_worker_is_a_crash_and_its_job_is_retried_once(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name)
    first, second = bench.run(bench.fault("killed"))
    for attempt in (first, second):
        assert failure(attempt).failure_class == "crash"
        assert "SIGKILL" in failure(attempt).reason
    assert "exit code 3" in failure(bench.run(bench.fault("exit"))[-1]).reason
    assert measurement(bench.run(bench.fault("killed_once"))[-1])


@pytest.mark.parametrize("name", KILLING)
def test_job_over_its_time_limit_is_killed_although_it_makes_progress(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name, trial_timeout_s=2)
    (finished,) = bench.run(bench.fault("slow"))
    assert failure(finished).failure_class == "timeout"
    assert "trial_timeout_s" in failure(finished).reason
    assert 2 <= finished.outcome.seconds < 4


@pytest.mark.parametrize("name", KILLING)
def test_job_over_its_own_time_is_killed_and_not_tried_again(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name)
    (finished,) = bench.run(bench.fault("slow").model_copy(update={"longest_seconds": 2.0}))
    assert failure(finished).failure_class == "timeout"
    assert "share of the budget" in failure(finished).reason
    assert 2 <= finished.outcome.seconds < 4


@pytest.mark.parametrize("name", KILLING)
def test_job_without_progress_is_killed(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name, hang_timeout_s=2)
    (finished,) = bench.run(bench.fault("hang"))
    assert failure(finished).failure_class == "timeout"
    assert "hang_timeout_s" in failure(finished).reason
    assert 2 <= finished.outcome.seconds < 6
    assert measurement(bench.run(bench.fault("none"))[-1])


@pytest.mark.parametrize("name", KILLING)
def test_outcome_of_another_attempt_is_fenced(name: str, make_bench: MakeBench) -> None:
    bench = make_bench(name)
    (earlier,) = bench.run(bench.fault("none"))
    folder = bench.submit(bench.fault("hang"))
    write_json(folder / "outcome.json", earlier.outcome)
    bench.supervisor.kill_running("the run was stopped")
    finished = bench.next(timeout=0)
    assert (finished.outcome.trial, failure(finished).failure_class) == (2, "interrupted")
