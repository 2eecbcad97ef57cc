"""Choosing by gain per dollar: cheap looks first, promotions of the good, nothing twice, an end when there is no gain."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autoadapt.domain.candidate import Candidate
from autoadapt.domain.history import History, Reached, TrialHistory
from autoadapt.domain.objective import DEFAULT_GOALS, SHARE, Goal
from autoadapt.domain.sampler import Decision
from autoadapt.domain.space import Branch, Choices, Range
from autoadapt.domain.task import Constraints
from autoadapt.errors import UserError
from autoadapt.samplers.cost_aware import CostAware
from autoadapt.surrogates.belief import UNSEEN, Belief
from autoadapt.surrogates.places import Places
from autoadapt.surrogates.prices import Prices

TEMPLATE = {"template": Choices(choices=["a", "b"])}
BRANCHES = {
    "prompt": Branch("prompt", {**TEMPLATE, "shots": Choices(choices=[0, 1, 2, 4, 8, 16])}, 1, "label"),
    "lora": Branch("lora", {**TEMPLATE, "learning_rate": Range(low=1e-4, high=1e-2, log=True)}, 1, "label"),
}


def truth(candidate: Candidate) -> tuple[float, float, float, float]:
    """Quality, USD per 1k, milliseconds, seconds of the full job."""
    if candidate.method == "prompt":
        shots = float(candidate.params["shots"])  # type: ignore[arg-type]
        return 0.4 + 0.01 * shots, 0.001 * (1 + shots), 10 + shots, 2.0
    rate = np.log10(float(candidate.params["learning_rate"]))  # type: ignore[arg-type]
    return 0.8 - 0.2 * (rate + 3) ** 2, 0.002, 12.0, 60.0


def memory_mb(candidate: Candidate) -> float:
    return 400 + 20 * float(candidate.params["shots"]) if candidate.method == "prompt" else 900.0  # type: ignore[arg-type]


def measured_rung(candidate: Candidate, rung: int, order: int) -> Reached:
    quality, cost, latency, seconds = truth(candidate)
    share = (1 / 9, 1 / 3, 1.0)[rung]
    before = (0.0, 1 / 9, 1 / 3)[rung]
    values = {"quality": quality * (0.7 + 0.3 * share), "cost_usd_per_1k": cost, "latency_ms": latency}
    values |= {"memory_mb": memory_mb(candidate), "rows_per_second": 1e4 / latency, "constant": 5.0}
    values |= {"memory_kb": 1024 * values["memory_mb"], "loss": -values["quality"], "loss_mb": -values["memory_mb"]}
    return Reached(rung, share, values, 0.02, seconds * (share - before), 0.1, order)


def history(trials: Sequence[TrialHistory], **changes: Any) -> History:
    values: dict[str, Any] = {
        "trials": tuple(trials), "branches": BRANCHES, "models": ("m",), "tunes": frozenset({"lora"}),
        "left_seconds": None, "may_try": True, "constraints": Constraints(), **changes,
    }  # fmt: skip
    return History(**values)


def played(steps: int, **changes: Any) -> list[TrialHistory]:
    """A study of so many steps, one at a time, as the study would drive it."""
    sampler = CostAware()
    trials: list[TrialHistory] = []
    for step in range(steps):
        decision = sampler.decide(step, history(trials, **changes))
        if decision.promote is not None:
            number = decision.promote
        elif decision.candidate is not None:
            number = len(trials)
            trials.append(TrialHistory(number, decision.candidate, (), "running"))
        else:
            break
        trial = trials[number]
        last = decision.straight and decision.promote is not None
        rung = 2 if last else len(trial.reached)
        state = "paused" if rung < 2 else "done"
        trials[number] = replace(
            trial, reached=(*trial.reached, measured_rung(trial.candidate, rung, step)), state=state
        )
    return trials


def test_it_finds_the_good_and_does_not_pay_in_full_for_the_bad() -> None:
    trials = played(60)
    tuned = [a for a in trials if a.candidate.method == "lora"]
    full = [a for a in tuned if len(a.reached) == 3]
    assert max(truth(a.candidate)[0] for a in full) > 0.78
    assert len(full) < len(tuned)
    assert np.mean([truth(a.candidate)[0] for a in full]) > np.mean([truth(a.candidate)[0] for a in tuned])


def test_prompts_that_are_cheap_to_finish_skip_the_rungs_between() -> None:
    """Each rung would load the model again; a part of the rows was answered because the price was not known."""
    trials = played(12, left_seconds=1e6)
    prompts = [t for t in trials if t.candidate.method == "prompt" and len(t.reached) > 1]
    assert prompts
    assert {tuple(r.rung for r in t.reached) for t in prompts} == {(0, 2)}


def test_figures_of_what_was_never_seen_are_drawn_and_those_of_what_was_seen_are_not() -> None:
    models = ("small", "large")
    seen = [("prompt", "small"), ("prompt", "large"), ("lora", "small")]
    params = {"prompt": {"template": "a", "shots": 4}, "lora": {"template": "a", "learning_rate": 1e-3}}
    trials = [
        TrialHistory(i, one, (measured_rung(one, 2, i),), "done")
        for i, (method, model) in enumerate(seen)
        for one in [Candidate(method=method, model=model, params=params[method])]
    ]
    belief = Belief(Prices(history(trials, models=models)))
    asked = [Candidate(method=m, model=n, params=params[m]) for m, n in [*seen, ("lora", "large"), ("lora", "large")]]
    points, arms = [belief.features.point(c) for c in asked], [belief.features.arm(c) for c in asked]
    places = Places(belief.features.columns, points, arms)
    random = np.random.default_rng(0)
    drawn = np.array([belief.unseen_errors(places, random) for _ in range(2000)])
    assert drawn.shape == (2000, 5, 3), "two known objectives and job time"
    assert not drawn[:, :3].any()
    assert np.array_equal(drawn[:, 3], drawn[:, 4]), "one draw for all candidates of a method on a model"
    assert drawn[:, 3].std(axis=0) == pytest.approx(UNSEEN, rel=0.05)


def test_no_candidate_is_tried_twice_and_the_same_history_gives_the_same_choice() -> None:
    trials = played(40)
    assert len({a.candidate.key() for a in trials}) == len(trials)
    assert [a.candidate for a in played(40)] == [a.candidate for a in trials]


def test_a_resumed_study_goes_on_as_it_would_have() -> None:
    """A sampler that was there from the beginning keeps figures of the trials; a new one computes them again."""
    trials, sampler, decided = played(40), CostAware(), 0
    for order in range(4, 40):
        before = [
            replace(t, reached=tuple(r for r in t.reached if r.order < order), state="paused")
            for t in trials
            if t.reached[0].order < order
        ]
        before = [replace(t, state="complete") if t.reached[-1].rung == 2 else t for t in before]
        decision = sampler.decide(order, history(before))
        if order % 12 == 0:
            assert CostAware().decide(order, history(copy.deepcopy(before))) == decision
            decided += 1
    assert decided == 3


def test_a_trained_method_is_not_judged_by_one_learning_rate() -> None:
    trials = played(9, left_seconds=1e6)
    tuned = [a.candidate for a in trials if a.candidate.method == "lora"][:3]
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
    assert not decision.straight, "how long it takes is not known, and answers to all rows may take most of the budget"
    trials = [TrialHistory(0, first[1], (measured_rung(first[1], 2, 0),), "done")]
    assert CostAware().decide(0, history(trials, first=first[:1], left_seconds=1e6)).candidate == first[0]
    known = {("lora", "m"): 60.0}
    seen = [*trials, *played(6)]
    seen = [TrialHistory(i, a.candidate, a.reached, a.state) for i, a in enumerate(seen)]
    dear = CostAware().decide(0, history(seen, first=first[:1], left_seconds=100.0, job_seconds=known))
    assert dear.candidate != first[0] or not dear.straight


@pytest.mark.parametrize(("left", "finished"), [(1000.0, True), (5.0, False), (None, True)])
def test_first_prompt_of_a_model_is_finished_where_that_is_cheap(left: float | None, finished: bool) -> None:
    prompt = Candidate(method="prompt", model="m", params={"template": "a", "shots": 8})
    other = Candidate(method="lora", model="m", params={"template": "a", "learning_rate": 1e-3})
    paused = TrialHistory(0, prompt, (measured_rung(prompt, 0, 0),), "paused")
    decision = CostAware().decide(0, history([paused], first=(other,), left_seconds=left))
    assert (decision.promote == 0) == finished
    whole = Candidate(method="prompt", model="m", params={"template": "a", "shots": 4})
    trials = [paused, TrialHistory(1, whole, (measured_rung(whole, 2, 1),), "done")]
    later = CostAware().decide(0, history(trials, first=(other,), left_seconds=left))
    # without a limit on time nothing says what is cheap, and one prompt in full is enough to compare with
    assert (later.promote == 0) == (finished and left is not None)


def test_a_prompt_that_reads_much_text_begins_with_a_part_of_the_rows() -> None:
    def searched(seconds: float) -> list[Decision]:
        """Decisions for new prompts after prompts alone were measured, which all took about a second."""
        asked = [
            Candidate(method="prompt", model="m", params={"template": template, "shots": shots})
            for shots in (0, 2, 4)
            for template in ("a", "b")
        ]
        seen = [TrialHistory(i, c, (measured_rung(c, 2, i),), "done") for i, c in enumerate(asked)]
        alone: dict[str, Any] = {"branches": {"prompt": BRANCHES["prompt"]}, "tunes": frozenset()}
        made = history(seen, left_seconds=1000.0, expected_seconds=lambda candidate: seconds, **alone)
        return [CostAware().decide(seed, made) for seed in range(6)]

    assert all(decision.candidate is not None and decision.straight for decision in searched(2.0))
    assert all(decision.candidate is not None and not decision.straight for decision in searched(500.0))


def test_a_long_prompt_is_not_finished_because_others_of_its_method_were_cheap() -> None:
    prompt = Candidate(method="prompt", model="m", params={"template": "a", "shots": 8})
    other = Candidate(method="lora", model="m", params={"template": "a", "learning_rate": 1e-3})
    paused = TrialHistory(0, prompt, (measured_rung(prompt, 0, 0),), "paused")
    known = history([paused], first=(other,), left_seconds=1000.0, expected_seconds=lambda candidate: 500.0)
    assert CostAware().decide(0, known).promote is None


def test_a_lucky_measurement_is_believed_less_than_its_neighbours_together() -> None:
    trials = played(40)
    full = [a for a in trials if a.candidate.method == "lora" and a.reached[-1].share == 1]
    lucky = full[0]
    values = lucky.reached[-1].values
    flattered = replace(lucky.reached[-1], values={**values, "quality": values["quality"] + 0.1})
    changed = [replace(a, reached=(*a.reached[:-1], flattered)) if a is lucky else a for a in trials]
    believed = CostAware().believed(history(changed))
    assert set(believed) == {a.number for a in trials if a.reached[-1].share == 1}
    assert believed[lucky.number] < values["quality"] + 0.09


def test_nothing_is_chosen_that_the_budget_cannot_pay() -> None:
    trials = played(25)
    late = history(trials, left_seconds=1.0)
    for seed in range(10):
        decision = CostAware().decide(seed, late)
        assert decision.candidate is None or decision.candidate.method == "prompt"


def test_without_room_for_new_ones_it_only_promotes() -> None:
    trials = played(25)
    for seed in range(5):
        decision = CostAware().decide(seed, history(trials, may_try=False))
        assert decision.candidate is None
        if decision.promote is not None:
            assert trials[decision.promote].state == "paused"


def test_constraints_turn_it_away_from_where_they_do_not_hold() -> None:
    free = played(40)
    bound = played(40, constraints=Constraints(latency_p95_ms=11.5))
    slow = lambda trials: sum(a.candidate.method == "lora" for a in trials)  # noqa: E731
    assert slow(bound) < slow(free)


def test_running_trials_are_believed_so_that_workers_do_not_repeat_each_other() -> None:
    trials = played(25)
    sampler, chosen = CostAware(), []
    for i in range(4):
        decision = sampler.decide(100 + i, history(trials, may_try=True))
        if decision.candidate is None:
            continue
        trials.append(TrialHistory(len(trials), decision.candidate, (), "running"))
        chosen.append(decision.candidate.key())
    assert len(set(chosen)) == len(chosen)


def test_it_says_when_nothing_promises_a_gain() -> None:
    prompts = {"prompt": BRANCHES["prompt"]}
    trials = played(40, branches=prompts)  # twelve candidates, all of them soon known
    assert sum(len(a.reached) for a in trials) < 36
    assert CostAware().decide(99, history(trials, branches=prompts)).promote is None


QUALITY, COST, LATENCY = DEFAULT_GOALS
MEMORY = Goal(name="memory_mb", direction="minimize", unit="MB")
SPEED = Goal(name="rows_per_second", direction="maximize", scale="log")
CONSTANT = Goal(name="constant", direction="minimize")
LOSS = Goal(name="loss", direction="minimize", unit=SHARE, uncertain=True)
GOALS = {
    "no latency": (QUALITY, COST),
    "no cost": (LATENCY, QUALITY),
    "linear": (QUALITY, MEMORY),
    "constant": (QUALITY, CONSTANT),
    "minimized": (LOSS, COST),
    "none uncertain": (QUALITY.model_copy(update={"uncertain": False}), COST, MEMORY),
    "four": (QUALITY, COST, LATENCY, MEMORY),
    "five": (MEMORY, QUALITY, COST, SPEED, CONSTANT),
}


@pytest.mark.parametrize("goals", GOALS.values(), ids=GOALS.keys())
def test_good_candidates_are_found_for_two_to_five_objectives(goals: tuple[Goal, ...]) -> None:
    trials = played(45, goals=goals)
    assert len({t.candidate.key() for t in trials}) == len(trials)
    full = [t.candidate for t in trials if t.reached[-1].share == 1]
    assert max(truth(c)[0] for c in full) > 0.77
    assert CostAware().believed(history(trials, goals=goals)).keys() == {
        t.number for t in trials if t.reached[-1].share == 1
    }


def test_the_cheapest_and_the_best_are_both_measured_with_five_objectives() -> None:
    full = [t.candidate for t in played(45, goals=GOALS["five"]) if t.reached[-1].share == 1]
    assert min(memory_mb(c) for c in full) == 400
    assert max(truth(c)[0] for c in full) > 0.77


@pytest.mark.parametrize(
    ("goals", "equivalent"),
    [
        ((QUALITY, MEMORY), (QUALITY, Goal(name="memory_kb", direction="minimize"))),
        ((QUALITY, MEMORY), (QUALITY, Goal(name="loss_mb", direction="maximize"))),
        ((QUALITY, COST, LATENCY), (LOSS, COST, LATENCY)),
        ((QUALITY, COST, LATENCY), (COST, QUALITY, LATENCY)),
    ],
    ids=["unit", "direction of a known one", "direction of the uncertain one", "place of the uncertain one"],
)
def test_equivalent_objectives_lead_to_the_same_decisions(
    goals: tuple[Goal, ...], equivalent: tuple[Goal, ...]
) -> None:
    assert [t.candidate for t in played(30, goals=goals)] == [t.candidate for t in played(30, goals=equivalent)]


def test_believed_values_of_a_minimized_objective_are_in_its_unit() -> None:
    trials = played(40)
    quality, loss = (CostAware().believed(history(trials, goals=(g, COST))) for g in (QUALITY, LOSS))
    assert loss == {number: -value for number, value in quality.items()}


def test_objectives_that_do_not_fit_together_are_refused_at_once() -> None:
    with pytest.raises(UserError, match="2 to 5 objectives"):
        CostAware().decide(0, history([], goals=(QUALITY,)))
