"""The replay executor: jobs in virtual time, from a function or from a run folder."""

from pathlib import Path

import pytest
from job_bench import fit_job, measurement, write_data

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.executor import Finished
from autoadapt.domain.jobs import Devices, Fidelity, Fit, Job, JobBase, Score
from autoadapt.domain.outcome import Failure, Measurement, Outcome, RowResult
from autoadapt.domain.task import Compute
from autoadapt.errors import UserError
from autoadapt.executors.replay import Replay, Simulated, read_recording
from autoadapt.files import write_json
from autoadapt.supervision.supervisor import Supervisor

NOWHERE = Path("/no/such/folder")


def measured(train_seconds: float, right: float = 1.0) -> Measurement:
    return Measurement(
        rows=[RowResult(id=0, stats=[right], tokens_in=1, tokens_out=1)],
        train_seconds=train_seconds,
        inference_seconds=1.0,
        latency_ms=[1.0],
        peak_memory_bytes=0,
        parameters_total=0,
    )


def answers(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
    """A training that takes as many seconds as the parameter says, shared out by fidelity; then a second of answering."""
    train_seconds = float(candidate.params["seconds"] or 0) * fidelity.steps
    if train_seconds < 0:
        raise ArithmeticError("the loss became nan")
    return Simulated(measured(train_seconds), train_seconds + 1, loading_seconds=2)


def supervise(slots: int) -> Supervisor:
    return Supervisor(Replay(answers=answers, slots=slots), Compute(), NOWHERE, lambda job: NOWHERE)


def job(trial: int, seconds: float, steps: float = 1.0, rung: int = 0) -> Fit:
    fidelity = Fidelity(rows=20, steps=steps, latency_requests=5)
    return fit_job(trial, {"seconds": seconds}, fidelity=fidelity, rung=rung)


def next_of(supervisor: Supervisor) -> Finished:
    finished = supervisor.next_finished(timeout=0.5)
    assert finished is not None
    return finished


def test_clock_jumps_to_the_job_that_finishes_next_whatever_the_time_limits() -> None:
    supervisor = supervise(slots=2)
    supervisor.submit(job(0, 20_000), NOWHERE)
    supervisor.submit(job(1, 10_000), NOWHERE)
    assert next_of(supervisor).job.trial == 1
    assert supervisor.now() == 10_003
    assert supervisor.running_seconds() == {0: 10_003}
    assert measurement(next_of(supervisor))
    assert supervisor.now() == 20_003


def test_further_rung_takes_only_the_rest_of_the_training() -> None:
    supervisor = supervise(slots=1)
    supervisor.submit(job(0, 100, steps=0.25), NOWHERE)
    assert next_of(supervisor).outcome.seconds == 28
    supervisor.submit(job(0, 100, rung=1), NOWHERE)
    assert next_of(supervisor).outcome.seconds == 78


def test_killed_job_is_charged_until_the_moment_it_was_killed() -> None:
    supervisor = supervise(slots=2)
    supervisor.submit(job(0, 10), NOWHERE)
    supervisor.submit(job(1, 100), NOWHERE)
    next_of(supervisor)
    supervisor.kill_running("the budget was reached")
    finished = next_of(supervisor)
    assert isinstance(finished.outcome.result, Failure)
    assert finished.outcome.seconds == 13
    assert supervisor.next_finished(timeout=0.5) is None


def test_error_of_the_function_is_a_failure_that_is_not_retried() -> None:
    supervisor = supervise(slots=1)
    supervisor.submit(job(0, -1), NOWHERE)
    finished = next_of(supervisor)
    assert isinstance(finished.outcome.result, Failure)
    assert finished.outcome.result.failure_class == "data"
    assert not finished.retried


def test_thousands_of_jobs_take_seconds_and_no_files() -> None:
    supervisor = supervise(slots=4)
    for trial in range(5000):
        if not supervisor.free:
            next_of(supervisor)
        supervisor.submit(job(trial, trial % 7), NOWHERE)
    assert not NOWHERE.exists()


def record(root: Path, name: str, recorded: Job, seconds: float, result: Measurement) -> None:
    folder = root / "trials" / f"{recorded.trial:04d}" / name
    folder.mkdir(parents=True)
    write_json(folder / "job.json", recorded)
    outcome = Outcome.of(
        recorded, result, Devices(kind="device", count=1, accelerator="cpu"), seconds + 2, fit_measure_seconds=seconds
    )
    write_json(folder / "outcome.json", outcome)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    write_data(tmp_path)
    record(tmp_path, "rung0", job(0, 100, steps=0.25), 26, measured(25, right=0.25))
    record(tmp_path, "rung1", job(0, 100, rung=1), 76, measured(100, right=0.75))
    record(tmp_path, "rung0-retry1", job(1, 50), 51, measured(50, right=0.5))
    whole = job(0, 100)
    score = Score(**{name: getattr(whole, name) for name in JobBase.model_fields}, rows=30)
    record(tmp_path, "score", score, 3, measured(0, right=0.9))
    return tmp_path


def test_recorded_fit_is_answered_by_the_nearest_candidate_and_fidelity(recording: Path) -> None:
    recorded = read_recording(recording)
    near = job(7, 90).candidate
    for steps, right, seconds in ((0.3, 0.25, 26), (1.0, 0.75, 101)):
        simulated = recorded(near, Fidelity(rows=20, steps=steps, latency_requests=5), 0)
        assert simulated.measurement.rows[0].stats == [right]
        assert (simulated.seconds, simulated.loading_seconds) == (seconds, 2)


def test_recorded_score_answers_the_same_candidate_only(recording: Path) -> None:
    recorded = read_recording(recording, Score)
    fidelity = Fidelity(rows=30, steps=1, latency_requests=0)
    assert recorded(job(0, 100).candidate, fidelity, 0).measurement.rows[0].stats == [0.9]
    with pytest.raises(LookupError):
        recorded(job(0, 50).candidate, fidelity, 0)


@pytest.mark.parametrize("compute", [{}, {"recording": "."}])
def test_executor_without_a_recording_says_so(
    compute: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"recording|no finished job"):
        Replay().open(tmp_path, Compute.model_validate(compute))
