"""Choosing by gain per dollar: cheap looks first, promotions of the good, nothing twice, an end when there is no gain."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autoadapt.domain.history import Attempt, History, Reached
from autoadapt.domain.space import Branch, Choices, Range
from autoadapt.domain.task import Constraints
from autoadapt.domain.trial import Candidate
from autoadapt.samplers.cost_aware import CostAware

TEMPLATE = {"template": Choices(choices=["a", "b"])}
BRANCHES = {
    "prompt": Branch({**TEMPLATE, "shots": Choices(choices=[0, 1, 2, 4, 8, 16])}, 1, "label"),
    "lora": Branch({**TEMPLATE, "learning_rate": Range(low=1e-4, high=1e-2, log=True)}, 1, "label"),
}


def truth(candidate: Candidate) -> tuple[float, float, float, float]:
    """Quality, USD per 1k, milliseconds, seconds of the full job."""
    if candidate.method == "prompt":
        shots = float(candidate.params["shots"])  # type: ignore[arg-type]
        return 0.4 + 0.01 * shots, 0.001 * (1 + shots), 10 + shots, 2.0
    rate = np.log10(float(candidate.params["learning_rate"]))  # type: ignore[arg-type]
    return 0.8 - 0.2 * (rate + 3) ** 2, 0.002, 12.0, 60.0


def reached(candidate: Candidate, rung: int, order: int) -> Reached:
    quality, cost, latency, seconds = truth(candidate)
    share = (1 / 9, 1 / 3, 1.0)[rung]
    before = (0.0, 1 / 9, 1 / 3)[rung]
    return Reached(
        rung, share, quality * (0.7 + 0.3 * share), 0.02, cost, latency, seconds * (share - before), 0.1, order
    )


def history(attempts: Sequence[Attempt], **changes: Any) -> History:
    values: dict[str, Any] = {
        "attempts": tuple(attempts), "branches": BRANCHES, "models": ("m",), "tunes": frozenset({"lora"}),
        "left_seconds": None, "may_try": True, "constraints": Constraints(), **changes,
    }  # fmt: skip
    return History(**values)


def played(steps: int, **changes: Any) -> list[Attempt]:
    """A study of so many steps, one at a time, as the study would drive it."""
    sampler = CostAware()
    attempts: list[Attempt] = []
    for step in range(steps):
        decision = sampler.decide(step, history(attempts, **changes))
        if decision.promote is not None:
            number = decision.promote
        elif decision.candidate is not None:
            number = len(attempts)
            attempts.append(Attempt(number, decision.candidate, (), "running"))
        else:
            break
        own = attempts[number]
        rung = len(own.reached)
        state = "paused" if rung < 2 else "done"
        attempts[number] = Attempt(number, own.candidate, (*own.reached, reached(own.candidate, rung, step)), state)
    return attempts


def test_it_finds_the_good_and_does_not_pay_in_full_for_the_bad() -> None:
    attempts = played(60)
    tuned = [a for a in attempts if a.candidate.method == "lora"]
    full = [a for a in tuned if len(a.reached) == 3]
    assert max(truth(a.candidate)[0] for a in full) > 0.78
    assert len(full) < len(tuned)
    assert np.mean([truth(a.candidate)[0] for a in full]) > np.mean([truth(a.candidate)[0] for a in tuned])


def test_no_candidate_is_tried_twice_and_the_same_history_gives_the_same_choice() -> None:
    attempts = played(40)
    assert len({a.candidate.key() for a in attempts}) == len(attempts)
    assert [a.candidate for a in played(40)] == [a.candidate for a in attempts]


def test_a_trained_method_is_not_judged_by_one_learning_rate() -> None:
    attempts = played(9, left_seconds=1e6)
    tuned = [a.candidate for a in attempts if a.candidate.method == "lora"][:3]
    rates = [float(np.log10(float(c.params["learning_rate"]))) for c in tuned]  # type: ignore[arg-type]
    assert len(tuned) == 3
    assert min(abs(a - b) for i, a in enumerate(rates) for b in rates[:i]) > 0.3


def test_the_portfolio_goes_by_price_and_the_dear_part_waits() -> None:
    first = (
        Candidate(method="lora", model="m", params={"template": "a", "learning_rate": 1e-3}),
        Candidate(method="prompt", model="m", params={"template": "a", "shots": 8}),
    )
    decision = CostAware().decide(0, history([], first=first, left_seconds=1e6))
    assert decision.candidate == first[1]  # nothing is priced yet, and what is not trained is the cheapest
    assert decision.straight
    attempts = [Attempt(0, first[1], (reached(first[1], 2, 0),), "done")]
    assert CostAware().decide(0, history(attempts, first=first[:1], left_seconds=1e6)).candidate == first[0]
    known = {("lora", "m"): 60.0}
    seen = [*attempts, *played(6)]
    seen = [Attempt(i, a.candidate, a.reached, a.state) for i, a in enumerate(seen)]
    dear = CostAware().decide(0, history(seen, first=first[:1], left_seconds=100.0, job_seconds=known))
    assert dear.candidate != first[0] or not dear.straight


def test_a_lucky_measurement_is_believed_less_than_its_neighbours_together() -> None:
    attempts = played(40)
    full = [a for a in attempts if a.candidate.method == "lora" and a.reached[-1].share == 1]
    lucky = full[0]
    flattered = replace(lucky.reached[-1], quality=lucky.reached[-1].quality + 0.1)
    changed = [replace(a, reached=(*a.reached[:-1], flattered)) if a is lucky else a for a in attempts]
    believed = CostAware().believed(history(changed))
    assert set(believed) == {a.number for a in attempts if a.reached[-1].share == 1}
    assert believed[lucky.number] < flattered.quality - 0.01


def test_nothing_is_chosen_that_the_budget_cannot_pay() -> None:
    attempts = played(25)
    late = history(attempts, left_seconds=1.0)
    for seed in range(10):
        decision = CostAware().decide(seed, late)
        assert decision.candidate is None or decision.candidate.method == "prompt"


def test_without_room_for_new_ones_it_only_promotes() -> None:
    attempts = [a for a in played(25)]
    for seed in range(5):
        decision = CostAware().decide(seed, history(attempts, may_try=False))
        assert decision.candidate is None
        if decision.promote is not None:
            assert attempts[decision.promote].state == "paused"


def test_constraints_turn_it_away_from_where_they_do_not_hold() -> None:
    free = played(40)
    bound = played(40, constraints=Constraints(latency_p95_ms=11.5))
    slow = lambda attempts: sum(a.candidate.method == "lora" for a in attempts)  # noqa: E731
    assert slow(bound) < slow(free)


def test_running_trials_are_believed_so_that_workers_do_not_repeat_each_other() -> None:
    attempts = played(25)
    sampler, chosen = CostAware(), []
    for i in range(4):
        decision = sampler.decide(100 + i, history(attempts, may_try=True))
        if decision.candidate is None:
            continue
        attempts.append(Attempt(len(attempts), decision.candidate, (), "running"))
        chosen.append(decision.candidate.key())
    assert len(set(chosen)) == len(chosen)


def test_it_says_when_nothing_promises_a_gain() -> None:
    prompts = {"prompt": BRANCHES["prompt"]}
    attempts = played(40, branches=prompts)  # twelve candidates, all of them soon known
    assert sum(len(a.reached) for a in attempts) < 36
    assert CostAware().decide(99, history(attempts, branches=prompts)).promote is None
