"""Why methods were never measured in full: one trial and several of each end, in an Optuna study in memory."""

from pathlib import Path

import optuna
import pytest

from autoadapt.domain.jobs import Devices, Fidelity
from autoadapt.domain.outcome import Outcome
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.domain.trial_state import TrialState
from autoadapt.forecast.simulation import SimulatedTask, SimulatedTimes, simulated_answer
from autoadapt.runs.run_folder import Record
from autoadapt.study.open_trials import OpenTrials
from autoadapt.study.options import MeasuredTrials
from autoadapt.study.unmeasured import unmeasured_methods


class Began:
    """A study of prompts and adapters whose trials end as a test says."""

    def __init__(self) -> None:
        self.resolved = SimulatedTask("joint", Budget(trials=9), ("prompt", "lora")).resolved(SearchSettings(), 0)
        self.study = optuna.create_study(directions=["maximize", "minimize", "minimize"])
        self.trials = OpenTrials(self.study)
        task = self.resolved.task
        self.measured = MeasuredTrials(self.resolved.goals, self.resolved.metric, task.economics, "x")

    def begin(self, method: str, **changes: object) -> optuna.Trial:
        first = next(p for p in self.resolved.space.first() if p["method"] == method)
        self.study.enqueue_trial({**first, **changes})
        return self.study.ask()

    def ended(self, method: str, state: TrialState, attributes: dict[str, str], **changes: object) -> int:
        trial = self.begin(method, **changes)
        self.trials.admit(trial, self.resolved.space.suggest(trial))
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        self.trials.end(trial.number, state, [0.5, 1.0, 1.0] if state == TrialState.COMPLETE else None)
        return trial.number

    def complete(self, method: str) -> None:
        number = self.ended(method, TrialState.COMPLETE, {})
        first = next(p for p in self.resolved.space.first() if p["method"] == method)
        job = self.resolved.fit_job(
            number, self.resolved.space.candidate(first), 0, Fidelity(rows=20, steps=1.0, latency_requests=1)
        )
        answered = simulated_answer(0.5, 20, SimulatedTimes(0.0, 0.01, 10.0)).measurement
        devices = Devices(kind="x", count=1, accelerator="cpu")
        self.measured.add(number, Record(Path(), job, Outcome.of(job, answered, devices, 1.0)))

    def reasons(self, budget_ended: bool = True) -> list[str]:
        found = unmeasured_methods(self.resolved, self.measured, self.study, budget_ended)
        assert {u.name for u in found} <= {"lora on simulated models"}
        return [u.reason for u in found]


@pytest.fixture
def began() -> Began:
    one = Began()
    one.complete("prompt")
    return one


def test_method_that_was_never_begun(began: Began) -> None:
    assert began.reasons() == ["no candidate was begun before the budget ended"]
    assert began.reasons(budget_ended=False) == ["no candidate was begun"]


def test_measured_methods_are_not_named(began: Began) -> None:
    began.complete("lora")
    assert began.reasons() == []


def test_trials_that_the_budget_ended(began: Began) -> None:
    began.ended("lora", TrialState.STOPPED_EARLY, {"stopped_by": "budget", "ended": "budget.usd is reached"})
    assert began.reasons() == ["the budget ended before a candidate was done"]
    began.ended("lora", TrialState.STOPPED_EARLY, {"stopped_by": "budget"}, **{"lora.r": 4})
    assert began.reasons() == ["the budget ended before 2 candidates were done"]


def test_trials_that_failed_and_were_stopped(began: Began) -> None:
    began.ended("lora", TrialState.FAILED, {"failure": "oom in fit: no memory is left"})
    assert began.reasons() == ["1 candidate failed (oom in fit: no memory is left)"]
    began.ended("lora", TrialState.FAILED, {"failure": "nan in fit: the loss became nan"}, **{"lora.r": 4})
    began.ended("lora", TrialState.STOPPED_EARLY, {"ended": "quality 0.400 at low fidelity"}, **{"lora.r": 8})
    assert began.reasons() == [
        "2 candidates failed (the last: nan in fit: the loss became nan); 1 candidate was stopped early (quality 0.400 "
        "at low fidelity)"
    ]


def test_candidates_that_were_refused(began: Began) -> None:
    trial = began.begin("lora")
    began.resolved.space.suggest(trial)
    began.trials.refuse(trial, "it is longer than the context")
    assert began.reasons() == ["1 candidate cannot work (it is longer than the context)"]


def test_answers_from_the_cache_are_no_trials_of_their_own(began: Began) -> None:
    number = began.ended("lora", TrialState.FAILED, {"failure": "nan in fit: the loss became nan"})
    trial = began.begin("lora")
    began.resolved.space.suggest(trial)
    began.trials.answer_from_cache(trial, number)
    assert began.reasons() == ["1 candidate failed (nan in fit: the loss became nan)"]


def test_trial_that_was_measured_on_other_hardware(began: Began) -> None:
    began.ended("lora", TrialState.COMPLETE, {})
    (line,) = began.reasons()
    assert line == "what 1 candidate measured is missing, or is that of other hardware"
