"""Options timed in turn: what disturbs the machine for a while hits all of them alike."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from job_runs import JobRun, scripted

from autoadapt.domain.jobs import TURN_REQUESTS, Fit
from autoadapt.domain.method import Answer
from autoadapt.domain.outcome import TimesInTurn
from autoadapt.worker import run as worker_run

REQUESTS = 40


@pytest.fixture
def jobs(tmp_path: Path) -> JobRun:
    return JobRun(tmp_path / "run", scripted())


@pytest.fixture
def fitted(jobs: JobRun) -> list[Fit]:
    """Three options."""
    fits = [jobs.fit("prompt", trial, {"shots": trial}) for trial in range(3)]
    for fit in fits:
        jobs.measure(fit)
    return fits


class Asked:
    """Which option was asked what, in the order of all requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[tuple[int, str]] = []
        load = worker_run.load_artifact

        def loading(folder, *others):  # type: ignore[no-untyped-def]
            adapted = load(folder, *others)
            answer, trial = adapted.answer, int(folder.parent.name)

            def answering(inputs: Sequence[str]) -> list[Answer]:
                self.requests.append((trial, inputs[0]))
                return answer(inputs)

            adapted.answer = answering  # type: ignore[method-assign]
            return adapted

        monkeypatch.setattr(worker_run, "load_artifact", loading)

    def by_option(self, part: slice) -> Counter[int]:
        """Requests to each option in a part of all."""
        return Counter(option for option, _ in self.requests[part])


def test_any_period_hits_all_options_alike(jobs: JobRun, fitted: list[Fit], monkeypatch: pytest.MonkeyPatch) -> None:
    """Timed one after the other, a slow third of the time would hit one option alone."""
    asked = Asked(monkeypatch)
    result = jobs.run(jobs.in_turn(fitted, requests=REQUESTS)).result
    assert isinstance(result, TimesInTurn), result
    assert {trial: len(times) for trial, times in result.latency_ms.items()} == dict.fromkeys(range(3), REQUESTS)
    asked.requests = asked.requests[9:]  # without the warm-up of three options
    third = len(asked.requests) // 3
    for begin in range(0, 2 * third, 7):
        counts = asked.by_option(slice(begin, begin + third))
        assert len(counts) == 3
        assert max(counts.values()) - min(counts.values()) <= 2 * (TURN_REQUESTS + 1)


def test_all_options_get_the_same_inputs(jobs: JobRun, fitted: list[Fit], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch)
    jobs.run(jobs.in_turn(fitted, requests=REQUESTS))
    inputs: dict[int, list[str]] = {}
    for option, text in asked.requests:
        inputs.setdefault(option, []).append(text)
    first, *others = inputs.values()
    assert len(others) == 2
    assert all(each == first for each in others)


def test_an_option_that_cannot_be_loaded_is_a_failure_and_no_crash(jobs: JobRun, fitted: list[Fit]) -> None:
    (jobs.artifact(fitted[1]) / "option.json").unlink()
    assert jobs.failure(jobs.in_turn(fitted)).stage == "measure"


def test_no_time_for_a_round_is_a_failure(jobs: JobRun, fitted: list[Fit]) -> None:
    assert jobs.failure(jobs.in_turn(fitted, seconds=1e-9)).failure_class == "timeout"
