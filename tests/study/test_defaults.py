"""The defaults of a study: which trials they are, which is the best, and that its artifact is kept."""

from typing import Any

import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.jobs import Fidelity
from autoadapt.domain.task import Budget
from autoadapt.executors.replay import Simulated
from autoadapt.forecast.simulation import SimulatedTask, SimulatedTimes, simulate, simulated_answer
from autoadapt.study.search import Search

BEST = {"prompt": 0.5, "lora": 0.8, "full": 0.75, "majority": 0.9}
COSTS = {"prompt": 0.01, "lora": 0.02, "full": 0.03, "majority": 0.001}


def answers(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
    """Full fine-tuning is dominated by adapters."""
    times = SimulatedTimes(0.0, COSTS[candidate.method], 100 * COSTS[candidate.method])
    answer = simulated_answer(BEST[candidate.method], fidelity.rows, times, seed=0)
    trained = int(candidate.method in ("lora", "full"))
    measurement = answer.measurement.model_copy(update={"parameters_trained": trained})
    return Simulated(measurement, answer.seconds, answer.loading_seconds)


def run(trials: int, **task: Any) -> Search:
    return simulate(SimulatedTask("joint", Budget(trials=trials), **task), answers, slots=1)


def test_defaults_are_what_the_space_names_first() -> None:
    search = run(12)
    found, space = search.results.defaults(), search.resolved.space
    keys = {space.candidate(p).key() for p in space.first()}
    measured = {t: search.results.trials.record(t).job.candidate for t in search.results.trials.trials()}
    assert found.number == len(keys) == 4
    assert found.measured == [t for t, candidate in measured.items() if candidate.key() in keys]
    assert found.best is not None
    assert measured[found.best].method == "lora"
    assert found.best == max(found.measured, key=search.results.trials.expected_quality)


def test_simple_methods_of_the_floor_are_no_defaults() -> None:
    search = run(6, methods=("prompt", "majority"))
    found = search.results.defaults()
    assert found.number == 2
    assert {search.results.trials.record(t).job.candidate.method for t in found.measured} == {"prompt"}


def test_defaults_that_were_not_measured_are_counted() -> None:
    found = run(1).results.defaults()
    assert (found.number, len(found.measured)) == (4, 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_best_default_is_kept_and_shown_although_it_is_dominated(seed: int) -> None:
    search = run(4, methods=("prompt", "lora", "full"))
    results = search.results
    full = next(t for t in results.trials.trials() if results.trials.record(t).job.candidate.method == "full")
    assert full in results.trials.discarded, "adapters dominate it, and the best default is one of them"
    only = run(2, methods=("full", "majority"))
    (default,) = only.results.defaults().measured
    assert default not in only.results.trials.frontier(), "the floor dominates it"
    assert default in only.results.trials.dominated()
    assert default not in only.results.discard_dominated()
    assert default in only.results.shown_trials()
    (option,) = [o for o in only.results.options() if o.trial == default]
    assert (option.on_frontier, option.shown_as) == (False, "default")


def test_best_default_as_measured_is_kept_beside_the_best_as_expected() -> None:
    """What is expected may change until the search ends."""
    search = run(6, methods=("lora", "majority"))
    trials, results = search.results.trials, search.results
    default = results.defaults().best
    assert default is not None
    trials.expect({default: 0.1})
    assert default not in results.discard_dominated()


def test_of_equally_good_defaults_the_one_of_the_frontier_is_the_best() -> None:
    """Both are right on the same rows, and the one that is tried later costs less."""

    def equal(candidate: Candidate, fidelity: Fidelity, seed: int) -> Simulated:
        seconds = {"head": 0.02, "lora": 0.01}[candidate.method]
        return simulated_answer(0.8, fidelity.rows, SimulatedTimes(0.0, seconds, 10.0), seed=0)

    search = simulate(SimulatedTask("joint", Budget(trials=2), ("lora", "head")), equal, slots=1)
    trials, found = search.results.trials, search.results.defaults()
    assert [trials.record(t).job.candidate.method for t in found.measured] == ["head", "lora"]
    assert trials.expected_quality(0) == trials.expected_quality(1)
    assert [found.best] == trials.frontier() == [1]
