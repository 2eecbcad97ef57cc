"""What is kept between decisions is what would be computed again from the history."""

from dataclasses import replace
from typing import Any

import numpy as np

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History, Reached, TrialHistory
from autoadapt.domain.space import Branch, Choices, Range
from autoadapt.domain.task import Constraints
from autoadapt.surrogates.memory import Memory
from autoadapt.surrogates.observations import Observation, observations

BRANCHES = {
    "prompt": Branch("prompt", {"shots": Choices(choices=[0, 4, 8])}, 1, "label"),
    "lora": Branch("lora", {"shots": Choices(choices=[0, 4, 8]), "r": Range(low=2, high=8)}, 1, "label"),
}


def reached(rung: int, order: int) -> Reached:
    share = (1 / 9, 1 / 3, 1.0)[rung]
    return Reached(rung, share, {"quality": 0.3 + 0.1 * rung}, 0.02, 5.0 + order, 0.1, order)


def history(trials: list[TrialHistory], **changes: Any) -> History:
    return History(tuple(trials), BRANCHES, ("m",), frozenset({"lora"}), None, True, Constraints(), **changes)


def told(seen: list[Observation]) -> list[tuple[Any, ...]]:
    """Everything but the trial's state, which goes on."""
    return [(o.trial.number, o.trial.candidate, o.reached, o.missing, o.log_job, o.silent) for o in seen]


def test_observations_are_those_of_the_history_however_it_goes_on() -> None:
    memory, trials, order = Memory(), [], 0
    for number in range(6):
        method, params = ("lora", {"shots": 4, "r": 2 + number}) if number % 2 else ("prompt", {"shots": 4})
        trials.append(TrialHistory(number, Candidate(method=method, model="m", params=params), (), "running"))
        for rung in range(1 + number % 3):
            before = trials[number]
            more = replace(before, reached=(*before.reached, reached(rung, order)), state="paused")
            trials[number], order = more, order + 1
            for chance in (None, 0.35):
                now = history(trials, chance=chance)
                assert told(memory.observations(now)) == told(observations(now))
    assert any(o.silent for o in memory.observations(history(trials, chance=0.35)))


def test_trials_stand_where_their_candidates_do_in_whatever_order_they_are_asked_for() -> None:
    candidates = [Candidate(method="lora", model="m", params={"shots": 4, "r": 2 + i % 7}) for i in range(40)]
    candidates[3] = Candidate(method="prompt", model="m", params={"shots": 8})
    trials = [TrialHistory(i, c, (), "running") for i, c in enumerate(candidates)]
    memory = Memory()
    features = memory.features(history(trials))
    for some in ([5], [3, 1, 5], range(39, -1, -3), range(40)):
        places = memory.places_of([trials[i] for i in some], features)
        assert np.array_equal(places.points, [features.point(candidates[i]) for i in some])
        assert places.arms.tolist() == [features.arm(candidates[i]) for i in some]
