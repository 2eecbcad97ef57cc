"""What a budget pays for: trainings that end when their time is up, and nothing begun that could not be finished."""

from collections.abc import Callable

import pytest
from conftest import slow_after

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity, Fit
from autoadapt.domain.outcome import Failure
from autoadapt.domain.space import SearchSpace
from autoadapt.domain.task import Budget, SearchSettings
from autoadapt.executors.replay import Simulated
from autoadapt.forecast.simulation import SimulatedTask, SimulatedTimes, simulate, simulated_answer
from autoadapt.study.search import Search

HOUR = 3600.0
SPACE = SearchSpace.model_validate(
    {
        "version": 1,
        "templates": {"plain": "{{ input }}"},
        "instructions": {"none": ""},
        "shared": {"template": ["plain"], "instruction": ["none"]},
        "branches": {
            "prompt": {"shots": [0, 1, 2, 4, 8]},
            "lora": {
                "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "num_train_epochs": {"low": 2, "high": 8},
            },
            "full": {
                "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
                "num_train_epochs": {"low": 2, "high": 8},
            },
        },
    }
)


def answers(seconds_per_pass: float) -> Callable[[Candidate, Fidelity, int], Simulated]:
    """Prompts take seconds, LoRA a minute a pass, full fine-tuning as told."""

    def answer(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        per_pass = {"prompt": 0.0, "lora": 60.0, "full": seconds_per_pass}[candidate.method]
        quality = {"prompt": 0.5, "lora": 0.7, "full": 0.8}[candidate.method] * (0.5 + 0.5 * fidelity.steps)
        times = SimulatedTimes(per_pass * candidate.passes * fidelity.steps, seconds_per_row=5.0, latency_ms=20.0)
        return simulated_answer(quality, fidelity.rows, times, seed)

    return answer


def searched(seconds_per_pass: float, sampler: str = "cost_aware", slots: int = 2) -> Search:
    settings = SearchSettings.model_validate({"sampler": sampler, "least_gain": 0.0})
    return simulate(SimulatedTask(SPACE, Budget(hours=1), rows=40), answers(seconds_per_pass), settings, slots=slots)


def lost_seconds(search: Search) -> float:
    """Device-seconds of jobs that gave nothing."""
    return search.status().spent.lost_seconds


@pytest.mark.parametrize("sampler", slow_after(1, ["cost_aware", "tpe", "random"]))
@pytest.mark.parametrize("seconds_per_pass", [3000.0, 30000.0])
def test_training_that_is_too_long_for_the_budget_is_cut_and_measured(sampler: str, seconds_per_pass: float) -> None:
    search = searched(seconds_per_pass, sampler)
    full = [r for r in search.folder.records if r.job.candidate.method == "full"]
    assert full, "every method is begun"
    assert any(r.measurement is not None for r in full), "and measured, as far as it was trained"
    spent = sum(r.outcome.usage.total_device_seconds for r in full if r.outcome is not None)
    assert spent < 0.5 * 2 * HOUR, "one method does not take the budget of all"
    assert lost_seconds(search) < 0.1 * 2 * HOUR


@pytest.mark.parametrize("sampler", slow_after(1, ["cost_aware", "tpe", "random"]))
def test_jobs_end_by_themselves_before_the_budget_does(sampler: str) -> None:
    search = searched(400.0, sampler)
    assert not [r for r in search.folder.records if isinstance(r.outcome and r.outcome.result, Failure)]
    assert search.status().spent.wall_seconds <= HOUR + 1


def test_every_training_states_the_longest_time_it_may_take() -> None:
    search = searched(400.0)
    trained = [r.job for r in search.folder.records if isinstance(r.job, Fit) and r.job.candidate.method == "full"]
    assert all(job.keep_checkpoint or job.training_seconds for job in trained)


def test_without_a_limit_on_time_trainings_have_none() -> None:
    search = simulate(SimulatedTask(SPACE, Budget(trials=6), rows=40), answers(400.0), slots=1)
    assert all(job.training_seconds is None for r in search.folder.records if isinstance(job := r.job, Fit))


def test_time_that_is_left_goes_to_what_it_pays_for() -> None:
    """Once nothing long can be finished, prompts are still tried."""
    search = searched(1000.0, slots=1)
    ends = [(r.job.candidate.method, r.job.trial) for r in search.folder.records]
    assert search.status().spent.wall_seconds > 0.8 * HOUR or {m for m, _ in ends[-2:]} == {"prompt"}


def test_space_of_few_candidates_is_searched_to_its_end() -> None:
    """One method with a single candidate does not end the search of the others."""
    content = SPACE.model_dump()
    content["branches"]["prompt"] = {"shots": [0]}
    space = SearchSpace.model_validate(content)
    for sampler in ("cost_aware", "random"):
        settings = SearchSettings.model_validate({"sampler": sampler, "least_gain": 0.0})
        search = simulate(SimulatedTask(space, Budget(trials=20), rows=40), answers(60.0), settings, slots=1)
        assert search.status().spent.trials == 20
        counts = {
            m: sum(r.job.candidate.method == m for r in search.folder.records) for m in ("prompt", "lora", "full")
        }
        assert counts["prompt"] <= 3, "its rungs"
        assert min(counts["lora"], counts["full"]) >= 2


def test_nothing_is_promoted_after_the_search_has_converged() -> None:
    for seed in range(4):
        settings = SearchSettings.model_validate({"least_gain": 0.02})
        search = simulate(SimulatedTask(SPACE, Budget(hours=40), rows=200), answers(60.0), settings, slots=2, seed=seed)
        if not search.exhausted:
            continue
        jobs = [(r.job.trial, r.job.rung) for r in search.folder.records if isinstance(r.job, Fit)]
        decided = max(i for i, (_, rung) in enumerate(jobs) if rung == 0)
        assert len(jobs) - decided <= 3, "what ran beside the last candidate ends, and no paused trial is taken up"


def test_first_training_is_left_the_time_to_answer_that_the_model_is_known_to_take() -> None:
    """Answering all rows takes a seventh of the budget here; later that is more than a quarter of what is left."""

    def answer(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        training = {"prompt": 0.0, "lora": 600.0, "full": 600.0}[candidate.method] * candidate.passes * fidelity.steps
        times = SimulatedTimes(training, seconds_per_row=14.0, latency_ms=20.0)
        return simulated_answer(0.5, fidelity.rows, times, seed)

    settings = SearchSettings.model_validate({"sampler": "random", "least_gain": 0.0, "rungs": False})
    for seed in range(3):
        task = SimulatedTask(SPACE, Budget(hours=1), rows=40)
        search = simulate(task, answer, settings, slots=1, seed=seed)
        trained = [record.job for record in search.folder.records if record.job.candidate.method != "prompt"]
        assert len(trained) >= 2
        for job in trained:
            if isinstance(job, Fit) and job.longest_seconds is not None:
                assert job.longest_seconds - (job.training_seconds or 0.0) >= 40 * 14.0
