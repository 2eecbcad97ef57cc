"""How long a job is expected to take: from finished jobs of its method and model, apart for training and all else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from job_bench import fit_job

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Devices, Fidelity, Fit
from autoadapt.domain.outcome import Failure, Measurement, Outcome, RowResult
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.job_times import MARGIN, JobTimes, trained_share

REASONING: list[dict[str, int | str]] = [
    {},
    {"reasoning": "steps", "reasoning_tokens": 64},
    {"reasoning": "steps", "reasoning_tokens": 128, "samples": 5},
]
WHOLE = Fidelity(rows=10, steps=1.0, latency_requests=0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path)
    folder.open()
    yield folder
    folder.close()


def fit(trial: int = 0, epochs: int = 4, rung: int = 0, steps: float = 1.0, method: str = "full") -> Fit:
    job = fit_job(trial, {"num_train_epochs": epochs}, method=method, rung=rung)
    return job.model_copy(update={"fidelity": Fidelity(rows=10, steps=steps, latency_requests=0)})


def done(
    folder: RunFolder,
    job: Fit,
    training: float,
    other: float,
    devices: int = 1,
    cold: bool = False,
    steps: int = 100,
    loading: float = 0.0,
) -> None:
    """A finished job; `training` seconds are of the trial so far, `other` of this job, `loading` a part of them."""
    earlier = [r.measurement.train_seconds for r in folder.of(job.trial) if r.measurement]
    measurement = Measurement(
        rows=[RowResult(id=i, stats=[1.0], tokens_in=1, tokens_out=1) for i in range(job.fidelity.rows)],
        train_seconds=training,
        train_steps=steps,
        train_steps_planned=100,
        inference_seconds=other - loading,
        latency_ms=[],
        peak_memory_bytes=1,
        parameters_total=1,
    )
    held = training - max(earlier, default=0.0) + other
    used = Devices(kind="x", count=devices, accelerator="cpu")
    outcome = Outcome.of(job, measurement, used, held, fit_measure_seconds=held, cold=cold)
    folder.add(folder.root / f"{job.trial}-{job.rung}", job, outcome)


def candidate(epochs: int, method: str = "full") -> Candidate:
    return fit(epochs=epochs, method=method).candidate


def test_nothing_is_known_before_a_job_of_the_method_and_model_has_finished(folder: RunFolder) -> None:
    done(folder, fit(method="lora"), 8.0, 1.0)
    times = JobTimes(folder)
    assert times.of(candidate(4), WHOLE) is None
    other = candidate(4, "lora").model_copy(update={"model": "another"})
    assert times.of(other, WHOLE) is None


def test_training_is_in_proportion_to_passes_and_all_else_is_not(folder: RunFolder) -> None:
    done(folder, fit(epochs=4), 8.0, 3.0)  # two seconds a pass
    time = JobTimes(folder).of(candidate(10), WHOLE)
    assert time is not None
    assert (time.training, time.other) == pytest.approx((MARGIN * 20.0, MARGIN * 3.0))


def test_training_whose_time_was_up_is_taken_for_what_the_whole_would_have_taken(folder: RunFolder) -> None:
    done(folder, fit(epochs=4), 8.0, 3.0, steps=25)
    time = JobTimes(folder).of(candidate(4), WHOLE)
    assert time is not None
    assert time.training == pytest.approx(MARGIN * 32.0)


def test_later_rung_takes_what_is_left_of_the_training(folder: RunFolder) -> None:
    done(folder, fit(1, epochs=4), 8.0, 3.0)
    done(folder, fit(2, epochs=4, rung=0, steps=0.25), 2.0, 3.0)
    times = JobTimes(folder)
    last = times.of_job(fit(2, epochs=4, rung=1))
    assert last is not None
    assert last.training == pytest.approx(MARGIN * 6.0)
    done(folder, fit(2, epochs=4, rung=1), 8.0, 3.0)
    again = times.of(candidate(4), WHOLE)
    assert again is not None
    assert (again.training, again.other) == pytest.approx((MARGIN * 8.0, MARGIN * 3.0)), "each rung tells the same"


def test_first_job_of_a_worker_counts_only_until_a_warm_one_is_known(folder: RunFolder) -> None:
    done(folder, fit(1), 8.0, 9.0, cold=True)
    times = JobTimes(folder)
    cold = times.of(candidate(4), WHOLE)
    assert cold is not None
    assert cold.other == pytest.approx(MARGIN * 9.0)
    done(folder, fit(2), 8.0, 3.0)
    warm = times.of(candidate(4), WHOLE)
    assert warm is not None
    assert warm.other == pytest.approx(MARGIN * 3.0)


def test_devices_are_counted(folder: RunFolder) -> None:
    done(folder, fit(), 8.0, 3.0, devices=2)
    time = JobTimes(folder).of(candidate(4), WHOLE)
    assert time is not None
    assert time.total == pytest.approx(MARGIN * 22.0)


def test_a_job_that_a_killed_run_has_left_does_not_hide_later_ones(folder: RunFolder) -> None:
    done(folder, fit(1), 8.0, 3.0)
    folder.records[0].outcome = None
    done(folder, fit(2), 4.0, 3.0)
    times = JobTimes(folder)
    time = times.of(candidate(4), WHOLE)
    assert time is not None
    assert time.training == pytest.approx(MARGIN * 4.0)
    failure = Failure(stage="fit", failure_class="interrupted", reason="killed")
    folder.records[0].outcome = Outcome.of(fit(1), failure, Devices(kind="x", count=1, accelerator="cpu"), 1.0)
    assert times.of(candidate(4), WHOLE) == time


def test_share_of_a_training_that_stopped_early_is_all_of_it(folder: RunFolder) -> None:
    done(folder, fit(), 8.0, 3.0, steps=40)
    measurement = folder.records[0].measurement
    assert measurement is not None
    assert trained_share(measurement) == pytest.approx(0.4)
    assert trained_share(measurement.model_copy(update={"stopped_early": True})) == 1.0


def test_job_that_was_ended_for_its_time_is_known_to_take_at_least_as_long(folder: RunFolder) -> None:
    job = fit(method="prompt").model_copy(update={"longest_seconds": 5.0})
    devices = Devices(kind="x", count=1, accelerator="cpu")
    failure = Failure(stage="start", failure_class="timeout", reason="over 5 s")
    folder.add(folder.root / "a", job, Outcome.of(job, failure, devices, 5.0))
    time = JobTimes(folder).of(job.candidate, WHOLE)
    assert time is not None
    assert time.total == pytest.approx(MARGIN * 5.0)
    other = Failure(stage="fit", failure_class="nan", reason="diverged")
    folder.add(folder.root / "b", fit(2), Outcome.of(fit(2), other, devices, 5.0))
    assert JobTimes(folder).of(candidate(4), WHOLE) is None, "another failure says nothing of the time"


def test_a_training_that_was_too_slow_tells_what_the_whole_would_take(folder: RunFolder) -> None:
    done(folder, fit(1, method="head", epochs=1), 0.0, 6.0)
    job = fit(2, epochs=4).model_copy(update={"longest_seconds": 60.0})
    failure = Failure(stage="fit", failure_class="timeout", reason="too slow", whole_training_seconds=800.0)
    devices = Devices(kind="x", count=2, accelerator="cpu")
    folder.add(folder.root / "a", job, Outcome.of(job, failure, devices, 20.0))
    time = JobTimes(folder).of(candidate(8), WHOLE)
    assert time is not None
    assert (time.training, time.other) == pytest.approx((MARGIN * 2 * 1600.0, MARGIN * 6.0))


def test_tuning_takes_at_least_twice_the_time_of_computing_states_of_the_same_rows(folder: RunFolder) -> None:
    times = JobTimes(folder)
    assert times.least_training(candidate(4)) == 0.0
    done(folder, fit(1, method="lora", epochs=4), 80.0, 3.0)
    assert times.least_training(candidate(4)) == 0.0, "the other tuned method says what it takes itself"
    done(folder, fit(2, method="head", epochs=1), 5.0, 3.0)
    assert times.least_training(candidate(4)) == pytest.approx(2 * 5.0 * 4)
    assert times.least_training(candidate(4).model_copy(update={"model": "another"})) == 0.0


def test_a_method_that_does_not_tune_is_known_from_the_model_on_which_it_takes_longest(folder: RunFolder) -> None:
    times = JobTimes(folder)
    head = candidate(1, "head")
    assert times.elsewhere(head.model_copy(update={"model": "another"}), 10) == 0.0
    done(folder, fit(1, method="head", epochs=1), 5.0, 3.0)
    assert times.elsewhere(head.model_copy(update={"model": "another"}), 20) == pytest.approx(MARGIN * (5.0 + 2 * 3.0))
    assert times.elsewhere(head, 10) == 0.0, "it is known on its own model"


def test_all_but_training_is_known_from_the_slowest_other_method_of_a_model(folder: RunFolder) -> None:
    times = JobTimes(folder)
    assert times.without_training(candidate(4), 10) == 0
    done(folder, fit(1, method="lora"), 8.0, 5.0)
    done(folder, fit(2, method="prompt"), 0.0, 3.0)
    assert times.without_training(candidate(4), 10) == pytest.approx(MARGIN * 5.0)
    assert times.without_training(candidate(4), 30) == pytest.approx(MARGIN * 15.0), "in proportion to rows"
    assert times.without_training(candidate(4).model_copy(update={"model": "another"}), 10) == 0


def test_answering_takes_in_proportion_to_the_text_that_is_read_and_loading_does_not(folder: RunFolder) -> None:
    none, few, many = (fit_job(i, {"shots": i}, method="prompt").candidate for i in (0, 4, 16))
    times = JobTimes(folder, length=lambda candidate: 10.0 + 5.0 * int(candidate.params["shots"]))
    done(folder, fit_job(0, {"shots": 4}, method="prompt"), 0.0, 8.0, loading=2.0)
    for wanted, seconds in ((few, 2.0 + 6.0), (none, 2.0 + 6.0 / 3), (many, 2.0 + 6.0 * 3)):
        time = times.of(wanted, WHOLE)
        assert time is not None
        assert time.other == pytest.approx(MARGIN * seconds)
    assert times.without_training(none, 40) == pytest.approx(MARGIN * (2.0 + 2 * 6.0 / 3)), "20 rows were answered"


def test_reasoning_is_a_price_of_its_own_in_proportion_to_what_it_may_write(folder: RunFolder) -> None:
    plain, short, long = (fit_job(i, params, method="prompt") for i, params in enumerate(REASONING))
    times = JobTimes(folder)
    done(folder, plain, 0.0, 2.0)
    assert times.of(short.candidate, WHOLE) is None, "answers without reasoning do not say"
    done(folder, short, 0.0, 30.0)
    expected = times.of(long.candidate, WHOLE)
    assert expected is not None
    assert expected.other == pytest.approx(MARGIN * 30.0 * 10)
    at_once = times.of(plain.candidate, WHOLE)
    assert at_once is not None
    assert at_once.other == pytest.approx(MARGIN * 2.0)
    assert times.without_training(plain.candidate, 10) == pytest.approx(MARGIN * 2.0), "nothing that is trained reasons"
