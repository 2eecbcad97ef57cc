"""Which options are timed in turn, and by how many requests, on made-up options."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from autoadapt.assess import turns
from autoadapt.assess.turns import Turns
from autoadapt.domain.jobs import TimeInTurn
from autoadapt.domain.outcome import TimesInTurn
from autoadapt.domain.task import Evaluation
from autoadapt.runs.run_folder import RunFolder
from autoadapt.study.end_costs import EndCosts, Use

GIGABYTE = 10**9


class Options:
    """Stands in for `AssessmentJobs`: options of one second a request, which take a gigabyte each.

    Args:
        classes: serving class of each trial; a class named ``remote`` answers behind a server.
    """

    def __init__(self, *classes: str) -> None:
        self.classes = classes
        self.jobs: list[Any] = []
        measurement = SimpleNamespace(peak_memory_bytes=GIGABYTE)
        outcome = SimpleNamespace(devices=SimpleNamespace(accelerator="cpu"))
        trials = SimpleNamespace(
            measurement=lambda trial: measurement,
            record=lambda trial: SimpleNamespace(outcome=outcome),
            trials=lambda: range(len(classes)),
        )
        self.results = SimpleNamespace(option_trials=lambda: list(range(len(classes))), trials=trials)
        folder: Any = SimpleNamespace(lasting=True, in_turn=lambda: self.jobs)
        folder.last_in_turn = lambda: RunFolder.last_in_turn(folder)
        folder.times_in_turn = lambda: RunFolder.times_in_turn(folder)
        self.folder = folder
        self.resolved = SimpleNamespace(task=SimpleNamespace(evaluation=Evaluation()))

    def recommended(self) -> tuple[int, ...]:
        return (len(self.classes) - 1,)

    def costs(self, trial: int) -> EndCosts:
        name = self.classes[trial]
        return EndCosts(0.1, alone_seconds=1.0, loading_seconds=2.0, serving=(name,), remote=name == "remote")

    def timed(self, *trials: int, measured: int) -> None:
        """These were timed in turn when so many trials of the study had been measured."""
        result = TimesInTurn(latency_ms={trial: [1.0] for trial in trials})
        job = TimeInTurn.model_construct(measured=measured, attempt=len(self.jobs))
        self.jobs.append(SimpleNamespace(job=job, outcome=SimpleNamespace(result=result)))


def chosen(options: Options) -> list[int]:
    return [*Turns(options)._options()]  # type: ignore[arg-type]


def seconds(options: Options) -> float:
    return Turns(options).wanted().seconds  # type: ignore[arg-type]


def test_one_option_of_each_class_on_this_machine_is_timed_the_recommended_one_first() -> None:
    assert chosen(Options("a", "b", "a", "remote", "b")) == [4, 0]
    assert chosen(Options("a", "a", "remote")) == [], "there is nothing to compare"


def test_options_that_do_not_fit_into_memory_beside_the_others_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "device_memory_bytes", lambda kind: 3 * GIGABYTE)
    assert chosen(Options("a", "b", "c")) == [2, 0]
    monkeypatch.setattr(turns, "device_memory_bytes", lambda kind: 2 * GIGABYTE)
    assert chosen(Options("a", "b", "c")) == []


def test_nothing_is_timed_again_unless_there_is_an_option_of_another_class() -> None:
    options = Options("a", "b")
    assert seconds(options) > 0
    options.timed(0, 1, measured=2)
    assert seconds(options) == 0.0
    more = Options("a", "b", "c")
    more.timed(0, 1, measured=2)
    assert seconds(more) > 0


def test_an_option_that_times_in_turn_have_brought_onto_the_frontier_is_no_reason_to_time_all_again() -> None:
    options = Options("a", "b", "c")
    options.timed(0, 1, measured=3)
    assert seconds(options) == 0.0, "a resumed search would repeat what is known"


def test_nothing_is_begun_that_is_not_paid_for() -> None:
    turns_of = Turns(Options("a", "b"))  # type: ignore[arg-type]
    # two options, each two seconds of loading, four of warm-up and twelve for ten requests, a quarter more for certainty
    assert turns_of.wanted().seconds > 0
    assert turns_of.job(Use(1.25 * 2 * 18 - 1, math.inf, math.inf)) is None
